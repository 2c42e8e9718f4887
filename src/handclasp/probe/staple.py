"""The OCSP response that a server staples: is it for this certificate, signed by who may, and of today? (RFC 6960
§3.2)"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.findings import Code, Finding
from handclasp.pki.containers import UNREADABLE, explained

_SKEW: Final = timedelta(minutes=5)
_WHERE: Final = "stapled OCSP response"


@dataclass(frozen=True, slots=True)
class Staple:
    """What a stapled response says. ``status`` is good, revoked or unknown, or "unreadable"; ``valid`` is True where
    all is as it should be: right certificate, right signer, right time."""

    status: str
    valid: bool
    this_update: datetime | None
    next_update: datetime | None
    findings: tuple[Finding, ...]


def read(der: bytes, leaf: x509.Certificate, above: Sequence[x509.Certificate], at: datetime) -> Staple:
    """Judges the response for the leaf; ``above`` are certificates among which its issuer may be. Never raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        try:
            return _read(der, leaf, above, at)
        except (*UNREADABLE, UnsupportedAlgorithm) as error:
            return _unusable("unreadable", f"it cannot be read: {explained(error)}")


def _read(der: bytes, leaf: x509.Certificate, above: Sequence[x509.Certificate], at: datetime) -> Staple:
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return _unusable("unknown", f"the responder answered {response.response_status.name.lower()}")
    status = response.certificate_status.name.lower()
    begins, ends = response.this_update_utc, response.next_update_utc
    findings = []
    issuer = next((one for one in above if one.subject == leaf.issuer and _issued(leaf, one)), None)
    if response.serial_number != leaf.serial_number:
        findings.append(_stale("it is for another certificate"))
    elif issuer is None:
        findings.append(_stale("the certificate of the issuer was not sent, so its signature cannot be checked"))
    elif not _signed_by_who_may(response, issuer, at):
        findings.append(_stale("it is not signed by the issuer, or by whom the issuer has named for it"))
    if begins - _SKEW > at:
        findings.append(_stale(f"it is valid from {begins:%Y-%m-%d %H:%M} UTC only"))
    if ends is not None and ends < at:
        findings.append(_stale(f"it was valid until {ends:%Y-%m-%d %H:%M} UTC"))
    valid = not findings
    if status == "revoked" and valid:
        when = response.revocation_time_utc
        since = f" since {when:%Y-%m-%d %H:%M} UTC" if when is not None else ""
        findings.append(
            Finding(Code.SERVER_CERT_REVOKED, "chain[0]", f"the stapled OCSP response says: revoked{since}")
        )
    return Staple(status, valid, begins, ends, tuple(findings))


def _issued(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _signed_by_who_may(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> bool:
    """RFC 6960 §4.2.2.2: the issuer itself, or a certificate of its own with the OCSPSigning usage."""
    candidates = [issuer]
    for one in response.certificates:
        usages = _usages(one)
        current = one.not_valid_before_utc - _SKEW <= at <= one.not_valid_after_utc + _SKEW
        if ExtendedKeyUsageOID.OCSP_SIGNING in usages and current and _issued(one, issuer):
            candidates.append(one)
    return any(_verifies(response, one) for one in candidates)


def _usages(certificate: x509.Certificate) -> tuple[x509.ObjectIdentifier, ...]:
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()


def _verifies(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key = signer.public_key()
    algorithm = response.signature_hash_algorithm
    signature, data = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, data, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            _verify_rsa(key, response, algorithm)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _verify_rsa(key: rsa.RSAPublicKey, response: ocsp.OCSPResponse, algorithm: hashes.HashAlgorithm) -> None:
    pss = response.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSASSA_PSS
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if pss:
        scheme = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
    key.verify(response.signature, response.tbs_response_bytes, scheme, algorithm)


def _stale(what: str) -> Finding:
    return Finding(Code.SERVER_STAPLE_EXPIRED, _WHERE, what)


def _unusable(status: str, what: str) -> Staple:
    return Staple(status, False, None, None, (_stale(what),))
