"""One HTTP/1.1 request and its response (RFC 9112), for a stranger's server: every length has a bound."""

from __future__ import annotations

import re
from enum import Enum, auto

from handclasp.findings import InvalidSetting
from handclasp.probe.evidence import Request, Response
from handclasp.probe.target import Target

MAX_HEAD = 64 * 1024
"""Octets of the status line and the headers; of the trailers too."""
MAX_HEADERS = 100

_MAX_INTERIM = 10
_MAX_CHUNK_LINE = 4096
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_PATH = re.compile(r"[!-~]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f]*)?")


class MalformedResponse(Exception):
    """What came is no HTTP response; the message says what is wrong with it."""


def encode(request: Request, target: Target, user_agent: str) -> bytes:
    """The request as it is sent. Host is the target's name, with its port unless that is 443; a header of the request
    replaces ours of the same name, except Connection. Raises InvalidSetting for what cannot stand in a request."""
    if not _TOKEN.fullmatch(request.method):
        raise InvalidSetting("", f"{request.method[:40]!r} is no HTTP method", "GET, HEAD, POST and so on")
    if not _PATH.fullmatch(request.path):
        raise InvalidSetting("", f"{request.path[:60]!r} is no path", "printable ASCII, beginning with a slash")
    name = f"[{target.name}]" if ":" in target.name else target.name
    host = name if target.path is not None or target.port == 443 else f"{name}:{target.port}"
    headers = {"host": ("Host", host), "user-agent": ("User-Agent", user_agent), "accept": ("Accept", "*/*")}
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = ("Content-Length", str(len(request.body)))
    own = []
    for key, value in request.headers:
        if not _TOKEN.fullmatch(key) or not _VALUE.fullmatch(value.encode()):
            raise InvalidSetting("", f"the header {key[:40]!r} cannot be sent", "a name, and a value on one line")
        if key.lower() in ("connection", "content-length", "transfer-encoding"):
            continue
        headers.pop(key.lower(), None)
        own.append((key, value))
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in (*headers.values(), *own, ("Connection", "close"))]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


class _Part(Enum):
    HEAD = auto()
    SIZED = auto()
    TO_THE_END = auto()
    CHUNK_LINE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    DONE = auto()


class ResponseReader:
    """Reads one response. ``read`` is the most octets of the body that are kept; what comes after is not read.

    ``response`` is there when the head is complete; ``done`` when nothing more is wanted.
    """

    def __init__(self, method: str, read: int) -> None:
        self._method = method
        self._read = max(read, 0)
        self._part = _Part.HEAD
        self._pending = bytearray()
        self._searched = 0
        self._interim = 0
        self._left = 0
        self._trailers = 0
        self._body = bytearray()
        self._whole = False
        self._head: tuple[int, str, tuple[tuple[str, str], ...]] | None = None

    @property
    def done(self) -> bool:
        """Nothing more is wanted."""
        return self._part is _Part.DONE

    @property
    def response(self) -> Response | None:
        """The response as far as it has come."""
        if self._head is None:
            return None
        status, reason, headers = self._head
        return Response(status, reason, headers, bytes(self._body), self._whole)

    def receive(self, data: bytes) -> None:
        """More of the response. Raises MalformedResponse."""
        self._pending += data
        while self._part is not _Part.DONE and self._advance():
            pass

    def end(self) -> None:
        """The connection has ended. Raises MalformedResponse where that cuts the response off."""
        if self._part is _Part.TO_THE_END:
            self._finish(whole=True)
        elif self._part is _Part.HEAD:
            raise MalformedResponse("the connection ended before the response's headers did")
        elif self._part is not _Part.DONE:
            self._part = _Part.DONE
            raise MalformedResponse("the connection ended before the response's body did")

    def _advance(self) -> bool:
        """One step; False if more octets are needed first."""
        match self._part:
            case _Part.HEAD:
                return self._take_head()
            case _Part.SIZED | _Part.TO_THE_END | _Part.CHUNK:
                return self._take_body()
            case _Part.CHUNK_LINE:
                return self._take_chunk_line()
            case _Part.CHUNK_END:
                line = self._line(2)
                if line:
                    raise MalformedResponse("a chunk is longer than it says")
                self._part = _Part.CHUNK_LINE if line is not None else self._part
                return line is not None
            case _Part.TRAILERS:
                line = self._line(MAX_HEAD)
                if line is None:
                    return False
                self._trailers += len(line) + 1
                if self._trailers > MAX_HEAD:
                    raise MalformedResponse("the trailers are too long")
                if not line:
                    self._finish(whole=True)
                return True
            case _Part.DONE:
                return False

    def _line(self, most: int) -> bytes | None:
        """A line of at most that many octets, without its end; None if it is not there yet."""
        end = self._pending.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._pending)
            if self._searched > most:
                raise MalformedResponse("a line of the chunked body is too long")
            return None
        if end > most:
            raise MalformedResponse("a line of the chunked body is too long")
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        self._searched = 0
        return line.removesuffix(b"\r")

    def _take_head(self) -> bool:
        pending = self._pending
        if not b"HTTP/1.".startswith(pending[:7]):
            raise MalformedResponse("it does not begin with HTTP/1.")
        # A line may end in LF alone (RFC 9112 §2.2); the head ends with an empty one.
        start = max(self._searched - 3, 0)
        ends = [(at, size) for size, mark in ((3, b"\n\r\n"), (2, b"\n\n")) if (at := pending.find(mark, start)) >= 0]
        if not ends:
            self._searched = len(pending)
            if len(pending) > MAX_HEAD:
                raise MalformedResponse(f"its headers are longer than {MAX_HEAD} octets")
            return False
        at, size = min(ends)
        if at > MAX_HEAD:
            raise MalformedResponse(f"its headers are longer than {MAX_HEAD} octets")
        head = bytes(pending[:at])
        del pending[: at + size]
        self._searched = 0
        status, reason, headers = _parse_head(head)
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > _MAX_INTERIM:
                raise MalformedResponse("it changes the protocol" if status == 101 else "too many interim responses")
            return True
        self._head = (status, reason, headers)
        self._frame(status, headers)
        return True

    def _frame(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        """How long the body is (RFC 9112 §6.3)."""
        if self._method == "HEAD" or status in (204, 304):
            self._finish(whole=True)
            return
        codings = [value for name, value in headers if name == "transfer-encoding"]
        if codings:
            last = codings[-1].rsplit(",", 1)[-1].strip().lower()
            self._part = _Part.CHUNK_LINE if last == "chunked" else _Part.TO_THE_END
            return
        lengths = {one.strip() for name, value in headers if name == "content-length" for one in value.split(",")}
        if not lengths:
            self._part = _Part.TO_THE_END
            return
        length = lengths.pop()
        if lengths or not length.isascii() or not length.isdigit() or len(length) > 18:
            raise MalformedResponse("its Content-Length is no number")
        self._left = int(length)
        self._part = _Part.SIZED
        if self._left == 0:
            self._finish(whole=True)

    def _take_body(self) -> bool:
        pending, endless = self._pending, self._part is _Part.TO_THE_END
        room = self._read - len(self._body)
        if room <= 0 and (self._left > 0 or (endless and pending)):
            self._finish(whole=False)
            return True
        if not pending:
            return False
        size = min(len(pending), room) if endless else min(len(pending), room, self._left)
        self._body += pending[:size]
        del pending[:size]
        if endless:
            return bool(pending)
        self._left -= size
        if self._left == 0:
            if self._part is _Part.SIZED:
                self._finish(whole=True)
            else:
                self._part = _Part.CHUNK_END
        return True

    def _take_chunk_line(self) -> bool:
        line = self._line(_MAX_CHUNK_LINE)
        if line is None:
            return False
        if not (found := _CHUNK.fullmatch(line)):
            raise MalformedResponse("the size of a chunk is no number")
        self._left = int(found[1], 16)
        self._part = _Part.CHUNK if self._left else _Part.TRAILERS
        return True

    def _finish(self, *, whole: bool) -> None:
        self._whole = whole
        self._part = _Part.DONE
        self._pending.clear()


def _parse_head(head: bytes) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    if not (found := _STATUS.fullmatch(first)):
        raise MalformedResponse("its status line is not HTTP/1.1")
    if len(lines) > MAX_HEADERS:
        raise MalformedResponse(f"it has more than {MAX_HEADERS} lines of headers")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if not _VALUE.fullmatch(line):
            raise MalformedResponse("a header has a control character")
        if line[:1] in (b" ", b"\t") and headers:
            # Folded over lines, as RFC 9112 §5.2 lets a client read it.
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip().decode('latin-1')}")
            continue
        key, colon, content = line.partition(b":")
        if not colon or not _NAME.fullmatch(key):
            raise MalformedResponse("a header has no name")
        headers.append((key.decode().lower(), content.strip(b" \t").decode("latin-1")))
    return int(found[1]), (found[2] or b"").decode("latin-1").strip(), tuple(headers)
