"""When monitors are due."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.monitor import schedule
from handclasp.testing.watching import AT, a_monitor

MOMENTS = st.timedeltas(timedelta(0), timedelta(days=70_000)).map(
    lambda after: datetime(1990, 1, 1, tzinfo=UTC) + after
)
PERIODS = st.timedeltas(timedelta(seconds=1), timedelta(days=31))
NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, PERIODS, MOMENTS)
def test_the_next_time_is_later_and_within_a_period(name: str, every: timedelta, at: datetime) -> None:
    """Never now, and never more than one period away."""
    due = schedule.next_due(a_monitor(name, every=every), at)
    assert at < due <= at + every


@given(NAMES, PERIODS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_no_two_in_one_period(name: str, every: timedelta, at: datetime, late: timedelta) -> None:
    """However late a check is, the next is due a whole number of periods after it was due: nothing drifts."""
    monitor = a_monitor(name, every=every)
    due = schedule.next_due(monitor, at)
    following = schedule.next_due(monitor, due + late)
    assert following > due
    assert (following - due) % every == timedelta()
    assert following - due <= late + every


@given(NAMES, PERIODS, MOMENTS)
def test_a_clock_that_is_behind_makes_no_second_check(name: str, every: timedelta, at: datetime) -> None:
    """The later of now and when it was due counts."""
    monitor = a_monitor(name, every=every)
    due = schedule.next_due(monitor, at)
    behind = due - timedelta(seconds=0.5)
    assert schedule.next_due(monitor, max(behind, due)) == due + every


def test_monitors_are_spread_evenly() -> None:
    """20,000 names over a minute: each second has about a sixtieth of them (six standard deviations are 107)."""
    every = timedelta(minutes=1)
    seconds = Counter(schedule.offset(f"monitor-{number}", every) // timedelta(seconds=1) for number in range(20_000))
    assert set(seconds) == set(range(60))
    assert all(abs(count - 20_000 / 60) < 110 for count in seconds.values())


@given(NAMES, PERIODS)
def test_the_offset_is_within_the_period(name: str, every: timedelta) -> None:
    """At least nothing, and less than all of it."""
    assert timedelta() <= schedule.offset(name, every) < every


@pytest.mark.parametrize(
    ("every", "most"), [(timedelta(days=1), timedelta(minutes=1)), (timedelta(seconds=10), timedelta(seconds=10))]
)
def test_what_is_new_is_checked_soon(every: timedelta, most: timedelta) -> None:
    """Within a minute, or within its period if that is shorter; and not all at once."""
    firsts = {schedule.first_due(a_monitor(f"m{number}", every=every), AT) for number in range(100)}
    assert len(firsts) == 100
    assert all(AT <= first < AT + most for first in firsts)


def test_patience_has_all_tries_and_pauses() -> None:
    """Three tries of 10 s, and two pauses of 5 s."""
    monitor = a_monitor(retries=2, timeout=timedelta(seconds=10), retry_after=timedelta(seconds=5))
    assert schedule.patience(monitor) == timedelta(seconds=40)
