"""Java's old key stores, as keytool makes them, read and compared with what was put in."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.hazmat.primitives.serialization import pkcs12 as library
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.findings import Code, Refused
from handclasp.pki import containers, jks, sequence
from handclasp.pki.pbe import Budget, Unopenable, WrongPassphrase
from handclasp.testing.chains import make

PASSPHRASE = b"changeit"
KINDS = pytest.mark.parametrize("kind", ["JKS", "JCEKS"])
_ROOT = make("Root", authority=True)
_LEAF = make("client", _ROOT)


@dataclass(frozen=True)
class Store:
    """A store with one key and its chain under ``client``, and one trusted certificate under ``root``."""

    data: bytes


def _keytool(*arguments: str) -> None:
    subprocess.run(["keytool", *arguments], check=True, capture_output=True)


@cache
def store(kind: str) -> Store:
    with TemporaryDirectory() as name:
        folder = Path(name)
        packed = library.serialize_key_and_certificates(
            b"client", _LEAF.key, _LEAF.certificate, [_ROOT.certificate], BestAvailableEncryption(PASSPHRASE)
        )
        (folder / "in.p12").write_bytes(packed)
        (folder / "root.pem").write_bytes(_ROOT.certificate.public_bytes(Encoding.PEM))
        out = str(folder / "out")
        _keytool(
            "-importkeystore", "-noprompt", "-srckeystore", str(folder / "in.p12"), "-srcstoretype", "PKCS12",
            "-srcstorepass", "changeit", "-destkeystore", out, "-deststoretype", kind, "-deststorepass", "changeit",
        )  # fmt: skip
        _keytool(
            "-importcert", "-noprompt", "-alias", "root", "-file", str(folder / "root.pem"), "-keystore", out,
            "-storetype", kind, "-storepass", "changeit",
        )  # fmt: skip
        return Store((folder / "out").read_bytes())


@KINDS
def test_a_store_of_keytool_opens(kind: str) -> None:
    """Key, chain and trusted certificate come back as they were put in, under their aliases."""
    found = containers.read(store(kind).data, PASSPHRASE)
    assert found.form == kind
    assert [(one.certificate, one.name, one.trusted) for one in _sorted(found)] == [
        (_ROOT.certificate, None, False),
        (_LEAF.certificate, "client", False),
        (_ROOT.certificate, "root", True),
    ]
    (key,) = found.keys
    assert key.key is not None
    assert (sequence.spki_of(key.key), key.encrypted, key.name) == (sequence.spki_of(_LEAF.key), True, "client")


def _sorted(found: containers.Contents) -> list[containers.FoundCertificate]:
    return sorted(found.certificates, key=lambda one: one.name or "")


@KINDS
def test_certificates_need_no_passphrase(kind: str) -> None:
    """Without one the certificates are read, and the key is told of but not opened."""
    found = containers.read(store(kind).data)
    assert len(found.certificates) == 3
    assert [(one.key, one.encrypted) for one in found.keys] == [(None, True)]


@KINDS
def test_a_wrong_passphrase_is_refused(kind: str) -> None:
    """The digest of the store tells it."""
    with pytest.raises(Refused) as caught:
        containers.read(store(kind).data, b"wrong")
    assert caught.value.code is Code.FILE_PASSPHRASE_WRONG


@KINDS
def test_a_changed_store_is_refused_with_the_passphrase(kind: str) -> None:
    """One bit of a certificate changed: the digest is no longer that of the store."""
    data = bytearray(store(kind).data)
    data[len(data) // 2] ^= 1
    with pytest.raises(WrongPassphrase):
        jks.decode(bytes(data), PASSPHRASE)


def test_the_rounds_that_a_key_asks_for_are_paid_for() -> None:
    """A JCEKS key is opened only as long as the budget lasts."""
    with pytest.raises(Unopenable):
        jks.decode(store("JCEKS").data, PASSPHRASE, Budget(rounds=10))


def test_the_key_is_a_private_key_info() -> None:
    """What is opened is PKCS#8."""
    (bag,) = jks.decode(store("JKS").data, PASSPHRASE).keys
    key = load_der_private_key(bag.der, None)
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert key.private_bytes(*form) == _LEAF.key.private_bytes(*form)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello", "it is no key store of Java"),
        (b"\xfe\xed\xfe\xed", "the key store is cut off"),
        (b"\xfe\xed\xfe\xed\0\0\0\x07\0\0\0\0", "its version is 7, and 1 and 2 are known"),
        (
            b"\xfe\xed\xfe\xed\0\0\0\x02\xff\xff\xff\xff",
            "it says that it holds 4294967295 entries, and 20000 are the most",
        ),
        (
            b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01\0\0\0\x09\0\0" + bytes(8),
            "an entry is of the kind 9, which is not known",
        ),
        (b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\0", "the key store is cut off"),
    ],
    ids=["another thing", "magic only", "version", "count", "entry", "no digest"],
)
def test_what_is_no_store(data: bytes, why: str) -> None:
    """Each is refused with its reason."""
    with pytest.raises(ValueError, match=why):
        jks.decode(data, None)


@settings(deadline=None)  # two hundred thousand rounds, where the octets are the same as before
@given(st.sampled_from(["JKS", "JCEKS"]), st.integers(0, 3000), st.binary(min_size=1, max_size=8), st.booleans())
def test_any_damage_is_told_in_one_way(kind: str, at: int, noise: bytes, closed: bool) -> None:
    """Octets replaced anywhere: it is read, or refused; nothing else is raised."""
    data = store(kind).data
    at %= len(data)
    damaged = data[:at] + noise + data[at + len(noise) :]
    try:
        found = containers.read(damaged, None if closed else PASSPHRASE)
    except Refused:
        return
    assert all(isinstance(one.certificate, x509.Certificate) for one in found.certificates)
