"""The hosts of a zone file (master file, RFC 1035 §5.1), entry by entry.

Of each entry only its owner, its type and, for SRV, its target and port are read. What is looked for is a name to
connect to; addresses are left to the resolver.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from handclasp.scan.lines import Line, Rubbish

MAX_ENTRY: Final = 4096
"""Tokens of one entry."""

_TOKEN: Final = re.compile(r'[ \t]+|;.*|"(?:[^"\\]|\\.)*"|[()]|(?:[^\s;()"\\]|\\.)+')
_TTL: Final = re.compile(r"(?:[0-9]+[smhdw]?)+", re.IGNORECASE)
_CLASSES: Final = frozenset({"IN", "CH", "HS", "CS", "ANY", "NONE"})
_HOSTS: Final = frozenset({"A", "AAAA", "CNAME"})
_MAX_NAME: Final = 254

_SERVICES: Final = {
    "_https": "",
    "_imaps": "",
    "_pop3s": "",
    "_submissions": "",
    "_ldaps": "",
    "_sips": "",
    "_imap": "imap://",
    "_pop3": "pop3://",
    "_submission": "smtp://",
    "_ldap": "ldap://",
}
"""SRV services (RFC 2782) whose servers are verified by the host's own name, with what a target of theirs begins
with."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the zone, by a word that ``wanted.expand`` reads, and the line where its entry begins."""

    number: int
    text: str


def hosts(lines: Iterable[Line | Rubbish | None], name: str, origin: str | None) -> Iterator[Host | Rubbish | None]:
    """The hosts; ``origin`` is what relative names end with until the file says ``$ORIGIN``."""
    above = None if origin is None else _absolute(origin)
    owner: str | None = None
    for entry in _entries(lines, name):
        if not isinstance(entry, _Entry):
            yield entry
            continue
        number, tokens = entry.number, entry.tokens
        where = f"{name}:{number}"
        directive = tokens[0].upper() if not entry.indented else ""
        if directive.startswith("$"):
            if directive == "$ORIGIN" and len(tokens) > 1:
                above = _name(tokens[1], above)
                if above is None:
                    yield Rubbish(where, "the new origin is relative, and there is none before it")
            elif directive != "$TTL":
                yield Rubbish(where, _refusal(directive))
            continue
        if not entry.indented:
            owner = _name(tokens[0], above)
            tokens = tokens[1:]
        kind, data = _type(tokens)
        if kind not in _HOSTS and kind != "SRV":
            if not kind:
                yield Rubbish(where, "the entry has no type")
            continue
        if owner is None:
            yield Rubbish(where, "the name is relative, and nothing says to what: name the zone with --origin")
        elif (found := _word(kind, owner, data, above)) is not None:
            yield Host(number, found) if isinstance(found, str) else Rubbish(where, found.why)


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    tokens: list[str]
    indented: bool


@dataclass(frozen=True, slots=True)
class _Fault:
    why: str


def _entries(lines: Iterable[Line | Rubbish | None], name: str) -> Iterator[_Entry | Rubbish | None]:
    """Lines joined where parentheses say so. An entry that cannot be read ends with its line."""
    tokens: list[str] = []
    depth = begun = 0
    indented = False
    for line in lines:
        if not isinstance(line, Line):
            if line is not None:
                tokens, depth = [], 0
            yield line
            continue
        if not depth:
            tokens, begun, indented = [], line.number, line.text[:1] in {" ", "\t"}
        at = 0
        while at < len(line.text):
            found = _TOKEN.match(line.text, at)
            if found is None:
                yield Rubbish(f"{name}:{line.number}", f"it cannot be read from column {at + 1} on")
                tokens, depth = [], 0
                break
            at, part = found.end(), found[0]
            if part == "(":
                depth = 1
            elif part == ")":
                depth = 0
            elif part[0] not in " \t;":
                tokens.append(part)
        if len(tokens) > MAX_ENTRY:
            yield Rubbish(f"{name}:{begun}", f"the entry has more than {MAX_ENTRY} parts; a parenthesis may be missing")
            tokens, depth = [], 0
        if tokens and not depth:
            yield _Entry(begun, tokens, indented)
    if tokens and depth:
        yield Rubbish(f"{name}:{begun}", "the entry does not end: a parenthesis is missing")


def _type(tokens: list[str]) -> tuple[str, list[str]]:
    """The type and what follows; before it may stand a TTL and a class, in any order (RFC 1035 §5.1)."""
    for place, part in enumerate(tokens[:3]):
        if part.upper() not in _CLASSES and not _TTL.fullmatch(part):
            return part.upper(), tokens[place + 1 :]
    return "", []


def _word(kind: str, owner: str, data: list[str], above: str | None) -> str | _Fault | None:
    if kind != "SRV":
        if owner.startswith("*."):
            return _Fault("a wildcard names no host")
        # Names such as _dmarc belong to records about a domain, and are no hosts.
        return None if owner.startswith("_") else _host(owner)
    service = _SERVICES.get(owner.partition(".")[0].lower())
    if service is None:
        return None
    if len(data) != 4 or not data[2].isdecimal():
        return _Fault("an SRV entry has a priority, a weight, a port and a target (RFC 2782)")
    target = _name(data[3], above)
    if target is None:
        return _Fault("the target is relative, and nothing says to what: name the zone with --origin")
    # "." says that there is no such service.
    return None if target == "." else f"{service}{_host(target)}:{data[2][:6]}"


def _name(part: str, above: str | None) -> str | None:
    """An absolute name, with its final dot; None where it is relative to nothing."""
    if part == "@":
        return above
    if part.endswith(".") and not part.endswith("\\."):
        return part[: _MAX_NAME + 1]
    if above is None:
        return None
    return f"{part}.{above.removeprefix('.')}"[: 2 * _MAX_NAME]


def _absolute(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _host(name: str) -> str:
    return name.removesuffix(".")


def _refusal(directive: str) -> str:
    if directive == "$INCLUDE":
        return "$INCLUDE is not followed: a zone file does not say which other files are read; name them with --zone"
    if directive == "$GENERATE":
        return "$GENERATE is no part of RFC 1035 and is not expanded: give its hosts as a list or a network"
    return f"{directive[:20]!r} is not known"
