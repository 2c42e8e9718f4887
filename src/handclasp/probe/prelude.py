"""What is said before TLS begins: to a proxy on the way, to a load balancer in front of the server, to the server."""

from __future__ import annotations

from typing import Protocol

from handclasp.findings import Code
from handclasp.probe import proxies, starttls
from handclasp.probe.dialogue import Dialogue, PreludeFailed
from handclasp.probe.target import Route, Target

__all__ = ["Prelude", "PreludeFailed", "preludes"]


class Prelude(Protocol):
    """One conversation in the clear. It does no I/O, and ends by itself: within a bounded number of octets it is done
    or has failed; how long that may take is for the caller to say."""

    @property
    def done(self) -> bool:
        """The next octet belongs to what comes after. May be so after ``start`` already, which was all then."""

    @property
    def rest(self) -> bytes:
        """Octets that came with the last ones, and belong to what comes after: to be given to its ``receive``. Always
        empty before TLS where the server was the last to speak in the clear: more than that has failed."""

    @property
    def waiting_for(self) -> str:
        """What is awaited from the peer, for the message when it does not come; empty where nothing is."""

    def start(self) -> bytes:
        """The first octets to send, none where the peer begins. Raises PreludeFailed."""

    def receive(self, data: bytes) -> bytes:
        """Take what came; returns the octets to send. Raises PreludeFailed, and nothing else for any octets."""


def preludes(target: Target, route: Route) -> tuple[tuple[str, Prelude], ...]:
    """The conversations on the way to TLS at the target, in their order, each with its phase: proxy, proxy_protocol,
    starttls. None where TLS begins at once."""
    found: list[tuple[str, Prelude]] = []
    if route.proxy is not None:
        host = route.address or target.host if target.path is None else ""
        script = proxies.through(route.proxy, host, target.port)
        found.append(("proxy", Dialogue(script, Code.NET_PROXY_REFUSED, then_tls=False)))
    if route.proxy_protocol is not None:
        header = proxies.proxy_protocol(route.proxy_protocol)
        found.append(("proxy_protocol", Dialogue(header, Code.NET_PROXY_REFUSED, then_tls=False)))
    if target.starttls is not None:
        script = starttls.SCRIPTS[target.starttls](target.name)
        found.append(("starttls", Dialogue(script, Code.PROTO_STARTTLS_REFUSED, then_tls=True)))
    return tuple(found)
