"""OpenTelemetry: the metrics of ``prometheus.py`` by OTLP over HTTP, in its JSON encoding.

Opentelemetry-proto 1.x, ``ExportMetricsServiceRequest``: names of fields in lowerCamelCase, 64-bit integers as text.
Times are those of the export: what a gauge says holds then. Names are those of Prometheus, without ``_total``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from handclasp.monitor.outputs.exposition import Family, Histogram, Kind, Labels, Sample, label

SCOPE: Final = "handclasp.monitor"

_CUMULATIVE: Final = 2  # AGGREGATION_TEMPORALITY_CUMULATIVE
_MOST_POINTS: Final = 5_000
"""In one request: a collector takes 20 MB, and many take 4."""

Json = dict[str, Any]


def requests(families: Iterable[Family], now: datetime, started: datetime, resource: Mapping[str, str]) -> list[bytes]:
    """The bodies of as many requests as it takes. ``started`` is since when counters count."""
    bodies, metrics, points = [], [], 0
    for family in families:
        rest = list(family.samples)
        while rest:
            taken, rest = rest[: _MOST_POINTS - points], rest[_MOST_POINTS - points :]
            metrics.append(_metric(family, taken, _nanoseconds(now), _nanoseconds(started)))
            points += len(taken)
            if points >= _MOST_POINTS:
                bodies.append(_body(metrics, resource))
                metrics, points = [], 0
    if metrics:
        bodies.append(_body(metrics, resource))
    return bodies


def _body(metrics: list[Json], resource: Mapping[str, str]) -> bytes:
    scope = {"scope": {"name": SCOPE, "version": resource.get("service.version", "")}, "metrics": metrics}
    attributes = _attributes(tuple(resource.items()))
    request = {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [scope]}]}
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _metric(family: Family, samples: list[Sample], now: str, started: str) -> Json:
    metric: Json = {"name": family.name, "description": family.help}
    if family.name.endswith("_seconds"):
        metric["unit"] = "s"
    match family.kind:
        case Kind.COUNTER:
            points = [_number(one, now) | {"startTimeUnixNano": started} for one in samples]
            metric["sum"] = {"dataPoints": points, "aggregationTemporality": _CUMULATIVE, "isMonotonic": True}
        case Kind.HISTOGRAM:
            points = [_histogram(one, now, started) for one in samples]
            metric["histogram"] = {"dataPoints": points, "aggregationTemporality": _CUMULATIVE}
        case Kind.INFO:
            metric["name"] += "_info"
            metric["gauge"] = {"dataPoints": [_number(one, now) for one in samples]}
        case Kind.GAUGE:
            metric["gauge"] = {"dataPoints": [_number(one, now) for one in samples]}
    return metric


def _number(sample: Sample, now: str) -> Json:
    return {"attributes": _attributes(sample.labels), "timeUnixNano": now, "asDouble": sample.value}


def _histogram(sample: Sample, now: str, started: str) -> Json:
    found = sample.value
    assert isinstance(found, Histogram)
    return {
        "attributes": _attributes(sample.labels),
        "startTimeUnixNano": started,
        "timeUnixNano": now,
        "count": str(sum(found.counts)),
        "sum": found.sum,
        "bucketCounts": [str(count) for count in found.counts],
        "explicitBounds": list(found.bounds),
    }


def _attributes(labels: Labels) -> list[Json]:
    return [_attribute(name, value) for name, value in labels]


@lru_cache(maxsize=32_768)
def _attribute(name: str, value: str) -> Json:
    return {"key": name, "value": {"stringValue": label(value)}}


def _nanoseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1_000_000) * 1_000)
