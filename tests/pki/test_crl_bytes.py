"""Revocation lists for every kind of key: the bytes that are signed, the shards, and the lint of both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.pki import der, issue, keys
from handclasp.pki.crl import Revoked, assemble_crl, prepare_crl
from handclasp.pki.crl_lint import lint_crl
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.profile import CLIENT, ROOT
from handclasp.pki.spiffe import SpiffeID, TrustDomain

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)
URL = "http://pki.example.org/crl/aa/3.crl"
REASONS = [reason for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.remove_from_crl]
KINDS = pytest.mark.parametrize("kind", list(KeyType))


@cache
def authority(kind: KeyType) -> tuple[PrivateKey, x509.Certificate]:
    """A key of that kind and a root certificate for it."""
    key = keys.generate(kind)
    subject = issue.authority_subject(ROOT, TrustDomain("example.org"), key.public_key())
    prepared = issue.prepare(
        ROOT, subject=subject, names=Names(), public_key=key.public_key(), issuer=None, serial=1 << 150, now=NOW
    )
    return key, issue.assemble(prepared, keys.sign(key, prepared.tbs))


def signed(
    kind: KeyType, entries: Sequence[Revoked], *, number: int = 7, url: str | None = None
) -> x509.CertificateRevocationList:
    key, certificate = authority(kind)
    prepared = prepare_crl(certificate, entries, number, NOW, DAY, url=url)
    return assemble_crl(prepared, keys.sign(key, prepared.tbs))


def by_cryptography(kind: KeyType, entries: Sequence[Revoked], number: int, url: str | None) -> bytes:
    """The bytes to be signed as the builder of cryptography writes them."""
    key, certificate = authority(kind)
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=certificate.subject,
        last_update=datetime(2026, 11, 21, 11, 59, tzinfo=UTC),
        next_update=datetime(2026, 11, 22, 12, tzinfo=UTC),
    )
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    ).add_extension(x509.CRLNumber(number), critical=False)
    if url is not None:
        point = x509.IssuingDistributionPoint(
            [x509.UniformResourceIdentifier(url)], None, False, False, None, False, False
        )
        builder = builder.add_extension(point, critical=True)
    for entry in sorted(entries, key=lambda entry: entry.serial):
        revoked = x509.RevokedCertificateBuilder(entry.serial, entry.at.replace(microsecond=0))
        if entry.reason is not x509.ReasonFlags.unspecified:
            revoked = revoked.add_extension(x509.CRLReason(entry.reason), critical=False)
        builder = builder.add_revoked_certificate(revoked.build())
    algorithm = keys.signature_algorithm(key.public_key())
    return builder.sign(key, algorithm.hash).tbs_certlist_bytes


ENTRIES = st.lists(
    st.builds(
        Revoked,
        serial=st.integers(1, (1 << 159) - 1),
        at=st.integers(0, 120 * 365 * 86_400_000).map(lambda ms: NOW.replace(year=1971) + timedelta(milliseconds=ms)),
        reason=st.sampled_from(REASONS),
    ),
    max_size=8,
    unique_by=lambda entry: entry.serial,
)


@settings(max_examples=60)
@given(ENTRIES, st.integers(0, (1 << 159) - 1), st.sampled_from([None, URL]))
def test_the_bytes_are_those_of_cryptography(entries: list[Revoked], number: int, url: str | None) -> None:
    """Whatever is on the list: what is signed is what the builder of cryptography would have signed."""
    _, certificate = authority(KeyType.EC_P256)
    found = prepare_crl(certificate, entries, number, NOW, DAY, url=url).tbs
    assert found == by_cryptography(KeyType.EC_P256, entries, number, url)


@KINDS
def test_every_kind_of_key_signs_lists(kind: KeyType) -> None:
    """The signature algorithm in the list is the key's, and the signature verifies with it."""
    entries = [Revoked(5, NOW), Revoked(6, NOW, x509.ReasonFlags.certificate_hold)]
    found = signed(kind, entries, url=URL)
    assert found.tbs_certlist_bytes == by_cryptography(kind, entries, 7, URL)
    assert [entry.serial_number for entry in found] == [5, 6]


@KINDS
@pytest.mark.parametrize("url", [None, URL], ids=["full", "shard"])
def test_pkilint_finds_nothing_in_lists(kind: KeyType, url: str | None, tmp_path: Path) -> None:
    """Full lists and shards, with and without a reason, are clean against pkilint's reading of RFC 5280."""
    entries = [Revoked(5, NOW), Revoked(6, NOW, x509.ReasonFlags.certificate_hold)]
    path = tmp_path / "one.crl"
    path.write_bytes(signed(kind, entries, url=url).public_bytes(Encoding.PEM))
    tool = Path(sys.executable).parent / "lint_crl"
    options = ["lint", "-t", "CRL", "-p", "PKIX", "-s", "NOTICE", "-f", "CSV", str(path)]
    done = subprocess.run([str(tool), *options], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("node_path,validator,severity,code,message", "")


def test_a_shard_names_its_distribution_point() -> None:
    """RFC 5280 §5.2.5: the IDP of a shard is critical and has the URL that the certificates have."""
    found = signed(KeyType.EC_P256, [], url=URL).extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert found.critical
    assert found.value.full_name == [x509.UniformResourceIdentifier(URL)]


def changed(tbs: bytes, change: str) -> bytes:
    """The list with one thing wrong."""
    (outer,) = der.elements(tbs)
    version, algorithm, name, this, following, revoked, extensions = (
        der.encode(one.tag, one.content) for one in der.elements(outer.content)
    )
    if change == "version":
        version = b"\x02\x01\x00"
    if change == "algorithm":
        algorithm = keys.signature_algorithm(authority(KeyType.EC_P384)[0].public_key()).identifier
    if change == "issuer":
        name = authority(KeyType.EC_P384)[1].subject.public_bytes()
    if change == "dates":
        this, following = following, this
    if change == "time":
        this = b"\x18\x0f20261121115900Z"
    if change == "empty":
        revoked = b"\x30\x00"
    if change == "order":
        one, two = (der.encode(e.tag, e.content) for e in der.elements(revoked[2:]))
        revoked = der.encode(der.SEQUENCE, two + one)
    if change == "reason":
        revoked = revoked.replace(b"\x0a\x01\x06", b"\x0a\x01\x08")
    if change == "no extensions":
        extensions = b""
    if change == "cut":
        extensions = extensions[:-3]
    fields = version + algorithm + name + this + following + revoked + extensions
    return der.encode(der.SEQUENCE, fields)


@pytest.mark.parametrize(
    "change",
    ["version", "algorithm", "issuer", "dates", "time", "empty", "order", "reason", "no extensions", "cut"],
)
def test_lint_finds_what_is_wrong(change: str) -> None:
    """Each change of a list that was right is found when it is read back, and the list itself is clean."""
    _, certificate = authority(KeyType.EC_P256)
    entries = [Revoked(5, NOW), Revoked(6, NOW, x509.ReasonFlags.certificate_hold)]
    tbs = prepare_crl(certificate, entries, 7, NOW, DAY).tbs
    assert lint_crl(tbs, certificate) == ()
    assert lint_crl(changed(tbs, change), certificate) != ()


def test_lint_compares_the_distribution_point() -> None:
    """A list of another shard, or of no shard, is not this shard's list."""
    _, certificate = authority(KeyType.EC_P256)
    full, shard = (prepare_crl(certificate, (), 7, NOW, DAY, url=url).tbs for url in (None, URL))
    assert lint_crl(full, certificate, url=URL) != ()
    assert lint_crl(shard, certificate) != ()
    assert lint_crl(shard, certificate, url=f"{URL}x") != ()
    assert lint_crl(shard, certificate, url=URL) == ()


def test_lint_refuses_who_may_not_sign_lists() -> None:
    """RFC 5280 §4.2.1.3: without cRLSign in its key usage, a certificate signs no list."""
    key, certificate = authority(KeyType.EC_P256)
    prepared = issue.prepare(
        CLIENT,
        subject=x509.Name([]),
        names=Names(SpiffeID(TrustDomain("example.org"), "alice")),
        public_key=key.public_key(),
        issuer=certificate,
        serial=1 << 151,
        now=NOW,
    )
    leaf = issue.assemble(prepared, keys.sign(key, prepared.tbs))
    findings = lint_crl(prepare_crl(certificate, (), 7, NOW, DAY).tbs, leaf)
    assert "its issuer's key may not sign revocation lists" in [finding.what for finding in findings]


def test_a_hundred_thousand_entries_are_not_quadratic() -> None:
    """Ten times the entries take about ten times as long, and each of them is on the list."""
    _, certificate = authority(KeyType.EC_P256)

    def took(count: int) -> float:
        entries = [Revoked((1 << 150) + n, NOW - timedelta(seconds=n)) for n in range(count)]
        started = datetime.now(UTC)
        prepare_crl(certificate, entries, 7, NOW, DAY)
        return (datetime.now(UTC) - started) / timedelta(seconds=1)

    few, many = min(took(10_000) for _ in range(3)), took(100_000)
    assert many < 40 * few
