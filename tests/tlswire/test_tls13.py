"""TLS 1.3 with OpenSSL's server in memory, and with a server of our own where OpenSSL 3.0 has not got what is new."""

from __future__ import annotations

import gc
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tlswire.tls12_peer import NAME, authority
from tests.tlswire.tls13_peer import (
    REQUEST,
    SCHEMES,
    MemoryServer,
    Script,
    alerts,
    client,
    client_hello,
    client_shares,
    context,
    credential,
    data,
    extension,
    holder,
    message,
    talk,
    vector,
)

from handclasp.tlswire import messages, names, offer
from handclasp.tlswire.offer import CLASSICAL, TLS13, X25519, X25519MLKEM768, Offer
from handclasp.tlswire.protect13 import Protection13
from handclasp.tlswire.seen import Alert, Answer, CertificateRequest, Event, Step
from handclasp.tlswire.session import CHANGE_CIPHER_SPEC, HANDSHAKE

GROUPS = {0x1D: "X25519", 0x17: "prime256v1", 0x18: "secp384r1", 0x19: "secp521r1"}
CLASSICAL_KINDS = [kind for kind in SCHEMES if not kind.startswith("ml-")]
ASKED = CertificateRequest((), (0x0403, 0x0804))


@pytest.mark.parametrize("cipher", offer.TLS13_CIPHERS, ids=names.cipher_name)
@pytest.mark.parametrize("group", GROUPS, ids=names.group_name)
def test_ciphers_and_groups(tmp_path: Path, cipher: int, group: int) -> None:
    """Each cipher with each group: done on both sides, proved, and data goes both ways."""
    server = MemoryServer(context(tmp_path, curve=GROUPS[group]))
    ours = client(Offer(NAME, ciphers=(cipher,), versions=(TLS13,), groups=(group,), shares=(group,)))
    talk(ours, server)
    seen = ours.seen
    assert (server.error, seen.fault, seen.alerts) == (None, None, [])
    assert (server.done, seen.proved, seen.complete, ours.established, seen.retried_hello) == (*[True] * 4, False)
    assert (seen.version, seen.cipher, seen.group) == (TLS13, cipher, group)
    assert (seen.chain, seen.request, seen.answer) == (
        (holder("p256").der, authority().der),
        None,
        Answer.NOT_ASKED,
    )

    long = bytes(range(256)) * 200
    server.receive(ours.write(long))
    assert server.received == long
    assert ours.receive(server.write(long)) == b""
    assert ours.take() == long
    assert ours.take() == b""

    server.receive(ours.close())
    server.tls.unwrap()
    assert not ours.over
    ours.receive(server._outgoing.read())
    assert (ours.over, ours.seen.closed, ours.seen.alerts) == (True, True, [Alert(0, False, Step.APPLICATION)])


@pytest.mark.parametrize("kind", CLASSICAL_KINDS)
def test_server_keys(tmp_path: Path, kind: str) -> None:
    """The signature of each kind of key is checked against the certificate's."""
    ours = client()
    talk(ours, MemoryServer(context(tmp_path, kind)))
    assert (ours.seen.proved, ours.seen.fault) == (True, None)
    assert ours.seen.signature_scheme in SCHEMES[kind]


@pytest.mark.parametrize("scheme", [one for kind in SCHEMES for one in SCHEMES[kind][:3]], ids=names.scheme_name)
def test_server_schemes(scheme: int) -> None:
    """Every scheme that the hello offers for TLS 1.3 proves a server; ML-DSA too."""
    kind = next(kind for kind in SCHEMES if scheme in SCHEMES[kind])
    ours = client()
    ours.receive(Script(kind=kind, scheme=scheme).answer(ours.start()))
    assert (ours.ready, ours.seen.proved, ours.seen.fault, ours.seen.signature_scheme) == (True, True, None, scheme)


@pytest.mark.parametrize("kind", CLASSICAL_KINDS)
def test_client_keys(tmp_path: Path, kind: str) -> None:
    """OpenSSL takes our certificate with each kind of key, and knows who we are."""
    server = MemoryServer(context(tmp_path, verify=ssl.CERT_REQUIRED))
    ours = client()
    talk(ours, server, credential(kind))
    assert (server.error, ours.seen.alerts, ours.seen.answer) == (None, [], Answer.SHOWN)
    assert server.tls.getpeercert(binary_form=True) == holder(kind, "client.example.org").der
    assert ours.seen.request is not None
    assert (ours.seen.request.authorities, ours.seen.request.certificate_types) == ((), ())
    assert set(SCHEMES[kind]) & set(ours.seen.request.signature_algorithms)
    assert ours.seen.tickets > 0


def test_authorities_that_are_named() -> None:
    """The names of the CertificateRequest in DER, as they came; an extension that nobody knows means nothing."""
    wanted = (authority().certificate.subject.public_bytes(), holder("rsa").certificate.subject.public_bytes())
    listed = vector(2, b"".join(vector(2, name) for name in wanted))
    asked = extension(messages.SIGNATURE_ALGORITHMS, vector(2, b"\x04\x03")) + extension(0x7777, b"what")
    asked += extension(messages.CERTIFICATE_AUTHORITIES, listed)
    ours = client()
    ours.receive(Script(request=b"\0" + vector(2, asked)).answer(ours.start()))
    assert ours.ready
    assert ours.seen.request == CertificateRequest(wanted, (names.ECDSA_P256,))


def test_required_certificate_that_is_missing(tmp_path: Path) -> None:
    """The refusal comes after the handshake, at the first read (RFC 8446 §4.4.2.4)."""
    server = MemoryServer(context(tmp_path, verify=ssl.CERT_REQUIRED))
    ours = client()
    talk(ours, server)
    assert (ours.seen.answer, ours.seen.complete, ours.seen.proved) == (Answer.EMPTY, True, True)
    assert ours.seen.alerts == [Alert(116, True, Step.FIRST_READ)]
    assert (ours.over, ours.established, ours.seen.fault, ours.seen.tickets) == (True, False, None, 0)


def test_optional_certificate_that_is_missing(tmp_path: Path) -> None:
    """The server asks and goes on."""
    ours = client()
    talk(ours, MemoryServer(context(tmp_path, verify=ssl.CERT_OPTIONAL)))
    assert (ours.seen.answer, ours.seen.alerts, ours.established) == (Answer.EMPTY, [], True)
    assert ours.seen.tickets > 0


def test_no_scheme_in_common() -> None:
    """A credential that the server could not verify is not shown, and that is said."""
    script, ours = Script(request=REQUEST), client()
    ours.receive(script.answer(ours.start()))
    assert ours.seen.request == ASKED
    opened = script.read(ours.answer(credential("ed25519")))
    assert ours.seen.answer is Answer.NO_SCHEME
    kinds = [whole[0] for kind, payload in opened if kind == HANDSHAKE for whole in _messages(payload)]
    assert kinds == [messages.CERTIFICATE, messages.FINISHED]


def test_pkcs1_does_not_sign_a_handshake() -> None:
    """RSA with PKCS#1 v1.5 is for certificates alone (RFC 8446 §4.2.3)."""
    schemes = b"\x04\x01\x08\x04"
    request = b"\0" + vector(2, extension(messages.SIGNATURE_ALGORITHMS, vector(2, schemes)))
    script, ours = Script(request=request), client()
    ours.receive(script.answer(ours.start()))
    opened = script.read(ours.answer(credential("rsa", (names.RSA_PKCS1_SHA256, names.RSA_PSS_SHA256))))
    (_, verify, _) = _messages(next(payload for kind, payload in opened if kind == HANDSHAKE))
    assert messages.certificate_verify(verify[4:])[0] == names.RSA_PSS_SHA256


def test_credential_is_not_sent_unasked() -> None:
    """No request, no certificate, whatever there is to show."""
    script, ours = Script(), client()
    ours.receive(script.answer(ours.start()))
    opened = script.read(ours.answer(credential("p256")))
    assert ours.seen.answer is Answer.NOT_ASKED
    assert [kind for kind, _ in opened] == [CHANGE_CIPHER_SPEC, HANDSHAKE]
    assert [whole[0] for whole in _messages(opened[1][1])] == [messages.FINISHED]


@pytest.mark.parametrize("group", [0x17, 0x18, 0x19], ids=names.group_name)
def test_hello_retry(tmp_path: Path, group: int) -> None:
    """A server that has only a group for which no share was sent asks again (RFC 8446 §4.1.4)."""
    server = MemoryServer(context(tmp_path, curve=GROUPS[group], verify=ssl.CERT_REQUIRED))
    ours = client(Offer(NAME, groups=CLASSICAL, shares=(X25519,)))
    talk(ours, server, credential("p256"))
    seen = ours.seen
    assert (server.error, seen.retried_hello, seen.group, seen.proved, ours.established) == (
        *(None, True, group, True),
        True,
    )


def test_hello_retry_makes_a_key_that_is_not_there(tmp_path: Path) -> None:
    """The key shares at hand need not have the group that the server wants."""
    server = MemoryServer(context(tmp_path, curve="prime256v1"))
    ours = client()
    ours._session.shares = {X25519: ours._session.shares[X25519]}
    talk(ours, server)
    assert (server.error, ours.seen.group, ours.established) == (None, 0x17, True)


def test_hello_retry_with_a_cookie() -> None:
    """The cookie comes back in a hello that is the same otherwise (RFC 8446 §4.2.2)."""
    script, ours = Script(), client()
    first = ours.start()
    sent = ours.receive(script.retry(first, extension(messages.COOKIE, vector(2, b"crumbs"))))
    assert sent[:6] == b"\x14\x03\x03\x00\x01\x01"
    session_id, extensions = client_hello(sent[6:])
    assert extensions.pop(messages.COOKIE) == vector(2, b"crumbs")
    assert (session_id, extensions) == client_hello(first)
    ours.receive(script.answer(sent[6:]))
    assert (ours.ready, ours.seen.retried_hello, ours.seen.fault) == (True, True, None)
    assert script.read(ours.answer(None))[0][0] == HANDSHAKE
    assert ours.established


@pytest.mark.parametrize("cipher", offer.TLS13_CIPHERS, ids=names.cipher_name)
def test_post_quantum_group(cipher: int) -> None:
    """X25519MLKEM768: both secrets go into the keys, and both sides agree."""
    groups = (X25519MLKEM768, X25519)
    script = Script(cipher=cipher, group=X25519MLKEM768, request=REQUEST)
    ours = client(Offer(NAME, groups=groups, shares=groups))
    hello = ours.start()
    assert {group: len(share) for group, share in client_shares(hello).items()} == {0x11EC: 1216, 0x1D: 32}
    ours.receive(script.answer(hello))
    assert (ours.ready, ours.seen.group, ours.seen.request) == (True, X25519MLKEM768, ASKED)
    assert names.is_post_quantum(ours.seen.group or 0)
    script.read(ours.answer(credential("p256")))
    assert ours.seen.answer is Answer.SHOWN
    assert data(script.read(ours.write(b"hello"))) == b"hello"


def test_protocol_is_negotiated(tmp_path: Path) -> None:
    """ALPN: the server's choice of ours."""
    ours = client(Offer(NAME, alpn=("h2", "http/1.1")))
    talk(ours, MemoryServer(context(tmp_path, alpn=("http/1.1",))))
    assert ours.seen.alpn == "http/1.1"


def test_stapled_response() -> None:
    """The OCSP response beside the leaf, as it came."""
    staple = b"\x01" + vector(3, b"a response")

    def stapled(body: bytes) -> bytes:
        leaf = vector(3, holder("p256").der)
        return b"\0" + vector(3, leaf + vector(2, extension(messages.STATUS_REQUEST, staple)))

    script, ours = Script(changes={messages.CERTIFICATE: stapled}), client()
    ours.receive(script.answer(ours.start()))
    assert (ours.ready, ours.seen.staple, ours.seen.chain) == (True, b"a response", (holder("p256").der,))


@pytest.mark.parametrize("before_answer", [True, False])
def test_key_update(before_answer: bool) -> None:
    """The server goes on under its next key and asks us to; we do, once our flight is out (RFC 8446 §4.6.3)."""
    script, ours = Script(), client()
    ours.receive(script.answer(ours.start()))
    sent = b"" if before_answer else ours.answer(None)
    update = script.seal(HANDSHAKE, message(messages.KEY_UPDATE, b"\x01"))
    assert script.schedule is not None
    assert script.secret is not None
    script.secret = script.schedule.update(script.secret)
    script.sealing = Protection13(0x1301, *script.schedule.keys(script.secret))
    sent += ours.receive(update)
    if before_answer:
        assert sent == b""
        sent = ours.answer(None)
    *_, (kind, payload) = script.read(sent)
    assert (kind, payload) == (HANDSHAKE, message(messages.KEY_UPDATE, b"\0"))
    client_secret = script.schedule.update(script.schedule.application_client(script.digest))
    script.opening = Protection13(0x1301, *script.schedule.keys(client_secret))
    assert data(script.read(ours.write(b"under the next key"))) == b"under the next key"
    ours.receive(script.seal(23, b"and back"))
    assert ours.take() == b"and back"


def test_data_before_our_answer() -> None:
    """A server may write as soon as its Finished is out (RFC 8446 §4.4.4), and send tickets."""
    script, ours = Script(), client()
    ours.receive(script.answer(ours.start()))
    ticket = b"\0\0\x0e\x10" + b"\0" * 4 + b"\x01\0" + vector(2, b"ticket") + b"\0\0"
    ours.receive(script.seal(23, b"220 ready") + script.seal(HANDSHAKE, message(messages.NEW_SESSION_TICKET, ticket)))
    # A ticket before our Certificate says nothing about what the server thinks of that.
    assert (ours.take(), ours.seen.tickets, ours.ready) == (b"220 ready", 0, True)
    script.read(ours.answer(None))
    assert data(script.read(ours.write(b"EHLO"))) == b"EHLO"


def test_pieces_of_any_size() -> None:
    """Octet by octet, all in one record, or one message over many records: the same is seen."""
    whole, ours = Script(request=REQUEST), client()
    answer = whole.answer(ours.start())
    ours.receive(answer)
    drip = client()
    drip.start()
    for at in range(len(answer)):
        assert drip.receive(answer[at : at + 1]) == b""
    assert (drip.ready, drip.seen) == (True, ours.seen)

    for size in (5000, 7):
        script, packed = Script(request=REQUEST), client()
        out = script.hello(packed.start())
        flight = b"".join(script.flight())
        out += b"".join(script.seal(HANDSHAKE, flight[at : at + size]) for at in range(0, len(flight), size))
        packed.receive(out)
        assert packed.ready
        assert packed.seen.request == ASKED


def test_padding_is_taken_off() -> None:
    """Records may end in zeros (RFC 8446 §5.4)."""
    script, ours = Script(), client()
    out = script.hello(ours.start())
    assert script.sealing is not None
    for one in script.flight():
        # The type is the last octet that is not zero: sealed as a record of type 0, it is followed by one zero more.
        out += script.sealing.seal(0, one + bytes((HANDSHAKE,)) + bytes(300))
    ours.receive(out)
    assert ours.ready


def test_trace_tells_every_message(tmp_path: Path) -> None:
    """In the order of time, by whom, under the names of RFC 8446; nothing without being asked."""
    ours = client(trace=True)
    talk(ours, MemoryServer(context(tmp_path, verify=ssl.CERT_REQUIRED)), credential("p256"))
    ours.close()
    assert [(event.sent, event.what) for event in ours.seen.events] == [
        (True, "ClientHello"),
        (False, "ServerHello"),
        (False, "EncryptedExtensions"),
        (False, "CertificateRequest"),
        (False, "Certificate"),
        (False, "CertificateVerify"),
        (False, "Finished"),
        (True, "Certificate"),
        (True, "CertificateVerify"),
        (True, "Finished"),
        (False, "NewSessionTicket"),
        (False, "NewSessionTicket"),
        (True, "Alert"),
    ]
    meaning = "the server has the private key of its certificate"
    assert ours.seen.events[5] == Event(
        False, "CertificateVerify", {"scheme": "ecdsa_secp256r1_sha256", "meaning": meaning}
    )
    quiet = client()
    talk(quiet, MemoryServer(context(tmp_path)))
    assert quiet.seen.events == []


def test_what_is_called_too_early_sends_nothing() -> None:
    """No data before the end of the handshake, no answer before the server's flight is proved."""
    ours = client()
    ours.start()
    assert (ours.answer(None), ours.write(b"x"), ours.close(), ours.take()) == (b"", b"", b"", b"")
    assert ours.seen.answer is None


def test_what_a_hello_has() -> None:
    """A hello for TLS 1.2 alone has nothing of 1.3, and one for 1.3 alone nothing of 1.2."""
    new, old = {43, 45, 51}, {11, 23, 0xFF01}
    always = {0, 5, 10, 13}
    cases = {(TLS13, 0x0303): always | new | old, (TLS13,): always | new, (0x0303,): always | old}
    for versions, expected in cases.items():
        session_id, extensions = client_hello(client(replace(Offer(NAME), versions=versions)).start())
        assert (set(extensions), len(session_id)) == (expected, 32 if TLS13 in versions else 0)
    assert 0 not in client_hello(client(Offer(None)).start())[1]


def test_memory_is_given_back() -> None:
    """A client is no cycle: it goes when it is let go, without the collector."""
    script, ours = Script(request=REQUEST), client()
    ours.receive(script.answer(ours.start()))
    ours.answer(None)
    ours.write(b"x")
    gc.collect()
    gc.disable()
    try:
        del ours
        assert gc.collect() == 0
    finally:
        gc.enable()


def _messages(payload: bytes) -> list[bytes]:
    found = []
    while payload:
        end = 4 + int.from_bytes(payload[1:4], "big")
        found.append(payload[:end])
        payload = payload[end:]
    return found


def test_alerts_of_a_script_are_read() -> None:
    """close_notify of ours is under the keys of application data."""
    script, ours = Script(), client()
    ours.receive(script.answer(ours.start()))
    script.read(ours.answer(None))
    assert alerts(script.read(ours.close())) == [0]
