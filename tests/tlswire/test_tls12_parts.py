"""The parts of TLS 1.2: the PRF, the protection of records, the key exchanges."""

from __future__ import annotations

import hmac
import time
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.findings import Code
from handclasp.tlswire.exchange import make
from handclasp.tlswire.exchange12 import (
    MAX_PRIME,
    SUITES,
    CurveShare,
    Exchange,
    FieldShare,
    ServerKeyExchange,
    agree,
    encrypt_premaster,
    server_key_exchange,
)
from handclasp.tlswire.names import CIPHERS
from handclasp.tlswire.offer import OLD_CIPHERS, SAFE_CIPHERS, SECP256R1, X25519, X25519MLKEM768
from handclasp.tlswire.prf12 import Keys, Secrets, extended_secrets_of, prf, secrets_of
from handclasp.tlswire.protect12 import Bulk
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, HANDSHAKE, MAX_PLAINTEXT, Broken, Protection

BULKS = tuple({suite.bulk.name: suite.bulk for suite in SUITES.values()}.values())
MODP_1536 = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF"
)
"""The prime of RFC 3526 §2; its generator is 2."""


# The PRF


@pytest.mark.parametrize(
    ("hash_name", "secret", "seed", "expected"),
    [
        (
            "sha256",
            "9bbe436ba940f017b17652849a71db35",
            "a0ba9f936cda311827a6f796ffd5198c",
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7"
            "077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
        ),
        (
            "sha384",
            "b80b733d6ceefcdc71566ea48e5567df",
            "cd665cf6a8447dd6ff8b27555edb7465",
            "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb40"
            "0fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d"
            "31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f",
        ),
    ],
    ids=["sha256", "sha384"],
)
def test_prf(hash_name: str, secret: str, seed: str, expected: str) -> None:
    """The vectors that implementers of RFC 5246 exchanged on the TLS list."""
    length = len(expected) // 2
    assert prf(hash_name, bytes.fromhex(secret), b"test label", bytes.fromhex(seed), length).hex() == expected


def test_master_secrets() -> None:
    """The old one depends on the randoms, the extended one on the transcript; both have 48 octets."""
    old = [secrets_of("sha256", b"p", client, b"server").master for client in (b"client", b"CLIENT")]
    new = [extended_secrets_of("sha256", b"p", transcript).master for transcript in (b"one", b"other")]
    assert len({*old, *new}) == 4
    assert {len(master) for master in (*old, *new)} == {48}


def test_secrets_are_not_printed() -> None:
    """Neither a log nor a traceback shows one."""
    secrets = Secrets("sha256", b"marker" * 8)
    keys = Keys(*[b"marker"] * 6)
    assert "marker" not in f"{secrets!r} {secrets} {keys!r} {keys}"


# Protection


def directions(bulk: Bulk) -> tuple[Protection, Protection]:
    """Both ends of what we send."""
    secrets = Secrets("sha256", b"m" * 48)
    keys = secrets.keys(b"c" * 32, b"s" * 32, bulk.mac, bulk.key, bulk.iv)
    theirs = Keys(keys.server_mac, keys.client_mac, keys.server_key, keys.client_key, keys.server_iv, keys.client_iv)
    return bulk.client(keys), bulk.server(theirs)


def opened(protection: Protection, record: bytes) -> tuple[int, bytes]:
    """The inside of one record."""
    assert int.from_bytes(record[3:5], "big") == len(record) - 5
    return protection.open(record[0], record[:5], record[5:])


@pytest.mark.parametrize("bulk", BULKS, ids=lambda bulk: bulk.name)
def test_round_trip(bulk: Bulk) -> None:
    """What is sealed opens, in order, of every length around the borders of a block."""
    sealing, opening = directions(bulk)
    for length in (*range(34), MAX_PLAINTEXT):
        for kind in (HANDSHAKE, APPLICATION_DATA, ALERT):
            plaintext = bytes(length)
            assert opened(opening, sealing.seal(kind, plaintext)) == (kind, plaintext)


@pytest.mark.parametrize("bulk", BULKS, ids=lambda bulk: bulk.name)
def test_no_two_records_are_alike(bulk: Bulk) -> None:
    """The same plaintext twice: nothing of the second record is that of the first, but the header and the nonce."""
    sealing, _ = directions(bulk)
    first, second = (sealing.seal(APPLICATION_DATA, bytes(64)) for _ in range(2))
    assert first[:5] == second[:5]
    assert first[13:29] != second[13:29]
    assert first[29:] != second[29:]


@pytest.mark.parametrize("bulk", BULKS, ids=lambda bulk: bulk.name)
def test_tampering_is_seen(bulk: Bulk) -> None:
    """Any octet of the record changed, other than its length: it does not open."""
    record = directions(bulk)[0].seal(HANDSHAKE, b"fourteen octet")
    for at in (0, 1, 2, *range(5, len(record))):
        changed = bytearray(record)
        changed[at] ^= 1
        with pytest.raises(Broken) as broken:
            opened(directions(bulk)[1], bytes(changed))
        assert broken.value.code is Code.TLS_MALFORMED


@pytest.mark.parametrize("bulk", BULKS, ids=lambda bulk: bulk.name)
def test_a_record_opens_once(bulk: Bulk) -> None:
    """Played again, or out of order, it does not."""
    sealing, opening = directions(bulk)
    first, second = sealing.seal(HANDSHAKE, b"first"), sealing.seal(HANDSHAKE, b"second")
    opened(opening, first)
    for record, other in ((first, opening), (second, directions(bulk)[1])):
        with pytest.raises(Broken):
            opened(other, record)


@pytest.mark.parametrize("bulk", BULKS, ids=lambda bulk: bulk.name)
@given(payload=st.binary(max_size=130))
@settings(max_examples=30, deadline=None)
def test_any_octets(bulk: Bulk, payload: bytes) -> None:
    """No payload opens that was not sealed, and none does anything but be refused."""
    with pytest.raises(Broken):
        directions(bulk)[1].open(HANDSHAKE, b"\x16\x03\x03\x00\x00", payload)


@pytest.mark.parametrize("bulk", BULKS, ids=lambda bulk: bulk.name)
def test_a_record_is_not_too_long(bulk: Bulk) -> None:
    """RFC 5246 §6.2.3: more than 2^14 octets of plaintext are refused, though they were sealed rightly."""
    sealing, opening = directions(bulk)
    with pytest.raises(Broken):
        opened(opening, sealing.seal(APPLICATION_DATA, bytes(MAX_PLAINTEXT + 1)))


@pytest.mark.parametrize("bulk", [bulk for bulk in BULKS if bulk.mac], ids=lambda bulk: bulk.name)
def test_padding_is_checked_to_its_last_octet(bulk: Bulk) -> None:
    """It is not under the MAC: each of its octets must be its length (RFC 5246 §6.2.3.2)."""
    keys = Secrets("sha256", b"m" * 48).keys(b"c" * 32, b"s" * 32, bulk.mac, bulk.key, bulk.iv)
    name = {20: "sha1", 32: "sha256", 48: "sha384"}[bulk.mac]
    inner = b"data" + hmac.digest(keys.server_mac, bytes(8) + b"\x16\x03\x03\x00\x04data", name)
    count = 31 - len(inner) % 16
    found = []
    for filling in (
        bytes((count,)) * (count + 1),
        b"\0" + bytes((count,)) * count,
        bytes((count,)) * (count - 1) + b"\0" + bytes((count,)),
        bytes((count,)) * count + b"\xff",
    ):
        encryptor = Cipher(algorithms.AES(keys.server_key), modes.CBC(bytes(16))).encryptor()
        payload = bytes(16) + encryptor.update(inner + filling) + encryptor.finalize()
        try:
            found.append(bulk.server(keys).open(HANDSHAKE, b"\x16\x03\x03", payload))
        except Broken:
            found.append((HANDSHAKE, b"refused"))
    assert found == [(HANDSHAKE, b"data"), *[(HANDSHAKE, b"refused")] * 3]


# Suites


def test_every_cipher_of_the_offer_is_known() -> None:
    """And no other is."""
    assert set(SUITES) == {*SAFE_CIPHERS, *OLD_CIPHERS}


@pytest.mark.parametrize("cipher", SUITES, ids=CIPHERS.__getitem__)
def test_a_suite_is_what_its_name_says(cipher: int) -> None:
    """Key exchange, kind of key, cipher and hash, against the name in IANA's registry."""
    suite = SUITES[cipher]
    exchange, cipher_name = CIPHERS[cipher].removeprefix("TLS_").split("_WITH_")
    bulk = {
        "AES_128_GCM_SHA256": "AES-128-GCM",
        "AES_256_GCM_SHA384": "AES-256-GCM",
        "CHACHA20_POLY1305_SHA256": "ChaCha20-Poly1305",
        "AES_128_CBC_SHA": "AES-128-CBC with SHA-1",
        "AES_256_CBC_SHA": "AES-256-CBC with SHA-1",
        "AES_128_CBC_SHA256": "AES-128-CBC with SHA-256",
        "AES_256_CBC_SHA256": "AES-256-CBC with SHA-256",
        "AES_256_CBC_SHA384": "AES-256-CBC with SHA-384",
    }
    assert suite.bulk.name == bulk[cipher_name]
    assert suite.hash_name == ("sha384" if cipher_name.endswith("SHA384") else "sha256")
    assert exchange == (suite.exchange if suite.exchange is Exchange.RSA else f"{suite.exchange}_{key_of(suite.ecdsa)}")
    assert (cipher in SAFE_CIPHERS) == (suite.exchange is Exchange.ECDHE and suite.bulk.mac == 0)


def key_of(ecdsa: bool) -> str:
    """As the names of suites have it."""
    return "ECDSA" if ecdsa else "RSA"


# Key exchange


def vector(number: int) -> bytes:
    """A number as DHE has it."""
    octets = number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")
    return len(octets).to_bytes(2, "big") + octets


SIGNED = b"\x08\x04\x00\x03sig"


def test_a_curve_is_read() -> None:
    """The group, the point, and what is signed."""
    read = server_key_exchange(Exchange.ECDHE, b"\x03\x00\x1d\x02ab" + SIGNED)
    assert read == ServerKeyExchange(CurveShare(X25519, b"ab"), b"\x03\x00\x1d\x02ab", 0x0804, b"sig")


def test_a_field_is_read() -> None:
    """The prime, the generator and the server's number."""
    prime = int(MODP_1536, 16)
    parameters = vector(prime) + vector(2) + vector(9)
    read = server_key_exchange(Exchange.DHE, parameters + SIGNED)
    assert read == ServerKeyExchange(FieldShare(prime, 2, 9), parameters, 0x0804, b"sig")


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        (Exchange.ECDHE, b""),
        (Exchange.ECDHE, b"\x01\x00\x1d\x02ab" + SIGNED),
        (Exchange.ECDHE, b"\x03\x00\x1d\x00" + SIGNED),
        (Exchange.ECDHE, b"\x03\x00\x1d\x02ab"),
        (Exchange.ECDHE, b"\x03\x00\x1d\x02ab" + SIGNED + b"\0"),
        (Exchange.ECDHE, b"\x03\x00\x1d\x02ab" + SIGNED[:-1]),
        (Exchange.DHE, b""),
        (Exchange.DHE, vector((1 << 510) + 1) + vector(2) + vector(9) + SIGNED),
        (Exchange.DHE, vector((1 << MAX_PRIME) + 1) + vector(2) + vector(9) + SIGNED),
        (Exchange.DHE, vector(1 << 1024) + vector(2) + vector(9) + SIGNED),
        (Exchange.DHE, vector(int(MODP_1536, 16)) + vector(1) + vector(9) + SIGNED),
        (Exchange.DHE, vector(int(MODP_1536, 16)) + vector(2) + vector(1) + SIGNED),
        (Exchange.DHE, vector(int(MODP_1536, 16)) + vector(2) + vector(0) + SIGNED),
        (Exchange.DHE, vector(int(MODP_1536, 16)) + vector(2) + vector(int(MODP_1536, 16) - 1) + SIGNED),
        (Exchange.DHE, vector(int(MODP_1536, 16)) + vector(2) + vector(9)),
    ],
    ids=[
        "empty",
        "explicit curve",
        "no point",
        "no signature",
        "something after it",
        "signature cut",
        "empty field",
        "prime too short",
        "prime too long",
        "prime even",
        "generator 1",
        "number 1",
        "number 0",
        "number p-1",
        "field without signature",
    ],
)
def test_what_cannot_be_used_is_refused(exchange: Exchange, body: bytes) -> None:
    """A ServerKeyExchange that is no such message, or protects nothing."""
    with pytest.raises(Broken) as broken:
        server_key_exchange(exchange, body)
    assert broken.value.code is Code.TLS_MALFORMED


@given(body=st.binary(max_size=80), exchange=st.sampled_from([Exchange.ECDHE, Exchange.DHE]))
@settings(max_examples=200, deadline=None)
def test_any_key_exchange(body: bytes, exchange: Exchange) -> None:
    """Whatever octets come: a message, whose pieces are those of the octets, or Broken."""
    try:
        read = server_key_exchange(exchange, body)
    except Broken:
        return
    assert body.startswith(read.parameters)
    assert body.endswith(read.signature)


@pytest.mark.parametrize("group", [X25519, SECP256R1], ids=["held", "made anew"])
def test_a_curve_agrees(group: int) -> None:
    """With the key of the hello, or with a new one where it has none for the curve."""
    ours, theirs = make((X25519,)), make((group,))[group]
    secret, body = agree(CurveShare(group, theirs.public), ours)
    assert body[0] == len(body) - 1
    assert (body[1:] == ours[X25519].public) is (group == X25519)
    assert theirs.shared(body[1:]) == secret


def test_a_field_agrees() -> None:
    """Both have one secret; zeros in front of it are left away (RFC 5246 §8.1.2)."""
    prime, exponent = int(MODP_1536, 16), 0x1234567
    secret, body = agree(FieldShare(prime, 2, pow(2, exponent, prime)), {})
    assert int.from_bytes(body[:2], "big") == len(body) - 2 == 192
    assert int.from_bytes(secret, "big") == pow(int.from_bytes(body[2:], "big"), exponent, prime)
    assert secret[0] != 0


def test_numbers_are_never_the_same() -> None:
    """What we send is new each time."""
    share = FieldShare(int(MODP_1536, 16), 2, 9)
    sent = [agree(share, {})[1] for _ in range(4)]
    assert all(one != other for one, other in pairwise(sorted(sent)))


def test_the_longest_prime_takes_no_time() -> None:
    """A hostile server can make us work for less than half a second of this thread."""
    began = time.thread_time()
    agree(FieldShare((1 << MAX_PRIME) - 1, (1 << 8000) - 3, (1 << 8001) + 5), {})
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    "share",
    [
        CurveShare(X25519, bytes(32)),
        CurveShare(X25519, bytes(31)),
        CurveShare(SECP256R1, b"\x04" + bytes(64)),
        CurveShare(
            SECP256R1,
            ec.derive_private_key(7, ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        ),
        CurveShare(X25519MLKEM768, bytes(1120)),
        CurveShare(0x001E, bytes(56)),
    ],
    ids=["low order", "too short", "not on the curve", "compressed", "a hybrid", "unknown"],
)
def test_a_share_that_makes_no_secret(share: CurveShare) -> None:
    """Points that are none, and groups that TLS 1.2 does not have."""
    with pytest.raises(Broken):
        agree(share, make((X25519,)))


def test_numbers_that_make_no_secret() -> None:
    """A prime that is none: whatever we choose, the secret is 0."""
    root = (1 << 400) + 1
    with pytest.raises(Broken):
        agree(FieldShare(root * root, 2, root), {})


def test_a_premaster_secret_is_encrypted() -> None:
    """Version and 46 octets that are new each time, for the owner of the certificate's key alone."""
    key = rsa.generate_private_key(65537, 2048)
    found = set()
    for _ in range(2):
        premaster, body = encrypt_premaster(key.public_key())
        assert (len(premaster), premaster[:2]) == (48, b"\x03\x03")
        assert int.from_bytes(body[:2], "big") == len(body) - 2 == 256
        assert key.decrypt(body[2:], padding.PKCS1v15()) == premaster
        found.add(premaster)
    assert len(found) == 2


def test_only_rsa_encrypts_a_premaster_secret() -> None:
    """A certificate with another key cannot go with the RSA key exchange."""
    with pytest.raises(Broken):
        encrypt_premaster(ec.generate_private_key(ec.SECP256R1()).public_key())
