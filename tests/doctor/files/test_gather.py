"""The files of one side, put together."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.diagnosis import Severity, Side
from handclasp.doctor.files.gather import Gathered, gather
from handclasp.doctor.sources import Credentials, Source
from handclasp.findings import Code
from handclasp.pki import sequence
from handclasp.testing.chains import AT, Holder, make, make_crl

ROOT = make("Root", authority=True)
ISSUING = make("Issuing", ROOT, authority=True)
LEAF = make("client", ISSUING)
OTHER = make("other", ISSUING)


def pem(*holders: Holder) -> bytes:
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders)


def key_of(holder: Holder, passphrase: bytes | None = None) -> bytes:
    closed = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    text: bytes = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed)
    return text


def of(
    *files: Source, trust: Source | None = None, side: Side = Side.CLIENT, passphrase: bytes | None = None
) -> Gathered:
    return gather(Credentials(files, () if trust is None else (trust,), passphrase=passphrase), side, AT)


def told(found: Gathered) -> list[tuple[Code, Severity, str]]:
    return [(one.code, one.severity, one.where) for one in found.ailments]


CHAIN = Source("client.pem", pem(LEAF, ISSUING))
KEY = Source("client.key", key_of(LEAF), mode=0o600)
BUNDLE = Source("ca.pem", pem(ROOT))


def test_a_sound_credential() -> None:
    """Key, chain in the file's order, all that is known, and the authorities; nothing is wrong."""
    found = of(CHAIN, KEY, trust=BUNDLE)
    assert found.key is not None
    assert (sequence.spki_of(found.key), found.sent, found.known, found.trust, found.ailments) == (
        sequence.spki_of(LEAF.key),
        (LEAF.certificate, ISSUING.certificate),
        (LEAF.certificate, ISSUING.certificate, ROOT.certificate),
        (ROOT.certificate,),
        (),
    )


def test_authorities_among_the_files() -> None:
    """Without a trust store the bundles among the files are it, and the root in the leaf's own file is not."""
    assert of(Source("all.pem", pem(LEAF, ISSUING, ROOT)), KEY).trust == ()
    assert of(CHAIN, KEY, BUNDLE).trust == (ROOT.certificate,)


def test_the_leaf_of_a_store_comes_first() -> None:
    """PKCS#12 pairs by key: its order does not matter."""
    data = pkcs12.serialize_key_and_certificates(
        b"x", LEAF.key, LEAF.certificate, [ROOT.certificate, ISSUING.certificate], BestAvailableEncryption(b"secret")
    )
    found = of(Source("client.p12", data), passphrase=b"secret")
    assert (found.sent, found.ailments) == ((LEAF.certificate, ISSUING.certificate, ROOT.certificate), ())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([CHAIN, Source("other.key", key_of(OTHER))], (Code.CLIENT_KEY_MISMATCH, Severity.ERROR, "other.key")),
        ([Source("x.pem", pem(ISSUING, LEAF)), KEY], (Code.FILE_CHAIN_ORDER, Severity.ERROR, "x.pem")),
        ([Source("x.pem", pem(LEAF, ROOT, ISSUING)), KEY], (Code.FILE_CHAIN_ORDER, Severity.WARNING, "x.pem")),
        ([CHAIN, Source("k.key", key_of(LEAF, b"pw"))], (Code.CLIENT_KEY_PASSPHRASE, Severity.ERROR, "k.key")),
        ([CHAIN, Source("k.key", b"", unreadable="denied")], (Code.CLIENT_FILE_UNREADABLE, Severity.ERROR, "k.key")),
        ([Source("x.pem", LEAF.der), KEY], (Code.CLIENT_FILE_NOT_PEM, Severity.ERROR, "x.pem")),
        ([Source("x.crt", LEAF.der), KEY], (Code.CLIENT_FILE_NOT_PEM, Severity.WARNING, "x.crt")),
        ([Source("x.crt", b"<html>"), KEY], (Code.CLIENT_FILE_NOT_PEM, Severity.ERROR, "x.crt")),
        ([Source("x.pem", pem(LEAF).rstrip() + pem(ISSUING)), KEY], (Code.FILE_DAMAGED, Severity.ERROR, "x.pem")),
        ([CHAIN, Source("k.key", key_of(LEAF) + key_of(OTHER))], (Code.FILE_TWO_KEYS, Severity.ERROR, "k.key")),
        ([CHAIN, KEY, Source("o.key", key_of(OTHER))], (Code.FILE_KEY_UNPAIRED, Severity.WARNING, "o.key")),
        ([CHAIN, Source("k.key", key_of(LEAF), mode=0o644)], (Code.FILE_KEY_EXPOSED, Severity.ERROR, "k.key")),
        ([CHAIN, Source("k.key", key_of(LEAF), mode=0o640)], (Code.FILE_KEY_EXPOSED, Severity.WARNING, "k.key")),
        (
            [CHAIN, Source("k.key", key_of(LEAF), mode=0o640, group="users")],
            (Code.FILE_KEY_EXPOSED, Severity.ERROR, "k.key"),
        ),
        (
            [Source("app.yaml", b"key: |\n  " + key_of(LEAF).replace(b"\n", b"\n  ")), CHAIN],
            (Code.FILE_KEY_IN_CONFIG, Severity.ERROR, "app.yaml"),
        ),
        (
            [Source("x.pem", key_of(LEAF).replace(b"PRIVATE KEY", b"CERTIFICATE")), CHAIN],
            (Code.FILE_DAMAGED, Severity.ERROR, "x.pem"),
        ),
    ],
    ids=[
        "mismatch", "issuer first", "root before issuer", "passphrase", "unreadable", "DER in .pem", "DER in .crt",
        "HTML", "no newline", "two keys", "unpaired", "for all", "for a group", "for a wide group",
        "in a configuration", "wrong label",
    ],
)  # fmt: skip
def test_what_is_wrong(files: list[Source], expected: tuple[Code, Severity, str]) -> None:
    """One fault, one ailment with the file, and a command to mend it."""
    found = of(*files)
    assert told(found) == [expected]
    assert found.ailments[0].fixes[0].commands


def test_a_wrong_passphrase_leaves_the_certificates() -> None:
    """The key stays closed, and what stands beside it is read."""
    found = of(Source("all.pem", pem(LEAF, ISSUING) + key_of(LEAF, b"right")), passphrase=b"wrong")
    assert (found.key, found.sent, told(found)) == (
        None,
        (LEAF.certificate, ISSUING.certificate),
        [(Code.CLIENT_KEY_PASSPHRASE, Severity.ERROR, "all.pem")],
    )


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"hello", LEAF.der, key_of(LEAF)], ids=["empty", "html", "words", "no authority", "key"]
)
def test_a_trust_store_that_is_none(data: bytes) -> None:
    """Whatever is no PEM of certificates is told as an unusable trust store."""
    found = of(CHAIN, KEY, trust=Source("ca.pem", data))
    assert told(found) == [(Code.TRUST_STORE_UNREADABLE, Severity.ERROR, "ca.pem")]


def test_the_codes_of_a_server() -> None:
    """A server's key that does not belong has the server's code."""
    found = of(CHAIN, Source("other.key", key_of(OTHER)), side=Side.SERVER)
    assert told(found) == [(Code.SERVER_KEY_MISMATCH, Severity.ERROR, "other.key")]


def test_of_a_certificate_and_its_renewal_the_one_in_date() -> None:
    """One key, two certificates: the expired one is not sent."""
    old = make("client", ISSUING, key=LEAF.key, begins=AT - timedelta(9), ends=AT - timedelta(1))
    assert of(Source("old.pem", pem(old)), CHAIN, KEY).sent == (LEAF.certificate, ISSUING.certificate)


def test_revocation_lists_are_found_anywhere() -> None:
    """Those given as such and those beside certificates."""
    crl = make_crl(ISSUING)
    lists = Source("crl.pem", crl.public_bytes(Encoding.PEM))
    assert gather(Credentials((CHAIN, KEY), crls=(lists,)), Side.CLIENT, AT).crls == (crl,)


def test_no_secret_is_shown() -> None:
    """The repr of what was gathered has nothing of the key."""
    shown = repr(of(CHAIN, Source("other.key", key_of(OTHER))))
    assert not any(line in shown for line in key_of(OTHER).decode().splitlines())


@given(st.lists(st.binary(max_size=200), max_size=3), st.sampled_from([b"", pem(LEAF), key_of(LEAF), LEAF.der]))
def test_any_octets(noise: list[bytes], beside: bytes) -> None:
    """Nothing raises, whatever stands in the files."""
    files = [Source(f"{index}.pem", one + beside) for index, one in enumerate(noise)]
    found = gather(Credentials(files, files, files, b"x"), Side.SERVER, AT)
    assert len(found.sent) <= 100


def test_a_java_store_is_opened(tmp_path: Path) -> None:
    """Key and leaf of a JKS that keytool made; a store is expected under its own ending."""
    made = tmp_path / "client.jks"
    subprocess.run(
        ["keytool", "-genkeypair", "-alias", "c", "-keyalg", "EC", "-dname", "CN=c", "-storetype", "JKS",
         "-storepass", "changeit", "-keypass", "changeit", "-keystore", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    found = of(Source("client.jks", made.read_bytes()), passphrase=b"changeit")
    assert found.key is not None
    assert ([sequence.certified(one) for one in found.sent], found.ailments) == ([sequence.spki_of(found.key)], ())
