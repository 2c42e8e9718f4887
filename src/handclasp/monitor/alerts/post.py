"""One POST over HTTP: no redirect is followed, and of the answer nothing counts but its status and Retry-After.

Blocking, on the standard library's client; for a thread. The environment's proxies are not used.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from handclasp.monitor.alerts.address import Address
from handclasp.monitor.alerts.wire import PATIENCE, Line, NotSent

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_LONGEST_WAIT: Final = timedelta(hours=1)
_ENOUGH: Final = 4096  # octets of an answer


def post(
    to: Address,
    body: bytes,
    headers: Mapping[str, str],
    *,
    context: ssl.SSLContext,
    now: datetime,
    patience: float = PATIENCE,
) -> None:
    """Have it taken, or NotSent: final for what the server calls our mistake (4xx, but for 408 and 429)."""
    line = Line(to.host, to.port, patience=patience)
    with line.told():
        status, later = _exchange(line, to, body, headers, context)
    if not 200 <= status <= 299:
        raise _not_taken(line.where, status, later, now)


def _exchange(
    line: Line, to: Address, body: bytes, headers: Mapping[str, str], context: ssl.SSLContext
) -> tuple[int, str | None]:
    """Status, and Retry-After."""
    connection = http.client.HTTPConnection(to.host, to.port)
    try:
        with line.connect() as raw:
            connection.sock = _Socket(line, line.wrap(raw, context) if to.tls else raw)
            return _answer(connection, to, body, headers)
    except http.client.HTTPException as error:
        raise EOFError from error
    finally:
        connection.close()


def _answer(
    connection: http.client.HTTPConnection, to: Address, body: bytes, headers: Mapping[str, str]
) -> tuple[int, str | None]:
    connection.putrequest("POST", to.path, skip_host=True, skip_accept_encoding=True)
    head = {"host": to.authority, "user-agent": "handclasp", "content-type": "application/json", **headers}
    for name, value in (head | {"content-length": str(len(body)), "connection": "close"}).items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    response.read(_ENOUGH)  # lets the server finish: some undo what a client seems not to wait for
    return response.status, response.getheader("retry-after")


class _Socket:
    """As much of a socket as the library's client uses, with a reading side that ends."""

    def __init__(self, line: Line, connection: socket.socket) -> None:
        self._line = line
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        return self._line.reader(self._connection)

    def close(self) -> None:
        self._connection.close()


def _not_taken(where: str, status: int, later: str | None, now: datetime) -> NotSent:
    said = f"{where} answered {status}"
    if 300 <= status <= 399:
        return NotSent(f"{said}: a redirect, which is not followed")
    final = 400 <= status <= 499 and status not in _PASSING
    return NotSent(said, final=final, after=None if final else _wait(later, now))


def _wait(later: str | None, now: datetime) -> timedelta | None:
    """Retry-After (RFC 9110 §10.2.3): seconds or a date; at most an hour."""
    if later is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", later.strip()):
        return min(timedelta(seconds=int(later)), _LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(later)
        return min(max(until - now, timedelta()), _LONGEST_WAIT)
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
