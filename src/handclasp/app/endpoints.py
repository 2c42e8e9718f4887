"""The two ends of a service: where the gateway listens, and the API behind it. Values that cannot be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from handclasp.findings import InvalidSetting
from handclasp.pki import names

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

LISTEN: Final = "a port (8443), or an IP address and a port ('127.0.0.1:8443', '[::1]:8443')"
UPSTREAM: Final = "http://HOST:PORT, https://HOST:PORT, or h2c://HOST:PORT for gRPC and HTTP/2 without TLS"

_SCHEME_PORTS: Final = {"http": 80, "https": 443, "h2c": 80}
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(?:\[(?P<six>[^]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a service listens: a TCP port, on one address or (None) on all addresses of the machine."""

    address: str | None
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Read ``8443``, ``127.0.0.1:8443`` or ``[::1]:8443``. Raises InvalidSetting."""
        host, colon, port = text.rpartition(":")
        if colon and ":" in host and not (host.startswith("[") and host.endswith("]")):
            raise InvalidSetting("", f"{text!r} has several colons", LISTEN)
        address = None
        if colon:
            try:
                address = str(ip_address(host.removeprefix("[").removesuffix("]")))
            except ValueError:
                address = ""
            if not address or "%" in address or host.startswith("[") != (":" in address):
                raise InvalidSetting("", f"{host!r} is not an IP address", LISTEN)
        return cls(address, _port(port, text, LISTEN))

    def overlaps(self, other: Listen) -> bool:
        """Whether the operating system would refuse the second of the two, though they are not the same."""
        if self.port != other.port or self == other:
            return False
        mine, others = (ip_address(end.address) if end.address else None for end in (self, other))
        if mine is None or others is None:
            return True
        return mine.version == others.version and (mine.is_unspecified or others.is_unspecified)

    def __str__(self) -> str:
        if self.address is None:
            return str(self.port)
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The API behind a service. ``h2c`` is HTTP/2 without TLS (gRPC).

    ``host`` is a DNS name in lower case, or an IP address without brackets; ``ca_file`` None means the system's roots.
    """

    scheme: Literal["http", "https", "h2c"]
    host: str
    port: int
    ca_file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Read a URL of a scheme, a host and, where it is not the scheme's own, a port. Raises InvalidSetting."""
        found = _URL.fullmatch(text)
        if found is None:
            raise InvalidSetting("", f"{text!r} is not a URL", UPSTREAM)
        scheme, authority, rest = found["scheme"].lower(), found["authority"], found["rest"]
        if scheme not in _SCHEME_PORTS:
            raise InvalidSetting("", f"{found['scheme']!r} is not a scheme that the gateway speaks", UPSTREAM)
        if "@" in authority:
            raise InvalidSetting("", "a user or a password in the URL is not used", UPSTREAM)
        if rest not in {"", "/"}:
            why = f"{rest!r} after the host is not used: the gateway passes on the caller's own path"
            raise InvalidSetting("", why, f"{scheme}://{authority}")
        split = _AUTHORITY.fullmatch(authority)
        if split is None:
            raise InvalidSetting("", f"{authority!r} is not a host and a port", UPSTREAM)
        host = names.host(split["six"] or split["name"] or "")
        if bool(split["six"]) != isinstance(host, IPv6Address):
            raise InvalidSetting("", f"{authority!r} is not a host and a port", UPSTREAM)
        port = _SCHEME_PORTS[scheme] if split["port"] is None else _port(split["port"], text, UPSTREAM)
        return cls(cast('Literal["http", "https", "h2c"]', scheme), str(host), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def _port(text: str, whole: str, allowed: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:
        shown = f"{text!r} in {whole!r}" if text != whole else repr(text)
        raise InvalidSetting("", f"{shown} is not a port", f"{allowed}; ports are 1 to 65535")
    return int(text)
