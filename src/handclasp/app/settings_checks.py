"""What several settings of ``handclasp.yaml`` can only get wrong together. No I/O.

The checks read the tree again, not the models: where one value of a service is wrong, the others are still compared,
so that nobody corrects a file in two rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from handclasp.access.pattern import IdentityPattern
from handclasp.access.policy import ANYONE, Anyone, Policy, Rule
from handclasp.app.endpoints import IPAddress, Listen, Upstream
from handclasp.app.settings_fields import if_valid
from handclasp.app.settings_model import parse_host
from handclasp.app.yaml_source import Path, Source, Tree
from handclasp.findings import InvalidSetting


def check(source: Source) -> None:
    """Check the services, each in itself and against those before it. Problems go into the source."""
    services = source.tree.get("services") if isinstance(source.tree, dict) else None
    if isinstance(source.tree, dict) and not source.tree.keys() & {"services", "monitors"}:
        source.add((), "services is missing", "services: and below it each by its name, or monitors:")
    claims = _Claims(source)
    for name, service in services.items() if isinstance(services, dict) else ():
        if isinstance(service, dict):
            here = ("services", name)
            _check_upstream(source, here, service)
            _check_callers(source, here, service)
            claims.add(name, if_valid(Listen.parse, service.get("listen")), _hosts(service))


def _check_upstream(source: Source, here: Path, service: dict[str, Tree]) -> None:
    upstream = if_valid(Upstream.parse, service.get("upstream"))
    if upstream is not None and upstream.scheme != "https" and "upstream_ca" in service:
        why = f"an upstream of {upstream.scheme}:// has no certificate to verify"
        source.add((*here, "upstream_ca"), why, "upstream_ca with an https:// upstream only")


def _check_callers(source: Source, here: Path, service: dict[str, Tree]) -> None:
    """D15, in the words of Policy: anyone and identities exclude each other."""
    certificates = service.get("client_certificates", "required")
    rules = service.get("rules")
    if certificates not in ("required", "off") or not isinstance(rules, list):
        return
    for index, rule in enumerate(rules):
        allow = rule.get("allow") if isinstance(rule, dict) else None
        if not allow or isinstance(allow, dict):
            continue
        callers: Anyone | tuple[IdentityPattern, ...] = ANYONE if allow == str(ANYONE) else ()
        try:
            Policy(str(here[-1]), certificates == "required", (Rule(1, callers),))
        except InvalidSetting as error:
            source.add((*here, "rules", index, "allow"), error.why, error.allowed)


def _hosts(service: dict[str, Tree]) -> Iterator[tuple[int, str | IPAddress]]:
    hosts = service.get("hosts")
    for index, text in enumerate(hosts if isinstance(hosts, list) else []):
        if (host := if_valid(parse_host, text)) is not None:
            yield index, host


@dataclass
class _Claims:
    """The ports, hosts and addresses that the services so far have taken, and by the name of which service."""

    source: Source
    ports: dict[int, dict[Listen, str]] = field(default_factory=dict)
    hosts: dict[tuple[Listen, str | IPAddress], str] = field(default_factory=dict)
    addresses: dict[Listen, str] = field(default_factory=dict)

    def add(self, name: str, listen: Listen | None, hosts: Iterator[tuple[int, str | IPAddress]]) -> None:
        """Compare one service more with those before it."""
        if listen is not None:
            self._add_listen(name, listen)
        mine = set()
        for index, host in hosts:
            path = ("services", name, "hosts", index)
            if host in mine:
                self.source.add(path, f"{host} is there twice", "each host once; upper and lower case are the same")
            elif listen is not None:
                self._add_host(path, name, listen, host)
            mine.add(host)

    def _add_listen(self, name: str, listen: Listen) -> None:
        others = self.ports.setdefault(listen.port, {})
        for other, first in others.items():
            if listen.overlaps(other):
                why = f"{listen} overlaps with {other}, where the service {first} listens"
                self.source.add(("services", name, "listen"), why, f"{other} as there, or another port")
        others.setdefault(listen, name)

    def _add_host(self, path: Path, name: str, listen: Listen, host: str | IPAddress) -> None:
        first = self.hosts.setdefault((listen, host), name)
        if first != name:
            why = f"the service {first} has the host {host} on {listen} already"
            self.source.add(path, why, "another host, or another port to listen on")
            return
        if isinstance(host, str):
            return
        first = self.addresses.setdefault(listen, name)
        if first != name:
            # D16: a caller sends no SNI for an address, so nothing tells two such services apart.
            why = f"the service {first} on {listen} has an IP address already, and one service of a port alone can"
            self.source.add(path, why, "host names here, or another port to listen on")
