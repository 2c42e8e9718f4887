"""`handclasp monitor`: what is said where there is no such monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest


class Said(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("words", [("show", "nobody"), ("history", "nobody"), ("check", "nobody")])
def test_a_monitor_that_is_not_there(run: Run, words: tuple[str, ...]) -> None:
    """Named, with the command that lists those that are: MONITOR_UNKNOWN."""
    said = run("monitor", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "There is no monitor nobody: neither handclasp.yaml nor handclasp monitor add has named it.\n"
        "See which there are: handclasp monitor list.\n"
        "(MONITOR_UNKNOWN) More: handclasp explain MONITOR_UNKNOWN\n"
    )


@pytest.mark.usefixtures("settings")
def test_failures_lead_to_their_explanations(run: Run) -> None:
    """One line for all that failed, beside the results and not in them; not with JSON."""
    for name in ("one", "two"):
        assert run("monitor", "add", name, "127.0.0.1:1", "--retries", "0").code == 0
    said = run("monitor", "check")
    assert (said.code, said.err) == (1, "More: handclasp explain NET_CONNECTION_REFUSED\n")
    assert said.out.count("NET_CONNECTION_REFUSED at ") == 2
    assert run("monitor", "check", "--json").err == ""


@pytest.mark.usefixtures("settings")
def test_where_nothing_failed_nothing_is_to_be_explained(run: Run) -> None:
    """A monitor that was never checked has no code."""
    assert run("monitor", "add", "one", "127.0.0.1:1").code == 0
    assert [run("monitor", *words).err for words in (("list",), ("show", "one"), ("history", "one"))] == ["", "", ""]
