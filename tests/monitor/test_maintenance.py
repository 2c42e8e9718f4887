"""Windows of maintenance."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest

from handclasp.findings import InvalidSetting
from handclasp.monitor.definition import Window
from handclasp.monitor.maintenance import in_maintenance, parse

SUNDAY = datetime(2027, 3, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "days", "start", "end"),
    [
        ("sun 02:00-04:00", {6}, time(2), time(4)),
        ("mon-fri 22:00-06:00", {0, 1, 2, 3, 4}, time(22), time(6)),
        ("fri-mon 00:00-24:00", {4, 5, 6, 0}, time(0), time(0)),
        ("sat,sun 08:15-08:30", {5, 6}, time(8, 15), time(8, 30)),
        ("mon,wed-thu 10:00-11:00", {0, 2, 3}, time(10), time(11)),
        ("daily 12:00-12:30", set(range(7)), time(12), time(12, 30)),
    ],
)
def test_windows_are_read(text: str, days: set[int], start: time, end: time) -> None:
    """Days by name, ranges and lists of them; times of the day."""
    assert parse(text) == Window(frozenset(days), start, end)


WRONG = ["", "sun", "02:00-04:00", "sun 2:00-4:00", "Sun 02:00-04:00", "sun 02:00-25:00", "sun 24:00-02:00"]
WRONG += ["mon-wed-fri 01:00-02:00", "sun 02:00 - 04:00", "sun 02:60-04:00", "daily,sun 01:00-02:00"]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_window(text: str) -> None:
    """It is said what one looks like."""
    with pytest.raises(InvalidSetting):
        parse(text)


@pytest.mark.parametrize(
    ("text", "after", "inside"),
    [
        ("sun 02:00-04:00", timedelta(hours=1, minutes=59, seconds=59), False),
        ("sun 02:00-04:00", timedelta(hours=2), True),
        ("sun 02:00-04:00", timedelta(hours=4), False),
        ("sun 02:00-04:00", timedelta(days=1, hours=3), False),
        ("sun 22:00-06:00", timedelta(hours=3), False),
        ("sun 22:00-06:00", timedelta(hours=23), True),
        ("sun 22:00-06:00", timedelta(days=1, hours=5), True),
        ("sun 22:00-06:00", timedelta(days=1, hours=6), False),
        ("sat 22:00-06:00", timedelta(hours=5), True),
        ("sun 00:00-24:00", timedelta(hours=23, minutes=59), True),
        ("sun 00:00-24:00", timedelta(hours=24), False),
        ("daily 00:00-00:00", timedelta(days=3), True),
    ],
)
def test_moments_are_inside_or_not(text: str, after: timedelta, inside: bool) -> None:
    """The start belongs to it and the end does not; over midnight it is the day of the start that counts."""
    at = SUNDAY + after
    assert in_maintenance([parse(text)], at) is inside
    assert in_maintenance([parse(text)], at.astimezone(timezone(timedelta(hours=9)))) is inside


def test_without_windows_there_is_no_maintenance() -> None:
    """Nothing is nothing."""
    assert not in_maintenance([], SUNDAY)
