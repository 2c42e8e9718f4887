"""Values with their lines, from JSON (Envoy's own, and what a YAML reader is to make of YAML): Python's reader of JSON
forgets where things stood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MOST_OCTETS = 8 << 20
_MOST_LEVELS = 100
_MOST_VALUES = 200_000
_TOKEN = re.compile(r'[ \t\r]+|\n|[{}\[\]:,]|"|[^ \t\r\n{}\[\]:,"]+')
_QUOTED = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Node:
    """One value, and the line (from 1) at which it begins; for a mapping's value, the line of its key will do."""

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    line: int

    def get(self, *names: str) -> Node:
        """What stands below these names, one in the other, in snake_case or lowerCamelCase; an empty one otherwise."""
        found = self
        for name in names:
            fields = found.value if isinstance(found.value, dict) else {}
            found = fields.get(name) or fields.get(_camel(name)) or Node(None, found.line)
        return found

    def has(self, name: str) -> bool:
        return isinstance(self.value, dict) and (name in self.value or _camel(name) in self.value)

    @property
    def items(self) -> tuple[Node, ...]:
        """Of a list; protobuf's JSON takes nothing else for one."""
        return tuple(self.value) if isinstance(self.value, list) else ()

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else ""

    @property
    def true(self) -> bool:
        return self.value is True or self.value == "true"

    def everything(self) -> Iterator[Node]:
        """This one and all below it. A tree with a circle, or one as large, ends at a bound."""
        waiting, count = [self], 0
        while waiting and count < _MOST_VALUES:
            one = waiting.pop()
            count += 1
            yield one
            below = one.value.values() if isinstance(one.value, dict) else one.items
            waiting.extend(reversed(tuple(below)))


ParseYaml = Callable[[bytes], Node]
"""May raise ``Malformed``, or any ValueError."""


class Malformed(ValueError):
    """The text is not in the form it should be in; ``line`` is where that shows."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


def parse_json(data: bytes) -> Node:
    """The value that the octets are. Raises Malformed, and nothing else."""
    if len(data) > MOST_OCTETS:
        raise Malformed(f"the file is longer than {MOST_OCTETS} octets", 1)
    try:
        return _Reader(data.decode("utf-8-sig")).whole()
    except UnicodeDecodeError as error:
        raise Malformed("this is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._count = 0

    def whole(self) -> Node:
        node = self._value(self._next(), 0)
        if self._next():
            raise Malformed("there is more after the end", self._line)
        return node

    def _next(self) -> str:
        """The next sign or word; empty at the end. A string is returned with its quotation marks."""
        while self._at < len(self._text):
            match = _TOKEN.match(self._text, self._at)
            if match is None:
                raise Malformed("a character that has no place here", self._line)
            sign = match[0]
            self._at = match.end()
            if sign == "\n":
                self._line += 1
            elif sign == '"':
                quoted = _QUOTED.match(self._text, self._at)
                if quoted is None:
                    raise Malformed("a string that does not end", self._line)
                self._at = quoted.end()
                return sign + quoted[0]
            elif sign[0] not in " \t\r":
                return sign
        return ""

    def _value(self, sign: str, level: int) -> Node:
        self._count += 1
        if level > _MOST_LEVELS or self._count > _MOST_VALUES:
            raise Malformed("there is more here than a configuration would hold", self._line)
        line = self._line
        if sign == "{":
            return Node(self._fields(level), line)
        if sign == "[":
            return Node(self._entries(level), line)
        return Node(self._plain(sign), line)

    def _fields(self, level: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        sign = self._next()
        while sign != "}":
            name = self._plain(sign)
            if not isinstance(name, str) or self._next() != ":":
                raise Malformed("a name and a colon are expected", self._line)
            fields[name] = self._value(self._next(), level + 1)
            sign = self._next()
            if sign == ",":
                sign = self._next()
            elif sign != "}":
                raise Malformed("a comma or } is expected", self._line)
        return fields

    def _entries(self, level: int) -> list[Node]:
        entries: list[Node] = []
        sign = self._next()
        while sign != "]":
            entries.append(self._value(sign, level + 1))
            sign = self._next()
            if sign == ",":
                sign = self._next()
            elif sign != "]":
                raise Malformed("a comma or ] is expected", self._line)
        return entries

    def _plain(self, sign: str) -> str | int | float | bool | None:
        if not sign or (len(sign) > 40 and sign[0] != '"'):
            raise Malformed("a value is expected", self._line)
        try:
            found = json.loads(sign)
        except ValueError:
            raise Malformed("a value is expected", self._line) from None
        if found is None or isinstance(found, str | int | float | bool):
            return found
        raise Malformed("a value is expected", self._line)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(one.capitalize() for one in rest)
