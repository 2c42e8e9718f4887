"""The revocation lists that are served: held in memory, kept fresh from the ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from handclasp.authority.crl import FULL, Memory, is_current, publish, shards
from handclasp.authority.issue import Authority
from handclasp.authority.lineage import SigningAuthority
from handclasp.authority.records import CrlRecord
from handclasp.findings import Refused

_log = logging.getLogger("handclasp.publish")


class Lists:
    """The current list of each authority and shard, the roots' too where their keys are here.

    Lists that certificates from before a change of ``crl_shards`` name are kept up from the first time that somebody
    asks for them: the full list, and every shard that was ever published.
    """

    def __init__(self, authority_source: Callable[[], Authority]) -> None:
        self._authority_source = authority_source
        self._held: dict[tuple[str, int | None], CrlRecord] = {}
        self._memories: dict[tuple[str, int | None], Memory] = {}
        self._marks: dict[str, int] = {}
        self._also: dict[str, set[int | None]] = {}
        self._failing: set[tuple[str, int | None]] = set()
        self._refreshing = asyncio.Lock()

    async def refresh(self, now: datetime) -> None:
        """Publish what has changed or is half over. Has every revocation committed before the call.

        Raises what the ledger raises; what only one list suffers from is logged, once, and hides no other.
        """
        async with self._refreshing:
            authority = self._authority_source()
            known = {one.key_id for one in _all(authority)}
            self._held = {key: held for key, held in self._held.items() if key[0] in known}
            self._memories = {key: memory for key, memory in self._memories.items() if key[0] in known}
            for issuer in _all(authority):
                await self._refresh_one(authority, issuer, now)

    async def get(self, issuer_key_id: str, shard: int | None, now: datetime) -> CrlRecord | None:
        """The list to be served, None where there is none."""
        held = self._held.get((issuer_key_id, shard))
        if held is not None:
            return held
        authority = self._authority_source()
        issuer = next((one for one in _all(authority) if one.key_id == issuer_key_id), None)
        if issuer is None or shard in shards(authority, issuer):
            return None  # the latter: it could not be made
        if shard is not None and await authority.ledger.latest_crl(issuer_key_id, shard) is None:
            return None
        async with self._refreshing:
            self._also.setdefault(issuer_key_id, set()).add(shard)
            await self._publish(authority, issuer, shard, now)
        return self._held.get((issuer_key_id, shard))

    async def _refresh_one(self, authority: Authority, issuer: SigningAuthority, now: datetime) -> None:
        wanted = {*shards(authority, issuer), *self._also.get(issuer.key_id, ())}
        # One question for all shards, most of the time.
        mark = await authority.ledger.revocation_mark(issuer.key_id, None)
        changed = mark != self._marks.get(issuer.key_id)
        for shard in wanted:
            held = self._held.get((issuer.key_id, shard))
            due = held is None or not is_current(held, held.mark, now)
            if held is not None and changed and not due:
                due = held.mark < await authority.ledger.revocation_mark(issuer.key_id, shard)
            if due:
                await self._publish(authority, issuer, shard, now)
        self._marks[issuer.key_id] = mark

    async def _publish(self, authority: Authority, issuer: SigningAuthority, shard: int | None, now: datetime) -> None:
        key = (issuer.key_id, shard)
        try:
            record = await self._newest(authority, issuer, shard, now)
        except Refused as refused:
            if key not in self._failing:
                _log.warning("the revocation list of %s cannot be signed: %s", issuer.name, refused)
            self._failing.add(key)
            return
        self._failing.discard(key)
        if record is not None:
            self._held[key] = record

    async def _newest(
        self, authority: Authority, issuer: SigningAuthority, shard: int | None, now: datetime
    ) -> CrlRecord | None:
        if await authority.custody.public_key(issuer.name) is None:
            # A root that is kept elsewhere: what was signed there and brought here.
            return await authority.ledger.latest_crl(issuer.key_id, FULL if shard is None else shard)
        memory = self._memories.setdefault((issuer.key_id, shard), Memory())
        return await publish(authority, issuer, shard, now=now, memory=memory)


def _all(authority: Authority) -> tuple[SigningAuthority, ...]:
    return (*authority.hierarchy.anchors, *authority.hierarchy.issuers)
