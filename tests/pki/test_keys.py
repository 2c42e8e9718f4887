"""Keys: their kinds, their files, and their signatures."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import keys
from handclasp.pki.keys import KeyType

KINDS = pytest.mark.parametrize("kind", list(KeyType))
ALLOWED = "an unencrypted private key in PEM, of one of these kinds: ec-p256, ec-p384"


@KINDS
def test_a_key_survives_its_file(kind: KeyType) -> None:
    """load_private() gives back the key that private_pem() wrote as PKCS#8."""
    key = keys.generate(kind)
    pem = keys.private_pem(key)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert keys.load_private(pem).private_numbers() == key.private_numbers()


@KINDS
def test_a_key_knows_its_kind(kind: KeyType) -> None:
    """A generated key is of the kind that was asked for."""
    assert keys.key_type(keys.generate(kind).public_key()) is kind


@KINDS
def test_a_signature_verifies_with_its_own_key_only(kind: KeyType) -> None:
    """verify() is silent for the key that signed, and raises for another key or other bytes."""
    key, other = keys.generate(kind), keys.generate(kind)
    signature = keys.sign(key, b"bytes")
    keys.verify(key.public_key(), signature, b"bytes")
    for public, data in ((other.public_key(), b"bytes"), (key.public_key(), b"other bytes")):
        with pytest.raises(keys.WrongSignature):
            keys.verify(public, signature, data)


@pytest.mark.parametrize(
    ("public", "why"),
    [
        pytest.param(
            ec.generate_private_key(ec.SECP521R1()).public_key(),
            "it is an elliptic-curve key on secp521r1",
            id="another curve",
        ),
        pytest.param(
            ed25519.Ed25519PrivateKey.generate().public_key(), "it is a key of the kind Ed25519", id="Ed25519"
        ),
        pytest.param(rsa.generate_private_key(65537, 2048).public_key(), "it is a key of the kind RSA", id="RSA"),
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
        "Make a key of one of these kinds: ec-p256, ec-p384.",
    )


@pytest.mark.parametrize(
    ("key", "passphrase", "why"),
    [
        pytest.param(
            ec.generate_private_key(ec.SECP256R1()), b"secret", "the private key is encrypted", id="encrypted"
        ),
        pytest.param(
            ed25519.Ed25519PrivateKey.generate(),
            b"",
            "the private key cannot be used: it is a key of the kind Ed25519",
            id="another kind",
        ),
    ],
)
def test_a_key_file_that_cannot_be_used_is_refused(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, passphrase: bytes, why: str
) -> None:
    """load_private() says what is wrong with the key and what it takes."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    with pytest.raises(InvalidSetting) as caught:
        keys.load_private(pem)
    assert (caught.value.why, caught.value.allowed) == (why, ALLOWED)


@given(st.data())
def test_any_bytes_are_a_key_or_an_invalid_setting(data: st.DataObject) -> None:
    """load_private() raises nothing but InvalidSetting, also for a key file with some bytes changed."""
    pem = keys.private_pem(ec.derive_private_key(7, ec.SECP256R1()))
    at = data.draw(st.integers(0, len(pem)))
    until = data.draw(st.integers(at, min(at + 8, len(pem))))
    damaged = data.draw(st.one_of(st.binary(), st.binary(max_size=8).map(lambda b: pem[:at] + b + pem[until:])))
    try:
        keys.load_private(damaged)
    except InvalidSetting as error:
        assert error.allowed == ALLOWED


def test_a_keys_identifiers_are_those_that_openssl_computes() -> None:
    """Known answers for the P-256 key with the secret 1: openssl req -x509 -addext subjectKeyIdentifier=hash,
    and openssl pkey -pubout -outform DER | sha256sum."""
    public = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    assert (keys.key_id(public), keys.spki_sha256(public)) == (
        "b467a3999eb5efa671de0032f08a9c9e5efda0e1",
        "5cd252fb0ce8932436faf8ccd1040981b89ee4ad6b9fe9e2a2b7e71aacb27cd3",
    )
