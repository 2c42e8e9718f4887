"""Files that are whole or not there: written beside their place, synced, and moved into it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write(path: Path, data: bytes, mode: int) -> None:
    """Put these bytes at this path with this mode, atomically and for good; nobody ever sees a part of them."""
    write_with(path, lambda file: file.write(data), mode)


def write_with(path: Path, fill: Callable[[BinaryIO], object], mode: int) -> None:
    """As ``write``, with what ``fill`` writes into the file that it is given."""
    # Always the same name, so that what a crash left behind is removed here and does not pile up.
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(descriptor, mode)  # whatever the umask says
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                fill(file)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def private_directory(path: Path) -> None:
    """Make a directory with all above it, for good, and let nobody but its owner in (0700)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    # A new directory is itself an entry that has to reach the disk.
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = _open_directory(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Wait until nobody else has the directory, and have it while the context lasts; any death frees it."""
    descriptor = _open_directory(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
