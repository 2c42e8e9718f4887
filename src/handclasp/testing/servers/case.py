"""What a server of the laboratory is to be, and what a product's module says of its product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from handclasp.testing.servers.material import Credential, Material


class Client(StrEnum):
    """Whether a client has to show a certificate."""

    NONE = "none"
    """None is asked for."""
    OPTIONAL = "optional"
    """One is asked for, and verified if it comes."""
    REQUIRED = "required"
    """Nobody is served without one. Who refuses, TLS or HTTP, is the product's way."""
    LOCATION = "location"
    """Asked for and required only once the path is known: a second handshake, or post-handshake authentication."""


class Versions(StrEnum):
    """The versions of TLS that are accepted."""

    TLS12 = "1.2"
    TLS13 = "1.3"
    BOTH = "both"

    @property
    def lowest(self) -> str:
        return "1.3" if self is Versions.TLS13 else "1.2"

    @property
    def highest(self) -> str:
        return "1.2" if self is Versions.TLS12 else "1.3"


@dataclass(frozen=True, slots=True)
class Case:
    """One port of a server. ``rsa`` chooses the leaf with an RSA key; ``staple`` has an OCSP response go with it.

    ``material`` is what this port has instead of the laboratory's. ``crl`` is a file of revocation lists (PEM) that is
    heeded for every certificate of a client's chain, ``depth`` the most intermediates in it, ``ciphers`` those of TLS
    1.2 and ``groups`` those of both versions, in OpenSSL's words. With ``forbidden`` every caller is told 403.
    """

    client: Client = Client.NONE
    versions: Versions = Versions.BOTH
    rsa: bool = False
    staple: bool = False
    material: Material | None = None
    crl: Path | None = None
    depth: int | None = None
    ciphers: str = ""
    groups: str = ""
    forbidden: bool = False

    def __str__(self) -> str:
        extra = ("-rsa" if self.rsa else "") + ("-staple" if self.staple else "")
        return f"{self.client}-{self.versions}{extra}"


SETTINGS = frozenset({"crl", "depth", "ciphers", "groups", "forbidden"})


@dataclass(frozen=True, slots=True)
class ServerAt:
    """Where a server is. ``pid`` is its process (its first, where a product has many); ``log`` is what it wrote."""

    host: str
    port: int
    pid: int
    log: Path
    product: str


@dataclass(frozen=True, slots=True)
class Listener:
    """A case and the port that it is to have."""

    case: Case
    port: int
    material: Material

    @property
    def credential(self) -> Credential:
        return self.material.server_rsa if self.case.rsa else self.material.server

    @property
    def staple(self) -> Path | None:
        return self.credential.staple if self.case.staple else None


@dataclass(frozen=True, slots=True)
class Site:
    """Where a product may write: ``directory`` is its own; ``kept`` outlives it, for what takes long to make."""

    directory: Path
    kept: Path
    log: Path
    material: Material


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start in the site's directory, which serves these listeners until it is terminated."""

    arguments: Sequence[str | Path]
    listeners: Sequence[Listener]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Product:
    """A product: the program it is found by, and the Debian package that has it (None: it comes with the tests).

    ``prepare`` writes the configuration and says what to start. ``clients`` is what it can do with client
    certificates, ``staples`` whether it can be given an OCSP response in a file, ``settings`` which of a case's other
    settings it has (crl, depth, ciphers, groups, forbidden).
    """

    name: str
    programs: tuple[str, ...]
    package: str | None
    prepare: Callable[[Site, Sequence[Listener]], Sequence[Command]]
    clients: frozenset[Client] = frozenset({Client.NONE, Client.OPTIONAL, Client.REQUIRED})
    staples: bool = False
    settings: frozenset[str] = frozenset()

    def can(self, case: Case) -> bool:
        """Whether the product can serve this case."""
        asked = {name for name in SETTINGS if getattr(case, name) not in {None, "", False}}
        return case.client in self.clients and (self.staples or not case.staple) and asked <= self.settings
