"""Records and handshake messages out of a stream of octets, bounded (RFC 8446 §5.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from handclasp.findings import Code
from handclasp.tlswire.messages import MAX_MESSAGE, malformed
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, MAX_PLAINTEXT, Broken

_KINDS: Final = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA})
_MAX_PAYLOAD: Final = MAX_PLAINTEXT + 2048
_MAJOR_VERSION: Final = 3
_HEADER: Final = 5
_unpack_header: Final = struct.Struct(">BBBH").unpack_from
_HTTP: Final = (b"http/", b"<!doc", b"<html")
"""In lower case. Some servers answer with a page and no status line, as HTTP/0.9 did."""


class Records:
    """Splits what comes into records. Holds at most one that is not complete."""

    __slots__ = ("_begun", "_held")

    def __init__(self) -> None:
        self._held = b""
        self._begun = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        """The type, the header and the payload of each record that is complete now.

        Raises Broken: PROTO_NOT_TLS or PROTO_TLS_TO_PLAIN where the first octets are no record, TLS_MALFORMED later.
        """
        data = self._held + data if self._held else data
        at, length = 0, len(data)
        if not self._begun and length:
            self._begin(data)
        while length - at >= _HEADER:
            kind, major, _, size = _unpack_header(data, at)
            if kind not in _KINDS or major != _MAJOR_VERSION:
                raise malformed("what follows is no TLS record", 10)
            if size > _MAX_PAYLOAD:
                raise malformed("a record is longer than TLS allows", 22)
            content = at + _HEADER
            end = content + size
            if end > length:
                break
            yield kind, data[at:content], data[content:end]
            at = end
        self._held = data[at:]

    def end(self) -> None:
        """The stream is over: raises Broken where its few octets were no beginning of TLS."""
        if self._held and not self._begun:
            raise _not_tls(self._held)

    def _begin(self, data: bytes) -> None:
        if len(data) >= _HEADER:
            if data[0] not in _KINDS or data[1] != _MAJOR_VERSION:
                raise _not_tls(data)
            self._begun = True
        elif not (data[0] in _KINDS and data[1:2] in {b"", b"\x03"}) and not _may_be_http(data):
            raise _not_tls(data)


class Messages:
    """Puts handshake messages together from the payloads of records. Holds at most one that is not complete."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def empty(self) -> bool:
        """No message is cut at this point: here keys may change (RFC 8446 §5.1)."""
        return not self._held

    def feed(self, payload: bytes) -> list[bytes]:
        """The messages that are complete now, with their headers. Raises Broken for one that is too long."""
        data = self._held + payload if self._held else payload
        at, length = 0, len(data)
        wholes = []
        while length - at >= 4:
            size = int.from_bytes(data[at + 1 : at + 4], "big")
            if size > MAX_MESSAGE:
                raise malformed(f"a handshake message has {size} octets, more than {MAX_MESSAGE}", 47)
            end = at + 4 + size
            if end > length:
                break
            wholes.append(data[at:end])
            at = end
        self._held = data[at:]
        return wholes


def _may_be_http(data: bytes) -> bool:
    return any(start.startswith(data[: len(start)].lower()) for start in _HTTP)


def _not_tls(data: bytes) -> Broken:
    if data[:_HEADER].lower() in _HTTP:
        return Broken(Code.PROTO_TLS_TO_PLAIN, "the server answered with plain HTTP")
    return Broken(Code.PROTO_NOT_TLS, f"the server began with {_shown(data)}, which is not TLS")


def _shown(data: bytes) -> str:
    """The first octets as text if they are that, else in hex."""
    start = data[:24]
    if all(0x20 <= octet < 0x7F or octet in b"\r\n\t" for octet in start):
        return repr(start.split(b"\r")[0].split(b"\n")[0].decode())
    return start.hex()
