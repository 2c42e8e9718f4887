"""Which names a profile lets a certificate have, by pattern.

``*`` is one whole segment of a SPIFFE ID's path, or one whole label of a DNS name; ``**`` is any number, none
included. Without patterns, every name of the kind is allowed; with an empty tuple of them, none is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from handclasp.findings import InvalidSetting
from handclasp.pki.names import IPAddress, Names, dns_name
from handclasp.pki.spiffe import SpiffeID, TrustDomain

IPNetwork = IPv4Network | IPv6Network

ONE = "*"
ANY_NUMBER = "**"

_SCHEME = "spiffe://"
_ALLOWED_SPIFFE = "spiffe://example.org/jobs/*, or the path alone: jobs/*; * is one segment, ** any number of segments"
_ALLOWED_DNS = "api.example.org, *.example.org or **.example.org; * is one label, ** any number of labels"


@dataclass(frozen=True, slots=True)
class NameRules:
    """Patterns of the names that are allowed, by kind; None allows every name of that kind.

    ``spiffe`` patterns are URIs or, for any trust domain, paths (``jobs/*``); ``ips`` are networks. A wildcard name
    such as ``*.example.org`` stands for many hosts: where there are patterns, it is allowed by ``wildcards`` alone.
    Raises InvalidSetting for what is no pattern.
    """

    spiffe: tuple[str, ...] | None = None
    dns: tuple[str, ...] | None = None
    ips: tuple[IPNetwork, ...] | None = None
    wildcards: bool = False

    def __post_init__(self) -> None:
        for pattern in self.spiffe or ():
            _check_spiffe(pattern)
        for pattern in self.dns or ():
            _check_dns(pattern)

    def faults(self, names: Names) -> Iterator[str]:
        """A sentence for each name that no pattern allows, with the patterns there are."""
        if names.spiffe_id is not None and not self._allows_spiffe(names.spiffe_id):
            yield f"{names.spiffe_id} is none of the SPIFFE IDs it allows ({_listed(self.spiffe)})"
        for name in names.dns:
            if not self._allows_dns(name):
                yield f"{name} is none of the DNS names it allows ({_listed(self.dns)})"
        for address in names.ips:
            if not self._allows_ip(address):
                yield f"{address} is in none of the networks it allows ({_listed(self.ips)})"

    def _allows_spiffe(self, identity: SpiffeID) -> bool:
        if self.spiffe is None:
            return True
        path, whole = tuple(identity.path.split("/")), tuple(str(identity).removeprefix(_SCHEME).split("/"))
        return any(
            _match(_segments(pattern), whole if pattern.startswith(_SCHEME) else path) for pattern in self.spiffe
        )

    def _allows_dns(self, name: str) -> bool:
        if self.dns is None:
            return True
        if name.startswith("*.") and not self.wildcards:
            return False
        labels = tuple(name.split("."))
        return any(_match(tuple(pattern.split(".")), labels) for pattern in self.dns)

    def _allows_ip(self, address: IPAddress) -> bool:
        return self.ips is None or any(address in network for network in self.ips)


ANY_NAME = NameRules()


@lru_cache(maxsize=1024)
def _segments(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.removeprefix(_SCHEME).removeprefix("/").split("/"))


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Glob over segments or labels: on a mismatch, the last ``**`` takes one more. Quadratic at worst."""
    p = s = 0
    star, resume = -1, 0
    while s < len(parts):
        if p < len(pattern) and pattern[p] == ANY_NUMBER:
            star, resume = p, s
            p += 1
        elif p < len(pattern) and pattern[p] in (ONE, parts[s]):
            p += 1
            s += 1
        elif star >= 0:
            resume += 1
            p, s = star + 1, resume
        else:
            return False
    return all(rest == ANY_NUMBER for rest in pattern[p:])


def _check_spiffe(pattern: str) -> None:
    """Held to what a SPIFFE ID may contain, the wildcards apart."""
    segments = list(_segments(pattern))
    _check_wildcards(pattern, segments, _ALLOWED_SPIFFE)
    domain = segments.pop(0) if pattern.startswith(_SCHEME) else "example.org"
    try:
        SpiffeID(TrustDomain.parse(domain), "/".join("x" if s in (ONE, ANY_NUMBER) else s for s in segments))
    except InvalidSetting as error:
        raise InvalidSetting("", f"{pattern!r} can never match: {error.why}", _ALLOWED_SPIFFE) from None


def _check_dns(pattern: str) -> None:
    labels = pattern.split(".")
    _check_wildcards(pattern, labels, _ALLOWED_DNS)
    plain = ".".join("x" if label in (ONE, ANY_NUMBER) else label for label in labels)
    try:
        lower = dns_name(plain)
    except InvalidSetting as error:
        raise InvalidSetting("", f"{pattern!r} can never match: {error.why}", _ALLOWED_DNS) from None
    if lower != plain:
        raise InvalidSetting("", f"{pattern!r} has upper-case letters", "the pattern in lower case")


def _check_wildcards(pattern: str, parts: list[str], allowed: str) -> None:
    for part in parts:
        if "*" in part and part not in (ONE, ANY_NUMBER):
            raise InvalidSetting("", f"{pattern!r} has {part!r}, and * cannot be a part of something", allowed)


def _listed(patterns: tuple[object, ...] | None) -> str:
    return ", ".join(map(str, patterns)) if patterns else "none"
