"""An authority that publishes: a real ledger, real keys, and the server on a free port, all in one test's directory."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from handclasp.authority.hierarchy import Plan, establish
from handclasp.authority.issue import Authority, Issued, issue
from handclasp.authority.pipeline import event
from handclasp.authority.records import CertificateRecord, CertificateState
from handclasp.pki import pem
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, PrivateKey, generate
from handclasp.pki.profile import CLIENT, SERVER, Profile
from handclasp.pki.request import create, parse
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.protocols.publish.server import PublishServer, served
from handclasp.store import database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

T = TypeVar("T")
DOMAIN = TrustDomain("example.org")
_ANY_STATE = frozenset({CertificateState.ISSUED, CertificateState.HELD})


def serial() -> int:
    """A serial number as the program makes them."""
    return secrets.randbits(158) | 1 << 158


@dataclass
class Publishing:
    """An authority and the server that publishes for it. ``offset`` moves its clock."""

    authority: Authority
    directory: Path
    offset: timedelta = timedelta(0)
    port: int = 0
    server: PublishServer | None = None
    keys: dict[int, PrivateKey] = field(default_factory=dict)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.offset

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def issued(
        self, name: str, profile: Profile = CLIENT, *, lifetime: timedelta | None = None, dns: tuple[str, ...] = ()
    ) -> Issued:
        """A certificate of that name; its key is in ``keys`` by serial number."""
        key, identity = generate(KeyType.EC_P256), SpiffeID(DOMAIN, name)
        principal = "gateway" if profile is SERVER else "operator"
        made = await issue(
            self.authority,
            parse(create(key, identity)),
            Names(identity, dns),
            profile,
            principal,
            now=self.clock(),
            serial=serial(),
            lifetime=lifetime,
        )
        self.keys[made.certificate.serial_number] = key
        return made

    async def change(
        self, certificate: Issued, to: CertificateState, reason: str | None, at: datetime | None = None
    ) -> None:
        """Revoke, hold or release it, in the ledger alone."""
        now = self.clock()

        def event_of(record: CertificateRecord) -> Any:
            return event("certificate.changed", record, now, "operator")

        changed = await self.authority.ledger.change_state(
            certificate.record.issuer_key_id,
            certificate.record.serial,
            allowed_from=_ANY_STATE,
            to=to,
            at=None if reason is None else at or now,
            reason=reason,
            event_of=event_of,
        )
        assert changed is not None

    async def revoke(self, certificate: Issued, reason: str = "keyCompromise", at: datetime | None = None) -> None:
        await self.change(certificate, CertificateState.REVOKED, reason, at)
        if self.server is not None:
            await self.server.refresh()

    def write(self, name: str, data: bytes) -> Path:
        """A file beside the authority's."""
        path = self.directory / name
        path.write_bytes(data)
        return path

    def roots(self) -> Path:
        return self.write("roots.pem", pem.pem(*self.authority.hierarchy.roots))

    def chain(self) -> Path:
        return self.write("chain.pem", pem.pem(*(one.certificate for one in self.authority.hierarchy.issuers)))

    def certificate(self, issued: Issued) -> Path:
        return self.write(f"{issued.record.serial:x}.pem", pem.pem(issued.certificate))


@asynccontextmanager
async def opened(directory: Path, **plan: Any) -> AsyncIterator[Publishing]:
    """The authority of that directory, made if there is none; nothing is served."""
    with database.open(directory / "ledger.db") as found:
        ledger, custody = SqlLedger(found), KeyFiles(directory / "ca")
        hierarchy = await establish(ledger, custody, DOMAIN, plan=Plan(**plan), now=datetime.now(UTC), serial=serial)
        yield Publishing(Authority(ledger, custody, hierarchy, Plan(**plan)), directory)


@asynccontextmanager
async def publishing(directory: Path, *, watch_seconds: float = 0.05, **plan: Any) -> AsyncIterator[Publishing]:
    """The same, with the server running."""
    async with opened(directory, **plan) as found:
        source = lambda: found.authority  # noqa: E731
        async with served(source, clock=found.clock, serial=serial, watch_seconds=watch_seconds) as server:
            found.server, found.port = server, server.port
            yield found


async def run(*command: str | Path, cwd: Path | None = None, check: bool = True) -> str:
    """What the program says on both of its outputs; the loop goes on meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    assert not check or process.returncode == 0, text
    return text
