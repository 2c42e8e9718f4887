"""The log on disk: rotated, read in order, followed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from handclasp.app.logs import follow, records, rotate
from handclasp.dataplane.accesslog import LOG_FILE


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The place of the current log, in a state directory."""
    path = tmp_path / LOG_FILE
    path.parent.mkdir()
    return path


def line(number: int) -> str:
    return json.dumps({"k": "request", "id": str(number), "status": 200, "details": "via_upstream"}) + "\n"


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def ids(state: Path) -> list[int]:
    return [int(record.request_id or -1) for record in records(state)]


def test_no_log_yet(tmp_path: Path) -> None:
    """Nothing is recorded, and there is nothing to rotate."""
    assert list(records(tmp_path)) == []
    assert rotate(tmp_path, 0) is False


def test_a_small_log_stays(tmp_path: Path, log: Path) -> None:
    """Below the limit nothing is renamed."""
    append(log, line(1))
    assert rotate(tmp_path, 10_000) is False
    assert [p.name for p in log.parent.iterdir()] == [log.name]


def test_rotation_keeps_five_files_in_their_order(tmp_path: Path, log: Path) -> None:
    """The oldest is dropped; the rest is read oldest first, then the current one."""
    for number in range(1, 8):
        append(log, line(number))
        assert rotate(tmp_path, 10) is True
    append(log, line(8))
    assert sorted(p.name for p in log.parent.iterdir()) == [log.name, *(f"{log.name}.{n}" for n in range(1, 6))]
    assert ids(tmp_path) == [3, 4, 5, 6, 7, 8]


def test_broken_lines_are_passed_over(tmp_path: Path, log: Path) -> None:
    """What is torn or undecodable costs no other record."""
    log.write_bytes(line(1).encode() + b"\xff\xfe\n{\n\n" + line(2).encode() + line(3)[:20].encode())
    assert ids(tmp_path) == [1, 2]


def followed(tmp_path: Path, steps: list[str], log: Path, wanted: int, *, from_start: bool) -> list[int]:
    """What a follower sees while these steps are done: text to append, or `rotate`, or `create`."""

    async def scene() -> list[int]:
        seen: list[int] = []

        async def watch() -> None:
            async for record in follow(tmp_path, from_start=from_start):
                seen.append(int(record.request_id or -1))
                if len(seen) == wanted:
                    return

        watcher = asyncio.create_task(watch())
        for step in steps:
            await asyncio.sleep(0.15)
            if step == "rotate":
                rotate(tmp_path, 0)
            else:
                append(log, step)
        await asyncio.wait_for(watcher, 2)
        return seen

    return asyncio.run(scene())


def test_follow_goes_over_a_rotation(tmp_path: Path, log: Path) -> None:
    """Nothing is lost or seen twice when the log is renamed, also what was written to the old file afterwards."""
    append(log, line(1))
    assert followed(tmp_path, [line(2), "rotate", line(3), line(4)], log, 4, from_start=True) == [1, 2, 3, 4]


def test_follow_reads_the_end_of_a_file_that_was_renamed(tmp_path: Path, log: Path) -> None:
    """Envoy writes to the old file until it has opened the new one: what comes last is still read."""

    async def scene() -> list[int]:
        seen = []
        append(log, line(1))
        old = log.open("a")
        watching = follow(tmp_path, from_start=True)
        seen.append((await anext(watching)).request_id)
        rotate(tmp_path, 0)
        append(log, line(3))
        old.write(line(2))
        old.close()
        seen += [(await asyncio.wait_for(anext(watching), 5)).request_id for _ in range(2)]
        await watching.aclose()  # type: ignore[attr-defined]
        return [int(number or -1) for number in seen]

    assert asyncio.run(scene()) == [1, 2, 3]


def test_follow_from_the_end(tmp_path: Path, log: Path) -> None:
    """What is there already is not shown."""
    append(log, line(1))
    assert followed(tmp_path, [line(2)], log, 1, from_start=False) == [2]


def test_follow_waits_for_whole_lines(tmp_path: Path, log: Path) -> None:
    """A line that is written in two parts is one record."""
    append(log, line(1))
    assert followed(tmp_path, [line(2)[:30], line(2)[30:]], log, 1, from_start=False) == [2]


def test_a_line_torn_by_a_rotation_spoils_no_other(tmp_path: Path, log: Path) -> None:
    """What was left unfinished in the old file is not put before the first line of the new one."""
    append(log, line(1))
    assert followed(tmp_path, [line(2)[:30], "rotate", line(3)], log, 2, from_start=True) == [1, 3]


def test_follow_waits_for_the_log(tmp_path: Path, log: Path) -> None:
    """A log that does not exist yet is followed from its first line."""
    assert followed(tmp_path, [line(1)], log, 1, from_start=True) == [1]


def test_follow_from_the_end_of_nothing_shows_the_first(tmp_path: Path, log: Path) -> None:
    """A log that comes after the follower has nothing old in it: its first line is shown."""
    assert followed(tmp_path, [line(1)], log, 1, from_start=False) == [1]
