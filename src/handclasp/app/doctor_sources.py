"""The files that the doctor looks at, with what the file system says of them. Nothing here raises for what is there."""

from __future__ import annotations

import base64
import binascii
import grp
import os
import pwd
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from handclasp.app import kubernetes_yaml
from handclasp.app.hardening import no_core_dumps
from handclasp.doctor.sources import Source
from handclasp.pki.containers import MAX_SIZE

MAX_FILES: Final = 500
MAX_TOTAL: Final = 32 << 20  # octets; reading hostile ones takes a second for a few megabytes
MAX_DEPTH: Final = 4
MAX_ENTRIES: Final = 5_000
_SECRETS: Final = frozenset({".yaml", ".yml", ".json"})


def sources(names: Iterable[str]) -> tuple[Source, ...]:
    """Each file; of a directory those below it; of a Kubernetes secret its entries; ``-`` is standard input.

    At most five hundred files, four directories deep; hidden files of a directory are left out.
    """
    no_core_dumps()  # there are keys among them
    found: list[Source] = []
    octets = 0
    for name in names:
        for one in _named(name):
            octets += len(one.data)
            if len(found) >= MAX_FILES or octets > MAX_TOTAL:
                what = f"more than {MAX_FILES} files, or {MAX_TOTAL >> 20} MB, are not looked at"
                found.append(Source(name, b"", unreadable=what))
                return tuple(found)
            found += _unpacked(one)
    return tuple(found)


def source(name: str) -> Source:
    """One file."""
    no_core_dumps()
    if name == "-":
        return Source("standard input", sys.stdin.buffer.read(MAX_SIZE + 1))
    return _file(Path(name), name)


def load(path: str) -> Source:
    """One file, by its path; for the files that a configuration names."""
    return _file(Path(path), path)


def exists(name: str) -> bool:
    """Whether there is such a file; a name that cannot be one is none."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _named(name: str) -> Iterator[Source]:
    if name == "-":
        yield source(name)
        return
    try:
        directory = Path(name).is_dir()
    except (OSError, ValueError):
        directory = False
    if not directory:
        yield _file(Path(name), name)
        return
    seen: set[tuple[int, int]] = set()
    entries = 0
    waiting = [(Path(name), 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            status = folder.stat()
            names = sorted(one.name for one in folder.iterdir())[:MAX_ENTRIES]
        except OSError as error:
            yield Source(str(folder), b"", unreadable=_why(error))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        below = []
        for entry in names:
            entries += 1
            if entry.startswith(".") or entries > MAX_ENTRIES:
                continue  # the versions behind a mounted secret, among others
            path = folder / entry
            try:
                is_directory, is_file = path.is_dir(), path.is_file()
            except OSError as error:  # a directory that may be listed, and not searched
                yield Source(str(path), b"", unreadable=_why(error))
                continue
            if is_directory:
                if depth < MAX_DEPTH:
                    below.append((path, depth + 1))
            elif is_file:
                yield _file(path, str(path))
        waiting += reversed(below)


def _file(path: Path, name: str) -> Source:
    try:
        # A pipe or a device in place of a file would keep us waiting for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return Source(name, b"", unreadable=_why(error))
    except ValueError:  # a NUL in the name
        return Source(name, b"", unreadable="this is no name of a file")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):  # before a stream is made of it, which a directory is none for
        os.close(descriptor)
        return Source(name, b"", unreadable="it is a directory" if stat.S_ISDIR(status.st_mode) else "it is no file")
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(MAX_SIZE + 1)
        except OSError as error:
            return Source(name, b"", unreadable=_why(error))
    if len(data) > MAX_SIZE:
        return Source(name, b"", unreadable=f"it is larger than {MAX_SIZE >> 20} MB")
    return Source(name, data, stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))


def _unpacked(one: Source) -> Iterator[Source]:
    """The entries of a Kubernetes secret; anything else as it is."""
    if Path(one.name).suffix.lower() not in _SECRETS or b"kind" not in one.data:
        yield one
        return
    try:
        documents = kubernetes_yaml.documents(one.data.decode())
    except (UnicodeDecodeError, ValueError):
        yield one
        return
    entries = [entry for document in documents for entry in _entries(document, one)]
    yield from entries or [one]


def _entries(document: object, of: Source) -> Iterator[Source]:
    if not isinstance(document, dict):
        return
    if isinstance(document.get("items"), list):
        for item in document["items"][:MAX_FILES]:
            yield from _entries(item, of) if not _is_list(item) else ()
        return
    if document.get("kind") not in {"Secret", "ConfigMap"}:
        return
    metadata: Any = document.get("metadata")
    called = metadata.get("name") if isinstance(metadata, dict) else None
    place = f"{of.name}/{called}" if isinstance(called, str) else of.name
    for group, is_base64 in (
        ("data", document["kind"] == "Secret"),
        ("stringData", False),
        ("binaryData", True),
    ):
        values = document.get(group)
        for name, value in values.items() if isinstance(values, dict) else ():
            if not isinstance(name, str) or not isinstance(value, str):
                continue
            try:
                octets = base64.b64decode("".join(value.split()), validate=True) if is_base64 else value.encode()
            except (binascii.Error, ValueError):
                yield Source(f"{place}/{name}", b"", unreadable="it is not base64")
                continue
            yield Source(f"{place}/{name}", octets)


def _is_list(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("items"), list)


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
