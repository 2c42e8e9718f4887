"""What is in a file, for a person and for a program: plain values from certificates, requests, CRLs and keys.

Files from anywhere are described, so anything in them may be malformed: what cannot be read is said in its place,
and the rest goes on. Nothing secret is ever in an answer.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.pki import sequence
from handclasp.pki.containers import Contents, FoundCertificate, FoundKey, explained
from handclasp.pki.described_extensions import MALFORMED, Values, extensions, extensions_of, oid_name, value_of

Described = dict[str, Any]
FIRST_ENTRIES = 10  # of a CRL, unless all are asked for

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_KINDS = {"Ed25519": "Ed25519", "Ed448": "Ed448", "X25519": "X25519", "X448": "X448", "DH": "Diffie-Hellman"}
_KINDS |= {"MLDSA44": "ML-DSA-44", "MLDSA65": "ML-DSA-65", "MLDSA87": "ML-DSA-87"}


def contents(found: Contents, *, now: datetime, whole: bool = False) -> Described:
    """Everything in a file. ``whole`` gives every entry of CRLs and not the first only.

    Keys of the answer: ``form``, ``certificates``, ``chain``, ``private_keys``, ``requests``, ``crls``,
    ``public_keys``, ``faults``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        return _contents(found, now, whole)


def certificate(found: FoundCertificate, *, now: datetime) -> Described:
    """A certificate by what matters, with all of its extensions by OID."""
    one = found.certificate
    values = extensions_of(one)
    not_before, not_after = _read(lambda: one.not_valid_before_utc), _read(lambda: one.not_valid_after_utc)
    return {
        "name": found.name,
        "trusted_by_java": found.trusted,
        "names": value_of(values, "subjectAltName", []),
        "subject": _name(one, "subject"),
        "issuer": _name(one, "issuer"),
        **_validity(not_before, not_after, now),
        "serial": _read(lambda: f"{one.serial_number:x}"),
        "sha256": hashlib.sha256(one.public_bytes(Encoding.DER)).hexdigest(),
        "key": _key(one.public_key),
        "signature_algorithm": _signature(one),
        "ca": _is_authority(values),
        "path_length": value_of(values, "basicConstraints", {}).get("path_length"),
        "key_usage": value_of(values, "keyUsage"),
        "extended_key_usage": value_of(values, "extendedKeyUsage"),
        "name_constraints": value_of(values, "nameConstraints"),
        "crl_urls": value_of(values, "cRLDistributionPoints", []),
        "ocsp_urls": value_of(values, "authorityInfoAccess", {}).get("ocsp", []),
        "issuer_urls": value_of(values, "authorityInfoAccess", {}).get("issuers", []),
        "subject_key_identifier": value_of(values, "subjectKeyIdentifier"),
        "authority_key_identifier": value_of(values, "authorityKeyIdentifier"),
        "extensions": values,
    }


def request(one: x509.CertificateSigningRequest) -> Described:
    """A certificate request: what it wishes, and whether its own key signed it (RFC 2986)."""
    values = _extensions(lambda: one.extensions)
    return {
        "subject": _name(one, "subject"),
        "names": value_of(values, "subjectAltName", []),
        "key": _key(one.public_key),
        "signature_algorithm": _signature(one),
        "signature_valid": _read(lambda: one.is_signature_valid) is True,
        "key_usage": value_of(values, "keyUsage"),
        "extended_key_usage": value_of(values, "extendedKeyUsage"),
        "ca": _is_authority(values),
        "extensions": values,
    }


def crl(one: x509.CertificateRevocationList, *, now: datetime, whole: bool = False) -> Described:
    """A revocation list: its issuer, number, dates and entries (the first FIRST_ENTRIES, unless ``whole``)."""
    values = _extensions(lambda: one.extensions)
    next_update = _read(lambda: one.next_update_utc)
    entries = _read(lambda: [_entry(entry) for entry in islice(one, None if whole else FIRST_ENTRIES)])
    return {
        "issuer": _name(one, "issuer"),
        "number": value_of(values, "cRLNumber"),
        "delta": value_of(values, "deltaCRLIndicator"),
        "this_update": _when(_read(lambda: one.last_update_utc)),
        "next_update": _when(next_update),
        "expired": isinstance(next_update, datetime) and next_update < now,
        "sha256": hashlib.sha256(one.public_bytes(Encoding.DER)).hexdigest(),
        "signature_algorithm": _signature(one),
        "authority_key_identifier": value_of(values, "authorityKeyIdentifier"),
        "count": _read(lambda: len(one)),
        "entries": entries if isinstance(entries, list) else [{"error": entries}],
        "extensions": values,
    }


def public_key(public: PublicKeyTypes) -> Described:
    """The kind of a key in words, and the SHA-256 of its SubjectPublicKeyInfo."""
    return {"kind": kind(public), "spki_sha256": hashlib.sha256(sequence.spki(public)).hexdigest()}


def kind(key: PublicKeyTypes | PrivateKeyTypes) -> str:
    """``EC P-256``, ``RSA 2048``, ``Ed25519``, ``ML-DSA-65``."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"RSA {key.key_size}"
    if isinstance(key, dsa.DSAPublicKey | dsa.DSAPrivateKey):
        return f"DSA {key.key_size}"
    name = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey")
    return _KINDS.get(name, name)


def is_post_quantum(key: PrivateKeyTypes) -> bool:
    """Whether it is an ML-DSA key, which many programs and formats do not take yet."""
    return isinstance(key, mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey)


def _contents(found: Contents, now: datetime, whole: bool) -> Described:
    certificates = [one.certificate for one in found.certificates]
    above = sequence.issuers(certificates)
    described = [certificate(one, now=now) for one in found.certificates]
    for index, (one, issuer) in enumerate(zip(described, above, strict=True)):
        one["self_signed"] = issuer == index
        one["issued_by"] = None if issuer is None or issuer == index else issuer + 1
    public = [sequence.certified(one) for one in certificates]
    return {
        "form": found.form,
        "certificates": described,
        "chain": _chain(certificates, above),
        "private_keys": [_private_key(one, public) for one in found.keys],
        "requests": [request(one) for one in found.requests],
        "crls": [crl(one, now=now, whole=whole) for one in found.crls],
        "public_keys": [_key(lambda one=one: one) for one in found.public_keys],  # type: ignore[misc]
        "faults": list(found.faults),
    }


def _private_key(found: FoundKey, certified: list[bytes | None]) -> Described:
    described: Described = {
        "name": found.name,
        "form": found.form,
        "encrypted": found.encrypted,
        "opened": found.key is not None,
        "kind": None,
        "spki_sha256": None,
        "certificates": [],
    }
    key = found.key
    if key is not None:
        public = _read(lambda: sequence.spki_of(key))
        described["kind"] = kind(key)
        if isinstance(public, bytes):
            described["spki_sha256"] = hashlib.sha256(public).hexdigest()
            described["certificates"] = [number for number, one in enumerate(certified, 1) if one == public]
    return described


def _chain(certificates: list[x509.Certificate], above: tuple[int | None, ...]) -> Described | None:
    """How the certificates hang together, where there are several."""
    if len(certificates) < 2:
        return None
    order = sequence.ordered(certificates)
    links = list(pairwise(order))
    one_chain = all(above[lower] == upper for lower, upper in links)
    top = order[-1]
    return {
        "order": [index + 1 for index in order],
        "one_chain": one_chain,
        "in_order": one_chain and list(order) == sorted(order),
        "complete": one_chain and above[top] == top,
        "missing": None if not one_chain or above[top] == top else _name(certificates[top], "issuer"),
    }


def _validity(not_before: object, not_after: object, now: datetime) -> Described:
    described: Described = {"not_before": _when(not_before), "not_after": _when(not_after)}
    described |= {"status": "unreadable", "days_left": None}
    if isinstance(not_before, datetime) and isinstance(not_after, datetime):
        described["days_left"] = round((not_after - now) / timedelta(days=1), 2)
        described["status"] = "expired" if not_after < now else "not yet valid" if now < not_before else "valid"
    return described


def _entry(entry: x509.RevokedCertificate) -> Described:
    values = _extensions(lambda: entry.extensions)
    return {
        "serial": f"{entry.serial_number:x}",
        "revoked_at": _when(entry.revocation_date_utc),
        "reason": value_of(values, "cRLReason"),
    }


def _key(load: Callable[[], PublicKeyTypes]) -> Described:
    described = _read(lambda: public_key(load()))
    return described if isinstance(described, dict) else {"kind": described, "spki_sha256": None}


def _signature(one: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList) -> Any:
    return _read(lambda: oid_name(one.signature_algorithm_oid))


def _when(value: object) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _extensions(load: Callable[[], x509.Extensions]) -> Values:
    try:
        return extensions(load())
    except MALFORMED as error:
        return [{"error": explained(error)}]


def _is_authority(values: Values) -> bool | None:
    """None where it cannot be told."""
    constraints = value_of(values, "basicConstraints")
    if constraints is not None:
        return bool(constraints["ca"])
    unread = any("error" in one and one.get("name", "basicConstraints") == "basicConstraints" for one in values)
    return None if unread else False


def _name(one: Any, which: str) -> Any:
    return _read(lambda: getattr(one, which).rfc4514_string())


def _read(read: Callable[[], Any]) -> Any:
    """What ``read`` gives, or a sentence that says it cannot be read."""
    try:
        return read()
    except MALFORMED as error:
        return f"unreadable: {explained(error)}"
