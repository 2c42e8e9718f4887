"""The words in which advice is written down: what to do, and the part of a product that it concerns.

Texts hold tokens such as ``{cert}``, which ``values.fill`` replaces. Everything here is data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from handclasp.doctor.diagnosis import Side


class Setting(StrEnum):
    """What a server can be told, whatever its product."""

    TRUST = "trust"
    """By which authorities it judges its clients."""
    NAMES = "names"
    """Which authorities it names when it asks for a certificate."""
    CERTIFICATE = "certificate"
    """Its own certificate with the intermediates, and the key."""
    DEPTH = "depth"
    CRL = "crl"
    REQUIRE = "require"
    VERSIONS = "versions"
    CIPHERS = "ciphers"
    GROUPS = "groups"
    HOST = "host"
    """The name that it answers to."""
    IDENTITY = "identity"
    """Who is let in, once the certificate is verified."""
    TLS = "tls"
    """TLS on a port that speaks without it."""
    LOG = "log"
    """The reason of a refusal, in its log."""
    SESSIONS = "sessions"
    HEADER = "header"
    """The header in which the caller's identity goes on."""
    STAPLE = "staple"
    CHECK = "check"
    """Its own test of its configuration."""
    START = "start"


class Use(StrEnum):
    """What a client can be told, whatever its program."""

    PRESENT = "present"
    """Show this certificate chain with this key."""
    TRUST = "trust"
    """Judge the server by this authority."""
    VERSIONS = "versions"
    CIPHERS = "ciphers"
    GROUPS = "groups"
    NAME = "name"
    """Call the server by this name, wherever it is."""
    HTTPS = "https"
    PASSPHRASE = "passphrase"  # noqa: S105 - a kind of advice
    DIRECT = "direct"
    """Past a proxy."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One piece of advice before it is filled in. ``setting`` or ``use`` continues it in the product's own words."""

    side: Side
    what: str
    commands: tuple[str, ...] = ()
    setting: Setting | None = None
    use: Use | None = None
    product: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """A setting or a use in one product's own words. ``what`` replaces the draft's, where the product is different."""

    configuration: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    what: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """What a product calls things. ``after`` makes a changed configuration count. ``shell`` False: its commands are
    PowerShell's, and those that everybody else types in a POSIX shell do not go with them."""

    name: str
    settings: dict[Setting, Lines]
    after: tuple[str, ...] = ()
    shell: bool = True


@dataclass(frozen=True, slots=True)
class Program:
    """What a client's program calls things."""

    name: str
    uses: dict[Use, Lines]
