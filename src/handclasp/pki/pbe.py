"""Opening what a passphrase encrypted: PBES2 (RFC 8018 §6.2), and the old schemes of PKCS#12 (RFC 7292 App. B, C).

The rounds that a file asks for are read and paid from a budget before any are done: a file cannot make us work
for hours. RC2 with 40 bits and RC2 in PBES2 are not here, because the library's RC2 only takes 128 bits.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from handclasp.pki import ber, der
from handclasp.pki.ber import Node

MAX_ROUNDS = 5_000_000  # a few seconds; the most that is in use is 600,000 for each key
MAX_SCRYPT = 512 << 20  # bytes of memory

PBES2 = "1.2.840.113549.1.5.13"
RC2_40 = "1.2.840.113549.1.12.1.6"
_PBKDF2 = "1.2.840.113549.1.5.12"
_PBMAC1 = "1.2.840.113549.1.5.14"
_SCRYPT = "1.3.6.1.4.1.11591.4.11"
_PKCS5 = "1.2.840.113549.1.5."
_PKCS12 = "1.2.840.113549.1.12.1."
_HMACS = {f"1.2.840.113549.2.{n}": name for n, name in enumerate(("sha1", "sha224", "sha256", "sha384", "sha512"), 7)}
_HASHES = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_CIPHERS: dict[str, tuple[Callable[[bytes], AES | TripleDES], int]] = {
    "2.16.840.1.101.3.4.1.2": (AES, 16),
    "2.16.840.1.101.3.4.1.22": (AES, 24),
    "2.16.840.1.101.3.4.1.42": (AES, 32),
    "1.2.840.113549.3.7": (TripleDES, 24),
}
_KEY, _IV, _MAC = 1, 2, 3  # what is derived, RFC 7292 App. B.3


class WrongPassphrase(ValueError):
    """The passphrase does not open it, or it is damaged: the two cannot be told apart."""


class Unopenable(ValueError):
    """Encrypted in a way that is not read here, or that asks for too much work; the message says which."""


@dataclass(slots=True)
class Budget:
    """What may still be spent on deriving keys for one file, in rounds of a hash."""

    rounds: int = MAX_ROUNDS

    def spend(self, rounds: int) -> None:
        """Raises Unopenable where more is asked for than is left."""
        if rounds < 1:
            raise Unopenable("it asks for a number of rounds that is not positive")
        if rounds > self.rounds:
            raise Unopenable(
                f"it asks for {rounds if rounds < 1 << 64 else 'endless'} rounds of key derivation, too many"
            )
        self.rounds -= rounds


def pay(algorithm: Node, budget: Budget) -> str:
    """Spend what an encryption of this AlgorithmIdentifier costs to open; returns its OID. Raises ValueError."""
    parts = ber.children(algorithm)
    kind = ber.oid(parts[0])
    if kind == PBES2:
        derivation = ber.children(parts[1])[0]
        if ber.oid(ber.children(derivation)[0]) == _SCRYPT:
            _scrypt_cost(ber.children(ber.children(derivation)[1]), budget)
        else:
            _, rounds, _, _ = _pbkdf2_parameters(derivation)
            budget.spend(rounds)
    elif kind.startswith((_PKCS12, _PKCS5)):
        budget.spend(3 * ber.integer(ber.children(parts[1])[1]))  # two blocks for a key, one for the vector
    else:
        raise Unopenable(f"it is encrypted by {kind}, which is not read here")
    return kind


def decrypt(algorithm: Node, passphrase: bytes | None, data: bytes, budget: Budget) -> bytes:
    """``data`` decrypted by an AlgorithmIdentifier with a passphrase (UTF-8; None: none at all, not an empty one).

    Raises WrongPassphrase, Unopenable, and ValueError for an identifier that cannot be read.
    """
    kind = pay(algorithm, budget)
    parameters = ber.children(algorithm)[1]
    if kind == PBES2:
        return _pbes2(ber.children(parameters), passphrase or b"", data)
    salt, rounds = (ber.octets(ber.children(parameters)[0]), ber.integer(ber.children(parameters)[1]))
    number = kind.removeprefix(_PKCS12)
    if number not in ("1", "2", "3", "4", "5"):
        raise Unopenable(f"it is encrypted by {kind}, which is not read here")
    size = {"1": 16, "2": 5, "3": 24, "4": 16, "5": 16}[number]
    secret = _bmp(passphrase)
    key = _derive("sha1", _KEY, secret, salt, rounds, size)
    if number in ("1", "2"):
        return Cipher(ARC4(key), None).decryptor().update(data)
    vector = _derive("sha1", _IV, secret, salt, rounds, 8)
    return _cbc(RC2(key) if number == "5" else TripleDES(key if size == 24 else key + key[:8]), vector, data)


def check_mac(mac: Node, passphrase: bytes | None, data: bytes, budget: Budget) -> bool:
    """Whether the MacData of a PKCS#12 file (RFC 7292 §4, RFC 9579) is that of ``data`` under this passphrase."""
    parts = ber.children(mac)
    algorithm, digest = ber.children(parts[0])[:2]
    identifier = ber.children(algorithm)
    kind = ber.oid(identifier[0])
    if kind == _PBMAC1:
        derivation, scheme = ber.children(identifier[1])[:2]
        salt, rounds, size, prf = _pbkdf2_parameters(derivation)
        budget.spend(rounds)
        name = _HMACS.get(ber.oid(ber.children(scheme)[0]))
        if name is None or size is None:
            raise Unopenable("its MAC is of a kind that is not read here")
        key = hashlib.pbkdf2_hmac(prf, passphrase or b"", salt, rounds, size)
    else:
        name = _HASHES.get(kind)
        if name is None:
            raise Unopenable(f"its MAC uses the hash {kind}, which is not read here")
        rounds = ber.integer(parts[2]) if len(parts) > 2 else 1
        budget.spend(rounds)
        key = _derive(name, _MAC, _bmp(passphrase), ber.octets(parts[1]), rounds, hashlib.new(name).digest_size)
    return hmac.compare_digest(hmac.new(key, data, name).digest(), ber.octets(digest))


def mac(passphrase: bytes | None, data: bytes) -> bytes:
    """The DER of a MacData that check_mac() takes: SHA-1 and one round, for files that never leave this process."""
    salt = bytes(8)
    value = hmac.new(_derive("sha1", _MAC, _bmp(passphrase), salt, 1, 20), data, "sha1").digest()
    sha1 = der.encode(ber.SEQUENCE, bytes.fromhex("06052b0e03021a0500"))
    digest = der.encode(ber.SEQUENCE, sha1 + der.encode(ber.OCTET_STRING, value))
    return der.encode(ber.SEQUENCE, digest + der.encode(ber.OCTET_STRING, salt))


def _pbes2(parameters: tuple[Node, ...], passphrase: bytes, data: bytes) -> bytes:
    derivation, scheme = parameters[:2]
    cipher_oid = ber.oid(ber.children(scheme)[0])
    if cipher_oid not in _CIPHERS:
        raise Unopenable(f"it is encrypted with the cipher {cipher_oid}, which is not read here")
    cipher, size = _CIPHERS[cipher_oid]
    vector = ber.octets(ber.children(scheme)[1])
    kind, settings = ber.children(derivation)[:2]
    if ber.oid(kind) == _SCRYPT:
        salt, cost, block, parallel = ber.children(settings)[:4]
        n, r, p = ber.integer(cost), ber.integer(block), ber.integer(parallel)
        key = hashlib.scrypt(passphrase, salt=ber.octets(salt), n=n, r=r, p=p, dklen=size, maxmem=2 * MAX_SCRYPT)
    else:
        salt_, rounds, _, prf = _pbkdf2_parameters(derivation)
        key = hashlib.pbkdf2_hmac(prf, passphrase, salt_, rounds, size)
    return _cbc(cipher(key), vector, data)


def _scrypt_cost(settings: tuple[Node, ...], budget: Budget) -> None:
    n, r, p = (ber.integer(node) for node in settings[1:4])
    if min(n, r, p) < 1 or 128 * n * r > MAX_SCRYPT:
        raise Unopenable("it asks for more memory to derive its key than is given")
    budget.spend(max(1, n * r * p // 4))  # a block of scrypt takes about a quarter of a round of PBKDF2


def _pbkdf2_parameters(derivation: Node) -> tuple[bytes, int, int | None, str]:
    """Salt, rounds, length of the key if said, and the hash (RFC 8018 App. A.2)."""
    kind, settings = ber.children(derivation)[:2]
    if ber.oid(kind) != _PBKDF2:
        raise Unopenable(f"its key is derived by {ber.oid(kind)}, which is not read here")
    salt, rounds, *others = ber.children(settings)
    size, prf = None, "sha1"
    for other in others:
        if other.tag == ber.INTEGER:
            size = ber.integer(other)
        else:
            name = _HMACS.get(ber.oid(ber.children(other)[0]))
            if name is None:
                raise Unopenable("its key is derived with a hash that is not read here")
            prf = name
    if size is not None and not 1 <= size <= 64:
        raise Unopenable("it asks for a key of a strange length")
    return ber.octets(salt), ber.integer(rounds), size, prf


def _cbc(cipher: AES | TripleDES | RC2, vector: bytes, data: bytes) -> bytes:
    decryptor = Cipher(cipher, CBC(vector)).decryptor()  # ValueError for a vector of another length
    unpadder = PKCS7(len(vector) * 8).unpadder()
    try:
        plain = decryptor.update(data) + decryptor.finalize()
        return unpadder.update(plain) + unpadder.finalize()
    except ValueError:
        raise WrongPassphrase("the passphrase does not open it") from None


def _bmp(passphrase: bytes | None) -> bytes:
    """The passphrase as a BMPString with its end (RFC 7292 App. B.1); nothing at all for None."""
    if passphrase is None:
        return b""
    return passphrase.decode("utf-8", "surrogateescape").encode("utf-16-be", "surrogatepass") + b"\x00\x00"


def _derive(name: str, purpose: int, secret: bytes, salt: bytes, rounds: int, size: int) -> bytes:
    """RFC 7292 App. B.2, whose letters are used here; the rounds are paid for by the caller."""
    block = hashlib.new(name).block_size

    def filled(text: bytes) -> bytes:
        length = block * -(-len(text) // block)
        return (text * (length // len(text) + 1))[:length] if text else b""

    d, i, a = bytes([purpose]) * block, filled(salt) + filled(secret), b""
    digest = getattr(hashlib, name)
    while len(a) < size:
        ai = digest(d + i).digest()
        for _ in range(rounds - 1):
            ai = digest(ai).digest()
        a += ai
        b = int.from_bytes((ai * (block // len(ai) + 1))[:block], "big") + 1
        i = b"".join(
            (int.from_bytes(i[at : at + block], "big") + b).to_bytes(block + 1, "big")[1:]
            for at in range(0, len(i), block)
        )
    return a[:size]
