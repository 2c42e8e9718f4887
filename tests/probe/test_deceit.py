"""Servers, and people on the way, that want to be believed: what an examination with a credential makes of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tests.tlswire import tls13_peer as peer
from tests.tlswire.tls12_peer import NAME, SESSION_ID, authority

from handclasp.findings import Code
from handclasp.pki.chain import Revocation
from handclasp.pki.keys import private_pem
from handclasp.probe import served
from handclasp.probe.credentials import Credential, Pattern
from handclasp.probe.crls import Fetched, RevocationLists
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.examine import Options, examine
from handclasp.probe.loop import Driver
from handclasp.probe.parse import target
from handclasp.probe.report import Report
from handclasp.probe.trust import Anchors, Verifier
from handclasp.testing.chains import Holder, make
from handclasp.testing.scripted import Conversation, Scripted
from handclasp.tlswire import messages
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, HANDSHAKE

ALWAYS: Any = {"begins": datetime(2001, 1, 1, tzinfo=UTC), "ends": datetime(2101, 1, 1, tzinfo=UTC)}
ROOT = make("root", authority=True, **ALWAYS)
SERVER = make("localhost", ROOT, names=[x509.DNSName("localhost")], **ALWAYS)
CALLER = make("caller", ROOT, **ALWAYS)
BOTH_VERSIONS = b"\x00\x2b\x00\x05\x04\x03\x04\x03\x03"
REFUSED = b"\x02\x74"

Answer = Callable[[peer.Script, socket.socket], None]


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver(new_random=os.urandom)
    yield driver
    driver.close()


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """OpenSSL, which asks for a certificate and takes a caller without one too."""
    path = tmp_path / "server.pem"
    path.write_bytes(SERVER.certificate.public_bytes(Encoding.PEM) + private_pem(SERVER.key))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    made.verify_mode = ssl.CERT_OPTIONAL
    made.load_verify_locations(cadata=ROOT.certificate.public_bytes(Encoding.PEM).decode())
    return made


def credential(holder: Holder = CALLER) -> Credential:
    ends = holder.certificate.not_valid_after_utc
    return Credential("ours", Pattern.parse("localhost"), (holder.der,), ends, holder.key)


def trusting(holder: Holder) -> Verifier:
    return Verifier([Anchors("root", lambda: [holder.certificate])])


def examined(
    driver: Driver,
    server: Scripted,
    options: Options,
    *,
    scheme: str = "https",
    verifier: Verifier | None = None,
    name: str | None = None,
    lists: RevocationLists | None = None,
) -> Report:
    asked = target(f"{scheme}://localhost:{server.port}", server_name=name)
    return asyncio.run(examine(driver, asked, verifier or trusting(ROOT), options, lambda: datetime.now(UTC), lists))


def ours(answer: Answer, *, schemes: bytes = b"\x04\x03\x08\x04") -> Callable[[Conversation], None]:
    """A TLS 1.3 server of our own that asks for a certificate; ``answer`` is what it does once it has ours."""
    asked = peer.extension(messages.SIGNATURE_ALGORITHMS, peer.vector(2, schemes))

    def script(conversation: Conversation) -> None:
        hello = conversation.sock.recv(65536)
        session_id = peer.client_hello(hello)[0]
        server = peer.Script(
            request=b"\0" + peer.vector(2, asked),
            changes={messages.SERVER_HELLO: lambda body: body.replace(SESSION_ID, session_id)},
        )
        answer_to_hello = server.answer(hello)
        early = getattr(answer, "early", b"")
        conversation.sock.sendall(answer_to_hello + (server.seal(HANDSHAKE, early) if early else b""))
        server.read(conversation.sock.recv(65536))
        answer(server, conversation.sock)
        conversation.wait_for_end()

    return script


def response(status: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status


def test_who_breaks_off_tls_1_3_does_not_get_to_see_the_certificate(context: ssl.SSLContext, driver: Driver) -> None:
    """Someone on the way resets each hello with TLS 1.3, and would see our certificate in clear under TLS 1.2. Our
    hello says that it is a second choice (RFC 7507), so the server breaks off."""
    passed: list[bytes] = []
    served_callers: list[bytes] = []

    def honest(conversation: Conversation) -> None:
        stream = conversation.tls(context)
        served_callers.append(stream.getpeercert(True) or b"")
        conversation.request(stream)
        stream.sendall(response(200))

    def pass_on(source: socket.socket, to: socket.socket, seen: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                seen.append(data)
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    with Scripted(honest) as server:

        def on_the_way(conversation: Conversation) -> None:
            hello = conversation.sock.recv(65536)
            if BOTH_VERSIONS in hello:
                conversation.reset()
                return
            with socket.create_connection(("127.0.0.1", server.port)) as onward:
                onward.sendall(hello)
                back = threading.Thread(target=pass_on, args=(onward, conversation.sock, []))
                back.start()
                pass_on(conversation.sock, onward, passed)
                back.join()

        with Scripted(on_the_way) as between:
            report = examined(driver, between, Options(credential=credential()))
    assert CALLER.der not in b"".join(passed)
    assert not any(served_callers)
    assert report.code is Code.TLS_VERSION_MISMATCH
    assert report.credential is not None
    assert report.credential.accepted is None
    assert "86" in report.credential.why


def test_an_old_server_is_shown_the_credential_all_the_same(context: ssl.SSLContext, driver: Driver) -> None:
    """Who breaks off at TLS 1.3 because it knows no better is not refused by what the second hello says."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    callers: list[bytes] = []

    def script(conversation: Conversation) -> None:
        start = conversation.sock.recv(65536, socket.MSG_PEEK)
        if BOTH_VERSIONS in start:
            conversation.reset()
            return
        stream = conversation.tls(context)
        callers.append(stream.getpeercert(True) or b"")
        conversation.request(stream)
        stream.sendall(response(200))

    with Scripted(script) as server:
        report = examined(driver, server, Options(credential=credential(), http="always"))
    assert report.credential is not None
    assert report.credential.accepted
    assert callers[-1] == CALLER.der


def test_the_server_is_verified_on_the_connection_that_shows_the_credential(
    tmp_path: Path, context: ssl.SSLContext, driver: Driver
) -> None:
    """The first connection led to the true server, and the second one to somebody else."""
    somebody = make("localhost", names=[x509.DNSName("localhost")], **ALWAYS)
    (tmp_path / "other.pem").write_bytes(
        somebody.certificate.public_bytes(Encoding.PEM) + private_pem(somebody.key),
    )
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(tmp_path / "other.pem")
    other.verify_mode = ssl.CERT_OPTIONAL
    other.load_verify_locations(cadata=ROOT.certificate.public_bytes(Encoding.PEM).decode())
    turns = iter((context, other))
    callers: list[bytes] = []

    def script(conversation: Conversation) -> None:
        stream = conversation.tls(next(turns))
        callers.append(stream.getpeercert(True) or b"")
        conversation.request(stream)
        stream.sendall(response(200))

    with Scripted(script) as server:
        report = examined(driver, server, Options(credential=credential(), http="always"))
    assert callers == [b"", b""]
    assert report.code is Code.CREDENTIAL_WITHHELD


def test_a_connection_that_fails_with_the_credential_is_no_success(context: ssl.SSLContext, driver: Driver) -> None:
    """The one without went well; that is no answer to whether the credential is taken."""
    turns = iter(range(9))

    def script(conversation: Conversation) -> None:
        if next(turns):
            conversation.sock.recv(65536)
            conversation.reset()
            return
        stream = conversation.tls(context)
        conversation.request(stream)
        stream.sendall(response(200))

    with Scripted(script) as server:
        report = examined(driver, server, Options(credential=credential(), http="always"))
    assert report.code is Code.NET_RESET_DURING_HANDSHAKE
    assert report.credential is not None
    assert "failed" in report.credential.why


def test_no_time_left_for_the_credential_is_no_success(context: ssl.SSLContext, driver: Driver) -> None:
    """The server answers so late that the second connection is never made."""

    def script(conversation: Conversation) -> None:
        stream = conversation.tls(context)
        conversation.request(stream)
        time.sleep(0.37)
        stream.sendall(response(200))

    with Scripted(script) as server:
        options = Options(credential=credential(), http="always", deadline=0.4, listen=0.0)
        report = examined(driver, server, options)
        assert server.accepted == 1
    assert report.code is not Code.OK
    assert report.credential is not None
    assert not report.credential.accepted


def test_a_credential_that_was_not_shown_was_not_accepted(driver: Driver) -> None:
    """The server takes no scheme of its key, so an empty Certificate was sent; the answer is one to nobody."""
    own = make("caller", ROOT, key=ed25519.Ed25519PrivateKey.generate(), **ALWAYS)

    def answer(server: peer.Script, sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(server.seal(APPLICATION_DATA, response(200)))

    with Scripted(ours(answer)) as server:
        options = Options(credential=credential(own), http="always", listen=0.01, only_credential=True)
        report = examined(driver, server, options, verifier=trusting(authority()), name=NAME)
    assert report.credential is not None
    assert report.credential.accepted is None
    assert report.code is Code.CREDENTIAL_UNUSABLE


@pytest.mark.parametrize("shown", [None, credential()], ids=["nobody", "a credential"])
def test_a_ticket_before_our_certificate_accepts_nothing(driver: Driver, shown: Credential | None) -> None:
    """It was sent with the server's Finished: what the server thinks of our Certificate is yet to come."""

    def answer(server: peer.Script, sock: socket.socket) -> None:
        time.sleep(0.02)
        sock.sendall(server.seal(ALERT, REFUSED))

    answer.early = peer.message(messages.NEW_SESSION_TICKET, peer.TICKET)  # type: ignore[attr-defined]  # read by ours
    with Scripted(ours(answer)) as server:
        options = Options(http="never", credential=shown, only_credential=shown is not None)
        given: Any = {"scheme": "imaps", "verifier": trusting(authority()), "name": NAME}
        report = examined(driver, server, options, **given)
    if shown is None:
        assert report.client_certificate is ClientCertificate.REQUIRED
    else:
        assert report.code is Code.CREDENTIAL_REFUSED


def test_an_alert_after_the_answer_refuses_nothing(driver: Driver) -> None:
    """The caller without a certificate has got the page."""

    def answer(server: peer.Script, sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(server.seal(APPLICATION_DATA, response(200)) + server.seal(ALERT, b"\x02\x50"))

    with Scripted(ours(answer)) as server:
        options = Options(http="always", listen=0.01)
        report = examined(driver, server, options, verifier=trusting(authority()), name=NAME)
    assert report.response is not None
    assert report.client_certificate is ClientCertificate.OPTIONAL


class Given(RevocationLists):
    """Lists that need not be fetched."""

    def __init__(self, *crls: x509.CertificateRevocationList) -> None:
        super().__init__()
        self._given = crls

    async def of(self, chain: object) -> Fetched:
        return Fetched(self._given, (), ())


def revoking(serial: int) -> x509.CertificateRevocationList:
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(ALWAYS["begins"]).build()
    building = x509.CertificateRevocationListBuilder().issuer_name(ROOT.certificate.subject)
    building = building.last_update(ALWAYS["begins"]).next_update(ALWAYS["ends"]).add_revoked_certificate(entry)
    return building.add_extension(x509.CRLNumber(1), critical=False).sign(ROOT.key, hashes.SHA256())


def test_a_server_that_a_fetched_list_revokes_is_shown_nothing(context: ssl.SSLContext, driver: Driver) -> None:
    """The lists are fetched before the credential is shown, and not to explain it afterwards."""
    callers: list[bytes] = []

    def script(conversation: Conversation) -> None:
        stream = conversation.tls(context)
        callers.append(stream.getpeercert(True) or b"")
        conversation.request(stream)
        stream.sendall(response(200))

    with Scripted(script) as server:
        lists = Given(revoking(SERVER.certificate.serial_number))
        report = examined(driver, server, Options(credential=credential(), http="always"), lists=lists)
    assert report.code is Code.SERVER_CERT_REVOKED
    assert Code.CREDENTIAL_WITHHELD in {one.code for one in report.findings}
    assert not any(callers)


def test_the_authorities_of_a_credential_do_not_forget_the_lists() -> None:
    """--crl holds for a server that is verified with a credential's own authorities too."""
    crl = revoking(SERVER.certificate.serial_number)
    verifier = Verifier([Anchors("file", lambda: [ROOT.certificate], [crl])], revocation=Revocation.REQUIRED)
    own = verifier.with_anchors(Anchors("the credential's", lambda: [ROOT.certificate]))
    judgement = own.judge((SERVER.der,), "localhost", datetime.now(UTC))
    assert not judgement.trusted_by
    assert judgement.findings[0].code is Code.SERVER_CERT_REVOKED


def _slow_keys(count: int) -> list[bytes]:
    """Authorities of one name whose RSA keys have an exponent as long as they can."""
    key = rsa.generate_private_key(65537, 3072)
    modulus = key.public_key().public_numbers().n
    found = []
    for number in range(count):
        public = rsa.RSAPublicNumbers(modulus - 2 * number - 2, modulus)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "X")])
        builder = x509.CertificateBuilder(name, name).public_key(public.public_key()).serial_number(number + 1)
        builder = builder.not_valid_before(ALWAYS["begins"]).not_valid_after(ALWAYS["ends"])
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        found.append(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    issuer = make("X", authority=True, key=key, hash_=hashes.SHA256(), **ALWAYS)
    leaf = make("localhost", issuer, names=[x509.DNSName("localhost")], hash_=hashes.SHA256(), **ALWAYS)
    return [leaf.der, *found]


def test_keys_that_are_slow_to_verify_with_are_tried_few_times() -> None:
    """A signature by such a key takes 15 ms to check; 200 of them held up everybody else for three seconds."""
    judgement = trusting(ROOT).judge(_slow_keys(70), "localhost", datetime.now(UTC))
    assert not judgement.trusted_by
    assert any("50 signatures" in one.what for one in judgement.findings)


def test_what_is_remembered_of_long_chains_is_bounded() -> None:
    """A server may have another certificate of 200 kB each time that it is asked."""
    verifier = trusting(ROOT)
    ends = b"A" * 200_000
    for number in range(400):
        verifier.judge((number.to_bytes(4, "big") + ends,), "localhost", datetime.now(UTC))
    assert verifier._octets <= 64 << 20
    assert len(verifier._known) < 400
    assert served._remembered_long.cache_info().currsize <= 64
