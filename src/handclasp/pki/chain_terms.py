"""What the path verifier is asked and what it may spend: purposes, rules, limits; and what it notes on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from handclasp.findings import Code
from handclasp.pki.spiffe import SpiffeID

ANY_POLICY = "2.5.29.32.0"  # anyPolicy, RFC 5280 §4.2.1.4

ExpectedName = str | IPv4Address | IPv6Address | SpiffeID
"""Whom the leaf must name: a host name (text, an A-label where it is not ASCII), an address, or a SPIFFE ID."""


class Purpose(StrEnum):
    """What the leaf is used for. ANY asks nothing of its key usages and names (RFC 5280 §6 alone)."""

    CLIENT = "client"
    SERVER = "server"
    ANY = "any"


class Rules(StrEnum):
    """How much is demanded of each certificate and revocation list.

    PROFILE holds them to the profile of RFC 5280 §4 and §5, its duties of issuers too, and to keys and
    hashes that are not weak. PATH demands path validation alone (§6); the rest becomes remarks.
    """

    PROFILE = "profile"
    PATH = "path"


class Revocation(StrEnum):
    """IGNORE looks at no list, GIVEN heeds the lists there are, REQUIRED wants a good one for each certificate."""

    IGNORE = "ignore"
    GIVEN = "given"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class PolicyDemand:
    """The policy inputs of RFC 5280 §6.1.1 (c), (e), (f) and (g); policies are dotted object identifiers."""

    accepted: frozenset[str] = frozenset({ANY_POLICY})
    explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one examination may spend, so that it always ends; beyond it is CHAIN_TOO_COMPLEX.

    ``depth`` is the number of intermediates, those issued by themselves not counted (as path lengths are),
    ``certificates`` and ``octets`` what the peer may send, ``steps`` certificates tried as the next of a path,
    ``paths`` complete paths judged, ``comparisons`` those of names with name constraints and distribution
    points, ``policies`` nodes of the policy graph.
    """

    depth: int = 8
    certificates: int = 200
    octets: int = 1 << 20
    signatures: int = 200
    steps: int = 1_000
    paths: int = 32
    comparisons: int = 100_000
    policies: int = 10_000

    @property
    def longest(self) -> int:
        """Certificates in the longest path that is looked at, even if only to say that it is too long."""
        return min(2 * self.depth + 4, 32)


class TooComplex(Exception):
    """The work allowed is used up; ``what`` is the limit that was met."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"more than {limit} {what}")
        self.what = what
        self.limit = limit


class Work:
    """The meter of one examination."""

    def __init__(self, limits: Limits) -> None:
        self._left = {
            "signatures": limits.signatures,
            "steps": limits.steps,
            "paths": limits.paths,
            "comparisons": limits.comparisons,
            "policies": limits.policies,
        }
        self._limits = limits

    def spend(self, what: str, amount: int = 1) -> None:
        """Counts; raises TooComplex where more is spent than there is."""
        self._left[what] -= amount
        if self._left[what] < 0:
            raise TooComplex(what, getattr(self._limits, what))


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding before it is known where in a path its certificate stands."""

    code: Code
    field: str
    what: str
    section: str
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """All that one examination is asked, beside the certificates."""

    at: datetime
    purpose: Purpose
    name: ExpectedName | None
    rules: Rules
    revocation: Revocation
    policies: PolicyDemand
    limits: Limits
