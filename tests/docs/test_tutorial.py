"""The tutorial is followed word for word: its shell blocks are run in order, and what it shows is what comes.

A block belongs to the terminal that the text named last. Each terminal is a shell that goes on from block to block.
What a block of Terminal 3 prints has to be all that is shown; the other terminals show what comes while they run.
``...`` stands for the rest of a line, and alone on a line for any lines. Ports are replaced by free ones.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from handclasp.testing.site import free_port

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
FOREGROUND = 3
SECONDS = 30

_PIECE = re.compile(
    r"^```(?P<kind>sh|text)\n(?P<block>.*?)^```$"
    r"|Press Ctrl-C in \*\*Terminal (?P<stop>\d)\*\*|\*\*Terminal (?P<at>\d)\*\*",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Terminal:
    """A shell that is typed into, as a person does. Its screen is a real terminal's: programs write to it at once."""

    shell: subprocess.Popen[bytes]
    master: int
    screen: bytearray = field(default_factory=bytearray)
    seen: int = 0
    blocks: int = 0

    def read(self) -> None:
        """Read the screen until nobody writes to it any more."""
        with suppress(OSError):
            while data := os.read(self.master, 65536):
                self.screen += data

    def type(self, text: str) -> None:
        """Paste a block, and have its end and status said."""
        assert self.shell.stdin is not None
        self.blocks += 1
        time.sleep(0.3)  # nobody reads and pastes faster; the gateway writes its log ten times a second
        self.shell.stdin.write(f"{text}printf '\\n=== %s {self.blocks}\\n' $?\n".encode())
        self.shell.stdin.flush()

    def finished(self, seconds: float = SECONDS, *, may_stay: bool = False) -> tuple[str, int] | None:
        """What the last block printed, and its status; waits for its end. None for one that may stay, and does."""
        end = re.compile(rf"\n=== (\d+) {self.blocks}\n")
        deadline = time.monotonic() + seconds
        while (found := end.search(self.text())) is None:
            if time.monotonic() > deadline:
                if may_stay:
                    return None
                raise AssertionError(f"the block does not end; it printed:\n{self.text()}")
            time.sleep(0.02)
        printed = self.text()[: found.start()]
        self.seen += len(self.text()[: found.end()].encode())
        return printed, int(found[1])

    def text(self) -> str:
        """What is on the screen since it was last looked at."""
        return self.screen[self.seen :].decode(errors="replace")

    def shows(self, shown: str) -> None:
        """Wait until this is on the screen; what was before it counts as seen."""
        pattern = re.compile(_pattern(shown))
        deadline = time.monotonic() + SECONDS
        while (found := pattern.search(self.text())) is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"the tutorial shows:\n{shown}\nthe terminal:\n{self.text()}")
            time.sleep(0.02)
        self.seen += len(self.text()[: found.end()].encode())

    def children(self) -> list[int]:
        """The processes that the shell has started and that still run."""
        try:
            return [int(n) for n in Path(f"/proc/{self.shell.pid}/task/{self.shell.pid}/children").read_text().split()]
        except OSError:
            return []

    def interrupt(self) -> None:
        """Press Ctrl-C: the program in the foreground gets SIGINT."""
        for child in self.children():
            os.kill(child, signal.SIGINT)

    def close(self) -> None:
        """End the shell and what still runs in it."""
        assert self.shell.stdin is not None
        self.shell.stdin.close()
        deadline = time.monotonic() + SECONDS
        while self.shell.poll() is None:
            self.interrupt()
            if time.monotonic() > deadline:
                for child in (*self.children(), self.shell.pid):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.2)
        os.close(self.master)


class Desk:
    """A directory with a checkout in it, and terminals that are opened when they are first named."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._terminals: dict[int, Terminal] = {}
        checkout = directory / "handclasp"
        checkout.mkdir()
        for name in ("Makefile", "pyproject.toml", "requirements"):
            (checkout / name).symlink_to(ROOT / name)
        (checkout / ".venv").symlink_to(sys.prefix)
        left_out = {"PYTHONDONTWRITEBYTECODE", "HANDCLASP_DIR", "HANDCLASP_CONFIG", "VIRTUAL_ENV", "CURL_HOME"}
        self._environment = {
            **{key: value for key, value in os.environ.items() if key not in left_out},
            "HOME": str(directory),
            "MAKEFLAGS": "n",  # make says what it would do: the environment is there already
        }

    def terminal(self, number: int) -> Terminal:
        """A terminal, opened where the reader opens it: beside the checkout."""
        if number not in self._terminals:
            master, slave = pty.openpty()
            tty.setraw(slave)
            shell = subprocess.Popen(
                ["bash", "--norc"],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=slave,
                stderr=slave,
            )
            os.close(slave)
            terminal = self._terminals[number] = Terminal(shell, master)
            threading.Thread(target=terminal.read, daemon=True).start()
        return self._terminals[number]

    def close(self) -> None:
        """Close all terminals, the youngest first."""
        for number in sorted(self._terminals, reverse=True):
            self._terminals[number].close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A place to follow the tutorial in."""
    desk = Desk(tmp_path)
    try:
        yield desk
    finally:
        desk.close()


@pytest.mark.e2e
def test_the_tutorial_does_what_it_says(desk: Desk) -> None:
    """Every block runs, every output is as shown, a block without one succeeds, and Ctrl-C ends what runs."""
    api, gateway = str(free_port()), str(free_port())
    text = TUTORIAL.read_text().replace("8443", gateway).replace("8000", api)
    # The first run takes its port by an option, which a reader does not need.
    text = re.sub(r"(handclasp up --upstream \S+)", rf"\1 --listen {gateway}", text)
    at = 0
    pending: str | None = None
    for piece in _PIECE.finditer(text):
        if piece["kind"] != "text" and pending is not None:
            # Nothing is shown of it: it does its work, or it stays, as a server does.
            ended = desk.terminal(at).finished(SECONDS if at == FOREGROUND else 2, may_stay=at != FOREGROUND)
            assert ended is None or ended[1] == 0, f"after:\n{pending}\nit printed and exited with: {ended}"
            pending = None
        if piece["stop"]:
            at = int(piece["stop"])
            desk.terminal(at).interrupt()
        elif piece["at"]:
            at = int(piece["at"])
        elif piece["kind"] == "sh":
            pending = piece["block"]
            desk.terminal(at).type(pending)
        elif pending is not None and at == FOREGROUND:
            ended = desk.terminal(at).finished()
            printed = ended[0] if ended else ""
            assert re.fullmatch(_pattern(piece["block"]), printed.strip("\n")), (
                f"after:\n{pending}\nthe tutorial shows:\n{piece['block']}\nbut it printed:\n{printed}"
            )
            pending = None
        else:
            desk.terminal(at).shows(piece["block"])
            pending = None
    assert (at, _ended(desk, 1), _ended(desk, 2)) == (1, True, True)


def _ended(desk: Desk, number: int) -> bool:
    """Whether what ran in the foreground has come to its end by itself."""
    desk.terminal(number).finished()
    return not desk.terminal(number).children()


def _pattern(shown: str) -> str:
    """What is shown, as a regular expression."""
    lines = shown.strip("\n").split("\n")
    any_lines, line = r"(?:[^\n]*(?:\n|\Z))*?", r"[^\n]*"
    parts = [
        any_lines if text == "..." else line.join(map(re.escape, text.split("..."))) + r"(?:\n|\Z)" for text in lines
    ]
    return "".join(parts)
