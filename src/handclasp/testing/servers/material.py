"""Certificates and keys for the servers of a laboratory, as files in the forms that the products read.

Two authorities that have nothing to do with each other: one for servers (a root and an intermediate), one for clients
(the same). A stranger's client certificate comes from a third.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.chains import Holder

NAMES = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)
"""Whom every server of the laboratory is: itself, as this machine calls itself."""

_BACKDATED = timedelta(hours=1)
_AUTHORITIES_LAST, _OTHERS_LAST = timedelta(days=90), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Credential:
    """A leaf with its key and the certificates above it but the root, in memory and as PEM files.

    ``chain`` has the leaf first; ``both`` is the chain and the key in one file, as HAProxy reads it. ``staple`` is an
    OCSP response in DER that says that the leaf is good (servers only).
    """

    holder: Holder
    above: tuple[Holder, ...]
    chain: Path
    leaf: Path
    issuers: Path
    key: Path
    both: Path
    staple: Path | None = None

    @property
    def ders(self) -> tuple[bytes, ...]:
        """The chain as a server or client sends it: DER, leaf first."""
        return tuple(one.der for one in (self.holder, *self.above))


@dataclass(frozen=True, slots=True)
class Material:
    """What a laboratory has. ``roots`` is what a client trusts servers by; ``client_authorities`` (two of them) is
    what servers trust clients by, and advertise."""

    directory: Path
    root: Holder
    roots: Path
    server: Credential
    server_rsa: Credential
    client_authorities: Path
    client_authority_names: tuple[bytes, ...]
    client: Credential
    stranger: Credential


def make_material(directory: Path, *, now: datetime | None = None) -> Material:
    """Make all of it in this directory; in date from an hour before ``now`` (the clock's, unless given)."""
    now = now or datetime.now(UTC)
    root, issuing = _authorities("Laboratory servers", now)
    client_root, client_issuing = _authorities("Laboratory clients", now)
    other_client_root, _ = _authorities("Laboratory partners", now)
    _, stranger_issuing = _authorities("Somebody else", now)
    leaf = partial(chains.make, begins=now - _BACKDATED, ends=now + _OTHERS_LAST)
    server = leaf("localhost", issuing, names=NAMES, usages=(chains.SERVER,))
    server_rsa = leaf(
        "localhost",
        issuing,
        names=NAMES,
        usages=(chains.SERVER,),
        key=rsa.generate_private_key(65537, 2048),
        usage=chains.key_usage("digital_signature", "key_encipherment"),
    )
    name = (x509.UniformResourceIdentifier("spiffe://laboratory.test/client"),)
    client = leaf("client", client_issuing, names=name, usages=(chains.CLIENT,))
    stranger = leaf("client", stranger_issuing, names=name, usages=(chains.CLIENT,))
    advertised = (client_root.certificate, other_client_root.certificate)
    return Material(
        directory=directory,
        root=root,
        roots=_write(directory / "roots.pem", pem.pem(root.certificate)),
        server=_credential(directory, "server", server, issuing, staple=_staple(server, issuing, now)),
        server_rsa=_credential(directory, "server-rsa", server_rsa, issuing, staple=_staple(server_rsa, issuing, now)),
        client_authorities=_write(directory / "clients.pem", pem.pem(*advertised)),
        client_authority_names=tuple(one.subject.public_bytes() for one in advertised),
        client=_credential(directory, "client", client, client_issuing),
        stranger=_credential(directory, "stranger", stranger, stranger_issuing),
    )


def _authorities(name: str, now: datetime) -> tuple[Holder, Holder]:
    begins, ends = now - _BACKDATED, now + _AUTHORITIES_LAST
    root = chains.make(f"{name} root", authority=True, begins=begins, ends=ends)
    issuing = chains.make(f"{name} issuing", root, authority=True, path_length=0, begins=begins, ends=ends)
    return root, issuing


def _credential(directory: Path, name: str, holder: Holder, issuer: Holder, staple: bytes | None = None) -> Credential:
    leaf, above, key = pem.pem(holder.certificate), pem.pem(issuer.certificate), private_pem(holder.key)
    return Credential(
        holder=holder,
        above=(issuer,),
        chain=_write(directory / f"{name}.pem", leaf + above),
        leaf=_write(directory / f"{name}-leaf.pem", leaf),
        issuers=_write(directory / f"{name}-issuers.pem", above),
        key=_write(directory / f"{name}.key", key),
        both=_write(directory / f"{name}-both.pem", leaf + above + key),
        staple=None if staple is None else _write(directory / f"{name}.ocsp", staple),
    )


def _staple(holder: Holder, issuer: Holder, now: datetime) -> bytes:
    said = ocsp.OCSPResponseBuilder().add_response(
        cert=holder.certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA1(),  # noqa: S303 - what responders name issuers by; nothing rests on it
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - _BACKDATED,
        next_update=now + _OTHERS_LAST,
        revocation_time=None,
        revocation_reason=None,
    )
    said = said.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
    return said.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path
