"""Every schema that was ever released becomes the one of today, with all that was in it.

schemas/<revision>.sql is a ledger as the program of that revision wrote it; the script beside it made it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from cryptography import x509

from handclasp.authority.audit import verify
from handclasp.authority.records import AuthorityState, CertificateRecord, CertificateState, Role, Search
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.store.migrate import HEAD
from handclasp.store.monitors import SqlMonitors
from handclasp.store.postgres_session import PostgresSession
from handclasp.testing.monitor_contract_scenes import NOON as MONITORING_NOON
from handclasp.testing.monitor_contract_scenes import check, good, watch, watched

SCHEMAS = Path(__file__).with_name("schemas")
NOW = datetime(2026, 3, 2, tzinfo=UTC)
TABLES_OF_0002 = (
    *("authorities", "certificates", "checkpoints", "confirmations", "crl_numbers", "crls", "events", "requests"),
    "revocation_marks",
)


def _load(path: Path, revision: str) -> sqlite3.Connection:
    raw = sqlite3.connect(path)
    raw.executescript((SCHEMAS / f"{revision}.sql").read_text())
    return raw


def _rows(raw: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = raw.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "handclasp.store:migrations")
    config.attributes["connection"] = connection
    return config


def test_every_released_schema_is_here() -> None:
    """Each revision before the newest has its dump."""
    revisions = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    assert {path.stem for path in SCHEMAS.glob("*.sql")} == revisions - {HEAD}


def _as_postgresql(old: sqlite3.Connection, url: str, revision: str, tables: Iterable[str]) -> None:
    """The same rows in the tables of that revision on PostgreSQL."""

    def work(connection: sa.Connection) -> None:
        command.upgrade(_config(connection), revision)
        metadata = sa.MetaData()
        for name in tables:
            table = sa.Table(name, metadata, autoload_with=connection)
            booleans = [column.name for column in table.c if isinstance(column.type, sa.Boolean)]
            rows = [row | {name: bool(row[name]) for name in booleans} for row in _rows(old, name)]
            connection.execute(table.insert(), rows)

    session = PostgresSession(url, "it")
    try:
        session.run(work)
    finally:
        session.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_from_0001(tmp_path: Path, postgres_url: str, kind: str) -> None:
    """Certificates and events are as they were, the two authorities are in the hierarchy, names are found, numbers and
    the audit log go on."""
    old = _load(tmp_path / "ledger.db", "0001")
    rows, events = _rows(old, "certificates"), _rows(old, "events")
    if kind == "postgresql":
        _as_postgresql(old, postgres_url, "0001", ("certificates", "crl_numbers", "events"))
    old.close()

    async def scene() -> None:
        with database.open(postgres_url if kind == "postgresql" else tmp_path / "ledger.db") as opened:
            ledger = SqlLedger(opened)
            records = await ledger.certificates()
            assert [_old_row(record) for record in records] == [_without_id(row) for row in rows]
            assert [record.is_authority for record in records] == [True, True, False, False, False, False]
            root, issuing = await ledger.authorities()
            for found, record, role in ((root, records[0], Role.ROOT), (issuing, records[1], Role.ISSUING)):
                assert (found.name, found.role, found.state) == (role.value, role, AuthorityState.ACTIVE)
                assert found.certificates == (record.der,)
                assert found.spki_sha256 == record.spki_sha256
                extensions = x509.load_der_x509_certificate(record.der).extensions
                key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
                assert found.key_id == key_id.hex()
            assert (root.parent, issuing.parent) == (None, "root")
            assert {record.issuer_key_id for record in records[2:]} == {issuing.key_id}
            assert records[1].issuer_key_id == root.key_id

            log = await ledger.events()
            assert [(found.seq, found.hash) for found in log] == [(row["seq"], row["hash"]) for row in events]
            verify(log)
            for search, serials in (
                (Search(name_prefix="bob/"), [records[3].serial]),
                (Search(name_contains="lice.exam"), [records[2].serial]),
                (Search(name_contains="org/dave"), [records[5].serial]),
            ):
                assert [record.serial for record in (await ledger.search(search)).records] == serials
            (revoked,) = await ledger.revocations(issuing.key_id)
            assert (revoked.serial, revoked.reason) == (records[4].serial, "superseded")
            assert await ledger.next_crl_number(issuing.key_id, NOW) == int(NOW.timestamp())
            again = await ledger.change_state(
                issuing.key_id,
                records[2].serial,
                allowed_from=frozenset({CertificateState.ISSUED}),
                to=CertificateState.HELD,
                at=NOW,
                reason="certificateHold",
                event_of=lambda record: log[0].event,
            )
            assert again is not None
            verify(await ledger.events())

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_from_0002(tmp_path: Path, postgres_url: str, kind: str) -> None:
    """Every row of before is as it was, names are found, the audit log goes on, and monitoring can begin."""
    old = _load(tmp_path / "ledger.db", "0002")
    before = {name: _rows(old, name) for name in TABLES_OF_0002}
    if kind == "postgresql":
        _as_postgresql(old, postgres_url, "0002", TABLES_OF_0002)
    old.close()

    async def scene() -> None:
        with database.open(postgres_url if kind == "postgresql" else tmp_path / "ledger.db") as opened:

            def raw(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
                return {
                    name: [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {name}")).mappings()]
                    for name in TABLES_OF_0002
                }

            after = await opened.read(raw)
            assert min(len(rows) for rows in after.values()) > 0
            for name in TABLES_OF_0002:
                assert sorted(after[name], key=repr) == sorted(before[name], key=repr)
            ledger = SqlLedger(opened)
            found = await ledger.search(Search(name_contains="alice/4"))
            assert [record.serial for record in found.records] == [4]
            await ledger.append((await ledger.events())[0].event)
            verify(await ledger.events())
            store = SqlMonitors(opened)
            await watch(store, watched("a"))
            await check(store, good("a", MONITORING_NOON))
            assert await store.results("a") == (good("a", MONITORING_NOON),)

    asyncio.run(scene())


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"id", "dns", "ips"}} | {
        "dns": tuple(json.loads(row["dns"])),
        "ips": tuple(json.loads(row["ips"])),
    }


def _old_row(record: CertificateRecord) -> dict[str, Any]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def micros(at: datetime | None) -> int | None:
        return None if at is None else round((at - epoch).total_seconds() * 1_000_000)

    return {
        "issuer_key_id": record.issuer_key_id,
        "serial": f"{record.serial:040x}",
        "profile": record.profile,
        "identity": record.identity,
        "subject": record.subject,
        "not_before": micros(record.not_before),
        "not_after": micros(record.not_after),
        "spki_sha256": record.spki_sha256,
        "state": record.state.value,
        "issued_at": micros(record.issued_at),
        "fingerprint": record.fingerprint or None,
        "tbs": record.tbs,
        "der": record.der,
        "revoked_at": micros(record.revoked_at),
        "reason": record.reason,
        "dns": record.dns,
        "ips": record.ips,
    }
