"""Null signers: what they sign is a certificate's bytes and no certificate."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from handclasp.pki import keys
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.signer import null_signer

KINDS = pytest.mark.parametrize("kind", list(KeyType))
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@KINDS
def test_the_bytes_to_be_signed_are_those_of_the_real_key(
    kind: KeyType, key_of: Callable[[KeyType], PrivateKey]
) -> None:
    """A certificate built with a null signer differs in its signature alone, and names the same algorithm."""
    key = key_of(kind)
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([]),
        subject_name=x509.Name([]),
        public_key=key.public_key(),
        serial_number=1 << 64,
        not_valid_before=NOW,
        not_valid_after=NOW + timedelta(days=1),
    )
    algorithm = keys.signature_algorithm(key.public_key())
    real = builder.sign(key, algorithm.hash)
    null = builder.sign(null_signer(key.public_key()), algorithm.hash)
    assert null.tbs_certificate_bytes == real.tbs_certificate_bytes
    assert algorithm.identifier in real.tbs_certificate_bytes
    assert null.signature_algorithm_oid == real.signature_algorithm_oid
    with pytest.raises(keys.WrongSignature):
        keys.verify(key.public_key(), null.signature, null.tbs_certificate_bytes)


@KINDS
def test_a_null_signer_has_nothing_to_give(kind: KeyType, key_of: Callable[[KeyType], PrivateKey]) -> None:
    """It stands for a private key and has none."""
    public = key_of(kind).public_key()
    signer = null_signer(public)
    assert keys.supported(signer.public_key()) is public
    assert copy(signer) is signer
    assert deepcopy(signer) is signer
    with pytest.raises(TypeError):
        signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
