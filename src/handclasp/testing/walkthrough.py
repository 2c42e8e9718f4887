"""How-tos, followed word for word: their shell blocks are run in one shell, and what they show is what comes.

``...`` stands for the rest of a line, and alone on a line for any lines. A block without a ``text`` block after it has
to succeed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PIECE = re.compile(r"^```(?P<kind>sh|text)\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "=== end of block"


@dataclass(frozen=True, slots=True)
class Step:
    """One block, what the page shows of it (None: nothing), what it printed, and its status."""

    block: str
    shown: str | None
    printed: str
    status: int

    @property
    def fits(self) -> bool:
        """Whether it did what the page says."""
        if self.shown is None:
            return self.status == 0
        return re.fullmatch(_pattern(self.shown), self.printed.strip("\n")) is not None


def follow(text: str, directory: Path, environment: Mapping[str, str], seconds: float = 60) -> tuple[Step, ...]:
    """Run every ``sh`` block of a page in order, in that directory. Ends at the first that is not as shown."""
    pieces = [(piece["kind"], piece["block"]) for piece in _PIECE.finditer(text)]
    blocks = [
        (block, pieces[at + 1][1] if at + 1 < len(pieces) and pieces[at + 1][0] == "text" else None)
        for at, (kind, block) in enumerate(pieces)
        if kind == "sh"
    ]
    script = "".join(f"{block}printf '\\n{_END} %s\\n' $?\n" for block, _ in blocks)
    ran = subprocess.run(
        ["bash", "--norc"],
        input=script,
        cwd=directory,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    steps = []
    printed = re.split(rf"\n{_END} (\d+)\n", ran.stdout)
    for (block, shown), output, status in zip(blocks, printed[::2], printed[1::2], strict=False):
        steps.append(Step(block, shown, output, int(status)))
        if not steps[-1].fits:
            break
    return tuple(steps)


def _pattern(shown: str) -> str:
    """What is shown, as a regular expression."""
    lines = shown.strip("\n").split("\n")
    any_lines, line = r"(?:[^\n]*(?:\n|\Z))*?", r"[^\n]*"
    return "".join(
        any_lines if text == "..." else line.join(map(re.escape, text.split("..."))) + r"(?:\n|\Z)" for text in lines
    )
