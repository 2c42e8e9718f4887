"""What each step of our pipeline costs in CPU: each run by itself, for many certificates, on a real ledger.

What runs in the event loop's thread is timed by ``thread_time``. Writing is timed by ``process_time``, so that the
thread that writes is in it, with ``CONCURRENCY`` writes at once, as in the whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.issuance_ours import PRINCIPAL, PROFILE, settled
from bench.issuance_peers import CONCURRENCY, Csr
from handclasp.app import ambient
from handclasp.authority import pipeline, policy
from handclasp.authority.issue import Authority
from handclasp.authority.pipeline import Intent
from handclasp.authority.records import CertificateRecord, Event
from handclasp.pki import request
from handclasp.pki.issue import Prepared, assemble, prepare, subject_for
from handclasp.pki.keys import spki
from handclasp.pki.lint import lint
from handclasp.pki.names import Names
from handclasp.pki.request import Request
from handclasp.pki.wishes import granted
from handclasp.store.database import Database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

PARSE, POLICY, BUILD, LINT = "parse the CSR, verify its signature", "names and policy", "build (null signer)", "lint"
INTENT, SIGN, ASSEMBLE = "record the intent and its event", "sign", "assemble, verify the signature"
ISSUED, LATER = "record the certificate and its event", "indexes for searches, when idle"
STEPS = (PARSE, POLICY, BUILD, LINT, INTENT, SIGN, ASSEMBLE, ISSUED, LATER)

Steps = dict[str, float]
"""CPU of each step for one certificate, in microseconds."""


async def measure_steps(authority: Authority, database: Database, csrs: Sequence[Csr]) -> Steps:
    """All steps, one after the other, for these requests; the certificates are issued."""
    steps = dict.fromkeys(STEPS, 0.0)
    signer, held = authority.hierarchy.signer(PROFILE), _Held(database)

    @contextmanager
    def timed(step: str, clock: Callable[[], float] = time.thread_time) -> Iterator[None]:
        before = clock()
        yield
        steps[step] += (clock() - before) / len(csrs) * 1e6

    def prepared(asked: Request, names: Names) -> Prepared:
        assert names.spiffe_id is not None
        return prepare(
            PROFILE,
            subject=subject_for(names.spiffe_id),
            names=names,
            public_key=asked.public_key,
            issuer=signer.certificate,
            serial=ambient.new_serial(),
            now=ambient.now(),
        )

    with timed(PARSE):
        asked = [request.parse(pem) for _, pem in csrs]
    with timed(POLICY):
        names = [granted(PROFILE, one.wishes) for one in asked]
        for wanted in names:
            policy.check(wanted, PROFILE, PRINCIPAL, authority.hierarchy.trust_domain)
    with timed(BUILD):
        ready = [prepared(*one) for one in zip(asked, names, strict=True)]
    with timed(INTENT):
        intents = [
            await _intend(held, one, wanted, signer.key_id, signer.name, unsigned)
            for one, wanted, unsigned in zip(asked, names, ready, strict=True)
        ]
    with timed(SIGN):
        signatures = {one.tbs: await authority.custody.sign(signer.name, one.tbs) for one in ready}
    with timed(ASSEMBLE):
        certificates = [assemble(one, signatures[one.tbs]) for one in ready]
    meant = [(one.key_type, spki(one.public_key)) for one in asked]
    with timed(LINT):
        for certificate, key in zip(certificates, meant, strict=True):
            assert not lint(certificate, PROFILE, signer.certificate, key)
    steps[BUILD] -= steps[LINT]
    with timed(ISSUED):
        for intent in intents:
            await pipeline.complete(held, _Signed(signatures), intent, now=ambient.now())
    steps[ISSUED] -= steps[ASSEMBLE]
    with timed(INTENT, time.process_time):
        await _all(lambda one: authority.ledger.record_intent(*one), held.intents)
    with timed(ISSUED, time.process_time):
        await _all(lambda one: authority.ledger.record_issued(*one), held.issued)
    with timed(LATER, time.process_time):
        await settled()
    return steps


async def _intend(
    held: _Held, asked: Request, names: Names, issuer_key_id: str, key_name: str, unsigned: Prepared
) -> Intent:
    assert names.spiffe_id is not None
    return await pipeline.intend(
        held,
        unsigned,
        issuer_key_id=issuer_key_id,
        key_name=key_name,
        identity=str(names.spiffe_id),
        names=names,
        subject=subject_for(names.spiffe_id),
        public_key=asked.public_key,
        principal=PRINCIPAL,
        now=ambient.now(),
    )


Written = tuple[CertificateRecord, Event]


async def _all(write: Callable[[Written], Awaitable[None]], records: Sequence[Written]) -> None:
    waiting: Iterator[Written] = iter(records)

    async def work() -> None:
        for record in waiting:
            await write(record)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


class _Held(SqlLedger):
    """Keeps what is to be written, and does not write it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.intents: list[Written] = []
        self.issued: list[Written] = []

    async def record_intent(self, record: CertificateRecord, event: Event) -> None:
        self.intents.append((record, event))

    async def record_issued(self, record: CertificateRecord, event: Event) -> None:
        self.issued.append((record, event))


class _Signed(KeyFiles):
    """Has the signatures already."""

    def __init__(self, signatures: dict[bytes, bytes]) -> None:
        super().__init__(Path())
        self._signatures = signatures

    async def sign(self, name: str, tbs: bytes) -> bytes:
        return self._signatures[tbs]
