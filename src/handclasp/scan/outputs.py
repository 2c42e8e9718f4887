"""Files that a scan writes: opened for one writer, added to record by record, and ended where a kill has torn them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handclasp.findings import Code, Refused

MAX_LINE: Final = 4 << 20
"""Octets of a line of results."""
_READ: Final = 1 << 20


def unusable(path: Path, why: str, fix: str) -> Refused:
    """A file of results that cannot be read or written."""
    return Refused(Code.SCAN_UNUSABLE, f"{path} cannot be used", why, fix)


def failed(path: Path, error: OSError) -> Refused:
    """The system does not let us."""
    why = (error.strerror or str(error)).lower()
    return unusable(path, why, "Correct the file's name, its owner and mode, or make room on the disk.")


@dataclass(frozen=True, slots=True)
class WholeLine:
    """A line with its number, and how many octets of the file end with it."""

    number: int
    octets: bytes
    end: int


class LineFile:
    """A file of lines that this process alone writes, while it is open (a lock says so to others of ours).

    ``resume`` keeps what is in it, ``overwrite`` does not, and without either it must not have been there. Refused
    (SCAN_UNUSABLE).
    """

    def __init__(self, path: Path, *, resume: bool, overwrite: bool) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if resume or overwrite else os.O_EXCL)
        try:
            self._descriptor = os.open(path, flags, 0o644)
        except FileExistsError:
            raise exists(path) from None
        except OSError as error:
            raise failed(path, error) from None
        try:
            self._lock()
            self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if overwrite and not resume and self._regular:
                os.ftruncate(self._descriptor, 0)
        except BaseException:
            os.close(self._descriptor)
            raise

    def lines(self) -> Iterator[WholeLine]:
        """The whole lines in it; what follows the last is none. Refused where one is too long."""
        if self._regular:
            yield from whole_lines(self._descriptor, self.path)

    def look(self, judge: Callable[[int, Path], None]) -> None:
        """Have somebody look at what is in it, and raise Refused."""
        if self._regular:
            judge(self._descriptor, self.path)

    def keep(self, end: int) -> None:
        """Forget what follows these octets: a line that was torn."""
        if self._regular:
            os.ftruncate(self._descriptor, end)
            os.lseek(self._descriptor, end, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        """Add to the file; the system has all of it on return, so that a kill takes none of it back."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise failed(self.path, error) from None

    def close(self) -> None:
        """End it, on the disk."""
        try:
            with contextlib.suppress(OSError):  # not every file can be synced
                os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fix = "Wait for it, or write to another file."
            raise unusable(self.path, "another scan is writing to it", fix) from None
        except OSError:
            return  # not every file can be locked


def whole_lines(descriptor: int, path: Path) -> Iterator[WholeLine]:
    """The lines of an open file that have an end. Refused (SCAN_UNUSABLE)."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    number, end, rest = 0, 0, b""
    try:
        while data := os.read(descriptor, _READ):
            *whole, rest = (rest + data).split(b"\n")
            for one in whole:
                number += 1
                end += len(one) + 1
                yield WholeLine(number, one, end)
            if len(rest) > MAX_LINE:
                why = f"line {number + 1} is longer than {MAX_LINE} octets"
                raise unusable(path, why, "Name a file that handclasp scan has written.")
    except OSError as error:
        raise failed(path, error) from None


def exists(path: Path) -> Refused:
    """There is a file already, and nobody has said what is to become of it."""
    return unusable(path, "it exists", "Go on with it with --resume, replace it with --overwrite, or name another.")
