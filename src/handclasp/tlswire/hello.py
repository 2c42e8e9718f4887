"""The ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from handclasp.tlswire import messages
from handclasp.tlswire.offer import TLS12, TLS13, TLS13_CIPHERS, KeyShares, Offer
from handclasp.tlswire.verify import SCHEMES

_LEGACY_VERSION: Final = b"\x03\x03"
_NO_COMPRESSION: Final = b"\x01\x00"
_EMPTY_RENEGOTIATION: Final = b"\x00"
_UNCOMPRESSED: Final = b"\x01\x00"
_PSK_DHE: Final = b"\x01\x01"
_OCSP: Final = b"\x01\x00\x00\x00\x00"


def client_hello(
    offer: Offer, *, random: bytes, session_id: bytes, shares: KeyShares, retry_cookie: bytes | None = None
) -> bytes:
    """The body of a ClientHello.

    ``shares`` holds the keys for ``offer.shares``; after a HelloRetryRequest for those that it left over or asked for.
    ``session_id`` is empty or has 32 octets, which make TLS 1.3 look like a resumed 1.2 on the way (§4.1.2, D.4).
    """
    suites, before, after = _template(offer.versions, offer.ciphers, offer.groups, offer.alpn)
    extensions = [before]
    if offer.server_name is not None:
        extensions.append(_server_name(offer.server_name))
    if retry_cookie is not None:
        extensions.append(_extension(messages.COOKIE, _vector(2, retry_cookie)))
    if TLS13 in offer.versions:
        entries = b"".join(group.to_bytes(2, "big") + _vector(2, share.public) for group, share in shares.items())
        extensions.append(_extension(messages.KEY_SHARE, _vector(2, entries)))
    extensions.append(after)
    return b"".join((_LEGACY_VERSION, random, _vector(1, session_id), suites, _vector(2, b"".join(extensions))))


@lru_cache(maxsize=256)
def _template(
    versions: tuple[int, ...], ciphers: tuple[int, ...], groups: tuple[int, ...], alpn: tuple[str, ...]
) -> tuple[bytes, bytes, bytes]:
    """What is the same for many servers: the cipher suites, and the extensions before and after the others."""
    new, old = TLS13 in versions, any(version <= TLS12 for version in versions)
    suites = [cipher for cipher in ciphers if (new if cipher in TLS13_CIPHERS else old)]
    parts = []
    if old:
        parts.append(_extension(messages.EXTENDED_MASTER_SECRET, b""))
        parts.append(_extension(messages.RENEGOTIATION_INFO, _EMPTY_RENEGOTIATION))
        parts.append(_extension(messages.EC_POINT_FORMATS, _UNCOMPRESSED))
    parts.append(_extension(messages.SUPPORTED_GROUPS, _numbers(groups)))
    if alpn:
        names = b"".join(_vector(1, name.encode()) for name in alpn)
        parts.append(_extension(messages.ALPN, _vector(2, names)))
    parts.append(_extension(messages.STATUS_REQUEST, _OCSP))
    parts.append(_extension(messages.SIGNATURE_ALGORITHMS, _numbers(SCHEMES)))
    after = b""
    if new:
        wanted = b"".join(version.to_bytes(2, "big") for version in versions)
        parts.append(_extension(messages.SUPPORTED_VERSIONS, _vector(1, wanted)))
        after = _extension(messages.PSK_KEY_EXCHANGE_MODES, _PSK_DHE)
    return _numbers(suites) + _NO_COMPRESSION, b"".join(parts), after


def _server_name(name: str) -> bytes:
    """RFC 6066 §3: a list of one host_name."""
    return _extension(messages.SERVER_NAME, _vector(2, b"\x00" + _vector(2, name.encode())))


def _extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + _vector(2, content)


def _numbers(numbers: tuple[int, ...] | list[int]) -> bytes:
    return _vector(2, b"".join(number.to_bytes(2, "big") for number in numbers))


def _vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content
