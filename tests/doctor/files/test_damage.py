"""Damage to PEM files, and OpenSSL's own word on each."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.diagnosis import Severity
from handclasp.doctor.files.damage import damages, is_markup
from handclasp.testing.chains import Holder, make

_ROOT = make("Root", authority=True)
_ISSUING = make("Issuing", _ROOT, authority=True)
_LEAF = make("client", _ISSUING)


def pem(holder: Holder) -> bytes:
    return holder.certificate.public_bytes(Encoding.PEM)


LEAF, ISSUING = pem(_LEAF), pem(_ISSUING)
CHAIN = LEAF + ISSUING
HARMFUL = {
    "CR alone": CHAIN.replace(b"\n", b"\r"),
    "no newline between blocks": LEAF.rstrip() + ISSUING,
    "leading spaces": b"".join(b"  " + line + b"\n" for line in CHAIN.splitlines()),
    "empty line inside": LEAF.replace(b"\n", b"\n\n", 3) + ISSUING,
    "one line": LEAF.replace(b"\n", b" "),
    "cut off": LEAF[:-10],
    "escaped newlines": LEAF.replace(b"\n", b"\\n"),
    "another label at the end": LEAF.replace(b"END CERTIFICATE", b"END X") + ISSUING,
    "UTF-16": CHAIN.decode().encode("utf-16"),
    "not base64": LEAF[:100] + b"!" + LEAF[101:] + ISSUING,
    "not base64 in the second": LEAF + ISSUING[:100] + b"!" + ISSUING[101:],
    "four hyphens": LEAF.replace(b"-----BEGIN", b"----BEGIN") + ISSUING,
    "second cut off": LEAF + ISSUING[:-300],
    "quoted": b'"' + LEAF + b'"' + ISSUING,
    "NUL": LEAF.replace(b"\n", b"\n\x00", 1) + ISSUING,
}
HARMLESS = {
    "as it should be": CHAIN,
    "CR LF": CHAIN.replace(b"\n", b"\r\n"),
    "UTF-8 BOM": b"\xef\xbb\xbf" + CHAIN,
    "UTF-8 BOM between": LEAF + b"\xef\xbb\xbf" + ISSUING,
    "no newline at the end": CHAIN.rstrip(),
    "trailing spaces": CHAIN.replace(b"\n", b"  \n"),
    "text around": b"Subject: a\n" + LEAF + b"\nSubject: b\n" + ISSUING,
    "other label for certificates": CHAIN.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
}


def loads(data: bytes, folder: Path) -> bool:
    """Whether OpenSSL takes it as a certificate file, of all of its certificates."""
    (folder / "cert.pem").write_bytes(data)
    (folder / "key.pem").write_bytes(_LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except ssl.SSLError:
        return False
    return True


@pytest.mark.parametrize("name", HARMFUL)
def test_what_openssl_does_not_read_is_an_error(name: str, tmp_path: Path) -> None:
    """Each kind of damage is found as an error, and OpenSSL really refuses the file."""
    severities = {one.severity for one in damages("chain.pem", HARMFUL[name])}
    assert (Severity.ERROR in severities, loads(HARMFUL[name], tmp_path)) == (True, False)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_openssl_reads_is_no_error(name: str, tmp_path: Path) -> None:
    """What is only unusual is at most a warning, and OpenSSL reads it."""
    severities = {one.severity for one in damages("chain.pem", HARMLESS[name])}
    assert (Severity.ERROR in severities, loads(HARMLESS[name], tmp_path)) == (False, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "no newline between blocks",
            [(LEAF.count(b"\n"), "handclasp convert chain.pem --to pem --out chain.fixed.pem")],
        ),
        ("CR alone", [(1, r"tr '\r' '\n' < chain.pem > chain.fixed.pem")]),
        ("UTF-16", [(1, "iconv -f UTF-16 -t US-ASCII chain.pem > chain.fixed.pem")]),
        ("escaped newlines", [(1, r"sed 's/\\n/\n/g' chain.pem > chain.fixed.pem")]),
        ("second cut off", [(LEAF.count(b"\n") + 1, "handclasp inspect chain.pem")]),
    ],
)
def test_line_and_command(name: str, told: list[tuple[int, str]]) -> None:
    """The damage is told with its line and the command that mends it."""
    assert [(one.line, one.fix.commands[0]) for one in damages("chain.pem", HARMFUL[name])] == told


def test_der_has_no_damage_of_text() -> None:
    """DER is not read as text."""
    assert damages("leaf.der", _LEAF.der) == ()


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><p>", b"\xef\xbb\xbf \n<HTML>", b"<?xml version='1.0'?>"])
def test_a_web_page_is_known(data: bytes) -> None:
    """Whatever the capitals and the white space before it."""
    assert is_markup(data)


@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_octets(noise: bytes, where: int) -> None:
    """No octets raise anything, and the answer is bounded."""
    parts = [b"", LEAF, b"-----BEGIN ", ISSUING]
    parts.insert(where, noise)
    assert len(damages("any", b"".join(parts))) <= 20
