"""What a check costs the database: the statements that run for every one of them, as a port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

STANDING = (
    "m.definition, s.token, s.due, s.state, s.since, s.last_at, s.last_latency, s.last_attempts, e.body, s.lease_until"
)
"""What a standing is made of: monitors as m, monitor_standings as s, monitor_evidence as e."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A row of a check that was made: what its monitor's standing becomes if ``token`` is still the newest. Times in
    microseconds since 1970, ``latency`` in microseconds."""

    name: str
    token: int
    due: int
    state: str
    since: int | None
    sha256: str
    at: int
    latency: int | None
    attempts: int


class HotPath(Protocol):
    """The statements of every check, in the words of one kind of database, for many monitors each.

    Leases are by the clock that all who share the database have: see the classes.
    """

    def claim(
        self, connection: sa.Connection, worker: str, now: int, lease: int, limit: int
    ) -> Sequence[Sequence[Any]]:
        """Lease what is due; rows of STANDING, in the order of their due times."""

    def release(self, connection: sa.Connection, claims: Sequence[tuple[str, int]]) -> None:
        """Give back names and tokens."""

    def known(self, connection: sa.Connection, digests: Sequence[str], used_since: int) -> dict[str, int]:
        """The numbers of the evidence that is there and was used since."""

    def keep(self, connection: sa.Connection, bodies: dict[str, str], at: int) -> dict[str, int]:
        """Add evidence, or say that it was used at ``at``; all their numbers."""

    def finish(self, connection: sa.Connection, rows: Sequence[Finished], evidence: dict[str, int]) -> dict[int, int]:
        """Write the standings; the place in ``rows`` of each whose claim held, and its monitor's number."""

    def append(self, connection: sa.Connection, entries: Sequence[tuple[int, int, bytes]]) -> None:
        """Add packed results: monitor, hour, octets."""

    def claim_deliveries(
        self, connection: sa.Connection, worker: str, now: int, lease: int, limit: int
    ) -> Sequence[Sequence[Any]]:
        """Lease alerts: rows of id, token, receiver, tries, body of the transition, in the order of their numbers."""

    def lock(self, connection: sa.Connection) -> None:
        """Let nobody else change what is watched until the transaction ends."""
