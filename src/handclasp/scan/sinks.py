"""Results as text: a table for a person, JSON lines, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Final

from handclasp.pki.described_text import printable
from handclasp.probe.report_text import days
from handclasp.scan import records
from handclasp.scan.outputs import LineFile
from handclasp.scan.records import COLUMNS, Cell, Record

Write = Callable[[str], None]
"""Takes text with its line ends."""

_FORMULAS: Final = frozenset("=+-@'\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet may take for the beginning of a formula, and the quote that keeps it from that."""

_WIDTHS: Final = (36, 30, 17, 8, 22)
_HEAD: Final = ("TARGET", "CODE", "CLIENT CERT", "TLS", "DAYS LEFT", "ISSUER")
_MOST_SHOWN: Final = 200


class Table:
    """One line a target, as they come."""

    def __init__(self, write: Write) -> None:
        self._put = write
        self._begun = False

    def write(self, told: Record) -> None:
        """Show it."""
        if not self._begun:
            self._begun = True
            self._put(_row(_HEAD))
        left = min((one["days_left"] for one in told["chain"] if "days_left" in one), default=None)
        first = told["chain"][0] if told["chain"] else {}
        cells = (
            told["target"],
            told["code"],
            told["client_certificate"] if told["chain"] else "-",
            told["tls_version"] or "-",
            "-" if left is None else days(left).removesuffix(" days left"),
            first.get("issuer") or "-",
        )
        self._put(_row(cells))

    def close(self) -> None:
        """Nothing is left to do."""


class Lines:
    """JSON lines: one object a target."""

    def __init__(self, write: Write, close: Callable[[], None]) -> None:
        self._put = write
        self.close = close

    def write(self, told: Record) -> None:
        """Add it."""
        self._put(records.text(told) + "\n")


class Csv:
    """CSV (RFC 4180) with the columns of ``records.COLUMNS``; each record is one line.

    A text that a spreadsheet would take for a formula begins with a ``'``, and so does one that begins with it itself.
    """

    def __init__(self, write: Write, close: Callable[[], None], *, head: bool = True) -> None:
        self._put = write
        self.close = close
        if head:
            write(HEAD)

    def write(self, told: Record) -> None:
        """Add it."""
        self._put(_csv([_guarded(one) for one in records.flat(told).values()]))


def to_file(file: LineFile) -> tuple[Write, Callable[[], None]]:
    """What ``Lines`` and ``Csv`` write to and close."""
    return lambda text: file.write(text.encode()), file.close


def unguarded(cell: str) -> str:
    """The text of a cell of CSV."""
    return cell[1:] if cell.startswith("'") else cell


def _guarded(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return f"'{cell}" if cell[0] in _FORMULAS else cell
    return str(cell)


def _csv(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


HEAD: Final = _csv(list(COLUMNS))


def _row(cells: tuple[str, ...]) -> str:
    *padded, last = (printable(one[:_MOST_SHOWN]) for one in cells)
    return " ".join([*(f"{one:{width}}" for one, width in zip(padded, _WIDTHS, strict=True)), last]).rstrip() + "\n"
