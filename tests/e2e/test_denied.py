"""Denied is explained: to the caller what it may know, to the operator the rest."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from handclasp.testing.calls import call, curl
from handclasp.testing.site import RunningSite, free_port

if TYPE_CHECKING:
    from tests.e2e.conftest import Laboratory


def test_a_refusal_by_the_rules_says_code_identity_and_request_id(lab: Laboratory) -> None:
    """403 problem+json; which rule decided is not in it."""
    answer = call(lab.port, lab.trust, lab.files("stranger"), "GET", "/secret")
    problem = answer.json
    request_id = problem.pop("request_id")
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")
    assert problem == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "The caller is known, but no rule of this service allows it this request.",
        "code": "POLICY_NO_RULE_ALLOWS",
        "service": "orders",
        "identity": "spiffe://example.org/stranger",
    }
    record = lab.site.wait_for_log(request_id=request_id)
    assert (record["code"], record["identity"], record["path"]) == (
        "POLICY_NO_RULE_ALLOWS",
        "spiffe://example.org/stranger",
        "/secret",
    )


def test_a_service_may_explain_in_full(lab: Laboratory) -> None:
    """With `explain: full` the answer says what decided, and the rules."""
    host = "users.example.org"
    answer = call(lab.port, lab.trust, lab.files("stranger"), "GET", "/users/7", sni=host, host=host)
    assert (answer.json["decided_by"], answer.json["rules"]) == (
        "the only rule does not allow it",
        ["1: spiffe://example.org/checkout, spiffe://example.org/all may GET /users/*"],
    )


@pytest.mark.parametrize(
    ("target", "host", "status", "code"),
    [
        ("/v1/orders%2f7", "localhost", 400, "ROUTE_PATH_REJECTED"),
        ("/v1/orders/%2e%2e;/admin", "localhost", 400, "ROUTE_PATH_REJECTED"),
        ("/v1/orders", "other.example.org", 421, "ROUTE_MISDIRECTED"),
        ("/v1/orders/../admin", "localhost", 403, "POLICY_NO_RULE_ALLOWS"),
    ],
)
def test_the_answer_and_the_log_carry_the_same_code(
    lab: Laboratory, target: str, host: str, status: int, code: str
) -> None:
    """The caller's code is the operator's."""
    answer = call(lab.port, lab.trust, lab.files("checkout"), "GET", target, host=host)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert lab.site.wait_for_log(kind="request", status=status, code=code)["host"] == host


def test_an_upstream_that_is_down_is_named(own_lab: Laboratory) -> None:
    """503 problem+json with the service's name; the log says why."""
    own_lab.site.change(own_lab.settings.replace(own_lab.api.url, f"http://127.0.0.1:{free_port()}"))
    answer = call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/")
    assert (answer.status, answer.json["code"], answer.json["service"], answer.json["detail"]) == (
        503,
        "UPSTREAM_UNREACHABLE",
        "alone",
        "The API behind alone cannot be reached.",
    )
    assert own_lab.site.wait_for_log(kind="request", status=503)["code"] == "UPSTREAM_UNREACHABLE"


def test_accepted_calls_are_logged_with_their_rule(lab: Laboratory) -> None:
    """Time, address, identity, method, path without its query, rule and status."""
    call(lab.port, lab.trust, lab.files("audit/nightly"), "GET", "/seen?token=hunter2")
    record = lab.site.wait_for_log(path="/seen")
    assert (record["identity"], record["rule"], record["status"], record["code"]) == (
        "spiffe://example.org/audit/nightly",
        2,
        200,
        "OK",
    )
    assert "hunter2" not in lab.site.run("log").stdout


def test_a_refused_handshake_is_logged(own_lab: Laboratory) -> None:
    """No certificate: the log says so, with the address and no identity; --denied shows it, and not the accepted."""
    curl(f"https://localhost:{own_lab.alone_port}/", trust=own_lab.trust)
    call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/")
    own_lab.site.wait_for_log(kind="connection", code="CLIENT_CERT_MISSING")
    denied = own_lab.site.log("--denied")
    assert [(r["code"], r["service"], "identity" in r) for r in denied] == [("CLIENT_CERT_MISSING", "alone", False)]
    assert denied[0]["address"].startswith("127.0.0.1:")


def test_plain_http_to_the_tls_port_is_told_apart(own_lab: Laboratory) -> None:
    """http:// to a TLS port is a mistake of its own, and a port scan another."""
    with socket.create_connection(("127.0.0.1", own_lab.alone_port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.recv(100)
    own_lab.site.wait_for_log(code="PROTO_PLAIN_HTTP_TO_TLS")
    socket.create_connection(("127.0.0.1", own_lab.alone_port)).close()
    assert own_lab.site.wait_for_log(code="NET_CLOSED_DURING_HANDSHAKE")["accepted"] is False


def test_an_expired_caller_is_told_apart(own_lab: Laboratory) -> None:
    """A certificate that has run out is refused as that."""
    import time

    own_lab.site.run("client", "add", "brief", "--lifetime", "10s")
    time.sleep(11)
    with pytest.raises(OSError):
        call(own_lab.alone_port, own_lab.trust, own_lab.site.client("brief"), "GET", "/")
    record = own_lab.site.wait_for_log(code="CLIENT_CERT_EXPIRED")
    assert record["claimed"] == "spiffe://example.org/brief"


def test_a_caller_that_does_not_trust_the_gateway_shows(own_lab: Laboratory) -> None:
    """A client that ends the handshake over our certificate is logged as that (the usual missing --cacert)."""
    import subprocess

    url = f"https://localhost:{own_lab.alone_port}/"
    assert subprocess.run(["curl", "-sS", "--max-time", "5", url], capture_output=True, check=False).returncode == 60
    assert own_lab.site.wait_for_log(kind="connection", accepted=False)["code"] == "SERVER_CERT_UNKNOWN_CA"


def test_can_answers_as_the_gateway_does(lab: Laboratory) -> None:
    """`handclasp can` names the deciding rule, exits 0 or 1, and says what was near."""
    site: RunningSite = lab.site
    yes = site.run("can", "checkout", "GET", "/v1/orders/7", "--service", "orders")
    no = site.run("can", "checkout", "DELETE", "/v1/orders/7", "--service", "orders", check=False)
    assert (yes.stdout.splitlines()[0], no.returncode) == ("Yes: rule 1 allows it", 1)
    assert "rule 1 allows this caller, but not the method DELETE (GET, POST)" in no.stdout
