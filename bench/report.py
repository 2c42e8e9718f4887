"""The numbers as one table for people and one JSON object for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.rounds import Result, Spread
from bench.startup import Startup

HEADER = ("what", "median", "middle half", "target", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a value in its unit, and the target it has, if any: the most that it may be, or with ``least`` the
    least that it must be."""

    what: str
    spread: Spread
    unit: str
    target: float | None = None
    least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the target."""
        if self.target is None:
            return None
        return self.spread.median >= self.target if self.least else self.spread.median <= self.target

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        digits = {"us": 1, "s": 3, "x": 3, "/s": 0, "MB": 0}[self.unit]
        low, high = f"{self.spread.low:.{digits}f}", f"{self.spread.high:.{digits}f}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        bound = "at least " if self.least else ""
        target = "" if self.target is None else f"{bound}{self.target:g} {self.unit}"
        return (self.what, f"{self.spread.median:.{digits}f} {self.unit}", f"{low} - {high}", target, verdict)


def startup_rows(startup: Startup) -> list[Row]:
    """The waiting times, with the targets of the project."""
    return [
        Row("handclasp --help", Spread.of(startup.help), "s", 0.2),
        Row("up, already initialised, to the first request", Spread.of(startup.initialised), "s", 2.0),
        Row("up with CA creation, to the first request", Spread.of(startup.first_run), "s", 3.0),
    ]


def revocation_rows(found: Mapping[str, Any]) -> list[Row]:
    """How soon a revocation is seen, and how fast the responder answers."""
    build, fresh, ocsp = found["build"], found["fresh"], found["ocsp"]
    count = f"{build['entries']:,}"
    return [
        Row(f"a list of {count}, encoded, linted, signed, CPU", _one(build["prepare_cpu_seconds"]), "s"),
        Row("the same by cryptography's builder, CPU", _one(build["cryptography_builder_cpu_seconds"]), "s"),
        Row(f"a revocation is on the list of {count} over HTTP after", Spread.of(fresh["seconds"]), "s", 1.0),
        Row("OCSP answers from the cache, one process", _one(ocsp["answers_per_second"]), "/s", 2_000, least=True),
        Row("OCSP answers for a second of CPU", _one(ocsp["answers_per_cpu_second"]), "/s"),
    ]


def search_rows(found: Mapping[str, Any]) -> list[Row]:
    """Each kind of search, the slowest first."""
    slowest = sorted(found["ms"].items(), key=lambda one: -one[1])
    return [Row(f"search {found['count']:,}: {name}", _one(ms / 1000), "s", 0.05) for name, ms in slowest]


def _one(value: float) -> Spread:
    return Spread(value, value, value)


def load_rows(title: str, result: Result, baseline: str, limit: float) -> list[Row]:
    """CPU of each gateway, then the ratio of each of ours to the baseline; bare Envoy has none."""
    rows = [Row(f"{title}: {name}", result.cpu(name), "us") for name in result.samples]
    rows += [
        Row(f"{title}: {name} / {baseline}", result.ratio(name, baseline), "x", limit)
        for name in result.samples
        if name.startswith("Handclasp")
    ]
    return rows


def table(rows: Sequence[Row]) -> str:
    """All rows, aligned."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def as_json(rows: Sequence[Row], results: Mapping[str, Result], startup: Startup | None) -> dict[str, object]:
    """Everything that was measured, each sample included."""
    return {
        "rows": [{**asdict(row), "met": row.met} for row in rows],
        "startup": None if startup is None else asdict(startup),
        "loads": {
            title: {
                "load": asdict(result.load),
                "samples": {name: [asdict(sample) for sample in samples] for name, samples in result.samples.items()},
            }
            for title, result in results.items()
        },
    }
