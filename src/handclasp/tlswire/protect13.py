"""The protection of records in TLS 1.3 (RFC 8446 §5.2, §5.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from handclasp.tlswire.messages import malformed
from handclasp.tlswire.session import APPLICATION_DATA, MAX_PLAINTEXT

_TAG: Final = 16
_MAX_CIPHERTEXT: Final = MAX_PLAINTEXT + 256
_HEADER: Final = b"\x17\x03\x03"
_CHACHA20: Final = 0x1303


class Protection13:
    """One direction under one traffic secret. Its nonces count up and are never used twice."""

    __slots__ = ("_aead", "_count", "_iv")

    def __init__(self, cipher: int, key: bytes, iv: bytes) -> None:
        self._aead = ChaCha20Poly1305(key) if cipher == _CHACHA20 else AESGCM(key)
        self._iv = int.from_bytes(iv, "big")
        self._count = 0

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        """A TLSCiphertext without padding."""
        header = _HEADER + (len(plaintext) + 1 + _TAG).to_bytes(2, "big")
        nonce = (self._iv ^ self._count).to_bytes(12, "big")
        self._count += 1
        return header + self._aead.encrypt(nonce, plaintext + bytes((kind,)), header)

    def open(self, kind: int, header: bytes, payload: bytes) -> tuple[int, bytes]:
        """The type and the content inside a TLSCiphertext; padding is taken off."""
        if kind != APPLICATION_DATA:
            raise malformed("a record came in clear after the server had begun to encrypt", 10)
        if len(payload) > _MAX_CIPHERTEXT:
            raise malformed("a record is longer than TLS allows", 22)
        nonce = (self._iv ^ self._count).to_bytes(12, "big")
        self._count += 1
        try:
            inner = self._aead.decrypt(nonce, payload, header)
        except (InvalidTag, ValueError):
            raise malformed("a record was changed on the way, or is under another key", 20) from None
        content = inner.rstrip(b"\0")
        if not content:
            raise malformed("a record has no type inside", 10)
        if len(content) > MAX_PLAINTEXT + 1:
            raise malformed("a record is longer than TLS allows", 22)
        return content[-1], content[:-1]


class LaterProtection:
    """A protection whose keys are made at the first use: most probes end without it."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Protection13]) -> None:
        """``make`` must not lead back to who holds this, or both stay in memory until the collector comes."""
        self._make = make
        self._made: Protection13 | None = None

    def _now(self) -> Protection13:
        if self._made is None:
            self._made = self._make()
        return self._made

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        """As Protection13."""
        return self._now().seal(kind, plaintext)

    def open(self, kind: int, header: bytes, payload: bytes) -> tuple[int, bytes]:
        """As Protection13."""
        return self._now().open(kind, header, payload)
