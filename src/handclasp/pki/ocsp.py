"""OCSP requests and responses (RFC 6960) as values and as DER; nothing here knows any certificate.

``cryptography`` reads and writes them for one certificate at a time only; a request may ask for several. That a
response for one is, byte for byte, what ``cryptography`` would have written is tested.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.pki import der
from handclasp.pki.crl import REASON_NUMBERS
from handclasp.pki.keys import PublicKey, signature_algorithm, supported, verify

MAX_CERTIFICATES = 64
"""How many certificates one request may ask for."""
MAX_NONCE = 128
"""RFC 9654 §2.1: a responder must refuse longer nonces, and empty ones."""

_MAX_EXTENSIONS = 16

_INTEGER, _OCTET_STRING, _OID, _ENUMERATED = 0x02, 0x04, 0x06, 0x0A
_NULL = b"\x05\x00"
_EXPLICIT_0, _EXPLICIT_1, _EXPLICIT_2 = 0xA0, 0xA1, 0xA2

_NONCE = bytes.fromhex("2b0601050507300102")
_BASIC = bytes.fromhex("06092b0601050507300101")
# Extensions that may be critical: this responder does what they ask (§4.4.3: it only gives basic responses).
_UNDERSTOOD = frozenset({_NONCE, bytes.fromhex("2b0601050507300104")})

# The hashes of CertID by OID. SHA-1 is what nearly every client sends; it finds the issuer here and protects nothing.
_HASHES: Mapping[bytes, str] = MappingProxyType(
    {
        bytes.fromhex("2b0e03021a"): "sha1",
        bytes.fromhex("608648016503040201"): "sha256",
        bytes.fromhex("608648016503040202"): "sha384",
        bytes.fromhex("608648016503040203"): "sha512",
    }
)


class MalformedRequest(ValueError):
    """What was sent is no OCSP request that §4.1.1 allows."""


class Failure(IntEnum):
    """A response without an answer (OCSPResponseStatus, §4.2.1), which nobody signs."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True)
class CertID:
    """Which certificate is meant (§4.1.1): hashes of its issuer's name and key, and its serial number.

    ``hash_name`` is as hashlib has it, None for a hash that is not known here. ``der`` are the octets that were sent,
    which the answer repeats.
    """

    hash_name: str | None
    name_hash: bytes
    key_hash: bytes
    serial: int
    der: bytes


@dataclass(frozen=True, slots=True)
class OCSPRequest:
    """What is asked: at least one certificate, each once; ``nonce`` as it was sent, or None."""

    certificates: tuple[CertID, ...]
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class Good:
    """Issued, and not revoked."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Revoked, or held (certificate_hold)."""

    at: datetime
    reason: x509.ReasonFlags


@dataclass(frozen=True, slots=True)
class Unknown:
    """Never issued."""


Status = Good | Gone | Unknown


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one certificate."""

    certificate: CertID
    status: Status


@dataclass(frozen=True, slots=True)
class PreparedOCSP:
    """A response that lacks only its signature, which is to be made over exactly ``tbs`` by the key of ``signer``."""

    tbs: bytes
    signer: x509.Certificate
    signer_public_key: PublicKey


def parse_request(data: bytes) -> OCSPRequest:
    """The request in these octets. Raises MalformedRequest.

    A signature on the request is not looked at (§4.1.2 leaves it to the responder); extensions that are not known
    here are passed over, unless they are critical (§4.4).
    """
    try:
        return _request(data)
    except MalformedRequest:
        raise
    except (ValueError, IndexError) as error:
        raise MalformedRequest(str(error)) from None


def issuer_hashes(issuer: x509.Certificate) -> frozenset[tuple[str, bytes, bytes]]:
    """What a CertID of a certificate by this issuer may have: hash name, hash of the name, hash of the key."""
    subject = _fields(issuer)[_SUBJECT]
    name, key = der.encode(subject.tag, subject.content), _key_bits(issuer)
    return frozenset(
        (algorithm, hashlib.new(algorithm, name).digest(), hashlib.new(algorithm, key).digest())
        for algorithm in _HASHES.values()
    )


def key_hash(certificate: x509.Certificate) -> bytes:
    """SHA-1 of the key's bits: how a responder says which key is its own (byKey, §4.2.1)."""
    return hashlib.sha1(_key_bits(certificate), usedforsecurity=False).digest()


def prepare_response(
    signer: x509.Certificate,
    answers: Sequence[Answer],
    *,
    produced_at: datetime,
    this_update: datetime,
    next_update: datetime,
    nonce: bytes | None = None,
) -> PreparedOCSP:
    """The response data (§4.2.1) that ``signer`` is to sign; times are cut to the second. ValueError without answers
    or for times without zone."""
    if not answers:
        raise ValueError("a response answers something")
    if None in (produced_at.tzinfo, this_update.tzinfo, next_update.tzinfo):
        raise ValueError("a time has no time zone")
    responses = b"".join(_single(answer, _time(this_update), _time(next_update)) for answer in answers)
    extensions = b""
    if nonce is not None:
        value = der.encode(_OCTET_STRING, der.encode(_OCTET_STRING, nonce))
        extension = der.encode(der.SEQUENCE, der.encode(_OID, _NONCE) + value)
        extensions = der.encode(_EXPLICIT_1, der.encode(der.SEQUENCE, extension))
    by_key = der.encode(_EXPLICIT_2, der.encode(_OCTET_STRING, key_hash(signer)))
    tbs = der.encode(der.SEQUENCE, by_key + _time(produced_at) + der.encode(der.SEQUENCE, responses) + extensions)
    return PreparedOCSP(tbs, signer, supported(signer.public_key()))


def assemble_response(prepared: PreparedOCSP, signature: bytes) -> bytes:
    """The successful response, with the signer's certificate, once ``prepared.tbs`` is signed. WrongSignature."""
    verify(prepared.signer_public_key, signature, prepared.tbs)
    certificates = der.encode(der.SEQUENCE, prepared.signer.public_bytes(Encoding.DER))
    basic = der.encode(
        der.SEQUENCE,
        prepared.tbs
        + signature_algorithm(prepared.signer_public_key).identifier
        + der.encode(der.BIT_STRING, b"\x00" + signature)
        + der.encode(_EXPLICIT_0, certificates),
    )
    return der.encode(
        der.SEQUENCE,
        der.encode(_ENUMERATED, b"\x00")
        + der.encode(_EXPLICIT_0, der.encode(der.SEQUENCE, _BASIC + der.encode(_OCTET_STRING, basic))),
    )


def failure(status: Failure) -> bytes:
    """The response that says only why there is no answer."""
    return der.encode(der.SEQUENCE, der.encode(_ENUMERATED, bytes((status,))))


# Reading.


def _request(data: bytes) -> OCSPRequest:
    (to_be_signed, *_) = _in(_only(data), at_most=2)
    version, rest = _optional(_in(to_be_signed), _EXPLICIT_0)
    if version is not None and _only(version) != der.Element(_INTEGER, b"\x00"):
        raise MalformedRequest("the version is not v1")
    _, rest = _optional(rest, _EXPLICIT_1)  # requestorName: anybody may ask
    if not rest:
        raise MalformedRequest("there is no list of certificates")
    wanted = _in(rest[0], at_most=MAX_CERTIFICATES)
    extensions, rest = _optional(rest[1:], _EXPLICIT_2)
    if rest:
        raise MalformedRequest("the list of certificates is followed by something else than extensions")
    certificates = []
    for one in wanted:
        identifier, *more = _in(one, at_most=2)
        of_one, more = _optional(more, _EXPLICIT_0)
        if more:
            raise MalformedRequest("a certificate is followed by something else than extensions")
        _extensions(of_one)
        certificates.append(_certificate_id(identifier))
    return OCSPRequest(tuple(dict.fromkeys(certificates)), _nonce(_extensions(extensions)))


def _certificate_id(element: der.Element) -> CertID:
    algorithm, name_hash, key_hash, serial = _in(element)
    oid, *parameters = _in(algorithm, at_most=2)
    if (oid.tag, name_hash.tag, key_hash.tag, serial.tag) != (_OID, _OCTET_STRING, _OCTET_STRING, _INTEGER):
        raise MalformedRequest("a CertID has other fields than §4.1.1 says")
    if parameters not in ([], [der.Element(_NULL[0], b"")]):
        raise MalformedRequest("a hash algorithm has parameters")
    if not 1 <= len(serial.content) <= 21 or len(name_hash.content) > 64 or len(key_hash.content) > 64:
        raise MalformedRequest("a serial number or hash is too long")
    return CertID(
        hash_name=_HASHES.get(oid.content),
        name_hash=name_hash.content,
        key_hash=key_hash.content,
        serial=int.from_bytes(serial.content, "big", signed=True),
        der=der.encode(der.SEQUENCE, element.content),
    )


def _extensions(explicit: der.Element | None) -> dict[bytes, bytes]:
    """The values by OID. Refuses the same one twice (RFC 5280 §4.2) and critical ones that are not known."""
    found: dict[bytes, bytes] = {}
    if explicit is None:
        return found
    for extension in _in(_only(explicit), at_most=_MAX_EXTENSIONS):
        oid, *critical, value = _in(extension, at_most=3)
        if oid.tag != _OID or value.tag != _OCTET_STRING or oid.content in found:
            raise MalformedRequest("an extension is none, or is there twice")
        if critical not in ([], [der.Element(0x01, b"\x00")]) and oid.content not in _UNDERSTOOD:
            raise MalformedRequest("a critical extension is not known here")
        found[oid.content] = value.content
    return found


def _nonce(extensions: Mapping[bytes, bytes]) -> bytes | None:
    value = extensions.get(_NONCE)
    if value is None:
        return None
    nonce = _only(value)
    if nonce.tag != _OCTET_STRING or not 1 <= len(nonce.content) <= MAX_NONCE:
        raise MalformedRequest(f"the nonce does not have 1 to {MAX_NONCE} octets (RFC 9654 §2.1)")
    return nonce.content


def _only(data: bytes | der.Element) -> der.Element:
    (element,) = der.elements(data if isinstance(data, bytes) else data.content)
    return element


def _in(element: der.Element, at_most: int = 4) -> list[der.Element]:
    """The elements of a SEQUENCE, at least one."""
    if element.tag != der.SEQUENCE:
        raise MalformedRequest("there is something else where a SEQUENCE should be")
    found = list(itertools.islice(der.elements(element.content), at_most + 1))
    if not 1 <= len(found) <= at_most:
        raise MalformedRequest("a SEQUENCE has too many fields or none")
    return found


def _optional(fields: list[der.Element], tag: int) -> tuple[der.Element | None, list[der.Element]]:
    if fields and fields[0].tag == tag:
        return fields[0], fields[1:]
    return None, fields


# Writing.


def _single(answer: Answer, this_update: bytes, next_update: bytes) -> bytes:
    return der.encode(
        der.SEQUENCE,
        answer.certificate.der + _status(answer.status) + this_update + der.encode(_EXPLICIT_0, next_update),
    )


def _status(status: Status) -> bytes:
    """CertStatus (§4.2.1). No reason is said rather than the reason "unspecified"."""
    if isinstance(status, Good):
        return b"\x80\x00"
    if isinstance(status, Unknown):
        return b"\x82\x00"
    reason = b""
    if status.reason in REASON_NUMBERS:
        reason = der.encode(_EXPLICIT_0, der.encode(_ENUMERATED, bytes((REASON_NUMBERS[status.reason],))))
    return der.encode(_EXPLICIT_1, _time(status.at) + reason)


def _time(at: datetime) -> bytes:
    return der.encode(der.GENERALIZED_TIME, at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def _key_bits(certificate: x509.Certificate) -> bytes:
    _, bits = der.elements(_fields(certificate)[_KEY].content)
    return bits.content[1:]


def _fields(certificate: x509.Certificate) -> list[der.Element]:
    """The fields of a TBSCertificate of version 3, as they were signed: hashes are over those octets."""
    return list(der.elements(_only(certificate.tbs_certificate_bytes).content))


_SUBJECT, _KEY = 5, 6
