"""`doctor --files`: the verdict on a heap of files."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.diagnosis import Candidate, Severity
from handclasp.doctor.files.examine import examine
from handclasp.doctor.sources import Source
from handclasp.findings import Code
from handclasp.testing.chains import AT, CLIENT, SERVER, Holder, make, make_crl

ROOT = make("Root", authority=True)
ISSUING = make("Issuing", ROOT, authority=True)
PAST = AT - timedelta(1)
NAMES = (x509.DNSName("api.example"),)
LEAF = make("client", ISSUING, ends=AT + timedelta(200), usages=(CLIENT,))
SERVING = make("api.example", ISSUING, ends=AT + timedelta(200), usages=(SERVER,), names=NAMES)


def pem(*holders: Holder) -> bytes:
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders)


def key(holder: Holder) -> Source:
    text = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Source("leaf.key", text, mode=0o600)


def leaf(**differs: object) -> Holder:
    """A client's or server's leaf of the issuing authority that differs in something."""
    usual: dict[str, object] = {"ends": AT + timedelta(200), "usages": (CLIENT,)}
    return make("leaf", ISSUING, **{**usual, **differs})  # type: ignore[arg-type]  # named as there


def judged(holder: Holder, *others: Source) -> list[tuple[Code, Severity]]:
    """The findings on a whole credential of this leaf, and other files."""
    found = examine([Source("leaf.pem", pem(holder, ISSUING)), key(holder), *others], AT)
    return [(one.code, one.severity) for one in found.findings]


@pytest.mark.parametrize("holder", [LEAF, SERVING], ids=["client", "server"])
def test_sound_files(holder: Holder) -> None:
    """OK, with what was found and what belongs to what."""
    found = examine([Source("leaf.pem", pem(holder, ISSUING)), key(holder), Source("ca.pem", pem(ROOT))], AT)
    side, name = ("client", "client") if holder is LEAF else ("server", "api.example")
    assert (found.code, found.exit_code, found.findings) == (Code.OK, 0, ())
    assert [(one.tried, one.seen) for one in found.evidence] == [
        ("read leaf.pem", "PEM: 2 certificates"),
        ("read leaf.key", "PEM: 1 private key"),
        ("read ca.pem", "PEM: 1 certificate"),
        (
            "put keys, certificates and issuers together",
            f"a {side}'s certificate with its private key: CN={name} < CN=Issuing < CN=Root",
        ),
    ]


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (leaf(ends=AT - timedelta(1)), (Code.CLIENT_CERT_EXPIRED, Severity.ERROR)),
        (leaf(begins=AT + timedelta(1)), (Code.CLIENT_CERT_NOT_YET_VALID, Severity.ERROR)),
        (leaf(begins=AT - timedelta(300), ends=AT + timedelta(20)), (Code.CLIENT_CERT_EXPIRES_SOON, Severity.WARNING)),
        (leaf(begins=AT - timedelta(7), ends=AT + timedelta(2)), (Code.CLIENT_CERT_EXPIRES_SOON, Severity.WARNING)),
        (leaf(usages=()), (Code.CLIENT_CERT_WRONG_EKU, Severity.WARNING)),
        (leaf(usages=(ExtendedKeyUsageOID.CODE_SIGNING,)), (Code.CLIENT_CERT_WRONG_EKU, Severity.ERROR)),
        (leaf(usages=(SERVER,)), (Code.SERVER_CERT_NO_SAN, Severity.ERROR)),
        (leaf(usages=(SERVER,), names=NAMES, ends=AT - timedelta(1)), (Code.SERVER_CERT_EXPIRED, Severity.ERROR)),
        (leaf(usages=(SERVER, CLIENT), names=NAMES, ends=PAST), (Code.SERVER_CERT_EXPIRED, Severity.ERROR)),
        (
            leaf(key=rsa.generate_private_key(65537, 1024), hash_=SHA256()),
            (Code.CLIENT_KEY_TOO_WEAK, Severity.ERROR),
        ),
    ],
    ids=[
        "expired", "not yet", "soon", "the last third of a short life", "no usage", "another usage", "no name",
        "a server's, expired", "both usages and a host name", "weak key",
    ],
)  # fmt: skip
def test_a_leaf_with_one_fault(holder: Holder, expected: tuple[Code, Severity]) -> None:
    """One fault, one finding, in the codes of the side whose certificate it is."""
    assert judged(holder) == [expected]


def test_an_intermediate_in_another_file() -> None:
    """The chain is incomplete, and the command that makes it whole names both files."""
    files = [
        Source("d/leaf.pem", pem(LEAF)),
        key(LEAF),
        Source("d/ca.pem", pem(ISSUING)),
        Source("root.pem", pem(ROOT)),
    ]
    found = examine(files, AT)
    assert found.candidates == (
        Candidate(
            Code.CLIENT_CHAIN_INCOMPLETE, "d/leaf.pem: the intermediate CN=Issuing is not in it, but in d/ca.pem"
        ),
    )
    assert found.findings[0].fixes[0].commands == ("cat d/leaf.pem d/ca.pem > d/chain.pem",)


def test_two_authorities_of_one_name() -> None:
    """The authority in the files has the issuer's name and another key."""
    twin = make("Issuing", ROOT, authority=True)
    found = examine([Source("leaf.pem", pem(LEAF)), key(LEAF), Source("ca.pem", pem(ROOT, twin))], AT)
    assert found.code is Code.CLIENT_CERT_CA_NAME_COLLISION


def test_a_self_signed_leaf() -> None:
    """It is told as self-signed."""
    lone = make("me", ends=AT + timedelta(200), usages=(CLIENT,))
    found = examine([Source("leaf.pem", pem(lone)), key(lone)], AT)
    assert [one.code for one in found.candidates] == [Code.CLIENT_CERT_SELF_SIGNED]


def test_a_key_of_another_certificate() -> None:
    """The one key does not belong to the one leaf: a mismatch, not a key without a certificate."""
    found = examine([Source("leaf.pem", pem(SERVING, ISSUING)), key(LEAF)], AT)
    assert found.code is Code.SERVER_KEY_MISMATCH


@pytest.mark.parametrize(
    ("crl", "expected"),
    [
        (make_crl(ISSUING, ends=AT - timedelta(minutes=1)), (Code.SERVER_CRL_EXPIRED, Severity.ERROR)),
        (make_crl(ISSUING, key=ROOT.key), (Code.CHAIN_CRL_INVALID, Severity.ERROR)),
        (make_crl(ISSUING, [LEAF.certificate]), (Code.CLIENT_CERT_REVOKED, Severity.ERROR)),
    ],
    ids=["out of date", "of another key", "revokes the leaf"],
)
def test_revocation_lists(crl: x509.CertificateRevocationList, expected: tuple[Code, Severity]) -> None:
    """A list is judged by itself, and the leaf by the list."""
    assert judged(LEAF, Source("crl.pem", crl.public_bytes(Encoding.PEM))) == [expected]


def test_an_expired_authority_in_a_bundle() -> None:
    """A warning, since others in the bundle may do."""
    old = make("Old", authority=True, ends=AT - timedelta(1))
    expected = [(Code.CLIENT_CHAIN_EXPIRED, Severity.WARNING)]
    assert judged(LEAF, Source("ca.pem", pem(ROOT, old))) == expected


def test_the_parts_of_a_kubernetes_secret() -> None:
    """They come as files of their own, and belong together."""
    parts = [Source("tls.yaml/tls.crt", pem(LEAF, ISSUING)), Source("tls.yaml/tls.key", key(LEAF).data)]
    assert examine(parts, AT).code is Code.OK


def test_an_exposed_key_comes_last() -> None:
    """What breaks the handshake is the verdict; the exposed key is a finding after it."""
    late = leaf(ends=AT - timedelta(1))
    files = [Source("leaf.pem", pem(late, ISSUING)), Source("leaf.key", key(late).data, mode=0o644)]
    assert [one.code for one in examine(files, AT).candidates] == [Code.CLIENT_CERT_EXPIRED, Code.FILE_KEY_EXPOSED]


@pytest.mark.parametrize("files", [[], [Source("x.pem", b"", unreadable="no such file")]], ids=["none", "unreadable"])
def test_nothing_to_examine(files: list[Source]) -> None:
    """Exit code 2 where no file could be read."""
    assert examine(files, AT).exit_code == 2


def test_no_secret_in_the_answer() -> None:
    """Nothing of a key is in the JSON, whatever is wrong with its file."""
    broken = Source("leaf.key", key(LEAF).data.replace(b"\n", b"\\n"), mode=0o777)
    shown = str(examine([broken, Source("app.json", broken.data)], AT, b"passphrase").as_json())
    body = key(LEAF).data.decode().splitlines()[1:-1]
    assert not any(line in shown for line in [*body, "passphrase'"])


@given(st.lists(st.binary(max_size=100), max_size=3), st.sampled_from([b"", pem(LEAF), key(LEAF).data, LEAF.der]))
def test_any_octets(noise: list[bytes], beside: bytes) -> None:
    """There is always a verdict, whatever stands in the files."""
    files = [Source(f"{index}.pem", beside + one) for index, one in enumerate(noise)]
    assert examine(files, AT, b"x").candidates
