"""The ClientHello as a stranger sent it (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2, RFC 6066 §3, RFC 7301)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from handclasp.tlswire import messages
from handclasp.tlswire.messages import Reader

_EARLY_DATA, _PRE_SHARED_KEY, _POST_HANDSHAKE_AUTH = 42, 41, 49
_HOST_NAME: Final = 0
_TLS12: Final = 0x0303
_SIGNALS: Final = frozenset({0x00FF, 0x5600})
"""No cipher suites, though in their list: TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV (RFC 5746, RFC 7507)."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers. Numbers as on the wire, without those that only test tolerance (RFC 8701).

    ``versions`` highest first; from the old field where there is no supported_versions. ``name`` is the SNI, None where
    none was sent. ``early``: it sends data before the handshake; ``resumes``: it offers a pre-shared key.
    """

    versions: tuple[int, ...]
    ciphers: tuple[int, ...]
    groups: tuple[int, ...]
    shares: tuple[int, ...]
    schemes: tuple[int, ...]
    alpn: tuple[str, ...]
    name: str | None
    early: bool
    resumes: bool
    later: bool
    """It can be asked for a certificate after the handshake (post_handshake_auth)."""


def client_hello(body: bytes) -> ClientHello:
    """The message without its header. Raises Broken (TLS_MALFORMED) for what has not the form of the RFC."""
    reader = Reader(body, "the ClientHello")
    version = reader.number(2)
    reader.take(32)
    reader.vector(1)
    ciphers = tuple(one for one in _numbers(reader.vector(2)) if one not in _SIGNALS)
    reader.vector(1)
    found = messages.extensions(reader.vector(2), reader.what) if reader.left else {}
    versions = _numbers(_vector(found.get(messages.SUPPORTED_VERSIONS), 1))
    return ClientHello(
        versions=tuple(sorted(versions, reverse=True)) or (min(version, _TLS12),),
        ciphers=ciphers,
        groups=_numbers(_vector(found.get(messages.SUPPORTED_GROUPS))),
        shares=_shares(_vector(found.get(messages.KEY_SHARE))),
        schemes=_numbers(_vector(found.get(messages.SIGNATURE_ALGORITHMS))),
        alpn=_protocols(_vector(found.get(messages.ALPN))),
        name=_name(_vector(found.get(messages.SERVER_NAME))),
        early=_EARLY_DATA in found,
        resumes=_PRE_SHARED_KEY in found,
        later=_POST_HANDSHAKE_AUTH in found,
    )


def _vector(data: bytes | None, size: int = 2) -> bytes:
    return b"" if data is None else Reader(data, "an extension of the ClientHello").vector(size)


def _numbers(data: bytes) -> tuple[int, ...]:
    numbers = struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1])
    return tuple(one for one in numbers if not _is_grease(one))


def _is_grease(number: int) -> bool:
    """RFC 8701 §2: 0x0A0A, 0x1A1A, and so on."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _shares(data: bytes) -> tuple[int, ...]:
    reader = Reader(data, "the key share")
    groups = []
    while reader.left:
        groups.append(reader.number(2))
        reader.vector(2)
    return tuple(one for one in groups if not _is_grease(one))


def _protocols(data: bytes) -> tuple[str, ...]:
    reader = Reader(data, "the ALPN extension")
    found = []
    while reader.left:
        found.append(reader.vector(1).decode("ascii", "backslashreplace"))
    return tuple(found)


def _name(data: bytes) -> str | None:
    reader = Reader(data, "the server name")
    while reader.left:
        kind, name = reader.number(1), reader.vector(2)
        if kind == _HOST_NAME:
            return name.decode("ascii", "backslashreplace")
    return None
