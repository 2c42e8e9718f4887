"""The gateway's log on disk: rotated by size, read back in order, and followed while it grows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from handclasp.dataplane.accesslog import LOG_FILE, Record, read

MAX_BYTES = 50_000_000
KEPT = 5
_POLL = 0.1


def rotate(state: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Rename the log if it has grown past the limit, keeping the last five; True if Envoy must open it anew."""
    current = state / LOG_FILE
    try:
        if current.stat().st_size < max_bytes:
            return False
    except OSError:
        return False
    for number in range(KEPT - 1, 0, -1):
        older = _numbered(current, number)
        if older.exists():
            older.replace(_numbered(current, number + 1))
    current.replace(_numbered(current, 1))
    return True


def records(state: Path) -> Iterator[Record]:
    """All records there are, oldest file first. Undecodable bytes and broken lines are passed over."""
    current = state / LOG_FILE
    for path in [_numbered(current, n) for n in range(KEPT, 0, -1)] + [current]:
        try:
            file = path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        with file:
            for line in file:
                if (record := read(line)) is not None:
                    yield record


def newest(state: Path, count: int, wanted: Callable[[Record], bool]) -> list[Record]:
    """The last so many wanted records, oldest first, read from the end: a long log costs nothing."""
    current = state / LOG_FILE
    found: list[Record] = []
    for path in [current] + [_numbered(current, n) for n in range(1, KEPT + 1)]:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            continue
        for line in reversed(lines):
            if len(found) == count:
                return found[::-1]
            if (record := read(line)) is not None and wanted(record):
                found.append(record)
    return found[::-1]


async def follow(state: Path, *, from_start: bool) -> AsyncIterator[Record]:
    """Records as they are written, over rotations; first those of the current file if ``from_start``."""
    current = state / LOG_FILE
    while not current.exists():
        from_start = True  # nothing in it is old
        await asyncio.sleep(_POLL)
    file = current.open(encoding="utf-8", errors="replace")
    try:
        if not from_start:
            file.seek(0, 2)
        rest = ""
        moved = False
        while True:
            chunk = file.read(1 << 16)
            if not chunk:
                if moved:
                    file.close()
                    file = current.open(encoding="utf-8", errors="replace")
                    rest, moved = "", False  # a line that the old file does not end is not of the new one
                elif not (moved := _moved(current, file.fileno())):  # if so, once more: its end may have come since
                    await asyncio.sleep(_POLL)
                continue
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                if (record := read(line)) is not None:
                    yield record
    finally:
        file.close()


def _moved(path: Path, descriptor: int) -> bool:
    """Whether the path is another file than the one that is open (and there, so that it can be opened)."""
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
