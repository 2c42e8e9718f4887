"""What is said before TLS as a script: what to send and what to await, in the order of its RFC; and the machine that
follows one over octets that come in any pieces, from a peer that may say anything.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

from handclasp.findings import Code
from handclasp.pki.names import escaped

MAX_TOLD = 200
"""Characters of what a peer said that go into a message."""
MAX_RECEIVED = 64 * 1024
"""Octets of one dialogue. Every single line and length has a smaller limit of its own."""

# A TLS server that is spoken to in the clear answers with an alert: a record of two octets (RFC 8446 §5.1).
_ALERT = re.compile(rb"\x15\x03[\x00-\x04]\x00\x02")


class PreludeFailed(Exception):
    """The way to TLS ends here: a code of the catalogue, and what was seen, in words."""

    def __init__(self, code: Code, what: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what


@dataclass(frozen=True, slots=True)
class Octets:
    """Await exactly ``count`` octets of ``what``. Where ``first`` is given, they begin with one of its octets: who
    begins otherwise is somebody else, and need not be waited for."""

    count: int
    what: str
    first: bytes = b""


@dataclass(frozen=True, slots=True)
class Until:
    """Await ``what``, which ends with ``end`` and has at most ``limit`` octets with it; ``first`` as in ``Octets``."""

    end: bytes
    limit: int
    what: str
    first: bytes = b""


Step = bytes | Octets | Until
"""Octets to send (the script gets back ``b""``), or what to await (it gets back those octets)."""
Script = Generator[Step, bytes, None]
"""Ends when the next octet is somebody else's. Raises PreludeFailed."""


def printable(said: bytes) -> str:
    """What a peer said, fit for a message: one line, nothing that could speak to a terminal, at most MAX_TOLD
    characters."""
    text = escaped(said[: 4 * MAX_TOLD].strip().decode("utf-8", "backslashreplace"))
    return text if len(text) <= MAX_TOLD else text[: MAX_TOLD - 1] + "…"


def stranger(what: str, said: bytes) -> str:
    """The message for octets that nobody who speaks the protocol sends in place of ``what``."""
    return f'what came is not {what}: "{printable(said)}"'


class Dialogue:
    """Follows a script; a ``prelude.Prelude``.

    ``code`` is for what breaks a bound. With ``then_tls`` the peer has to be silent after the script's end, since TLS
    begins with us: what it says in the clear by then was not said by whoever will be proved (injection).
    """

    def __init__(self, script: Script, code: Code, *, then_tls: bool) -> None:
        self.done = False
        self._script = script
        self._code = code
        self._then_tls = then_tls
        self._step: Step | None = None
        self._buffer = bytearray()
        self._received = 0
        self._failure: tuple[Code, str] | None = None

    @property
    def rest(self) -> bytes:
        """Octets that came after the end: they belong to what comes next."""
        return bytes(self._buffer) if self.done else b""

    @property
    def waiting_for(self) -> str:
        """What is awaited, in words (``the greeting of the SMTP server``); empty where nothing is."""
        return self._step.what if isinstance(self._step, Octets | Until) and not self.done else ""

    def start(self) -> bytes:
        """The first octets to send. Raises PreludeFailed where what was asked for cannot be said."""
        return self._advance()

    def receive(self, data: bytes) -> bytes:
        """Take what came; returns the octets to send. Raises PreludeFailed."""
        self._received += len(data)
        if self._received > MAX_RECEIVED:
            self._fail(self._code, f"the peer sent more than {MAX_RECEIVED} octets before TLS")
        if self._received == len(data) and self._then_tls and _ALERT.match(data):
            self._fail(self._code, "the server speaks TLS at once, without STARTTLS: it answered with a TLS alert")
        if self._failure is None:
            self._buffer += data
        return self._advance()

    def _advance(self) -> bytes:
        if self._failure is not None:
            raise PreludeFailed(*self._failure)
        sent = bytearray()
        try:
            if self._step is None:
                self._step = next(self._script)
            while not self.done:
                answer = b""
                if isinstance(self._step, bytes):
                    sent += self._step
                else:
                    taken = self._take(self._step)
                    if taken is None:
                        return bytes(sent)
                    answer = taken
                self._step = self._script.send(answer)
        except StopIteration:
            self.done = True
        except PreludeFailed as failed:
            self._fail(failed.code, failed.what)
        if self._then_tls and self._buffer:
            said = printable(bytes(self._buffer))
            self._fail(Code.TLS_MALFORMED, f'octets came in the clear after the change to TLS was agreed: "{said}"')
        return bytes(sent)

    def _take(self, step: Octets | Until) -> bytes | None:
        """What the step awaits, or None while it is not there."""
        if step.first and self._buffer and self._buffer[0] not in step.first:
            raise PreludeFailed(self._code, stranger(step.what, bytes(self._buffer[: 4 * MAX_TOLD])))
        if isinstance(step, Octets):
            size = step.count if len(self._buffer) >= step.count else None
        else:
            at = self._buffer.find(step.end, 0, step.limit)
            size = None if at < 0 else at + len(step.end)
            if size is None and len(self._buffer) >= step.limit:
                begins = printable(bytes(self._buffer[: 4 * MAX_TOLD]))
                raise PreludeFailed(self._code, f'{step.what} is longer than {step.limit} octets; it begins "{begins}"')
        if size is None:
            return None
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fail(self, code: Code, what: str) -> None:
        """For good: whoever asks again hears the same."""
        self.done = False
        self._buffer.clear()
        self._script.close()
        self._failure = self._failure or (code, what)
        raise PreludeFailed(*self._failure)
