"""The parts of TLS 1.3: the vectors of the RFCs, names, records, keys."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mlkem, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.tlswire.tls12_peer import ALWAYS, NAME, authority
from tests.tlswire.tls13_peer import SCHEMES, holder, message

from handclasp.findings import Code
from handclasp.testing.chains import make
from handclasp.tlswire import exchange, messages, names, offer, verify
from handclasp.tlswire.messages import Reader
from handclasp.tlswire.protect13 import Protection13
from handclasp.tlswire.records import Messages, Records
from handclasp.tlswire.schedule import Schedule, label
from handclasp.tlswire.session import APPLICATION_DATA, Broken


def test_rfc_8448() -> None:
    """RFC 8448 §3, the simple 1-RTT handshake: every key of it, and the client's Finished."""
    shared = bytes.fromhex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")
    hello = bytes.fromhex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8")
    finished = bytes.fromhex("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13")
    schedule = Schedule(0x1301, shared, hello)
    keys = [schedule.keys(schedule.server), schedule.keys(schedule.client)]
    schedule.advance()
    keys += [schedule.keys(schedule.application_server(finished)), schedule.keys(schedule.application_client(finished))]
    assert [(key.hex(), iv.hex()) for key, iv in keys] == [
        ("3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30"),
        ("dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f"),
        ("9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"),
        ("17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"),
    ]
    assert schedule.finished(schedule.client, finished).hex() == (
        "a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61"
    )


@pytest.mark.parametrize("cipher", offer.TLS13_CIPHERS, ids=names.cipher_name)
def test_keys_of_every_cipher(cipher: int) -> None:
    """The lengths of keys, and HKDF-Expand-Label as RFC 8446 §7.1 writes it, for the hash of each."""
    algorithm = "sha384" if cipher == 0x1302 else "sha256"
    length = hashlib.new(algorithm).digest_size
    schedule = Schedule(cipher, b"s" * 32, b"h" * length)
    schedule.advance()
    secret = schedule.application_server(b"f" * length)
    key, iv = schedule.keys(secret)
    assert (len(key), len(iv)) == ({0x1301: 16, 0x1302: 32, 0x1303: 32}[cipher], 12)
    info = length.to_bytes(2, "big") + b"\x11tls13 traffic upd\x00"
    assert label("traffic upd", length, 0) == info
    zeros = bytes(length)
    early = hmac.digest(zeros, zeros, algorithm)
    derived = length.to_bytes(2, "big") + b"\x0dtls13 derived" + bytes((length,)) + hashlib.new(algorithm).digest()
    salt = hmac.digest(early, derived + b"\x01", algorithm)
    salt = hmac.digest(hmac.digest(salt, b"s" * 32, algorithm), derived + b"\x01", algorithm)
    master = hmac.digest(salt, zeros, algorithm)
    traffic = length.to_bytes(2, "big") + b"\x12tls13 s ap traffic" + bytes((length,)) + b"f" * length
    expected = hmac.digest(master, traffic + b"\x01", algorithm)
    assert secret.expand(info + b"\x01") == hmac.digest(expected, info + b"\x01", algorithm)


def test_nonces_count_up() -> None:
    """Two records of the same content differ, and open in their order alone."""
    sealing, opening = (Protection13(0x1301, b"k" * 16, b"i" * 12) for _ in range(2))
    first, second = (sealing.seal(APPLICATION_DATA, b"same") for _ in range(2))
    assert first != second
    opened = [opening.open(APPLICATION_DATA, one[:5], one[5:]) for one in (first, second)]
    assert opened == [(APPLICATION_DATA, b"same")] * 2
    with pytest.raises(Broken):
        opening.open(APPLICATION_DATA, first[:5], first[5:])


@pytest.mark.parametrize("group", sorted(exchange.SUPPORTED), ids=names.group_name)
def test_exchange_is_agreed(group: int) -> None:
    """Both sides have the same secret, made of the share that is sent."""
    ours = exchange.make((group,))[group]
    if group == offer.X25519MLKEM768:
        secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(ours.public[:1184]).encapsulate()
        theirs = exchange.make((offer.X25519,))[offer.X25519]
        assert ours.shared(ciphertext + theirs.public) == secret + theirs.shared(ours.public[1184:])
        return
    theirs = exchange.make((group,))[group]
    assert ours.shared(theirs.public) == theirs.shared(ours.public)


@pytest.mark.parametrize("group", sorted(exchange.SUPPORTED), ids=names.group_name)
def test_exchange_with_what_is_no_point(group: int) -> None:
    """Empty, too long, too short, off the curve, compressed, of low order: each is a fault, none an exception."""
    ours = exchange.make((group,))[group]
    length = 1120 if group == offer.X25519MLKEM768 else len(ours.public)
    # Of 32 octets all but zeros and their like are a point of X25519.
    off_the_curve = (b"\4" + bytes(length - 1),) if group != offer.X25519 else ()
    for peer in (b"", b"\4", bytes(length), bytes(length + 1), bytes(length - 1), b"\2" + b"x" * 32, *off_the_curve):
        with pytest.raises(Broken) as caught:
            ours.shared(peer)
        assert caught.value.code is Code.TLS_MALFORMED


@given(st.binary(max_size=1200))
def test_exchange_with_anything(peer: bytes) -> None:
    """A secret or a fault."""
    for group, share in _SHARES.items():
        try:
            assert len(share.shared(peer)) in {32, 48, 64, 66}, group
        except Broken:
            continue


_SHARES = exchange.make(sorted(exchange.SUPPORTED))


def test_group_without_an_exchange() -> None:
    """Asked for by a mistake of ours, it is one."""
    with pytest.raises(KeyError):
        exchange.make((0x0100,))


def with_key(public: object) -> bytes:
    """A certificate for a key that need not be ours."""
    return make(NAME, authority(), key=SimpleNamespace(public_key=lambda: public), **ALWAYS).der


def test_key_that_is_too_long() -> None:
    """An RSA key that would make us work for the server is not used."""
    with pytest.raises(Broken) as caught:
        verify.public_key(with_key(rsa.RSAPublicNumbers(65537, (1 << 9000) + 1).public_key()))
    assert (caught.value.code, caught.value.what) == (
        Code.TLS_SERVER_NOT_PROVED,
        "the server's RSA key has 9001 bits, more than 8192",
    )


def test_key_that_cannot_sign() -> None:
    """A certificate may have any key; only one that signs proves a server."""
    public = verify.public_key(with_key(X25519PrivateKey.generate().public_key()))
    for scheme in verify.SCHEMES:
        with pytest.raises(Broken) as caught:
            verify.signature(public, scheme, b"s" * 64, b"data")
        assert caught.value.code is Code.TLS_SERVER_NOT_PROVED


def test_key_of_a_certificate() -> None:
    """Of every kind it is the certificate's; a long certificate's too, which is not remembered."""
    for kind in SCHEMES:
        assert verify.public_key(holder(kind).der) == holder(kind).key.public_key()
    long = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(9000))
    own = make(NAME, authority(), add=[(long, False)], **ALWAYS)
    before = verify._remembered.cache_info().currsize
    assert verify.public_key(own.der) == own.key.public_key()
    assert verify._remembered.cache_info().currsize == before


@given(st.binary(max_size=400), st.integers(0, 600))
def test_key_of_anything(noise: bytes, at: int) -> None:
    """Any octets instead of a certificate, and in the middle of one: a key or a fault."""
    good = holder("p256").der
    for certificate in (noise, good[:at] + noise + good[at:], good[:at] + noise + good[at + len(noise) :]):
        try:
            verify.public_key(certificate)
        except Broken as broken:
            assert broken.code is Code.TLS_SERVER_NOT_PROVED


def test_schemes_that_are_offered() -> None:
    """Each has a name, none is by SHA-1, and each is verified."""
    assert [names.scheme_name(scheme) for scheme in verify.SCHEMES if "sha1" in names.scheme_name(scheme)] == []
    assert len(set(verify.SCHEMES)) == len(verify.SCHEMES) == len(verify._KINDS)
    assert {name for scheme in verify.SCHEMES if (name := names.scheme_name(scheme)).startswith("0x")} == set()


def test_names() -> None:
    """As IANA writes them; what has no name is shown by its number."""
    assert (names.version_name(0x0304), names.version_name(0x0303), names.version_name(0x7F1C)) == (
        *("TLS 1.3", "TLS 1.2", "0x7F1C"),
    )
    assert (names.cipher_name(0x1301), names.cipher_name(0xFFFF)) == ("TLS_AES_128_GCM_SHA256", "0xFFFF")
    assert (names.group_name(0x11EC), names.group_name(0x1D), names.group_name(0x17)) == (
        *("X25519MLKEM768", "x25519", "secp256r1"),
    )
    assert (names.alert_name(116), names.alert_name(1)) == ("certificate_required", "alert 1")
    assert (names.extension_name(51), names.extension_name(9999)) == ("key_share", "extension 9999")
    assert [names.is_post_quantum(group) for group in (0x11EC, 0x1D, 0x11EB, 0x0201)] == [True, False, True, True]
    ours = offer.Offer(None).ciphers
    assert [cipher for cipher in ours if names.cipher_name(cipher).startswith("0x")] == []
    assert len(set(ours)) == len(ours)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8), st.randoms(use_true_random=False))
def test_records_in_any_pieces(payloads: list[bytes], chance: random.Random) -> None:
    """Cut anywhere, the same records come out."""
    whole = b"".join(b"\x17\x03\x03" + len(one).to_bytes(2, "big") + one for one in payloads)
    records, found, at = Records(), [], 0
    while at < len(whole):
        size = chance.randrange(1, 40)
        found += [payload for _, _, payload in records.feed(whole[at : at + size])]
        at += size
    assert found == payloads


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(1, 50))
def test_messages_in_any_pieces(bodies: list[bytes], size: int) -> None:
    """Cut anywhere, the same messages come out; empty says whether one is cut."""
    whole = b"".join(message(11, body) for body in bodies)
    ends, at = {0}, 0
    for body in bodies:
        at += 4 + len(body)
        ends.add(at)
    put, found = Messages(), []
    for at in range(0, len(whole), size):
        found += put.feed(whole[at : at + size])
        assert put.empty is (min(at + size, len(whole)) in ends)
    assert found == [message(11, body) for body in bodies]


PARSERS: dict[str, Callable[[bytes], object]] = {
    "server_hello": messages.server_hello,
    "encrypted_extensions": messages.encrypted_extensions,
    "certificate_request13": messages.certificate_request13,
    "certificate_request12": messages.certificate_request12,
    "certificate13": messages.certificate13,
    "certificate12": messages.certificate12,
    "certificate_status": messages.certificate_status,
    "certificate_verify": messages.certificate_verify,
    "server_key_share": messages.server_key_share,
    "retry_group": messages.retry_group,
    "cookie": messages.cookie,
    "alpn": messages.alpn,
    "new_session_ticket13": messages.new_session_ticket13,
    "new_session_ticket12": messages.new_session_ticket12,
}


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=120))
def test_parsers_with_anything(name: str, body: bytes) -> None:
    """A value or a fault."""
    try:
        PARSERS[name](body)
    except Broken as broken:
        assert broken.code is Code.TLS_MALFORMED


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=5), st.binary(max_size=20))
def test_certificates_there_and_back(chain: list[bytes], context: bytes) -> None:
    """What we write is what is read; cut by one octet it is nothing."""
    new = messages.client_certificate13(context, tuple(chain))
    old = messages.client_certificate12(tuple(chain))
    assert messages.certificate13(new) == (context, tuple(chain), [{}] * len(chain))
    assert messages.certificate12(old) == tuple(chain)
    for read, body in ((messages.certificate13, new), (messages.certificate12, old)):
        with pytest.raises(Broken):
            read(body[:-1])
        with pytest.raises(Broken):
            read(body + b"\0")


def test_reader_takes_no_more_than_there_is() -> None:
    """Every way to read past the end is a fault that names the message."""
    reads: tuple[Callable[[Reader], object], ...] = (
        lambda reader: reader.take(4),
        lambda reader: reader.number(4),
        lambda reader: reader.vector(1),
        lambda reader: reader.vector(4),
        lambda reader: reader.end(),
    )
    for read in reads:
        with pytest.raises(Broken, match="the message"):
            read(Reader(b"\x03ab", "the message"))
    with pytest.raises(Broken, match="too short"):
        Reader(b"\0", "the message").vector(1, 1)
