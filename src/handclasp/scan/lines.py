"""Lines of a file or a pipe that somebody else has written: bounded, numbered, and never waited for."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 4096
"""Octets of a line."""

_READ: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. ``number`` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Something in a source that names no target: where it stands (``FILE:LINE``), and why."""

    where: str
    why: str


def read(descriptor: int, name: str) -> Iterator[Line | Rubbish | None]:
    """The lines of a descriptor, whatever ends them: LF or CRLF. None where a pipe or terminal has nothing to say right
    now. Raises OSError."""
    waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    rest, number, skipping = b"", 0, False
    while True:
        if waits and not select.select([descriptor], [], [], 0)[0]:
            yield None
            continue
        data = os.read(descriptor, _READ)
        *whole, rest = (rest + data).split(b"\n")
        if not data and rest:
            whole, rest = [rest], b""
        for one in whole:
            number += 1
            if number == 1 and one.startswith(_WIDE_BOMS):
                yield Rubbish(f"{name}:1", "it is text in UTF-16; save it as UTF-8")
                return
            if not skipping:
                yield _line(one.removeprefix(_BOM) if number == 1 else one, number, name)
            skipping = False
        if len(rest) > MAX_LINE + len(_BOM):
            if not skipping:
                yield _too_long(number + 1, name)
            rest, skipping = b"", True
        if not data:
            return


def count(descriptor: int) -> int | None:
    """How many lines a regular file has from here on; None for everything else. Leaves it where it was."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    begin = os.lseek(descriptor, 0, os.SEEK_CUR)
    found, last = 0, b"\n"
    while data := os.read(descriptor, 1 << 20):
        found += data.count(b"\n")
        last = data[-1:]
    os.lseek(descriptor, begin, os.SEEK_SET)
    return found + (last != b"\n")


def _line(octets: bytes, number: int, name: str) -> Line | Rubbish:
    if len(octets) > MAX_LINE:
        return _too_long(number, name)
    try:
        return Line(number, octets.removesuffix(b"\r").decode())
    except UnicodeDecodeError:
        return Rubbish(f"{name}:{number}", "it is no text in UTF-8")


def _too_long(number: int, name: str) -> Rubbish:
    return Rubbish(f"{name}:{number}", f"the line is longer than {MAX_LINE} octets")
