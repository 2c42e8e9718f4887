"""TLS 1.3 under fuzz: any octets, good flights with one octet changed or cut off, messages that are mangled."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tlswire.tls13_peer import (
    FLIGHT,
    REQUEST,
    TICKET,
    Script,
    client,
    established,
    hello,
    meet,
    message,
    plain,
)

from handclasp.tlswire import client as bounds
from handclasp.tlswire import messages
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.records import Records
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE


@pytest.fixture(scope="module")
def flight() -> bytes:
    """A good flight; every client of these tests has the same random and keys, so that it can be played again."""
    return Script(request=REQUEST).answer(client().start())


def ignored(flight: bytes) -> set[int]:
    """Where a changed bit means nothing: the minor version of a record in clear (RFC 8446 §5.1)."""
    found, at = set(), 0
    for kind, header, payload in Records().feed(flight):
        if kind != APPLICATION_DATA:
            found.add(at + 2)
        at += len(header) + len(payload)
    return found


def test_every_octet_counts(flight: bytes) -> None:
    """One bit changed anywhere, and the server is not believed."""
    skip = ignored(flight)
    for at in range(len(flight)):
        ours = client()
        ours.start()
        ours.receive(flight[:at] + bytes((flight[at] ^ 1,)) + flight[at + 1 :])
        assert (ours.ready, ours.seen.proved) == ((True, True) if at in skip else (False, False)), at


def test_every_cut_waits(flight: bytes) -> None:
    """A flight that is not there yet is no fault."""
    for at in range(0, len(flight), 3):
        ours = client()
        ours.start()
        assert ours.receive(flight[:at]) == b""
        assert (ours.ready, ours.over, ours.seen.fault) == (False, False, None)


def settled(ours: TLSClient) -> None:
    """It is over with a reason, or waits."""
    assert not ours.seen.proved or ours.ready
    if ours.over:
        assert ours.seen.fault is not None or ours.seen.closed
    assert len(ours._records._held) <= 5 + 16384 + 2048
    assert len(ours._messages._held) <= messages.MAX_MESSAGE + 4
    assert len(ours._session.transcript) <= bounds.MAX_HANDSHAKE + 8192


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=6), st.booleans())
def test_fuzz_octets(pieces: list[bytes], like_tls: bool) -> None:
    """Any octets, and any octets in records."""
    ours = client()
    ours.start()
    for piece in pieces:
        ours.receive(plain((HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC)[len(piece) % 3], piece) if like_tls else piece)
        settled(ours)
    ours.end_of_stream()
    assert ours.over


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_fuzz_clear_messages(seed: int) -> None:
    """A ServerHello with some octets changed, cut or put in."""
    chance = random.Random(seed)
    ours = client()
    ours.start()
    ours.receive(plain(HANDSHAKE, message(messages.SERVER_HELLO, mangled(hello(), chance))))
    settled(ours)
    assert not ours.seen.proved


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(FLIGHT), st.integers(0, 2**32))
def test_fuzz_sealed_messages(kind: int, seed: int) -> None:
    """A sealed message with some octets changed, cut or put in; everything after it is right again."""
    chance = random.Random(seed)
    changed = []

    def change(body: bytes) -> bytes:
        changed.append((body, mangled(body, chance)))
        return changed[0][1]

    ours, _ = meet(Script(request=REQUEST, changes={kind: change}))
    settled(ours)
    before, after = changed[0]
    if kind in {messages.CERTIFICATE_VERIFY, messages.FINISHED}:
        assert ours.seen.proved is (before == after)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(4, TICKET), (24, b"\0"), (messages.CERTIFICATE_REQUEST, REQUEST)]),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_fuzz_after_the_handshake(which: tuple[int, bytes], seed: int, cut: bool) -> None:
    """Messages after the handshake."""
    chance = random.Random(seed)
    script, ours = established()
    payload = message(which[0], mangled(which[1], chance))
    ours.receive(script.seal(HANDSHAKE, payload[: chance.randrange(1, len(payload) + 1)] if cut else payload))
    if ours.over:
        assert ours.seen.fault is not None


def mangled(body: bytes, chance: random.Random) -> bytes:
    """With one to three changes."""
    changed = bytearray(body)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(changed) + 1)
        what = chance.randrange(4)
        if what == 0 and at < len(changed):
            changed[at] = chance.randrange(256)
        elif what == 1:
            del changed[at : at + chance.randrange(1, 20)]
        elif what == 2:
            changed[at:at] = chance.randbytes(chance.randrange(1, 20))
        elif at < len(changed):
            changed[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(changed)
