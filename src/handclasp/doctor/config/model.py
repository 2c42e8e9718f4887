"""What a configuration says of mutual TLS, whatever the product: read by ``nginx``, ``apache``, ``haproxy``, ``envoy``
and ``caddy``, judged by ``judge``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from handclasp.doctor.diagnosis import Ailment, Place
from handclasp.doctor.sources import Source

Load = Callable[[str], Source]
"""Reads the file at an absolute path; never raises: what is wrong stands in ``Source.unreadable``."""


class Verify(StrEnum):
    """What a server does about client certificates."""

    NONE = "none"
    OPTIONAL = "optional"
    """Asked for, verified if one comes, and callers without one are served."""
    OPTIONAL_UNVERIFIED = "optional_unverified"
    """Asked for; whatever comes is taken (nginx: optional_no_ca; Caddy: request, require)."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Named:
    """A file that the configuration names; ``path`` is absolute, ``place`` where it is named. ``embedded`` is set where
    the configuration holds the octets itself."""

    path: str
    place: Place
    embedded: Source | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it stands."""

    value: str
    place: Place


@dataclass(frozen=True, slots=True)
class MutualServer:
    """One server (a server block, a bind line, a filter chain) that asks, or seems meant to ask, for client
    certificates.

    ``name`` is what a person knows it by (its listen address and host names). ``depth`` is the most intermediates
    between the client's certificate and a trusted authority; None: no limit that matters. ``protocols`` are the
    versions that are accepted (``TLSv1.2``), the product's defaults filled in; ``protocols_place`` is None there.
    ``resumes`` is the setting by which sessions are resumed, None where they are not; where it is the product's
    default, its value says so and its place is that of the server. ``identity_headers`` are the request headers
    that carry the caller's identity to what is behind, each with where it is set; ``ailments`` are what the
    product's own reader found.
    """

    product: str
    name: str
    place: Place
    verify: Setting
    verifies: Verify
    certificates: tuple[Named, ...] = ()
    keys: tuple[Named, ...] = ()
    trust: tuple[Named, ...] = ()
    crls: tuple[Named, ...] = ()
    depth: int | None = None
    depth_place: Place | None = None
    protocols: tuple[str, ...] = ()
    protocols_place: Place | None = None
    resumes: Setting | None = None
    identity_headers: tuple[Setting, ...] = ()
    ailments: tuple[Ailment, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of one configuration, with what it includes. ``ailments`` are faults of the files themselves
    (CONFIG_UNREADABLE, CONFIG_FILE_MISSING for an include, FILE_KEY_IN_CONFIG)."""

    product: str
    files: tuple[str, ...]
    servers: tuple[MutualServer, ...] = ()
    ailments: tuple[Ailment, ...] = field(default=())
