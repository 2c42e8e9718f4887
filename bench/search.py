"""Search in a ledger of many certificates: how long each kind takes, how large the ledger is, what indexing costs.

The certificates are made up (no key is behind them) and written straight into the table, as large as real ones.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from handclasp.authority.records import CertificateRecord, CertificateState, Search
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.store.rows import ADD_CERTIFICATE, certificate_values
from handclasp.store.searchable import index_blocks, index_names

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIFETIME = timedelta(days=90)
DER_SIZE = 620
_ISSUERS = ("aa" * 20, "bb" * 20)
_TEAMS = ("payments", "orders", "search", "shipping", "identity", "billing", "reports", "mail")
_REPEATS = 7


def certificates(count: int) -> Iterator[CertificateRecord]:
    """A fleet: services renewed again and again over 180 days, a few servers, some held, some revoked."""
    random = Random(3)
    for n in range(count):
        at = NOW - timedelta(days=180) * (1 - n / count)
        team, service = random.choice(_TEAMS), random.randrange(count // 8 + 1)
        server = n % 50 == 0
        name = f"{team}/service-{service:06x}"
        state = CertificateState.ISSUED
        if n % 10 == 7:
            state = CertificateState.REVOKED
        elif n % 50_000 == 1:
            state = CertificateState.HELD
        digest = hashlib.sha256(n.to_bytes(8)).hexdigest()
        taken_back = state is not CertificateState.ISSUED
        yield CertificateRecord(
            serial=int(digest[:38], 16) + 1,
            issuer_key_id=_ISSUERS[server],
            profile="server" if server else "client",
            identity=f"spiffe://example.org/{name}",
            dns=(f"service-{service:06x}.{team}.example.org",),
            ips=(f"10.{service >> 16 & 255}.{service >> 8 & 255}.{service & 255}",) if server else (),
            subject=f"CN=service-{service:06x}",
            not_before=at,
            not_after=at + LIFETIME,
            spki_sha256=hashlib.sha256(digest.encode()).hexdigest(),
            state=state,
            issued_at=at,
            der=random.randbytes(DER_SIZE),
            fingerprint=hashlib.sha256(digest[::-1].encode()).hexdigest(),
            revoked_at=at + timedelta(days=1) if taken_back else None,
            reason="superseded" if taken_back else None,
        )


def searches(some: CertificateRecord) -> dict[str, Search]:
    """One of each kind, with the name of what it shows; ``some`` is a certificate in the middle of the ledger."""
    identity = some.identity or ""
    path = identity.split("/", 3)[3]
    return {
        "newest": Search(),
        "a page from the middle": Search(after=str(some.shard)),
        "identity": Search(identity=identity),
        "serial": Search(serial=some.serial),
        "fingerprint": Search(fingerprint=some.fingerprint),
        "fingerprint, 8 digits": Search(fingerprint=some.fingerprint[:8]),
        "key": Search(spki_sha256=some.spki_sha256),
        "prefix of one identity": Search(name_prefix=path),
        "prefix of a team": Search(name_prefix="shipping/"),
        "prefix of all": Search(name_prefix="spiffe://example.org/"),
        "prefix of one letter": Search(name_prefix="b"),
        "prefix of none": Search(name_prefix="warehouse"),
        "part of one name": Search(name_contains=path[-6:]),
        "part of many names": Search(name_contains="service"),
        "part of no name": Search(name_contains="zebra"),
        "part of no name, all its trigrams common": Search(name_contains="service-service"),
        "address": Search(name_contains="10.0.1."),
        "part of a name, from the middle": Search(name_contains="ments/serv", after=str(some.shard)),
        "part of a name, held": Search(name_contains="service", state=CertificateState.HELD),
        "part of a name, revoked": Search(name_contains="payments", state=CertificateState.REVOKED),
        "part of a name, servers": Search(name_contains="payments", profile="server"),
        "profile": Search(profile="server"),
        "issued": Search(state=CertificateState.ISSUED),
        "revoked": Search(state=CertificateState.REVOKED),
        "held": Search(state=CertificateState.HELD),
        "held servers": Search(state=CertificateState.HELD, profile="server"),
        "revoked servers": Search(state=CertificateState.REVOKED, profile="server"),
        "expired": Search(expires_before=NOW),
        "expiring within a day": Search(expires_after=NOW, expires_before=NOW + timedelta(days=1)),
        "expiring within 30 days, issued": Search(
            expires_after=NOW, expires_before=NOW + timedelta(days=30), state=CertificateState.ISSUED
        ),
        "expiring within 30 days, servers": Search(
            expires_after=NOW, expires_before=NOW + timedelta(days=30), profile="server"
        ),
        "issued by": Search(issuer_key_id=_ISSUERS[1]),
        "issued by, revoked": Search(issuer_key_id=_ISSUERS[1], state=CertificateState.REVOKED),
        "issued by, expired": Search(issuer_key_id=_ISSUERS[1], expires_before=NOW),
    }


def measure(count: int, directory: Path | None = None) -> dict[str, Any]:
    """Fill a ledger with so many certificates and search it; ``ms`` has the median of several runs for
    each search, ``worst_ms`` the slowest.

    ``directory`` keeps the ledger: it is filled if it is empty.
    """
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="handclasp-bench-") as made:
            return measure(count, Path(made))
    path = directory / "ledger.db"
    filled = {} if path.exists() else _fill(path, count)
    return filled | asyncio.run(_search(path, count)) | {"bytes": path.stat().st_size}


def _fill(path: Path, count: int) -> dict[str, Any]:
    database.open(path).close()
    raw = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -400000"):
        raw.execute(f"PRAGMA {pragma}").close()
    began = time.perf_counter()
    raw.execute("BEGIN")
    raw.executemany(ADD_CERTIFICATE, (certificate_values(record) for record in certificates(count)))
    raw.execute("COMMIT")
    raw.execute("PRAGMA journal_mode = WAL").close()
    raw.close()
    filled = time.perf_counter() - began

    async def index() -> float:
        cpu = time.process_time()
        with database.open(path) as opened:
            while await opened.write(lambda connection: index_names(connection, 5000)):
                pass
            while await opened.write(lambda connection: index_blocks(connection, 50)):
                pass
        return time.process_time() - cpu

    return {"fill_s": filled, "index_us_per_certificate": asyncio.run(index()) / count * 1e6}


async def _search(path: Path, count: int) -> dict[str, Any]:
    gc.collect()
    before = _memory()
    with database.open(path) as opened:
        ledger = SqlLedger(opened)
        middle = (await ledger.search(Search(after=str(count // 2), limit=1))).records[0]
        some = replace(middle, shard=count // 2)
        found: dict[str, int] = {}
        usual: dict[str, float] = {}
        slowest: dict[str, float] = {}
        for name, search in searches(some).items():
            times = []
            for _ in range(_REPEATS):
                began = time.perf_counter()
                page = await ledger.search(search)
                times.append((time.perf_counter() - began) * 1e3)
            found[name], usual[name], slowest[name] = len(page.records), median(times), max(times)
        return {"count": count, "ms": usual, "worst_ms": slowest, "found": found, "memory_bytes": _memory() - before}


def _memory() -> int:
    """Resident, of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
