"""The protection of records in TLS 1.2: AES-GCM (RFC 5288), ChaCha20-Poly1305 (RFC 7905) and, to look at servers that
have nothing better, AES-CBC with HMAC (RFC 5246 §6.2.3.2)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from handclasp.tlswire.messages import malformed
from handclasp.tlswire.prf12 import Keys
from handclasp.tlswire.session import MAX_PLAINTEXT, Broken, Protection

_TAG, _BLOCK, _EXPLICIT = 16, 16, 8


@dataclass(frozen=True, slots=True)
class Bulk:
    """How a cipher suite protects records. Lengths in octets; ``mac`` is 0 with an AEAD."""

    name: str
    key: int
    iv: int
    make: Callable[[bytes, bytes, bytes], Protection]
    """Of key, IV (AEAD) and MAC key (CBC)."""
    mac: int = 0

    def client(self, keys: Keys) -> Protection:
        """For what we send."""
        return self.make(keys.client_key, keys.client_iv, keys.client_mac)

    def server(self, keys: Keys) -> Protection:
        """For what the server sends."""
        return self.make(keys.server_key, keys.server_iv, keys.server_mac)


class GCM:
    """AES-GCM with the explicit half of the nonce in each record; ours is the sequence number (RFC 5288 §3)."""

    __slots__ = ("_aead", "_salt", "_sequence")

    def __init__(self, key: bytes, iv: bytes, _mac: bytes) -> None:
        self._aead = AESGCM(key)
        self._salt = iv
        self._sequence = 0

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        sequence = self._sequence.to_bytes(8, "big")
        self._sequence += 1
        sealed = self._aead.encrypt(self._salt + sequence, plaintext, _about(sequence, kind, len(plaintext)))
        return _header(kind, _EXPLICIT + len(sealed)) + sequence + sealed

    def open(self, kind: int, header: bytes, payload: bytes) -> tuple[int, bytes]:
        length = len(payload) - _EXPLICIT - _TAG
        about = _about(_next(self._sequence, header, length), kind, length)
        self._sequence += 1
        try:
            return kind, self._aead.decrypt(self._salt + payload[:_EXPLICIT], payload[_EXPLICIT:], about)
        except InvalidTag:
            raise _tampered() from None


class ChaCha:
    """ChaCha20-Poly1305; the nonce is the IV XORed with the sequence number (RFC 7905 §2)."""

    __slots__ = ("_aead", "_iv", "_sequence")

    def __init__(self, key: bytes, iv: bytes, _mac: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._iv = int.from_bytes(iv, "big")
        self._sequence = 0

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
        about = _about(self._sequence.to_bytes(8, "big"), kind, len(plaintext))
        self._sequence += 1
        sealed = self._aead.encrypt(nonce, plaintext, about)
        return _header(kind, len(sealed)) + sealed

    def open(self, kind: int, header: bytes, payload: bytes) -> tuple[int, bytes]:
        length = len(payload) - _TAG
        about = _about(_next(self._sequence, header, length), kind, length)
        nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
        self._sequence += 1
        try:
            return kind, self._aead.decrypt(nonce, payload, about)
        except InvalidTag:
            raise _tampered() from None


class CBC:
    """AES-CBC with HMAC, MAC then encrypt, an IV in each record (RFC 5246 §6.2.3.2).

    For reading servers that have nothing better, where no secret is sent: its timing tells padding from MAC faults
    (as in Lucky Thirteen), which only matters where something in the records is worth guessing. A flight with a
    credential refuses these ciphers.
    """

    __slots__ = ("_hash_name", "_key", "_mac", "_mac_length", "_sequence")

    def __init__(self, hash_name: str, key: bytes, mac: bytes) -> None:
        self._hash_name = hash_name
        self._key = algorithms.AES(key)
        self._mac = mac
        self._mac_length = len(mac)
        self._sequence = 0

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        sequence = self._sequence.to_bytes(8, "big")
        self._sequence += 1
        about = _about(sequence, kind, len(plaintext))
        inner = plaintext + hmac.digest(self._mac, about + plaintext, self._hash_name)
        padding = _BLOCK - 1 - len(inner) % _BLOCK
        inner += bytes((padding,)) * (padding + 1)
        # Nobody without the MAC key can foresee it, and no MAC is over input this short (13 octets at least).
        iv = hmac.digest(self._mac, sequence, self._hash_name)[:_BLOCK]
        encryptor = Cipher(self._key, modes.CBC(iv)).encryptor()
        sealed = iv + encryptor.update(inner) + encryptor.finalize()
        return _header(kind, len(sealed)) + sealed

    def open(self, kind: int, header: bytes, payload: bytes) -> tuple[int, bytes]:
        if len(payload) % _BLOCK or len(payload) < _BLOCK + self._mac_length + 1:
            raise _tampered()
        decryptor = Cipher(self._key, modes.CBC(payload[:_BLOCK])).decryptor()
        inner = decryptor.update(payload[_BLOCK:]) + decryptor.finalize()
        padding = inner[-1]
        length = len(inner) - 1 - padding - self._mac_length
        if inner[-1 - padding :] != bytes((padding,)) * (padding + 1):
            raise _tampered()
        plaintext = inner[:length]
        about = _about(_next(self._sequence, header, length), kind, length)
        self._sequence += 1
        expected = hmac.digest(self._mac, about + plaintext, self._hash_name)
        if not hmac.compare_digest(expected, inner[length : length + self._mac_length]):
            raise _tampered()
        return kind, plaintext


def _cbc(hash_name: str) -> Callable[[bytes, bytes, bytes], Protection]:
    return lambda key, _iv, mac: CBC(hash_name, key, mac)


AES128_GCM: Final = Bulk("AES-128-GCM", 16, 4, GCM)
AES256_GCM: Final = Bulk("AES-256-GCM", 32, 4, GCM)
CHACHA20: Final = Bulk("ChaCha20-Poly1305", 32, 12, ChaCha)
AES128_SHA1: Final = Bulk("AES-128-CBC with SHA-1", 16, 0, _cbc("sha1"), mac=20)
AES256_SHA1: Final = Bulk("AES-256-CBC with SHA-1", 32, 0, _cbc("sha1"), mac=20)
AES128_SHA256: Final = Bulk("AES-128-CBC with SHA-256", 16, 0, _cbc("sha256"), mac=32)
AES256_SHA256: Final = Bulk("AES-256-CBC with SHA-256", 32, 0, _cbc("sha256"), mac=32)
AES256_SHA384: Final = Bulk("AES-256-CBC with SHA-384", 32, 0, _cbc("sha384"), mac=48)


def _header(kind: int, length: int) -> bytes:
    return bytes((kind, 3, 3)) + length.to_bytes(2, "big")


def _about(sequence: bytes, kind: int, length: int) -> bytes:
    """What is authenticated beside the plaintext (RFC 5246 §6.2.3.3)."""
    return sequence + bytes((kind, 3, 3)) + length.to_bytes(2, "big")


def _next(sequence: int, header: bytes, length: int) -> bytes:
    """The sequence number as octets. Raises Broken for a length that no record has, and another version."""
    if not 0 <= length <= MAX_PLAINTEXT:
        raise malformed("a protected record of a length that cannot be", 22)
    if header[1:3] != b"\x03\x03":
        raise malformed("a protected record of another version of TLS", 70)
    return sequence.to_bytes(8, "big")


def _tampered() -> Broken:
    return malformed("a protected record does not open: it was changed on the way, or sealed with other keys", 20)
