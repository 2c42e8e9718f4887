"""httpd's own syntax (https://httpd.apache.org/docs/2.4/configuring.html), with its includes: directives in a tree,
each with its file and line. What is conditional counts as there, unless it obviously is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import PurePosixPath

from handclasp.doctor.config.model import Load
from handclasp.doctor.config.nginx_tree import Find
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.findings import Code

MOST_OCTETS = 4 << 20
"""Of one file; a longer one is no configuration that a person wrote."""

_MOST_FILES = 500
_MOST_DIRECTIVES = 100_000
_MOST_LEVELS = 40
_MOST_INCLUDES = 16
_MOST_LINE = 64 << 10
_MOST_STARS = 4
_TRANSPARENT = frozenset({"ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection"})
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_.:]{1,100})\}")
_DEBIAN_PARTS = frozenset(
    {"sites-available", "sites-enabled", "conf-available", "conf-enabled", "mods-available", "mods-enabled"}
)
_PARTS = _DEBIAN_PARTS | {"conf", "conf.d", "extra", "vhosts.d"}


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive, or a section with what it holds. ``name`` is lower case."""

    name: str
    arguments: tuple[str, ...]
    place: Place
    section: bool = False
    inner: tuple[Directive, ...] = ()

    @property
    def first(self) -> str:
        return self.arguments[0] if self.arguments else ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """``root`` is the ServerRoot, against which relative paths count."""

    directives: tuple[Directive, ...]
    files: tuple[str, ...]
    root: str
    ailments: tuple[Ailment, ...]


def parse(path: str, load: Load, find: Find) -> Parsed:
    """The configuration that begins at ``path``. Never raises: what is wrong is among the ailments."""
    reader = _Reader(load, find, _root(path))
    directives = reader.file(path, None, 0)
    return Parsed(tuple(directives), tuple(dict.fromkeys(reader.files)), reader.root, tuple(reader.ailments))


def absolute(root: str, path: str) -> str:
    return path if path.startswith("/") else str(PurePosixPath(root) / path)


def unreadable(place: Place, what: str, severity: Severity = Severity.ERROR) -> Ailment:
    fix = Fix(
        Side.SERVER, "Correct this place, then have httpd check it.", "apache", ("apachectl configtest  # or httpd -t",)
    )
    return Ailment(Code.CONFIG_UNREADABLE, "configuration", what, severity, (fix,), place)


@dataclass(slots=True)
class _Frame:
    name: str
    arguments: tuple[str, ...]
    place: Place
    taken: bool = True
    items: list[Directive] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    load: Load
    find: Find
    root: str
    files: list[str] = field(default_factory=list)
    ailments: list[Ailment] = field(default_factory=list)
    defined: dict[str, str] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    count: int = 0

    def file(self, path: str, named: Place | None, includes: int) -> list[Directive]:
        """The directives of one file. ``named`` is where it is included."""
        if len(self.files) >= _MOST_FILES or includes > _MOST_INCLUDES:
            self.ailments.append(unreadable(named or Place(path), "Too many files are included, perhaps in a circle"))
            return []
        source = self.load(path)
        if source.unreadable is not None:
            code = Code.CONFIG_UNREADABLE if named is None else Code.CONFIG_FILE_MISSING
            what = f"{_shown(path)} cannot be read: {_shown(source.unreadable)}"
            fix = Fix(Side.SERVER, "Correct the path, or let the user who runs the check read the file.", "apache")
            self.ailments.append(Ailment(code, "configuration", what, Severity.ERROR, (fix,), named or Place(path)))
            return []
        self.files.append(path)
        if len(source.data) > MOST_OCTETS:
            self.ailments.append(unreadable(Place(path), f"The file is longer than {MOST_OCTETS} octets"))
            return []
        if b"\0" in source.data:
            self.ailments.append(unreadable(Place(path), "This is no text: it holds a null octet"))
            return []
        return self._lines(path, source.data.decode("utf-8", "replace"), includes)

    def _lines(self, path: str, text: str, includes: int) -> list[Directive]:
        stack = [_Frame("", (), Place(path, 1))]
        for number, line in logical_lines(text):
            place = Place(path, number)
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            self.count += 1
            if self.count > _MOST_DIRECTIVES or len(line) > _MOST_LINE:
                self.ailments.append(unreadable(place, "There is more here than a configuration would hold"))
                break
            if line.startswith("</"):
                self._close(stack, line, place)
            elif line.startswith("<"):
                self._open(stack, line, place)
            elif stack[-1].taken:
                self._directive(stack[-1], line, place, includes)
        for frame in stack[1:]:
            self.ailments.append(unreadable(frame.place, f"<{_shown(frame.name)}> is never closed"))
        while len(stack) > 1:
            self._pop(stack)
        return stack[0].items

    def _open(self, stack: list[_Frame], line: str, place: Place) -> None:
        if not line.endswith(">"):
            self.ailments.append(unreadable(place, "This section has no closing '>'"))
            line += ">"
        words, complaint = split(self._expanded(line[1:-1]))
        name = words[0].lower() if words else ""
        if complaint and name not in {"if", "elseif"}:
            self.ailments.append(unreadable(place, complaint))
        if len(stack) > _MOST_LEVELS:
            self.ailments.append(unreadable(place, "Sections are nested too deeply"))
        frame = _Frame(name, tuple(words[1:]), place)
        frame.taken = stack[-1].taken and self._condition(name, frame.arguments) and len(stack) <= _MOST_LEVELS
        if name == "macro":
            frame.taken = False
            self.ailments.append(unreadable(place, "Macros are not read: what they hold is unknown", Severity.NOTE))
        stack.append(frame)

    def _close(self, stack: list[_Frame], line: str, place: Place) -> None:
        name = line[2:].rstrip("> \t").lower()
        if not any(frame.name == name for frame in stack[1:]):
            self.ailments.append(unreadable(place, f"</{_shown(name)}> closes nothing that is open"))
            return
        while stack[-1].name != name:
            frame = stack[-1]
            what = f"<{_shown(frame.name)}> of line {frame.place.line} is still open at </{_shown(name)}>"
            self.ailments.append(unreadable(place, what))
            self._pop(stack)
        self._pop(stack)

    @staticmethod
    def _pop(stack: list[_Frame]) -> None:
        frame = stack.pop()
        if not frame.taken:
            return
        if frame.name in _TRANSPARENT:
            stack[-1].items.extend(frame.items)
        else:
            stack[-1].items.append(Directive(frame.name, frame.arguments, frame.place, True, tuple(frame.items)))

    def _condition(self, name: str, arguments: Sequence[str]) -> bool:
        if name not in {"ifmodule", "ifdefine"} or not arguments:
            return True
        wanted = arguments[0].lstrip("!").strip()
        known = self.defined if name == "ifdefine" else self.loaded | {"ssl_module", "mod_ssl.c", "ssl"}
        return not (arguments[0].startswith("!") and wanted in known)

    def _directive(self, frame: _Frame, line: str, place: Place, includes: int) -> None:
        words, complaint = split(self._expanded(line))
        name = words[0].lower() if words else ""
        if complaint and name.startswith(("ssl", "include", "serverroot", "requestheader")):
            self.ailments.append(unreadable(place, complaint))
        arguments = tuple(words[1:])
        if name == "define" and arguments:
            self.defined[arguments[0]] = arguments[1] if len(arguments) > 1 else ""
        elif name == "undefine" and arguments:
            self.defined.pop(arguments[0], None)
        elif name == "loadmodule" and arguments:
            self.loaded |= {arguments[0], PurePosixPath(arguments[-1]).stem + ".c"}
        elif name == "serverroot" and arguments:
            self.root = absolute(self.root, arguments[0])
        elif name in {"include", "includeoptional"} and arguments:
            frame.items.extend(self._included(arguments[0], name == "includeoptional", place, includes))
            return
        frame.items.append(Directive(name, arguments, place))

    def _included(self, pattern: str, optional: bool, place: Place, includes: int) -> list[Directive]:
        pattern = absolute(self.root, pattern)
        if pattern.count("*") > _MOST_STARS or "**" in pattern:
            self.ailments.append(unreadable(place, "This pattern is not followed", Severity.NOTE))
            return []
        paths: Sequence[str] = (pattern,)
        if any(sign in pattern for sign in "*?["):
            paths = self.find(pattern)
        elif self.load(pattern).unreadable is not None:
            inside = self.find(escape(pattern.rstrip("/")) + "/*")  # a directory stands for all of its files
            paths = inside or (() if optional and not self.find(escape(pattern)) else paths)
        if not paths and not optional:
            what = f"Nothing matches the Include of {_shown(pattern)}: httpd does not start."
            line = f"IncludeOptional {_shown(pattern)}"
            fix = Fix(Side.SERVER, "Correct the path, or write IncludeOptional.", "apache", (), (line,))
            self.ailments.append(Ailment(Code.CONFIG_FILE_MISSING, "Include", what, Severity.ERROR, (fix,), place))
        return [one for path in paths[:_MOST_FILES] for one in self.file(path, place, includes + 1)]

    def _expanded(self, text: str) -> str:
        return _VARIABLE.sub(lambda match: self.defined.get(match[1], match[0])[:1000], text, count=100)


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with those that a backslash continues joined, each with the number of its first."""
    found: list[tuple[int, str]] = []
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        begun = begun or number
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        found.append((begun, "".join([*parts, line])))
        begun, parts = 0, []
    if parts:
        found.append((begun, "".join(parts)))
    return found


def split(text: str) -> tuple[list[str], str]:
    """The words of a line, quotes taken off; and what is wrong with them, empty where nothing is."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] not in "\"'":
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            words.append(text[at:end])
            at = end
            continue
        quote, at, taken = text[at], at + 1, list[str]()
        while at < len(text) and text[at] != quote:
            if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in (quote, "\\"):
                at += 1
            taken.append(text[at])
            at += 1
        words.append("".join(taken))
        if at >= len(text):
            return words, f"The quotation mark {quote} is never closed"
        at += 1
    return words, ""


def _root(path: str) -> str:
    """Where relative paths count from, as long as no ServerRoot says otherwise."""
    directory = PurePosixPath(path).parent
    return str(directory.parent if directory.name in _PARTS else directory)


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:200])
