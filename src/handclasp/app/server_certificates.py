"""The gateway's own certificates: one a service, kept on disk, renewed when two thirds of their life are over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from handclasp.app import ambient
from handclasp.app.settings import ServiceSettings
from handclasp.app.site import Site
from handclasp.app.state import CHAIN, KEY, write_identity
from handclasp.authority.issue import issue
from handclasp.authority.policy import GATEWAY
from handclasp.dataplane.intent import KeyPair
from handclasp.findings import Refused
from handclasp.pki import keys, pem, request
from handclasp.pki.issue import Names
from handclasp.pki.profile import BACKDATE, SERVER
from handclasp.pki.spiffe import SpiffeID


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A service's certificate in use, and when it is to be renewed."""

    pair: KeyPair
    hosts: tuple[str | IPv4Address | IPv6Address, ...]
    not_after: datetime
    renew_at: datetime
    issuers: tuple[x509.Certificate, ...]


async def server_certificate(site: Site, service: ServiceSettings) -> ServerCertificate:
    """The certificate on disk if it is this service's, this authority's and fresh; else a new one."""
    names = _names(site, service)
    directory = site.state.gateway(service.name)
    kept = _kept(directory, service.hosts, names, site.authority.hierarchy.signer(SERVER).chain)
    if kept is not None and ambient.now() < kept.renew_at:
        return kept
    key = keys.generate(keys.KeyType.EC_P256)
    assert names.spiffe_id is not None
    issued = await issue(
        site.authority,
        request.parse(request.create(key, names.spiffe_id)),
        names,
        SERVER,
        GATEWAY,
        now=ambient.now(),
        serial=ambient.new_serial(),
        lifetime=site.settings.lifetimes.gateway,
    )
    chain = pem.pem(*issued.chain)
    private = keys.private_pem(key)
    bundle = pem.pem(*site.authority.hierarchy.roots)
    write_identity(directory, key=private, chain=chain, bundle=bundle)
    pair = KeyPair(chain.decode(), private.decode())
    leaf = issued.certificate
    return ServerCertificate(pair, service.hosts, leaf.not_valid_after_utc, _renew_at(leaf), issued.chain[1:])


def _names(site: Site, service: ServiceSettings) -> Names:
    identity = SpiffeID.named(site.settings.trust_domain, f"handclasp/gateway/{service.name}", reserved=True)
    addresses = tuple(host for host in service.hosts if isinstance(host, IPv4Address | IPv6Address))
    return Names(identity, tuple(host for host in service.hosts if isinstance(host, str)), addresses)


def _kept(
    directory: Path,
    hosts: tuple[str | IPv4Address | IPv6Address, ...],
    names: Names,
    issuers: tuple[x509.Certificate, ...],
) -> ServerCertificate | None:
    """What is on disk, or None if anything about it is not as it should be: then there will be a new one."""
    try:
        private = (directory / KEY).read_bytes()
        chain = (directory / CHAIN).read_bytes()
        leaf, *above = pem.load_chain(chain)
        key = keys.load_private(private)
        leaf.verify_directly_issued_by(issuers[0])
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature, Refused):
        return None
    same = (
        tuple(above) == issuers
        and keys.spki_sha256(key.public_key()) == keys.spki_sha256(keys.supported(leaf.public_key()))
        and set(alternative.get_values_for_type(x509.DNSName)) == set(names.dns)
        and set(alternative.get_values_for_type(x509.IPAddress)) == set(names.ips)
        and alternative.get_values_for_type(x509.UniformResourceIdentifier) == [str(names.spiffe_id)]
    )
    if not same:
        return None
    pair = KeyPair(chain.decode(), private.decode())
    return ServerCertificate(pair, hosts, leaf.not_valid_after_utc, _renew_at(leaf), issuers)


def _renew_at(leaf: x509.Certificate) -> datetime:
    issued = leaf.not_valid_before_utc + BACKDATE
    return issued + (leaf.not_valid_after_utc - issued) * 2 / 3
