"""How far a scan is, and what it has found: numbers, and the line that shows them while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from handclasp.findings import Code

_BAR: Final = 20


@dataclass(slots=True)
class Tally:
    """What was counted. ``expected`` are the targets that are to be examined in all, which is exact once the sources
    are read and near before; with ``open_ended`` sources (a pipe, a zone file) nobody knows. ``skipped`` are in the
    output already; the codes of those count too."""

    expected: int = 0
    open_ended: int = 0
    begun: int = 0
    done: int = 0
    ok: int = 0
    findings: int = 0
    unreachable: int = 0
    rubbish: int = 0
    duplicates: int = 0
    skipped: int = 0
    skipped_findings: int = 0
    connections: int = 0
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int | None:
        """How many there will be; None where that cannot be known."""
        return None if self.open_ended else max(self.expected, self.begun)

    def count(self, code: Code, *, reached: bool) -> None:
        """One more is done. ``reached`` is whether it has shown a certificate."""
        self.done += 1
        self.codes[str(code)] += 1
        if not reached:
            self.unreachable += 1
        elif code is Code.OK:
            self.ok += 1
        else:
            self.findings += 1

    @property
    def exit_code(self) -> int:
        """0: all is well; 1: something is not, or a line was not understood; 2: there was no target at all."""
        if not self.done and not self.skipped:
            return 2
        return int(bool(self.findings or self.unreachable or self.rubbish or self.skipped_findings))


def progress(tally: Tally, seconds: float, width: int) -> str:
    """One line of at most ``width`` columns."""
    rate = tally.done / seconds if seconds > 0 else 0.0
    counts = f"{tally.ok:,} OK, {tally.findings:,} with findings, {tally.unreachable:,} unreachable"
    if tally.total is None:
        text = f"{tally.done:,} done, {rate:,.0f}/s: {counts}"
    else:
        part = tally.done / tally.total if tally.total else 1.0
        filled = int(part * _BAR)
        bar = "#" * filled + "-" * (_BAR - filled)
        text = f"[{bar}] {tally.done:,}/{tally.total:,} ({part:.0%}), {rate:,.0f}/s: {counts}"
    return text[:width]


def summary(tally: Tally, seconds: float) -> list[str]:
    """What is told at the end."""
    lines = [
        f"{tally.done:,} {'target' if tally.done == 1 else 'targets'} in {seconds:,.1f} s: {tally.ok:,} OK, "
        f"{tally.findings:,} with findings, {tally.unreachable:,} unreachable."
    ]
    bad = [f"{code} {number:,}" for code, number in tally.codes.most_common() if code != Code.OK]
    if bad:
        lines.append(f"Findings: {', '.join(bad)}.")
    aside = [
        (tally.skipped, "in the output already"),
        (tally.duplicates, "named twice"),
        (tally.rubbish, "lines not understood" if tally.rubbish > 1 else "line not understood"),
    ]
    if said := [f"{number:,} {what}" for number, what in aside if number]:
        lines.append(f"Beside them: {', '.join(said)}.")
    return lines
