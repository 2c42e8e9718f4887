"""Results of a scan, read again: to compare them, or to go on with a scan that was interrupted.

Whatever the form, a row has the same few facts. A file is judged by what is in it, not by its name. Everything raises
Refused (SCAN_UNUSABLE) for what cannot be read.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from handclasp.scan import sink_parquet, sink_sqlite
from handclasp.scan.outputs import LineFile, WholeLine, failed, unusable, whole_lines
from handclasp.scan.records import COLUMNS, MAX_CELL, cell
from handclasp.scan.remembered import Remembered
from handclasp.scan.sinks import HEAD, unguarded
from handclasp.scan.tally import Tally

_WRITTEN_BY_US: Final = "Name a file that handclasp scan has written."
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,60}")
_JSON: Final = b'{"target":'
_MOST: Final = 2 * MAX_CELL


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared of one endpoint. ``fingerprint``, ``issuer`` and ``not_after`` are of the leaf, None where no
    certificate was seen."""

    target: str
    code: str
    client_certificate: str
    tls_version: str | None
    fingerprint: str | None
    issuer: str | None
    not_after: str | None
    scan: str | None


_COLUMNS: Final = tuple(one.name for one in fields(Row))
_NEEDED: Final = 3  # of the columns, the first ones


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file, as they stand in it. A torn last line is left out."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise failed(path, error) from None
    try:
        try:
            begin = os.read(descriptor, 16)
        except OSError as error:
            raise failed(path, error) from None
        if begin.startswith(b"SQLite format 3\0"):
            yield from _of_database(path)
        elif begin.startswith(b"PAR1"):
            for number, cells in enumerate(sink_parquet.rows(path, _COLUMNS), 1):
                yield _row(dict(zip(_COLUMNS, cells, strict=True)), path, f"row {number}")
        else:
            _look_at(descriptor, path)
            yield from _of_lines(whole_lines(descriptor, path), path)
    finally:
        os.close(descriptor)


def resume_lines(file: LineFile, form: str, parameters: str, done: Remembered, tally: Tally) -> bool:
    """Learn what a file of lines has, and end it after its last whole record. True if there is nothing in it."""
    end = 0
    file.look(_look_at)
    for line, row in _read(file.lines(), file.path):
        if form != ("csv" if line.octets[:1] != b"{" else "jsonl"):
            raise unusable(file.path, f"what is in it is not {form}", "Use the form that it has, or another file.")
        end = line.end
        if row is not None:
            _learn(row, file.path, parameters, done, tally)
    file.keep(end)
    return not end


def resume_database(path: Path, parameters: str, done: Remembered, tally: Tally) -> None:
    """Learn what a database has, if there is one."""
    if path.exists() and path.stat().st_size:
        for row in _of_database(path):
            _learn(row, path, parameters, done, tally)


def _learn(row: Row, path: Path, parameters: str, done: Remembered, tally: Tally) -> None:
    if row.scan != parameters:
        raise unusable(
            path,
            "the scan in it was made with other options (of trust, names or TLS), so the results would not compare",
            "Give the same options as then, or write to another file.",
        )
    if done.add(row.target):
        tally.skipped_findings += row.code != "OK"


def _of_lines(lines: Iterator[WholeLine], path: Path) -> Iterator[Row]:
    for _, row in _read(lines, path):
        if row is not None:
            yield row


def _look_at(descriptor: int, path: Path) -> None:
    """Whether it begins as a file of ours, be it torn in its first line: what is not ours is never cut."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    octets = os.read(descriptor, len(HEAD))
    if not any(one.startswith(octets[: len(one)]) for one in (_JSON, HEAD.encode())):
        raise unusable(path, "it does not begin as JSON lines, CSV, SQLite or Parquet of a scan", _WRITTEN_BY_US)


def _read(lines: Iterator[WholeLine], path: Path) -> Iterator[tuple[WholeLine, Row | None]]:
    """Each line and its row; None for the head of CSV."""
    reading: Callable[[WholeLine, Path], Row] | None = None
    for line in lines:
        if reading is None and line.octets[:1] != b"{":
            reading = _of_csv
            yield line, None
            continue
        reading = reading or _of_json
        yield line, reading(line, path)


def _of_json(line: WholeLine, path: Path) -> Row:
    where = f"line {line.number}"
    try:
        told = json.loads(line.octets)
        leaf = told["chain"][0] if told["chain"] else {}
        found = {
            "target": told["target"],
            "code": told["code"],
            "client_certificate": told["client_certificate"],
            "tls_version": told["tls_version"],
            "fingerprint": leaf.get("fingerprint"),
            "issuer": cell(leaf.get("issuer")),
            "not_after": leaf.get("not_after"),
            "scan": told.get("scan"),
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise unusable(path, f"{where} is no record of a scan", _WRITTEN_BY_US) from None
    return _row(found, path, where)


def _of_csv(line: WholeLine, path: Path) -> Row:
    where = f"line {line.number}"
    try:
        (cells,) = csv.reader([line.octets.decode()], strict=True)
    except (ValueError, csv.Error):
        cells = []
    if len(cells) != len(COLUMNS):
        raise unusable(path, f"{where} is no record of a scan", _WRITTEN_BY_US)
    named = dict(zip(COLUMNS, map(unguarded, cells), strict=True))
    return _row({name: named[name] or None for name in _COLUMNS}, path, where)


def _of_database(path: Path) -> Iterator[Row]:
    query = (
        "SELECT t.target, t.code, t.client_certificate, t.tls_version, c.fingerprint, c.issuer, c.not_after, t.scan "
        "FROM targets t LEFT JOIN chain h ON h.target = t.target AND h.position = 0 "
        "LEFT JOIN certificates c ON c.fingerprint = h.fingerprint"
    )
    with closing(sink_sqlite.opened(path)) as connection:
        try:
            for number, cells in enumerate(connection.execute(query), 1):
                yield _row(dict(zip(_COLUMNS, cells, strict=True)), path, f"row {number} of targets")
        except sqlite3.Error as error:
            raise sink_sqlite.trouble(path, error) from None


def _row(found: Mapping[str, Any], path: Path, where: str) -> Row:
    needed = [found[name] for name in _COLUMNS[:_NEEDED]]
    texts = [value for value in found.values() if value is not None]
    if not all(isinstance(one, str) for one in [*needed, *texts]) or not _CODE.fullmatch(found["code"]):
        raise unusable(path, f"{where} is no record of a scan", _WRITTEN_BY_US)
    kept: dict[str, Any] = {name: None if value is None else value[:_MOST] or None for name, value in found.items()}
    return Row(**kept)
