"""Regular expressions that cannot be made slow: whoever answers a request writes the text that they are tried on.

A backtracking matcher, as ``re`` is one, takes quadratic, cubic or exponential time for patterns that people write
every day (``.*error.*id``), and cannot be interrupted. So this is the other kind (Thompson's): all ways through the
pattern are followed at once, the sets of states are kept as a deterministic automaton that grows as it is needed, and
the work for one text is bounded by ``MAX_WORK`` whatever text and pattern are.

The syntax is the common part of RE2 and Python: literals, ``.``, classes, groups, ``|``, ``* + ? {m,n}`` (and their
lazy forms, which find the same), ``^ $ \\A \\z \\b \\B``, ``\\d \\w \\s`` (ASCII), and the flags ``(?ims)`` at the
start (``i`` for ASCII letters). ``$`` without ``m`` is the very end. References and look-around have no such matcher
and are refused.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import Final

from handclasp.findings import InvalidSetting
from handclasp.monitor.regular_syntax import (
    ALLOWED,
    AT_BOUNDARY,
    AT_END,
    AT_LINE_END,
    AT_LINE_START,
    AT_START,
    NOT_AT_BOUNDARY,
    WORD,
    Node,
    Ranges,
    parse,
)

MAX_STATES: Final = 1_000
"""Instructions that a pattern may come to."""
MAX_WORK: Final = 500_000
"""Instructions looked at for one text, most; 0.2 s."""

_MAX_KEPT: Final = 4_000  # transitions of the automaton that are remembered
_SET, _SPLIT, _ASSERT, _MATCH = range(4)
_START, _NEWLINE, _WORD, _OTHER = range(4)  # what is before a place in the text
_ENDING: Final = -1  # instead of a class of characters, at the end of the text


class TooMuchWork(Exception):
    """The pattern on this text takes more work than is done for a check."""


class _State:
    """A state of the automaton: the instructions that go on from here, what comes after each class of characters
    (None: found), and whether the pattern is matched where the text ends (None: not looked at yet)."""

    __slots__ = ("after", "ends", "places", "previous")

    def __init__(self, places: tuple[int, ...], previous: int) -> None:
        self.places = places
        self.previous = previous
        self.after: dict[int, _State | None] = {}
        self.ends: bool | None = None


class Expression:
    """A regular expression, made by ``expression``."""

    def __init__(self, text: str) -> None:
        """Raises InvalidSetting."""
        self.text = text
        parsed = parse(text)
        self._literal = parsed.literal
        self._kinds: list[int] = [_MATCH]
        self._arguments: list[int] = [0]
        self._outs: list[int] = [0]
        self._sets: list[tuple[int, ...]] = []  # the edges of ranges: from here inside, from there outside...
        self._first = self._emit(parsed.tree, 0)
        self._context = _ASSERT in self._kinds
        bounds = {edge for edges in self._sets for edge in edges}
        if self._context:
            bounds |= {*_WORD_EDGES, *_edges(((10, 10),))}
        self._bounds = sorted(bounds)
        self._classes = [bisect_right(self._bounds, code) for code in range(256)]
        self._states: dict[tuple[tuple[int, ...], int], _State] = {}
        self._kept = 0

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def found_in(self, text: str) -> bool:
        """Whether it matches anywhere in the text. Raises TooMuchWork."""
        if self._literal is not None:
            return self._literal in text
        state = self._state((self._first,), _START)
        work = MAX_WORK
        classes, bounds = self._classes, self._bounds
        for character in text:
            code = ord(character)
            kind = classes[code] if code < 256 else bisect_right(bounds, code)
            following = state.after.get(kind, state)
            if following is state and kind not in state.after:
                following, cost = self._follow(state, kind, code)
                work -= cost
                if work < 0:
                    raise TooMuchWork
            if following is None:
                return True
            state = following
        return self._matches_at_end(state)

    def _emit(self, node: Node, out: int) -> int:
        """The place where the program for the node begins, which goes on at ``out``."""
        match node:
            case ("set", ranges):
                edges = _edges(ranges)
                if edges not in self._sets:
                    self._sets.append(edges)
                return self._add(_SET, self._sets.index(edges), out)
            case ("assert", what):
                return self._add(_ASSERT, what, out)
            case ("all", nodes):
                for one in reversed(nodes):
                    out = self._emit(one, out)
                return out
            case ("any", nodes):
                first, *others = [self._emit(one, out) for one in nodes]
                for other in others:
                    first = self._add(_SPLIT, first, other)
                return first
            case ("repeat", one, least, most):
                return self._repeat(one, least, most, out)
        raise AssertionError(node)

    def _repeat(self, one: Node, least: int, most: int | None, out: int) -> int:
        if most is None:
            loop = self._add(_SPLIT, 0, out)
            self._arguments[loop] = self._emit(one, loop)
            begin = loop
        else:
            begin = out
            for _ in range(most - least):
                begin = self._add(_SPLIT, self._emit(one, begin), out)
        for _ in range(least):
            begin = self._emit(one, begin)
        return begin

    def _add(self, kind: int, argument: int, out: int) -> int:
        if len(self._kinds) >= MAX_STATES:
            raise InvalidSetting("", "the expression is too large", ALLOWED)
        self._kinds.append(kind)
        self._arguments.append(argument)
        self._outs.append(out)
        return len(self._kinds) - 1

    def _state(self, places: tuple[int, ...], previous: int) -> _State:
        key = (places, previous if self._context else _OTHER)
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = _State(places, previous)
        return found

    def _follow(self, state: _State, kind: int, code: int) -> tuple[_State | None, int]:
        """What comes after the character, and what it cost to find out."""
        if self._kept >= _MAX_KEPT:
            self._states, self._kept = {}, 0  # what is in use lives on by its references
            state.after.clear()
        this = _NEWLINE if code == 10 else _WORD if _in(_WORD_EDGES, code) else _OTHER
        reached, matched, cost = self._reach(state, this)
        following: _State | None = None
        if not matched:
            places = {self._first}
            for place in reached:
                if _in(self._sets[self._arguments[place]], code):
                    places.add(self._outs[place])
            following = self._state(tuple(sorted(places)), this)
        state.after[kind] = following
        self._kept += 1
        return following, cost + len(reached)

    def _matches_at_end(self, state: _State) -> bool:
        if state.ends is None:
            state.ends = self._reach(state, _ENDING)[1]
        return state.ends

    def _reach(self, state: _State, following: int) -> tuple[list[int], bool, int]:
        """Which sets are waiting here for a character, if what follows is that; whether the pattern is matched; the
        cost."""
        seen = set(state.places)
        stack = list(state.places)
        waiting = []
        while stack:
            place = stack.pop()
            kind = self._kinds[place]
            if kind == _MATCH:
                return [], True, len(seen)
            if kind == _SET:
                waiting.append(place)
                continue
            ways = [self._outs[place]]
            if kind == _SPLIT:
                ways.append(self._arguments[place])
            elif not _holds(self._arguments[place], state.previous, following):
                continue
            for way in ways:
                if way not in seen:
                    seen.add(way)
                    stack.append(way)
        return waiting, False, len(seen)


@lru_cache(maxsize=4096)
def expression(text: str) -> Expression:
    """The expression of a pattern. Raises InvalidSetting."""
    return Expression(text)


def _edges(ranges: Ranges) -> tuple[int, ...]:
    return tuple(edge for low, high in ranges for edge in (low, high + 1))


def _in(edges: tuple[int, ...], code: int) -> bool:
    return bisect_right(edges, code) % 2 == 1


_WORD_EDGES: Final = _edges(WORD)


def _holds(what: int, previous: int, following: int) -> bool:
    match what:
        case int() if what == AT_START:
            return previous == _START
        case int() if what == AT_LINE_START:
            return previous in {_START, _NEWLINE}
        case int() if what == AT_END:
            return following == _ENDING
        case int() if what == AT_LINE_END:
            return following in {_ENDING, _NEWLINE}
    boundary = (previous == _WORD) != (following == _WORD)
    assert what in {AT_BOUNDARY, NOT_AT_BOUNDARY}
    return boundary == (what == AT_BOUNDARY)
