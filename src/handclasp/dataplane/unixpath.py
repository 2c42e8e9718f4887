"""Unix sockets in directories whose path is longer than a socket address can hold (108 bytes on Linux)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handclasp.findings import Code, Refused

_LIMIT = 100


@contextmanager
def short(path: Path) -> Iterator[str]:
    """The path, or another spelling of it that is short enough, valid within the context only."""
    text = str(path)
    if len(os.fsencode(text)) <= _LIMIT:
        yield text
        return
    if not sys.platform.startswith("linux"):
        raise Refused(
            Code.STATE_UNWRITABLE,
            f"The state directory {path.parent} cannot be used",
            f"its path is longer than a Unix socket's address can be ({_LIMIT} bytes)",
            "Choose a shorter path with --dir.",
        )
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
