"""Certificate requests: what is accepted as proof of a key, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code, Refused
from handclasp.pki import der, keys, request
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.spiffe import SpiffeID
from handclasp.pki.wishes import Wishes

CHECKOUT = SpiffeID.parse("spiffe://example.org/checkout")
KEY = ec.derive_private_key(11, ec.SECP256R1())
KeyOf = Callable[[KeyType], PrivateKey]
WISHED = Wishes(spiffe=(str(CHECKOUT),), common_name="checkout")
PEM = request.create(KEY, CHECKOUT)
DER = x509.load_pem_x509_csr(PEM).public_bytes(Encoding.DER)
PARSE_CODES = {
    Code.REQUEST_MALFORMED,
    Code.REQUEST_BAD_SIGNATURE,
    Code.REQUEST_KEY_NOT_ALLOWED,
    Code.REQUEST_KEY_WEAK,
    Code.REQUEST_SIGNATURE_WEAK,
}


@pytest.mark.parametrize("kind", list(KeyType))
def test_a_request_of_our_own_is_read(kind: KeyType, key_of: KeyOf) -> None:
    """parse() gives the key of what create() made."""
    key = key_of(kind)
    parsed = request.parse(request.create(key, CHECKOUT))
    assert (parsed.public_key, parsed.key_type, parsed.wishes) == (key.public_key(), kind, WISHED)


def test_pem_and_der_are_one_request() -> None:
    """Both encodings parse to the same value."""
    assert request.parse(PEM) == request.parse(DER)
    assert request.parse(DER) == request.Request(KEY.public_key(), KeyType.EC_P256, DER, "sha256")


def test_text_around_the_request_is_ignored() -> None:
    """openssl req -text writes the request below its description."""
    assert request.parse(b"Certificate Request:\n    Data:\n" + PEM) == request.parse(PEM)


def _other_signature() -> bytes:
    """The request with the signature of another one in its place (a key that the sender does not have)."""
    other = x509.load_pem_x509_csr(request.create(ec.derive_private_key(12, ec.SECP256R1()), CHECKOUT))
    mine = x509.load_der_x509_csr(DER)
    algorithm = keys.signature_algorithm(KEY.public_key()).identifier
    return der.signed(mine.tbs_certrequest_bytes, algorithm, other.signature)


def _with(key: ed448.Ed448PrivateKey | ec.EllipticCurvePrivateKey, digest: hashes.SHA256 | None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([]))
    return builder.sign(key, digest).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("data", "code", "why"),
    [
        pytest.param(
            b"",
            Code.REQUEST_MALFORMED,
            "it is no PKCS#10 request, or one with a key that cannot be read",
            id="nothing",
        ),
        pytest.param(
            DER + b"\0",
            Code.REQUEST_MALFORMED,
            "it is no PKCS#10 request, or one with a key that cannot be read",
            id="bytes behind it",
        ),
        pytest.param(
            PEM + PEM,
            Code.REQUEST_MALFORMED,
            "there is not exactly one CERTIFICATE REQUEST in it",
            id="two",
        ),
        pytest.param(
            PEM + keys.private_pem(KEY),
            Code.REQUEST_MALFORMED,
            "a private key is beside it: that key is no secret any more, make a new one",
            id="private key beside it",
        ),
        pytest.param(
            bytes(request.MAX_REQUEST + 1),
            Code.REQUEST_MALFORMED,
            "it is 65537 bytes long, and a request has at most 65536",
            id="too long",
        ),
        pytest.param(
            _other_signature(),
            Code.REQUEST_BAD_SIGNATURE,
            "its signature was not made with the private key of the public key in it",
            id="another key's signature",
        ),
        pytest.param(
            _with(ed448.Ed448PrivateKey.generate(), None),
            Code.REQUEST_KEY_NOT_ALLOWED,
            "it is a key of the kind Ed448",
            id="another kind of key",
        ),
        pytest.param(
            _with(ec.generate_private_key(ec.SECP521R1()), hashes.SHA256()),
            Code.REQUEST_KEY_NOT_ALLOWED,
            "it is an elliptic-curve key on secp521r1",
            id="another curve",
        ),
    ],
)
def test_what_proves_nothing_is_refused(data: bytes, code: Code, why: str) -> None:
    """A request that cannot be read or does not prove its key is refused with its own code."""
    with pytest.raises(Refused) as caught:
        request.parse(data)
    assert (caught.value.code, caught.value.why) == (code, why)


# Bytes changed at random hit fields (serial numbers, curves) that cryptography reads with a warning.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.data())
def test_any_bytes_are_a_request_or_refused(data: st.DataObject) -> None:
    """parse() raises nothing but Refused, also for requests with some bytes changed, and never accepts those."""
    whole = data.draw(st.sampled_from([PEM, DER]))
    at = data.draw(st.integers(0, len(whole) - 1))
    until = data.draw(st.integers(at, min(at + 4, len(whole))))
    splice = data.draw(st.one_of(st.none(), st.binary(max_size=6)))
    given_bytes = data.draw(st.binary()) if splice is None else whole[:at] + splice + whole[until:]
    try:
        parsed = request.parse(given_bytes)
    except Refused as refused:
        assert refused.code in PARSE_CODES
    else:
        assert parsed.public_key == KEY.public_key()
