"""What our ClientHello offers, and the keys that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

TLS12, TLS13 = 0x0303, 0x0304
X25519, SECP256R1, SECP384R1, SECP521R1 = 0x001D, 0x0017, 0x0018, 0x0019
X25519MLKEM768 = 0x11EC
CLASSICAL = (X25519, SECP256R1, SECP384R1, SECP521R1)

TLS13_CIPHERS = (0x1301, 0x1302, 0x1303)
"""AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305 (RFC 8446 §B.4)."""
SAFE_CIPHERS = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
"""TLS 1.2: ECDHE with an AEAD; all that is offered where a credential may be shown."""
OLD_CIPHERS = (
    *(0x009E, 0x009F, 0xCCAA, 0xC023, 0xC027, 0xC024, 0xC028, 0xC009, 0xC013, 0xC00A, 0xC014),
    *(0x0033, 0x0039, 0x0067, 0x006B, 0x009C, 0x009D, 0x003C, 0x003D, 0x002F, 0x0035),
)
"""DHE, CBC and RSA key exchange: offered only where nothing secret is sent, to see servers that have nothing better."""

FALLBACK_SCSV = 0x5600
"""No cipher: says that this hello offers less than we know, so that a server that knows more breaks off (RFC 7507)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one hello offers. ``server_name`` is None where there is no name to send (an address).

    ``groups`` in order of preference; ``shares`` are those of them that a key share is sent for (ML-KEM only where
    X25519MLKEM768 is among them).
    """

    server_name: str | None
    versions: tuple[int, ...] = (TLS13, TLS12)
    ciphers: tuple[int, ...] = TLS13_CIPHERS + SAFE_CIPHERS + OLD_CIPHERS
    groups: tuple[int, ...] = CLASSICAL
    shares: tuple[int, ...] = (X25519,)
    alpn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """A client certificate and the way to sign with its key. ``chain`` is DER, leaf first.

    ``schemes`` are the SignatureScheme code points that the key can make, best first; ``sign(data, scheme)`` returns
    the signature in the form that TLS has it.
    """

    chain: tuple[bytes, ...]
    schemes: tuple[int, ...]
    sign: Callable[[bytes, int], bytes]


class KeyShare(Protocol):
    """The private half of one key exchange."""

    @property
    def public(self) -> bytes:
        """What is sent: a KeyShareEntry's key_exchange (RFC 8446 §4.2.8), which is TLS 1.2's ECPoint too."""

    def shared(self, peer: bytes) -> bytes:
        """The shared secret with what the server sent. Raises Broken (TLS_MALFORMED) where that is no point."""


KeyShares = Mapping[int, KeyShare]
"""Private keys by group, made by ``tlswire.exchange.make``. May be used for many hellos where nothing secret is
sent."""
