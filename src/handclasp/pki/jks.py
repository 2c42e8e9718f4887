"""Java's old key stores: JKS and JCEKS.

Their form is in no standard, but in OpenJDK (sun.security.provider.JavaKeyStore and KeyProtector;
com.sun.crypto.provider.JceKeyStore and its KeyProtector): numbers are big-endian, text is modified UTF-8 with a length
of two octets. A store is a magic number, a version, the entries, and a SHA-1 digest of all that under the passphrase.
Certificates are in clear; each private key is an EncryptedPrivateKeyInfo, by one of two ciphers of Java's own.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from handclasp.pki import ber
from handclasp.pki.pbe import Budget, Unopenable, WrongPassphrase
from handclasp.pki.pkcs12 import Bag, Bags

MAGIC: Final = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}
MAX_ENTRIES: Final = 20_000

_KEY, _CERTIFICATE, _SECRET = 1, 2, 3
_WHITENER: Final = b"Mighty Aphrodite"
_DIGEST: Final = 20  # octets of SHA-1
_JKS_PROTECTION: Final = "1.3.6.1.4.1.42.2.17.1.1"
_JCEKS_PROTECTION: Final = "1.3.6.1.4.1.42.2.19.1"
_X509: Final = frozenset({"X.509", "X509"})


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int = 0

    def take(self, length: int) -> bytes:
        if length < 0 or length > len(self.data) - self.at:
            raise ValueError("the key store is cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self) -> int:
        return int(struct.unpack(">I", self.take(4))[0])

    def text(self) -> str:
        (length,) = struct.unpack(">H", self.take(2))
        return self.take(length).decode("utf-8", "replace")

    def octets(self) -> bytes:
        return self.take(self.number())


def decode(data: bytes, passphrase: bytes | None, budget: Budget | None = None) -> Bags:
    """What a JKS or JCEKS file holds, in its order; entries of trusted certificates are ``trusted``.

    Without a passphrase the keys are ``locked`` and the digest is not looked at. Raises WrongPassphrase where the
    passphrase is not the store's or not a key's (which may have another), pbe.Unopenable where a key asks for too much
    work, and ValueError for what is no such store.
    """
    kind = MAGIC.get(data[:4])
    if kind is None:
        raise ValueError("it is no key store of Java")
    secret = None if passphrase is None else _utf16(passphrase)
    if secret is not None and not _is_whole(data, secret):
        raise WrongPassphrase("the passphrase does not open the key store, or it is damaged")
    bags, budget = Bags(), budget or Budget()
    reader = _Reader(data, 4)
    version = reader.number()
    if version not in (1, 2):
        raise ValueError(f"its version is {version}, and 1 and 2 are known")
    count = reader.number()
    if count > MAX_ENTRIES:
        raise ValueError(f"it says that it holds {count} entries, and {MAX_ENTRIES} are the most")
    for _ in range(count):
        entry, name = reader.number(), reader.text()
        reader.take(8)  # when it was made
        if entry == _KEY:
            protected = reader.octets()
            bags.keys.append(_opened(protected, name, secret, passphrase, budget))
            for position, der in enumerate(_chain(reader, version)):
                bags.certificates.append(Bag(der, None if position else name))
        elif entry == _CERTIFICATE:
            bags.certificates.append(Bag(_certificate(reader, version), name, trusted=True))
        elif entry == _SECRET and kind == "JCEKS":
            # A serialized Java object without a length: what stands behind it cannot be found.
            bags.others.append(f"a secret key named {name}, which is not read here, and perhaps more behind it")
            return bags
        else:
            raise ValueError(f"an entry is of the kind {entry}, which is not known")
        if len(bags.certificates) > MAX_ENTRIES:
            raise ValueError(f"it holds more than {MAX_ENTRIES} certificates")
    if len(data) - reader.at < _DIGEST:
        raise ValueError("the key store is cut off")
    return bags


def _chain(reader: _Reader, version: int) -> Iterator[bytes]:
    count = reader.number()
    if count > MAX_ENTRIES:
        raise ValueError(f"a chain says that it has {count} certificates")
    for _ in range(count):
        yield _certificate(reader, version)


def _certificate(reader: _Reader, version: int) -> bytes:
    """Version 2 says before each of which kind it is; version 1 knew X.509 only."""
    if version == 2 and (kind := reader.text()) not in _X509:
        raise ValueError(f"a certificate is of the kind {kind[:40]!r}, which is not read here")
    return reader.octets()


def _is_whole(data: bytes, secret: bytes) -> bool:
    """Whether the digest at the end is that of the store under this passphrase."""
    digest = hashlib.sha1(secret + _WHITENER + data[:-_DIGEST], usedforsecurity=False).digest()
    return hmac.compare_digest(digest, data[-_DIGEST:])


def _utf16(passphrase: bytes) -> bytes:
    """As Java hashes a passphrase: two octets for each of its characters."""
    try:
        return passphrase.decode("utf-8").encode("utf-16-be")
    except UnicodeDecodeError:
        return passphrase.decode("latin-1").encode("utf-16-be")


def _opened(protected: bytes, name: str, secret: bytes | None, passphrase: bytes | None, budget: Budget) -> Bag:
    """A key as a PrivateKeyInfo, or as it is and ``locked`` where there is no passphrase."""
    if secret is None or passphrase is None:
        return Bag(protected, name, locked=True, encrypted=True)
    algorithm, encrypted = ber.children(ber.one(protected))[:2]
    parts = ber.children(algorithm)
    kind = ber.oid(parts[0])
    if kind == _JKS_PROTECTION:
        plain = _by_stream(ber.octets(encrypted), secret)
    elif kind == _JCEKS_PROTECTION and len(parts) > 1:
        plain = _by_triple_des(parts[1], ber.octets(encrypted), passphrase, budget)
    else:
        raise Unopenable("a private key is encrypted in a way that is not read here")
    return Bag(plain, name, encrypted=True)


def _by_stream(data: bytes, secret: bytes) -> bytes:
    """KeyProtector of JKS: 20 octets of salt, the key under a stream of SHA-1 digests, and a digest of the key."""
    salt, covered, check = data[:_DIGEST], data[_DIGEST:-_DIGEST], data[-_DIGEST:]
    if len(data) <= 2 * _DIGEST:
        raise ValueError("a private key is cut off")
    if len(covered) > 1 << 16:
        raise Unopenable("a private key is larger than 64 kB")
    stream, block = b"", salt
    while len(stream) < len(covered):
        block = hashlib.sha1(secret + block, usedforsecurity=False).digest()
        stream += block
    plain = bytes(one ^ other for one, other in zip(covered, stream, strict=False))
    if not hmac.compare_digest(hashlib.sha1(secret + plain, usedforsecurity=False).digest(), check):
        _wrong()
    return plain


def _by_triple_des(parameters: ber.Node, data: bytes, passphrase: bytes, budget: Budget) -> bytes:
    """KeyProtector of JCEKS, PBEWithMD5AndTripleDES: each half of the salt digested with the passphrase, round upon
    round, gives 16 octets: together three DES keys and the first block. Two equal halves are made different first."""
    salt_node, rounds_node = ber.children(parameters)[:2]
    salt, rounds = ber.octets(salt_node), ber.integer(rounds_node)
    if len(salt) != 8:
        raise ValueError("the salt of a private key has not 8 octets")
    budget.spend(rounds)
    budget.spend(rounds)
    first, second = salt[:4], salt[4:]
    if first == second:
        # What OpenJDK's code does, not what its comment says: the first octet is put last, the next two stay.
        first = bytes((first[3], first[0], first[1], first[3]))
    derived = b""
    for half in (first, second):
        block = half
        for _ in range(rounds):
            block = hashlib.md5(block + passphrase, usedforsecurity=False).digest()
        derived += block
    if not data or len(data) % 8:
        raise ValueError("a private key is cut off")
    decryptor = Cipher(TripleDES(derived[:24]), CBC(derived[24:])).decryptor()
    padded = decryptor.update(data) + decryptor.finalize()
    unpadder = PKCS7(64).unpadder()
    try:
        plain = unpadder.update(padded) + unpadder.finalize()
        ber.children(ber.one(plain))  # a wrong passphrase has the right padding once in 256 times
    except ValueError:
        _wrong()
    return plain


def _wrong() -> NoReturn:
    raise WrongPassphrase("the passphrase opens the key store, but not the key in it") from None
