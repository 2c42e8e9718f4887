"""Revocation lists: what is in them, and that openssl acts on them."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.pki import crl, keys, pem
from handclasp.pki.crl import Revoked, prepare_crl

if TYPE_CHECKING:
    from tests.pki.conftest import Family

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
MONTH = timedelta(days=30)


def revocation_list(family: Family, *entries: Revoked, number: int = 7) -> x509.CertificateRevocationList:
    prepared = prepare_crl(family.issuing, entries, number, NOW, MONTH)
    return crl.assemble_crl(prepared, keys.sign(family.issuing_key, prepared.tbs))


def test_a_list_carries_its_number_and_its_issuers_key(family: Family) -> None:
    """RFC 5280 §5.2: CRLNumber and AKI are in every list, neither critical, and nothing else is."""
    found = revocation_list(family)
    identifier = x509.SubjectKeyIdentifier.from_public_key(family.issuing_key.public_key())
    assert found.issuer == family.issuing.subject
    assert found.is_signature_valid(family.issuing_key.public_key())
    assert [(e.critical, e.value) for e in found.extensions] == [
        (False, x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)),
        (False, x509.CRLNumber(7)),
    ]


def test_a_list_is_valid_from_a_minute_ago(family: Family) -> None:
    """Clocks differ, and a list from the future refuses everybody."""
    found = revocation_list(family)
    assert (found.last_update_utc, found.next_update_utc) == (
        datetime(2026, 11, 21, 11, 59, 0, tzinfo=UTC),
        datetime(2026, 12, 21, 12, 0, 0, tzinfo=UTC),
    )


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.integers(1, (1 << 159) - 1),
        st.tuples(
            st.integers(0, 40 * 365 * 86400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
            st.sampled_from([r for r in x509.ReasonFlags if r is not x509.ReasonFlags.remove_from_crl]),
        ),
        max_size=8,
    )
)
def test_entries_survive_being_written_and_read(
    family: Family, revoked: dict[int, tuple[datetime, x509.ReasonFlags]]
) -> None:
    """Serial, second and reason of every entry are in the list, ordered by serial."""
    found = revocation_list(family, *(Revoked(s, at, reason) for s, (at, reason) in revoked.items()))
    assert [_read(entry) for entry in found] == [
        Revoked(serial, at.replace(microsecond=0), reason) for serial, (at, reason) in sorted(revoked.items())
    ]


def _read(entry: x509.RevokedCertificate) -> Revoked:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        reason = x509.ReasonFlags.unspecified
    return Revoked(entry.serial_number, entry.revocation_date_utc, reason)


def test_no_reason_is_left_unsaid_rather_than_unspecified(family: Family) -> None:
    """RFC 5280 §5.3.1: the reason "unspecified" is not written."""
    (entry,) = revocation_list(family, Revoked(5, NOW))
    assert list(entry.extensions) == []


def test_a_signature_by_another_key_makes_no_list(family: Family) -> None:
    """assemble_crl() verifies with the issuer's key."""
    prepared = prepare_crl(family.issuing, (), 1, NOW, MONTH)
    with pytest.raises(keys.WrongSignature):
        crl.assemble_crl(prepared, keys.sign(family.leaf_key, prepared.tbs))


@pytest.mark.parametrize(
    ("entries", "number", "now", "lifetime", "message"),
    [
        pytest.param([], 1, NOW.replace(tzinfo=None), MONTH, "now= has no time zone", id="naive clock"),
        pytest.param([], -1, NOW, MONTH, "number= must fit 20 octets", id="negative number"),
        pytest.param([], 1 << 159, NOW, MONTH, "number= must fit 20 octets", id="large number"),
        pytest.param([], 1, NOW, timedelta(0), "lifetime= must be at least a second", id="no lifetime"),
        pytest.param([Revoked(9, NOW)] * 2, 1, NOW, MONTH, "serial number 9 comes twice", id="twice"),
        pytest.param(
            [Revoked(9, NOW, x509.ReasonFlags.remove_from_crl)],
            1,
            NOW,
            MONTH,
            "removeFromCRL is a reason of delta lists only",
            id="removeFromCRL",
        ),
    ],
)
def test_what_makes_no_list_is_a_fault_of_the_program(
    *, family: Family, entries: list[Revoked], number: int, now: datetime, lifetime: timedelta, message: str
) -> None:
    """Arguments that no list can carry raise ValueError."""
    with pytest.raises(ValueError, match=message):
        prepare_crl(family.issuing, entries, number, now, lifetime)


def _openssl_verify(family: Family, directory: Path, certificate: x509.Certificate) -> tuple[int, str]:
    found = revocation_list(family, Revoked(family.client.serial_number, NOW, x509.ReasonFlags.key_compromise))
    files = {
        "root.pem": pem.pem(family.root),
        "issuing.pem": pem.pem(family.issuing),
        "leaf.pem": pem.pem(certificate),
        "crl.pem": found.public_bytes(Encoding.PEM),
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    command = ["openssl", "verify", "-x509_strict", "-crl_check", "-attime", str(int(NOW.timestamp()))]
    command += ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "crl.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_openssl_accepts_who_is_not_on_the_list(family: Family, tmp_path: Path) -> None:
    """openssl verify -crl_check finds the list for the issuer and lets the others pass."""
    assert _openssl_verify(family, tmp_path, family.server) == (0, "leaf.pem: OK\n")


def test_openssl_refuses_who_is_on_the_list(family: Family, tmp_path: Path) -> None:
    """openssl verify -crl_check names the revocation."""
    code, output = _openssl_verify(family, tmp_path, family.client)
    assert code != 0
    assert "error 23 at 0 depth lookup: certificate revoked" in output
