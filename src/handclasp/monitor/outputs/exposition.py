"""Metrics as values, and as text: the Prometheus text format 0.0.4 and OpenMetrics 1.0.

Label values come from certificates, that is from strangers: each is cut to ``LONGEST`` characters, and what does not
print is spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from math import inf, isinf, isnan
from typing import Final, NamedTuple

from handclasp.pki.described_text import printable

LONGEST: Final = 200
"""Characters of a label's value."""

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_REMEMBERED: Final = 32_768  # values of labels: each stands in twenty samples
_EXACT: Final = 2.0**53


class Kind(Enum):
    """What a family of samples is. INFO is a gauge that is always 1, whose labels are what it says."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts`` has one number for each of ``bounds`` (what is not above it, nor in the one before), and one for the
    rest."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One value. Names of labels are ours, their values anybody's."""

    labels: Labels
    value: float | Histogram


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name. ``name`` is without the suffix (_total, _info) that its kind has in the text."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


def gauge(name: str, help_: str, *values: tuple[Labels, float]) -> Family:
    """A family of gauges."""
    return Family(name, Kind.GAUGE, help_, [Sample(*one) for one in values])


def seconds(moment: datetime) -> float:
    """Seconds since 1970."""
    return moment.timestamp()


def media_type(accept: str) -> str:
    """What an Accept header asks for: OpenMetrics for those who name it, the text format for everybody else."""
    named = (part.split(";")[0].strip().lower() for part in accept.split(","))
    return OPENMETRICS if "application/openmetrics-text" in named else TEXT


def render(families: Iterable[Family], kind: str = TEXT) -> bytes:
    """The text, in UTF-8. Families without samples are left out."""
    openmetrics = kind == OPENMETRICS
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += _head(family, openmetrics)
            name = _sample_name(family)
            for labels, value in family.samples:
                if isinstance(value, Histogram):
                    lines += _histogram(name, labels, value)
                else:
                    lines.append(f"{name}{_labels(labels)} {number(value)}\n")
    if openmetrics:
        lines.append("# EOF\n")
    return "".join(lines).encode()


@lru_cache(maxsize=_REMEMBERED)
def label(text: str) -> str:
    """A label's value: short and printable, whatever a stranger wrote."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 3]}..."
    return text if text.isprintable() else printable(text)


def _head(family: Family, openmetrics: bool) -> tuple[str, str]:
    name, kind = family.name, family.kind.value
    if not openmetrics:
        name = _sample_name(family)
        kind = "gauge" if family.kind is Kind.INFO else kind
    told = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {told}\n", f"# TYPE {name} {kind}\n"


def _sample_name(family: Family) -> str:
    if family.kind is Kind.COUNTER:
        return f"{family.name}_total"
    return f"{family.name}_info" if family.kind is Kind.INFO else family.name


def _histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    count = 0
    for bound, part in zip((*histogram.bounds, inf), histogram.counts, strict=True):
        count += part
        yield f"{name}_bucket{_labels((*labels, ('le', _bound(bound))))} {count}\n"
    yield f"{name}_sum{_labels(labels)} {number(histogram.sum)}\n"
    yield f"{name}_count{_labels(labels)} {count}\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels]) + "}"


@lru_cache(maxsize=_REMEMBERED)
def _escaped(value: str) -> str:
    text = label(value)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return text


def number(value: float) -> str:
    """A value as both formats read it."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < _EXACT else repr(float(value))


def _bound(value: float) -> str:
    return "+Inf" if isinf(value) else repr(float(value))
