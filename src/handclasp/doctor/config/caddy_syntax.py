"""The Caddyfile's own syntax (https://caddyserver.com/docs/caddyfile/concepts): words, blocks, snippets and imports,
each directive with its file and line. Placeholders stay as they are; heredocs are not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from handclasp.doctor.config.apache_syntax import Directive
from handclasp.doctor.config.model import Load
from handclasp.doctor.config.nginx_tree import Find
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.exposure import in_configuration
from handclasp.findings import Code

_MOST_OCTETS = 1 << 20
_MOST_FILES = 200
_MOST_DIRECTIVES = 50_000
_MOST_LEVELS = 30
_WORD = re.compile(r'"((?:[^"\\]|\\.)*+)"|`([^`]*+)`|(\S++)', re.DOTALL)
_ARGUMENT = re.compile(r"\{args(?:\.([0-9]{1,3})|\[([0-9]{1,3})\])\}")


@dataclass(slots=True)
class Parsed:
    """The top level: each site as ``site`` with its addresses as arguments, and the global options as ``options``."""

    sites: list[Directive] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    ailments: list[Ailment] = field(default_factory=list)


def parse(path: str, load: Load, find: Find) -> Parsed:
    """The Caddyfile at ``path``, with what it imports. Never raises."""
    reader = _Reader(load, find)
    lines = reader.file(path, None)
    reader.top(lines, 0)
    return reader.parsed


def unreadable(place: Place, what: str) -> Ailment:
    command = f"caddy validate --adapter caddyfile --config {place.file}"
    fix = Fix(Side.SERVER, "Correct this place, then have Caddy check it.", "caddy", (command,))
    return Ailment(Code.CONFIG_UNREADABLE, "configuration", what, Severity.ERROR, (fix,), place)


@dataclass(slots=True)
class _Reader:
    load: Load
    find: Find
    parsed: Parsed = field(default_factory=Parsed)
    snippets: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    count: int = 0
    ended: bool = False

    def file(self, path: str, named: Place | None) -> list[Directive]:
        """The directives of one file as they stand, nothing imported yet."""
        if len(self.parsed.files) >= _MOST_FILES:
            self.parsed.ailments.append(unreadable(named or Place(path), "too many files are imported"))
            return []
        source = self.load(path)
        if source.unreadable is not None:
            code = Code.CONFIG_UNREADABLE if named is None else Code.CONFIG_FILE_MISSING
            what = f"{shown(path)} cannot be read: {shown(source.unreadable)}"
            fix = Fix(Side.SERVER, "Correct the path, or let the user who runs the check read the file.", "caddy")
            place = named or Place(path)
            self.parsed.ailments.append(Ailment(code, "configuration", what, Severity.ERROR, (fix,), place))
            return []
        self.parsed.files.append(path)
        if len(source.data) > _MOST_OCTETS or b"\0" in source.data:
            self.parsed.ailments.append(unreadable(Place(path), "this is no Caddyfile: too long, or not text"))
            return []
        self.parsed.ailments += in_configuration(source, Side.SERVER)
        return self._blocks(path, source.data.decode("utf-8", "replace"))

    def _blocks(self, path: str, text: str) -> list[Directive]:
        stack: list[tuple[list[str], Place, list[Directive]]] = [([], Place(path, 1), [])]
        for place, words in _lines(path, text)[:_MOST_DIRECTIVES]:
            if words == ["}"]:
                if len(stack) == 1:
                    self.parsed.ailments.append(unreadable(place, "} closes nothing that is open"))
                    continue
                before, begun, inner = stack.pop()
                stack[-1][2].append(
                    Directive(before[0] if before else "", tuple(before[1:]), begun, True, tuple(inner))
                )
            elif words[-1] == "{" and len(stack) <= _MOST_LEVELS:
                stack.append((words[:-1], place, []))
            else:
                stack[-1][2].append(Directive(words[0], tuple(words[1:]), place))
        for _, begun, _ in stack[1:]:
            self.parsed.ailments.append(unreadable(begun, "this block is never closed"))
        while len(stack) > 1:
            before, begun, inner = stack.pop()
            stack[-1][2].append(Directive(before[0] if before else "", tuple(before[1:]), begun, True, tuple(inner)))
        return stack[0][2]

    def top(self, lines: list[Directive], level: int) -> None:
        for index, one in enumerate(lines):
            if one.name.startswith("(") and one.name.endswith(")") and one.section:
                self.snippets[one.name[1:-1]] = one.inner
            elif one.name == "import":
                self._import_top(one, level)
            elif one.section:
                kind = "site" if one.name else "options"
                names = (one.name, *one.arguments) if one.name else ()
                self.parsed.sites.append(Directive(kind, names, one.place, True, self._expanded(one.inner, level + 1)))
            else:
                inner = self._expanded(tuple(lines[index + 1 :]), level + 1)  # the one site of a file without braces
                self.parsed.sites.append(Directive("site", (one.name, *one.arguments), one.place, True, inner))
                return

    def _import_top(self, one: Directive, level: int) -> None:
        if level > _MOST_LEVELS:
            self.parsed.ailments.append(unreadable(one.place, "imports go too deep, perhaps in a circle"))
            return
        if one.first in self.snippets:
            self.top(list(self.snippets[one.first]), level + 1)
            return
        for path in self._paths(one):
            self.top(self.file(path, one.place), level + 1)

    def _paths(self, one: Directive) -> tuple[str, ...]:
        pattern = one.first if one.first.startswith("/") else str(PurePosixPath(one.place.file).parent / one.first)
        if not one.first or pattern.count("*") > 2:
            return ()
        if any(sign in pattern for sign in "*?["):
            return tuple(self.find(pattern))
        return (pattern,)

    def _expanded(self, lines: tuple[Directive, ...], level: int) -> tuple[Directive, ...]:
        """With what is imported in the place of ``import``."""
        found: list[Directive] = []
        for one in lines:
            self.count += 1
            if self.count > _MOST_DIRECTIVES or level > _MOST_LEVELS:
                if not self.ended:
                    self.parsed.ailments.append(unreadable(one.place, "imports go too deep, perhaps in a circle"))
                self.ended = True
                break
            if one.name == "import":
                if one.first in self.snippets:
                    inner = _filled(self.snippets[one.first], one.arguments[1:])
                    found += self._expanded(inner, level + 1)
                else:
                    for path in self._paths(one):
                        found += self._expanded(tuple(self.file(path, one.place)), level + 1)
            elif one.section:
                inner = self._expanded(one.inner, level + 1)
                found.append(Directive(one.name, one.arguments, one.place, True, inner))
            else:
                found.append(one)
        return tuple(found)


def _filled(lines: tuple[Directive, ...], arguments: tuple[str, ...]) -> tuple[Directive, ...]:
    def fill(word: str) -> str:
        def value(match: re.Match[str]) -> str:
            number = int(match[1] or match[2])
            return arguments[number][:500] if number < len(arguments) else match[0]

        return _ARGUMENT.sub(value, word, count=20)

    return tuple(
        Directive(
            fill(one.name), tuple(map(fill, one.arguments)), one.place, one.section, _filled(one.inner, arguments)
        )
        for one in lines
    )


def _lines(path: str, text: str) -> list[tuple[Place, list[str]]]:
    """The words of each line; a backslash at its end, or an open quotation mark, goes on to the next."""
    found: list[tuple[Place, list[str]]] = []
    at, number, words, begun = 0, 1, list[str](), 1
    while at < len(text):
        sign = text[at]
        if sign == "\n":
            if words and not words[-1].endswith(","):  # addresses go on after a comma
                found.append((Place(path, begun), words))
                words = []
            number, at = number + 1, at + 1
        elif sign.isspace():
            at += 1
        elif sign == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text.startswith(("\\\n", "\\\r\n"), at):
            number, at = number + 1, text.index("\n", at) + 1
        else:
            match = _WORD.match(text, at)
            word = match[0] if match else sign
            at += len(word)
            begun = begun if words else number
            number += word.count("\n")
            plain = match is None or match[3] is not None
            words.append(word if plain else word[1:-1].replace('\\"', '"'))
    if words:
        found.append((Place(path, begun), words))
    return found


def shown(text: str) -> str:
    """At most 200 printable characters."""
    return "".join(one if one.isprintable() else "?" for one in text[:200])
