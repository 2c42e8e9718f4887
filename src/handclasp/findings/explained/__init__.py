"""Every code at length: why it happens, what is seen of it, which standard rules it, and an example.

Not imported by ``handclasp.findings``: it is only for those who ask. Pure. The facts about servers are measured against
nginx 1.22 and 1.31, HAProxy 2.6, Envoy 1.40, Caddy 2.11 and Apache 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from handclasp.findings.codes import Code
from handclasp.findings.explained import (
    authority,
    chain,
    check,
    client,
    config,
    file,
    gateway,
    net,
    request,
    server,
    state,
    tls,
)
from handclasp.findings.explained.explanation import Explanation

__all__ = ["EXPLANATIONS", "FAMILIES", "Explanation", "family"]

_ENTRIES = {
    "The client's certificate": client.entries(),
    "The server's certificate": server.entries(),
    "The handshake and its protocol": tls.entries(),
    "The network": net.entries(),
    "A chain of certificates": chain.entries(),
    "A request for a certificate": request.entries(),
    "The authority": authority.entries(),
    "The gateway": gateway.entries(),
    "Monitors, scans and credentials": check.entries(),
    "Files": file.entries(),
    "Settings": config.entries(),
    "State on this machine": state.entries(),
}

EXPLANATIONS: Mapping[Code, Explanation] = MappingProxyType(
    {code: one for entries in _ENTRIES.values() for code, one in entries.items()}
)

FAMILIES: Mapping[str, tuple[Code, ...]] = MappingProxyType({title: tuple(each) for title, each in _ENTRIES.items()})
"""What a code is about, and the codes that are about it. Every code is in one family."""


def family(code: Code) -> str:
    """The family that the code is in."""
    return next(title for title, codes in FAMILIES.items() if code in codes)
