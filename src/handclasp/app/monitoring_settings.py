"""What is settled about monitoring as a whole, as values: where results go, what may be probed, how long is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from handclasp.app.endpoints import Listen
from handclasp.monitor.outputs.destination import BUILT_IN, CollectorAddress, Module, StatsdAddress
from handclasp.monitor.ports import Retention

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What /probe may examine (as ``AllowedTargets.parse`` reads it), and how."""

    targets: tuple[str, ...]
    modules: tuple[Module, ...] = BUILT_IN


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """Nothing is sent and nothing listens unless it is said. ``listen`` has an address always. ``jsonl`` is a file, or
    STANDARD_OUTPUT."""

    listen: Listen | None = None
    probe: ProbeSettings | None = None
    statsd: StatsdAddress | None = None
    otlp: CollectorAddress | None = None
    jsonl: Path | None = None
    retention: Retention = field(default_factory=Retention)
