"""What others say about our certificates: openssl and pkilint."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.pki import crl, keys, pem
from handclasp.pki.crl import Revoked

if TYPE_CHECKING:
    from tests.pki.conftest import Family

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NAMES = pytest.mark.parametrize("name", ["root", "issuing", "server", "client", "long-named"])

# Findings of pkilint that are its own mistakes, each with the reason. Nothing else is let through.
PKILINT_IS_WRONG = {
    # It asks validators.url(), which knows a short list of schemes; spiffe:// is a URI by RFC 3986.
    ("pkix.invalid_uri_syntax", 'Invalid URI syntax: "spiffe://'),
    # It wants two labels. RFC 1034 §3.5 allows one, and RFC 6761 §6.3 reserves this one.
    ("pkix.invalid_domain_name_syntax", 'Invalid domain name syntax: "localhost"'),
}


def pkilint_findings(command: list[str], path: Path) -> list[str]:
    """The findings of severity NOTICE and above that are not on the list of pkilint's mistakes."""
    options = ["-s", "NOTICE", "-f", "CSV", str(path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    header, *findings = done.stdout.strip().splitlines()
    assert header == "node_path,validator,severity,code,message"
    return [line for line in findings if not _excepted(line)]


def _excepted(line: str) -> bool:
    unquoted = line.replace('""', '"')
    return any(f",{code}," in unquoted and message in unquoted for code, message in PKILINT_IS_WRONG)


def tool(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


@NAMES
def test_pkilint_finds_nothing(family: Family, tmp_path: Path, name: str) -> None:
    """Every kind of certificate is clean against pkilint's reading of RFC 5280."""
    path = tmp_path / "one.pem"
    path.write_bytes(pem.pem(family.certificates()[name]))
    assert pkilint_findings([tool("lint_pkix_cert"), "lint"], path) == []


def test_pkilint_finds_nothing_in_a_revocation_list(family: Family, tmp_path: Path) -> None:
    """A list with entries is clean against pkilint's reading of RFC 5280."""
    entries = [Revoked(5, NOW), Revoked(6, NOW, x509.ReasonFlags.key_compromise)]
    prepared = crl.prepare_crl(family.issuing, entries, 1, NOW, timedelta(days=30))
    signed = crl.assemble_crl(prepared, keys.sign(family.issuing_key, prepared.tbs))
    path = tmp_path / "one.crl"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    assert pkilint_findings([tool("lint_crl"), "lint", "-t", "CRL", "-p", "PKIX"], path) == []


@pytest.mark.parametrize(
    ("name", "purpose"),
    [("server", "sslserver"), ("client", "sslclient"), ("long-named", "sslclient")],
)
def test_openssl_verifies_the_chain(
    family: Family, tmp_path: Path, openssl_verify: Callable[..., tuple[int, str]], name: str, purpose: str
) -> None:
    """openssl verify accepts leaf, issuing CA and root for the leaf's purpose, in its strict mode."""
    certificate = family.certificates()[name]
    assert openssl_verify(certificate, family.issuing, purpose, tmp_path) == (0, "leaf.pem: OK\n")


@pytest.mark.parametrize(("name", "purpose"), [("server", "sslclient"), ("client", "sslserver")])
def test_openssl_accepts_no_leaf_for_the_other_purpose(
    family: Family, tmp_path: Path, openssl_verify: Callable[..., tuple[int, str]], name: str, purpose: str
) -> None:
    """A server's certificate is no client's, and the other way round."""
    code, output = openssl_verify(family.certificates()[name], family.issuing, purpose, tmp_path)
    assert code != 0
    assert "unsuitable certificate purpose" in output


@NAMES
def test_openssl_reads_back_the_same_certificate(family: Family, tmp_path: Path, name: str) -> None:
    """openssl x509 parses what was assembled and writes the same DER."""
    certificate = family.certificates()[name]
    (tmp_path / "one.pem").write_bytes(pem.pem(certificate))
    command = ["openssl", "x509", "-in", str(tmp_path / "one.pem"), "-outform", "DER"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == certificate.public_bytes(Encoding.DER)
