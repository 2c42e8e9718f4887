"""The database behind the ledger: a SQLite file, or PostgreSQL at a URL. What is above does not know which."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self, TypeVar

from handclasp.store.group_commit import Work

T = TypeVar("T")

_SCHEMES = ("postgresql://", "postgres://")


class Database(Protocol):
    """An open database. Work runs in a thread of the database's."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""

    @property
    def name(self) -> str:
        """What a message calls it: a path, or a URL without its password."""

    async def write(self, work: Work[T]) -> T:
        """What ``work`` returns, once it survives a power cut; what it raises, with nothing of it written.

        Work is done in the order in which it was asked for, and may be run again if the database undid it.
        Cancelling the wait does not undo the work.
        """

    async def read(self, work: Work[T]) -> T:
        """What ``work`` returns, run in one snapshot that has every write answered so far. It cannot write."""

    def close(self) -> None:
        """Finish what was asked for, then close. Again: nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open(target: Path | str) -> Database:
    """The database at a path, made if it is not there, or at a ``postgresql://`` URL; upgraded as needed.

    For a path Refused: STATE_UNWRITABLE, STATE_DAMAGED, STATE_NEWER, or STATE_IN_USE if another process holds it for
    long. For a URL Refused: DATABASE_UNREACHABLE, DATABASE_UNSUITABLE, STATE_NEWER.
    """
    if isinstance(target, str) and target.startswith(_SCHEMES):
        # Not before it is needed: the driver takes a noticeable part of the start-up.
        from handclasp.store.postgres import open_postgres

        return open_postgres(target)
    from handclasp.store.sqlite import open_sqlite

    return open_sqlite(Path(target))
