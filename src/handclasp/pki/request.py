"""Certificate requests (PKCS#10, RFC 2986): a public key, the proof that the sender has its private half, and wishes.

1. The request is read, and its key is one that is used here and that nobody else knows.
2. Its signature is made with a sound hash, and by that key (§4.2).
3. What it asks for are ``Wishes``; ``wishes.granted`` says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from handclasp.findings import Code, Refused
from handclasp.pki.issue import subject_for
from handclasp.pki.keys import (
    KeyType,
    PrivateKey,
    PublicKey,
    key_type,
    signature_algorithm,
    supported,
)
from handclasp.pki.spiffe import SpiffeID
from handclasp.pki.weak import weakness
from handclasp.pki.wishes import Wishes

MAX_REQUEST = 64 * 1024  # bytes; the largest keys in sight (SLH-DSA signatures) stay below

_BEGINS = (b"-----BEGIN CERTIFICATE REQUEST-----", b"-----BEGIN NEW CERTIFICATE REQUEST-----")
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_BROKEN_HASHES = {"md5": "MD5", "sha1": "SHA-1"}
# Signatures that cryptography does not know at all (RFC 8017 appendix C, and the OIW's older names).
_BROKEN_OIDS = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.3": "MD4",
    "1.3.14.3.2.3": "MD5",
    "1.3.14.3.2.29": "SHA-1",
}
# What a leaf may ask for because it follows from the profile or the key anyway.
_WITHOUT_EFFECT = frozenset({ExtensionOID.SUBJECT_KEY_IDENTIFIER})


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose proof of possession was verified, in DER. ``signature_hash`` is the hash under its signature,
    as ``sha256``; None where the algorithm hashes by itself (Ed25519, ML-DSA)."""

    public_key: PublicKey
    key_type: KeyType
    der: bytes
    signature_hash: str | None

    @property
    def wishes(self) -> Wishes:
        """What it asks for, read each time: who gives the names by other means need not pay for it.

        Raises Refused(REQUEST_MALFORMED) if its subject or its extensions cannot be read.
        """
        try:
            return _wishes(x509.load_der_x509_csr(self.der))
        except _UNREADABLE as error:
            raise _malformed("its subject or its extensions cannot be read") from error


def parse(data: bytes) -> Request:
    """The request in PEM or DER, its signature verified with its own key.

    Raises Refused: REQUEST_MALFORMED, REQUEST_KEY_NOT_ALLOWED, REQUEST_KEY_WEAK, REQUEST_SIGNATURE_WEAK or
    REQUEST_BAD_SIGNATURE.
    """
    if len(data) > MAX_REQUEST:
        raise _malformed(f"it is {len(data)} bytes long, and a request has at most {MAX_REQUEST}")
    try:
        csr = _load(data)
        public = csr.public_key()
        _check_weakness(public)
        # Ask for the kind before the signature: OpenSSL checks it even for curves that are long broken.
        kind = key_type(public)
        signature_hash = _signature_hash(csr)
        proved = csr.is_signature_valid
    except _UNREADABLE as error:
        raise _malformed("it is no PKCS#10 request, or one with a key that cannot be read") from error
    if not proved:
        raise Refused(
            Code.REQUEST_BAD_SIGNATURE,
            "The certificate request was refused",
            "its signature was not made with the private key of the public key in it",
            "Make the request anew with the private key that belongs to it.",
        )
    return Request(supported(public), kind, csr.public_bytes(Encoding.DER), signature_hash)


def create(key: PrivateKey, spiffe_id: SpiffeID) -> bytes:
    """A request in PEM by this key, with the identity as its subject and URI."""
    return create_for(key, subject_for(spiffe_id), (x509.UniformResourceIdentifier(str(spiffe_id)),))


def create_for(key: PrivateKey, subject: x509.Name, names: Iterable[x509.GeneralName] = ()) -> bytes:
    """A request in PEM by this key, for this subject and these alternative names."""
    builder = x509.CertificateSigningRequestBuilder(subject_name=subject, extensions=[])
    if alternative := list(names):
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return builder.sign(key, signature_algorithm(key.public_key()).hash).public_bytes(Encoding.PEM)


def _load(data: bytes) -> x509.CertificateSigningRequest:
    if b"-----BEGIN" not in data:
        return x509.load_der_x509_csr(data)
    if b"PRIVATE KEY-----" in data:
        raise _malformed("a private key is beside it: that key is no secret any more, make a new one")
    if sum(data.count(begin) for begin in _BEGINS) != 1:
        raise _malformed("there is not exactly one CERTIFICATE REQUEST in it")
    return x509.load_pem_x509_csr(data)


def _check_weakness(public: CertificatePublicKeyTypes) -> None:
    if why := weakness(public):
        raise Refused(
            Code.REQUEST_KEY_WEAK,
            "The key was refused",
            why,
            "Make a new key with a current library: handclasp client add makes one.",
        )


def _signature_hash(csr: x509.CertificateSigningRequest) -> str | None:
    oid = csr.signature_algorithm_oid
    try:
        found = csr.signature_hash_algorithm
    except UnsupportedAlgorithm:
        found = None
        broken = _BROKEN_OIDS.get(oid.dotted_string)
    else:
        broken = None if found is None else _BROKEN_HASHES.get(found.name)
    if broken:
        raise Refused(
            Code.REQUEST_SIGNATURE_WEAK,
            "The certificate request was refused",
            f"its signature is over {broken}, for which anybody can make two requests with one signature",
            "Make the request anew with SHA-256 or better.",
        )
    return None if found is None else found.name


def _wishes(csr: x509.CertificateSigningRequest) -> Wishes:
    names: dict[type, list[Any]] = {}
    usages: tuple[x509.ObjectIdentifier, ...] = ()
    is_ca = False
    unanswered = []
    for extension in csr.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            for name in value:
                names.setdefault(type(name), []).append(name)
        elif isinstance(value, x509.ExtendedKeyUsage):
            usages = tuple(value)
        elif isinstance(value, x509.BasicConstraints):
            is_ca = is_ca or value.ca
        elif isinstance(value, x509.KeyUsage):
            is_ca = is_ca or value.key_cert_sign or value.crl_sign
        elif extension.oid not in _WITHOUT_EFFECT:
            unanswered.append(extension.oid.dotted_string)
    uris, dns, ips = (names.pop(kind, []) for kind in _ANSWERED)
    return Wishes(
        spiffe=tuple(uri.value for uri in uris),
        dns=tuple(name.value for name in dns),
        ips=tuple(address.value for address in ips),
        others=tuple(_described(name) for kind in names.values() for name in kind),
        common_name=_common_name(csr.subject),
        is_ca=is_ca,
        usages=usages,
        extensions=tuple(unanswered),
    )


_ANSWERED = (x509.UniformResourceIdentifier, x509.DNSName, x509.IPAddress)


def _common_name(subject: x509.Name) -> str | None:
    found = [str(attribute.value) for attribute in subject if attribute.oid == NameOID.COMMON_NAME]
    if len(found) > 1:
        raise ValueError("more than one common name")
    return found[0] if found else None


def _described(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        value = name.value.rfc4514_string()
    elif isinstance(name, x509.OtherName):
        value = name.type_id.dotted_string
    elif isinstance(name, x509.RegisteredID):
        value = name.value.dotted_string
    else:
        value = str(name.value)
    return f"{type(name).__name__} {value}"


def _malformed(why: str) -> Refused:
    return Refused(
        Code.REQUEST_MALFORMED,
        "The certificate request was refused",
        why,
        "Send one PKCS#10 request, PEM or DER.",
    )
