"""What docs/reference.md says of profiles and limits by hand is what the code has."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.app.archive import FORMAT
from handclasp.authority import crl, ocsp
from handclasp.authority.records import AuthorityState, CertificateState
from handclasp.pki.keys import CLASSICAL, KeyType
from handclasp.pki.ocsp import MAX_CERTIFICATES
from handclasp.pki.profile import PROFILES, Presence, Profile
from handclasp.protocols.publish.connection import HEAD_SECONDS, MAX_HEAD
from handclasp.protocols.publish.site import MAX_REQUEST

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SOURCE = ROOT / "src" / "handclasp"

USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
}
KEYS = {CLASSICAL: "classical", frozenset(KeyType): "any"}


def row(profile: Profile) -> str:
    """The profile as the table has it."""
    kinds = {Presence.REQUIRED: ["SPIFFE ID required"], Presence.OPTIONAL: ["SPIFFE ID optional"], Presence.NONE: []}
    names = kinds[profile.spiffe_id] + ["DNS"] * profile.dns_names + ["IP"] * profile.ip_addresses
    usages = [USAGES[usage] for usage in profile.extended_key_usages]
    return (
        f"| `{profile.name}` | {days(profile.lifetime)} | {days(profile.max_lifetime)} | {KEYS[profile.key_types]} "
        f"| {', '.join(usages) or 'none'} | {', '.join(names) or 'none'} |"
    )


def days(span: timedelta) -> str:
    return f"{span // timedelta(days=1)}d"


def test_the_table_of_profiles() -> None:
    """Every built-in profile, its lifetimes, keys, usages and names."""
    part = REFERENCE.partition("<!-- profiles:")[2].partition("<!-- end of profiles -->")[0]
    assert sorted(re.findall(r"^\| `.*", part, re.MULTILINE)) == sorted(row(one) for one in PROFILES.values())


def test_every_kind_of_key_is_named() -> None:
    """Those that leaves have by default, and those that only profiles that name them have."""
    said = re.search(r"\*Classical\* are (.*?); \*any\* has (.*?) too", REFERENCE, re.DOTALL)
    assert said is not None
    classical, more = (frozenset(re.findall(r"`([^`]+)`", part)) for part in said.groups())
    assert (classical, more) == (CLASSICAL, frozenset(KeyType) - CLASSICAL)


@pytest.mark.parametrize(
    "says",
    [
        f"{MAX_REQUEST // 1024} KiB an OCSP request, for at most {MAX_CERTIFICATES} certificates",
        f"{MAX_HEAD // 1024} KiB of headers, in {HEAD_SECONDS:.0f} seconds",
        {timedelta(days=1): "A list is good for a day"}[crl.VALIDITY],
        {timedelta(hours=1): "An OCSP answer is good for an hour"}[ocsp.VALIDITY],
        {1: "A backup is a tar file, 0600: `manifest.json`, `ledger.db`"}[FORMAT],
    ],
)
def test_limits(says: str) -> None:
    """What is served is limited as it is said."""
    assert says in " ".join(REFERENCE.split())


@pytest.mark.parametrize("state", [*AuthorityState, *CertificateState])
def test_every_state_is_explained(state: str) -> None:
    """Of authorities and of certificates."""
    assert f"`{state}`" in REFERENCE


def test_every_variable_is_explained() -> None:
    """Each variable of the environment that the code names."""
    named = {
        name for path in SOURCE.rglob("*.py") for name in re.findall(r"HANDCLASP_[A-Z0-9_]*[A-Z0-9]", path.read_text())
    }
    assert named - set(re.findall(r"`?(HANDCLASP_[A-Z0-9_]*[A-Z0-9])", REFERENCE)) == set()
