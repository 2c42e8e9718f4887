"""How many endpoints can be probed for a second of CPU: ours, blackbox_exporter and a loop on pyOpenSSL, in turn, round
by round, against the same HAProxy; and a scan of 10,000 targets that are 200 ms away."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load import Unavailable, gateways_cpu, on_cpu
from bench.probing_peers import Probe, Sample, blackbox, driven_from_elsewhere, install_pyopenssl, ours, pyopenssl
from bench.probing_servers import NAME, Farm, farm, haproxy, slow_link
from bench.report import Row
from bench.rounds import Spread, in_turn

ROUNDS = 9
_OURS, _PYOPENSSL, _BLACKBOX, _UNVERIFIED = (
    "Handclasp",
    "pyOpenSSL, asyncio",
    "blackbox_exporter",
    "blackbox_exporter, chain not verified",
)
_COUNT = {_OURS: 1_500, _PYOPENSSL: 800, _BLACKBOX: 500, _UNVERIFIED: 500}  # about a second each
_WARM = 200
_CHAINS = 1_000
_LEAST_TO_BLACKBOX, _LEAST_TO_PYOPENSSL = 4.0, 2.5
_SCANNED, _ROUND_TRIP_MS = 10_000, 200
_SCAN_SECONDS, _SCAN_MEGABYTES = 20.0, 150.0
_SCANS = 3
_BUSY_SECONDS = 120.0

Start = Callable[[], AbstractAsyncContextManager[Probe]]


@dataclass(frozen=True, slots=True)
class Scan:
    """One run of `handclasp scan` over the slow link: ``rss`` is the most that it had, in megabytes."""

    seconds: float
    cpu_us: float
    rss: float
    codes: Mapping[str, int]
    said: str


@dataclass(frozen=True, slots=True)
class Probing:
    """What was measured. ``one`` is with one chain everywhere, ``many`` with another one for each target; ``scans`` by
    how many different chains the targets had. ``skipped`` says why something was not."""

    one: Mapping[str, Sequence[Sample]]
    many: Mapping[str, Sequence[Sample]]
    scans: Mapping[str, Sequence[Scan]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """As lines of the table."""
        rows = []
        for title, samples in (("one chain", self.one), (f"{_CHAINS:,} chains", self.many)):
            rows += [
                Row(f"probe, {title}: {name}", Spread.of([1e6 / one.cpu_us for one in taken]), "/s")
                for name, taken in samples.items()
            ]
            rows += [
                Row(f"probe, {title}: {_OURS} / {name}", _ratio(samples[_OURS], taken), "x", _least(title, name), True)
                for name, taken in samples.items()
                if name != _OURS
            ]
        for title, scans in self.scans.items():
            what = f"scan, {_SCANNED:,} targets {_ROUND_TRIP_MS} ms away, {title}"
            rows.append(Row(what, Spread.of([one.seconds for one in scans]), "s", _SCAN_SECONDS))
            rows.append(Row(f"{what}: memory", Spread.of([one.rss for one in scans]), "MB", _SCAN_MEGABYTES))
            rows.append(Row(f"{what}: CPU each", Spread.of([one.cpu_us for one in scans]), "us"))
        return rows

    def notes(self) -> list[str]:
        """What the table does not say."""
        told = [f"{len(next(iter(self.one.values())))} rounds of probing; rates are for a second of the prober's CPU."]
        told += [f"{name} was not measured: {why}." for name, why in self.skipped.items()]
        told += [
            f"scan, {title}: {', '.join(f'{code} {count:,}' for code, count in scans[0].codes.items())}"
            for title, scans in self.scans.items()
        ]
        return told

    def as_json(self) -> dict[str, object]:
        """Each sample."""
        return asdict(self)


async def run(where: Path, rounds: int) -> Probing:
    """All of it, with everybody's files in a directory made in ``where``."""
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="handclasp-bench-", dir=where) as made:
        certificates = farm(Path(made) / "farm", _CHAINS)
        with haproxy(certificates) as port:
            one = await _one_chain(certificates, port, where, rounds, skipped)
            many = await _many_chains(certificates, port, where, rounds, skipped)
        scans = _scans(certificates, Path(made), skipped)
    return Probing(one, many, scans, skipped)


async def _one_chain(
    certificates: Farm, port: int, where: Path, rounds: int, skipped: dict[str, str]
) -> dict[str, list[Sample]]:
    async with AsyncExitStack() as stack:
        probers: dict[str, Probe] = {_OURS: await stack.enter_async_context(ours(certificates, port))}
        peers: Mapping[str, Start] = {
            _PYOPENSSL: lambda: pyopenssl(certificates, port, install_pyopenssl(where)),
            _BLACKBOX: lambda: blackbox(certificates, port, "verified"),
            _UNVERIFIED: lambda: blackbox(certificates, port, "unverified"),
        }
        for name, started in peers.items():
            try:
                probers[name] = await stack.enter_async_context(started())
            except Unavailable as missing:
                skipped[name] = str(missing)
        samples: dict[str, list[Sample]] = {name: [] for name in probers}
        stack.enter_context(driven_from_elsewhere())
        for probe in probers.values():
            await probe(_WARM, (NAME,))
        began = time.monotonic()
        for number in range(rounds):
            if number > 2 and time.monotonic() - began > _BUSY_SECONDS:
                break
            for name in in_turn(list(probers), number):
                samples[name].append(await probers[name](_COUNT[name], (NAME,)))
    return samples


async def _many_chains(
    certificates: Farm, port: int, where: Path, rounds: int, skipped: Mapping[str, str]
) -> dict[str, list[Sample]]:
    """Every chain for the first time: a process for each round. blackbox_exporter keeps nothing, so its figure is that
    of one chain."""
    starts: dict[str, Start] = {_OURS: lambda: ours(certificates, port)}
    if _PYOPENSSL not in skipped:
        starts[_PYOPENSSL] = lambda: pyopenssl(certificates, port, install_pyopenssl(where))
    samples: dict[str, list[Sample]] = {name: [] for name in starts}
    for number in range(max(3, rounds // 2)):
        for name in in_turn(list(starts), number):
            async with starts[name]() as probe:
                await probe(_WARM, (NAME,))
                samples[name].append(await probe(_CHAINS, certificates.names))
    return samples


def _scans(certificates: Farm, directory: Path, skipped: dict[str, str]) -> dict[str, list[Scan]]:
    scans: dict[str, list[Scan]] = {}
    addresses = [f"198.19.{number // 250}.{number % 250 + 1}" for number in range(_SCANNED)]
    targets = directory / "targets.txt"
    try:
        with slow_link(_ROUND_TRIP_MS) as link:
            with haproxy(certificates, inside=link.server, address="0.0.0.0") as port:
                targets.write_text("".join(f"{address}:{port}\n" for address in addresses))
                same = [*link.client, *_handclasp(certificates), "--sni", NAME]
                scans["one chain"] = [_scan(same, targets, directory) for _ in range(_SCANS)]
            own = farm(directory / "own", _SCANNED)
            with haproxy(own, inside=link.server, addresses=addresses) as port:
                targets.write_text("".join(f"{address}:{port}\n" for address in addresses))
                each = [*link.client, *_handclasp(own), "--any-name"]
                scans["each its own chain"] = [_scan(each, targets, directory) for _ in range(_SCANS)]
    except Unavailable as missing:
        skipped["a scan of targets that are far away"] = str(missing)
    return scans


def _handclasp(certificates: Farm) -> list[str]:
    """`handclasp scan`, as a person calls it."""
    program = shutil.which("handclasp", path=str(Path(sys.executable).parent)) or "handclasp"
    return [program, "scan", "--cacert", str(certificates.roots)]


def _scan(command: Sequence[str], targets: Path, directory: Path) -> Scan:
    """Results go into a file."""
    output = directory / "results.jsonl"
    words = [*command, "--file", str(targets), "--output", str(output), "--overwrite"]
    with on_cpu(gateways_cpu()), (directory / "scan.out").open("wb+") as said:
        began = time.perf_counter()
        both = [(os.POSIX_SPAWN_DUP2, said.fileno(), number) for number in (1, 2)]
        pid = os.posix_spawnp(words[0], words, os.environ, file_actions=both)
        _, status, used = os.wait4(pid, 0)
        seconds = time.perf_counter() - began
        said.seek(0)
        text = said.read().decode(errors="replace")[-500:]
    if not output.exists():
        raise RuntimeError(f"the scan failed ({status}): {text}")
    codes = Counter(json.loads(line)["code"] for line in output.read_text().splitlines())
    if sum(codes.values()) != _SCANNED:
        raise RuntimeError(f"the scan has {sum(codes.values())} results: {text}")
    return Scan(seconds, (used.ru_utime + used.ru_stime) * 1e6 / _SCANNED, used.ru_maxrss / 1024, dict(codes), text)


def _ratio(mine: Sequence[Sample], theirs: Sequence[Sample]) -> Spread:
    """How many times as many probes for the same CPU, of each round."""
    return Spread.of([other.cpu_us / one.cpu_us for one, other in zip(mine, theirs, strict=True)])


def _least(title: str, name: str) -> float | None:
    """The targets are those of one chain."""
    if title != "one chain":
        return None
    return {_PYOPENSSL: _LEAST_TO_PYOPENSSL, _BLACKBOX: _LEAST_TO_BLACKBOX}.get(name)
