"""Which software answered, by what it says of itself over HTTP: its header, or the page of its errors."""

from __future__ import annotations

from typing import Final

from handclasp.probe.evidence import Response

_SERVERS: Final = (  # as the Server header begins
    ("nginx", "nginx"),
    ("openresty", "nginx"),
    ("apache", "apache"),
    ("envoy", "envoy"),
    ("istio-envoy", "envoy"),
    ("caddy", "caddy"),
    ("microsoft-iis", "iis"),
    ("microsoft-httpapi", "iis"),
    ("haproxy", "haproxy"),
    ("jetty", "java"),
    ("apache-coyote", "java"),
    ("jdk-http-server", "java"),
)
_PAGES: Final = (
    (b"<center>nginx", "nginx"),
    (b"<hr><center>openresty", "nginx"),
    (b"<address>Apache/", "apache"),
    (b"Apache Tomcat", "java"),
    (b"Client sent an HTTP request to an HTTPS server", "go"),
)
_LOOKED_AT: Final = 4096  # octets


def product(response: Response | None) -> str:
    """nginx, apache, haproxy, envoy, caddy, iis, java, go; empty where it does not tell."""
    if response is None:
        return ""
    for name, value in response.headers:
        if name == "server":
            said = value.lower()
            # Coyote is Tomcat, and begins as Apache does.
            found = [which for begin, which in _SERVERS if said.startswith(begin)]
            if found:
                return "java" if said.startswith("apache-coyote") else found[0]
    body = response.body[:_LOOKED_AT]
    return next((which for words, which in _PAGES if words in body), "")
