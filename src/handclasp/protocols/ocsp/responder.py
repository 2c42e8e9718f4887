"""The OCSP responder: looks up, signs, and remembers answers that may serve many."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from handclasp.authority.issue import Authority
from handclasp.authority.lineage import Hierarchy, SigningAuthority
from handclasp.authority.ocsp import Response, Signer, make_signer, respond, status
from handclasp.authority.ports import SerialInUse
from handclasp.findings import Refused
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.ocsp import Answer, Failure, Unknown, failure
from handclasp.protocols.ocsp.machine import Issuers, issuers_of, question

CACHED = 10_000
"""How many answers are remembered, of about a kilobyte each, by the octets of the request."""

# A request for one certificate has about 80 octets; who sends more is not helped to fill the memory.
_LARGEST_KEPT = 256

# Each attempt leaves a record of what was meant in the ledger.
_RETRY = timedelta(minutes=1)

_log = logging.getLogger("handclasp.ocsp")


@dataclass(frozen=True, slots=True)
class Reply:
    """The octets of an OCSP response. ``response`` is set where the same may be given to everybody who asks."""

    der: bytes
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A remembered answer, until when it is given, who signed it, and the revocation mark before it was looked up."""

    reply: Reply
    until: datetime
    signer: Signer
    mark: int


class Responder:
    """Answers for all authorities of the hierarchy; ``refresh`` must be called first, and often.

    What is remembered is given out until half of its time is over, or its authority's revocation mark has grown. What
    was never issued is not remembered: strangers cannot fill the memory with serial numbers that they made up.
    """

    def __init__(
        self, authority_source: Callable[[], Authority], *, serial: Callable[[], int], cached: int = CACHED
    ) -> None:
        self._most = cached
        self._authority_source = authority_source
        self._serial = serial
        self._cache: OrderedDict[bytes, _Kept] = OrderedDict()
        self._marks: dict[str, int] = {}
        self._signers: dict[str, Signer] = {}
        self._hierarchy: Hierarchy | None = None
        self._issuers: Issuers = {}
        self._failed: dict[str, datetime] = {}
        self._refreshing = asyncio.Lock()

    @property
    def remembered(self) -> int:
        """How many answers are in memory now."""
        return len(self._cache)

    async def refresh(self, now: datetime) -> None:
        """See what was revoked, and make the signers that are missing or due. Raises what the ledger raises."""
        async with self._refreshing:
            authority = self._authority_source()
            known = {issuer.key_id for issuer in authority.hierarchy.issuers}
            self._signers = {key_id: signer for key_id, signer in self._signers.items() if key_id in known}
            for issuer in authority.hierarchy.issuers:
                self._marks[issuer.key_id] = await authority.ledger.revocation_mark(issuer.key_id, None)
                signer = self._signers.get(issuer.key_id)
                if (signer is None or signer.is_due(now)) and self._may_try(issuer.key_id, now):
                    await self._renew(authority, issuer, now)

    async def _renew(self, authority: Authority, issuer: SigningAuthority, now: datetime) -> None:
        try:
            key = generate(KeyType.EC_P256)
            signer = await make_signer(authority, issuer, key, now=now, serial=self._serial())
        except (Refused, SerialInUse) as error:
            self._failed[issuer.key_id] = now
            _log.warning("no OCSP signer was certified by %s: %s", issuer.name, error)
        else:
            self._signers[issuer.key_id] = signer
            self._failed.pop(issuer.key_id, None)

    def _may_try(self, key_id: str, now: datetime) -> bool:
        failed = self._failed.get(key_id)
        return failed is None or not failed <= now < failed + _RETRY

    async def reply(self, data: bytes, *, now: datetime) -> Reply:
        """The answer to a request, whatever it is. Raises what the ledger raises."""
        kept = self._cache.get(data)
        if kept is not None and self._is_current(kept, now):
            self._cache.move_to_end(data)
            return kept.reply
        authority = self._authority_source()
        if authority.hierarchy is not self._hierarchy:
            self._hierarchy, self._issuers = authority.hierarchy, issuers_of(authority.hierarchy.issuers)
        asked = question(data, self._issuers)
        if isinstance(asked, Failure):
            return Reply(failure(asked))
        signer = self._signers.get(asked.issuer_key_id)
        if signer is None or not signer.can_sign(now):
            return Reply(failure(Failure.TRY_LATER))
        # Read before the look-up: what is revoked in between makes the answer stale at once.
        mark = self._marks[asked.issuer_key_id]
        answers = [
            Answer(one, await status(authority, asked.issuer_key_id, one.serial)) for one in asked.request.certificates
        ]
        response = respond(signer, answers, asked.request.nonce, now=now)
        if not asked.may_be_shared:
            return Reply(response.der)
        reply = Reply(response.der, response)
        if len(data) <= _LARGEST_KEPT and not isinstance(answers[0].status, Unknown):
            until = response.this_update + (response.next_update - response.this_update) / 2
            self._remember(data, _Kept(reply, until, signer, mark))
        return reply

    def _is_current(self, kept: _Kept, now: datetime) -> bool:
        response, key_id = kept.reply.response, kept.signer.issuer_key_id
        assert response is not None
        return (
            self._marks.get(key_id) == kept.mark
            and self._signers.get(key_id) is kept.signer
            and response.this_update <= now < kept.until
        )

    def _remember(self, data: bytes, kept: _Kept) -> None:
        self._cache[data] = kept
        self._cache.move_to_end(data)
        if len(self._cache) > self._most:
            self._cache.popitem(last=False)
