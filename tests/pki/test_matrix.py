"""Every profile with every kind of key, below issuers of every kind of key, as pkilint and openssl see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from handclasp.pki import issue, keys, pem
from handclasp.pki.issue import NameConstraints, Names, Publication
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.lint import lint
from handclasp.pki.profile import (
    CLIENT,
    INTERMEDIATE,
    ISSUING,
    OCSP_SIGNER,
    PROFILES,
    ROOT,
    SERVER,
    WORKLOAD,
    Presence,
    Profile,
)
from handclasp.pki.spiffe import SpiffeID, TrustDomain

KeyOf = Callable[[KeyType], PrivateKey]
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
DOMAIN = TrustDomain.parse("example.org")
LEAVES = (SERVER, CLIENT, WORKLOAD, OCSP_SIGNER)
KINDS = pytest.mark.parametrize("kind", list(KeyType))
PUBLICATION = Publication(
    crl="http://pki.example.org/crl/1.crl", ocsp="http://pki.example.org/ocsp", issuer="http://pki.example.org/ca/1.cer"
)
CONSTRAINTS = NameConstraints(dns=("example.org",), ips=(ip_network("10.0.0.0/8"),), uris=("example.org",))

# Findings of pkilint that are its own mistakes, each with the reason. Nothing else is let through.
PKILINT_IS_WRONG = {
    # It asks validators.url(), which knows a short list of schemes; spiffe:// is a URI by RFC 3986.
    ("pkix.invalid_uri_syntax", 'Invalid URI syntax: "spiffe://'),
}


class Tree:
    """A root, an intermediate and an issuing CA, their keys all of one kind, and what they issue."""

    def __init__(self, kind: KeyType, key_of: KeyOf) -> None:
        self.key, self.key_of = key_of(kind), key_of
        self.serials = count(1 << 100)
        self.root = self.issued(ROOT, self.key, None)
        self.intermediate = self.issued(INTERMEDIATE, self.key, self.root, constraints=CONSTRAINTS)
        self.issuing = self.issued(ISSUING, self.key, self.intermediate, constraints=CONSTRAINTS)

    def issued(
        self,
        profile: Profile,
        key: PrivateKey,
        issuer: x509.Certificate | None,
        constraints: NameConstraints | None = None,
    ) -> x509.Certificate:
        public = key.public_key()
        names = Names(
            None if profile.spiffe_id is Presence.NONE else SpiffeID.named(DOMAIN, "checkout"),
            ("a.example.org",) if profile.dns_names else (),
            (ip_address("10.0.0.1"),) if profile.ip_addresses else (),
        )
        subject = issue.authority_subject(profile, DOMAIN, public)
        if names.spiffe_id is not None:
            subject = issue.subject_for(names.spiffe_id)
        prepared = issue.prepare(
            replace(profile, key_types=frozenset(KeyType)),
            subject=subject,
            names=names,
            public_key=public,
            issuer=issuer,
            serial=next(self.serials),
            now=NOW,
            publication=None if issuer is None else PUBLICATION,
            constraints=constraints,
        )
        return issue.assemble(prepared, keys.sign(self.key, prepared.tbs))

    def certificates(self) -> Iterator[tuple[str, x509.Certificate]]:
        yield from {"root": self.root, "intermediate": self.intermediate, "issuing": self.issuing}.items()
        # What a leaf's key changes in it, and what its issuer's key does, have nothing to do with each other.
        kinds = tuple(KeyType) if keys.key_type(self.key.public_key()) is KeyType.EC_P256 else (KeyType.EC_P256,)
        for profile in LEAVES:
            for kind in kinds:
                yield f"{profile}-{kind}", self.issued(profile, self.key_of(kind), self.issuing)


@pytest.fixture(scope="session")
def tree(key_of: KeyOf) -> Callable[[KeyType], Tree]:
    return cache(lambda kind: Tree(kind, key_of))


def test_pkilint_finds_nothing(tree: Callable[[KeyType], Tree], tmp_path: Path) -> None:
    """Certificates of every profile and kind of key, by issuers of every kind, are clean in pkilint's eyes."""
    for kind in KeyType:
        for name, certificate in tree(kind).certificates():
            (tmp_path / f"{name} by {kind}").write_bytes(pem.pem(certificate))
    script = (
        "import sys\n"
        "from pkilint.bin.lint_pkix_cert import main\n"
        "for path in sys.argv[1:]:\n"
        "    print('#', path)\n"
        "    main(['lint', '-s', 'NOTICE', '-f', 'CSV', path])\n"
    )
    command = [sys.executable, "-c", script, *sorted(path.name for path in tmp_path.iterdir())]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("node_path,")]
    assert len([line for line in lines if line.startswith("# ")]) == 3 * 9 + 4 * 9 + 4 * 8
    assert [line for line in lines if not line.startswith("# ") and not _excepted(line)] == []


def _excepted(line: str) -> bool:
    unquoted = line.replace('""', '"')
    return any(f",{code}," in unquoted and message in unquoted for code, message in PKILINT_IS_WRONG)


@KINDS
def test_every_certificate_verifies_and_lints_clean(tree: Callable[[KeyType], Tree], kind: KeyType) -> None:
    """The assembled certificates verify with their issuer's key, and our own linter reads them back clean."""
    family = tree(kind)
    issuers = {"root": None, "intermediate": family.root, "issuing": family.intermediate}
    for name, certificate in family.certificates():
        issuer = issuers.get(name, family.issuing)
        keys.verify(keys.supported(family.root.public_key()), certificate.signature, certificate.tbs_certificate_bytes)
        profile = PROFILES[next(known for known in PROFILES if name.startswith(known))]
        assert lint(certificate, replace(profile, key_types=frozenset(KeyType)), issuer) == ()


@pytest.mark.parametrize("kind", sorted(keys.CLASSICAL))
def test_openssl_verifies_every_chain(tree: Callable[[KeyType], Tree], kind: KeyType, tmp_path: Path) -> None:
    """openssl verify accepts each leaf for each of its purposes, through two intermediates, in its strict mode."""
    family = tree(kind)
    (tmp_path / "root.pem").write_bytes(pem.pem(family.root))
    (tmp_path / "above.pem").write_bytes(pem.pem(family.intermediate, family.issuing))
    purposes = {SERVER: ("sslserver",), CLIENT: ("sslclient",), WORKLOAD: ("sslserver", "sslclient")}
    for profile, wanted in purposes.items():
        leaf = family.issued(profile, family.key_of(KeyType.EC_P256), family.issuing)
        (tmp_path / "leaf.pem").write_bytes(pem.pem(leaf))
        for purpose in wanted:
            command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-attime", str(int(NOW.timestamp()))]
            command += ["-CAfile", "root.pem", "-untrusted", "above.pem", "leaf.pem"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout + done.stderr) == (0, "leaf.pem: OK\n")


def test_where_the_issuer_publishes_stands_in_the_certificate(tree: Callable[[KeyType], Tree]) -> None:
    """CRL distribution point, OCSP and the issuer's certificate; a root has none of them."""
    family = tree(KeyType.EC_P256)
    uri = x509.UniformResourceIdentifier
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri("http://pki.example.org/ocsp")),
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, uri("http://pki.example.org/ca/1.cer")),
    ]
    point = x509.DistributionPoint([uri("http://pki.example.org/crl/1.crl")], None, None, None)
    extensions = family.issuing.extensions
    assert extensions.get_extension_for_class(x509.AuthorityInformationAccess).value == (
        x509.AuthorityInformationAccess(access)
    )
    assert extensions.get_extension_for_class(x509.CRLDistributionPoints).value == x509.CRLDistributionPoints([point])
    assert {type(e.value) for e in family.root.extensions} == {
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
    }


@pytest.mark.parametrize(
    ("profile", "kind", "usages"),
    [
        (SERVER, KeyType.RSA_2048, {"digital_signature", "key_encipherment"}),
        (WORKLOAD, KeyType.RSA_2048, {"digital_signature", "key_encipherment"}),
        (OCSP_SIGNER, KeyType.RSA_2048, {"digital_signature"}),
        (CLIENT, KeyType.EC_P256, {"digital_signature"}),
        (CLIENT, KeyType.ED25519, {"digital_signature"}),
        (CLIENT, KeyType.ML_DSA_44, {"digital_signature"}),
        (ISSUING, KeyType.RSA_2048, {"key_cert_sign", "crl_sign"}),
        (ISSUING, KeyType.ML_DSA_44, {"key_cert_sign", "crl_sign"}),
    ],
)
def test_key_usage_follows_the_kind_of_key(profile: Profile, kind: KeyType, usages: set[str]) -> None:
    """RSA leaves may decipher, for TLS 1.2; nothing else can (RFC 8410 §5, RFC 9881 §5)."""
    every = {"digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"}
    every |= {"key_cert_sign", "crl_sign"}
    assert {usage for usage in every if getattr(profile.key_usage(kind), usage)} == usages


def test_ml_dsa_is_for_profiles_that_name_it() -> None:
    """No leaf profile has it by itself: TLS libraries do not verify it yet."""
    assert [profile.name for profile in PROFILES.values() if profile.key_types & keys.ML_DSA] == [
        "root",
        "intermediate",
        "issuing",
    ]
