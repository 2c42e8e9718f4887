"""Which endpoints a stranger may have examined through ``/probe``.

A pattern is a host, ``*.`` and a host, an address, each with or without a port (as for credentials, see
``probe.credentials``), a network (``10.20.0.0/16``), which is for targets that are addresses, or the word ``anything``.
No pattern allows Unix sockets. A name is allowed as a name, wherever it leads to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from handclasp.findings import InvalidSetting
from handclasp.probe.credentials import Pattern, candidates
from handclasp.probe.target import Target

ANYTHING: Final = "anything"
ALLOWED: Final = (
    "hosts, *. and a host, addresses, each with or without a port, networks (10.20.0.0/16), or the word anything"
)

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AllowedTargets:
    """What may be examined. Without patterns, nothing."""

    patterns: frozenset[Pattern] = frozenset()
    networks: tuple[Network, ...] = ()
    anything: bool = False

    @classmethod
    def parse(cls, texts: Iterable[str]) -> AllowedTargets:
        """Out of what a person wrote. Raises InvalidSetting."""
        patterns, networks, anything = set(), [], False
        for text in texts:
            if text == ANYTHING:
                anything = True
            elif "/" in text:
                networks.append(_network(text))
            else:
                patterns.add(_pattern(text))
        return cls(frozenset(patterns), tuple(networks), anything)

    def permits(self, target: Target) -> bool:
        """Whether the endpoint is one of them."""
        if target.path is not None:
            return False
        if self.anything or not self.patterns.isdisjoint(candidates(target.host, target.port)):
            return True
        try:
            address = ip_address(target.host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise InvalidSetting("", f"{text[:60]!r} is no network: {error}", ALLOWED) from None


def _pattern(text: str) -> Pattern:
    try:
        return Pattern.parse(text)
    except InvalidSetting as error:
        raise InvalidSetting("", error.why, ALLOWED) from None
