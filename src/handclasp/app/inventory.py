"""Our own certificates, for a monitor: authorities, what they have issued, and the credentials that we show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from handclasp.app.credential_source import CredentialSource
from handclasp.authority.ports import Ledger
from handclasp.authority.records import AuthorityState, CertificateRecord, CertificateState, Search
from handclasp.monitor.examined import watched
from handclasp.monitor.results import WatchedCertificate
from handclasp.probe import served

_GONE: Final = timedelta(days=7)
_PAGE: Final = 500
_LIVING: Final = frozenset({AuthorityState.PUBLISHED, AuthorityState.ACTIVE, AuthorityState.RETIRING})


class OwnCertificates:
    """``monitor.examined.Inventory`` on a ledger and its credentials."""

    def __init__(self, ledger: Ledger, credentials: CredentialSource, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._credentials = credentials
        self._now = now

    async def ending(self, before: datetime, limit: int) -> tuple[WatchedCertificate, ...]:
        """Authorities, issued certificates that nothing has renewed or revoked, and credentials, which end before that
        and have not ended more than a week ago: the first to end first. Where there are none, the first to end among
        authorities and credentials."""
        since = self._now() - _GONE
        lasting = [*await self._authorities(), *await self._shown()]
        found = [one for one in lasting if since <= one.not_after < before]
        found += await self._issued(since, before, limit)
        if not found:
            found = sorted(lasting, key=lambda one: one.not_after)[:1]
        return tuple(sorted(found, key=lambda one: (one.not_after, one.fingerprint))[:limit])

    async def _authorities(self) -> list[WatchedCertificate]:
        return [
            watched(one, "authority", record.name)
            for record in await self._ledger.authorities()
            if record.state in _LIVING
            for one in map(served.read, record.certificates[:1])
            if one.fault is None
        ]

    async def _shown(self) -> list[WatchedCertificate]:
        return [
            watched(one, "credential", credential.name)
            for credential in await self._credentials.watched()
            for one in (served.read(credential.certificate),)
            if one.fault is None
        ]

    async def _issued(self, since: datetime, before: datetime, limit: int) -> list[WatchedCertificate]:
        found: list[WatchedCertificate] = []
        search = Search(state=CertificateState.ISSUED, expires_after=since, expires_before=before, limit=_PAGE)
        cursor: str | None = None
        while len(found) < limit:
            page = await self._ledger.search(_after(search, cursor))
            for record in page.records:
                if record.is_authority or await self._renewed(record):
                    continue
                one = served.read(record.der)
                if one.fault is None:
                    found.append(watched(one, "issued", record.identity or ", ".join(record.dns) or record.subject))
            cursor = page.cursor
            if cursor is None:
                break
        return found

    async def _renewed(self, record: CertificateRecord) -> bool:
        """Whether a certificate of the same profile for the same names lasts longer."""
        search = Search(
            identity=record.identity,
            name_prefix=record.dns[0] if record.identity is None and record.dns else None,
            profile=record.profile,
            state=CertificateState.ISSUED,
            expires_after=record.not_after,
        )
        if record.identity is None and not record.dns:
            return False
        page = await self._ledger.search(search)
        return any(
            (one.identity, one.dns, one.ips) == (record.identity, record.dns, record.ips) for one in page.records
        )


def _after(search: Search, cursor: str | None) -> Search:
    return search if cursor is None else replace(search, after=cursor)
