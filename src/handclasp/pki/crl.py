"""Certificate revocation lists (RFC 5280 §5), made like certificates: prepared, signed elsewhere, assembled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from handclasp.pki import der
from handclasp.pki.keys import PublicKey, signature_algorithm, supported, verify
from handclasp.pki.profile import BACKDATE
from handclasp.pki.signer import NullSigner


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revoked certificate of the issuer: since when, and why (§5.3.1)."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified


@dataclass(frozen=True, slots=True)
class PreparedCRL:
    """A revocation list that lacks only its signature; the fields are those of ``issue.Prepared``."""

    tbs: bytes
    signature_algorithm: bytes
    hash_name: str
    number: int
    this_update: datetime
    next_update: datetime
    issuer_public_key: PublicKey


def prepare_crl(
    issuer: x509.Certificate, entries: Iterable[Revoked], number: int, now: datetime, lifetime: timedelta
) -> PreparedCRL:
    """The list of everything that ``issuer`` revoked, valid from a minute before ``now`` for ``lifetime``.

    ``number`` must be greater than that of every earlier list of the issuer (§5.2.3). Raises ValueError for a
    clock without time zone, a number that does not fit 20 octets, a lifetime that is not positive, a serial
    number that comes twice, or the reason removeFromCRL, which only delta lists have.
    """
    if now.tzinfo is None:
        raise ValueError("now= has no time zone")
    if number < 0 or number.bit_length() > 159:
        raise ValueError("number= must fit 20 octets and not be negative")
    if lifetime < timedelta(seconds=1):
        raise ValueError("lifetime= must be at least a second")
    issuer_public_key = supported(issuer.public_key())
    algorithm = signature_algorithm(issuer_public_key)
    this_update = (now.astimezone(UTC) - BACKDATE).replace(microsecond=0)
    next_update = (now.astimezone(UTC) + lifetime).replace(microsecond=0)

    # The list is handed over whole: add_revoked_certificate() copies it for each entry.
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject,
        last_update=this_update,
        next_update=next_update,
        revoked_certificates=_revoked(entries),
    )
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    ).add_extension(x509.CRLNumber(number), critical=False)
    crl = builder.sign(NullSigner(issuer_public_key), algorithm.hash)
    return PreparedCRL(
        tbs=crl.tbs_certlist_bytes,
        signature_algorithm=algorithm.identifier,
        hash_name=algorithm.hash.name,
        number=number,
        this_update=this_update,
        next_update=next_update,
        issuer_public_key=issuer_public_key,
    )


def assemble_crl(prepared: PreparedCRL, signature: bytes) -> x509.CertificateRevocationList:
    """The list, once ``prepared.tbs`` is signed. Raises WrongSignature, as ``issue.assemble`` does."""
    verify(prepared.issuer_public_key, signature, prepared.tbs)
    return x509.load_der_x509_crl(der.signed(prepared.tbs, prepared.signature_algorithm, signature))


def _revoked(entries: Iterable[Revoked]) -> list[x509.RevokedCertificate]:
    by_serial = {}
    for entry in entries:
        if entry.serial in by_serial:
            raise ValueError(f"serial number {entry.serial:x} comes twice")
        if entry.reason is x509.ReasonFlags.remove_from_crl:
            raise ValueError("removeFromCRL is a reason of delta lists only (RFC 5280 §5.3.1)")
        by_serial[entry.serial] = entry
    return [_entry(by_serial[serial]) for serial in sorted(by_serial)]


def _entry(entry: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(
        serial_number=entry.serial,
        revocation_date=entry.at.astimezone(UTC).replace(microsecond=0),
    )
    if entry.reason is not x509.ReasonFlags.unspecified:
        # §5.3.1: no reason is said rather than the reason "unspecified".
        builder = builder.add_extension(x509.CRLReason(entry.reason), critical=False)
    return builder.build()
