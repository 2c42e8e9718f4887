"""Certificate requests (PKCS#10, RFC 2986): a public key, and the proof that the sender has its private half.

The subject and the extensions of a request are wishes, and are not read: names are given by the operator.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import Code, Refused
from handclasp.pki.issue import subject_for
from handclasp.pki.keys import KeyType, PrivateKey, PublicKey, key_type, signature_algorithm, supported
from handclasp.pki.spiffe import SpiffeID

MAX_REQUEST = 64 * 1024  # bytes; the largest keys in sight (SLH-DSA signatures) stay below

_BEGINS = (b"-----BEGIN CERTIFICATE REQUEST-----", b"-----BEGIN NEW CERTIFICATE REQUEST-----")


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose proof of possession was verified."""

    public_key: PublicKey
    key_type: KeyType
    der: bytes


def parse(data: bytes) -> Request:
    """The request in PEM or DER, its signature verified with its own key (RFC 2986 §4.2).

    Raises Refused: REQUEST_MALFORMED, REQUEST_KEY_NOT_ALLOWED or REQUEST_BAD_SIGNATURE.
    """
    if len(data) > MAX_REQUEST:
        raise _malformed(f"it is {len(data)} bytes long, and a request has at most {MAX_REQUEST}")
    try:
        csr = _load(data)
        public = csr.public_key()
        # Ask for the kind before the signature: OpenSSL checks it even for curves that are long broken.
        kind = key_type(public)
        proved = csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise _malformed("it is no PKCS#10 request, or one with a key that cannot be read") from error
    if not proved:
        raise Refused(
            Code.REQUEST_BAD_SIGNATURE,
            "The certificate request was refused",
            "its signature was not made with the private key of the public key in it",
            "Make the request anew with the private key that belongs to it.",
        )
    return Request(supported(public), kind, csr.public_bytes(Encoding.DER))


def create(key: PrivateKey, spiffe_id: SpiffeID) -> bytes:
    """A request in PEM by this key, with the identity as its subject and URI, for whoever reads it by eye."""
    builder = x509.CertificateSigningRequestBuilder(
        subject_name=subject_for(spiffe_id),
        extensions=[],
    ).add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(spiffe_id))]), critical=False)
    return builder.sign(key, signature_algorithm(key.public_key()).hash).public_bytes(Encoding.PEM)


def _load(data: bytes) -> x509.CertificateSigningRequest:
    if b"-----BEGIN" not in data:
        return x509.load_der_x509_csr(data)
    if b"PRIVATE KEY-----" in data:
        raise _malformed("a private key is beside it: that key is no secret any more, make a new one")
    if sum(data.count(begin) for begin in _BEGINS) != 1:
        raise _malformed("there is not exactly one CERTIFICATE REQUEST in it")
    return x509.load_pem_x509_csr(data)


def _malformed(why: str) -> Refused:
    return Refused(
        Code.REQUEST_MALFORMED,
        "The certificate request was refused",
        why,
        "Send one PKCS#10 request, PEM or DER.",
    )
