"""Private keys under a passphrase: against the openssl command, the published vectors, and files that lie."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handclasp.pki import der, pkcs8
from handclasp.pki.keys import ML_DSA, KeyType, PrivateKey, generate, private_pem
from handclasp.pki.pkcs8 import Encryption, PassphraseMissing, PassphraseWrong

PASSPHRASE = "an uncommon Wörd".encode()
VECTORS = Path(cryptography_vectors.__file__).parent
MALFORMED = sorted(
    path
    for folder in ("PKCS8", "PEM_Serialization", "Traditional_OpenSSL_Serialization", "DER_Serialization", "EC", "RSA")
    for path in (VECTORS / "asymmetric" / folder).glob("**/*")
    if path.suffix in {".pem", ".der"}
)


def quick(passphrase: bytes = PASSPHRASE, *, n: int = 16, r: int = 1, p: int = 1) -> Encryption:
    return Encryption(passphrase, os.urandom(16), os.urandom(16), n=n, r=r, p=p)


@cache
def made(kind: KeyType) -> PrivateKey:
    """One of each kind is enough, since large ones take their time."""
    return generate(kind)


def plain(key: object) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
    return encoded


def openssl(*arguments: str, stdin: bytes) -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(KeyType.EC_P256)


@pytest.mark.parametrize("kind", list(KeyType), ids=str)
def test_what_is_written_is_read(kind: KeyType) -> None:
    """A key of every kind comes back as it was, from PEM and from DER."""
    key = made(kind)
    encryption = quick()
    assert plain(pkcs8.load_pem(pkcs8.encrypted_pem(plain(key), encryption), PASSPHRASE)) == plain(key)
    assert plain(pkcs8.load_der(pkcs8.encrypted_der(plain(key), encryption), PASSPHRASE)) == plain(key)


@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind not in ML_DSA], ids=str)
def test_openssl_reads_what_is_written(kind: KeyType) -> None:
    """With the costs that are the rule, `openssl pkey` opens the key (OpenSSL 3.0 knows no ML-DSA)."""
    key = made(kind)
    pem = private_pem(key, Encryption(PASSPHRASE, os.urandom(16), os.urandom(16)))
    opened = openssl("pkey", "-passin", f"pass:{PASSPHRASE.decode()}", "-outform", "DER", stdin=pem)
    assert plain(pkcs8.load_der(opened)) == plain(key)


def test_openssl_opens_the_envelope_of_any_key(tmp_path: Path) -> None:
    """Where it does not know the kind of key, `openssl` still shows the same structure as its own."""
    key = generate(KeyType.ML_DSA_65)
    (tmp_path / "key.pem").write_bytes(private_pem(key, quick()))
    parsed = openssl("asn1parse", "-in", str(tmp_path / "key.pem"), stdin=b"").decode()
    names = [line.rpartition(":")[2].strip() for line in parsed.splitlines() if "OBJECT" in line]
    assert names == ["PBES2", "scrypt", "aes-256-cbc"]


@pytest.mark.parametrize(
    "how",
    [
        ("-scrypt",),
        ("-scrypt", "-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "2"),
        ("-scrypt", "-v2", "aes-128-cbc"),
        ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"),
        ("-v2", "des3"),
        ("-v1", "PBE-SHA1-3DES"),
    ],
    ids=" ".join,
)
def test_what_openssl_writes_is_read(key: PrivateKey, how: tuple[str, ...]) -> None:
    """Its scrypt, and its older ways, PEM and DER."""
    for form, load in (("PEM", pkcs8.load_pem), ("DER", pkcs8.load_der)):
        passout = f"pass:{PASSPHRASE.decode()}"
        written = openssl("pkcs8", "-topk8", *how, "-passout", passout, "-outform", form, stdin=private_pem(key))
        assert plain(load(written, PASSPHRASE)) == plain(key)
        with pytest.raises(PassphraseMissing):
            load(written)
        with pytest.raises(PassphraseWrong):
            load(written, b"another")


def test_a_passphrase_that_is_not_needed_is_not_used(key: PrivateKey) -> None:
    """An unencrypted key is read whether or not a passphrase is given, PEM and DER."""
    pem = private_pem(key)
    loaded = [pkcs8.load_pem(pem, PASSPHRASE), pkcs8.load_pem(pem), pkcs8.load_der(plain(key), PASSPHRASE)]
    assert [plain(found) for found in loaded] == [plain(key)] * 3
    assert (pkcs8.is_encrypted(pem), pkcs8.is_encrypted(private_pem(key, quick()))) == (False, True)


def test_the_first_key_counts(key: PrivateKey) -> None:
    """Of several keys in a file the first is read, whichever of them are encrypted."""
    other = generate(KeyType.ED25519)
    hidden, clear = private_pem(other, quick()), private_pem(key)
    assert plain(pkcs8.load_pem(hidden + clear, PASSPHRASE)) == plain(other)
    assert plain(pkcs8.load_pem(b"text\n" + clear, PASSPHRASE)) == plain(key)


@pytest.mark.parametrize(
    "passphrase", [None, b"", b"another", PASSPHRASE + b"\n"], ids=["none", "empty", "other", "nl"]
)
def test_only_the_passphrase_opens_it(key: PrivateKey, passphrase: bytes | None) -> None:
    """Without one it is missing; with another, as with one byte more, it is wrong."""
    with pytest.raises(PassphraseWrong if passphrase else PassphraseMissing):
        pkcs8.load_pem(private_pem(key, quick()), passphrase)


def test_a_wrong_passphrase_is_wrong_every_time(key: PrivateKey) -> None:
    """Also where, once in 256 times, what comes out looks padded."""
    hidden = pkcs8.encrypted_der(plain(key), quick())
    for number in range(700):
        with pytest.raises(PassphraseWrong):
            pkcs8.load_der(hidden, b"wrong %d" % number)


def test_an_encryption_does_not_show_its_passphrase() -> None:
    """Its repr has all but that."""
    assert repr(Encryption(b"geheim", b"s" * 16, b"i" * 16)) == (
        f"Encryption(salt={b's' * 16!r}, iv={b'i' * 16!r}, n=16384, r=8, p=8)"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"passphrase": b""},
        {"salt": b"short"},
        {"iv": b"short"},
        {"n": 1000},
        {"n": 1},
        {"r": 0},
        {"p": 0},
        {"n": 1 << 22},
        {"p": 1 << 20},
    ],
    ids=str,
)
def test_an_encryption_that_cannot_be(wrong: dict[str, object]) -> None:
    """What cannot be written, or could not be read again, is refused at once."""
    values: dict[str, object] = {"passphrase": b"x", "salt": b"s" * 16, "iv": b"i" * 16, **wrong}
    with pytest.raises(ValueError):
        Encryption(**values)  # type: ignore[arg-type]


def _claiming(n: int, r: int, p: int) -> bytes:
    """A key file that says it takes this much to open; what it has inside does not matter."""

    def integer(value: int) -> bytes:
        return der.encode(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))

    def algorithm(name: str, parameters: bytes) -> bytes:
        return der.encode(0x30, der.encode(6, bytes.fromhex(name)) + parameters)

    costs = der.encode(0x30, der.encode(4, b"s" * 16) + integer(n) + integer(r) + integer(p))
    scrypt, aes = algorithm("2b06010401da47040b", costs), algorithm("60864801650304012a", der.encode(4, b"i" * 16))
    pbes2 = algorithm("2a864886f70d01050d", der.encode(0x30, scrypt + aes))
    return der.encode(0x30, pbes2 + der.encode(4, b"x" * 160))


@pytest.mark.parametrize(
    ("n", "r", "p"),
    [(1 << 22, 8, 1), (1 << 18, 16, 1), (2, 1 << 26, 1), (1 << 10, 8, 1 << 14), (1 << 70, 8, 1), (0, 8, 1), (16, 8, 0)],
    ids=str,
)
def test_a_file_cannot_make_us_pay(n: int, r: int, p: int) -> None:
    """A key that takes gigabytes or minutes to open is refused before that, whatever the passphrase."""
    hidden = _claiming(n, r, p)
    pem = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n%s\n-----END ENCRYPTED PRIVATE KEY-----\n" % base64.b64encode(hidden)
    before = time.process_time()
    for load, data in ((pkcs8.load_der, hidden), (pkcs8.load_pem, pem)):
        with pytest.raises(ValueError, match="scrypt") as caught:
            load(data, PASSPHRASE)
        assert not isinstance(caught.value, PassphraseWrong)
    assert time.process_time() - before < 1


def test_many_iterations_are_refused() -> None:
    """PBKDF2 with a thousand million iterations is refused before it begins."""
    derivation = der.encode(0x30, der.encode(4, b"s" * 16) + der.encode(2, (1 << 30).to_bytes(4, "big")))
    with pytest.raises(ValueError, match="iterations"):
        pkcs8.check_algorithm(der.encode(6, bytes.fromhex("2a864886f70d010c0103")) + derivation)
    kdf = der.encode(0x30, der.encode(6, bytes.fromhex("2a864886f70d01050c")) + derivation)
    with pytest.raises(ValueError, match="iterations"):
        pkcs8.check_algorithm(der.encode(6, bytes.fromhex("2a864886f70d01050d")) + der.encode(0x30, kdf + kdf))


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: "/".join(path.parts[-2:]))
def test_published_keys_good_and_bad(path: Path) -> None:
    """Each of the vectors of cryptography is a key or a ValueError, with its passphrase and without."""
    load = pkcs8.load_pem if path.suffix == ".pem" else pkcs8.load_der
    for passphrase in (None, b"password", b"123456", b"baz"):
        try:
            load(path.read_bytes(), passphrase)
        except ValueError as error:
            assert len(str(error)) < 120


_PEM = private_pem(generate(KeyType.EC_P256), quick())
_DER = pkcs8.encrypted_der(plain(generate(KeyType.ED25519)), quick())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.integers(0, len(_PEM)), removed=st.integers(0, 40), put=st.binary(max_size=12), passphrase=st.booleans()
)
def test_a_changed_pem_is_a_key_or_an_error(start: int, removed: int, put: bytes, passphrase: bool) -> None:
    """Whatever is cut out of or put into a file: ValueError, or it is still that key."""
    changed = _PEM[:start] + put + _PEM[start + removed :]
    try:
        found = pkcs8.load_pem(changed, PASSPHRASE if passphrase else None)
    except ValueError:
        return
    assert plain(found) == plain(pkcs8.load_pem(_PEM, PASSPHRASE))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.integers(0, len(_DER)), removed=st.integers(0, 8), put=st.binary(max_size=8))
def test_a_changed_der_is_a_key_or_an_error(start: int, removed: int, put: bytes) -> None:
    """The same of DER; only the cost parameters and the key's attributes are not covered by the padding."""
    changed = _DER[:start] + put + _DER[start + removed :]
    try:
        pkcs8.load_der(changed, PASSPHRASE)
    except ValueError:
        return


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_no_key(data: bytes) -> None:
    """Any bytes: ValueError."""
    for load in (pkcs8.load_pem, pkcs8.load_der):
        with pytest.raises(ValueError):
            load(data, PASSPHRASE)
