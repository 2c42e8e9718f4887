"""The command line, run in this process and in a directory of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from handclasp.cli.main import main

SETTINGS = """\
trust_domain: example.org
services:
  orders:
    listen: 8443
    hosts: [orders.example.org]
    upstream: http://127.0.0.1:8000
    rules:
      - allow: spiffe://example.org/alice
        methods: [GET]
        paths: [/v1/**]
"""


class Said(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `handclasp` with these arguments in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("HANDCLASP_")]:
        monkeypatch.delenv(variable)

    def act(*arguments: str) -> Said:
        capfd.readouterr()
        try:
            main(list(arguments))
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Said(code, *capfd.readouterr())

    return act


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A handclasp.yaml in that directory."""
    path = tmp_path / "handclasp.yaml"
    path.write_text(SETTINGS)
    return path
