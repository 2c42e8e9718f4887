"""A certificate read once for path validation, and what can be said of it alone (RFC 5280 §4).

``read`` never raises for any bytes: what cannot be read is a fault (CHAIN_MALFORMED).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID

from handclasp.findings import Code
from handclasp.pki import chain_names, der
from handclasp.pki.chain_names import Constraints, Name, Presented
from handclasp.pki.chain_terms import Fault

UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
POLICY_MAPPINGS = "2.5.29.33"
MAX_SIZE = 1 << 18  # octets of one certificate; TLS libraries take about 100 KiB for a whole chain
_REMEMBERED = 32
_KINDS_OF_TEXT = (bytes.fromhex("06082b06010505070202"), bytes.fromhex("06035504"))  # user notices, X.520 attributes
_PURE = (
    (ed25519.Ed25519PublicKey, SignatureAlgorithmOID.ED25519),
    (ed448.Ed448PublicKey, SignatureAlgorithmOID.ED448),
    (mldsa.MLDSA44PublicKey, SignatureAlgorithmOID.ML_DSA_44),
    (mldsa.MLDSA65PublicKey, SignatureAlgorithmOID.ML_DSA_65),
    (mldsa.MLDSA87PublicKey, SignatureAlgorithmOID.ML_DSA_87),
)
"""Keys whose signature algorithm is one and has no parameters, with its name."""


@dataclass(slots=True, eq=False)
class Parsed:
    """One certificate. ``faults`` say what is wrong with it in any path; extensions that are absent are None.

    ``readable`` says whether all extensions were read: where they were not, an absent one proves nothing.
    ``issued`` remembers for which key (its SubjectPublicKeyInfo) the signature was found to be right or wrong.
    """

    der: bytes
    certificate: x509.Certificate
    subject: Name
    issuer: Name
    serial: bytes
    spki: bytes
    public_key: Any
    not_before: datetime
    not_after: datetime
    same_algorithm: bool
    faults: list[Fault]
    extensions: dict[str, x509.Extension[Any]]
    authority: bool = False
    path_length: int | None = None
    key_usage: x509.KeyUsage | None = None
    usages: frozenset[str] | None = None
    names: tuple[Presented, ...] = ()
    constraints: Constraints | None = None
    policies: tuple[str, ...] | None = None
    mappings: tuple[tuple[str, str], ...] = ()
    require_explicit: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None
    key_identifier: bytes | None = None
    issuer_key_identifier: bytes | None = None
    points: tuple[x509.DistributionPoint, ...] = ()
    readable: bool = True
    issued: dict[bytes, bool] = field(default_factory=dict)
    form: tuple[tuple[Fault, ...], tuple[Fault, ...]] | None = None

    @property
    def serial_number(self) -> int:
        """The serial number; other than the library's, without a warning where it is not positive."""
        return int.from_bytes(self.serial, "big", signed=True)

    @property
    def self_issued(self) -> bool:
        """Issuer and subject are the same name (§3.2)."""
        return self.issuer == self.subject

    @property
    def subject_text(self) -> str:
        """The subject for people; the first alternative name where it is empty."""
        try:
            with quiet():
                text = self.certificate.subject.rfc4514_string()
        except UNREADABLE:
            text = ""
        return chain_names.shown(text or next((name.text for name in self.names), "(no name)"))

    def value(self, kind: type[x509.ExtensionType]) -> Any:
        """The value of an extension, or None."""
        found = self.extensions.get(kind.oid.dotted_string)
        return None if found is None else found.value

    def signed_by(self, issuer: Parsed) -> bool:
        """Whether the issuer's key made the signature (§6.1.3 (a) (1)); worked out once a key."""
        known = self.issued.get(issuer.spki)
        if known is None:
            known = verified(self.certificate, self.certificate.tbs_certificate_bytes, issuer.public_key)
            remember(self.issued, issuer.spki, known)
        return known


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no certificate, and why."""

    fault: Fault


def read(source: x509.Certificate | bytes) -> Parsed | Unreadable:
    """A certificate, or its DER, read for path validation."""
    try:
        data = source if isinstance(source, bytes) else source.public_bytes(Encoding.DER)
        if len(data) > MAX_SIZE:
            return Unreadable(malformed("certificate", f"it is {len(data)} octets long, more than {MAX_SIZE}"))
        fields = _fields(data)
        certificate = _loaded(data, fields.serial) if isinstance(source, bytes) else source
        parsed = Parsed(
            der=data,
            certificate=certificate,
            subject=chain_names.normal_name(fields.subject),
            issuer=chain_names.normal_name(fields.issuer),
            serial=fields.serial,
            spki=fields.spki,
            public_key=None,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            same_algorithm=fields.inner == fields.outer,
            faults=[],
            extensions={},
        )
    except UNREADABLE as error:
        return Unreadable(malformed("certificate", f"it cannot be read: {error}"))
    _read_key(parsed)
    _read_extensions(parsed, fields.rest)
    return parsed


@contextmanager
def quiet() -> Iterator[None]:
    """Reads what strangers wrote without the library's warnings about it: what matters becomes a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def remember(issued: dict[bytes, bool], spki: bytes, made_it: bool) -> None:
    """Keeps the answer, but not those for any number of keys that strangers send."""
    if made_it or len(issued) < _REMEMBERED:
        issued[spki] = made_it


def malformed(where: str, what: str, section: str = "RFC 5280 §4.1") -> Fault:
    """The fault of something that cannot be read."""
    return Fault(Code.CHAIN_MALFORMED, where, what, section)


@dataclass(frozen=True, slots=True)
class _Fields:
    serial: bytes
    inner: bytes
    outer: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    rest: bytes


def _fields(data: bytes) -> _Fields:
    """What ``cryptography`` does not show: raw names and serial, and both algorithms (§4.1)."""
    (sequence,) = der.elements(data)
    tbs, outer, _ = der.elements(sequence.content)
    parts = list(der.elements(tbs.content))
    if parts and parts[0].tag == 0xA0:
        del parts[0]
    if len(parts) < 6:
        raise ValueError("it is shorter than a certificate")
    serial, inner, issuer, _, subject, spki = parts[:6]
    return _Fields(
        serial.content,
        inner.content,
        outer.content,
        issuer.content,
        subject.content,
        spki.content,
        b"".join(part.content for part in parts[6:]),
    )


def _loaded(data: bytes, serial: bytes) -> x509.Certificate:
    if int.from_bytes(serial, "big", signed=True) > 0:
        return x509.load_der_x509_certificate(data)
    with quiet():  # about exactly this serial number: form_faults() says it
        return x509.load_der_x509_certificate(data)


def _read_key(parsed: Parsed) -> None:
    try:
        parsed.public_key = parsed.certificate.public_key()
    except UNREADABLE as error:
        parsed.faults.append(malformed("subjectPublicKeyInfo", f"its key cannot be read: {error}", "RFC 5280 §4.1.2.7"))
        return
    if isinstance(parsed.public_key, ec.EllipticCurvePublicKey):
        algorithm = next(der.elements(parsed.spki))
        parameters = list(der.elements(algorithm.content))
        if len(parameters) != 2 or parameters[1].tag != 0x06:
            what = "its curve is written out instead of named"
            parsed.faults.append(malformed("subjectPublicKeyInfo", what, "RFC 5480 §2.1.1"))


def _read_extensions(parsed: Parsed, raw: bytes) -> None:
    try:
        # Texts that are too long, in names and notices, bring warnings; where there are none, silence costs too much.
        texts = any(kind in raw for kind in _KINDS_OF_TEXT)
        with quiet() if texts else nullcontext():
            extensions = list(parsed.certificate.extensions)
    except UNREADABLE as error:
        parsed.readable = False
        parsed.faults.append(malformed("extensions", f"its extensions cannot be read: {error}", "RFC 5280 §4.2"))
        return
    for extension in extensions:
        parsed.extensions[extension.oid.dotted_string] = extension
        try:
            _take(parsed, extension)
        except UNREADABLE as error:
            parsed.readable = False
            name = _extension_name(extension)
            parsed.faults.append(malformed(name, f"its {name} cannot be read: {error}", "RFC 5280 §4.2"))


def _extension_name(extension: x509.Extension[Any]) -> str:
    name = extension.oid._name
    return extension.oid.dotted_string if name == "Unknown OID" else name


def _take(parsed: Parsed, extension: x509.Extension[Any]) -> None:
    value = extension.value
    # By type rather than by match: this runs for every extension of every chain.
    kind = type(value)
    if kind is x509.BasicConstraints:
        parsed.authority, parsed.path_length = value.ca, value.path_length
    elif kind is x509.KeyUsage:
        parsed.key_usage = value
    elif kind is x509.ExtendedKeyUsage:
        parsed.usages = frozenset(usage.dotted_string for usage in value)
    elif kind is x509.SubjectAlternativeName:
        parsed.names = tuple(chain_names.presented(name) for name in value)
    elif kind is x509.SubjectKeyIdentifier:
        parsed.key_identifier = value.digest
    elif kind is x509.AuthorityKeyIdentifier:
        parsed.issuer_key_identifier = value.key_identifier
    elif kind is x509.CRLDistributionPoints:
        parsed.points = tuple(value)
    elif kind is x509.NameConstraints:
        parsed.constraints = chain_names.constraints(value)
    elif kind is x509.CertificatePolicies:
        parsed.policies = tuple(policy.policy_identifier.dotted_string for policy in value)
    elif kind is x509.PolicyConstraints:
        parsed.require_explicit = value.require_explicit_policy
        parsed.inhibit_mapping = value.inhibit_policy_mapping
    elif kind is x509.InhibitAnyPolicy:
        parsed.inhibit_any = value.skip_certs
    elif extension.oid.dotted_string == POLICY_MAPPINGS:
        parsed.mappings = tuple(_mappings(value.value))


def _mappings(data: bytes) -> Iterator[tuple[str, str]]:
    (sequence,) = der.elements(data)
    for pair in der.elements(sequence.content):
        issuer, subject = der.elements(pair.content)
        if issuer.tag != 0x06 or subject.tag != 0x06:
            raise ValueError("a policy mapping is a pair of object identifiers")
        yield _dotted(issuer.content), _dotted(subject.content)


def _dotted(content: bytes) -> str:
    arcs: list[int] = []
    arc = 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or content[-1] & 0x80:
        raise ValueError("an object identifier ends in the middle")
    first = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (first, arcs[0] - 40 * first, *arcs[1:]))


def verified(signed: x509.Certificate | x509.CertificateRevocationList, tbs: bytes, key: Any) -> bool:
    """Whether ``key`` (None for one that could not be read) made the signature over ``tbs``.

    The library's own ``verify_directly_issued_by`` compares names byte by byte, which §7.1 does not.
    """
    try:
        signature = signed.signature
        parameters: Any = signed.signature_algorithm_parameters
        match key:
            case ec.EllipticCurvePublicKey() if isinstance(parameters, ec.ECDSA):
                key.verify(signature, tbs, parameters)
            case ec.EllipticCurvePublicKey() if signed.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA1:
                # The library gives no parameters for this one. That the hash is broken is said by strength_faults().
                key.verify(signature, tbs, ec.ECDSA(hashes.SHA1()))  # noqa: S303 - to tell weak from false
            case rsa.RSAPublicKey() if isinstance(parameters, padding.PKCS1v15 | padding.PSS):
                assert signed.signature_hash_algorithm is not None
                key.verify(signature, tbs, parameters, signed.signature_hash_algorithm)
            case dsa.DSAPublicKey() if signed.signature_hash_algorithm is not None:
                key.verify(signature, tbs, signed.signature_hash_algorithm)
            case None:
                return False
            case _ if any(signed.signature_algorithm_oid == oid and isinstance(key, kind) for kind, oid in _PURE):
                key.verify(signature, tbs)
            case _:
                return False
    except (InvalidSignature, AssertionError, *UNREADABLE):
        return False
    return True
