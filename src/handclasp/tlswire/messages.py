"""Handshake messages: from octets to values, strictly (RFC 8446 §4, RFC 5246 §7.4). Every function raises
Broken(TLS_MALFORMED) for what is cut short, too long, or not in the form of the RFC."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from handclasp.findings import Code
from handclasp.tlswire.seen import CertificateRequest
from handclasp.tlswire.session import Broken

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 4, 8, 11
SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE, CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE = (
    12,
    13,
    14,
    15,
    16,
)
HELLO_REQUEST, FINISHED, CERTIFICATE_STATUS, KEY_UPDATE, MESSAGE_HASH = 0, 20, 22, 24, 254

SERVER_NAME, STATUS_REQUEST, SUPPORTED_GROUPS, EC_POINT_FORMATS, SIGNATURE_ALGORITHMS, ALPN = 0, 5, 10, 11, 13, 16
EXTENDED_MASTER_SECRET, SUPPORTED_VERSIONS, COOKIE, PSK_KEY_EXCHANGE_MODES = 23, 43, 44, 45
CERTIFICATE_AUTHORITIES, KEY_SHARE, RENEGOTIATION_INFO = 47, 51, 0xFF01

MAX_MESSAGE: Final = 256 * 1024
"""The longest handshake message that is read. A chain is rarely longer than 10 kB."""
MAX_CERTIFICATES: Final = 256
"""The most certificates of one chain. Some servers send all that their trust store has."""

RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3)."""

_OCSP: Final = 1
_unpack_extension: Final = struct.Struct(">HH").unpack_from
_REMEMBERED_LENGTH: Final = 4096
"""Octets of a CertificateRequest that is remembered."""
_SESSION_ID: Final = 35
"""Where a ServerHello's session id begins."""


def malformed(what: str, alert: int = 50) -> Broken:
    """The fault of a message that is not in its form; 50 is decode_error."""
    return Broken(Code.TLS_MALFORMED, what, alert)


class Reader:
    """Takes a message apart from its start. ``what`` names the message in faults."""

    __slots__ = ("_at", "_data", "what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self.what = data, 0, what

    @property
    def left(self) -> int:
        """Octets not read yet."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next octets, exactly so many."""
        end = self._at + count
        if end > len(self._data):
            raise malformed(f"{self.what} is cut short")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def number(self, size: int) -> int:
        """The next unsigned integer of ``size`` octets."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int, least: int = 0) -> bytes:
        """The next vector, whose length stands before it in ``size`` octets (RFC 8446 §3.4)."""
        data, start = self._data, self._at + size
        length = int.from_bytes(data[self._at : start], "big")
        self._at = end = start + length
        if end > len(data):
            raise malformed(f"{self.what} is cut short")
        if length < least:
            raise malformed(f"{self.what} has a part that is too short")
        return data[start:end]

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise malformed(f"{self.what} is longer than what is in it")


class ServerHello(NamedTuple):
    """A ServerHello or HelloRetryRequest. ``version`` is the one chosen, in supported_versions or the old field.

    A tuple, since a frozen dataclass takes three times as long to make.
    """

    version: int
    random: bytes
    session_id: bytes
    cipher: int
    compression: int
    extensions: dict[int, bytes]

    @property
    def retry(self) -> bool:
        """It is a HelloRetryRequest."""
        return self.random == RETRY_RANDOM


def server_hello(body: bytes) -> ServerHello:
    """RFC 8446 §4.1.3, RFC 5246 §7.4.1.3."""
    what = "the ServerHello"
    after = _SESSION_ID + (body[_SESSION_ID - 1] if len(body) >= _SESSION_ID else 0)
    if len(body) < after + 3:
        raise malformed(f"{what} is cut short")
    if after > _SESSION_ID + 32:
        raise malformed(f"{what} has a session id of more than 32 octets")
    version, cipher = int.from_bytes(body[:2], "big"), int.from_bytes(body[after : after + 2], "big")
    found: dict[int, bytes] = {}
    if len(body) > after + 3:  # TLS 1.2 and older may leave the extensions away altogether
        if int.from_bytes(body[after + 3 : after + 5], "big") != len(body) - after - 5:
            raise malformed(f"{what} has extensions of another length than it says")
        found = extensions(body[after + 5 :], what)
    if (chosen := found.get(SUPPORTED_VERSIONS)) is not None:
        if version != 0x0303 or len(chosen) != 2 or int.from_bytes(chosen, "big") < 0x0304:
            raise malformed("the ServerHello chooses a version in two ways that do not fit each other", 47)
        version = int.from_bytes(chosen, "big")
    return ServerHello(version, body[2:34], body[_SESSION_ID:after], cipher, body[after + 2], found)


def extensions(data: bytes, what: str) -> dict[int, bytes]:
    """Extension data by type (RFC 8446 §4.2); no type comes twice."""
    found: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at < end:
        content = at + 4
        if content > end:
            raise malformed(f"{what} has an extension that is cut short")
        kind, length = _unpack_extension(data, at)
        at = content + length
        if at > end:
            raise malformed(f"{what} has an extension that is cut short")
        if kind in found:
            raise malformed(f"{what} has the extension {kind} twice", 47)
        found[kind] = data[content:at]
    return found


def encrypted_extensions(body: bytes) -> dict[int, bytes]:
    """RFC 8446 §4.3.1."""
    reader = Reader(body, "EncryptedExtensions")
    found = extensions(reader.vector(2), reader.what)
    reader.end()
    return found


def alpn(data: bytes) -> bytes:
    """The one protocol that a server chose (RFC 7301 §3.1)."""
    reader = Reader(data, "the ALPN extension")
    names = Reader(reader.vector(2), reader.what)
    reader.end()
    name = names.vector(1, 1)
    names.end()
    return name


def certificate_request13(body: bytes) -> tuple[bytes, CertificateRequest]:
    """The certificate_request_context, and what is asked (RFC 8446 §4.3.2). Unknown extensions are ignored."""
    return _request13(body) if len(body) > _REMEMBERED_LENGTH else _remembered_request13(body)


def _request13(body: bytes) -> tuple[bytes, CertificateRequest]:
    what = "the CertificateRequest"
    reader = Reader(body, what)
    context = reader.vector(1)
    found = extensions(reader.vector(2), what)
    reader.end()
    if SIGNATURE_ALGORITHMS not in found:
        raise malformed(f"{what} names no signature algorithms", 109)
    schemes = _numbers(_only_vector(found[SIGNATURE_ALGORITHMS], what, 2), what)
    named = found.get(CERTIFICATE_AUTHORITIES)
    authorities = () if named is None else _names(_only_vector(named, what, 3), what)
    return context, CertificateRequest(authorities, schemes)


# The servers of one fleet ask with the same octets.
_remembered_request13 = lru_cache(maxsize=256)(_request13)


def certificate_request12(body: bytes, *, with_schemes: bool = True) -> CertificateRequest:
    """RFC 5246 §7.4.4; TLS 1.1 and older are ``with_schemes=False``."""
    reader = Reader(body, "the CertificateRequest")
    types = tuple(reader.vector(1))
    schemes: tuple[int, ...] = ()
    if with_schemes:
        schemes = _numbers(reader.vector(2), reader.what)
    authorities = _names(reader.vector(2), reader.what)
    reader.end()
    return CertificateRequest(authorities, schemes, types)


def certificate13(body: bytes) -> tuple[bytes, tuple[bytes, ...], list[dict[int, bytes]]]:
    """The context, the chain in DER with the leaf first, and the extensions of each (RFC 8446 §4.4.2)."""
    reader = Reader(body, "the Certificate")
    context = reader.vector(1)
    entries = Reader(reader.vector(3), reader.what)
    reader.end()
    chain: list[bytes] = []
    beside: list[dict[int, bytes]] = []
    while entries.left:
        if len(chain) == MAX_CERTIFICATES:
            raise malformed(f"the Certificate has more than {MAX_CERTIFICATES} certificates", 47)
        chain.append(entries.vector(3, 1))
        data = entries.vector(2)
        beside.append(extensions(data, reader.what) if data else {})
    return context, tuple(chain), beside


def certificate12(body: bytes) -> tuple[bytes, ...]:
    """The chain in DER, leaf first (RFC 5246 §7.4.2)."""
    reader = Reader(body, "the Certificate")
    entries = Reader(reader.vector(3), reader.what)
    reader.end()
    chain: list[bytes] = []
    while entries.left:
        if len(chain) == MAX_CERTIFICATES:
            raise malformed(f"the Certificate has more than {MAX_CERTIFICATES} certificates", 47)
        chain.append(entries.vector(3, 1))
    return tuple(chain)


def certificate_status(body: bytes) -> bytes:
    """The DER of the OCSP response (RFC 6066 §8): a CertificateStatus, also that beside a certificate in TLS 1.3."""
    reader = Reader(body, "the CertificateStatus")
    if reader.number(1) != _OCSP:
        raise malformed("the CertificateStatus is not of OCSP", 47)
    response = reader.vector(3, 1)
    reader.end()
    return response


def certificate_verify(body: bytes) -> tuple[int, bytes]:
    """The scheme and the signature (RFC 8446 §4.4.3)."""
    reader = Reader(body, "the CertificateVerify")
    scheme, signature = reader.number(2), reader.vector(2)
    reader.end()
    return scheme, signature


def server_key_share(data: bytes) -> tuple[int, bytes]:
    """The group and the share of a ServerHello (RFC 8446 §4.2.8)."""
    if len(data) < 5 or int.from_bytes(data[2:4], "big") != len(data) - 4:
        raise malformed("the key share is not as long as it says")
    return int.from_bytes(data[:2], "big"), data[4:]


def retry_group(data: bytes) -> int:
    """The group that a HelloRetryRequest demands (RFC 8446 §4.2.8)."""
    reader = Reader(data, "the key share")
    group = reader.number(2)
    reader.end()
    return group


def cookie(data: bytes) -> bytes:
    """What a HelloRetryRequest wants sent back (RFC 8446 §4.2.2)."""
    reader = Reader(data, "the cookie")
    value = reader.vector(2, 1)
    reader.end()
    return value


def new_session_ticket13(body: bytes) -> int:
    """The lifetime in seconds (RFC 8446 §4.6.1)."""
    reader = Reader(body, "the NewSessionTicket")
    lifetime = reader.number(4)
    reader.take(4)
    reader.vector(1)
    reader.vector(2, 1)
    extensions(reader.vector(2), reader.what)
    reader.end()
    return lifetime


def new_session_ticket12(body: bytes) -> int:
    """The lifetime in seconds (RFC 5077 §3.3)."""
    reader = Reader(body, "the NewSessionTicket")
    lifetime = reader.number(4)
    reader.vector(2)
    reader.end()
    return lifetime


def client_certificate13(context: bytes, chain: tuple[bytes, ...]) -> bytes:
    """The body of our Certificate; without a chain it is empty (RFC 8446 §4.4.2)."""
    entries = b"".join(len(der).to_bytes(3, "big") + der + b"\0\0" for der in chain)
    return bytes((len(context),)) + context + len(entries).to_bytes(3, "big") + entries


def client_certificate12(chain: tuple[bytes, ...]) -> bytes:
    """The body of our Certificate (RFC 5246 §7.4.6)."""
    entries = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    return len(entries).to_bytes(3, "big") + entries


def client_certificate_verify(scheme: int, signature: bytes) -> bytes:
    """The body of our CertificateVerify, of TLS 1.2 and 1.3."""
    return scheme.to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature


def _only_vector(data: bytes, what: str, least: int) -> bytes:
    """What is one vector with a length of two octets, and nothing else."""
    if len(data) < 2 + least or int.from_bytes(data[:2], "big") != len(data) - 2:
        raise malformed(f"{what} has a list that is not as long as it says")
    return data[2:]


def _numbers(data: bytes, what: str) -> tuple[int, ...]:
    if len(data) % 2:
        raise malformed(f"{what} has a list of numbers with half a number")
    return struct.unpack(f">{len(data) // 2}H", data)


def _names(data: bytes, what: str) -> tuple[bytes, ...]:
    reader = Reader(data, what)
    names = []
    while reader.left:
        names.append(reader.vector(2, 1))
    return tuple(names)
