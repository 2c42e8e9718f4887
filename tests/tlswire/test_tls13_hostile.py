"""TLS 1.3 servers that do not keep to it: each ends in a fault that says why, and nothing of theirs is believed."""

from __future__ import annotations

import pytest
from tests.tlswire.tls12_peer import NAME
from tests.tlswire.tls13_peer import (
    FLIGHT,
    REQUEST,
    TICKET,
    Change,
    Script,
    alerts,
    client,
    established,
    extension,
    extensions,
    hello,
    holder,
    meet,
    message,
    plain,
    ready,
    vector,
)

from handclasp.findings import Code
from handclasp.tlswire import messages, names
from handclasp.tlswire.offer import Offer
from handclasp.tlswire.protect13 import Protection13
from handclasp.tlswire.records import Records
from handclasp.tlswire.seen import Fault, Step
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE

MALFORMED, NOT_PROVED = Code.TLS_MALFORMED, Code.TLS_SERVER_NOT_PROVED
EE, REQ, CERT, VERIFY, FINISHED = FLIGHT


def to(body: bytes) -> Change:
    """The message with another body."""
    return lambda _: body


def flip(at: int) -> Change:
    """The message with one bit changed."""

    def changed(body: bytes) -> bytes:
        where = at % len(body)
        return body[:where] + bytes((body[where] ^ 1,)) + body[where + 1 :]

    return changed


def entry(*pairs: tuple[int, bytes], der: bytes | None = None) -> bytes:
    """A certificate with these extensions."""
    return vector(3, holder("p256").der if der is None else der) + extensions(*pairs)


LEAF = holder("p256").der
CASES: dict[str, tuple[int, Change, Code, int]] = {
    "extensions: not offered": (EE, to(extensions((18, b"\0\0"))), MALFORMED, 110),
    "extensions: of another message": (EE, to(extensions((51, b"\0\x1d\0\0"))), MALFORMED, 110),
    "extensions: twice": (EE, to(extensions((0, b""), (0, b""))), MALFORMED, 47),
    "extensions: a name": (EE, to(extensions((0, b"\0\1x"))), MALFORMED, 50),
    "extensions: no protocol offered": (EE, to(extensions((16, vector(2, vector(1, b"h2"))))), MALFORMED, 47),
    "extensions: two protocols": (EE, to(extensions((16, vector(2, b"\2h2\2h3")))), MALFORMED, 50),
    "extensions: cut": (EE, to(b"\0\4\0\0"), MALFORMED, 50),
    "extensions: longer": (EE, to(b"\0\0\0"), MALFORMED, 50),
    "extensions: one is cut": (EE, to(b"\0\4\0\0\0\1"), MALFORMED, 50),
    "extensions: empty": (EE, to(b""), MALFORMED, 50),
    "extensions: left out": (EE, lambda _: None, MALFORMED, 10),
    "request: context": (REQ, to(b"\1x" + REQUEST[1:]), MALFORMED, 47),
    "request: no algorithms": (REQ, to(b"\0\0\0"), MALFORMED, 109),
    "request: half an algorithm": (REQ, to(b"\0" + extensions((13, b"\0\3\4\3\4"))), MALFORMED, 50),
    "request: empty list": (REQ, to(b"\0" + extensions((13, b"\0\0"))), MALFORMED, 50),
    "request: no name": (REQ, to(b"\0" + extensions((13, b"\0\2\4\3"), (47, b"\0\2\0\0"))), MALFORMED, 50),
    "request: name is cut": (REQ, to(b"\0" + extensions((13, b"\0\2\4\3"), (47, b"\0\3\0\4x"))), MALFORMED, 50),
    "certificate: context": (CERT, to(b"\1x" + vector(3, entry())), MALFORMED, 47),
    "certificate: none": (CERT, to(b"\0\0\0\0"), MALFORMED, 50),
    "certificate: empty": (CERT, to(b"\0" + vector(3, entry(der=b""))), MALFORMED, 50),
    "certificate: no certificate": (CERT, to(b"\0" + vector(3, entry(der=b"\x30\x03abc"))), NOT_PROVED, 42),
    "certificate: cut": (CERT, to(b"\0" + vector(3, entry(der=LEAF[:300]))), NOT_PROVED, 42),
    "certificate: of another": (CERT, to(b"\0" + vector(3, entry(der=holder("p384").der))), NOT_PROVED, 47),
    "certificate: extension": (CERT, to(b"\0" + vector(3, entry((18, b"")))), MALFORMED, 110),
    "certificate: staple is none": (CERT, to(b"\0" + vector(3, entry((5, b"\2\0\0\1x")))), MALFORMED, 47),
    "certificate: staple is empty": (CERT, to(b"\0" + vector(3, entry((5, b"\1\0\0\0")))), MALFORMED, 50),
    "certificate: too many": (CERT, to(b"\0" + vector(3, b"\0\0\1x\0\0" * 257)), MALFORMED, 47),
    "certificate: left out": (CERT, lambda _: None, MALFORMED, 10),
    "verify: changed": (VERIFY, flip(-1), NOT_PROVED, 51),
    "verify: left out": (VERIFY, lambda _: None, MALFORMED, 10),
    "verify: scheme not offered": (VERIFY, lambda body: b"\x02\x03" + body[2:], NOT_PROVED, 47),
    "verify: scheme of another key": (VERIFY, lambda body: b"\x08\x04" + body[2:], NOT_PROVED, 47),
    "verify: scheme of another curve": (VERIFY, lambda body: b"\x05\x03" + body[2:], NOT_PROVED, 47),
    "verify: no signature": (VERIFY, to(b"\x04\x03\0\0"), NOT_PROVED, 51),
    "verify: longer": (VERIFY, lambda body: body + b"\0", MALFORMED, 50),
    "finished: changed": (FINISHED, flip(0), NOT_PROVED, 51),
    "finished: shorter": (FINISHED, lambda body: body[:-1], NOT_PROVED, 51),
    "finished: empty": (FINISHED, to(b""), NOT_PROVED, 51),
}


@pytest.mark.parametrize(("kind", "change", "code", "alert"), CASES.values(), ids=CASES)
def test_one_message_is_wrong(kind: int, change: Change, code: Code, alert: int) -> None:
    """All else is as it should be, signature and Finished included: the fault is of that message, and we say so."""
    script = Script(request=REQUEST, changes={kind: change})
    ours, sent = meet(script)
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.seen.fault.step) == (code, Step.SERVER_FLIGHT)
    assert (ours.over, ours.ready, ours.seen.proved) == (True, False, False)
    assert alerts(script.read(sent)) == [alert]
    assert (ours.answer(None), ours.receive(b"more"), ours.close()) == (b"", b"", b"")


def test_pkcs1_proves_nothing() -> None:
    """A right signature of a scheme that TLS 1.3 does not have (RFC 8446 §4.2.3)."""
    ours, _ = meet(Script(kind="rsa", scheme=names.RSA_PKCS1_SHA256))
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.seen.proved) == (NOT_PROVED, False)


GOOD_SHARE = (51, b"\0\x1d\0\x20\x09" + b"\0" * 31)
NEW = (43, b"\x03\x04")
HELLOS: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 50),
    "cut": (hello()[:60], 50),
    "longer": (hello() + b"\0", 50),
    "session id of another": (hello(session_id=b"T" * 32), 47),
    "session id is missing": (hello(session_id=b""), 47),
    "session id is too long": (hello(session_id=b"T" * 33), 50),
    "compression": (hello(compression=b"\1"), 47),
    "cipher of TLS 1.2": (hello(cipher=b"\xc0\x2b"), 47),
    "cipher not offered": (hello(cipher=b"\x13\x04"), 47),
    "version not offered": (hello(extensions=extensions((43, b"\x03\x05"), GOOD_SHARE)), 47),
    "a draft": (hello(extensions=extensions((43, b"\x7f\x1c"), GOOD_SHARE)), 47),
    "version of old in the new place": (hello(extensions=extensions((43, b"\x03\x03"), GOOD_SHARE)), 47),
    "two versions": (hello(extensions=extensions((43, b"\x03\x04\x03\x03"), GOOD_SHARE)), 47),
    "new version in the old place": (hello(version=b"\x03\x04"), 47),
    "no share": (hello(extensions=extensions(NEW)), 109),
    "share of a group without one": (hello(extensions=extensions(NEW, (51, b"\0\x17\0\x41" + b"\4" * 65))), 47),
    "share of low order": (hello(extensions=extensions(NEW, (51, b"\0\x1d\0\x20" + b"\0" * 32))), 47),
    "share too short": (hello(extensions=extensions(NEW, (51, b"\0\x1d\0\x1f" + b"\1" * 31))), 47),
    "share is cut": (hello(extensions=extensions(NEW, (51, b"\0\x1d\0\x20x"))), 50),
    "share is empty": (hello(extensions=extensions(NEW, (51, b"\0\x1d\0\0"))), 50),
    "pre-shared key": (hello(extensions=extensions(NEW, GOOD_SHARE, (41, b"\0\0"))), 110),
    "extension twice": (hello(extensions=extensions(NEW, NEW)), 47),
    "1.3 without saying so": (hello(extensions=extensions(GOOD_SHARE)), 47),
    "marks a downgrade from 1.3": (
        hello(random=b"Q" * 24 + b"DOWNGRD\x01", cipher=b"\xc0\x2b", extensions=b"\0\0"),
        47,
    ),
    "marks a downgrade from 1.2": (
        hello(version=b"\x03\x01", random=b"Q" * 24 + b"DOWNGRD\x00", cipher=b"\xc0\x09", extensions=b"\0\0"),
        47,
    ),
}


@pytest.mark.parametrize(("body", "alert"), HELLOS.values(), ids=HELLOS)
def test_hello_is_wrong(body: bytes, alert: int) -> None:
    """A ServerHello that chooses what was not offered, or is not in its form."""
    ours = client()
    ours.start()
    sent = ours.receive(plain(HANDSHAKE, message(messages.SERVER_HELLO, body)))
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.seen.fault.step) == (MALFORMED, Step.CLIENT_HELLO)
    assert sent == plain(ALERT, bytes((2, alert)))


def test_a_mark_of_the_offered_version_is_none() -> None:
    """The downgrade's mark is not one for a client that offers nothing newer itself (RFC 8446 §4.1.3)."""
    ours = client(Offer(NAME, versions=(0x0303,)))
    ours.start()
    body = hello(random=b"Q" * 24 + b"DOWNGRD\x01", cipher=b"\xc0\x2b", session_id=b"", extensions=b"\0\0")
    assert ours.receive(plain(HANDSHAKE, message(messages.SERVER_HELLO, body))) == b""
    assert (ours.seen.fault, ours.seen.version) == (None, 0x0303)


COOKIE = extension(messages.COOKIE, vector(2, b"c"))
RETRIES: dict[str, tuple[bytes, int]] = {
    "asks for nothing": (b"", 47),
    "group whose share it has": (extension(51, b"\0\x1d"), 47),
    "group not offered": (extension(51, b"\x01\x00"), 47),
    "group is cut": (extension(51, b"\0"), 50),
    "a share": (extension(51, b"\0\x17\0\1x"), 50),
    "empty cookie": (extension(44, b"\0\0"), 50),
    "extension not for it": (COOKIE + extension(16, b"\0\3\2h2"), 110),
}


@pytest.mark.parametrize(("asked", "alert"), RETRIES.values(), ids=RETRIES)
def test_retry_is_wrong(asked: bytes, alert: int) -> None:
    """A HelloRetryRequest that asks for nothing, for what we have not got, or for what it has already."""
    ours = client()
    sent = ours.receive(Script().retry(ours.start(), asked))
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, sent[-2:]) == (MALFORMED, bytes((2, alert)))


def test_retry_twice() -> None:
    """One is all (RFC 8446 §4.1.4)."""
    script, ours = Script(), client()
    sent = ours.receive(script.retry(ours.start(), COOKIE))
    assert ours.receive(script.retry(sent[6:], COOKIE))[-2:] == b"\x02\x0a"
    assert ours.seen.fault == Fault(MALFORMED, "the server asks for a new hello twice", Step.CLIENT_HELLO)


@pytest.mark.parametrize("change", ["cipher", "version"])
def test_other_choice_after_a_retry(change: str) -> None:
    """What the first answer chose stands."""
    ours = client()
    ours.receive(Script().retry(ours.start(), COOKIE))
    changed = {"cipher": hello(cipher=b"\x13\x02"), "version": hello(cipher=b"\xc0\x2b", extensions=b"\0\0")}[change]
    ours.receive(plain(HANDSHAKE, message(messages.SERVER_HELLO, changed)))
    assert ours.seen.fault is not None
    assert ours.seen.fault.what == "the server's second hello chooses otherwise than its first"


CLEAR: dict[str, bytes] = {
    "alert": plain(ALERT, b"\x02\x28"),
    "close_notify": plain(ALERT, b"\x01\x00"),
    "handshake": plain(HANDSHAKE, message(EE, b"\0\0")),
    "not sealed": plain(APPLICATION_DATA, b"x" * 40),
    "too short to be sealed": plain(APPLICATION_DATA, b"x" * 5),
    "empty": plain(APPLICATION_DATA, b""),
    "no meaning": plain(CHANGE_CIPHER_SPEC, b"\x02"),
    "too long": b"\x17\x03\x03\x41\x01" + b"x" * 16641,
}


@pytest.mark.parametrize("record", CLEAR.values(), ids=CLEAR)
@pytest.mark.parametrize("when", ["after the hello", "after the flight", "after the handshake"])
def test_nothing_in_clear_is_believed(record: bytes, when: str) -> None:
    """From the ServerHello on everything is sealed; no alert and no data of someone on the way counts."""
    if when == "after the hello":
        ours = client()
        ours.receive(Script().hello(ours.start()))
    else:
        _, ours = ready() if when == "after the flight" else established()
    ours.receive(record)
    assert ours.seen.fault is not None
    assert ours.seen.fault.code is MALFORMED
    assert (ours.seen.alerts, ours.seen.closed, ours.take(), ours.over) == ([], False, b"", True)


SEALED: dict[str, tuple[int, bytes, int]] = {
    "empty handshake": (HANDSHAKE, b"", 10),
    "empty alert": (ALERT, b"", 50),
    "alert of three": (ALERT, b"\x02\x28\x00", 50),
    "change of ciphers": (CHANGE_CIPHER_SPEC, b"\x01", 10),
    "unknown type": (99, b"x", 10),
    "no type": (0, b"\0" * 20, 10),
    "too long": (APPLICATION_DATA, b"x" * 16385, 22),
    "certificate": (HANDSHAKE, message(CERT, b"\0\0\0\0"), 10),
    "request": (HANDSHAKE, message(REQ, REQUEST), 10),
    "finished": (HANDSHAKE, message(FINISHED, b"x" * 32), 10),
    "hello request": (HANDSHAKE, message(0, b""), 10),
    "ticket is cut": (HANDSHAKE, message(4, TICKET[:-1]), 50),
    "ticket is longer": (HANDSHAKE, message(4, TICKET + b"\0"), 50),
    "update is none": (HANDSHAKE, message(24, b"\x02"), 47),
    "update goes on": (HANDSHAKE, message(24, b"\0") + b"\x04", 10),
    "message too long": (HANDSHAKE, b"\x04\x04\x00\x01", 47),
}


@pytest.mark.parametrize(("kind", "payload", "alert"), SEALED.values(), ids=SEALED)
def test_after_the_handshake(kind: int, payload: bytes, alert: int) -> None:
    """What does not belong after the handshake, under the right keys."""
    script, ours = established()
    sent = ours.receive(script.seal(kind, payload))
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.seen.fault.step, ours.over) == (MALFORMED, Step.FIRST_READ, True)
    assert alerts(script.read(sent)) == [alert]


def test_data_before_the_finished() -> None:
    """Application data under handshake keys proves nothing and is not taken."""
    script, ours = Script(), client()
    ours.receive(script.hello(ours.start()) + script.seal(APPLICATION_DATA, b"220 ready"))
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.take()) == (MALFORMED, b"")


def test_message_over_a_change_of_keys() -> None:
    """The ServerHello ends its record, and so does the Finished (RFC 8446 §5.1)."""
    script, ours = Script(), client()
    record = script.hello(ours.start())
    ours.receive(plain(HANDSHAKE, record[5:] + b"\x08"))
    assert ours.seen.fault == Fault(MALFORMED, "a handshake message goes on where the keys change", Step.SERVER_FLIGHT)
    script, ours = Script(), client()
    out = script.hello(ours.start())
    ours.receive(out + script.seal(HANDSHAKE, b"".join(script.flight()) + message(4, TICKET)))
    assert ours.seen.fault is not None
    assert ours.seen.tickets == 0


def test_records_in_another_order() -> None:
    """A record is under its number: none can be swapped, left out or played again."""
    script, first = Script(request=REQUEST), client()
    records = list(Records().feed(script.answer(first.start())))
    whole = [header + payload for _, header, payload in records]
    for order in ([*whole[:3], whole[4], whole[3], *whole[5:]], [*whole[:3], *whole[4:]], [*whole[:3], *whole[2:]]):
        ours = client()
        ours.start()
        ours.receive(b"".join(order))
        assert ours.seen.fault is not None
        assert ours.seen.fault.code is MALFORMED
        assert not ours.seen.proved


def test_a_random_key_of_the_way() -> None:
    """One who sits between with keys of his own, and plays the server's certificate, has not its key."""

    def foreign(body: bytes) -> bytes:
        return b"\0" + vector(3, entry(der=holder("p256", "other.example.org").der))

    ours, _ = meet(Script(changes={CERT: foreign}))
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.seen.proved) == (NOT_PROVED, False)


def test_what_is_under_no_key() -> None:
    """A record sealed with a key of another connection is refused as one that was changed."""
    script, ours = established()
    script.sealing = Protection13(0x1301, b"k" * 16, b"i" * 12)
    ours.receive(script.seal(APPLICATION_DATA, b"x"))
    assert ours.seen.fault is not None
    assert ours.seen.fault.what == "a record was changed on the way, or is under another key"
