"""From a piece of text to the targets that it stands for: one host, several ports of it, or a whole network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from handclasp.findings import InvalidSetting
from handclasp.probe import parse
from handclasp.probe.target import StartTLS, Target

MAX_ADDRESSES: Final = 1 << 20
"""Addresses of one network: an IPv4 /12, an IPv6 /108."""
MAX_PORTS: Final = 1000

_NETWORK: Final = re.compile(r"\[?([0-9A-Fa-f.:]+/[0-9]{1,3})\]?(?::([0-9,]+))?")
_PORTS: Final = re.compile(r"((?:[A-Za-z]+://)?(?:\[[^/\]]*\]|[^/:\[\]]+)):([0-9]+(?:,[0-9]*)+)")
_ALLOWED_NETWORK: Final = "10.0.0.0/24, 10.0.0.0/24:443,8443 or [2001:db8::/120]:443"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What holds where a target does not say it: the ports, the protocol that begins in the clear, and the name that
    is asked for instead of the target's own."""

    ports: tuple[int, ...] = (parse.HTTPS_PORT,)
    server_name: str | None = None
    starttls: StartTLS | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A target to be examined; its ``text`` is the same however it was written. ``named`` is False where nobody has
    named a host (an address of a network): then the certificate may be anybody's."""

    target: Target
    named: bool


@dataclass(frozen=True, slots=True)
class Expansion:
    """How many targets, and they themselves, made one by one."""

    count: int
    jobs: Iterable[Job]


def expand(text: str, wanted: Wanted) -> Expansion:
    """The targets of one word: those of ``handclasp probe``, ``HOST:PORT,PORT`` and networks. Raises InvalidSetting."""
    if "/" in text and "://" not in text and not text.startswith("unix:"):
        return _network(text, wanted)
    if found := _PORTS.fullmatch(text):
        pairs = [(f"{found[1]}:{port}", port) for port in _ports(found[2])]
    else:
        pairs = [(text, port) for port in wanted.ports]
    targets = (
        parse.target(one, default_port=port, server_name=wanted.server_name, starttls=wanted.starttls)
        for one, port in pairs
    )
    jobs = tuple(dict.fromkeys(Job(canonical(one), named=True) for one in targets))
    return Expansion(len(jobs), jobs)


def ports(text: str) -> tuple[int, ...]:
    """``443,8443``. Raises InvalidSetting."""
    if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5})*", text):
        raise InvalidSetting("", f"{text[:60]!r} is no list of ports", "443 or 443,8443")
    return _ports(text)


def canonical(target: Target) -> Target:
    """The same target with the text that every way of writing it has."""
    text = target.authority
    if target.path is None and target.starttls is not None:
        text = f"{target.starttls.value}://{text}"
    elif target.http is not None:
        text = f"https://{text}{target.http}"
    return replace(target, text=text)


def _network(text: str, wanted: Wanted) -> Expansion:
    found = _NETWORK.fullmatch(text)
    if found is None:
        raise InvalidSetting("", f"{text[:60]!r} is no network", _ALLOWED_NETWORK)
    try:
        network = ipaddress.ip_network(found[1], strict=False)
    except ValueError:
        raise InvalidSetting("", f"{text[:60]!r} is no network", _ALLOWED_NETWORK) from None
    if network.num_addresses > MAX_ADDRESSES:
        raise InvalidSetting("", f"{network} has more than {MAX_ADDRESSES} addresses", "several smaller networks")
    listed = wanted.ports if found[2] is None else _ports(found[2])
    # The first and the last address of an IPv4 network are nobody's (RFC 1812 §5.3.5); a /31 or /32 has none of them.
    edges = 2 if network.version == 4 and network.prefixlen < 31 else 0
    addresses = network.num_addresses - edges
    return Expansion(addresses * len(listed), _addresses(network, addresses, edges, listed, wanted))


def _addresses(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    count: int,
    edges: int,
    listed: tuple[int, ...],
    wanted: Wanted,
) -> Iterator[Job]:
    # Port by port, so that the connections to one host are far apart.
    for port in listed:
        for address in islice(network, edges // 2, edges // 2 + count):
            target = Target("", str(address), port, None, wanted.server_name, wanted.starttls)
            yield Job(canonical(target), named=wanted.server_name is not None)


def _ports(text: str) -> tuple[int, ...]:
    listed = tuple(dict.fromkeys(text.split(",")))
    if len(listed) > MAX_PORTS:
        raise InvalidSetting("", f"{len(listed)} ports are listed", f"at most {MAX_PORTS}")
    for one in listed:
        if not one or len(one) > 5 or not 0 < int(one) < 65536:
            raise InvalidSetting("", f"{one[:10]!r} is no port", "numbers from 1 to 65535, with commas between them")
    return tuple(dict.fromkeys(map(int, listed)))
