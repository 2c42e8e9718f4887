"""Name constraints of authorities (RFC 5280 §4.2.1.10): which names may stand below one.

Written over every kind of name, because a kind that is not mentioned is not constrained at all; and read back from
an issuer's certificate, so that nothing is signed that a verifier would then refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from handclasp.findings import InvalidSetting
from handclasp.pki.names import dns_name

# A domain that nobody has or ever will have (RFC 6761 §6.4). Permitting it alone forbids all others: RFC 5280 does
# not say what an excluded URI or mailbox of no length means, and OpenSSL takes it for nothing.
NOBODY = "nobody.invalid"

_ANY_NETWORK = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_HOST = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ALLOWED_DNS = "a domain, as in example.org, for itself and all names below it"
_ALLOWED_URI = "a host, as in example.org; or .example.org, for every host below it"
_ALLOWED_EMAIL = "a mailbox (ops@example.org), a host (example.org), or .example.org for every host below it"


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """The names that may stand below an authority. A kind of name of which nothing is permitted is excluded.

    ``dns`` are domains, for themselves and all below; ``uris`` are hosts (of a SPIFFE ID: its trust domain), with
    a leading dot for every host below; ``emails`` are mailboxes or such hosts. Raises InvalidSetting.
    """

    dns: tuple[str, ...] = ()
    ips: tuple[IPv4Network | IPv6Network, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for domain in self.dns:
            try:
                clean = "*" not in domain and dns_name(domain) == domain
            except InvalidSetting as error:
                raise InvalidSetting("", error.why, _ALLOWED_DNS) from None
            if not clean:
                raise InvalidSetting("", f"{domain!r} has capitals or a wildcard", _ALLOWED_DNS)
        for host in self.uris:
            if not _HOST.fullmatch(host):
                raise InvalidSetting("", f"{host!r} is no host in lower case", _ALLOWED_URI)
        for mailbox in self.emails:
            local, at, host = mailbox.rpartition("@")
            if not mailbox.isascii() or not _HOST.fullmatch(host) or (at and (not local or host.startswith("."))):
                raise InvalidSetting("", f"{mailbox!r} is no mailbox and no host in lower case", _ALLOWED_EMAIL)

    def extension(self) -> x509.NameConstraints:
        """The value of the extension, which must be critical."""
        return _extension(self)


def read_back(found: x509.NameConstraints) -> NameConstraints:
    """What an extension says that ``NameConstraints.extension`` made. Raises InvalidSetting for any other."""

    def of(kind: type[x509.GeneralName]) -> tuple[Any, ...]:
        bases = (base.value for base in found.permitted_subtrees or () if type(base) is kind)
        return tuple(base for base in bases if base != NOBODY)

    said = NameConstraints(
        of(x509.DNSName), of(x509.IPAddress), of(x509.UniformResourceIdentifier), of(x509.RFC822Name)
    )
    if said.extension() != found:
        raise InvalidSetting("", "the name constraints are none of ours", "an extension that was made here")
    return said


def outside(constraints: x509.NameConstraints, names: Iterable[x509.GeneralName]) -> Iterator[str]:
    """A sentence for each of these names of a certificate that the constraints above it do not let through."""
    for name in names:
        kind = type(name)
        excluded = [base for base in constraints.excluded_subtrees or () if type(base) is kind]
        permitted = [base for base in constraints.permitted_subtrees or () if type(base) is kind]
        if any(_within(name, base, excluding=True) for base in excluded):
            yield f"{_shown(name)} is excluded by its issuer's name constraints"
        elif permitted and not any(_within(name, base, excluding=False) for base in permitted):
            yield f"{_shown(name)} is outside of what its issuer's name constraints permit"


@lru_cache(maxsize=64)
def _extension(constraints: NameConstraints) -> x509.NameConstraints:
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in constraints.dns]
    permitted += [x509.IPAddress(network) for network in constraints.ips]
    permitted += [x509.UniformResourceIdentifier(host) for host in constraints.uris or (NOBODY,)]
    permitted += [x509.RFC822Name(mailbox) for mailbox in constraints.emails or (NOBODY,)]
    # Names without length stand for all, as the CA/Browser Forum's Baseline Requirements §7.1.5 have it.
    excluded: list[x509.GeneralName] = [] if constraints.dns else [x509.DNSName("")]
    versions = {network.version for network in constraints.ips}
    excluded += [x509.IPAddress(network) for network in _ANY_NETWORK if network.version not in versions]
    return x509.NameConstraints(permitted, excluded or None)


def _within(name: x509.GeneralName, base: x509.GeneralName, *, excluding: bool) -> bool:
    """Whether the name is in the subtree. What cannot be read is in every excluded one and in no permitted one."""
    if isinstance(name, x509.DNSName):
        return _dns_within(name.value.lower(), str(base.value).lower(), excluding=excluding)
    if isinstance(name, x509.IPAddress):
        address, network = name.value, base.value
        if not isinstance(address, IPv4Address | IPv6Address):
            return excluding
        return isinstance(network, IPv4Network | IPv6Network) and address in network
    if isinstance(name, x509.UniformResourceIdentifier):
        try:
            host = urlsplit(name.value).hostname
        except ValueError:
            host = None
        return excluding if not host else _host_within(host, str(base.value).lower())
    if isinstance(name, x509.RFC822Name):
        local, _, host = name.value.rpartition("@")
        if "@" in base.value:
            wanted_local, _, wanted_host = str(base.value).rpartition("@")
            return (local, host.lower()) == (wanted_local, wanted_host.lower())
        return _host_within(host.lower(), str(base.value).lower())
    if isinstance(name, x509.DirectoryName) and isinstance(base, x509.DirectoryName):
        return name.value.rdns[: len(base.value.rdns)] == base.value.rdns
    return excluding


def _dns_within(name: str, base: str, *, excluding: bool) -> bool:
    base = base.removeprefix(".")
    if not base or name == base or name.endswith(f".{base}"):
        return True
    # A wildcard stands for names below an excluded domain too, if that is one label below its own.
    return excluding and name.startswith("*.") and base.partition(".")[2] == name[2:]


def _host_within(host: str, base: str) -> bool:
    """§4.2.1.10: a host alone is itself; with a leading dot, all hosts below. No length stands for all."""
    return not base or (host.endswith(base) and host != base if base.startswith(".") else host == base)


def _shown(name: x509.GeneralName) -> str:
    value = name.value
    return value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
