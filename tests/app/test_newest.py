"""The end of the log, without reading the whole of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handclasp.app import logs
from handclasp.dataplane.accesslog import LOG_FILE


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, ["/5"]), (4, ["/2", "/3", "/4", "/5"]), (9, None)])
def test_the_newest_records_come_in_their_order_over_rotated_files(
    tmp_path: Path, count: int, expected: list[str] | None
) -> None:
    """Two files of three lines each, and a broken line: the last so many, oldest first."""
    current = tmp_path / LOG_FILE
    current.parent.mkdir()
    for path, numbers in ((current.with_name(current.name + ".1"), range(3)), (current, range(3, 6))):
        lines = [json.dumps({"k": "request", "path": f"/{n}", "status": 200}) for n in numbers]
        path.write_text("\n".join(lines) + "\n{broken\n")
    got = [record.path for record in logs.newest(tmp_path, count, lambda record: True)]
    assert got == (expected if expected is not None else [f"/{n}" for n in range(6)])
