"""HAProxy's configuration as sections of words (Configuration Manual §2.2, quoting and escaping). Environment variables
stay as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from handclasp.doctor.diagnosis import Ailment, Place
from handclasp.findings import Code

MAX_SIZE = 4 << 20  # bytes
_MAX_WORDS = 1_000  # in a line; HAProxy itself takes 64
_MAX_FAULTS = 20
_MAX_SECTIONS = 500  # each frontend is compared with every other

SECTIONS = frozenset(
    {
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "userlist",
        "mailers",
        "program",
        "http-errors",
        "ring",
        "cache",
        "fcgi-app",
        "crt-store",
        "log-forward",
        "traces",
        "acme",
    }
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Line:
    """The words of one line."""

    words: tuple[str, ...]
    place: Place

    def after(self, keyword: str) -> str | None:
        """The word behind the keyword's first mention."""
        found = self.words.index(keyword) + 1 if keyword in self.words else len(self.words)
        return self.words[found] if found < len(self.words) else None


@dataclass(slots=True)
class Section:
    """One section; ``name`` is empty where it has none."""

    kind: str
    name: str
    place: Place
    lines: list[Line] = field(default_factory=list)

    def of(self, *keywords: str) -> Iterator[Line]:
        """The lines that begin with one of them."""
        return (line for line in self.lines if line.words[0] in keywords)


def sections(data: bytes, file: str) -> tuple[tuple[Section, ...], tuple[Ailment, ...]]:
    """The sections of one file, and what could not be read. Never raises."""
    if len(data) > MAX_SIZE:
        return (), (_fault(f"it is larger than {MAX_SIZE >> 20} MB", Place(file)),)
    found: list[Section] = []
    ailments: list[Ailment] = []
    for number, text in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        place = Place(file, number)
        line, fault = words(text)
        if fault and len(ailments) < _MAX_FAULTS:
            ailments.append(_fault(fault, place))
        if not line or line[0].startswith("."):  # .if and its like: what is in them counts
            continue
        if line[0] in SECTIONS:
            if len(found) == _MAX_SECTIONS:
                ailments.append(_fault(f"it has more than {_MAX_SECTIONS} sections; the rest is not looked at", place))
                break
            found.append(Section(line[0], line[1] if len(line) > 1 else "", place))
        elif found:
            found[-1].lines.append(Line(line, place))
        elif len(ailments) < _MAX_FAULTS:
            ailments.append(_fault("it stands before the first section", place))
    return tuple(found), tuple(ailments)


def words(text: str) -> tuple[tuple[str, ...], str]:
    """The words of a line, and the fault in its quoting (empty: none)."""
    found: list[str] = []
    word: list[str] | None = None
    quote = ""
    chars = iter(text.rstrip("\r"))
    for char in chars:
        if char == "\\" and quote != "'":
            following = next(chars, "")
            if quote and following not in {'"', "\\", "$"}:
                following = char + following
            word = _grown(word, _ESCAPES.get(following, following))
        elif quote:
            if char == quote:
                quote = ""
            elif word is not None:
                word.append(char)
        elif char in {'"', "'"}:
            quote = char
            word = word if word is not None else []
        elif char == "#":
            break
        elif char.isspace():
            if word is not None:
                found.append("".join(word))
            word = None
        else:
            word = _grown(word, char)
        if len(found) > _MAX_WORDS:
            return tuple(found), f"it has more than {_MAX_WORDS} words"
    if word is not None:
        found.append("".join(word))
    return tuple(found), "a quotation mark is not closed" if quote else ""


def _grown(word: list[str] | None, char: str) -> list[str]:
    if word is None:
        return [char]
    word.append(char)
    return word


def _fault(what: str, place: Place) -> Ailment:
    return Ailment(Code.CONFIG_UNREADABLE, str(place), what, place=place)
