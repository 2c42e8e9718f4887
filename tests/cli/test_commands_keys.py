"""Commands that hold a private key leave none of it in a core dump, whoever does the work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHILD = """
import sys
from handclasp.app.hardening import is_dumpable
from handclasp.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code
print("a dump is possible" if is_dumpable() else "no dump")
"""


@pytest.fixture
def prepared(run: Callable[..., Any], settings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a caller's files and a backup."""
    monkeypatch.setenv("HANDCLASP_BACKUP_PASSPHRASE", "staple battery")
    assert run("client", "add", "alice", "--out", "alice").code == 0
    assert run("backup", "kept.tar").code == 0
    return settings.parent


@pytest.mark.skipif(sys.platform != "linux", reason="asked as Linux answers it")
@pytest.mark.parametrize(
    "words",
    [
        ("client", "add", "bob"),
        ("cert", "issue", "--name", "bob", "--out", "bob"),
        ("restore", "kept.tar", "--dir", "new"),
        ("convert", "alice/key.pem", "--to", "der", "--out", "key.der"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_command_with_a_key_leaves_no_core(prepared: Path, words: tuple[str, ...]) -> None:
    """From before it has the key to its end."""
    command = [sys.executable, "-c", CHILD, *words]
    done = subprocess.run(command, cwd=prepared, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("no dump\n")
