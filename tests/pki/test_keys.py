"""Keys: their kinds, their files, and their signatures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import der, keys
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.pkcs8 import Encryption, PassphraseMissing, PassphraseWrong

KINDS = pytest.mark.parametrize("kind", list(KeyType))
KeyOf = Callable[[KeyType], PrivateKey]
ALL = "ec-p256, ec-p384, ed25519, rsa-2048, rsa-3072, rsa-4096, ml-dsa-44, ml-dsa-65, ml-dsa-87"
ALLOWED = f"a private key in PEM, of one of these kinds: {ALL}"
CHEAP = Encryption(b"open sesame", b"salt" * 4, b"iv" * 8, n=2, p=1)


@KINDS
@pytest.mark.parametrize("encryption", [None, CHEAP], ids=["in clear", "encrypted"])
def test_a_key_survives_its_file(kind: KeyType, encryption: Encryption | None, key_of: KeyOf) -> None:
    """load_private() gives back the key that private_pem() wrote as PKCS#8."""
    key = key_of(kind)
    pem = keys.private_pem(key, encryption)
    assert pem.startswith(
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" if encryption else b"-----BEGIN PRIVATE KEY-----\n"
    )
    read = keys.load_private(pem, b"open sesame")
    assert keys.private_pem(read) == keys.private_pem(key)


@KINDS
def test_a_key_knows_its_kind(kind: KeyType, key_of: KeyOf) -> None:
    """A generated key is of the kind that was asked for."""
    assert keys.key_type(key_of(kind).public_key()) is kind


@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind not in {KeyType.RSA_3072, KeyType.RSA_4096}])
def test_a_signature_verifies_with_its_own_key_only(kind: KeyType, key_of: KeyOf) -> None:
    """verify() is silent for the key that signed, and raises for another key or other bytes."""
    key, other = key_of(kind), keys.generate(kind)
    signature = keys.sign(key, b"bytes")
    keys.verify(key.public_key(), signature, b"bytes")
    for public, data in ((other.public_key(), b"bytes"), (key.public_key(), b"other bytes")):
        with pytest.raises(keys.WrongSignature):
            keys.verify(public, signature, data)


@KINDS
def test_the_algorithm_identifier_is_what_cryptography_writes(kind: KeyType, key_of: KeyOf) -> None:
    """The DER that is spliced into certificates is that of a request by the same key, and the hash is too."""
    key = key_of(kind)
    algorithm = keys.signature_algorithm(key.public_key())
    csr = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([])).sign(key, algorithm.hash)
    (whole,) = der.elements(csr.public_bytes(Encoding.DER))
    _, identifier, _ = der.elements(whole.content)
    assert der.encode(der.SEQUENCE, identifier.content) == algorithm.identifier
    found = csr.signature_hash_algorithm
    assert (found and found.name) == (algorithm.hash and algorithm.hash.name)


@pytest.mark.parametrize("kind", sorted(keys.ML_DSA))
def test_ml_dsa_has_no_parameters(kind: KeyType, key_of: KeyOf) -> None:
    """RFC 9881 §2: the parameters are absent, in the key as in the signature."""
    spki = keys.spki(key_of(kind).public_key())
    identifier = keys.signature_algorithm(key_of(kind).public_key()).identifier
    (whole,) = der.elements(spki)
    assert der.encode(der.SEQUENCE, next(der.elements(whole.content)).content) == identifier
    (content,) = der.elements(identifier)
    assert [element.tag for element in der.elements(content.content)] == [0x06]


@pytest.mark.parametrize(
    ("public", "why"),
    [
        pytest.param(
            ec.generate_private_key(ec.SECP521R1()).public_key(),
            "it is an elliptic-curve key on secp521r1",
            id="another curve",
        ),
        pytest.param(ed448.Ed448PrivateKey.generate().public_key(), "it is a key of the kind Ed448", id="Ed448"),
        pytest.param(rsa.generate_private_key(65537, 1024).public_key(), "it is an RSA key of 1024 bits", id="RSA"),
    ],
)
def test_other_kinds_are_refused(public: object, why: str) -> None:
    """A key of a kind that is not in use is refused, and the kinds that are get named."""
    with pytest.raises(Refused) as caught:
        keys.key_type(public)
    refused = caught.value
    assert (refused.code, refused.why, refused.fix) == (
        Code.REQUEST_KEY_NOT_ALLOWED,
        why,
        f"Make a key of one of these kinds: {ALL}.",
    )


@pytest.mark.parametrize(
    ("pem", "passphrase", "why", "allowed", "cause"),
    [
        pytest.param(
            keys.private_pem(ec.derive_private_key(7, ec.SECP256R1()), CHEAP),
            None,
            "the private key is encrypted",
            f"{ALLOWED}; and its passphrase, if it is encrypted",
            PassphraseMissing,
            id="no passphrase",
        ),
        pytest.param(
            keys.private_pem(ec.derive_private_key(7, ec.SECP256R1()), CHEAP),
            b"open barley",
            "the passphrase does not open the private key",
            "the passphrase that it was encrypted with",
            PassphraseWrong,
            id="wrong passphrase",
        ),
        pytest.param(
            keys.private_pem(ec.derive_private_key(7, ec.SECP521R1())),
            None,
            "the private key cannot be used: it is an elliptic-curve key on secp521r1",
            ALLOWED,
            type(None),
            id="another kind",
        ),
        pytest.param(b"", None, "there is no readable private key in it", ALLOWED, type(None), id="nothing"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_refused(
    pem: bytes, passphrase: bytes | None, why: str, allowed: str, cause: type
) -> None:
    """load_private() says what is wrong with the key and what it takes."""
    with pytest.raises(InvalidSetting) as caught:
        keys.load_private(pem, passphrase)
    assert (caught.value.why, caught.value.allowed, type(caught.value.__cause__)) == (why, allowed, cause)


def test_a_passphrase_that_is_not_needed_is_not_used() -> None:
    """A key in clear opens with any passphrase, so that a directory can be encrypted file by file."""
    pem = keys.private_pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert keys.private_pem(keys.load_private(pem, b"anything")) == pem


@given(st.data())
def test_any_bytes_are_a_key_or_an_invalid_setting(data: st.DataObject) -> None:
    """load_private() raises nothing but InvalidSetting, also for a key file with some bytes changed."""
    encryption = data.draw(st.sampled_from([None, CHEAP]))
    pem = keys.private_pem(ec.derive_private_key(7, ec.SECP256R1()), encryption)
    at = data.draw(st.integers(0, len(pem)))
    until = data.draw(st.integers(at, min(at + 8, len(pem))))
    damaged = data.draw(st.one_of(st.binary(), st.binary(max_size=8).map(lambda b: pem[:at] + b + pem[until:])))
    try:
        keys.load_private(damaged, data.draw(st.sampled_from([None, b"open sesame"])))
    except InvalidSetting as error:
        assert error.path == ""


def test_a_keys_identifiers_are_those_that_openssl_computes() -> None:
    """Known answers for the P-256 key with the secret 1: openssl req -x509 -addext subjectKeyIdentifier=hash,
    and openssl pkey -pubout -outform DER | sha256sum."""
    public = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    assert (keys.key_id(public), keys.spki_sha256(public)) == (
        "b467a3999eb5efa671de0032f08a9c9e5efda0e1",
        "5cd252fb0ce8932436faf8ccd1040981b89ee4ad6b9fe9e2a2b7e71aacb27cd3",
    )


@KINDS
def test_the_subject_public_key_info_is_what_was_read(kind: KeyType, key_of: KeyOf) -> None:
    """spki() gives bytes that load as the same key."""
    public = key_of(kind).public_key()
    assert load_der_public_key(keys.spki(public)) == public
    assert keys.spki(public) == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
