"""JSON lines: one line for each result, each change and each transition, to a file that is rotated, or to standard
output.

Writing happens in a thread, from a queue that has an end: a disk that does not answer delays no check. What did not fit
is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from handclasp.monitor.definition import Monitor
from handclasp.monitor.outputs.exposition import label
from handclasp.monitor.ports import Outcome
from handclasp.monitor.results import Change, CheckResult, Transition, WatchedCertificate
from handclasp.probe.served import stamp

MOST_OCTETS: Final = 64 << 20
"""Of one file, before it is moved aside."""
KEPT: Final = 5
"""Files that were moved aside: .1 is the newest."""
MODE: Final = 0o640

_MOST_WAITING: Final = 20_000  # lines
_AT_ONCE: Final = 1_000
_MOST_CERTIFICATES: Final = 100
_PAUSE: Final = 1.0  # seconds, after a failure

_log = logging.getLogger("handclasp.monitor")

Json = dict[str, Any]


def lines(outcome: Outcome) -> Iterator[bytes]:
    """What is written of one outcome, each line with its break."""
    monitor = outcome.claim.standing.monitor
    yield _line({"type": "result", **_result(monitor, outcome.result)})
    for change in outcome.changes:
        yield _line({"type": "change", **_change(change)})
    if outcome.transition is not None:
        yield _line({"type": "transition", **_transition(monitor, outcome.transition)})


class JsonLines:
    """A file (None: standard output) that lines are added to. ``dropped`` counts lines."""

    def __init__(self, path: Path | None, *, most_octets: int = MOST_OCTETS, kept: int = KEPT) -> None:
        self._path = path
        self._most_octets = most_octets
        self._kept = kept
        self._file: int | None = None
        self._waiting: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def start(self) -> None:
        """Open the file, which raises OSError, and write from now on."""
        if self._path is not None:
            self._file = self._open(self._path)
        self._task = asyncio.create_task(self._write_all())

    async def stop(self) -> None:
        """Write what waits, and close the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._waiting:
            with suppress(OSError):
                await asyncio.to_thread(self._write, b"".join(self._waiting))
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def put(self, outcomes: Iterable[Outcome]) -> None:
        """Add the lines of these, soon."""
        for outcome in outcomes:
            for one in lines(outcome):
                if len(self._waiting) >= _MOST_WAITING:
                    self.dropped += 1
                else:
                    self._waiting.append(one)
        self._more.set()

    async def _write_all(self) -> None:
        failing = False
        while True:
            if not self._waiting:
                self._more.clear()
                await self._more.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            try:
                # To its end, also where it is cancelled: a line is written whole, and once.
                writing = asyncio.create_task(asyncio.to_thread(self._write, b"".join(batch)))
                try:
                    await asyncio.shield(writing)
                except asyncio.CancelledError:
                    await asyncio.gather(writing, return_exceptions=True)
                    raise
                failing = False
            except OSError as error:
                self.dropped += len(batch)
                if not failing:
                    _log.warning("results cannot be written to %s: %s", self._path or "standard output", error)
                failing = True
                await asyncio.sleep(_PAUSE)

    def _write(self, data: bytes) -> None:
        if self._path is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        self._ready(self._path, len(data))
        view = memoryview(data)
        while view:
            assert self._file is not None
            view = view[os.write(self._file, view) :]

    def _ready(self, path: Path, more: int) -> None:
        """The file open, the one that the name means, and with room for so many octets."""
        if self._file is not None:
            found = os.fstat(self._file)
            try:
                named = path.stat()
                same = (named.st_dev, named.st_ino) == (found.st_dev, found.st_ino)
            except FileNotFoundError:
                same = False
            if same and (not found.st_size or found.st_size + more <= self._most_octets):
                return
            os.close(self._file)
            self._file = None
            if same:
                self._move_aside(path)
        self._file = self._open(path)

    def _move_aside(self, path: Path) -> None:
        names: Sequence[Path] = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, self._kept + 1))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            with suppress(FileNotFoundError):
                newer.replace(older)

    def _open(self, path: Path) -> int:
        # Never through a symbolic link that somebody else put there.
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)


def _line(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _result(monitor: Monitor, result: CheckResult) -> Json:
    return {
        "at": stamp(result.at),
        "monitor": result.monitor,
        "kind": monitor.kind.value,
        "target": monitor.target,
        "labels": dict(monitor.labels),
        "state": result.state.value,
        "code": str(result.code),
        "summary": result.summary,
        "maintenance": result.maintenance,
        "findings": [{"code": str(one.code), "where": one.where, "what": one.what} for one in result.findings],
        "seconds": result.seconds,
        "attempts": result.attempts,
        "trusted": result.trusted,
        "facts": dict(result.facts),
        "crl_next_update": _when(result.crl_next_update),
        "seen_at": _when(result.seen_at),
        "certificates": [_certificate(one, result.at) for one in result.certificates[:_MOST_CERTIFICATES]],
    }


def _certificate(one: WatchedCertificate, at: datetime) -> Json:
    return {
        "role": one.role,
        "place": one.place,
        "subject": label(one.subject),
        "issuer": label(one.issuer),
        "serial": one.serial,
        "fingerprint": one.fingerprint,
        "not_before": stamp(one.not_before),
        "not_after": stamp(one.not_after),
        "days_left": round((one.not_after - at).total_seconds() / 86_400, 2),
    }


def _change(one: Change) -> Json:
    return {"at": stamp(one.at), "monitor": one.monitor, "what": one.what, "before": one.before, "after": one.after}


def _transition(monitor: Monitor, one: Transition) -> Json:
    return {
        "at": stamp(one.at),
        "monitor": one.monitor,
        "target": monitor.target,
        "labels": dict(one.labels),
        "id": one.id,
        "before": one.before.value,
        "after": one.after.value,
        "since": _when(one.since),
        "code": str(one.result.code),
        "summary": one.result.summary,
    }


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)
