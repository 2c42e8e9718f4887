"""What every examination of the doctor ends in, whatever was examined: an endpoint, files, words, a capture, or a
server's configuration. Pure values and their JSON; the words of a terminal are in ``report_text``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from handclasp.findings import CATALOGUE, Code


class Severity(StrEnum):
    """ERROR: it fails because of it, or will for somebody. WARNING: it will bite later. NOTE: good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Side(StrEnum):
    """On whose side something is done."""

    CLIENT = "client"
    SERVER = "server"
    AUTHORITY = "authority"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Fix:
    """One way to put it right.

    ``product`` is whose commands or configuration these are (nginx, apache, haproxy, envoy, caddy, iis, java, go,
    openssl; curl, python, node; handclasp; empty: anybody's). ``what`` is one sentence. ``commands`` are lines for a
    shell, ``configuration`` lines for the product's own file. Neither ever holds a secret.
    """

    side: Side
    what: str
    product: str = ""
    commands: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "side": str(self.side),
            "product": self.product or None,
            "what": self.what,
            "commands": list(self.commands),
            "configuration": list(self.configuration),
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """One link of the chain of evidence: what was tried, and what was seen."""

    tried: str
    seen: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"tried": self.tried, "seen": self.seen, "facts": dict(self.facts)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands. ``line`` counts from 1; None: the file as a whole."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is wrong: a finding of the doctor.

    ``where`` is a file, a part of a chain, a step of the handshake. ``fixes`` best first; where there is none the
    catalogue's remedy stands.
    """

    code: Code
    where: str
    what: str
    severity: Severity = Severity.ERROR
    fixes: tuple[Fix, ...] = ()
    place: Place | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def fix(self) -> str:
        """What to do, in one sentence."""
        return self.fixes[0].what if self.fixes else CATALOGUE[self.code].remedy

    def as_json(self) -> dict[str, Any]:
        return {
            "code": str(self.code),
            "severity": str(self.severity),
            "where": str(self.place) if self.place is not None else self.where,
            "file": None if self.place is None else self.place.file,
            "line": None if self.place is None else self.place.line,
            "what": self.what,
            "fix": self.fix,
            "fixes": [one.as_json() for one in self.fixes],
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause that the evidence allows, and why."""

    code: Code
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor says of one ``subject`` (an endpoint, files, a message, a capture, a configuration).

    ``candidates`` are ranked, the verdict first; there is always one. Where there is more than one, the evidence does
    not decide between them, and ``decider`` is the one thing to look at that does. ``findings`` begin with those of the
    verdict; the rest is what else is wrong. ``product`` is the server's software as recognised, lower case, empty where
    it was not. ``examined`` is False where the examination itself was impossible (exit code 2).
    """

    subject: str
    at: datetime
    verdict: str
    candidates: tuple[Candidate, ...]
    evidence: tuple[Proof, ...] = ()
    findings: tuple[Ailment, ...] = ()
    decider: str = ""
    product: str = ""
    examined: bool = True

    @property
    def code(self) -> Code:
        """The verdict: OK where nothing is wrong."""
        return self.candidates[0].code

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 findings (notes do not count), 2 could not examine."""
        if not self.examined:
            return 2
        wrong = any(one.severity is not Severity.NOTE for one in self.findings)
        return 1 if wrong or self.code is not Code.OK else 0

    def as_json(self) -> dict[str, Any]:
        """One JSON object; times in UTC."""
        return {
            "subject": self.subject,
            "at": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "code": str(self.code),
            "verdict": self.verdict,
            "examined": self.examined,
            "product": self.product or None,
            "candidates": [str(one.code) for one in self.candidates],
            "ranking": [{"code": str(one.code), "why": one.why} for one in self.candidates],
            "decider": self.decider or None,
            "evidence": [one.as_json() for one in self.evidence],
            "findings": [one.as_json() for one in self.findings],
        }


def healthy(subject: str, at: datetime, verdict: str, evidence: tuple[Proof, ...] = (), product: str = "") -> Diagnosis:
    """Nothing is wrong."""
    return Diagnosis(subject, at, verdict, (Candidate(Code.OK, verdict),), evidence, product=product)
