"""Where results go, and how endpoints are examined for others: as settled, in plain values.

Read with every settings file, so it imports next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from handclasp.monitor.definition import Trust

PATH: Final = "/v1/metrics"
"""Of an OpenTelemetry collector, by default."""


@dataclass(frozen=True, slots=True)
class StatsdAddress:
    """Where the server is: ``path`` of a Unix socket, or host and port."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CollectorAddress:
    """Where the metrics go by POST. ``host`` has no brackets."""

    scheme: str
    host: str
    port: int
    path: str = PATH

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class Prober(StrEnum):
    """How a module examines. The first two are those of blackbox_exporter."""

    HTTP_2XX = "http_2xx"
    """A GET, redirects followed; answered with 200 to 299 by a server whose chain is trusted."""
    TCP_CONNECT_TLS = "tcp_connect_tls"
    """A handshake with a server whose chain is trusted, and which lets us in."""
    TLS = "tls"
    """The chain is trusted. That a client certificate is demanded is no fault."""
    HTTPS = "https"
    """A GET, answered with 200 to 399 by a server whose chain is trusted."""
    REFUSED = "refused"
    """A caller without a certificate is turned away, by TLS or by HTTP."""


@dataclass(frozen=True, slots=True)
class Module:
    """One way to examine, by name. ``credential`` is a name in the store, ``auto``, or None for none."""

    name: str
    prober: Prober
    trust: Trust = Trust.SYSTEM
    ca_file: str | None = None
    server_name: str | None = None
    credential: str | None = None

    @property
    def http(self) -> bool:
        """Whether its metrics have those of HTTP."""
        return self.prober in {Prober.HTTP_2XX, Prober.HTTPS}


BUILT_IN: Final = tuple(Module(prober.value, prober) for prober in Prober)
