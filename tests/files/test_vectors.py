"""Malformed and odd files: those of the cryptography_vectors package, and mutations of good ones."""

from __future__ import annotations

import json
import resource
import time
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.files.conftest import NOW, PASSPHRASE, crl_of, house_of, request_of

from handclasp.findings import Refused
from handclasp.pki import containers, describe, described_text, pkcs7, pkcs12
from handclasp.pki.keys import KeyType

ROOT = Path(cryptography_vectors.__file__).parent
FOLDERS = ["asymmetric", "pkcs7", "pkcs12", "x509/custom", "x509/requests", "x509/ocsp", "x509/PKITS_data/certs"]
FOLDERS += ["x509/PKITS_data/crls", "x509/PKITS_data/pkcs12", "x509"]
OTHERS = {".txt", ".rsp", ".py", ".pyc", ".md"}  # test vectors of ciphers and hashes, megabytes of text
SECONDS = 5


def files(folder: str) -> list[Path]:
    """The files below a folder; of x509 itself only those in it, of the PKCS#12 files of PKITS every tenth."""
    found = (ROOT / folder).glob("*" if folder == "x509" else "**/*")
    paths = sorted(path for path in found if path.is_file() and path.suffix not in OTHERS)
    return paths[::10] if folder.startswith("x509/PKITS_data/p") else paths  # 400 PKCS#12 files of one making


def looked_at(data: bytes, passphrase: bytes | None) -> str:
    """Read and describe it whole: the code of the refusal, or ``ok``. Anything else is a fault of ours."""
    try:
        found = containers.read(data, passphrase)
    except Refused as refused:
        assert refused.why and refused.fix
        return str(refused.code)
    described = describe.contents(found, now=NOW, whole=True)
    json.dumps(described)
    assert all(line.isprintable() for line in described_text.lines(described))
    return "ok"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_the_vectors(folder: str) -> None:
    """Each is read or refused with a code, in seconds, with and without a passphrase, and in little memory."""
    paths, slow = files(folder), []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in paths:
        begun = time.process_time()
        for passphrase in (None, b"password"):
            looked_at(path.read_bytes(), passphrase)
        if time.process_time() - begun > SECONDS:
            slow.append(path.name)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (slow, len(paths) > 5, grown < 200_000) == ([], True, True)


def test_many_of_the_vectors_are_read() -> None:
    """The test above would pass for a reader that refuses all."""
    answers = [looked_at(path.read_bytes(), b"password") for path in files("x509/PKITS_data/pkcs12")]
    assert answers.count("ok") > 0.95 * len(answers)


@cache
def seeds() -> tuple[bytes, ...]:
    """Good files of every form, small ones with few rounds."""
    house = house_of(KeyType.EC_P256)
    certificates = [one.public_bytes(Encoding.DER) for one in house.chain]
    crl = crl_of(house, 2)
    return (
        pkcs12.encode("orders", house.key, house.chain, PASSPHRASE),
        pkcs12.encode_trust_store([("a", house.root)], PASSPHRASE),
        pkcs7.encode(certificates, [crl.public_bytes(Encoding.DER)]),
        certificates[0],
        crl.public_bytes(Encoding.DER),
        request_of(house).public_bytes(Encoding.DER),
        house.key_pem + house.leaf.public_bytes(Encoding.PEM),
        (ROOT / "pkcs12/cert-rc2-key-3des.p12").read_bytes(),
        (ROOT / "pkcs12/cert-none-key-none.p12").read_bytes(),
        (ROOT / "asymmetric/PEM_Serialization/rsa_private_key.pem").read_bytes(),
        (ROOT / "asymmetric/PKCS8/enc-rsa-pkcs8.pem").read_bytes(),
    )


CHANGES = st.lists(
    st.tuples(st.sampled_from(("set", "cut", "insert", "repeat")), st.floats(0, 1), st.binary(min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, deadline=5000)
@given(st.integers(0, 10), CHANGES)
def test_mutations(which: int, changes: list[tuple[str, float, bytes]]) -> None:
    """Bytes set, cut, put in and repeated anywhere in good files: read or refused, nothing else."""
    data = seeds()[which]
    for change, where, with_ in changes:
        at = int(where * len(data))
        match change:
            case "set":
                data = data[:at] + with_ + data[at + len(with_) :]
            case "cut":
                data = data[:at] + data[at + with_[0] :]
            case "insert":
                data = data[:at] + with_ + data[at:]
            case _:
                data = data[:at] + data[at : at + 40] * (with_[0] % 8) + data[at:]
    looked_at(data, PASSPHRASE if which < 2 else b"cryptography" if which != 10 else b"foobar")


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    """Any bytes, bare and between the lines of PEM."""
    looked_at(data, PASSPHRASE)
    looked_at(b"0" + data, None)
