"""What a database's errors mean to the person who runs this: the one place where they become refusals."""

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
_ROOM = "Make room on the server's disk."
_NOT_SUITABLE = {
    "25006": ("it can only be read", "Give the address of the primary server, where it can be written."),
    "3D000": ("there is no such database on the server", "Make it: CREATE DATABASE."),
    "42501": ("this user lacks a right there", "Make the user the owner of the database."),
    "42P01": ("a table is missing", "Restore the database from a backup."),
    "42703": ("a column is missing", "Restore the database from a backup."),
    "53100": ("the server's disk is full", _ROOM),
    "XX001": ("its contents are damaged", "Restore the database from a backup."),
    "XX002": ("an index is damaged", "Run REINDEX, or restore the database from a backup."),
}
_NOT_REACHABLE = {
    "28000": "the server does not let this user in",
    "28P01": "the password is wrong, or the user does not exist",
    "40001": "other processes change the same things again and again",
    "40P01": "other processes change the same things again and again",
    "53200": "the server has no memory left",
    "53300": "the server has too many connections",
    "53400": "the server has reached one of its limits",
    "55P03": "another process holds a lock there for too long",
    "57014": "a statement took too long there",
    "57P01": "the server was shut down",
    "57P02": "the server has crashed",
    "57P03": "the server is starting or stopping",
    "57P05": "the server closed the connection",
    "25P03": "the server closed the connection",
}
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def refusal(error: BaseException, path: Path | str) -> Refused | None:
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


def unwritable(path: Path | str, why: str) -> Refused:
    """The database cannot be written, and why."""
    return Refused(
        Code.STATE_UNWRITABLE,
        f"The ledger {path} cannot be written",
        why,
        "Correct the owner and mode of the directory and see that its disk has room, or choose another with --dir.",
    )


def damaged(path: Path | str, why: str) -> Refused:
    """The database is not what it was, and how that shows."""
    return Refused(
        Code.STATE_DAMAGED,
        f"The ledger {path} is damaged",
        why,
        "Restore the file from a backup.",
    )


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of the error (its manual, appendix A); empty if the server did not say it."""
    cause: BaseException | None = error
    while cause is not None:
        code = getattr(cause, "sqlstate", None)
        if isinstance(code, str) and code:
            return code
        cause = getattr(cause, "orig", None) or cause.__cause__
    return ""


def postgres_refusal(error: BaseException, name: str) -> Refused | None:
    """The error as a refusal about the database ``name`` (without its password); None if it is our own fault."""
    code = sqlstate(error)
    if code in _NOT_SUITABLE:
        return unsuitable(name, *_NOT_SUITABLE[code])
    if code in _NOT_REACHABLE or code[:2] == "08":
        return unreachable(name, _NOT_REACHABLE.get(code, "the connection failed"))
    return None


def unsuitable(name: str, why: str, fix: str) -> Refused:
    """The database is there, and cannot be the ledger."""
    return Refused(Code.DATABASE_UNSUITABLE, f"The database {name} cannot be used", why, fix)


def unreachable(name: str, why: str) -> Refused:
    """The database does not answer, or not us."""
    return Refused(
        Code.DATABASE_UNREACHABLE,
        f"The database {name} does not answer",
        why,
        "See that PostgreSQL runs there and lets this user in, and check the URL.",
    )
