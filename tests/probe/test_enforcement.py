"""Whether a server demands a client certificate: each kind of evidence, and what follows from it."""

from __future__ import annotations

import pytest

from handclasp.findings import Code
from handclasp.probe.enforcement import ClientCertificate, credential_refused, enforcement
from handclasp.probe.evidence import Evidence, Failure, Response
from handclasp.probe.target import Target
from handclasp.tlswire.seen import Alert, CertificateRequest, Seen, Step

TARGET = Target("api.example.org", "api.example.org", 443)
ASKED = CertificateRequest((), (0x0403,))  # no authority is named: asked all the same
NGINX = b"<center>No required SSL certificate was sent</center>"


def seen(
    *alerts: tuple[int, Step], asked: bool = True, proved: bool = True, version: int = 0x0304, **more: object
) -> Seen:
    """A server that has shown its flight."""
    made = Seen(version=version, chain=(b"leaf",), request=ASKED if asked else None, proved=proved)
    made.alerts = [Alert(number, number != 0, step) for number, step in alerts]
    for name, value in more.items():
        setattr(made, name, value)
    return made


def http(status: int, body: bytes = b"") -> Response:
    return Response(status, "", (), body, True)


CLOSED = Failure(Code.NET_CLOSED_DURING_HANDSHAKE, "the server closed the connection", "listen")
CUT_OFF = Failure(Code.PROTO_HTTP_MALFORMED, "the connection ended", "http")


@pytest.mark.parametrize(
    ("found", "response", "failure", "expected"),
    [
        pytest.param(seen((116, Step.FIRST_READ)), None, None, "required", id="1.3-alert-116"),
        pytest.param(seen((40, Step.CLIENT_FLIGHT), version=0x0303), None, None, "required", id="1.2-alert-40"),
        pytest.param(seen((42, Step.FIRST_READ)), None, None, "required", id="go-and-java-send-42"),
        pytest.param(seen((116, Step.APPLICATION)), None, None, "required", id="alert-after-we-wrote"),
        pytest.param(seen((0, Step.FIRST_READ), closed=True), None, CLOSED, "undetermined", id="closed-without-alert"),
        pytest.param(seen(), http(400, NGINX), None, "required_at_http", id="nginx-400"),
        pytest.param(
            seen(), http(403, b"client sent no certificate required"), None, "required_at_http", id="403-says"
        ),
        pytest.param(seen(), http(496), None, "required_at_http", id="nginx-496"),
        pytest.param(seen(), http(400, b"Bad Request"), None, "undetermined", id="400-that-may-mean-anything"),
        pytest.param(seen(), http(403, b"Forbidden"), None, "undetermined", id="403-that-may-mean-anything"),
        pytest.param(seen(), http(200, NGINX), None, "optional", id="200-whatever-it-says"),
        pytest.param(seen(), http(404), None, "optional", id="404-is-an-answer"),
        pytest.param(seen(tickets=1), None, None, "optional", id="ticket"),
        pytest.param(seen(version=0x0303, complete=True), None, None, "optional", id="1.2-finished"),
        pytest.param(seen(complete=True), None, None, "undetermined", id="1.3-handshake-alone-proves-nothing"),
        pytest.param(seen((116, Step.FIRST_READ), proved=False), None, None, "undetermined", id="server-not-proved"),
        pytest.param(seen(asked=False), None, None, "not_requested", id="not-asked"),
        pytest.param(seen(asked=False), http(200), None, "not_requested", id="not-asked-and-answered"),
        pytest.param(seen(asked=False), http(403), None, "undetermined", id="not-asked-but-403"),
        pytest.param(seen(asked=False, renegotiations=1), None, None, "undetermined", id="asks-by-renegotiation"),
        pytest.param(seen(asked=False, closed=True), None, CUT_OFF, "undetermined", id="cut-off-after-the-request"),
        pytest.param(seen(asked=False, proved=False), None, None, "undetermined", id="handshake-broke-off"),
    ],
)
def test_what_follows_from_the_evidence(
    found: Seen, response: Response | None, failure: Failure | None, expected: str
) -> None:
    """One connection without a certificate, and the answer."""
    answer = enforcement(Evidence(TARGET, found, response=response, failure=failure))
    assert answer.answer is ClientCertificate(expected)
    assert answer.why


@pytest.mark.parametrize(
    ("found", "response", "refused", "by_identity"),
    [
        (seen((48, Step.FIRST_READ)), None, True, False),
        (seen((45, Step.CLIENT_FLIGHT), version=0x0303), None, True, False),
        (seen(), http(400, b"The SSL certificate error"), True, False),
        (seen(), http(403, b"no"), True, True),
        (seen(), http(200), False, False),
        (seen(), http(500), False, False),
        (seen((0, Step.APPLICATION)), http(200), False, False),
    ],
    ids=["alert-48", "1.2-alert-45", "nginx-400", "403", "200", "500", "close-notify"],
)
def test_a_credential_is_refused_or_not(
    found: Seen, response: Response | None, refused: bool, by_identity: bool
) -> None:
    """The alert after it, or the answer that speaks of certificates; 403 is about the caller."""
    told = credential_refused(Evidence(TARGET, found, response=response))
    assert (told is not None, told is not None and told.by_identity) == (refused, by_identity)
