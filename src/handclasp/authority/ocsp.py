"""What an OCSP responder says of the certificates of one authority, and the key it says it with.

The authority's own key does not sign answers: it may be slow, or in a module that counts its signatures. Each responder
makes a key of its own, which never leaves its memory, and has it certified for a day (RFC 6960 §4.2.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from handclasp.authority import pipeline
from handclasp.authority.issue import Authority
from handclasp.authority.lineage import SigningAuthority
from handclasp.authority.ports import NotIntended
from handclasp.authority.publication import for_leaf
from handclasp.authority.records import CertificateState
from handclasp.pki.issue import Names, prepare
from handclasp.pki.keys import PrivateKey, key_id, sign
from handclasp.pki.ocsp import (
    Answer,
    Gone,
    Good,
    Status,
    Unknown,
    assemble_response,
    prepare_response,
)
from handclasp.pki.profile import BACKDATE, MAX_SERIAL_BITS, OCSP_SIGNER

VALIDITY: Final = timedelta(hours=1)
"""How long an answer may be used: as long as somebody may go on believing a certificate that was revoked."""
SIGNER_LIFETIME: Final = timedelta(days=1)
PRINCIPAL: Final = "handclasp"

_MAX_COMMON_NAME = 64
_REASONS = {reason.value: reason for reason in x509.ReasonFlags}


@dataclass(frozen=True, slots=True)
class Signer:
    """Who answers for the authority ``issuer_key_id``: a key in memory and its certificate."""

    issuer_key_id: str
    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    def can_sign(self, now: datetime) -> bool:
        """Whether its certificate is valid now."""
        return self.certificate.not_valid_before_utc <= now < self.certificate.not_valid_after_utc

    def is_due(self, now: datetime) -> bool:
        """Whether another one should be made: half of its time is over, or it has not begun (the clock was set)."""
        begins, ends = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return not begins <= now < begins + (ends - begins) / 2


@dataclass(frozen=True, slots=True)
class Response:
    """A signed answer, and from when until when it may be used."""

    der: bytes
    this_update: datetime
    next_update: datetime


async def make_signer(
    authority: Authority, issuer: SigningAuthority, key: PrivateKey, *, now: datetime, serial: int
) -> Signer:
    """Certify a responder's key by that authority, through the pipeline like everything else, also by one that is
    RETIRING: what it signed is still accepted, so somebody must answer for it.

    Refused: what ``pki.issue.prepare`` refuses, REQUEST_IDENTITY_REVOKED, STATE_KEY_MISSING. Raises SerialInUse.
    """
    public = key.public_key()
    plan = authority.plan
    shard = serial % plan.crl_shards
    subject = _subject(str(authority.hierarchy.trust_domain), key_id(public))
    prepared = prepare(
        OCSP_SIGNER,
        subject=subject,
        names=Names(),
        public_key=public,
        issuer=issuer.certificate,
        serial=serial,
        now=now,
        lifetime=SIGNER_LIFETIME,
        publication=for_leaf(plan.publication, issuer.key_id, shard, plan.crl_shards),
    )
    intent = await pipeline.intend(
        authority.ledger,
        prepared,
        issuer_key_id=issuer.key_id,
        key_name=issuer.name,
        identity=None,
        names=Names(),
        subject=subject,
        public_key=public,
        principal=PRINCIPAL,
        now=now,
        shard=shard,
    )
    try:
        certificate, _ = await pipeline.complete(authority.ledger, authority.custody, intent, now=now)
    except NotIntended:
        raise pipeline.revoked_meanwhile(intent.record) from None
    return Signer(issuer.key_id, certificate, key)


async def status(authority: Authority, issuer_key_id: str, serial: int) -> Status:
    """What the ledger says of that certificate now. Unknown is what was never issued, or only meant."""
    if serial <= 0 or serial.bit_length() > MAX_SERIAL_BITS:
        return Unknown()
    record = await authority.ledger.certificate(issuer_key_id, serial)
    if record is None or record.state is CertificateState.INTENDED:
        return Unknown()
    if record.state is CertificateState.ISSUED:
        return Good()
    assert record.revoked_at is not None
    return Gone(record.revoked_at, _REASONS[record.reason or x509.ReasonFlags.unspecified.value])


def respond(signer: Signer, answers: Sequence[Answer], nonce: bytes | None, *, now: datetime) -> Response:
    """These answers, signed: good from a minute ago for an hour, and no longer than the signer itself."""
    this_update = (now - BACKDATE).replace(microsecond=0)
    next_update = min(now + VALIDITY, signer.certificate.not_valid_after_utc).replace(microsecond=0)
    prepared = prepare_response(
        signer.certificate,
        answers,
        produced_at=now,
        this_update=this_update,
        next_update=next_update,
        nonce=nonce,
    )
    return Response(assemble_response(prepared, sign(signer.key, prepared.tbs)), this_update, next_update)


def _subject(domain: str, of_key: str) -> x509.Name:
    """``CN=example.org OCSP responder 1a2b3c4d,O=Handclasp``."""
    tail = f" OCSP responder {of_key[:8]}"
    room = _MAX_COMMON_NAME - len(tail)
    if len(domain) > room:
        domain = f"{domain[: room - 3]}..."
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Handclasp"),
            x509.NameAttribute(NameOID.COMMON_NAME, domain + tail),
        ]
    )
