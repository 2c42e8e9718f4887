"""Peers measured in turn, A B C, A C B, C A B, ...: what disturbs the machine disturbs them alike, none is favoured by
its place in the order, and each round has its own ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

from bench.load import Caller, Load, Programs, Sample, measure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """One gateway and the caller that calls it."""

    name: str
    pid: int
    port: int
    caller: Caller


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the quartiles around it: half of the values lie between ``low`` and ``high``."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these values."""
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)


@dataclass(frozen=True, slots=True)
class Result:
    """One load on several gateways, round by round."""

    load: Load
    samples: Mapping[str, Sequence[Sample]]

    def cpu(self, name: str) -> Spread:
        """CPU for each request, in microseconds."""
        return Spread.of([sample.cpu_us for sample in self.samples[name]])

    def per_second(self, name: str) -> float:
        """The median of requests a second that the one thread of the load got out of it."""
        return median(sample.per_second for sample in self.samples[name])

    def ratio(self, name: str, to: str) -> Spread:
        """The CPU of one in terms of another's, of each round."""
        pairs = zip(self.samples[name], self.samples[to], strict=True)
        return Spread.of([one.cpu_us / other.cpu_us for one, other in pairs])


async def compare(programs: Programs, targets: Sequence[Target], load: Load, rounds: int) -> Result:
    """Warm each up, then measure them in turn."""
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    warm = Load(load.mode, load.tls, max(load.requests // 10, load.concurrency), load.concurrency, load.path)
    for target in targets:
        await measure(programs, target.pid, target.port, target.caller, warm)
    for number in range(rounds):
        for target in in_turn(targets, number):
            samples[target.name].append(await measure(programs, target.pid, target.port, target.caller, load))
    return Result(load, samples)


def in_turn(targets: Sequence[T], number: int) -> Sequence[T]:
    """Each round begins with another, and every second one goes backwards."""
    start = number // 2 % len(targets)
    rotated = [*targets[start:], *targets[:start]]
    return rotated if number % 2 == 0 else [rotated[0], *reversed(rotated[1:])]
