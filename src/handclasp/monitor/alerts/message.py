"""A change of state, said once for every receiver. Pure.

What a server or a settings file has put into it is made harmless here: every text is one line of printable characters,
and none is long. What has a meaning to one kind of receiver alone (markup, quotes) is escaped in its module.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from handclasp.findings import CATALOGUE, Code
from handclasp.monitor.definition import State
from handclasp.monitor.judge import days_left, first_to_end
from handclasp.monitor.results import CheckResult, Transition, WatchedCertificate
from handclasp.pki.described_text import printable
from handclasp.probe.served import stamp

_SENTENCE: Final = 500  # characters
_NAME: Final = 200
_SUBJECT: Final = 160
_MANY: Final = 32  # labels
_NAMES: Final = 20  # of a certificate
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NamedCertificate:
    """A certificate in a message: the one that counts and ends first. ``days_left`` at the time of the message."""

    name: str
    issuer: str
    names: tuple[str, ...]
    fingerprint: str
    not_after: datetime
    days_left: float
    words: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is told. ``id`` is the same whenever and however often it is sent, ``origin`` the installation (its trust
    domain). ``remedy`` is empty where all is well. ``test``: nothing happened, somebody asks whether this arrives."""

    id: str
    origin: str
    at: datetime
    monitor: str
    target: str
    before: State
    after: State
    since: datetime | None
    code: Code
    sentence: str
    remedy: str
    certificate: NamedCertificate | None
    labels: tuple[tuple[str, str], ...]
    test: bool = False

    @property
    def over(self) -> bool:
        """Whether it says that all is well again."""
        return self.after is State.OK

    @property
    def word(self) -> str:
        """How bad it is, for a headline."""
        return "TEST" if self.test else "RESOLVED" if self.over else self.after.value.upper()

    @property
    def subject(self) -> str:
        """One line: ``CRITICAL partner-api: The certificate of CN=a.test ends in 6 days, on ...``."""
        return line(f"{self.word} {self.monitor}: {self.sentence}", _SUBJECT)

    @property
    def command(self) -> str:
        """Where there is more."""
        return f"handclasp monitor show {self.monitor}"


def of(transition: Transition, origin: str) -> Message:
    """The message of a transition."""
    result = transition.result
    return Message(
        id=transition.id,
        origin=origin,
        at=transition.at,
        monitor=line(transition.monitor, _NAME),
        target=_target(result),
        before=transition.before,
        after=transition.after,
        since=transition.since,
        code=result.code,
        sentence=line(result.summary, _SENTENCE),
        remedy="" if result.code is Code.OK else CATALOGUE[result.code].remedy,
        certificate=certificate(result),
        labels=safe_labels(transition.labels),
    )


def trial(receiver: str, origin: str, at: datetime) -> Message:
    """A message that says that nothing happened."""
    return Message(
        id=f"test-{receiver}-{int(at.timestamp() * 1000)}",
        origin=origin,
        at=at,
        monitor="test",
        target=origin,
        before=State.OK,
        after=State.WARNING,
        since=None,
        code=Code.OK,
        sentence=f"This is a test of the receiver {receiver}; nothing has happened.",
        remedy="",
        certificate=None,
        labels=(),
        test=True,
    )


def certificate(result: CheckResult) -> NamedCertificate | None:
    """The one that counts and ends first, if there is any."""
    found = first_to_end(result.certificates)
    return None if found is None else named(found, result.at)


def named(one: WatchedCertificate, at: datetime) -> NamedCertificate:
    """A certificate as messages show it."""
    return NamedCertificate(
        name=line(one.subject or ", ".join(one.names[:2]) or f"serial number {one.serial}", _NAME),
        issuer=line(one.issuer, _NAME),
        names=tuple(line(name, _NAME) for name in one.names[:_NAMES]),
        fingerprint=line(one.fingerprint, 64),
        not_after=one.not_after,
        days_left=round((one.not_after - at) / _DAY, 2),
        words=days_left(one, at),
    )


def facts(message: Message) -> tuple[tuple[str, str], ...]:
    """What there is to know, as names and values in the order in which a person asks."""
    found = [("Monitor", message.monitor), ("Target", message.target)]
    if not message.test:
        after = f"{message.before} -> {message.after}"
        found.append(("State", f"{after} at {stamp(message.at)}"))
        if message.since is not None:
            found.append(("Before", f"{message.before} since {stamp(message.since)}"))
        found.append(("Code", str(message.code)))
    if message.remedy:
        found.append(("What to do", message.remedy))
    if (one := message.certificate) is not None:
        found += [
            ("Certificate", one.name),
            ("Ends" if one.days_left > 0 else "Ended", f"{one.words}, on {stamp(one.not_after)}"),
            ("Issuer", one.issuer),
            ("SHA-256", one.fingerprint),
        ]
    if message.labels:
        found.append(("Labels", line(", ".join(f"{name}={value}" for name, value in message.labels), _SENTENCE)))
    if not message.test:
        found.append(("More", message.command))
    return tuple(found)


def as_json(message: Message) -> dict[str, Any]:
    """For programs."""
    one = message.certificate
    return {
        "id": message.id,
        "origin": message.origin,
        "at": stamp(message.at),
        "monitor": message.monitor,
        "target": message.target,
        "before": message.before.value,
        "after": message.after.value,
        "since": None if message.since is None else stamp(message.since),
        "code": message.code.value,
        "summary": message.sentence,
        "remedy": message.remedy or None,
        "certificate": None if one is None else certificate_json(one),
        "labels": dict(message.labels),
        "command": message.command,
        "test": message.test,
    }


def certificate_json(one: NamedCertificate) -> dict[str, Any]:
    """For programs."""
    return {
        "subject": one.name,
        "issuer": one.issuer,
        "names": list(one.names),
        "fingerprint": one.fingerprint,
        "not_after": stamp(one.not_after),
        "days_left": one.days_left,
    }


def line(text: str, most: int) -> str:
    """One line that shows as itself, of at most so many characters."""
    safe = printable(text[: most + 1])
    return safe if len(safe) <= most else f"{safe[: most - 3]}..."


def safe_labels(labels: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Labels of a monitor, bounded."""
    return tuple((line(name, _NAME), line(value, _NAME)) for name, value in labels[:_MANY])


def _target(result: CheckResult) -> str:
    return line(str(result.facts.get("target", "")), _NAME)
