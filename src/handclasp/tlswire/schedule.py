"""The key schedule of TLS 1.3 (RFC 8446 §7.1), from the shared secret down, without a pre-shared key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256, SHA384, Hash
from cryptography.hazmat.primitives.hmac import HMAC

HASHES: Final = {0x1301: hashlib.sha256, 0x1302: hashlib.sha384, 0x1303: hashlib.sha256}
"""The hash of each cipher suite, for transcripts."""
KEY_LENGTHS: Final = {0x1301: 16, 0x1302: 32, 0x1303: 32}
IV_LENGTH: Final = 12


def label(name: str, length: int, context: int) -> bytes:
    """The start of an HkdfLabel, before a context of so many octets (RFC 8446 §7.1)."""
    whole = b"tls13 " + name.encode()
    return length.to_bytes(2, "big") + bytes((len(whole),)) + whole + bytes((context,))


def _whole(name: str, length: int) -> bytes:
    """What is expanded with a label that has no context: the HkdfLabel, and the number of the first block."""
    return label(name, length, 0) + b"\x01"


class Secret:
    """A secret from which others are expanded; its HMAC is prepared once (RFC 5869 §2.3)."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes, algorithm: SHA256 | SHA384) -> None:
        self._keyed = HMAC(secret, algorithm)

    def expand(self, info: bytes) -> bytes:
        """HKDF-Expand to one block of the hash, which is enough for all that TLS 1.3 needs; ``info`` is the HkdfLabel
        and the block's number, 1."""
        mac = self._keyed.copy()
        mac.update(info)
        return mac.finalize()


def extract(salt: bytes, secret: bytes, algorithm: SHA256 | SHA384) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2)."""
    mac = HMAC(salt, algorithm)
    mac.update(secret)
    return mac.finalize()


@dataclass(frozen=True, slots=True)
class _Labels:
    """What depends on the hash alone. ``early_derived`` is the salt of the handshake secret without a pre-shared key,
    ``derived`` the whole HkdfLabel of the next salts."""

    algorithm: SHA256 | SHA384
    early_derived: bytes
    derived: bytes
    handshake_client: bytes
    handshake_server: bytes
    application_client: bytes
    application_server: bytes
    finished: bytes
    update: bytes
    zeros: bytes


def _labels(algorithm: SHA256 | SHA384) -> _Labels:
    length = algorithm.digest_size
    zeros = bytes(length)
    derived = label("derived", length, length) + Hash(algorithm).finalize() + b"\x01"
    return _Labels(
        algorithm,
        Secret(extract(zeros, zeros, algorithm), algorithm).expand(derived),
        derived,
        label("c hs traffic", length, length),
        label("s hs traffic", length, length),
        label("c ap traffic", length, length),
        label("s ap traffic", length, length),
        _whole("finished", length),
        _whole("traffic upd", length),
        zeros,
    )


_SHA256, _SHA384 = _labels(SHA256()), _labels(SHA384())
_LABELS: Final = {0x1301: _SHA256, 0x1302: _SHA384, 0x1303: _SHA256}
_KEYS: Final = {length: _whole("key", length) for length in (16, 32)}
_IV: Final = _whole("iv", IV_LENGTH)


class Schedule:
    """The secrets of one handshake. Transcript hashes are those that RFC 8446 §7.1 names beside each secret."""

    __slots__ = ("_key_info", "_key_length", "_labels", "_secret", "client", "server")

    def __init__(self, cipher: int, shared: bytes, hello_hash: bytes) -> None:
        """``hello_hash`` is over ClientHello...ServerHello; ``client`` and ``server`` are the handshake's secrets."""
        self._labels = labels = _LABELS[cipher]
        self._key_length = KEY_LENGTHS[cipher]
        self._key_info = _KEYS[self._key_length]
        self._secret = Secret(extract(labels.early_derived, shared, labels.algorithm), labels.algorithm)
        self.client = self._traffic(labels.handshake_client, hello_hash)
        self.server = self._traffic(labels.handshake_server, hello_hash)

    def advance(self) -> None:
        """From the handshake secret to the master secret."""
        labels = self._labels
        salt = self._secret.expand(labels.derived)
        self._secret = Secret(extract(salt, labels.zeros, labels.algorithm), labels.algorithm)

    def application_client(self, finished_hash: bytes) -> Secret:
        """client_application_traffic_secret_0, over ClientHello...server Finished."""
        return self._traffic(self._labels.application_client, finished_hash)

    def application_server(self, finished_hash: bytes) -> Secret:
        """server_application_traffic_secret_0, over ClientHello...server Finished."""
        return self._traffic(self._labels.application_server, finished_hash)

    def keys(self, secret: Secret) -> tuple[bytes, bytes]:
        """The key and the IV of a traffic secret (RFC 8446 §7.3)."""
        return secret.expand(self._key_info)[: self._key_length], secret.expand(_IV)[:IV_LENGTH]

    def update(self, secret: Secret) -> Secret:
        """The traffic secret that follows after a KeyUpdate (RFC 8446 §7.2)."""
        return Secret(secret.expand(self._labels.update), self._labels.algorithm)

    def finished(self, secret: Secret, transcript_hash: bytes) -> bytes:
        """verify_data of the Finished of the side that has this secret (RFC 8446 §4.4.4)."""
        return extract(secret.expand(self._labels.finished), transcript_hash, self._labels.algorithm)

    def _traffic(self, info: bytes, transcript_hash: bytes) -> Secret:
        return Secret(self._secret.expand(info + transcript_hash + b"\x01"), self._labels.algorithm)
