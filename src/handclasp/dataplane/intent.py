"""What the data plane shall do, in our own words: the input of the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

from handclasp.access.policy import Policy
from handclasp.pki.spiffe import TrustDomain

Fingerprint256 = NewType("Fingerprint256", str)
"""SHA-256 of a DER certificate, 64 lower-case hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The API behind a service. ``roots`` (PEM) verifies it, and is given if and only if the scheme is https."""

    scheme: Literal["http", "https", "h2c"]
    host: str
    port: int
    roots: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One API: where it is served, for which host names, who may call what, and what stands behind it.

    ``both_families``: the address ``::`` stands for IPv4 too.
    """

    name: str
    address: str
    port: int
    hosts: tuple[str, ...]
    upstream: Upstream
    policy: Policy
    explain: bool = False
    both_families: bool = False


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain (leaf first, without the root) and its key, both PEM."""

    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Intent:
    """Everything the gateway needs to know at one moment.

    ``client_authorities`` are the CA certificates (PEM) that issue callers' certificates: the issuing ones and not
    the root, so that a caller may send its leaf alone and no other branch of the hierarchy is let in.
    ``crl`` (PEM) is theirs. ``revoked`` reaches connections that were open when a certificate was revoked (D20).
    """

    trust_domain: TrustDomain
    services: tuple[Service, ...]
    certificates: Mapping[str, KeyPair]
    client_authorities: str
    crl: str
    revoked: frozenset[Fingerprint256] = frozenset()
