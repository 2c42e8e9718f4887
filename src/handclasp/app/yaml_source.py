"""A YAML file as plain text values, with the place of each: line and column, both from 1.

What is read is the part of YAML that a person can oversee: mappings, lists and text. Anchors, aliases, tags,
duplicate keys and a second document are problems, and so are tabs and control characters. Scalars stay the text that
was written, because YAML 1.1 would make ``off`` a boolean and ``1:30`` the number 90; who knows the setting reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
Path: TypeAlias = "tuple[str | int, ...]"
Position: TypeAlias = "tuple[int, int]"

MAX_SIZE: Final = 1024 * 1024  # characters, and bytes where bytes are read
MAX_DEPTH: Final = 16  # the settings need 5

_SHOWN_PROBLEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file: where, which setting, why, and what may stand there instead."""

    file: str
    line: int
    column: int
    path: str
    why: str
    allowed: str

    def __str__(self) -> str:
        setting = f" {self.path}:" if self.path else ""
        return f"{self.file}:{self.line}:{self.column}:{setting} {self.why}. Allowed: {self.allowed}"


class SettingsError(Exception):
    """A file of settings that cannot be used: every problem in it, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:_SHOWN_PROBLEMS]]
        if more := len(self.problems) - len(lines):
            lines.append(f"... and {more} more")
        return "\n".join(lines)


@dataclass(slots=True)
class Source:
    """What a file says: its values, their places, and what is wrong with it so far."""

    file: str
    tree: Tree = None
    complete: bool = False  # whether the file could be read to its end
    problems: list[Problem] = field(default_factory=list)
    positions: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    aliases: set[Path] = field(default_factory=set)  # here the value is unknown, so nothing can be said about it

    def position(self, path: Path) -> Position:
        """The place of the setting, or of the nearest one around it that is written down."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (1, 1))

    def add(self, path: Path, why: str, allowed: str, at: Position | None = None) -> None:
        """Note a problem of the setting at ``path``, at its own place unless another is given."""
        while path and isinstance(path[-1], int) and path not in self.positions:
            path = path[:-1]  # one value stands where a list may: allow: spiffe://...
        line, column = at or self.position(path)
        self.problems.append(Problem(self.file, line, column, path_text(path), shortened(why), shortened(allowed)))

    def error(self) -> SettingsError:
        """All the problems as one error."""
        return SettingsError(tuple(sorted(self.problems, key=lambda p: (p.line, p.column))))


def read(text: str, file: str) -> Source:
    """Read one YAML document. Never raises for what the text says; the problems are in the result."""
    source = Source(file)
    if _readable(text, source):
        try:
            _Composer(source).compose(yaml.parse(text, Loader=_LOADER))
        except _TooDeep:
            pass
        except yaml.MarkedYAMLError as error:
            _syntax(error, text, source)
        except yaml.YAMLError as error:
            source.add((), f"this is not YAML: {error}", "one YAML document")
        else:
            source.complete = True
    return source


def decode(data: bytes, file: str) -> str:
    """The text of a file. Raises SettingsError where it is too large or not UTF-8."""
    source = Source(file)
    if len(data) > MAX_SIZE:
        source.add((), *_TOO_LARGE)
        raise source.error()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        why = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            why = "the file is UTF-16"
        source.add((), why, "a file in UTF-8, without a byte order mark", _place(before, len(before)))
        raise source.error() from None


def path_text(path: Path) -> str:
    """A path as a person writes it: ``services.orders.rules[0].allow``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else repr(shortened(part, 40)))
    return text


def shortened(text: str, limit: int = 400) -> str:
    """The text in one line and no longer than a message should be."""
    text = text.replace("\n", " ")
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def kind(value: object) -> str:
    """What a value is, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping (keys and values)"
    return "a list" if isinstance(value, list) else "text"


# ``yaml.parse`` instead of ``yaml.compose``: the same nodes, but aliases are seen and nothing recurses without a limit.
# libyaml is seventeen times as fast as the Python scanner, which takes 8 s for a file of the greatest size.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TOO_LARGE: Final = ("the file is too large to be a file of settings", f"at most {MAX_SIZE} bytes")
# What YAML 1.1 does not print (section 5.1), the line breaks that no editor shows as such, and the characters that
# turn the direction of text, so that a reviewer would see another rule than the one that holds.
_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_INDENTING_TAB: Final = re.compile(r"^ *\t[ \t]*(?=[^ \t\r\n])", re.MULTILINE)


def _readable(text: str, source: Source) -> bool:
    """Look for what the YAML scanner would stumble over, and would not explain."""
    if len(text) > MAX_SIZE:
        source.add((), *_TOO_LARGE)
        return False
    if text.startswith("\ufeff"):
        source.add((), "the file begins with a byte order mark, which cannot be seen", "UTF-8 without such a mark")
        text = " " + text[1:]
    for found in _UNPRINTABLE.finditer(text):
        why = f"the character U+{ord(found[0]):04X} cannot be seen and means nothing here"
        source.add((), why, "printable text", _place(text, found.start()))
    for found in _INDENTING_TAB.finditer(text):
        tab = text.index("\t", found.start())
        source.add((), "there is a tab in the indentation", "spaces alone", _place(text, tab))
    return not source.problems


def _place(text: str, index: int) -> Position:
    before = re.split(r"\r\n|\r|\n", text[:index])
    return len(before), len(before[-1]) + 1


class _TooDeep(Exception):
    pass


class _Composer:
    """Values from the events of PyYAML, which know their places."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def compose(self, events: Iterator[Event]) -> None:
        """Fill the source. Raises yaml.YAMLError, _TooDeep."""
        documents = 0
        for event in events:
            if not isinstance(event, DocumentStartEvent):
                continue
            documents += 1
            if documents > 1:
                self._source.add((), "a second document begins here", "one document", _start(event))
                return
            root = next(events)
            self._source.positions[()] = _start(root)
            self._source.tree = self._value(root, events, ())

    def _value(self, event: Event, events: Iterator[Event], path: Path) -> Tree:
        if len(path) > MAX_DEPTH:
            self._source.add(path, "the nesting is too deep", f"at most {MAX_DEPTH} levels", _start(event))
            raise _TooDeep
        if isinstance(event, AliasEvent):
            self._source.add(path, f"*{event.anchor} is an alias", "the value itself, written out", _start(event))
            self._source.aliases.add(path)
            return None
        self._check(event, path)
        if isinstance(event, ScalarEvent):
            return None if not event.style and event.value in _NULL else str(event.value)
        if isinstance(event, SequenceStartEvent):
            items: list[Tree] = []
            while not isinstance(item := next(events), SequenceEndEvent):
                place = (*path, len(items))
                self._source.positions[place] = _start(item)
                items.append(self._value(item, events, place))
            return items
        assert isinstance(event, MappingStartEvent)
        return self._mapping(events, path)

    def _mapping(self, events: Iterator[Event], path: Path) -> dict[str, Tree]:
        values: dict[str, Tree] = {}
        while not isinstance(key := next(events), MappingEndEvent):
            if not isinstance(key, ScalarEvent):
                self._source.add(path, "a key is not plain text", "text, as in listen: 8443", _start(key))
                self._skip(key, events)
                self._skip(next(events), events)
                continue
            place = (*path, str(key.value))
            self._check(key, place)
            value = next(events)
            if place[-1] in values:
                line, column = self._source.keys[place]
                why = f"the key is there twice; it was set in line {line}, column {column}"
                self._source.add(place, why, "each key once", _start(key))
                self._skip(value, events)
                continue
            self._source.keys[place] = _start(key)
            written = value.value if isinstance(value, ScalarEvent) else getattr(value, "flow_style", False)
            # A block begins on the next line, and nothing is nowhere: the key is the better place.
            self._source.positions[place] = _start(value if written else key)
            values[str(key.value)] = self._value(value, events, place)
        return values

    def _skip(self, event: Event, events: Iterator[Event]) -> None:
        """Pass over a value that has no path of its own."""
        depth = 0
        while True:
            depth += isinstance(event, (MappingStartEvent, SequenceStartEvent))
            depth -= isinstance(event, (MappingEndEvent, SequenceEndEvent))
            if depth == 0:
                return
            event = next(events)

    def _check(self, event: Event, path: Path) -> None:
        if anchor := getattr(event, "anchor", None):
            self._source.add(
                path, f"&{anchor} is an anchor", "the value alone, written out where it is needed", _start(event)
            )
        if tag := getattr(event, "tag", None):
            self._source.add(path, f"{tag} is a tag", "the value alone", _start(event))


def _start(event: Event) -> Position:
    assert event.start_mark is not None
    return event.start_mark.line + 1, event.start_mark.column + 1


# What libyaml says, and what it means to the person who wrote the file.
_SYNTAX: Final[Mapping[str, tuple[str, str]]] = {
    "mapping values are not allowed": (
        "a colon stands where no key can be",
        "one key: value on a line, its keys lined up; a text with a colon and a space in quotes",
    ),
    "could not find expected ':'": ("this key has no colon after it", "key: value"),
    "did not find expected ',' or ']'": ("the list that begins with [ has no end", "[a, b, c]"),
    "did not find expected ',' or '}'": ("the mapping that begins with { has no end", "{key: value}"),
    "did not find expected key": (
        "this line does not fit the lines before it",
        "keys of one mapping lined up below each other; a text that begins with a quote or [ in quotes",
    ),
    "did not find expected <document start>": (
        "this line does not fit the lines before it",
        "keys of one mapping lined up below each other",
    ),
    "did not find expected '-' indicator": (
        "this line does not fit the list before it",
        "a list of lines that begin with a dash, lined up below each other",
    ),
    "did not find expected node content": (
        "there is no value that YAML can read",
        "a value; a text that begins with [ or : in quotes, as in '[::1]:8443'",
    ),
    "found unexpected end of stream": ("this quotation mark is not closed", "a closing quotation mark"),
}


def _syntax(error: yaml.MarkedYAMLError, text: str, source: Source) -> None:
    problem = error.problem or "it cannot be read"
    mark = error.problem_mark
    if mark is None or "end of stream" in problem or "',' or" in problem:
        mark = error.context_mark or mark  # the end of the file explains nothing; where it was opened does
    at = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    if "cannot start any token" in problem and mark is not None and mark.index < len(text):
        source.add((), f"{text[mark.index]!r} cannot begin a value in YAML", "the text in quotes", at)
        return
    for said, (why, allowed) in _SYNTAX.items():
        if said in problem:
            source.add((), why, allowed, at)
            return
    source.add((), f"this is not YAML: {problem}", "one YAML document; a text with special characters in quotes", at)
