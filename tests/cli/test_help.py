"""Every command explains itself, quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from handclasp import __version__
from handclasp.cli.main import handclasp


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, by the words that call it."""
    yield path
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))


COMMANDS = list(commands(handclasp))
PROBE = """
import contextlib, io, json, sys
from handclasp.cli.main import main
said = {}
for words in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main([*words, "--help"])
        except SystemExit as ended:
            assert not ended.code, words
    below = [m for m in sys.modules if m.startswith("handclasp.") and not m.startswith("handclasp.cli")]
    heavy = [m for m in ("yaml", "pydantic", "cryptography", "sqlalchemy", "grpc", "asyncio") if m in sys.modules]
    said[" ".join(words)] = [out.getvalue(), below + heavy]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[str, list[str]]]:
    """The help of every command, and what had been imported after it, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE], input=json.dumps(COMMANDS), capture_output=True, text=True, check=True
    )
    found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help(helps: dict[str, tuple[str, list[str]]], words: tuple[str, ...]) -> None:
    """It has a usage line and a sentence; nothing below handclasp.cli is imported for it (D6)."""
    text, imported = helps[" ".join(words)]
    assert text.startswith(f"Usage: {' '.join(('handclasp', *words))} ")
    assert text.splitlines()[2].strip().endswith((".", "?")) or text.splitlines()[3].strip()
    assert imported == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_has_a_help_text(words: tuple[str, ...]) -> None:
    """No option stands without a word."""
    command: click.Command = handclasp
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert [name for name in silent if name not in ("service", "reason")] == []


def test_version() -> None:
    """`--version` says the version."""
    done = subprocess.run([sys.executable, "-m", "handclasp", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"handclasp, version {__version__}\n"
