"""What a monitor expects, held against what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code, Finding
from handclasp.monitor.assertions import MAX_BODY, unmet
from handclasp.monitor.definition import Expectation, Kind, Stranger
from handclasp.monitor.examined import Examined
from handclasp.probe.enforcement import ClientCertificate
from handclasp.testing.watching import REFUSED_CONNECTION, a_certificate, a_monitor, a_result, answered, seen

URL = "https://a.test/health"


def told(examined: Examined, kind: Kind = Kind.TLS, last: Any = None, **expect: Any) -> list[tuple[Code, str]]:
    """What is not as expected."""
    monitor = a_monitor(kind=kind, target=URL if kind is Kind.HTTPS else "a.test:443", expect=Expectation(**expect))
    return [(one.code, one.what) for one in unmet(monitor, examined, last)]


@pytest.mark.parametrize(
    ("expected", "found", "what"),
    [
        ("required", "required", None),
        ("required", "required_at_http", None),
        ("required_at_http", "required", "a client certificate is required instead of required at HTTP"),
        ("required", "optional", "a client certificate is optional instead of required"),
        ("required", "undetermined", "it cannot be seen whether a client certificate is required"),
        ("required", None, "it cannot be seen whether a client certificate is required"),
        ("not_requested", "not_requested", None),
        ("not_requested", "optional", "a client certificate is optional instead of not requested"),
    ],
)
def test_client_certificates(expected: str, found: str | None, what: str | None) -> None:
    """What is demanded of a caller without one; at TLS or by HTTP is the same to somebody who asks for required."""
    examined = seen(client_certificate=ClientCertificate(found) if found else None)
    assert told(examined, client_certificate=expected) == ([(Code.CHECK_CLIENT_CERTIFICATE, what)] if what else [])


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ("1.3", None),
        ("1.2", "the server took TLS 1.2, and not 1.3"),
        ("1.0", "the server took TLS 1.0, and not 1.3"),
        (None, "no version of TLS was agreed on"),
    ],
)
def test_the_lowest_version(found: str | None, what: str | None) -> None:
    """Higher ones are good too."""
    examined = seen(facts={"tls_version": found})
    assert told(examined, tls=0x0304) == ([(Code.CHECK_TLS_VERSION, what)] if what else [])
    assert (told(examined, tls=0x0303) == []) is (found in {"1.2", "1.3"})


def test_the_issuer_is_exact() -> None:
    """One name, whole."""
    assert told(seen(), issuer="CN=CA") == []
    what = "the certificate was issued by CN=CA instead of CN=Other"
    assert told(seen(), issuer="CN=Other") == [(Code.CHECK_ISSUER_CHANGED, what)]


def test_any_pin_in_the_chain_will_do() -> None:
    """But not that of our own certificate, which was shown beside it."""
    assert told(seen(), pins=("cc" * 32, "bb" * 32)) == []
    ours = a_certificate(role="credential", spki="cc" * 32)
    what = [(Code.PIN_MISMATCH, "none of the pinned keys is in the chain")]
    assert told(seen(a_certificate(), ours), pins=("cc" * 32,)) == what


def test_an_unchanged_chain() -> None:
    """Issuer and key of the leaf; a renewal with the same key from the same issuer is none of it."""
    last = a_result()
    renewed = seen(a_certificate(fingerprint="other"))
    other_issuer = seen(a_certificate(issuer="CN=Other"))
    other_key = seen(a_certificate(spki="ee" * 32))
    assert told(renewed, last=last, chain_unchanged=True) == []
    assert told(other_issuer, last=last, chain_unchanged=True) == [
        (Code.CHECK_CHAIN_CHANGED, "the issuer was CN=CA and is CN=Other")
    ]
    assert told(other_key, last=last, chain_unchanged=True) == [
        (Code.CHECK_CHAIN_CHANGED, "the key of CN=a.test is another one than before")
    ]
    assert told(other_key, last=None, chain_unchanged=True) == []


@pytest.mark.parametrize(
    ("status", "expected", "what"),
    [
        (200, set(), None),
        (302, set(), None),
        (404, set(), "the answer was HTTP 404 instead of 200 to 399"),
        (404, {404}, None),
        (200, {200, 204, 300, 301, 302}, None),
        (500, {200, 204, 300, 301, 302}, "the answer was HTTP 500 instead of 200, 204, 300 to 302"),
    ],
)
def test_statuses(status: int, expected: set[int], what: str | None) -> None:
    """Without any, those that are no errors."""
    found = told(seen(response=answered(status=status)), Kind.HTTPS, status=frozenset(expected))
    assert found == ([(Code.CHECK_STATUS, what)] if what else [])


def test_headers_by_expression() -> None:
    """One of several of a name is enough."""
    examined = seen(response=answered(content_type="application/json; charset=utf-8", server="x"))
    assert told(examined, Kind.HTTPS, headers=(("content-type", "^application/json"),)) == []
    assert told(examined, Kind.HTTPS, headers=(("server", "nginx"), ("date", "."))) == [
        (Code.CHECK_HEADER, "the header server does not match 'nginx'"),
        (Code.CHECK_HEADER, "the header date is missing"),
    ]


def test_the_body_by_expression() -> None:
    """As UTF-8, and never more than the first 64 kB."""
    assert told(seen(response=answered("größe".encode())), Kind.HTTPS, body="^größe$") == []
    assert told(seen(response=answered(b"\xff no")), Kind.HTTPS, body="yes") == [
        (Code.CHECK_BODY, "the body does not match 'yes'")
    ]
    long = b"x" * MAX_BODY + b"yes"
    assert told(seen(response=answered(long)), Kind.HTTPS, body="yes") == [
        (Code.CHECK_BODY, "the first 64 kB of the body do not match 'yes'")
    ]


def test_values_in_json() -> None:
    """Each that is missing or different is told, and never what stands there instead."""
    body = b'{"status": "ok", "checks": [{"up": true, "token": "hunter2"}]}'
    examined = seen(response=answered(body))
    good = (("$.status", "ok"), ("$.checks[0].up", "true"))
    assert told(examined, Kind.HTTPS, json=good) == []
    assert told(examined, Kind.HTTPS, json=(("$.checks[1].up", "true"), ("$.checks[0].token", "x"))) == [
        (Code.CHECK_BODY, "in the body, $.checks[1] is not there"),
        (Code.CHECK_BODY, "in the body, $.checks[0].token is not x"),
    ]
    assert told(seen(response=answered(b"<html>")), Kind.HTTPS, json=good) == [
        (Code.CHECK_BODY, "the body is not JSON: Expecting value at character 1")
    ]
    assert told(seen(response=answered(body, whole=False)), Kind.HTTPS, json=good) == [
        (Code.CHECK_BODY, "the body is longer than 64 kB")
    ]


def test_latency() -> None:
    """The most seconds, inclusive; what was not measured is not judged."""
    assert told(seen(seconds=0.5), latency=0.5) == []
    assert told(seen(seconds=None), latency=0.5) == []
    assert told(seen(seconds=0.512), latency=0.5) == [
        (Code.CHECK_LATENCY, "the answer took 512 ms; at most 500 ms are allowed")
    ]


@pytest.mark.parametrize(
    ("stranger", "refused", "found"),
    [
        (Stranger.ANONYMOUS, True, []),
        (Stranger.ANONYMOUS, False, [(Code.MTLS_NOT_ENFORCED, "a caller without a certificate is not refused")]),
        (
            Stranger.UNLISTED_CA,
            False,
            [(Code.MTLS_NOT_ENFORCED, "a caller with a certificate of an unknown authority is not refused")],
        ),
        (
            Stranger.ANONYMOUS,
            None,
            [(Code.UNKNOWN, "it cannot be seen whether a caller without a certificate is refused")],
        ),
    ],
)
def test_strangers_are_refused(stranger: Stranger, refused: bool | None, found: list[tuple[Code, str]]) -> None:
    """Success means refused; and what cannot be seen is no success."""
    monitor = a_monitor(kind=Kind.REFUSED, stranger=stranger)
    assert [(one.code, one.what) for one in unmet(monitor, seen(refused=refused), None)] == found


def test_a_failure_before_anything_was_seen_is_enough() -> None:
    """Nobody wants to hear that the issuer is another one where nothing answered."""
    everything: dict[str, Any] = {"client_certificate": "required", "tls": 0x0304, "issuer": "CN=x", "pins": ("aa",)}
    assert told(REFUSED_CONNECTION, Kind.HTTPS, **everything, status=frozenset({200}), body="x") == []


def test_a_request_without_an_answer() -> None:
    """Is told, unless the examination says why there is none."""
    assert told(seen(), Kind.HTTPS) == [(Code.CHECK_STATUS, "there was no answer to the request")]
    why = (Finding(Code.CREDENTIAL_REFUSED, "a.test", "alert 48"),)
    assert told(seen(findings=why), Kind.HTTPS, body="x") == []


@given(st.binary(max_size=60), st.lists(st.tuples(st.sampled_from(["a", "server"]), st.text(max_size=20)), max_size=3))
def test_any_response_is_judged(body: bytes, headers: list[tuple[str, str]]) -> None:
    """Whatever comes back, it matches or a finding says that it does not."""
    response = replace(answered(body), headers=tuple(headers))
    expect: dict[str, Any] = {"body": r"(a|b)+\d", "json": (("$.a", "1"),), "headers": (("server", "^x*$"),)}
    codes = {code for code, _ in told(seen(response=response), Kind.HTTPS, **expect)}
    assert codes <= {Code.CHECK_BODY, Code.CHECK_HEADER}


def test_a_mild_finding_does_not_hide_that_nothing_was_seen() -> None:
    """A staple that has ended is a warning; that there was no answer is not."""
    mild = (Finding(Code.SERVER_STAPLE_EXPIRED, "staple", "it has ended"),)
    assert told(seen(findings=mild), Kind.HTTPS) == [(Code.CHECK_STATUS, "there was no answer to the request")]
    what = "it cannot be seen whether a caller without a certificate is refused"
    assert told(seen(findings=mild, refused=None), Kind.REFUSED) == [(Code.UNKNOWN, what)]
    severe = (Finding(Code.UPSTREAM_RESET, "http", "it was reset"),)
    assert told(seen(findings=severe), Kind.HTTPS) == []


def test_a_pin_beside_the_path_is_none() -> None:
    """Whoever has a certificate can attach others to it."""
    extra = a_certificate(role="extra", spki="cc" * 32)
    what = [(Code.PIN_MISMATCH, "none of the pinned keys is in the chain")]
    assert told(seen(a_certificate(), extra), pins=("cc" * 32,)) == what
