"""An authority made in memory: a root, an issuing CA and one leaf key, for all tests of this folder; and one key of
each kind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from handclasp.pki import issue, keys, pem
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.profile import CLIENT, ISSUING, ROOT, SERVER, Profile
from handclasp.pki.spiffe import SpiffeID, TrustDomain

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SERIAL = 0x5EED << 120
DOMAIN = TrustDomain.parse("example.org")


@dataclass(frozen=True, slots=True)
class Family:
    """The certificates and keys of one authority, and what it issues at NOW."""

    root_key: PrivateKey
    issuing_key: PrivateKey
    leaf_key: PrivateKey
    root: x509.Certificate
    issuing: x509.Certificate
    server: x509.Certificate
    client: x509.Certificate
    long_named: x509.Certificate

    def certificates(self) -> dict[str, x509.Certificate]:
        return {
            "root": self.root,
            "issuing": self.issuing,
            "server": self.server,
            "client": self.client,
            "long-named": self.long_named,
        }


def issued(
    profile: Profile,
    subject: x509.Name,
    names: Names,
    *,
    key: PrivateKey,
    issuer: x509.Certificate | None,
    signer: PrivateKey,
    serial: int,
) -> x509.Certificate:
    prepared = issue.prepare(
        profile,
        subject=subject,
        names=names,
        public_key=key.public_key(),
        issuer=issuer,
        serial=serial,
        now=NOW,
    )
    return issue.assemble(prepared, keys.sign(signer, prepared.tbs))


@cache
def _key_of(kind: KeyType) -> PrivateKey:
    return keys.generate(kind)


@pytest.fixture(scope="session")
def key_of() -> Callable[[KeyType], PrivateKey]:
    """One key of each kind, made when it is first asked for: large RSA keys take seconds."""
    return _key_of


@pytest.fixture(scope="session")
def openssl_verify(family: Family) -> Callable[..., tuple[int, str]]:
    """openssl verify, strict, of a leaf below an issuing CA below the root: its exit code and output."""

    def run(leaf: x509.Certificate, issuing: x509.Certificate, purpose: str, directory: Path) -> tuple[int, str]:
        files = {"root.pem": family.root, "issuing.pem": issuing, "leaf.pem": leaf}
        for file, certificate in files.items():
            (directory / file).write_bytes(pem.pem(certificate))
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-attime", str(int(NOW.timestamp()))]
        command += ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def family() -> Family:
    root_key, issuing_key = keys.generate(KeyType.EC_P384), keys.generate(KeyType.EC_P256)
    leaf_key = keys.generate(KeyType.EC_P256)
    root_name = issue.authority_subject(ROOT, DOMAIN, root_key.public_key())
    root = issued(ROOT, root_name, Names(), key=root_key, issuer=None, signer=root_key, serial=SERIAL)
    issuing_name = issue.authority_subject(ISSUING, DOMAIN, issuing_key.public_key())
    issuing = issued(ISSUING, issuing_name, Names(), key=issuing_key, issuer=root, signer=root_key, serial=SERIAL + 1)
    gateway = SpiffeID.named(DOMAIN, "handclasp/gateway", reserved=True)
    hosts = Names(gateway, ("orders.example.org", "localhost"), (ip_address("127.0.0.1"), ip_address("::1")))
    checkout = SpiffeID.named(DOMAIN, "checkout")
    long_named = SpiffeID.named(DOMAIN, "l" * 65)

    def leaf(profile: Profile, names: Names, serial: int) -> x509.Certificate:
        assert names.spiffe_id is not None
        subject = issue.subject_for(names.spiffe_id)
        return issued(profile, subject, names, key=leaf_key, issuer=issuing, signer=issuing_key, serial=serial)

    return Family(
        root_key=root_key,
        issuing_key=issuing_key,
        leaf_key=leaf_key,
        root=root,
        issuing=issuing,
        server=leaf(SERVER, hosts, SERIAL + 2),
        client=leaf(CLIENT, Names(checkout, ("checkout.example.org",)), SERIAL + 3),
        long_named=leaf(CLIENT, Names(long_named), SERIAL + 4),
    )
