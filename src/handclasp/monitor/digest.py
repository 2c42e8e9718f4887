"""What expires when: every certificate that a monitor came across, once, by its end. Pure.

    digest(standings, now) -> Digest -> text, html, as_json

Roots that were served and certificates beside the path are left out: nobody needs them to last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final

from handclasp.monitor.alerts.message import NamedCertificate, certificate_json, line, named
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import WatchedCertificate
from handclasp.probe.served import stamp

DAYS: Final = timedelta(days=90)
_UNCOUNTED: Final = frozenset({"root", "extra"})
_SHOWN: Final = 200  # certificates of a group in a text, and monitors of a certificate in --json
_NAMED: Final = 5  # monitors of a certificate in a text


@dataclass(frozen=True, slots=True)
class Place:
    """Where a certificate was come across. ``seen_at`` is when, if that was not at the last check."""

    monitor: str
    target: str
    role: str
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Expiring:
    """A certificate, and all monitors that came across it."""

    certificate: NamedCertificate
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Certificates that end in the same stretch of time, the first to end first. ``name`` is expired, this_week,
    this_month or later; the stretches are 7 and 30 days long."""

    name: str
    title: str
    certificates: tuple[Expiring, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """What ends before ``until``. ``beyond`` certificates end after it; ``unknown`` are monitors that never came across
    a certificate, of which nothing can be said."""

    at: datetime
    until: datetime
    origin: str
    groups: tuple[Group, ...]
    beyond: int
    monitors: int
    unknown: tuple[str, ...]

    @property
    def subject(self) -> str:
        """One line: how many end when."""
        counts = [f"{len(group.certificates)} {group.title.lower()}" for group in self.groups]
        return f"Certificates that expire: {', '.join(counts)}" if counts else "No certificate expires soon"


def digest(standings: Iterable[Standing], now: datetime, *, origin: str = "", within: timedelta = DAYS) -> Digest:
    """Of how all monitors stand."""
    found: dict[str, tuple[WatchedCertificate, list[Place]]] = {}
    unknown, count = [], 0
    for standing in standings:
        count += 1
        known = False
        for one, place in come_across(standing):
            known = True
            found.setdefault(one.fingerprint, (one, []))[1].append(place)
        if not known and not standing.monitor.paused:
            unknown.append(line(standing.monitor.name, 80))
    ordered = sorted(found.values(), key=lambda pair: (pair[0].not_after, pair[0].fingerprint))
    until = now + within
    ending = [Expiring(named(one, now), tuple(places)) for one, places in ordered if one.not_after <= until]
    return Digest(now, until, origin, tuple(_groups(ending, now)), len(ordered) - len(ending), count, tuple(unknown))


def come_across(standing: Standing) -> Iterator[tuple[WatchedCertificate, Place]]:
    """The certificates of a monitor that count, each once."""
    last = standing.last
    if last is None:
        return
    seen = set()
    for one in last.certificates:
        if one.role in _UNCOUNTED or one.fingerprint in seen:
            continue
        seen.add(one.fingerprint)
        yield one, Place(standing.monitor.name, line(standing.monitor.target, 200), one.role, last.seen_at)


def text(of: Digest) -> str:
    """For a terminal and for mail."""
    lines = [f"{of.subject}."] if of.groups else [f"No certificate expires before {of.until:%Y-%m-%d}."]
    for group in of.groups:
        lines += ["", f"{group.title} ({len(group.certificates)})"]
        for one in group.certificates[:_SHOWN]:
            lines.append(f"  {one.certificate.not_after:%Y-%m-%d %H:%M} UTC  {_left(one):>14}  {one.certificate.name}")
            lines.append(f"      {_where(one)}")
        if len(group.certificates) > _SHOWN:
            lines.append(f"  and {len(group.certificates) - _SHOWN} more")
    return "\n".join([*lines, "", *_rest(of)]) + "\n"


def html(of: Digest) -> str:
    """For mail: a table for each group, without anything to load and without links."""
    parts = [f"<p>{escape(of.subject)}.</p>"]
    for group in of.groups:
        parts.append(f"<h3>{escape(group.title)} ({len(group.certificates)})</h3>")
        parts.append('<table cellpadding="4"><tr><th align="left">Ends (UTC)</th><th align="left">Left</th>')
        parts.append('<th align="left">Certificate</th><th align="left">Monitors</th></tr>')
        for one in group.certificates[:_SHOWN]:
            cells = (f"{one.certificate.not_after:%Y-%m-%d %H:%M}", _left(one), one.certificate.name, _where(one))
            parts.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
        parts.append("</table>")
        if len(group.certificates) > _SHOWN:
            parts.append(f"<p>and {len(group.certificates) - _SHOWN} more</p>")
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _rest(of)]
    return f'<!DOCTYPE html><html lang="en"><body>{"".join(parts)}</body></html>\n'


def as_json(of: Digest) -> dict[str, Any]:
    """For programs."""
    return {
        "at": stamp(of.at),
        "until": stamp(of.until),
        "origin": of.origin,
        "groups": [
            {
                "name": group.name,
                "certificates": [
                    certificate_json(one.certificate)
                    | {
                        "monitors": [
                            {
                                "name": place.monitor,
                                "target": place.target,
                                "role": place.role,
                                "seen_at": None if place.seen_at is None else stamp(place.seen_at),
                            }
                            for place in one.places[:_SHOWN]
                        ]
                    }
                    for one in group.certificates
                ],
            }
            for group in of.groups
        ],
        "beyond": of.beyond,
        "monitors": of.monitors,
        "unknown": list(of.unknown),
    }


def _groups(ending: list[Expiring], now: datetime) -> Iterator[Group]:
    start: datetime | None = None
    for name, title, end in (
        ("expired", "Expired", now),
        ("this_week", "In 7 days", now + timedelta(days=7)),
        ("this_month", "In 30 days", now + timedelta(days=30)),
        ("later", "Later", None),
    ):
        inside = tuple(
            one
            for one in ending
            if (start is None or one.certificate.not_after > start)
            and (end is None or one.certificate.not_after <= end)
        )
        start = end
        if inside:
            yield Group(name, title, inside)


def _left(one: Expiring) -> str:
    return one.certificate.words


def _where(one: Expiring) -> str:
    shown = ", ".join(
        f"{place.monitor} ({place.role}{f', as seen {place.seen_at:%Y-%m-%d}' if place.seen_at else ''})"
        for place in one.places[:_NAMED]
    )
    return shown + (f" and {len(one.places) - _NAMED} more" if len(one.places) > _NAMED else "")


def _rest(of: Digest) -> list[str]:
    noun = "certificate ends" if of.beyond == 1 else "certificates end"
    rest = [f"{of.beyond} more {noun} after {of.until:%Y-%m-%d}; {of.monitors} monitors."]
    if of.unknown:
        shown = ", ".join(of.unknown[:20]) + (f" and {len(of.unknown) - 20} more" if len(of.unknown) > 20 else "")
        rest.append(f"No certificate was ever seen by: {shown}.")
    return rest
