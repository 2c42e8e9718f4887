"""What expires when: as a digest, and as a calendar that another implementation reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import icalendar
from hypothesis import given
from hypothesis import strategies as st

from handclasp.monitor import calendar
from handclasp.monitor.definition import State
from handclasp.monitor.digest import as_json, digest, html, text
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import WatchedCertificate
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result

DAY = timedelta(days=1)
HOSTILE = "CN=</td><script>\\ ;,\r\nEND:VEVENT\u202e\ud800\x00\u00e9" + "\u4e2d" * 500


def standing(name: str, *certificates: WatchedCertificate, seen_at: datetime | None = None, **rest: Any) -> Standing:
    """How a monitor stands that came across these."""
    result = replace(a_result(certificates=certificates, seen_at=seen_at), monitor=name)
    return Standing(a_monitor(name, **rest), State.OK, AT, result, AT)


def ending(days: float, subject: str = "", **rest: Any) -> WatchedCertificate:
    """A certificate that ends in so many days."""
    number = f"{int(days * 24) % 2**32:08x}"
    return a_certificate(days * DAY, subject=subject or f"CN=in {days}", fingerprint=number * 8, **rest)


def grouped(*standings: Standing, within: timedelta = 90 * DAY) -> dict[str, list[str]]:
    """Subjects by group."""
    found = digest(standings, AT, within=within)
    return {group.name: [one.certificate.name for one in group.certificates] for group in found.groups}


def test_certificates_are_grouped_by_their_ends() -> None:
    """Expired, this week, this month, later; the first to end first, to the second."""
    days = (100, 90, 31, 30, 8, 7, 0.5, 0, -3)
    assert grouped(standing("m", *(ending(one) for one in days))) == {
        "expired": ["CN=in -3", "CN=in 0"],
        "this_week": ["CN=in 0.5", "CN=in 7"],
        "this_month": ["CN=in 8", "CN=in 30"],
        "later": ["CN=in 31", "CN=in 90"],
    }
    assert grouped(standing("m", ending(8), ending(3)), within=5 * DAY) == {"this_week": ["CN=in 3"]}


def test_each_certificate_is_there_once_with_all_who_have_it() -> None:
    """Roots, and what is beside the path, do not count; nor does it twice where a server sends it twice."""
    one = ending(5)
    extra = ending(1, role="extra"), ending(2, role="root")
    found = digest([standing("a", one, one, *extra), standing("b", one, seen_at=AT - DAY), standing("new")], AT)
    (only,) = found.groups[0].certificates
    assert [(place.monitor, place.seen_at) for place in only.places] == [("a", None), ("b", AT - DAY)]
    assert (found.monitors, found.unknown, found.beyond) == (3, ("new",), 0)


def test_what_was_never_seen_is_said() -> None:
    """Silence is not that all is well. Who is paused is not looked at on purpose."""
    standings = [
        Standing(a_monitor("fresh"), State.PENDING, None, None, AT),
        Standing(a_monitor("idle", paused=True), State.PENDING, None, None, AT),
        standing("none"),
    ]
    found = digest(standings, AT)
    assert found.unknown == ("fresh", "none")
    assert text(found) == (
        "No certificate expires before 2027-05-30.\n\n"
        "0 more certificates end after 2027-05-30; 3 monitors.\n"
        "No certificate was ever seen by: fresh, none.\n"
    )


def test_a_digest_as_text() -> None:
    """For a terminal and for mail."""
    found = digest([standing("m", ending(5, "CN=a.test"), ending(400))], AT)
    assert text(found) == (
        "Certificates that expire: 1 in 7 days.\n\n"
        "In 7 days (1)\n"
        "  2027-03-06 12:00 UTC       in 5 days  CN=a.test\n"
        "      m (leaf)\n\n"
        "1 more certificate ends after 2027-05-30; 1 monitors.\n"
    )


def test_a_digest_as_json() -> None:
    """For programs."""
    found = as_json(digest([standing("m", ending(5, "CN=a.test"))], AT, origin="example.org"))
    assert (found["at"], found["until"], found["origin"]) == (
        "2027-03-01T12:00:00Z",
        "2027-05-30T12:00:00Z",
        "example.org",
    )
    ((one,),) = [group["certificates"] for group in found["groups"]]
    assert (one["subject"], one["days_left"], one["monitors"]) == (
        "CN=a.test",
        5.0,
        [{"name": "m", "target": "a.test:443", "role": "leaf", "seen_at": None}],
    )


def test_nothing_in_a_certificate_becomes_markup() -> None:
    """The tags of the HTML are ours alone, and a text has the lines that we made."""

    class Tags(HTMLParser):
        found: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.add(tag)

    found = digest([standing("m", ending(5, HOSTILE))], AT)
    parser = Tags()
    parser.feed(html(found))
    assert parser.found == {"html", "body", "p", "h3", "table", "tr", "th", "td"}
    assert len(text(found).splitlines()) == 7


def test_a_digest_is_bounded() -> None:
    """Ten thousand certificates fit into a mail."""
    found = digest([standing("m", *(ending(5 + number / 10_000, HOSTILE) for number in range(300)))], AT)
    found_many = digest([standing(f"m{number}", ending(5)) for number in range(10_000)], AT)
    assert len(text(found)) < 200_000
    assert len(text(found_many)) < 500


# The calendar


def events(feed: bytes) -> list[Any]:
    """As icalendar reads it, after a check of its lines."""
    assert all(len(line) <= 75 for line in feed.split(b"\r\n"))
    assert feed.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in feed.replace(b"\r\n", b"")
    read = icalendar.Calendar.from_ical(feed)
    assert read.errors == []
    return list(read.walk("VEVENT"))


def test_a_calendar_has_the_end_of_each_certificate() -> None:
    """One event each, with alarms when the monitor warns; the same UID at every reading."""
    one = ending(60, lived=timedelta(days=300))
    feed = calendar.feed([standing("a", one), standing("b", one, ending(-10), ending(-100))], AT)
    past, event = events(feed)
    assert past["DTSTART"].dt == AT - 10 * DAY
    assert event["DTSTART"].dt == AT + 60 * DAY
    assert event["DTSTAMP"].dt == AT
    assert str(event["SUMMARY"]) == "The certificate of CN=in 60 ends"
    assert str(event["DESCRIPTION"]).splitlines() == [
        "Monitors: a, b",
        "Issuer: CN=CA",
        "Names: a.test",
        f"SHA-256: {one.fingerprint}",
        "More: handclasp monitor show a",
    ]
    assert [alarm["TRIGGER"].dt for alarm in event.walk("VALARM")] == [-21 * DAY, -7 * DAY]
    later = events(calendar.feed([standing("a", one)], AT + DAY))
    assert [str(one["UID"]) for one in later] == [str(event["UID"])]


def test_short_lives_have_alarms_in_hours() -> None:
    """As their thresholds are."""
    one = ending(1, lived=timedelta(0))
    (event,) = events(calendar.feed([standing("a", one)], AT))
    assert [alarm["TRIGGER"].dt for alarm in event.walk("VALARM")] == [
        -timedelta(hours=6),
        -timedelta(hours=2, minutes=24),
    ]


def test_a_certificate_that_ends_before_it_begins_has_no_alarm() -> None:
    """And does not spoil the calendar of all others."""
    (event,) = events(calendar.feed([standing("a", ending(5, lived=timedelta(days=-30)))], AT))
    assert event.walk("VALARM") == []


def test_an_end_that_is_none_is_no_event() -> None:
    """RFC 5280 §4.1.2.5: 99991231235959Z, for a device that never ends."""
    never = replace(ending(1), not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert events(calendar.feed([standing("a", never)], AT)) == []


@given(st.text(max_size=400))
def test_any_subject_is_one_value(subject: str) -> None:
    """Whatever it says, it ends no line and begins no property, and it comes back as messages show it."""
    one = replace(ending(5), subject=subject or "x", issuer=subject)
    (event,) = events(calendar.feed([standing("a", one)], AT))
    assert {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "DESCRIPTION", "TRANSP", "CATEGORIES"} == set(event)
    (shown,) = digest([standing("a", one)], AT).groups[0].certificates
    assert str(event["SUMMARY"]) == f"The certificate of {shown.certificate.name} ends"


def test_a_hostile_subject_is_folded_between_characters() -> None:
    """Each line by itself is UTF-8."""
    feed = calendar.feed([standing("a", ending(5, HOSTILE))], AT)
    for line in feed.split(b"\r\n"):
        line.decode()
    assert len(events(feed)) == 1
