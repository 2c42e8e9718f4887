"""What SQLite's errors mean to the person who runs this: the one place where they become refusals."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy.exc

from handclasp.findings import Code, Refused

_UNWRITABLE = {
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened or made",
    sqlite3.SQLITE_READONLY: "it can only be read",
    sqlite3.SQLITE_PERM: "the permission is missing",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
}
_DAMAGED = {
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database",
    sqlite3.SQLITE_CORRUPT: "its contents are not a readable database any more",
}
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def refusal(error: BaseException, path: Path) -> Refused | None:
    """The error as a refusal about the database at ``path``; None if it is not about the file or its disk."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    # The low byte is the kind of error, the rest its detail (sqlite.org/rescode.html).
    kind = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if kind in _UNWRITABLE:
        return unwritable(path, _UNWRITABLE[kind])
    if kind in _DAMAGED:
        return damaged(path, _DAMAGED[kind])
    if kind in _IN_USE:
        return Refused(
            Code.STATE_IN_USE,
            f"The ledger {path} is locked",
            "another program is writing to it",
            "Stop that program, or choose another directory with --dir.",
        )
    return None


def unwritable(path: Path, why: str) -> Refused:
    """The database cannot be written, and why."""
    return Refused(
        Code.STATE_UNWRITABLE,
        f"The ledger {path} cannot be written",
        why,
        "Correct the owner and mode of the directory and see that its disk has room, or choose another with --dir.",
    )


def damaged(path: Path, why: str) -> Refused:
    """The database is not what it was, and how that shows."""
    return Refused(
        Code.STATE_DAMAGED,
        f"The ledger {path} is damaged",
        why,
        "Restore the file from a backup.",
    )
