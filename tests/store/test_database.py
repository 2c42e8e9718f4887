"""Opening, writing, reading and closing the database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from handclasp.findings import Code, Refused
from handclasp.store import database
from handclasp.store.sqlite import SqliteDatabase

Prepare = Callable[[Path], None]


def _add(text: str) -> Callable[[sa.Connection], str]:
    def work(connection: sa.Connection) -> str:
        connection.execute(sa.text("INSERT INTO crl_numbers VALUES (:text, 1)"), {"text": text})
        return text

    return work


def _all(connection: sa.Connection) -> list[str]:
    return sorted(connection.scalars(sa.text("SELECT issuer_key_id FROM crl_numbers")))


def _fails(connection: sa.Connection) -> None:
    _add("half")(connection)
    raise LookupError("on purpose")


def _open_refused(path: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        database.open(path)
    return caught.value


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    """The directory is 0700 and every file in it 0600, whatever the umask."""
    path = tmp_path / "state" / "ledger.db"
    umask = os.umask(0)
    try:
        with database.open(path) as opened:
            asyncio.run(opened.write(_add("x")))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(umask)
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_commits_are_durable(tmp_path: Path) -> None:
    """WAL with synchronous=FULL (2), foreign keys on: on the writing connection, where it counts."""

    def pragmas(connection: sa.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    with database.open(tmp_path / "ledger.db") as opened:
        assert asyncio.run(opened.write(pragmas)) == ["wal", 2, 1]


def test_nobody_is_answered_before_the_commit(tmp_path: Path) -> None:
    """When a write returns, another connection to the file sees it."""
    path = tmp_path / "ledger.db"

    async def scene() -> list[tuple[int]]:
        with database.open(path) as opened:
            seen = []
            for n in range(20):
                await opened.write(_add(str(n)))
                other = sqlite3.connect(path)
                seen += other.execute("SELECT count(*) FROM crl_numbers").fetchall()
                other.close()
            return seen

    assert asyncio.run(scene()) == [(n + 1,) for n in range(20)]


def test_writes_that_wait_share_one_transaction(tmp_path: Path) -> None:
    """What is asked for while the writer is busy is committed together, in the order of asking."""
    path = tmp_path / "ledger.db"
    began: list[str] = []

    async def scene() -> list[str]:
        busy = threading.Event()
        with database.open(path) as opened:
            assert isinstance(opened, SqliteDatabase)

            @sa.event.listens_for(opened._writer.engine, "begin")
            def count(_connection: sa.Connection) -> None:
                began.append(threading.current_thread().name)

            def hold(_connection: sa.Connection) -> None:
                busy.wait(10)

            first = asyncio.ensure_future(opened.write(hold))
            await asyncio.sleep(0.05)
            rest = [asyncio.ensure_future(opened.write(_add(str(n)))) for n in range(50)]
            await asyncio.sleep(0)
            busy.set()
            return [str(result) for result in await asyncio.gather(first, *rest)]

    assert asyncio.run(scene()) == ["None", *(str(n) for n in range(50))]
    assert began == ["ledger-writer"] * 2


def test_a_failing_write_is_undone_alone(tmp_path: Path) -> None:
    """In one batch the failing piece of work leaves nothing, its neighbours everything."""

    async def scene() -> tuple[list[object], list[str]]:
        with database.open(tmp_path / "ledger.db") as opened:
            outcomes = await asyncio.gather(
                opened.write(_add("a")), opened.write(_fails), opened.write(_add("b")), return_exceptions=True
            )
            return [type(outcome) for outcome in outcomes], await opened.read(_all)

    assert asyncio.run(scene()) == ([str, LookupError, str], ["a", "b"])


def test_work_that_ends_the_transaction_fails_its_whole_batch(tmp_path: Path) -> None:
    """If SQLite rolled everything back, nobody of that batch is told that it was written."""

    def roll_all_back(connection: sa.Connection) -> None:
        # What SQLite does by itself when the disk fails in the middle of a statement.
        connection.connection.driver_connection.execute("ROLLBACK")  # type: ignore[union-attr]
        raise LookupError("the disk failed")

    async def scene() -> tuple[list[object], list[str]]:
        busy = threading.Event()
        with database.open(tmp_path / "ledger.db") as opened:
            first = asyncio.ensure_future(opened.write(lambda _: busy.wait(10)))
            await asyncio.sleep(0.05)
            batch = [asyncio.ensure_future(opened.write(w)) for w in (_add("a"), roll_all_back, _add("b"))]
            await asyncio.sleep(0)
            busy.set()
            await first
            outcomes = await asyncio.gather(*batch, return_exceptions=True)
            await opened.write(_add("later"))
            return [type(outcome) for outcome in outcomes], await opened.read(_all)

    assert asyncio.run(scene()) == ([LookupError] * 3, ["later"])


def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    """No room: Refused(STATE_UNWRITABLE), nothing half-written; with room again, writing goes on."""

    def big(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO crl_numbers VALUES (hex(zeroblob(1000000)), 1)"))

    def limit(pages: int) -> Callable[[sa.Connection], None]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").close()

    async def scene() -> tuple[Code, list[str]]:
        with database.open(tmp_path / "ledger.db") as opened:
            await opened.write(limit(1))
            with pytest.raises(Refused) as caught:
                await opened.write(big)
            await opened.write(limit(1 << 30))
            await opened.write(_add("later"))
            return caught.value.code, await opened.read(_all)

    assert asyncio.run(scene()) == (Code.STATE_UNWRITABLE, ["later"])


def test_a_cancelled_wait_harms_nobody(tmp_path: Path) -> None:
    """Whoever stops waiting does not stop the writer."""

    async def scene() -> list[str]:
        with database.open(tmp_path / "ledger.db") as opened:
            gone = asyncio.ensure_future(opened.write(_add("a")))
            await asyncio.sleep(0)
            gone.cancel()
            await opened.write(_add("b"))
            return await opened.read(_all)

    assert asyncio.run(scene()) == ["a", "b"]


def test_readers_cannot_write(tmp_path: Path) -> None:
    """The reading connection refuses to change anything."""
    with database.open(tmp_path / "ledger.db") as opened:
        with pytest.raises(Refused) as caught:
            asyncio.run(opened.read(_add("x")))
        assert caught.value.code is Code.STATE_UNWRITABLE
        assert asyncio.run(opened.read(_all)) == []


def test_close_finishes_what_was_asked_for(tmp_path: Path) -> None:
    """Writes that were queued before close() are on the disk after it; close() again does nothing."""
    path = tmp_path / "ledger.db"

    async def scene() -> None:
        opened = database.open(path)
        waiting = [asyncio.ensure_future(opened.write(_add(f"{n:03}"))) for n in range(300)]
        await asyncio.sleep(0)
        opened.close()
        opened.close()
        await asyncio.gather(*waiting)

    asyncio.run(scene())
    with database.open(path) as again:
        assert asyncio.run(again.read(_all)) == [f"{n:03}" for n in range(300)]
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    """Writing after close() is a fault of the program and raises."""
    opened = database.open(tmp_path / "ledger.db")
    opened.close()
    with pytest.raises(RuntimeError, match="is closed"):
        asyncio.run(opened.write(_add("x")))


def _not_a_database(path: Path) -> None:
    path.write_bytes(b"This is a letter, not a database. " * 200)


def _cut_short(path: Path) -> None:
    database.open(path).close()
    path.write_bytes(path.read_bytes()[:5000])


def _overwritten(path: Path) -> None:
    database.open(path).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


def _of_another_program(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()


def _without_a_table(path: Path) -> None:
    database.open(path).close()
    other = sqlite3.connect(path)
    other.execute("DROP TABLE events")
    other.close()


@pytest.mark.parametrize(
    "damage",
    [_not_a_database, _cut_short, _overwritten, _of_another_program, _without_a_table],
    ids=["not-a-database", "cut-short", "overwritten", "of-another-program", "without-a-table"],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, damage: Prepare) -> None:
    """A file that is no ledger any more: Refused(STATE_DAMAGED) naming it, and not a byte of its tables is changed."""
    path = tmp_path / "ledger.db"
    damage(path)
    before = path.read_bytes()[100:]
    refused = _open_refused(path)
    assert refused.code is Code.STATE_DAMAGED
    assert str(path) in refused.what
    assert path.read_bytes()[100:] == before


def test_a_page_damaged_later_is_said(tmp_path: Path) -> None:
    """Damage that only shows when it is read is Refused(STATE_DAMAGED) too."""
    path = tmp_path / "ledger.db"
    database.open(path).close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(Refused) as caught, database.open(path) as opened:
        asyncio.run(opened.read(_all))
    assert caught.value.code is Code.STATE_DAMAGED


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Where a file stands in the way: Refused(STATE_UNWRITABLE)."""
    (tmp_path / "file").write_text("")
    assert _open_refused(tmp_path / "file" / "state" / "ledger.db").code is Code.STATE_UNWRITABLE


@pytest.mark.parametrize("what", ["directory", "file"])
def test_without_permission_it_is_refused(what: str) -> None:
    """A directory or a file that is not ours to write: Refused(STATE_UNWRITABLE). Asked as an ordinary user."""
    # Not in tmp_path: above it are directories that only root may enter.
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        path = Path(made) / "state" / "ledger.db"
        path.parent.mkdir()
        if what == "file":
            database.open(path).close()
            path.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            assert _as_nobody(lambda: _open_refused(path).code) == Code.STATE_UNWRITABLE
        finally:
            path.parent.chmod(0o755)


def _as_nobody(ask: Callable[[], str]) -> str:
    """What ``ask`` answers to a user without rights: root may write everything, and tests may run as root."""
    if os.geteuid() != 0:
        return ask()
    os.seteuid(65534)
    try:
        return ask()
    finally:
        os.seteuid(0)
