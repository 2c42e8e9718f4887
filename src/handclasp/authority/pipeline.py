"""From a prepared certificate to a recorded one; every certificate goes this way, the authorities' own too.

1. ``intend``: the ledger remembers what is about to be signed.
2. ``complete``: custody signs exactly those bytes; the certificate is assembled and its signature verified; the
   certificate and its audit event are recorded in one transaction. Only then does anyone get it.

A crash between the two leaves the intent as a record; no certificate is in use that the ledger does not know.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.ports import KeyCustody, Ledger
from handclasp.authority.records import CertificateRecord, CertificateState, Event
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names, Prepared, assemble
from handclasp.pki.keys import PublicKey, signature_algorithm, spki_sha256, supported
from handclasp.pki.names import rfc4514
from handclasp.pki.profile import Profile


@dataclass(frozen=True, slots=True)
class Intent:
    """A certificate that the ledger knows and nobody has signed. ``key_name`` is the issuer's key in custody."""

    prepared: Prepared
    record: CertificateRecord
    key_name: str
    principal: str


async def intend(
    ledger: Ledger,
    prepared: Prepared,
    *,
    issuer_key_id: str,
    key_name: str,
    identity: str | None,
    names: Names,
    subject: x509.Name,
    public_key: PublicKey,
    principal: str,
    now: datetime,
    shard: int = 0,
    request_id: str | None = None,
) -> Intent:
    """Step 1. Raises SerialInUse, RequestRepeated, KeyBarred."""
    record = CertificateRecord(
        serial=prepared.serial,
        issuer_key_id=issuer_key_id,
        profile=prepared.profile.name,
        identity=identity,
        dns=names.dns,
        ips=tuple(str(address) for address in names.ips),
        subject=rfc4514(subject),
        not_before=prepared.not_before,
        not_after=prepared.not_after,
        spki_sha256=spki_sha256(public_key),
        state=CertificateState.INTENDED,
        issued_at=now,
        tbs=prepared.tbs,
        shard=shard,
        request_id=request_id,
        is_authority=prepared.profile.is_ca,
    )
    await ledger.record_intent(record, event("certificate.intended", record, now, principal))
    return Intent(prepared, record, key_name, principal)


async def complete(
    ledger: Ledger, custody: KeyCustody, intent: Intent, *, now: datetime
) -> tuple[x509.Certificate, CertificateRecord]:
    """Step 2. Raises NotIntended if the intent was revoked or completed meanwhile, and whatever custody raises."""
    signature = await custody.sign(intent.key_name, intent.prepared.tbs)
    certificate = assemble(intent.prepared, signature)
    der = certificate.public_bytes(Encoding.DER)
    record = replace(
        intent.record,
        state=CertificateState.ISSUED,
        issued_at=now,
        tbs=b"",
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
    )
    kind = "authority.created" if record.is_authority else "certificate.issued"
    await ledger.record_issued(record, event(kind, record, now, intent.principal))
    return certificate, record


def resumed(record: CertificateRecord, profile: Profile, issuer: x509.Certificate) -> Prepared:
    """What the record of an intent says was prepared, to be signed after a crash: the same bytes."""
    public = supported(issuer.public_key())
    algorithm = signature_algorithm(public)
    return Prepared(
        profile=profile,
        tbs=record.tbs,
        signature_algorithm=algorithm.identifier,
        serial=record.serial,
        not_before=record.not_before,
        not_after=record.not_after,
        issuer_public_key=public,
    )


def revoked_meanwhile(record: CertificateRecord) -> Refused:
    """What NotIntended means to the one who asked."""
    return Refused(
        Code.REQUEST_IDENTITY_REVOKED,
        f"The certificate for {record.identity or record.subject or ', '.join(record.dns)} was not issued",
        "the identity was revoked while it was being made",
        "To grant access again: handclasp client add NAME.",
    )


def event(kind: str, record: CertificateRecord, at: datetime, principal: str) -> Event:
    """The audit event about a certificate: about whom, by whom, and which certificate."""
    data = {
        "by": principal,
        "profile": record.profile,
        "issuer_key_id": record.issuer_key_id,
        "serial": f"{record.serial:x}",
        "spki_sha256": record.spki_sha256,
        "not_before": record.not_before.isoformat(),
        "not_after": record.not_after.isoformat(),
    }
    if record.dns or record.ips:
        data["hosts"] = " ".join((*record.dns, *record.ips))
    if record.fingerprint:
        data["fingerprint"] = record.fingerprint
    if record.reason is not None:
        data["reason"] = record.reason
    if record.request_id is not None:
        data["request_id"] = record.request_id
    return Event(at, kind, record.identity or record.subject or data.get("hosts", f"{record.serial:x}"), data)
