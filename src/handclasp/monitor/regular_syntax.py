"""The syntax of ``monitor.regular``: from text to a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from handclasp.findings import InvalidSetting

MAX_LENGTH: Final = 1_000
MAX_DEPTH: Final = 20
MAX_REPEAT: Final = 500
ALLOWED: Final = (
    r"a regular expression as RE2 has it: . [] () | * + ? {m,n} ^ $ \d \w \s \b, flags (?ims) at its start; "
    "no references, no look-around"
)

AT_START, AT_END, AT_LINE_START, AT_LINE_END, AT_BOUNDARY, NOT_AT_BOUNDARY = range(6)

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""A set of characters: code points from and to, in order, apart from each other."""
Node: TypeAlias = tuple[Any, ...]
"""("set", Ranges), ("assert", AT_...), ("all", nodes in order), ("any", nodes), ("repeat", node, least, most or
None)."""

_LAST: Final = 0x10FFFF
DIGIT: Final[Ranges] = ((0x30, 0x39),)
WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Final[Ranges] = ((0x09, 0x0D), (0x20, 0x20))
_SETS: Final = {"d": DIGIT, "w": WORD, "s": SPACE}
_CONTROLS: Final = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11}
_ASSERTIONS: Final = {"A": AT_START, "z": AT_END, "Z": AT_END, "b": AT_BOUNDARY, "B": NOT_AT_BOUNDARY}
_FLAGS: Final = re.compile(r"\(\?([ims]+)\)")
_REPEAT: Final = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
_GROUP: Final = re.compile(r"\((?:\?:|\?P?<[A-Za-z_][A-Za-z0-9_]*>|(?!\?))")
_HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A pattern: its tree, and the plain text that it is if it is no more than that."""

    tree: Node
    literal: str | None


def parse(text: str) -> Parsed:
    """Read a pattern. Raises InvalidSetting."""
    if len(text) > MAX_LENGTH:
        raise InvalidSetting("", f"the expression is longer than {MAX_LENGTH} characters", ALLOWED)
    literal = text if not re.search(r"[.\[\](){}|*+?^$\\]", text) else None
    return Parsed(_Parser(text).whole(), literal)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        found = _FLAGS.match(text)
        self.flags = found[1] if found else ""
        self.at = found.end() if found else 0

    def whole(self) -> Node:
        node = self.alternatives()
        if self.at < len(self.text):
            self.wrong("there is a ) without a (")
        return node

    def wrong(self, why: str) -> NoReturn:
        raise InvalidSetting("", f"{why} (at character {self.at + 1} of {self.text[:60]!r})", ALLOWED)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def alternatives(self) -> Node:
        found = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            found.append(self.sequence())
        return found[0] if len(found) == 1 else ("any", found)

    def sequence(self) -> Node:
        found: list[Node] = []
        while (next_one := self.peek()) and next_one not in "|)":
            found.append(self.repeated(self.one()))
        return ("all", found)

    def repeated(self, node: Node) -> Node:
        most: int | None
        match self.peek():
            case "*":
                least, most, length = 0, None, 1
            case "+":
                least, most, length = 1, None, 1
            case "?":
                least, most, length = 0, 1, 1
            case "{" if found := _REPEAT.match(self.text, self.at):
                least = int(found[1])
                most = least if found[2] is None else None if found[3] is None else int(found[3])
                length = len(found[0])
                if (most is not None and least > most) or max(least, most or 0) > MAX_REPEAT:
                    self.wrong(f"{found[0]} is no number of times; at most {MAX_REPEAT}")
            case _:
                return node
        self.at += length
        if self.peek() == "?":
            self.at += 1
        if self.peek() in {"*", "+", "?"} or _REPEAT.match(self.text, self.at):
            self.wrong("one repetition follows another")
        return ("repeat", node, least, most)

    def one(self) -> Node:
        character = self.peek()
        if character == "(":
            return self.group()
        if character == "[":
            self.at += 1
            return ("set", self.characters())
        if character in {"*", "+", "?"} or _REPEAT.match(self.text, self.at):
            self.wrong("there is nothing to repeat")
        self.at += 1
        match character:
            case ".":
                return ("set", ((0, _LAST),) if "s" in self.flags else _without(((10, 10),)))
            case "^":
                return ("assert", AT_LINE_START if "m" in self.flags else AT_START)
            case "$":
                return ("assert", AT_LINE_END if "m" in self.flags else AT_END)
            case "\\":
                if self.peek() in _ASSERTIONS:
                    self.at += 1
                    return ("assert", _ASSERTIONS[self.text[self.at - 1]])
                return ("set", self.folded(self.escape()))
        return ("set", self.folded(((ord(character), ord(character)),)))

    def group(self) -> Node:
        found = _GROUP.match(self.text, self.at)
        if found is None:
            self.wrong("this kind of group is not supported")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.wrong("the groups are nested too deeply")
        opened = self.at
        self.at = found.end()
        node = self.alternatives()
        if self.peek() != ")":
            self.at = opened
            self.wrong("there is a ( without a )")
        self.at += 1
        self.depth -= 1
        return node

    def escape(self) -> Ranges:
        """What stands after a backslash."""
        character = self.peek()
        if not character:
            self.wrong("there is a backslash at the end")
        if found := _HEX.match(self.text, self.at):
            code = int(found[1] or found[2] or found[3], 16)
            if code > _LAST:
                self.wrong("there is no such character")
            self.at = found.end()
            return ((code, code),)
        if character.isascii() and character.isalnum():
            if character.lower() in _SETS:
                self.at += 1
                ranges = _SETS[character.lower()]
                return ranges if character.islower() else _without(ranges)
            if character not in _CONTROLS:
                self.wrong(f"\\{character} is not supported")
        self.at += 1
        code = _CONTROLS.get(character, ord(character))
        return ((code, code),)

    def characters(self) -> Ranges:
        """A class, after its bracket."""
        opened = self.at
        negated = self.peek() == "^"
        self.at += negated
        found: list[tuple[int, int]] = []
        while self.peek() != "]" or not found:
            if not self.peek():
                self.at = opened - 1
                self.wrong("there is a [ without a ]")
            found += self.member()
        self.at += 1
        ranges = self.folded(_joined(found))
        return _without(ranges) if negated else ranges

    def member(self) -> Ranges:
        """One character, one escape or one range of a class."""
        if self.text.startswith(("[:", "[=", "[."), self.at):
            self.wrong("classes with a name are not supported")
        low = self.bound()
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in {"]", ""}:
            return low
        self.at += 1
        high = self.bound()
        if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
            self.wrong("a range goes from one character to another")
        if low[0][0] > high[0][0]:
            self.wrong("the range goes backwards")
        return ((low[0][0], high[0][0]),)

    def bound(self) -> Ranges:
        character = self.peek()
        self.at += 1
        return self.escape() if character == "\\" else ((ord(character), ord(character)),)

    def folded(self, ranges: Ranges) -> Ranges:
        """The set without regard to case, where that is asked for; ASCII letters only."""
        if "i" not in self.flags:
            return ranges
        other = [
            (max(low, first) + shift, min(high, last) + shift)
            for low, high in ranges
            for first, last, shift in ((0x41, 0x5A, 32), (0x61, 0x7A, -32))
            if max(low, first) <= min(high, last)
        ]
        return _joined([*ranges, *other])


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def _without(ranges: Ranges) -> Ranges:
    found: list[tuple[int, int]] = []
    begin = 0
    for low, high in ranges:
        if low > begin:
            found.append((begin, low - 1))
        begin = high + 1
    if begin <= _LAST:
        found.append((begin, _LAST))
    return tuple(found)
