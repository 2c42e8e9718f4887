"""nginx's configuration as one tree, every ``include`` in its place (``nginx`` says what the tree means).

crossplane reads the text of each file; which files are read is decided here, so that an include in two contexts counts
in both, and a circle ends.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import crossplane.parser  # type: ignore[import-untyped]  # it ships no type information

from handclasp.doctor.config.model import Load
from handclasp.doctor.diagnosis import Ailment, Place, Side
from handclasp.doctor.files.exposure import in_configuration
from handclasp.findings import Code

MAX_SIZE = 4 << 20  # bytes of one file
MAX_INCLUDES = 500
MAX_DEPTH = 40  # of blocks and includes; nginx's own deepest is far below
_MAX_FAULTS = 20
_PARTS = {"conf.d", "sites-enabled", "sites-available", "modules-enabled", "snippets", "servers"}

Find = Callable[[str], Sequence[str]]
"""The paths that a pattern of the shell matches, sorted; never raises."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One directive with its arguments, quotes taken away; ``block`` is None where it is a simple one."""

    name: str
    args: tuple[str, ...]
    place: Place
    block: tuple[Statement, ...] | None = None

    @property
    def inner(self) -> tuple[Statement, ...]:
        return self.block or ()


@dataclass(frozen=True, slots=True)
class Tree:
    """``base`` is the directory to which paths are relative."""

    base: str
    files: tuple[str, ...]
    statements: tuple[Statement, ...]
    ailments: tuple[Ailment, ...]


def matching(pattern: str) -> tuple[str, ...]:
    """The files of this machine that the pattern matches."""
    try:
        return tuple(sorted(glob.glob(pattern))[: MAX_INCLUDES + 1])  # noqa: PTH207 - the pattern is absolute
    except (OSError, ValueError, RecursionError):
        return ()


def read_tree(path: str, load: Load, find: Find) -> Tree:
    """The whole configuration below this file. Never raises: what is wrong is told in ``ailments``."""
    parent = PurePosixPath(path).parent
    base = str(parent.parent if parent.name in _PARTS else parent)
    reading = _Reading(load, find, base)
    statements = tuple(reading.file(path, None, 0))
    return Tree(base, tuple(reading.files), statements, tuple(reading.ailments))


@dataclass(slots=True)
class _Reading:
    load: Load
    find: Find
    base: str
    files: list[str] = field(default_factory=list)
    ailments: list[Ailment] = field(default_factory=list)
    parsed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    includes: int = 0
    told: set[str] = field(default_factory=set)

    def file(self, path: str, named: Place | None, depth: int) -> Iterator[Statement]:
        """``named`` is the include that names it; None for the first file."""
        if path not in self.parsed:
            self.parsed[path] = self._parse(path, named)
        yield from self._statements(self.parsed[path], path, depth)

    def _parse(self, path: str, named: Place | None) -> list[dict[str, Any]]:
        source = self.load(path)
        if source.unreadable is not None:
            code = Code.CONFIG_UNREADABLE if named is None else Code.CONFIG_FILE_MISSING
            self._fault(code, f"{path} cannot be read: {source.unreadable}", named or Place(path))
            return []
        self.files.append(path)
        if len(source.data) > MAX_SIZE:
            self._fault(Code.CONFIG_UNREADABLE, f"it is larger than {MAX_SIZE >> 20} MB", Place(path))
            return []
        exposed = in_configuration(replace(source, name=path), Side.SERVER)
        self.ailments.extend(exposed)
        try:
            payload = crossplane.parser.parse_string(
                source.data.decode("utf-8", "replace"), filename=path, single=True, check_ctx=False
            )
        except Exception:  # it declares nothing of what it raises
            self._fault(Code.CONFIG_UNREADABLE, "it cannot be read as a configuration of nginx", Place(path))
            return []
        for error in payload["errors"][:_MAX_FAULTS]:
            what = "a directive is not well-formed" if exposed else _said(str(error["error"]))
            self._fault(Code.CONFIG_UNREADABLE, what, Place(path, error["line"]))
        found: list[dict[str, Any]] = payload["config"][0]["parsed"]
        return found

    def _statements(self, parsed: list[dict[str, Any]], path: str, depth: int) -> Iterator[Statement]:
        if depth > MAX_DEPTH:
            self._fault(Code.CONFIG_UNREADABLE, "blocks or includes are nested too deep, or in a circle", Place(path))
            return
        for one in parsed:
            place = Place(path, one["line"])
            name, args = str(one["directive"]), tuple(str(arg) for arg in one["args"])
            if name == "include" and args:
                yield from self._included(args[0], place, depth)
                continue
            block = one.get("block")
            inner = None if block is None else tuple(self._statements(block, path, depth + 1))
            yield Statement(name, args, place, inner)

    def _included(self, pattern: str, place: Place, depth: int) -> Iterator[Statement]:
        if self.includes > MAX_INCLUDES:
            return
        whole = pattern if pattern.startswith("/") else f"{self.base}/{pattern}"
        for path in self.find(whole) if glob.has_magic(whole) else (whole,):
            self.includes += 1
            if self.includes > MAX_INCLUDES:
                self._fault(Code.CONFIG_UNREADABLE, f"it includes more than {MAX_INCLUDES} files", place)
                return
            yield from self.file(path, place, depth + 1)

    def _fault(self, code: Code, what: str, place: Place) -> None:
        key = f"{code} {place} {what}"
        if key not in self.told and len(self.ailments) < MAX_INCLUDES:
            self.told.add(key)
            self.ailments.append(Ailment(code, str(place), what, place=place))


def _said(error: str) -> str:
    """What crossplane says, without the place that it appends."""
    text = error.rpartition(" in ")[0] or error
    return "".join(char if char.isprintable() else "?" for char in text[:200])
