"""Search in a ledger that is too large to be read for every page: each way of SQLite's to find gives the same."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handclasp.authority.records import CertificateRecord, CertificateState, Search
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.store.rows import ADD_CERTIFICATE, certificate_values, names_of
from handclasp.store.searchable import index_blocks, index_names
from handclasp.testing.ledger_scenes import NOON, intended, issued

COUNT = 24_000
DAY = timedelta(days=1)
STATES = {3: CertificateState.REVOKED, 4: CertificateState.REVOKED, 11: CertificateState.HELD}
SEARCHES = [
    Search(),
    Search(identity="spiffe://example.org/team-1/service-00101"),
    Search(serial=77),
    Search(fingerprint=f"{77:064x}"),
    Search(fingerprint="0" * 61),
    Search(spki_sha256=f"{500:064x}", profile="server"),
    Search(profile="server"),
    Search(profile="rare"),
    Search(profile="rare", state=CertificateState.REVOKED),
    Search(profile="server", issuer_key_id="bb" * 20),
    Search(profile="client", issuer_key_id="cc" * 20),
    Search(issuer_key_id="bb" * 20, state=CertificateState.REVOKED),
    Search(state=CertificateState.HELD),
    Search(state=CertificateState.INTENDED),
    Search(expires_before=NOON - 30 * DAY),
    Search(expires_before=NOON - 30 * DAY, expires_after=NOON - 31 * DAY),
    Search(expires_after=NOON - 95 * DAY, expires_before=NOON - 50 * DAY, state=CertificateState.ISSUED),
    Search(expires_after=NOON - 95 * DAY, expires_before=NOON - 50 * DAY, profile="rare"),
    Search(expires_before=NOON, profile="server", issuer_key_id="bb" * 20),
    Search(expires_before=NOON - 500 * DAY),
    Search(name_prefix="team-1/service-001"),
    Search(name_prefix="TEAM-2/"),
    Search(name_prefix="t"),
    Search(name_prefix="eam"),
    Search(name_prefix="spiffe://example.org/team-0/service-00"),
    Search(name_contains="vice-0010"),
    Search(name_contains="service-service"),
    Search(name_contains="service"),
    Search(name_contains="team-1", profile="rare"),
    Search(name_contains="team-1", state=CertificateState.HELD, issuer_key_id="bb" * 20),
    Search(name_contains="team-2", state=CertificateState.REVOKED),
    Search(name_contains="-00", expires_before=NOON - 60 * DAY),
    Search(name_prefix="team-2/service-0", name_contains="0101"),
    Search(name_contains="a.example.org"),
]


def _certificates() -> Iterator[CertificateRecord]:
    """The id of each is its place, from 1 on; the old issuer is the first half's."""
    for n in range(1, COUNT + 1):
        at = NOON - DAY * 180 * (1 - n / COUNT)
        scattered = int.from_bytes(hashlib.sha256(n.to_bytes(4)).digest()[:4])
        state = STATES.get(scattered % 97, CertificateState.ISSUED)
        made = issued(intended(n, identity=f"spiffe://example.org/team-{n % 3}/service-{scattered % 3000:05}", at=at))
        yield replace(
            made,
            profile="rare" if scattered % 400 == 0 else "server" if scattered % 3 == 0 else "client",
            issuer_key_id="bb" * 20 if n < COUNT // 2 else "aa" * 20,
            # One in a while lives much longer than its neighbours.
            not_after=at + (DAY * 400 if scattered % 500 == 0 else DAY * 90),
            state=state,
            revoked_at=None if state is CertificateState.ISSUED else at,
            reason=None if state is CertificateState.ISSUED else "superseded",
        )


def _matches(record: CertificateRecord, search: Search) -> bool:
    """What a search means, said once more and simply."""
    equal = ("identity", "serial", "spki_sha256", "profile", "state", "issuer_key_id")
    names = names_of(record)
    return (
        all(getattr(search, name) in {None, getattr(record, name)} for name in equal)
        and record.fingerprint.startswith(search.fingerprint or "")
        and (search.expires_before is None or record.not_after < search.expires_before)
        and (search.expires_after is None or record.not_after > search.expires_after)
        and (not search.name_prefix or f"\n\n{search.name_prefix.lower()}" in names)
        and (search.name_contains is None or search.name_contains.lower() in names)
    )


@pytest.fixture(scope="module")
def records() -> list[CertificateRecord]:
    """All of them, the newest first."""
    return list(_certificates())[::-1]


@pytest.mark.parametrize("indexed", [0, COUNT // 2, COUNT], ids=["nothing-indexed", "half", "all"])
def test_finds_the_same_as_reading_all(tmp_path: Path, records: list[CertificateRecord], indexed: int) -> None:
    """Three pages of each search are what a plain look at every certificate gives, whatever is indexed yet."""
    path = tmp_path / "ledger.db"
    database.open(path).close()
    raw = sqlite3.connect(path)
    raw.executemany(ADD_CERTIFICATE, map(certificate_values, reversed(records)))
    raw.commit()
    raw.close()

    async def scene() -> None:
        with database.open(path) as opened:
            ledger = SqlLedger(opened)
            if indexed:
                await opened.write(lambda connection: index_names(connection, indexed))
                await opened.write(lambda connection: index_blocks(connection, indexed // 1024))
            for search in SEARCHES:
                expected = [record.serial for record in records if _matches(record, search)]
                found: list[int] = []
                cursor = None
                for _ in range(3):
                    page = await ledger.search(replace(search, limit=150, after=cursor))
                    found += [record.serial for record in page.records]
                    cursor = page.cursor
                    if cursor is None:
                        break
                assert (search, found) == (search, expected[:450])
                assert (cursor is None) == (len(expected) <= 450)

    asyncio.run(scene())
