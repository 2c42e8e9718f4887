"""What a rule is: a text that a program is known to write, and what it means when that program writes it.

A rule's pattern never repeats a repetition, and every gap in it is bounded: the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from handclasp.doctor.diagnosis import Candidate
from handclasp.findings import Code

CLIENT_CHECK: Final = (
    "handclasp doctor HOST:PORT --cert client.pem --key client.key --cacert servers-ca.pem "
    "--server-ca-bundle clients-ca.pem"
)
"""The next command where the server refused the client."""
SERVER_CHECK: Final = "handclasp doctor HOST:PORT --cacert servers-ca.pem"
"""The next command where the client refused the server."""
FILES_CHECK: Final = "handclasp doctor --files client.pem client.key"
SERVER_FILES_CHECK: Final = "handclasp doctor --files server.pem server.key"


class Speaker(StrEnum):
    """Who wrote the line: that decides whose certificate an alert is about."""

    CLIENT = "client"
    SERVER = "server"
    UNSAID = "unsaid"

    def otherwise(self, usual: Speaker) -> Speaker:
        """Itself, or who usually writes such a line where the line does not tell."""
        return usual if self is Speaker.UNSAID else self


@dataclass(frozen=True, slots=True)
class Told:
    """What a text says: the causes it allows, likeliest first, what it means, and the next command or thing to look at.

    ``detail`` tells apart texts of one rule (``alert 48``). ``vague``: the text is what many causes end in, so another
    line of the same log says more. ``harmless``: it is only good to know.
    """

    candidates: tuple[Candidate, ...]
    meaning: str
    next: str
    detail: str = ""
    vague: bool = False
    harmless: bool = False


Tell = Callable[[re.Match[str], Speaker], Told | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """``needles``: lower-case texts of which one is in every line that the pattern matches (they are looked for first,
    being cheaper). ``source``: where the text stands in the product's public source, or which document defines it."""

    name: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    tell: Tell
    source: str


def rule(name: str, needles: str | tuple[str, ...], pattern: str, tell: Told | Tell, source: str) -> Rule:
    """A rule whose pattern ignores case."""
    return Rule(
        name,
        (needles,) if isinstance(needles, str) else needles,
        re.compile(pattern, re.IGNORECASE),
        _always(tell) if isinstance(tell, Told) else tell,
        source,
    )


def said(meaning: str, next_: str, *causes: tuple[Code, str], vague: bool = False, harmless: bool = False) -> Told:
    """One answer, its causes ranked."""
    return Told(ranked(*causes), meaning, next_, vague=vague, harmless=harmless)


def ranked(*causes: tuple[Code, str]) -> tuple[Candidate, ...]:
    return tuple(Candidate(code, why) for code, why in causes)


def joined(*lists: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The candidates of all lists in order, each code once."""
    seen: dict[Code, Candidate] = {}
    for candidates in lists:
        for one in candidates:
            seen.setdefault(one.code, one)
    return tuple(seen.values())


def by_speaker(client: Told, server: Told, usual: Speaker = Speaker.CLIENT) -> Tell:
    """``client`` where a client wrote the line, ``server`` where a server did; where nobody knows, the usual one's
    causes before the other's."""

    def tell(match: re.Match[str], speaker: Speaker) -> Told:
        return either(client, server, speaker, usual)

    return tell


def either(client: Told, server: Told, speaker: Speaker, usual: Speaker = Speaker.CLIENT) -> Told:
    """See ``by_speaker``."""
    first, second = (server, client) if speaker.otherwise(usual) is Speaker.SERVER else (client, server)
    if speaker is not Speaker.UNSAID:
        return first
    return Told(
        joined(first.candidates, second.candidates),
        first.meaning,
        first.next,
        first.detail or second.detail,
        first.vague,
        first.harmless,
    )


def _always(told: Told) -> Tell:
    return lambda match, speaker: told
