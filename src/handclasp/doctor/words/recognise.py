"""From words to causes: an error message, or a log, line by line.

``recognise`` tells each line that a rule knows; ``examine`` groups them and makes the diagnosis. Both are pure, bounded
(``LIMIT`` characters, ``LINE`` a line, ``MANY`` results) and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Proof, Severity
from handclasp.doctor.words import (
    apache,
    caddy,
    capture,
    curl,
    dotnet,
    envoy,
    gnutls,
    go,
    handclasp,
    haproxy,
    java,
    network,
    nginx,
    node,
    nss,
    openssl,
    python,
    rustls,
)
from handclasp.doctor.words.rule import Rule, Speaker, Told
from handclasp.doctor.words.speaker import speaker_of
from handclasp.findings import Code

LIMIT: Final = 10_000_000
"""Characters of a log that are read; the rest is left, and said to be."""
LINE: Final = 65_536
MANY: Final = 10_000
_GROUPS: Final = 200
_SHOWN: Final = 300

PRODUCTS: Final[tuple[tuple[str, tuple[Rule, ...]], ...]] = (
    ("nginx", nginx.RULES),
    ("apache", apache.RULES),
    ("haproxy", haproxy.RULES),
    ("envoy", envoy.RULES),
    ("caddy", caddy.RULES),
    ("wireshark", capture.RULES),
    ("dotnet", dotnet.RULES),
    ("rustls", rustls.RULES),
    ("java", java.RULES),
    ("gnutls", gnutls.RULES),
    ("go", go.RULES),
    ("nss", nss.RULES),
    ("node", node.RULES),
    ("python", python.RULES),
    ("curl", curl.RULES),
    ("openssl", openssl.RULES),
    ("handclasp", handclasp.RULES),
    ("network", network.RULES),
)
"""The most particular first: the first rule that knows a line has it."""

_SERVERS: Final = frozenset({"nginx", "apache", "haproxy", "envoy", "caddy", "go", "java", "iis"})


@dataclass(frozen=True, slots=True)
class Recognised:
    """A line that a rule knows. ``text`` is the part that matched, printable, without secrets, at most 300 characters.
    ``line`` counts from 1. ``vague``: another line of the same log says more, if there is one."""

    product: str
    rule: str
    text: str
    candidates: tuple[Candidate, ...]
    meaning: str
    next: str
    source: str
    line: int
    detail: str = ""
    vague: bool = False
    harmless: bool = False

    @property
    def code(self) -> Code:
        return self.candidates[0].code


def recognise(text: str) -> tuple[Recognised, ...]:
    """The lines of ``text`` that are known, in their order; the first 10,000 of them."""
    known = []
    for one in _read(text):
        known.append(one)
        if len(known) == MANY:
            break
    return tuple(known)


def examine(text: str, at: datetime, subject: str) -> Diagnosis:
    """The diagnosis of a message or a log: equal findings grouped, the most telling and most frequent first."""
    groups: dict[tuple[str, str, str], _Group] = {}
    for one in _read(text):
        key = (one.product, one.rule, one.detail)
        group = groups.get(key)
        if group is not None:
            group.times += 1
        elif len(groups) < _GROUPS:
            groups[key] = _Group(one)
    lines = min(len(text), LIMIT) and text.count("\n", 0, LIMIT) + 1
    read = (
        _counted(lines, "line")
        + " read"
        + (f", up to the limit of {LIMIT:,} characters; the rest was not read" if len(text) > LIMIT else "")
    )
    if not groups:
        return _unknown(at, subject, read)
    ranked = sorted(groups.values(), key=lambda group: group.rank)
    first = ranked[0].one
    heard = sum(group.times for group in ranked)
    proofs = (
        Proof("look for known texts", f"{read}, {heard} known in {_counted(len(ranked), 'kind')}"),
        *(
            Proof(f"line {group.one.line}, {group.one.product}: {group.one.rule}", group.one.text, _facts(group))
            for group in ranked
        ),
    )
    return Diagnosis(
        subject=subject,
        at=at,
        verdict=first.meaning,
        candidates=first.candidates,
        evidence=proofs,
        findings=tuple(_ailment(group) for group in ranked),
        decider=first.next,
        product=next((group.one.product for group in ranked if group.one.product in _SERVERS), ""),
    )


def _read(text: str) -> Iterator[Recognised]:
    """Line by line, without a copy of the whole."""
    start, number, end = 0, 0, min(len(text), LIMIT)
    while start < end:
        number += 1
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        known = _line(text[start : min(stop, start + LINE)], number)
        if known is not None:
            yield known
        start = stop + 1


def _line(raw: str, number: int) -> Recognised | None:
    line = _plain(raw)
    lower = line.lower()
    speaker: Speaker | None = None
    for product, one in _RULES:
        for needle in one.needles:
            if needle in lower:
                break
        else:
            continue
        match = one.pattern.search(line)
        if match is None:
            continue
        if speaker is None:
            speaker = speaker_of(line)
        told = one.tell(match, speaker)
        if told is not None:
            return _recognised(product, one, match, told, number)
    return None


def _recognised(product: str, one: Rule, match: re.Match[str], told: Told, number: int) -> Recognised:
    return Recognised(
        product, one.name, _masked(match[0]), told.candidates, told.meaning, told.next, one.source, number,
        told.detail, told.vague, told.harmless,
    )  # fmt: skip


class _Group:
    """Equal findings: the first of them, and how many there are."""

    __slots__ = ("one", "times")

    def __init__(self, one: Recognised) -> None:
        self.one = one
        self.times = 1

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        return self.one.harmless, self.one.vague, -self.times, self.one.line


def _facts(group: _Group) -> dict[str, str]:
    return {"product": group.one.product, "rule": group.one.rule, "times": str(group.times), "source": group.one.source}


def _ailment(group: _Group) -> Ailment:
    one = group.one
    return Ailment(
        code=one.code,
        where=f"line {one.line}",
        what=one.meaning + (f" Seen {group.times} times." if group.times > 1 else ""),
        severity=Severity.NOTE if one.harmless else Severity.WARNING if one.vague else Severity.ERROR,
        facts={
            **_facts(group),
            "text": one.text,
            "next": one.next,
            "candidates": " ".join(c.code for c in one.candidates),
        },
    )


def _unknown(at: datetime, subject: str, read: str) -> Diagnosis:
    helps = (
        "the whole line of the program that failed, and of the other side; best is to try it: "
        "handclasp doctor HOST:PORT --cert client.pem --key client.key"
    )
    verdict = "No text of a TLS failure that is known stands here, so nothing can be said of the cause."
    return Diagnosis(
        subject=subject,
        at=at,
        verdict=verdict,
        candidates=(Candidate(Code.UNKNOWN, "no rule knows the text"),),
        evidence=(Proof("look for known texts", f"{read}, none known"),),
        decider=helps,
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


_ANSI: Final = re.compile(r"\x1b\[[0-9;?]{0,32}[A-Za-z]")
_SECRETS: Final = (
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*", re.IGNORECASE | re.DOTALL),
    re.compile(r"\b(?:proxy-)?authorization[\"']?[:=][^\n]*", re.IGNORECASE),
    re.compile(r"\b(?:set-)?cookie[\"']?[:=][^\n]*", re.IGNORECASE),
    re.compile(r"\b(?:bearer|basic)\s[A-Za-z0-9+/=._~-]{6,}", re.IGNORECASE),
    re.compile(
        r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|signature|sig|credential)[\"']?[=:][^\n]*",
        re.IGNORECASE,
    ),
    re.compile(r"//[^/@\s\"]{1,200}@"),
    re.compile(r"\?[^\s\"')]{1,2000}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{6,}[A-Za-z0-9._-]*"),
    re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}"),
)


def _plain(raw: str) -> str:
    """Without colours and control characters."""
    line = _ANSI.sub("", raw) if "\x1b" in raw else raw
    line = line.rstrip("\r")
    return line if line.isprintable() else "".join(letter if letter.isprintable() else " " for letter in line)


def _masked(text: str) -> str:
    """Without what may be a secret: better a word too many is hidden than one too few."""
    for pattern in _SECRETS:
        text = pattern.sub("[hidden]", text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


_RULES: Final = tuple((product, one) for product, rules in PRODUCTS for one in rules)
