"""JSON lines: what is written, and where it goes when it is much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handclasp.monitor.definition import State
from handclasp.monitor.outputs.jsonlines import JsonLines, lines
from handclasp.monitor.ports import Claim, Outcome, Standing
from handclasp.monitor.results import Change, Transition
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result


def an_outcome(**rest: Any) -> Outcome:
    """What became of a check of the monitor m."""
    claim = Claim(Standing(a_monitor(labels=(("team", "pay"),)), State.OK, None, None, AT), 1, AT)
    given: dict[str, Any] = {"result": a_result(), "changes": (), "transition": None} | rest
    return Outcome(claim, next_due=AT, **given)


def written(path: Path) -> list[dict[str, Any]]:
    """What is in the file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def put(output: JsonLines, outcomes: Sequence[Outcome]) -> None:
    """Start, write, stop."""
    output.start()
    output.put(outcomes)
    await output.stop()


def test_an_outcome_is_a_line_for_each_thing() -> None:
    """The result, each change, the transition."""
    result = a_result(State.CRITICAL, certificates=(a_certificate(timedelta(days=1)),))
    change = Change("m", AT, "code", "OK", "NET_CONNECTION_REFUSED")
    transition = Transition("id", "m", AT, State.OK, State.CRITICAL, None, result, (("team", "pay"),))
    found = [json.loads(one) for one in lines(an_outcome(result=result, changes=(change,), transition=transition))]
    assert [one["type"] for one in found] == ["result", "change", "transition"]
    assert found[0]["certificates"][0]["days_left"] == 1
    assert (found[0]["labels"], found[0]["code"]) == ({"team": "pay"}, "NET_CONNECTION_REFUSED")
    at = "2027-03-01T12:00:00Z"
    assert found[1] == {
        "type": "change", "at": at, "monitor": "m", "what": "code", "before": "OK", "after": "NET_CONNECTION_REFUSED",
    }  # fmt: skip
    assert (found[2]["id"], found[2]["before"], found[2]["after"]) == ("id", "ok", "critical")


def test_what_a_stranger_wrote_is_one_line() -> None:
    """Line breaks, also those of Unicode, are escaped."""
    hostile = a_result(summary="a\nb\u2028c\x85d")
    (line,) = lines(an_outcome(result=hostile))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line)["summary"] == "a\nb\u2028c\x85d"


def test_a_file_is_readable_by_its_group_alone(tmp_path: Path) -> None:
    """And lines are added to what is there."""
    path = tmp_path / "results.jsonl"
    for _ in range(2):
        asyncio.run(put(JsonLines(path), [an_outcome(), an_outcome()]))
    assert [one["monitor"] for one in written(path)] == ["m"] * 4
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_file_that_is_full_is_moved_aside(tmp_path: Path) -> None:
    """The newest is .1; older ones than are kept go; no line is lost between two."""
    path = tmp_path / "results.jsonl"
    size = sum(len(line) for line in lines(an_outcome()))

    async def main() -> None:
        output = JsonLines(path, most_octets=2 * size, kept=2)
        output.start()
        for number in range(7):
            output.put([an_outcome(result=a_result(attempts=number))])
            while len(list(tmp_path.iterdir())) < min(number // 2, 2) + 1 or not path.stat().st_size:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
        await output.stop()

    asyncio.run(main())
    found = {one.name: [line["attempts"] for line in written(one)] for one in tmp_path.iterdir()}
    assert found == {"results.jsonl": [6], "results.jsonl.1": [4, 5], "results.jsonl.2": [2, 3]}


def test_a_file_that_others_moved_is_opened_again(tmp_path: Path) -> None:
    """As logrotate does it."""
    path = tmp_path / "results.jsonl"

    async def main() -> None:
        output = JsonLines(path)
        output.start()
        path.rename(tmp_path / "moved")
        output.put([an_outcome()])
        await output.stop()

    asyncio.run(main())
    assert (len(written(path)), (tmp_path / "moved").read_text()) == (1, "")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Who can write into the directory cannot have us write elsewhere."""
    (tmp_path / "results.jsonl").symlink_to(tmp_path / "elsewhere")

    async def main() -> None:
        JsonLines(tmp_path / "results.jsonl").start()

    with pytest.raises(OSError, match="symbolic"):
        asyncio.run(main())


def test_a_minus_is_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """For a container's log."""
    asyncio.run(put(JsonLines(None), [an_outcome()]))
    assert capsysbinary.readouterr().out == b"".join(lines(an_outcome()))
