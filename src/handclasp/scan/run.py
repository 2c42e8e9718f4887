"""The scan itself: targets go in one by one, records come out as they are made; nothing is kept in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509

from handclasp.probe.evidence import Attempt, Evidence
from handclasp.probe.examine import Examination, Options
from handclasp.probe.loop import Driver
from handclasp.probe.trust import Anchors, Judgement, Verifier
from handclasp.scan.lines import Rubbish
from handclasp.scan.records import Record, record
from handclasp.scan.tally import Tally
from handclasp.scan.wanted import Job

_BURST: Final = 0.02
"""Seconds' worth of connections that may be made at once where their rate is limited: the driver asks a hundred times a
second at least."""

_BREATH: Final = 500
"""Lines of rubbish after which the connections under way are looked after again."""


class Sink(Protocol):
    """Where the records go."""

    def write(self, told: Record) -> None:
        """Take one. Raises Refused (SCAN_UNUSABLE) where that fails."""

    def close(self) -> None:
        """There are no more; what was taken is in its place when this returns. Once, also after a failure."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How endpoints are examined: as ``options`` say; ``without_name`` without a server name in the hello, whomever the
    certificate must name; with ``anybody`` it may be anyone's. ``parameters`` is kept with every record. ``rate`` is
    the most new connections a second."""

    options: Options
    parameters: str
    without_name: bool = False
    anybody: bool = False
    rate: float | None = None


class Pace:
    """When the next connection may be made."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._free = now

    def taken(self, now: float) -> bool:
        """Take a place; False if there is none yet."""
        if self._rate is None:
            return True
        if now < self._free:
            return False
        self._free = max(self._free, now - _BURST) + 1 / self._rate
        return True


class Scan:
    """One scan. ``told`` hears of what was no target, ``tick`` is called often. ``run`` is called once."""

    def __init__(
        self,
        driver: Driver,
        verifier: Verifier,
        manner: Manner,
        sink: Sink,
        tally: Tally,
        *,
        now: Callable[[], datetime],
        told: Callable[[Rubbish], None],
        tick: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._verifier = verifier
        self._anybody = _Anybody(verifier)
        self._manner = manner
        self._sink = sink
        self._tally = tally
        self._now = now
        self._told = told
        self._tick = tick
        self._clock = clock
        self._open: dict[int, tuple[Attempt, Examination, bool]] = {}
        self._again: deque[Attempt] = deque()

    def run(self, jobs: Iterator[Job | Rubbish | None]) -> None:
        """Examine them all. What ends it early (an interrupt, a sink that fails) comes out of here, with the records
        that were made until then written."""
        self._driver.run(self._attempts(jobs), self._done)

    def _attempts(self, jobs: Iterator[Job | Rubbish | None]) -> Iterator[Attempt | None]:
        pace = Pace(self._manner.rate, self._clock())
        waiting: Attempt | None = None
        more = True
        while more or self._open:
            self._tick()
            if waiting is None and self._again:
                waiting = self._again.popleft()
            elif waiting is None and more:
                try:
                    job = next(jobs)
                except StopIteration:
                    more = False
                    self._tally.open_ended = 0
                    continue
                if isinstance(job, Rubbish):
                    self._told(job)
                    if self._tally.rubbish % _BREATH or not self._open:
                        continue
                elif job is not None:
                    waiting = self._first(job)
            if waiting is None or not pace.taken(self._clock()):
                yield None
                continue
            attempt, waiting = waiting, None
            self._tally.connections += 1
            yield attempt

    def _first(self, job: Job) -> Attempt:
        self._tally.begun += 1
        named = job.named and not self._manner.anybody
        verifier = self._verifier if named else self._anybody
        examination = Examination(job.target, self._manner.options, verifier, self._now())
        return self._opened(examination.first(), examination, named)

    def _opened(self, attempt: Attempt, examination: Examination, named: bool) -> Attempt:
        if self._manner.without_name:
            attempt = replace(attempt, offer=replace(attempt.offer, server_name=None))
        # The attempt is kept with it, so that its identity stays its own.
        self._open[id(attempt)] = (attempt, examination, named)
        return attempt

    def _done(self, attempt: Attempt, evidence: Evidence) -> None:
        _, examination, named = self._open.pop(id(attempt))
        following = examination.after(evidence)
        if following is not None:
            self._again.append(self._opened(following, examination, named))
            return
        report = examination.report()
        self._sink.write(record(report, self._manner.parameters, named=named))
        self._tally.count(report.code, reached=bool(report.chain))
        self._tick()


class _Anybody(Verifier):
    """The same verifier for whom a certificate may name whom it will: nobody has named the host."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def with_crls(self, crls: Iterable[x509.CertificateRevocationList]) -> Verifier:
        """The same, heeding these lists too."""
        return _Anybody(self._verifier.with_crls(crls))

    def with_anchors(self, anchors: Anchors) -> Verifier:
        """Another with these authorities alone."""
        return _Anybody(self._verifier.with_anchors(anchors))

    def judge(self, certificates: Sequence[bytes], name: str | None, at: datetime) -> Judgement:
        """As the other one does."""
        return self._verifier.judge(certificates, None, at)
