"""What holds for all tests."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]  # it ships no types

# Most of the time goes into starting programs of ours. They keep their bytecode, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_TOGETHER = re.compile(r"^(tests/(?:lab|accuracy)/).*\[(\w+)|^(tests/e2e/\w+)")


class _Together(LoadGroupScheduling):  # type: ignore[misc]  # for the same reason
    """What shares servers runs in one worker, so that they start once: the laboratories by product, e2e by module.

    By name, since xdist 3.8 does not see the mark xdist_group under pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        found = _TOGETHER.match(nodeid)
        return str(super()._split_scope(nodeid) if found is None else "-".join(filter(None, found.groups())))


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    """For --dist loadgroup."""
    return _Together(config, log) if config.getvalue("dist") == "loadgroup" else None
