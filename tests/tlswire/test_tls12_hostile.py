"""A TLS 1.2 server, or somebody between, that does not keep to the protocol."""

from __future__ import annotations

import copy
import random
import ssl
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from tests.tlswire.tls12_peer import (
    NO_EXTENDED_MASTER_SECRET,
    RANDOM,
    Direct,
    Files,
    MemoryServer,
    client,
    credential,
    holder,
    key,
    offer,
    talk,
)

from handclasp.findings import Code
from handclasp.tlswire import messages, verify
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.names import ECDSA_P256, RSA_PSS_SHA256
from handclasp.tlswire.offer import SAFE_CIPHERS, SECP256R1, TLS12, TLS13, X25519
from handclasp.tlswire.records import Messages, Records
from handclasp.tlswire.seen import Alert, Answer, Fault, Step
from handclasp.tlswire.session import ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Broken

Message = tuple[int, bytes]
RSA_EXCHANGE = 0x009C


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Where the servers' keys are."""
    return Files(tmp_path_factory.mktemp("tls12"))


def record(kind: int, payload: bytes) -> bytes:
    """In the clear."""
    return bytes((kind, 3, 3)) + len(payload).to_bytes(2, "big") + payload


def message(kind: int, body: bytes) -> bytes:
    """With its header, in a record of its own."""
    return record(HANDSHAKE, bytes((kind,)) + len(body).to_bytes(3, "big") + body)


def first_flight(server: MemoryServer, ours: TLSClient) -> list[Message]:
    """The server's messages up to the ServerHelloDone."""
    whole, found = Messages(), []
    for _, _, payload in Records().feed(server.receive(ours.start())):
        found += [(one[0], one[4:]) for one in whole.feed(payload)]
    return found


def told(flight: list[Message], ours: TLSClient) -> Fault | None:
    """What the client makes of these messages."""
    for kind, body in flight:
        ours.receive(message(kind, body))
    return ours.seen.fault


def changed(flight: list[Message], kind: int, change: Callable[[bytes], bytes]) -> list[Message]:
    """The flight with another body of one message."""
    return [(one, change(body) if one == kind else body) for one, body in flight]


def flip(at: int) -> Callable[[bytes], bytes]:
    """The same octets with one bit turned over."""

    def turned(body: bytes) -> bytes:
        octets = bytearray(body)
        octets[at] ^= 1
        return bytes(octets)

    return turned


# Proof


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
@pytest.mark.parametrize("at", [-1, 4, 35], ids=["signature", "first of the point", "last of the point"])
def test_a_changed_key_exchange_proves_nothing(files: Files, kind: str, at: int) -> None:
    """The signature, or what is signed, is not the server's: seen, and no flight of ours follows."""
    ours = client(offer(*SAFE_CIPHERS))
    flight = first_flight(MemoryServer(files.context(kind)), ours)
    fault = told(changed(flight, messages.SERVER_KEY_EXCHANGE, flip(at)), ours)
    assert fault is not None
    assert (fault.code, fault.step) == (Code.TLS_SERVER_NOT_PROVED, Step.SERVER_FLIGHT)
    assert (ours.seen.proved, ours.ready, ours.answer(None)) == (False, False, b"")
    assert ours.seen.chain[0] == holder(kind).der


def test_a_key_exchange_of_another_handshake_proves_nothing(files: Files) -> None:
    """Its signature is over other randoms."""
    other = first_flight(MemoryServer(files.context()), client())
    played = next(body for kind, body in other if kind == messages.SERVER_KEY_EXCHANGE)
    ours = client()
    flight = first_flight(MemoryServer(files.context()), ours)
    fault = told(changed(flight, messages.SERVER_KEY_EXCHANGE, lambda _: played), ours)
    assert fault is not None
    assert fault.code is Code.TLS_SERVER_NOT_PROVED


def test_a_certificate_of_another_proves_nothing(files: Files) -> None:
    """Whoever serves a certificate without its key."""
    leaf = holder("ec", "client.example.org").der  # the same key
    other = holder("ed25519").der
    found = []
    for der in (leaf, other):
        ours = client(offer(*SAFE_CIPHERS))
        flight = first_flight(MemoryServer(files.context()), ours)
        body = messages.client_certificate12((der,))
        fault = told(changed(flight, messages.CERTIFICATE, lambda _, new=body: new), ours)  # type: ignore[misc] # bound
        found.append(None if fault is None else fault.code)
    assert found == [None, Code.TLS_SERVER_NOT_PROVED]


@pytest.mark.parametrize("scheme", [0x0201, 0x0203, 0x0904, 0x0804, 0x0000])
def test_a_scheme_that_does_not_fit(files: Files, scheme: int) -> None:
    """SHA-1, ML-DSA, that of another kind of key, and none."""
    ours = client()
    flight = first_flight(MemoryServer(files.context("ec")), ours)

    def renamed(body: bytes) -> bytes:
        at = 4 + body[3]
        return body[:at] + scheme.to_bytes(2, "big") + body[at + 2 :]

    fault = told(changed(flight, messages.SERVER_KEY_EXCHANGE, renamed), ours)
    assert fault is not None
    assert fault.code is Code.TLS_MALFORMED


def test_rsa_key_exchange_proves_only_at_the_end(files: Files) -> None:
    """The server has shown nothing before its Finished."""
    direct = Direct(MemoryServer(files.context("rsa")), offer(RSA_EXCHANGE))
    direct.start()
    assert direct.session.seen.proved is False
    last = direct.finish()
    assert direct.session.seen.proved is False
    direct.take(last)
    assert direct.session.seen.proved is True


def test_no_credential_without_proof(files: Files) -> None:
    """Whatever led there: nothing is signed for a server that has not shown its key."""
    direct = Direct(MemoryServer(files.context(verify=ssl.CERT_REQUIRED)), offer(*SAFE_CIPHERS))
    flight = direct.start()
    direct.session.seen.proved = False
    with pytest.raises(Broken) as broken:
        flight.answer(credential("ec", (ECDSA_P256,)))
    assert (broken.value.code, direct.session.seen.answer) == (Code.TLS_SERVER_NOT_PROVED, None)


@pytest.mark.parametrize("options", [0, NO_EXTENDED_MASTER_SECRET], ids=["extended", "old master secret"])
@pytest.mark.parametrize("cipher", [0xC02B, RSA_EXCHANGE, 0x0033])
def test_a_wrong_finished(files: Files, cipher: int, options: int) -> None:
    """A Finished that is not over this handshake, though its record opens: what was seen may be somebody else's."""
    kind = "ec" if cipher == 0xC02B else "rsa"
    for verify_data in (bytes(12), b"", bytes(13)):
        direct = Direct(MemoryServer(files.context(kind, options=options)), offer(cipher))
        flight = direct.start()
        direct.finish()
        flight.change_cipher_spec()
        with pytest.raises(Broken) as broken:
            direct.put(messages.FINISHED, verify_data)
        assert broken.value.code is Code.TLS_SERVER_NOT_PROVED
        assert (flight.established, direct.session.seen.complete) == (False, False)


def test_a_finished_in_the_clear(files: Files) -> None:
    """Before the ChangeCipherSpec not even the right one is taken."""
    direct = Direct(MemoryServer(files.context()))
    flight = direct.start()
    _, (kind, header, payload) = direct.finish()
    aside = copy.copy(flight)
    aside.change_cipher_spec()
    assert direct.session.opening is not None
    _, right = direct.session.opening.open(kind, header, payload)
    direct.session.opening = None
    with pytest.raises(Broken):
        direct.put(right[0], right[4:])
    assert (len(right), flight.established) == (16, False)


@pytest.mark.parametrize("cipher", [0xC02B, 0xCCA9, 0xC023, 0xC024, 0xC009])
def test_a_changed_record(files: Files, cipher: int) -> None:
    """One bit of the server's Finished, or of its data, is turned over on the way."""
    server, ours = MemoryServer(files.context()), client(offer(cipher))
    ours.receive(server.receive(ours.start()))
    last = server.receive(ours.answer(None))
    ours.receive(flip(-1)(last))
    fault = ours.seen.fault
    assert fault is not None
    assert (fault.code, fault.step, ours.established) == (Code.TLS_MALFORMED, Step.CLIENT_FLIGHT, False)

    server, ours = MemoryServer(files.context()), client(offer(cipher))
    talk(ours, server)
    ours.receive(server.write(b"right") + flip(-1)(server.write(b"wrong")))
    fault = ours.seen.fault
    assert fault is not None
    assert (fault.code, ours.take(), ours.over, ours.write(b"more")) == (Code.TLS_MALFORMED, b"right", True, b"")


def test_a_changed_request_is_found_out(files: Files) -> None:
    """Who changes in the clear what is not signed (here: the kinds of certificates asked for) ends the handshake: both
    sides saw something else, and the server's alert is noted."""
    server, ours = MemoryServer(files.context(verify=ssl.CERT_OPTIONAL)), client()
    flight = first_flight(server, ours)
    assert told(changed(flight, messages.CERTIFICATE_REQUEST, flip(1)), ours) is None
    ours.receive(server.receive(ours.answer(None)))
    assert (server.done, ours.established, ours.seen.complete) == (False, False, False)
    assert ours.seen.alerts == [Alert(20, True, Step.CLIENT_FLIGHT)]


# Order


def kinds_of(flight: list[Message]) -> list[int]:
    """The types of the messages."""
    return [kind for kind, _ in flight]


@pytest.mark.parametrize("cipher", [0xC02B, RSA_EXCHANGE], ids=["ECDHE", "RSA"])
def test_every_other_order_is_refused(files: Files, cipher: int) -> None:
    """Any message left out that must be there, sent twice, or exchanged for its neighbour."""
    context = files.context("ec" if cipher == 0xC02B else "rsa", verify=ssl.CERT_OPTIONAL)
    right = first_flight(MemoryServer(context), client(offer(cipher)))
    may_be_absent = {messages.CERTIFICATE_REQUEST, messages.SERVER_HELLO_DONE}
    for at, (kind, _) in enumerate(right):
        wrong = [right[: at + 1] + right[at:], right[:at] + right[at + 1 : at + 2] + [right[at]] + right[at + 2 :]]
        if kind not in may_be_absent:
            wrong.append(right[:at] + right[at + 1 :])
        for flight in wrong:
            if flight == right:
                continue
            fault = told(flight, client(offer(cipher)))
            assert fault is not None, kinds_of(flight)
            assert fault.code is Code.TLS_MALFORMED, kinds_of(flight)


def after(flight: list[Message], kind: int, more: Message) -> list[Message]:
    """The flight with one message more, behind that of this type."""
    at = kinds_of(flight).index(kind) + 1
    return [*flight[:at], more, *flight[at:]]


def test_a_staple_that_was_not_announced(files: Files) -> None:
    """The ServerHello must say that it comes (RFC 6066 §8)."""
    flight = first_flight(MemoryServer(files.context()), client())
    ours = client()
    fault = told(after(flight, messages.CERTIFICATE, (messages.CERTIFICATE_STATUS, b"\x01\x00\x00\x01x")), ours)
    assert fault is not None
    assert (fault.code, ours.seen.staple) == (Code.TLS_MALFORMED, None)


def test_a_key_exchange_where_there_is_none(files: Files) -> None:
    """In the RSA key exchange the server sends no share, not even a rightly signed one."""
    flight = first_flight(MemoryServer(files.context("rsa")), client(offer(RSA_EXCHANGE)))
    share = b"".join(len(number).to_bytes(2, "big") + number for number in (b"\xff" * 128, b"\x02", b"\x09"))
    salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    signature = key("rsa").sign(RANDOM + flight[0][1][2:34] + share, salted, hashes.SHA256())
    body = share + messages.client_certificate_verify(RSA_PSS_SHA256, signature)
    ours = client(offer(RSA_EXCHANGE))
    fault = told(after(flight, messages.CERTIFICATE, (messages.SERVER_KEY_EXCHANGE, body)), ours)
    assert fault is not None
    assert (fault.code, ours.seen.proved) == (Code.TLS_MALFORMED, False)


def test_a_group_that_was_not_offered(files: Files) -> None:
    """Rightly signed as it is."""
    found = []
    for groups in ((SECP256R1,), (X25519,)):
        flight = first_flight(MemoryServer(files.context("rsa")), client(offer(groups=(SECP256R1,), shares=())))
        fault = told(flight, client(offer(groups=groups, shares=())))
        found.append(None if fault is None else fault.what)
    assert found == [None, "the server takes secp256r1, which was not offered"]


def test_a_chain_of_nothing(files: Files) -> None:
    """A server must have a certificate."""
    flight = first_flight(MemoryServer(files.context()), client())
    fault = told(changed(flight, messages.CERTIFICATE, lambda _: bytes(3)), client())
    assert fault == Fault(Code.TLS_MALFORMED, "the server sends no certificate", Step.SERVER_FLIGHT)


def test_the_end_of_a_flight_is_empty(files: Files) -> None:
    """ServerHelloDone has no body."""
    flight = first_flight(MemoryServer(files.context()), client())
    fault = told(changed(flight, messages.SERVER_HELLO_DONE, lambda _: b"\0"), client())
    assert fault == Fault(Code.TLS_MALFORMED, "the ServerHelloDone is not empty", Step.SERVER_FLIGHT)


@pytest.mark.parametrize("types", [b"", b"\x01", b"\x40", b"\x01\x40"], ids=["none", "rsa", "ecdsa", "both"])
@pytest.mark.parametrize(("kind", "scheme", "own"), [("rsa", RSA_PSS_SHA256, 1), ("ec", ECDSA_P256, 64)])
def test_the_kinds_of_certificates_count(files: Files, kind: str, scheme: int, own: int, types: bytes) -> None:
    """A credential is shown where both its scheme and its kind are taken (RFC 5246 §7.4.6)."""
    ours = client(offer(*SAFE_CIPHERS))
    flight = first_flight(MemoryServer(files.context(verify=ssl.CERT_OPTIONAL)), ours)

    def only(body: bytes) -> bytes:
        return bytes((len(types),)) + types + body[1 + body[0] :]

    assert told(changed(flight, messages.CERTIFICATE_REQUEST, only), ours) is None
    assert ours.answer(credential(kind, (scheme,)))
    assert ours.seen.answer is (Answer.SHOWN if own in types else Answer.NO_SCHEME)


@pytest.mark.parametrize("kind", [1, 4, 8, 15, 16, 20, 22, 24, 254])
def test_messages_that_do_not_belong_there(files: Files, kind: int) -> None:
    """In the server's first flight: those of the client, of TLS 1.3, and those that nobody asked for."""
    flight = first_flight(MemoryServer(files.context()), client())
    fault = told([*flight[:-1], (kind, bytes(12)), flight[-1]], client())
    assert fault is not None
    assert (fault.code, fault.step) == (Code.TLS_MALFORMED, Step.SERVER_FLIGHT)


@pytest.mark.parametrize("kind", [1, 2, 4, 11, 12, 13, 14, 22])
def test_messages_after_the_flight(files: Files, kind: int) -> None:
    """Once we have answered, only the Finished is waited for; and after it, nothing."""
    for finished in (False, True):
        direct = Direct(MemoryServer(files.context()))
        direct.start()
        last = direct.finish()
        if finished:
            direct.take(last)
        with pytest.raises(Broken):
            direct.put(kind, bytes(12))


def test_change_cipher_spec_comes_once_and_in_time(files: Files) -> None:
    """Neither before our flight (CVE-2014-0224), nor before the ServerHello, nor twice, nor with anything in it."""
    flight = first_flight(MemoryServer(files.context()), client())
    spec = record(CHANGE_CIPHER_SPEC, b"\x01")
    for before in range(len(flight) + 1):
        ours = client()
        told(flight[:before], ours)
        ours.receive(spec)
        assert ours.seen.fault is not None, before
    for extra in (spec, record(CHANGE_CIPHER_SPEC, b"\x02"), record(CHANGE_CIPHER_SPEC, b"")):
        server, ours = MemoryServer(files.context()), client()
        ours.receive(server.receive(ours.start()))
        ours.receive(extra + server.receive(ours.answer(None)))
        assert (ours.seen.fault is not None, ours.established) == (True, False)


def test_nothing_is_read_before_the_end(files: Files) -> None:
    """Application data in the clear, after our flight."""
    server, ours = MemoryServer(files.context()), client()
    ours.receive(server.receive(ours.start()))
    ours.answer(None)
    ours.receive(record(23, b"HTTP/1.1 200 OK\r\n\r\n"))
    assert (ours.take(), ours.seen.fault is not None, ours.write(b"secret")) == (b"", True, b"")


# The ServerHello


def hello(
    cipher: int = 0xC02B, version: int = TLS12, random: bytes = bytes(32), extensions: bytes = b"", compression: int = 0
) -> Message:
    """A ServerHello in the form of TLS 1.2."""
    body = version.to_bytes(2, "big") + random + b"\0" + cipher.to_bytes(2, "big") + bytes((compression,))
    return messages.SERVER_HELLO, body + len(extensions).to_bytes(2, "big") + extensions


def extension(kind: int, content: bytes) -> bytes:
    """One extension."""
    return kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


@pytest.mark.parametrize(
    "answer",
    [
        hello(cipher=0xC0AC),
        hello(cipher=0x000A),
        hello(cipher=0x1301),
        hello(compression=1),
        hello(random=bytes(24) + b"DOWNGRD\x01"),
        hello(extensions=extension(0xFF01, b"\x01\x00")),
        hello(extensions=extension(0xFF01, b"")),
        hello(extensions=extension(23, b"\x00")),
        hello(extensions=extension(5, b"\x00")),
        hello(extensions=extension(35, b"")),
        hello(extensions=extension(22, b"")),
        hello(extensions=extension(16, b"\x00\x03\x02h2")),
        hello(extensions=extension(16, b"\x00\x04\x02h3\x00")),
        hello(extensions=extension(16, b"\x00\x02\x01\xff")),
        hello(extensions=extension(23, b"") * 2),
    ],
    ids=[
        "a cipher unknown here",
        "a cipher not offered",
        "a cipher of TLS 1.3",
        "compression",
        "a downgrade",
        "a renegotiation",
        "no renegotiation info",
        "something in extended_master_secret",
        "something in status_request",
        "session_ticket",
        "encrypt_then_mac",
        "a protocol not offered",
        "two protocols",
        "a protocol that is no text",
        "an extension twice",
    ],
)
def test_a_hello_that_chooses_what_was_not_offered(answer: Message) -> None:
    """Each is refused at once."""
    offered = offer(versions=(TLS13, TLS12), alpn=("http/1.1",))
    fault = told([answer], client(offered))
    assert fault is not None
    assert fault.code is Code.TLS_MALFORMED


def test_tls12_was_not_offered() -> None:
    """To a hello of TLS 1.3 alone."""
    fault = told([hello(cipher=0xC02B)], client(offer(0xC02B, 0x1301, versions=(TLS13,))))
    assert fault is not None
    assert fault.code is Code.TLS_VERSION_MISMATCH


def test_what_servers_answer_is_taken() -> None:
    """Every extension that they may answer to our hello; one that should not be, and is, in the field."""
    extensions = b"".join(
        [
            extension(0xFF01, b"\0"),
            extension(0, b""),
            extension(5, b""),
            extension(10, b"\x00\x02\x00\x17"),
            extension(11, b"\x01\x00"),
            extension(16, b"\x00\x09\x08http/1.1"),
            extension(23, b""),
        ]
    )
    ours = client(offer(versions=(TLS13, TLS12), alpn=("http/1.1",)))
    assert told([hello(extensions=extensions)], ours) is None
    assert ours.seen.alpn == "http/1.1"


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302])
def test_an_old_version_ends_whatever_follows(version: int) -> None:
    """A version that is not spoken is the fault, also where the rest of the flight is not in order."""
    for after in ((messages.CERTIFICATE, b"\0\0\1"), (messages.CERTIFICATE_REQUEST, b""), (messages.FINISHED, b"")):
        fault = told([hello(cipher=0xC013, version=version), after], client())
        assert fault is not None
        assert (fault.code, fault.step) == (Code.TLS_VERSION_MISMATCH, Step.SERVER_FLIGHT)


# After the handshake


def test_renegotiation_is_declined(files: Files) -> None:
    """Each HelloRequest is counted and answered with a warning (no_renegotiation); who does not stop is left."""
    direct = Direct(MemoryServer(files.context()))
    flight = direct.start()
    assert direct.put(messages.HELLO_REQUEST, b"") == b""
    last = direct.finish()
    assert direct.put(messages.HELLO_REQUEST, b"") == b""
    direct.take(last)
    assert (flight.established, direct.session.seen.renegotiations) == (True, 0)
    replies = [direct.put(messages.HELLO_REQUEST, b"") for _ in range(6)]
    assert {reply[0] for reply in replies} == {ALERT}
    assert direct.session.seen.renegotiations == 6
    with pytest.raises(Broken):
        direct.put(messages.HELLO_REQUEST, b"")


def test_a_hello_request_is_empty(files: Files) -> None:
    """RFC 5246 §7.4.1.1."""
    direct = Direct(MemoryServer(files.context()))
    direct.start()
    with pytest.raises(Broken):
        direct.put(messages.HELLO_REQUEST, b"\0")


# Anything at all


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The octets with one to three things done to them."""
    octets = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(octets))
        until = at + dice.randint(1, 40)
        match dice.randrange(5):
            case 0:
                octets[at] = dice.randrange(256)
            case 1:
                octets[at] ^= 1 << dice.randrange(8)
            case 2:
                del octets[at:until]
            case 3:
                octets[at:at] = octets[at:until]
            case _:
                octets[at:until] = dice.randbytes(until - at)
        if not octets:
            break
    return bytes(octets)


@pytest.mark.parametrize(
    ("cipher", "kind"), [(0xC02B, "ec"), (0xC02F, "rsa"), (0x009E, "rsa"), (RSA_EXCHANGE, "rsa"), (0xC013, "rsa")]
)
def test_any_octets(files: Files, cipher: int, kind: str) -> None:
    """A flight with anything done to it: nothing raises, nothing is proved of another key (the rest of a certificate is
    for its issuer to prove), and a handshake that was changed is never complete."""
    dice = random.Random(cipher)
    context = files.context(kind, verify=ssl.CERT_OPTIONAL)
    flight = MemoryServer(context).receive(client(offer(cipher)).start())
    server, first = MemoryServer(context), client(offer(cipher))
    first.receive(server.receive(first.start()))
    last = server.receive(first.answer(None))
    faults = 0
    for _ in range(150):
        ours = client(offer(cipher), trace=True)
        ours.start()
        ours.receive(mutated(flight, dice))
        if ours.seen.proved:
            assert verify.public_key(ours.seen.chain[0]) == key(kind).public_key()
        ours.answer(None)
        ours.receive(mutated(last, dice))
        ours.end_of_stream()
        assert (ours.seen.complete, ours.take()) == (False, b"")
        assert ours.seen.answer in {None, Answer.EMPTY, Answer.NOT_ASKED}
        faults += ours.seen.fault is not None
    assert faults > 100


def test_no_credential_without_secure_renegotiation(files: Files) -> None:
    """Someone between begins a connection of their own to such a server, says something on it, and hands our handshake
    on as a renegotiation: the server takes what they said as ours (RFC 5746 §1). OpenSSL refuses such servers too."""
    info = b"\xff\x01\x00\x01\x00"

    def without(body: bytes) -> bytes:
        start = 2 + 32 + 1 + body[34] + 3
        extensions = body[start + 2 :].replace(info, b"")
        assert len(extensions) == len(body) - start - 2 - len(info)
        return body[:start] + len(extensions).to_bytes(2, "big") + extensions

    for shown in (None, credential("ec", (ECDSA_P256,))):
        ours = client(offer(*SAFE_CIPHERS))
        flight = first_flight(MemoryServer(files.context(verify=ssl.CERT_OPTIONAL)), ours)
        flight = changed(flight, messages.SERVER_HELLO, without)
        assert told(flight, ours) is None
        sent = ours.answer(shown)
        if shown is None:
            assert ours.seen.fault is None
        else:
            assert sent[0] == ALERT
            assert shown.chain[0] not in sent
            assert ours.seen.fault is not None
            assert ours.seen.fault.code is Code.CREDENTIAL_WITHHELD
