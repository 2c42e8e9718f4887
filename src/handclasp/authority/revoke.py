"""Taking back what was given: all that an identity holds, or one certificate, for good or for a while.

Each verb called again changes nothing and writes no event.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509

from handclasp.authority.issue import Authority
from handclasp.authority.pipeline import event
from handclasp.authority.policy import OPERATOR
from handclasp.authority.records import EXTERNAL, AuthorityState, CertificateRecord, CertificateState, Event, Search
from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import SpiffeID

CONNECTION_AGE = timedelta(hours=1, minutes=10)
"""How long a connection may stay open at the gateway (1 h, D20), and the time to drain it."""
SHORTEST_PREFIX = 8
"""Hex digits of a fingerprint that ``find`` wants at least."""

_HOLD = x509.ReasonFlags.certificate_hold
_OPEN = frozenset({CertificateState.INTENDED, CertificateState.ISSUED, CertificateState.HELD})


async def revoke(
    authority: Authority,
    spiffe_id: SpiffeID,
    *,
    now: datetime,
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
    principal: str = OPERATOR,
) -> tuple[CertificateRecord, ...]:
    """Revoke every unexpired certificate of the identity (D12), in one transaction with its audit events.

    One that is being signed at this moment is stopped. One that has just expired counts too: a connection made
    with it may still be open. Returns the certificates that this call revoked, oldest first; the second time
    none. Refused(REQUEST_IDENTITY_UNKNOWN) if the identity never had one.
    """
    _check_reason(reason)
    changed = await authority.ledger.revoke(
        str(spiffe_id),
        expires_after=now - CONNECTION_AGE,
        at=now,
        reason=reason.value,
        event_of=_event_of("certificate.revoked", now, principal),
    )
    if not changed and not await authority.ledger.certificates(identity=str(spiffe_id)):
        raise Refused(
            Code.REQUEST_IDENTITY_UNKNOWN,
            f"{spiffe_id} cannot be revoked",
            "no certificate was ever issued to it",
            "See the identities: handclasp client list.",
        )
    return tuple(record for record in changed if record.fingerprint)


async def revoke_certificate(
    authority: Authority,
    issuer_key_id: str,
    serial: int,
    *,
    now: datetime,
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
    principal: str = OPERATOR,
) -> CertificateRecord:
    """Revoke one certificate, also one on hold; returns it as it is afterwards. Its reason stays the first one's.

    Refused: CERTIFICATE_UNKNOWN; AUTHORITY_UNKNOWN for one that was issued elsewhere; ROTATION_NONE for that of an
    authority that is trusted: it is rotated first.
    """
    _check_reason(reason)
    await _check_ours(authority, issuer_key_id, serial)
    changed = await authority.ledger.change_state(
        issuer_key_id,
        serial,
        allowed_from=_OPEN,
        to=CertificateState.REVOKED,
        at=now,
        reason=reason.value,
        event_of=_event_of("certificate.revoked", now, principal),
    )
    return changed or await known(authority, issuer_key_id, serial)


async def hold(
    authority: Authority, issuer_key_id: str, serial: int, *, now: datetime, principal: str = OPERATOR
) -> CertificateRecord:
    """Revoke one certificate until it is released (certificateHold, RFC 5280 §5.3.1); returns it afterwards.

    Refused: CERTIFICATE_UNKNOWN, CERTIFICATE_REVOKED, AUTHORITY_UNKNOWN, ROTATION_NONE.
    """
    await _check_ours(authority, issuer_key_id, serial)
    changed = await authority.ledger.change_state(
        issuer_key_id,
        serial,
        allowed_from=frozenset({CertificateState.ISSUED}),
        to=CertificateState.HELD,
        at=now,
        reason=_HOLD.value,
        event_of=_event_of("certificate.held", now, principal),
    )
    if changed is not None:
        return changed
    found = await known(authority, issuer_key_id, serial)
    if found.state is not CertificateState.HELD:
        raise _for_good(found, "put on hold")
    return found


async def release(
    authority: Authority, issuer_key_id: str, serial: int, *, now: datetime, principal: str = OPERATOR
) -> CertificateRecord:
    """Make a certificate that is on hold good again; returns it as it is afterwards.

    Refused: CERTIFICATE_UNKNOWN, CERTIFICATE_REVOKED, and CERTIFICATE_NOT_HELD if it never was on hold.
    """
    changed = await authority.ledger.change_state(
        issuer_key_id,
        serial,
        allowed_from=frozenset({CertificateState.HELD}),
        to=CertificateState.ISSUED,
        at=None,
        reason=None,
        event_of=_event_of("certificate.released", now, principal),
    )
    if changed is not None:
        return changed
    found = await known(authority, issuer_key_id, serial)
    if found.state is CertificateState.REVOKED:
        raise _for_good(found, "released")
    about = event("certificate.released", found, now, principal)
    for earlier in await authority.ledger.events(subject=about.subject):
        if earlier.event.kind == about.kind and earlier.event.data["serial"] == about.data["serial"]:
            return found
    raise Refused(
        Code.CERTIFICATE_NOT_HELD,
        f"The certificate {serial:x} cannot be released",
        "it is not on hold",
        f"See its state: handclasp cert show {serial:x}.",
    )


async def find(authority: Authority, text: str) -> CertificateRecord:
    """The certificate that a person means by its serial number, or by the first digits of its SHA-256 fingerprint,
    in hex with or without colons.

    Refused(CERTIFICATE_UNKNOWN) if there is none, or more than one.
    """
    digits = text.strip().replace(":", "").lower().removeprefix("0x")
    found: dict[tuple[str, int], CertificateRecord] = {}
    if digits and set(digits) <= set("0123456789abcdef"):
        if 0 < (serial := int(digits, 16)) < 1 << 160:
            page = await authority.ledger.search(Search(serial=serial))
            found |= {(record.issuer_key_id, record.serial): record for record in page.records}
        if SHORTEST_PREFIX <= len(digits) <= 64:
            page = await authority.ledger.search(Search(fingerprint=digits, limit=2))
            found |= {(record.issuer_key_id, record.serial): record for record in page.records}
    if len(found) == 1:
        return next(iter(found.values()))
    raise Refused(
        Code.CERTIFICATE_UNKNOWN,
        f"There is no one certificate {text}",
        "more than one begins so" if found else "none has this serial number, and no fingerprint begins so",
        "Give the whole serial number or more digits of the fingerprint; search with handclasp cert list.",
    )


async def known(authority: Authority, issuer_key_id: str, serial: int) -> CertificateRecord:
    """The certificate of that issuer and serial. Refused(CERTIFICATE_UNKNOWN)."""
    found = await authority.ledger.certificate(issuer_key_id, serial)
    if found is None:
        raise Refused(
            Code.CERTIFICATE_UNKNOWN,
            f"There is no certificate {serial:x}",
            f"the ledger has none of this serial number by the issuer {issuer_key_id or '(itself)'}",
            "Search for it: handclasp cert list.",
        )
    return found


def _check_reason(reason: x509.ReasonFlags) -> None:
    if reason is x509.ReasonFlags.remove_from_crl:
        raise ValueError("removeFromCRL takes nothing back (RFC 5280 §5.3.1)")
    if reason is _HOLD:
        raise ValueError("to take back for a while is hold(), of one certificate")


async def _check_ours(authority: Authority, issuer_key_id: str, serial: int) -> None:
    """Not somebody else's to revoke, and not that of an authority which is trusted."""
    record = await known(authority, issuer_key_id, serial)
    if not record.is_authority and record.profile != EXTERNAL:
        return
    authorities = await authority.ledger.authorities()
    for one in authorities:
        if one.spki_sha256 == record.spki_sha256 and one.state is not AuthorityState.RETIRED:
            raise Refused(
                Code.ROTATION_NONE,
                f"The certificate of the authority {one.name} cannot be revoked",
                f"the authority is {one.state}: everything that it signed would be cut off at once",
                f"Rotate it first (handclasp ca rotate start {one.role}), and revoke it when it is retired.",
            )
    if record.profile == EXTERNAL and issuer_key_id not in {one.key_id for one in authorities}:
        raise Refused(
            Code.AUTHORITY_UNKNOWN,
            f"The certificate {serial:x} cannot be revoked here",
            "it was issued elsewhere, and who verifies it does not ask us",
            "Revoke it where it was issued.",
        )


def _for_good(record: CertificateRecord, what: str) -> Refused:
    return Refused(
        Code.CERTIFICATE_REVOKED,
        f"The certificate {record.serial:x} cannot be {what}",
        "it is revoked for good" if record.state is CertificateState.REVOKED else "it was never signed",
        "Issue a new one.",
    )


def _event_of(kind: str, now: datetime, principal: str) -> Callable[[CertificateRecord], Event]:
    return lambda record: event(kind, record, now, principal)
