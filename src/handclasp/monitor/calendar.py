"""The ends of all certificates as an iCalendar feed (RFC 5545, RFC 7986), for the calendars of people. Pure.

An event for each certificate, known by its fingerprint: while it is served its event stays what it was, and once it is
replaced the feed has another. Its alarms are when the monitor would warn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from handclasp.monitor.alerts.message import NamedCertificate, named
from handclasp.monitor.definition import Monitor
from handclasp.monitor.digest import come_across
from handclasp.monitor.judge import thresholds
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import WatchedCertificate

MEDIA_TYPE: Final = "text/calendar; charset=utf-8"
KEPT: Final = timedelta(days=90)
"""For so long an end that is past is still shown."""

_LINE: Final = 75  # octets (RFC 5545 §3.1)
_SECOND: Final = timedelta(seconds=1)
_MONITORS: Final = 20  # of a certificate
_LAST_YEAR: Final = 9999
_HEAD: Final = (
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Handclasp//Certificates//EN",
    "CALSCALE:GREGORIAN",
    "NAME:Certificates",
    "X-WR-CALNAME:Certificates",
    "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
    "X-PUBLISHED-TTL:PT1H",
)


def feed(standings: Iterable[Standing], now: datetime) -> bytes:
    """The calendar of how all monitors stand."""
    found: dict[str, tuple[WatchedCertificate, list[Monitor]]] = {}
    for standing in standings:
        for one, _ in come_across(standing):
            # An end that no calendar can show (RFC 5280 §4.1.2.5: none at all) is no event.
            if one.not_after > now - KEPT and one.not_after.year < _LAST_YEAR:
                found.setdefault(one.fingerprint, (one, []))[1].append(standing.monitor)
    lines = [*_HEAD]
    for one, monitors in sorted(found.values(), key=lambda pair: (pair[0].not_after, pair[0].fingerprint)):
        lines += _event(one, monitors, now)
    return b"".join(fold(line) for line in [*lines, "END:VCALENDAR"])


def fold(line: str) -> bytes:
    """A content line: in pieces of at most 75 octets, none of which begins within a character (RFC 5545 §3.1)."""
    pieces, piece = [], b""
    for character in line:
        octets = character.encode()
        if len(piece) + len(octets) > _LINE:
            pieces.append(piece)
            piece = b" "
        piece += octets
    return b"\r\n".join([*pieces, piece]) + b"\r\n"


def escape(text: str) -> str:
    """A value of type TEXT (RFC 5545 §3.3.11)."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _event(one: WatchedCertificate, monitors: list[Monitor], now: datetime) -> Iterator[str]:
    shown = named(one, now)
    yield "BEGIN:VEVENT"
    yield f"UID:{shown.fingerprint}@certificates.handclasp"
    yield f"DTSTAMP:{_time(now)}"
    yield f"DTSTART:{_time(one.not_after)}"
    yield f"SUMMARY:{escape(f'The certificate of {shown.name} ends')}"
    yield f"DESCRIPTION:{escape(_description(shown, monitors))}"
    yield "TRANSP:TRANSPARENT"
    yield "CATEGORIES:Certificates"
    warning, critical = thresholds(monitors[0], one)
    # A certificate that ends before it begins has no time to warn in.
    for before in dict.fromkeys(one for one in (warning, critical) if one >= _SECOND):
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield f"TRIGGER:-{_duration(before)}"
        yield f"DESCRIPTION:{escape(f'The certificate of {shown.name} ends on {one.not_after:%Y-%m-%d}')}"
        yield "END:VALARM"
    yield "END:VEVENT"


def _description(shown: NamedCertificate, monitors: list[Monitor]) -> str:
    named_ = [monitor.name for monitor in monitors[:_MONITORS]]
    more = f" and {len(monitors) - _MONITORS} more" if len(monitors) > _MONITORS else ""
    lines = [
        f"Monitors: {', '.join(named_)}{more}",
        f"Issuer: {shown.issuer}",
        f"Names: {', '.join(shown.names)}",
        f"SHA-256: {shown.fingerprint}",
        f"More: handclasp monitor show {named_[0]}",
    ]
    return "\n".join(lines)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _duration(length: timedelta) -> str:
    """RFC 5545 §3.3.6."""
    days, seconds = length.days, length.seconds
    time = f"T{seconds // 3600}H{seconds % 3600 // 60}M{seconds % 60}S" if seconds else ""
    return f"P{days}D{time}" if days or not time else f"P{time}"
