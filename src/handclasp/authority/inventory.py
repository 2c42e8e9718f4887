"""Certificates that were issued elsewhere, remembered so that they can be found and seen to expire."""

from __future__ import annotations

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handclasp.authority.lineage import certificate_of
from handclasp.authority.pipeline import event
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import Ledger
from handclasp.authority.records import EXTERNAL, AuthorityRecord, CertificateRecord, CertificateState
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.names import escaped, rfc4514
from handclasp.pki.spiffe import SpiffeID

_MAX_SERIAL = 1 << 160


async def take(
    ledger: Ledger, certificate: x509.Certificate, *, now: datetime, principal: str = OPERATOR
) -> CertificateRecord | None:
    """Remember the certificate; None if it is known already, from here or from an earlier import: nothing changes.

    Refused(FILE_UNRECOGNIZED) for one with a serial number that no certificate has, or that cannot be read, and for
    one that names an authority of ours as its issuer and was not signed by it: OCSP would call it good.
    """
    record = external_record(certificate, now)
    for one in await ledger.authorities():
        if one.key_id == record.issuer_key_id and one.certificates and not _is_by(one, certificate):
            raise _not_taken(f"it names our authority {one.name} as its issuer, which has not signed it")
    if await ledger.certificate(record.issuer_key_id, record.serial) is not None:
        return None
    # A root that was made here is known without an issuer.
    own = await ledger.certificate("", record.serial) if record.is_authority else None
    if own is not None and own.fingerprint == record.fingerprint:
        return None
    return (
        record if await ledger.record_external(record, event("certificate.imported", record, now, principal)) else None
    )


def external_record(certificate: x509.Certificate, now: datetime) -> CertificateRecord:
    """The certificate as the ledger keeps it, of the profile "external".

    Its issuer is the authority key identifier, or, where it has none, the start of the SHA-256 of the issuer's name.
    """
    try:
        return _record(certificate, now)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise _not_taken(f"it cannot be read whole: {error}") from error


def _not_taken(why: str) -> Refused:
    return Refused(
        Code.FILE_UNRECOGNIZED,
        "The certificate cannot be taken into the inventory",
        why,
        "Look at it: handclasp inspect FILE.",
    )


def _is_by(authority: AuthorityRecord, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate_of(authority, authority.certificates[0]))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _record(certificate: x509.Certificate, now: datetime) -> CertificateRecord:
    serial = certificate.serial_number
    if not 0 < serial < _MAX_SERIAL:
        raise ValueError("its serial number is not positive, or longer than 20 octets")
    der = certificate.public_bytes(Encoding.DER)
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = _alternative_names(certificate)
    return CertificateRecord(
        serial=serial,
        issuer_key_id=_issuer(certificate),
        profile=EXTERNAL,
        identity=_identity(names),
        dns=tuple(escaped(name.value) for name in names if isinstance(name, x509.DNSName)),
        ips=tuple(str(name.value) for name in names if isinstance(name, x509.IPAddress)),
        subject=rfc4514(certificate.subject),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        spki_sha256=hashlib.sha256(spki).hexdigest(),
        state=CertificateState.ISSUED,
        issued_at=now,
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        is_authority=_is_authority(certificate),
    )


def _issuer(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        found = None
    return found.hex() if found else hashlib.sha256(certificate.issuer.public_bytes()).hexdigest()[:40]


def _alternative_names(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()


def _identity(names: tuple[x509.GeneralName, ...]) -> str | None:
    """The SPIFFE ID, if there is exactly one URI and it is one."""
    uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    if len(uris) != 1:
        return None
    try:
        return str(SpiffeID.parse(uris[0]))
    except InvalidSetting:
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
