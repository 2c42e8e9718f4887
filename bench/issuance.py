"""How fast certificates are issued: ours, the bare loop of ``cryptography``, and the peers, in turn, round by round.

Ours is ``authority.issue`` in this process, 32 at once: CSR in, certificate out, the certificate and its audit events
in a SQLite file with synchronous=FULL. What the ledger puts off to idle moments (indexes for searches) is waited for
after each round and its CPU is counted, but it is not in the rate.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from bench.issuance_ours import Bare, establish_in, ours, requests
from bench.issuance_peers import PEERS, Csr, Peer, Sample, Stopped, measure
from bench.issuance_steps import STEPS, Steps, measure_steps
from bench.load import Unavailable
from bench.report import Row
from bench.rounds import Spread, in_turn
from handclasp.store import database
from handclasp.store.schema import certificates

ROUNDS = 9
_OURS, _BARE = "Handclasp", "bare loop"
_COUNT = {_OURS: 1_000, _BARE: 1_000, "cfssl": 300, "Pebble": 96, "Caddy": 64}  # about half a second each
_WARM, _STEPS = 32, 300
_SYNCS = 100
_BUDGET_SECONDS = 90.0  # on a machine that is too slow or too busy there are fewer rounds
_LEAST_PER_SECOND, _LEAST_OF_BARE = 1_000.0, 0.2

Run = Callable[[Sequence[Csr]], Awaitable[Sample]]


@dataclass(frozen=True, slots=True)
class Issuance:
    """What was measured, round by round; ``skipped`` says of a peer why it was not. The ledger was on ``filesystem``,
    which can do so many fdatasync a second, and has so many bytes for each certificate."""

    samples: Mapping[str, Sequence[Sample]]
    steps: Sequence[Steps]
    skipped: Mapping[str, str]
    filesystem: str
    syncs_per_second: float
    bytes_each: float

    def rows(self) -> list[Row]:
        """As lines of the table."""
        return [*self._rates(), *self._cpu()]

    def notes(self) -> list[str]:
        """What the table does not say."""
        return [
            f"{len(self.steps)} rounds of issuing. The ledger was on {self.filesystem} with "
            f"{self.syncs_per_second:.0f} fdatasync a second; it has {self.bytes_each:.0f} bytes for each certificate.",
            *(f"{name} was not measured, or not to the end: {why}." for name, why in self.skipped.items()),
        ]

    def as_json(self) -> dict[str, object]:
        """Each sample."""
        return asdict(self)

    def _rates(self) -> list[Row]:
        targets = {_OURS: _LEAST_PER_SECOND}
        rows = [
            Row(f"issue: {name}", Spread.of([one.per_second for one in samples]), "/s", targets.get(name), least=True)
            for name, samples in self.samples.items()
        ]
        pairs = zip(self.samples[_OURS], self.samples[_BARE], strict=True)
        ratio = Spread.of([one.per_second / other.per_second for one, other in pairs])
        return [*rows, Row(f"issue: {_OURS} / {_BARE}", ratio, "x", _LEAST_OF_BARE, least=True)]

    def _cpu(self) -> list[Row]:
        rows = [
            Row(f"issue, CPU: {name}", Spread.of([one.cpu_us for one in samples]), "us")
            for name, samples in self.samples.items()
        ]
        rows += [Row(f"  {_OURS}: {step}", Spread.of([one[step] for one in self.steps]), "us") for step in STEPS]
        pairs = zip(self.samples[_OURS], self.steps, strict=True)
        rest = Spread.of([whole.cpu_us - sum(steps.values()) for whole, steps in pairs])
        return [*rows, Row(f"  {_OURS}: the rest (event loop, threads)", rest, "us")]


async def run(where: Path, rounds: int) -> Issuance:
    """All of it, with everybody's files in a directory made in ``where``, which must be on a real disk."""
    samples: dict[str, list[Sample]] = {}
    steps: list[Steps] = []
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="handclasp-bench-", dir=where)))
        syncs = _syncs_per_second(directory)
        ledger = directory / _OURS / "ledger.db"
        opened = stack.enter_context(database.open(ledger))
        authority = await establish_in(ledger.parent, opened)
        peers, skipped = await _start_peers(stack, directory)
        runs: dict[str, Run] = {_OURS: partial(ours, authority), _BARE: (await Bare.like(authority)).loop}
        runs |= {name: partial(measure, peer) for name, peer in peers.items()}
        for name in list(runs):
            samples[name] = []
            try:
                await runs[name](_csrs(name, _WARM, peers))
            except Stopped as stopped:
                skipped[name] = str(stopped)
                del runs[name]
        began = time.monotonic()
        for number in range(rounds):
            if number > 1 and time.monotonic() - began > _BUDGET_SECONDS:
                break
            for name in in_turn(list(runs), number):
                try:
                    samples[name].append(await runs[name](_csrs(name, _COUNT[name], peers)))
                except Stopped as stopped:
                    skipped[name] = f"{stopped}, in round {number + 1}"
                    del runs[name]
            steps.append(await measure_steps(authority, opened, _csrs(_OURS, _STEPS, peers)))
        each = await _bytes_each(ledger, opened)
    measured = {name: taken for name, taken in samples.items() if len(taken) > 1}
    return Issuance(measured, steps, skipped, _filesystem(where), syncs, each)


async def _start_peers(stack: AsyncExitStack, directory: Path) -> tuple[dict[str, Peer], dict[str, str]]:
    peers, skipped = {}, {}
    for name, started in PEERS.items():
        own = directory / name
        own.mkdir()
        try:
            peers[name] = await stack.enter_async_context(started(own))
        except Unavailable as missing:
            skipped[name] = str(missing)
    return peers, skipped


def _csrs(name: str, count: int, peers: Mapping[str, Peer]) -> list[Csr]:
    """Made before the clock starts, with names that nobody had before."""
    global _made
    _made += count
    numbers = range(_made - count, _made)
    if name not in peers:
        return requests([f"workloads/n{number}" for number in numbers], spiffe=True)
    return requests([peers[name].fixed_name or f"n{number}.bench.internal" for number in numbers])


_made = 0


async def _bytes_each(ledger: Path, opened: database.Database) -> float:
    count = await opened.read(
        lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(certificates))
    )
    return sum(file.stat().st_size for file in ledger.parent.glob(f"{ledger.name}*")) / (count or 1)


def _syncs_per_second(directory: Path) -> float:
    """What the disk allows to one who waits for each: 4 kB appended, then fdatasync."""
    file = os.open(directory / "syncs", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        began = time.perf_counter()
        for _ in range(_SYNCS):
            os.write(file, bytes(4096))
            os.fdatasync(file)
        return _SYNCS / (time.perf_counter() - began)
    finally:
        os.close(file)


def _filesystem(where: Path) -> str:
    """The kind of the file system that the directory is on: the mount with the longest path above it."""
    directory = str(where.resolve())
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(mount, kind) for mount, kind in mounts if f"{directory}/".startswith(f"{mount.rstrip('/')}/")]
    return max(above, key=lambda pair: len(pair[0]))[1]
