"""The reader of Envoy's log, on lines that Envoy 1.40 wrote (shortened: fingerprints, request ids)."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.dataplane.accesslog import _HANDSHAKE, Record, read
from handclasp.findings import CATALOGUE, Code

AT = "2026-11-21T04:48:12.810Z"
FROM = "127.0.0.1:53470"
ALICE = {"fp": "59df", "serial": "6c6c", "uri": "spiffe://example.org/alice"}
CLAIMS_ALICE = {**ALICE, "subject": "CN=mallory", "issuer": "CN=other-ca"}
VERIFY = (
    "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:"
    "_X509_verify_cert:_certificate_verification_error_at_depth_0:_{}:TLS_error_end"
)
BORINGSSL = "TLS_error:|268435648:SSL_routines:OPENSSL_internal:{}:TLS_error_end"


def connection(**more: object) -> str:
    """A line of a connection to orders that got as far as its TLS version; None takes a field away."""
    line = {
        **{"at": AT, "conn": 4, "flags": "-", "from": FROM, "k": "connection", "ms": 24},
        **{"service": "orders", "sni": "orders.test", "tls": "TLSv1.3"},
        **more,
    }
    return json.dumps({key: value for key, value in line.items() if value is not None})


def request(**more: object) -> str:
    """A line of a request of alice."""
    line = {
        **{"at": AT, "conn": 4, "flags": "-", "from": FROM, "k": "request", "ms": 2, "tls": "TLSv1.3"},
        **{"host": "orders.test:8443", "id": "78d4", "method": "GET", "path": "/v1/orders", "proto": "HTTP/2"},
        **{"service": "orders"},
        **ALICE,
        **more,
    }
    return json.dumps({key: value for key, value in line.items() if value is not None})


def refused(code: Code, evidence: str | None, **more: Any) -> Record:
    """The record of a connection that came to nothing."""
    said: dict[str, Any] = {"service": "orders", "sni": "orders.test", "tls": "TLSv1.3", "connection": 4, "ms": 24}
    return Record(AT, "connection", False, code, CATALOGUE[code].meaning, FROM, evidence=evidence, **{**said, **more})


def answered(code: Code, status: int, evidence: str | None = None, **more: Any) -> Record:
    """The record of a request of alice."""
    said: dict[str, Any] = {
        **{"service": "orders", "identity": ALICE["uri"], "serial": "6c6c", "fingerprint": "59df", "tls": "TLSv1.3"},
        **{"method": "GET", "host": "orders.test:8443", "path": "/v1/orders", "protocol": "HTTP/2"},
        **{"request_id": "78d4", "connection": 4, "ms": 2},
    }
    ok = code is Code.OK
    said["reason"] = "answered by the API" if ok else CATALOGUE[code].meaning
    return Record(
        at=AT,
        kind="request",
        accepted=ok,
        code=code,
        address=FROM,
        status=status,
        evidence=evidence,
        **{**said, **more},
    )


ACCEPTED = Record(
    at=AT,
    kind="connection",
    accepted=True,
    code=Code.OK,
    reason="handshake accepted",
    address=FROM,
    service="orders",
    identity="spiffe://example.org/alice",
    serial="6c6c",
    fingerprint="59df",
    tls="TLSv1.3",
    sni="orders.test",
    connection=4,
    ms=24,
)


def test_an_accepted_handshake() -> None:
    """The identity is there, and nothing is merely claimed."""
    line = connection(**ALICE, handshake=9, subject="CN=alice", issuer="CN=example.org issuing CA")
    assert read(line) == ACCEPTED


def test_an_accepted_handshake_without_client_certificates() -> None:
    """No identity, and no fault either."""
    assert read(connection(handshake=9, service="open")) == Record(
        AT,
        "connection",
        accepted=True,
        code=Code.OK,
        reason="handshake accepted",
        address=FROM,
        service="open",
        tls="TLSv1.3",
        sni="orders.test",
        connection=4,
        ms=24,
    )


FAILED: dict[str, tuple[dict[str, object], Code]] = {
    # curl without --cert; TLS 1.3, 1.2
    "no certificate": (
        {
            "fail": BORINGSSL.format(
                "PEER_DID_NOT_RETURN_A_CERTIFICATE:peer_did_not_provide_required_client_certificate"
            )
        },
        Code.CLIENT_CERT_MISSING,
    ),
    # --tls-max 1.1
    "old TLS": ({"fail": BORINGSSL.format("UNSUPPORTED_PROTOCOL"), "tls": "TLSv1.2"}, Code.TLS_VERSION_MISMATCH),
    # --tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-SHA
    "no AEAD cipher": ({"fail": BORINGSSL.format("NO_SHARED_CIPHER"), "tls": "TLSv1.2"}, Code.TLS_NO_SHARED_CIPHER),
    # --curves P-521
    "no group": ({"fail": BORINGSSL.format("NO_SHARED_GROUP")}, Code.TLS_NO_SHARED_GROUP),
    # --tls-max 1.2 --ciphers AES256-SHA, which offers no group at all
    "no elliptic curve": ({"fail": BORINGSSL.format("WRONG_CURVE"), "tls": "TLSv1.2"}, Code.TLS_NO_SHARED_GROUP),
    # --cacert of another authority; with TLS 1.3 the alert is not encrypted as Envoy expects it
    "caller refuses our authority, TLS 1.2": (
        {"fail": BORINGSSL.format("TLSV1_ALERT_UNKNOWN_CA"), "tls": "TLSv1.2"},
        Code.SERVER_CERT_UNKNOWN_CA,
    ),
    "caller refuses our authority, TLS 1.3": (
        {"fail": BORINGSSL.format("BAD_PACKET_LENGTH|268435595:SSL:DECRYPTION_FAILED_OR_BAD_RECORD_MAC")},
        Code.SERVER_CERT_UNKNOWN_CA,
    ),
    # http:// to a listener with one service
    "plain HTTP": (
        {"fail": BORINGSSL.format("HTTP_REQUEST"), "tls": "TLSv1.2", "sni": None},
        Code.PROTO_PLAIN_HTTP_TO_TLS,
    ),
    "what nobody has seen yet": ({"fail": BORINGSSL.format("SOMETHING_NEW")}, Code.GATEWAY_OTHER),
}


@pytest.mark.parametrize(("more", "code"), FAILED.values(), ids=FAILED.keys())
def test_a_handshake_that_failed_before_a_certificate(more: dict[str, object], code: Code) -> None:
    """Envoy's reason becomes a code; the reason stays as evidence."""
    expected = {key: value for key, value in {"tls": more.get("tls"), "sni": "orders.test"}.items() if value}
    if "sni" in more:
        expected["sni"] = None
    assert read(connection(**more)) == refused(code, str(more["fail"]), **expected)


UNVERIFIED = {
    "unable_to_get_local_issuer_certificate": Code.CLIENT_CERT_UNKNOWN_CA,
    "self_signed_certificate": Code.CLIENT_CERT_SELF_SIGNED,
    "certificate_has_expired": Code.CLIENT_CERT_EXPIRED,
    "certificate_is_not_yet_valid": Code.CLIENT_CERT_NOT_YET_VALID,
    "unsupported_certificate_purpose": Code.CLIENT_CERT_WRONG_EKU,
    "certificate_revocation_check_against_provided_CRLs_failed:_certificate_revoked": Code.CLIENT_CERT_REVOKED,
    "certificate_revocation_check_against_provided_CRLs_failed:_CRL_has_expired": Code.SERVER_CRL_EXPIRED,
    "certificate_revocation_check_against_provided_CRLs_failed:_unable_to_get_certificate_CRL": Code.SERVER_CRL_MISSING,
    "SAN_matcher,_certificate_SANs_are_[spiffe://other.org/alice]": Code.CLIENT_IDENTITY_NOT_ALLOWED,
    "a_reason_nobody_has_seen_yet": Code.CLIENT_CHAIN_INVALID,
}


@pytest.mark.parametrize(("why", "code"), UNVERIFIED.items(), ids=lambda value: str(value)[-40:])
def test_danger_9_an_unverified_certificate_only_claims(why: str, code: Code) -> None:
    """What a certificate says that did not verify is `claimed`: no identity, serial or fingerprint."""
    fail = VERIFY.format(why)
    assert read(connection(**CLAIMS_ALICE, fail=fail)) == refused(
        code, fail, claimed="spiffe://example.org/alice", claimed_issuer="CN=other-ca"
    )


def test_danger_9_also_for_a_reason_without_a_code() -> None:
    """A failure that is not in the table is a failure all the same."""
    fail = BORINGSSL.format("SOMETHING_NEW")
    assert read(connection(**CLAIMS_ALICE, fail=fail)) == refused(
        Code.GATEWAY_OTHER, fail, claimed="spiffe://example.org/alice", claimed_issuer="CN=other-ca"
    )


def test_without_a_name_the_subject_is_claimed() -> None:
    """A certificate without a URI name claims its subject."""
    fail = VERIFY.format("self_signed_certificate")
    line = connection(fp="ec96", issuer="CN=other-ca", serial="3761", subject="CN=other-ca", fail=fail)
    assert read(line) == refused(
        Code.CLIENT_CERT_SELF_SIGNED, fail, claimed="CN=other-ca", claimed_issuer="CN=other-ca"
    )


def test_a_hello_and_no_more() -> None:
    """A caller that went away after the server's answer: a version is known, and the handshake was never done."""
    assert read(connection()) == refused(Code.NET_CLOSED_DURING_HANDSHAKE, None)


NO_CHAIN = {"conn": 0, "flags": "NR", "details": "filter_chain_not_found", "service": None, "tls": None}


@pytest.mark.parametrize(
    ("more", "code", "evidence", "sni"),
    [
        ({**NO_CHAIN, "sni": "nobody.test"}, Code.TLS_SNI_UNRECOGNIZED, "filter_chain_not_found", "nobody.test"),
        ({**NO_CHAIN, "sni": None}, Code.TLS_SNI_UNRECOGNIZED, "filter_chain_not_found", None),
        (
            {
                **NO_CHAIN,
                "sni": None,
                "fail": "TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS",
            },
            Code.PROTO_PLAIN_HTTP_TO_TLS,
            "TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS",
            None,
        ),
        (
            {**NO_CHAIN, "sni": None, "fail": "TLS_error|error:100000f7:SSL_routines:OPENSSL:WRONG_VERSION_NUMBER:TLS"},
            Code.PROTO_NOT_TLS,
            "TLS_error|error:100000f7:SSL_routines:OPENSSL:WRONG_VERSION_NUMBER:TLS",
            None,
        ),
        ({"conn": 0, "service": None, "tls": None, "sni": None}, Code.NET_CLOSED_DURING_HANDSHAKE, None, None),
        (
            {"conn": 0, "tls": None, "closed": "transport_socket_timeout"},
            Code.NET_HANDSHAKE_TIMEOUT,
            "transport_socket_timeout",
            "orders.test",
        ),
    ],
    ids=["unknown SNI", "no SNI", "plain HTTP", "not TLS", "connected and gone", "too slow"],
)
def test_no_handshake_at_all(more: dict[str, object], code: Code, evidence: str | None, sni: str | None) -> None:
    """Connections that came to no service, most of them on a port that several share."""
    service = more.get("service", "orders")
    assert read(connection(**more)) == refused(code, evidence, connection=0, service=service, tls=None, sni=sni)


@pytest.mark.parametrize(
    "more",
    [
        {"fail": BORINGSSL.format("BAD_DECRYPT|268435595:SSL:DECRYPTION_FAILED_OR_BAD_RECORD_MAC")},
        {"fail": "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end"},
        {"closed": "codec_error:Upgrade_required_for_HTTP/1.0_or_HTTP/0.9", "flags": "DPE"},
        {"closed": "triggered_delayed_close_timeout"},
    ],
    ids=["broken record", "reset", "bad HTTP", "closed late"],
)
def test_the_end_of_an_accepted_connection_takes_nothing_from_it(more: dict[str, object]) -> None:
    """However a connection ended: its handshake was accepted, and its caller is known."""
    line = connection(**ALICE, handshake=5, subject="CN=alice", issuer="CN=example.org issuing CA", **more)
    assert read(line) == ACCEPTED


UNREACHED = (
    "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
)
RESET = "upstream_reset_before_response_started{connection_termination}"
REQUESTS: dict[str, tuple[dict[str, object], Record]] = {
    "answered": (
        {"details": "via_upstream", "rule": "rule-001", "status": 200},
        answered(Code.OK, 200, rule=1),
    ),
    "answered 503 by the API": (
        {"details": "via_upstream", "rule": "rule-002", "status": 503},
        answered(Code.OK, 503, rule=2),
    ),
    "denied": (
        {"details": "rbac_access_denied_matched_policy[none]", "status": 403},
        answered(Code.POLICY_NO_RULE_ALLOWS, 403, "rbac_access_denied_matched_policy[none]"),
    ),
    "revoked": (
        {"details": "rbac_access_denied_matched_policy[revoked]", "rule": "revoked", "status": 403},
        answered(Code.CLIENT_CERT_REVOKED, 403, "rbac_access_denied_matched_policy[revoked]"),
    ),
    "another service's host": (
        {"details": "direct_response", "host": "down.test", "status": 421},
        answered(Code.ROUTE_MISDIRECTED, 421, "direct_response", host="down.test"),
    ),
    "%2f": (
        {"details": "path_normalization_failed", "path": "/v1/a/b", "status": 400, "id": None},
        answered(Code.ROUTE_PATH_REJECTED, 400, "path_normalization_failed", path=None, request_id=None),
    ),
    "upstream down": (
        {
            **{"details": UNREACHED, "flags": "URX,UF", "rule": "rule-001", "status": 503},
            "upstream": "delayed_connect_error:_Connection_refused",
        },
        answered(Code.UPSTREAM_UNREACHABLE, 503, "delayed_connect_error:_Connection_refused", rule=1),
    ),
    "upstream not verified": (
        {
            **{"details": "upstream_reset_before_response_started{...}", "flags": "URX,UF", "rule": "rule-001"},
            **{"status": 503, "upstream": VERIFY.format("self_signed_certificate")},
        },
        answered(Code.UPSTREAM_UNTRUSTED, 503, VERIFY.format("self_signed_certificate"), rule=1),
    ),
    "upstream reset": (
        {"details": RESET, "flags": "UC", "rule": "rule-001", "status": 503},
        answered(Code.UPSTREAM_RESET, 503, RESET, rule=1),
    ),
    "upstream no HTTP": (
        {"details": "upstream_reset_before_response_started{protocol_error}", "flags": "UPE", "status": 502},
        answered(Code.UPSTREAM_RESET, 502, "upstream_reset_before_response_started{protocol_error}"),
    ),
    "upstream broke off in its answer": (
        {"details": "upstream_reset_after_response_started{protocol_error}", "flags": "UPE", "status": 200},
        answered(Code.UPSTREAM_RESET, 200, "upstream_reset_after_response_started{protocol_error}"),
    ),
    "caller gone": (
        {"details": "downstream_remote_disconnect", "flags": "DC", "rule": "rule-001", "status": 0},
        answered(Code.GATEWAY_CLIENT_GONE, 0, "downstream_remote_disconnect", rule=1),
    ),
    # The API ends a WebSocket by closing its connection, as RFC 6455 §7.1.1 has it do.
    "WebSocket": (
        {
            **{"details": "upstream_reset_after_response_started{connection_termination}", "flags": "UC"},
            **{"proto": "HTTP/1.1", "rule": "rule-001", "status": 101},
        },
        answered(Code.OK, 101, rule=1, protocol="HTTP/1.1", reason="Accepted."),
    ),
    "no HTTP/1.1": (
        {
            **{"details": "low_version", "flags": "DPE", "status": 426, "proto": "HTTP/1.1"},
            **{"host": None, "id": None, "method": None, "path": None},
        },
        answered(
            Code.GATEWAY_BAD_REQUEST,
            426,
            "low_version",
            host=None,
            request_id=None,
            method=None,
            path=None,
            protocol="HTTP/1.1",
        ),
    ),
}


@pytest.mark.parametrize(("more", "record"), REQUESTS.values(), ids=REQUESTS.keys())
def test_requests(more: dict[str, object], record: Record) -> None:
    """Each way in which a request ends, as Envoy writes it."""
    assert read(request(**more)) == record


def test_an_answer_of_the_gateway_is_not_the_apis() -> None:
    """Only what the API answered says so."""
    found = read(request(details="direct_response", status=421))
    assert found is not None
    assert found.reason == CATALOGUE[Code.ROUTE_MISDIRECTED].meaning


def test_as_json_leaves_out_what_is_empty() -> None:
    """A record as JSON has its values and no nulls."""
    assert ACCEPTED.as_json() == {
        **{"at": AT, "kind": "connection", "accepted": True, "code": "OK", "reason": "handshake accepted"},
        **{"address": FROM, "service": "orders", "identity": "spiffe://example.org/alice", "serial": "6c6c"},
        **{"fingerprint": "59df", "tls": "TLSv1.3", "sni": "orders.test", "connection": 4, "ms": 24},
    }


@pytest.mark.parametrize(
    "line",
    ["", "\n", "{", '{"k": "request"', "[]", "null", "7", '{"k": "other"}', "{}", "not JSON", "[" * 100_000],
    ids=["empty", "newline", "brace", "cut", "list", "null", "number", "other", "nothing", "text", "deep"],
)
def test_what_is_no_line_is_none(line: str) -> None:
    """A line that is not whole, or not ours, is no record and no error."""
    assert read(line) is None


@given(st.text())
def test_arbitrary_text_never_raises(text: str) -> None:
    """Whatever is in the file."""
    read(text)


KEYS = ("at", "conn", "from", "service", "tls", "ms", "flags", "details", "uri", "serial", "fp", "subject", "issuer")
MORE_KEYS = (
    "sni",
    "fail",
    "closed",
    "handshake",
    "id",
    "host",
    "method",
    "path",
    "proto",
    "status",
    "rule",
    "upstream",
)
FRAGMENTS = [fragment for fragment, _ in _HANDSHAKE]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*FRAGMENTS, "TLSv1.3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
ENTRY = st.dictionaries(st.sampled_from(KEYS + MORE_KEYS), JSON)


@given(ENTRY, st.sampled_from(["connection", "request"]) | JSON)
def test_arbitrary_json_never_raises(entry: dict[str, object], kind: object) -> None:
    """Whatever the fields hold; and what comes out is JSON again."""
    record = read(json.dumps({**entry, "k": kind}))
    assert record is None or json.dumps(record.as_json())


@given(ENTRY, st.text(min_size=1) | st.sampled_from(FRAGMENTS))
def test_a_failed_handshake_never_has_an_identity(entry: dict[str, object], fail: str) -> None:
    """With a reason of failure and no completed handshake nothing of the certificate is taken for proved."""
    line = {**entry, **CLAIMS_ALICE, "k": "connection", "fail": f"TLS_error:{fail}"}
    line.pop("handshake", None)
    record = read(json.dumps(line))
    assert record is not None
    assert not record.accepted
    assert {record.identity, record.serial, record.fingerprint} == {None}
    assert record.claimed == "spiffe://example.org/alice"


def test_a_record_has_no_field_that_no_line_fills() -> None:
    """Every field is set by at least one line above."""
    lines = [
        connection(**ALICE, handshake=9),
        connection(**CLAIMS_ALICE, fail=VERIFY.format("certificate_has_expired")),
        request(details="via_upstream", rule="rule-001", status=200),
    ]
    filled = {key for line in lines if (record := read(line)) for key in record.as_json()}
    assert filled == {field.name for field in fields(Record)}
