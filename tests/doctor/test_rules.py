"""From observations to causes: the chain as the other side judges it, and the ranking of what a refusal allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from handclasp.doctor.diagnosis import Ailment, Severity
from handclasp.doctor.rules.client_chain import client_ailments, server_ailments
from handclasp.doctor.rules.endpoint import SKEWED, diagnose
from handclasp.doctor.rules.observed import Observation, Retry
from handclasp.doctor.rules.product import product
from handclasp.doctor.rules.refusal import Refusal, ranked
from handclasp.findings import Code, Finding
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.evidence import Response
from handclasp.probe.report import Report
from handclasp.probe.served import read
from handclasp.probe.target import Target
from handclasp.testing import chains
from handclasp.testing.chains import AT, Holder
from handclasp.tlswire.seen import Alert, Step

ROOT = chains.make("Acme clients root", authority=True)
ISSUING = chains.make("Acme clients issuing", ROOT, authority=True)
LEAF = chains.make("client", ISSUING, ends=AT + timedelta(days=90))
TARGET = Target("api.test:443", "api.test", 443)


def of(*holders: Holder) -> list[x509.Certificate]:
    """Their certificates."""
    return [one.certificate for one in holders]


def codes(ailments: Sequence[Ailment]) -> list[Code]:
    """Only those that count as errors."""
    return [one.code for one in ailments if one.severity is Severity.ERROR]


def test_a_sound_chain_has_no_ailment() -> None:
    """Leaf and intermediate, below a trusted root, with the lists of both authorities."""
    crls = [chains.make_crl(ROOT), chains.make_crl(ISSUING)]
    assert codes(client_ailments(of(LEAF, ISSUING), (), of(ROOT), crls, AT)) == []


@pytest.mark.parametrize(
    ("sent", "known", "trust", "code"),
    [
        (of(LEAF), of(ISSUING), of(ROOT), Code.CLIENT_CHAIN_INCOMPLETE),
        (of(LEAF), (), of(ROOT), Code.CLIENT_CHAIN_INCOMPLETE),
        (of(LEAF), (), of(chains.make("Somebody", authority=True)), Code.CLIENT_CERT_UNKNOWN_CA),
        (of(LEAF, ISSUING), (), of(chains.make("Somebody", authority=True)), Code.CLIENT_CERT_UNKNOWN_CA),
        (
            of(LEAF, ISSUING),
            (),
            of(chains.make("Acme clients root", authority=True)),
            Code.CLIENT_CERT_CA_NAME_COLLISION,
        ),
        (of(chains.make("self")), (), of(ROOT), Code.CLIENT_CERT_SELF_SIGNED),
        (of(chains.make("x", ISSUING, usages=(chains.SERVER,)), ISSUING), (), of(ROOT), Code.CLIENT_CERT_WRONG_EKU),
        (of(chains.make("x", ISSUING, ends=AT - timedelta(1)), ISSUING), (), of(ROOT), Code.CLIENT_CERT_EXPIRED),
        (of(chains.make("x", LEAF), LEAF, ISSUING), (), of(ROOT), Code.CLIENT_CHAIN_INVALID),
    ],
)
def test_what_is_wrong_is_told(
    sent: list[x509.Certificate], known: Sequence[x509.Certificate], trust: list[x509.Certificate], code: Code
) -> None:
    """One fault, one code."""
    assert codes(client_ailments(sent, known, trust, (), AT))[:1] == [code]


def test_without_authorities_the_chain_is_judged_by_itself() -> None:
    """Dates and purpose need no authority."""
    issuing = chains.make("Acme clients issuing", ROOT, authority=True, ends=AT - timedelta(days=1))
    leaf = chains.make("client", issuing, usages=(chains.SERVER,))
    found = codes(client_ailments(of(leaf, issuing), (), (), (), AT))
    assert found == [Code.CLIENT_CHAIN_EXPIRED, Code.CLIENT_CERT_WRONG_EKU]


def test_depth_counts_intermediates() -> None:
    """As ssl_verify_depth does."""
    assert codes(client_ailments(of(LEAF, ISSUING), (), of(ROOT), (), AT, depth=0)) == [Code.CLIENT_CHAIN_TOO_DEEP]
    assert codes(client_ailments(of(LEAF, ISSUING), (), of(ROOT), (), AT, depth=1)) == []


def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    """Thirty days, or the last third of a short life."""
    brief = chains.make("client", ISSUING, begins=AT - timedelta(days=1), ends=AT + timedelta(days=9))
    late = chains.make("client", ISSUING, begins=AT - timedelta(days=8), ends=AT + timedelta(days=2))
    assert [one.code for one in client_ailments(of(brief), (), (), (), AT)] == []
    assert [one.code for one in client_ailments(of(late), (), (), (), AT)] == [Code.CLIENT_CERT_EXPIRES_SOON]


def test_a_server_without_alternative_names() -> None:
    """The common name is not looked at, and that is said instead of a mismatch."""
    server = chains.make("api.test", ISSUING, usages=(chains.SERVER,))
    found = server_ailments(of(server, ISSUING), of(ROOT), (), AT, "api.test")
    assert codes(found) == [Code.SERVER_CERT_NO_SAN]


@pytest.mark.parametrize(
    ("refusal", "first"),
    [
        (Refusal(alert=44), Code.CLIENT_CERT_REVOKED),
        (Refusal(alert=43), Code.CLIENT_CERT_WRONG_EKU),
        (Refusal(alert=45), Code.SERVER_CRL_EXPIRED),
        (Refusal(alert=45, skewed=True), Code.CLOCK_SKEW),
        (Refusal(alert=48, named=False), Code.CLIENT_CERT_UNKNOWN_CA),
        (Refusal(alert=48, named=True), Code.CLIENT_CERT_CA_NAME_COLLISION),
        (Refusal(alert=48, named=False, likely_incomplete=True), Code.CLIENT_CHAIN_INCOMPLETE),
        (Refusal(alert=48, named=True, intermediates=2), Code.CLIENT_CHAIN_TOO_DEEP),
        (Refusal(alert=49), Code.CLIENT_IDENTITY_NOT_ALLOWED),
        (Refusal(status=403), Code.CLIENT_IDENTITY_NOT_ALLOWED),
        (Refusal(status=400, named=True), Code.CLIENT_CERT_REVOKED),
        (Refusal(alert=255), Code.CLIENT_CERT_UNKNOWN_CA),
    ],
)
def test_the_likeliest_cause_of_a_refusal_comes_first(refusal: Refusal, first: Code) -> None:
    """Nothing is wrong with the client's files, as far as they tell."""
    assert ranked(refusal, ())[0].code is first


def test_what_the_files_show_decides() -> None:
    """A fault that is seen, and explains the alert, leaves no other cause."""
    expired = Ailment(Code.CLIENT_CERT_EXPIRED, "chain[0]", "it expired")
    assert [one.code for one in ranked(Refusal(alert=45), [expired])] == [Code.CLIENT_CERT_EXPIRED]
    assert [one.code for one in ranked(Refusal(status=400), [expired])] == [Code.CLIENT_CERT_EXPIRED]


def test_with_the_servers_files_what_they_exclude_is_left_out() -> None:
    """The chain is sound by the server's own authorities and lists."""
    found = ranked(Refusal(alert=48, judged=True, lists=True), ())
    assert Code.CLIENT_CERT_UNKNOWN_CA not in [one.code for one in found]


def plain(**differing: Any) -> Report:
    """A report of an endpoint, from nothing."""
    empty = Report(TARGET, AT, Code.OK, ())
    return replace(empty, **differing)


def test_no_certificate_and_a_refusal_is_a_missing_certificate() -> None:
    """Whatever the alert's number, and whatever else is wrong."""
    server = chains.make("api.test", ISSUING, usages=(chains.SERVER,))
    seen = plain(
        chain=(read(server.der),),
        code=Code.SERVER_CERT_UNKNOWN_CA,
        findings=(Finding(Code.SERVER_CERT_UNKNOWN_CA, "chain[0]", "not trusted"),),
        client_certificate=ClientCertificate.REQUIRED,
        client_certificate_why="the server sent alert 42 after our empty Certificate",
    )
    found = diagnose(Observation(AT, seen))
    assert [one.code for one in found.candidates] == [Code.CLIENT_CERT_MISSING, Code.SERVER_CERT_UNKNOWN_CA]


def expired_server(skew: timedelta | None) -> list[Code]:
    """What is said of a server whose certificate seems to have expired."""
    server = chains.make("api.test", ISSUING, usages=(chains.SERVER,), ends=AT + timedelta(days=30))
    seen = plain(chain=(read(server.der),), findings=(Finding(Code.SERVER_CERT_EXPIRED, "chain[0]", "it expired"),))
    later = AT + timedelta(days=60)
    return [one.code for one in diagnose(Observation(later, replace(seen, at=later), skew=skew)).candidates]


def test_a_clock_that_differs_explains_dates() -> None:
    """The server's clock, by which the certificate is in date, goes before; the same time excludes it."""
    assert expired_server(timedelta(days=-60)) == [Code.CLOCK_SKEW, Code.SERVER_CERT_EXPIRED]
    assert expired_server(SKEWED / 10) == [Code.SERVER_CERT_EXPIRED]
    assert expired_server(None) == [Code.SERVER_CERT_EXPIRED, Code.CLOCK_SKEW]


def test_the_hello_that_helps_tells_what_was_missing() -> None:
    """An alert 40 to the hello has many causes; a hello with more ciphers that is answered has one."""
    seen = plain(
        alerts=(Alert(40, True, Step.CLIENT_HELLO),), findings=(Finding(Code.TLS_ALERT, "client_hello", "alert 40"),)
    )
    retries = [
        Retry("with more ciphers", Code.TLS_NO_SHARED_CIPHER, worked=True),
        Retry("with more groups", Code.TLS_NO_SHARED_GROUP, worked=False),
    ]
    found = diagnose(Observation(AT, seen, retries=retries))
    assert (found.code, len(found.candidates)) == (Code.TLS_NO_SHARED_CIPHER, 1)
    assert len(diagnose(Observation(AT, seen)).candidates) > 1


@pytest.mark.parametrize(
    ("header", "body", "which"),
    [
        ("nginx/1.22.1", b"", "nginx"),
        ("Apache/2.4.57 (Debian)", b"", "apache"),
        ("Apache-Coyote/1.1", b"", "java"),
        ("envoy", b"", "envoy"),
        ("Microsoft-IIS/10.0", b"", "iis"),
        ("", b"<hr><center>nginx/1.22.1</center>", "nginx"),
        ("something", b"", ""),
    ],
)
def test_the_software_is_recognised_by_what_it_says(header: str, body: bytes, which: str) -> None:
    """Its Server header, or the page of its errors."""
    headers = (("server", header),) if header else ()
    assert product(Response(400, "Bad Request", headers, body, True)) == which
