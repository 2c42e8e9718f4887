"""What is to be examined, and the way to it. Values only; ``parse`` makes them from what a person wrote."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StartTLS(StrEnum):
    """A protocol that begins in the clear and changes over to TLS."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    FTP = "ftp"
    LDAP = "ldap"
    POSTGRES = "postgres"
    MYSQL = "mysql"
    XMPP = "xmpp"


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint. Either ``host`` and ``port``, or ``path`` of a Unix socket.

    ``text`` is what the person wrote. ``server_name`` is what is sent as SNI and what the certificate must name: the
    host, unless another was given; an address is never sent as SNI, but the certificate must name it. ``http`` is the
    path and query to ask for where HTTP is spoken, None where it is not known to be.
    """

    text: str
    host: str
    port: int
    path: str | None = None
    server_name: str | None = None
    starttls: StartTLS | None = None
    http: str | None = None

    @property
    def name(self) -> str:
        """Whom the certificate must name."""
        return self.server_name or self.host

    @property
    def authority(self) -> str:
        """``host:port``, with brackets around IPv6; the path of a Unix socket."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way: ``kind`` is http (CONNECT), https is not supported, socks5 (names resolved there) or
    socks4a."""

    kind: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.kind}://{self.host}:{self.port})"  # never the password


@dataclass(frozen=True, slots=True)
class Route:
    """How to get there. ``proxy_protocol`` is 1 or 2, or None for none; ``address`` replaces what DNS says."""

    proxy: Proxy | None = None
    proxy_protocol: int | None = None
    address: str | None = None


DIRECT = Route()
