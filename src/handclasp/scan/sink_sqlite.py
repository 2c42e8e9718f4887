"""Results in a SQLite database, each certificate once.

scan          name, value                     format, and when it was made with which parameters
targets       one row a target: the flat columns, and the findings and alerts as JSON
certificates  one row a certificate, by its SHA-256
chain         target, position (0: the leaf), fingerprint
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from handclasp.findings import Refused
from handclasp.pki.described_text import printable
from handclasp.scan import records
from handclasp.scan.outputs import exists, failed, unusable
from handclasp.scan.records import COLUMNS, MAX_CELL, Record

APPLICATION_ID: Final = 0x48434C53  # HCLS
FORMAT: Final = 1

_KINDS: Final = {str: "TEXT", int: "INTEGER", float: "REAL", bool: "INTEGER"}
_OF_CERTIFICATE: Final = (
    *("subject", "issuer", "names", "serial", "spki", "not_before", "not_after", "key", "signature", "fault"),
)
_LEFT_OUT: Final = frozenset({*_OF_CERTIFICATE, "alerts", "chain"})
TARGET_COLUMNS: Final = tuple(name for name in COLUMNS if name not in _LEFT_OUT)
SCHEMA: Final = (
    "CREATE TABLE scan (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE targets ("
    + ", ".join(f'"{name}" {_KINDS[COLUMNS[name]]}' for name in TARGET_COLUMNS)
    + ", findings TEXT NOT NULL, alerts TEXT NOT NULL, PRIMARY KEY (target))",
    "CREATE TABLE certificates (fingerprint TEXT PRIMARY KEY, "
    + ", ".join(f'"{name}" TEXT' for name in _OF_CERTIFICATE)
    + ")",
    "CREATE TABLE chain (target TEXT NOT NULL REFERENCES targets, position INTEGER NOT NULL, "
    "fingerprint TEXT NOT NULL REFERENCES certificates, PRIMARY KEY (target, position)) WITHOUT ROWID",
    "CREATE INDEX chain_by_fingerprint ON chain (fingerprint)",
)
_EVERY: Final = 0.5  # seconds between commits
_EVERY_RECORDS: Final = 1000
_KNOWN: Final = 5000  # fingerprints that are remembered as written


class Database:
    """The file, for one writer. Commits twice a second, so that a kill takes back no more than that.

    Refused (SCAN_UNUSABLE).
    """

    def __init__(self, path: Path, *, resume: bool, overwrite: bool) -> None:
        self.path = path
        there = path.exists() and path.stat().st_size > 0
        if there and not resume:
            if not overwrite:
                raise exists(path)
            _remove(path)
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        except sqlite3.Error as error:
            raise trouble(path, error) from None
        try:
            self._begin(new=not (there and resume))
        except sqlite3.Error as error:
            self._connection.close()
            raise trouble(path, error) from None
        except Refused:
            self._connection.close()
            raise
        self._insert = f"INSERT OR REPLACE INTO targets VALUES ({', '.join('?' * (len(TARGET_COLUMNS) + 2))})"  # noqa: S608 (only question marks are put in)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._pending = 0
        self._committed = time.monotonic()

    def write(self, told: Record) -> None:
        """Add it."""
        row = records.flat(told)
        whole = records.bounded(told)
        target = row["target"]
        try:
            self._connection.execute(
                self._insert,
                [
                    *(row[name] for name in TARGET_COLUMNS),
                    json.dumps(whole["findings"]),
                    json.dumps(whole["alerts"]),
                ],
            )
            self._connection.execute("DELETE FROM chain WHERE target = ?", (target,))
            for position, one in enumerate(whole["chain"]):
                self._certificate(one)
                self._connection.execute("INSERT INTO chain VALUES (?, ?, ?)", (target, position, one["fingerprint"]))
            self._pending += 1
            now = time.monotonic()
            if self._pending >= _EVERY_RECORDS or now - self._committed > _EVERY:
                self._connection.execute("COMMIT")
                self._connection.execute("BEGIN IMMEDIATE")
                self._pending, self._committed = 0, now
        except sqlite3.Error as error:
            raise trouble(self.path, error) from None

    def close(self) -> None:
        """Commit what is left."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise trouble(self.path, error) from None
        finally:
            self._connection.close()

    def _begin(self, *, new: bool) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA synchronous = NORMAL")
        if new:
            run("BEGIN IMMEDIATE")
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {FORMAT}")
            for statement in SCHEMA:
                run(statement)
            run("INSERT INTO scan VALUES ('format', ?)", (str(FORMAT),))
            run("COMMIT")
        else:
            check(self._connection, self.path)
        run("BEGIN IMMEDIATE")

    def _certificate(self, one: dict[str, Any]) -> None:
        fingerprint = one["fingerprint"]
        if fingerprint in self._known:
            self._known.move_to_end(fingerprint)
            return
        cells = [
            _text(" ".join(one[name]) if name == "names" else one[name]) if name in one else None
            for name in _OF_CERTIFICATE
        ]
        marks = ", ".join("?" * (len(cells) + 1))
        self._connection.execute(f"INSERT OR IGNORE INTO certificates VALUES ({marks})", [fingerprint, *cells])  # noqa: S608 (only question marks are put in)
        self._known[fingerprint] = None
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def opened(path: Path) -> sqlite3.Connection:
    """A database of ours, to read. Refused (SCAN_UNUSABLE)."""
    try:
        # Writable where it may be: what a kill has left half-written is taken back first.
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, timeout=2)
    except sqlite3.Error as error:
        raise trouble(path, error) from None
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        check(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise trouble(path, error) from None
    except Refused:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Whether it is one of ours. Refused (SCAN_UNUSABLE)."""
    ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    if not ours or connection.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        why = "the database is not one that this version of handclasp scan has written"
        raise unusable(path, why, "Name another file.")


def trouble(path: Path, error: sqlite3.Error) -> Refused:
    """What SQLite says, as a refusal."""
    if "locked" in str(error):
        return unusable(path, "another scan is writing to it", "Wait for it, or write to another file.")
    return unusable(path, str(error), "Name a database that handclasp scan has written, or another file.")


def _text(value: object) -> str:
    return printable(str(value)[:MAX_CELL])


def _remove(path: Path) -> None:
    try:
        for one in (path, *(path.with_name(path.name + end) for end in ("-journal", "-wal", "-shm"))):
            one.unlink(missing_ok=True)
    except OSError as error:
        raise failed(path, error) from None
