"""Replacing an issuing authority or the root without cutting anybody off.

1. publish: the new authority is made and trusted everywhere; it signs nothing.
2. confirm: every gateway and agent has confirmed that it trusts the new one.
3. activate: the new one signs; the old one signs revocation lists only, and what it signed is still accepted.
4. re-issue: what depends on the old one is renewed.
5. retire: the old one is trusted no more.

A new root is cross-signed by the old one, and the issuing authorities' keys are certified under both, so a chain
sent from step 3 on verifies for who knows the old root, the new root, or both. The state of a rotation is that of the
``AuthorityRecord``s and nothing else: after a crash it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from handclasp.authority.adoption import put, refuse_second_rotation
from handclasp.authority.certify import Workshop, authority_record, issuing_certificate, recertified
from handclasp.authority.hierarchy import check_key
from handclasp.authority.issue import Authority
from handclasp.authority.lineage import FOR_CLIENTS, active, free_name, signing_authority
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import Ledger
from handclasp.authority.records import (
    EXTERNAL,
    AuthorityRecord,
    AuthorityState,
    CertificateRecord,
    CertificateState,
    Confirmation,
    Event,
    Role,
    Search,
)
from handclasp.authority.succession import Change, abandoned, activated, new_root, retired, with_new_root
from handclasp.findings import Code, Refused
from handclasp.pki.keys import supported
from handclasp.pki.profile import OCSP_SIGNER
from handclasp.pki.spiffe import SpiffeID

ENFORCEMENT_POINTS = ("gateway/", "agent/")
"""How the names of those begin whose confirmation a rotation waits for."""

_PAGE = 1000
# Longer than any signing takes: an intent that is older was left behind by a crash.
_SIGNING = timedelta(hours=1)
_SHOWN = 20


_NOBODYS = frozenset({EXTERNAL, OCSP_SIGNER.name})


class Step(StrEnum):
    """Where a rotation is, and what it waits for. NONE: there is no rotation."""

    NONE = "none"
    CONFIRM = "confirm"
    ACTIVATE = "activate"
    REISSUE = "re-issue"
    RETIRE = "retire"


_NEXT = {
    Step.NONE: "",
    Step.CONFIRM: "activate",
    Step.ACTIVATE: "activate",
    Step.REISSUE: "retire",
    Step.RETIRE: "retire",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """Where the rotation is. ``new`` and ``old`` are names of authorities, ``waiting_for`` the names of those who
    would be cut off by ``next``, the step that ``advance`` takes: "activate", "retire", or "" if there is none."""

    step: Step
    new: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    waiting_for: tuple[str, ...] = ()

    @property
    def next(self) -> str:
        """The step that comes."""
        return _NEXT[self.step]

    @property
    def says(self) -> str:
        """In a sentence, for a person."""
        new, old = ", ".join(self.new), ", ".join(self.old)
        count = len(self.waiting_for)
        match self.step:
            case Step.NONE:
                return "No rotation is under way."
            case Step.CONFIRM:
                return f"{new} is published; {count} {'has' if count == 1 else 'have'} not confirmed it yet."
            case Step.ACTIVATE:
                return f"{new} is published, and everyone has confirmed it."
            case Step.REISSUE:
                return f"{new} is active; {count} still {'depends' if count == 1 else 'depend'} on {old}."
            case Step.RETIRE:
                return f"{new} is active, and nobody depends on {old} any more."


def situation(
    authorities: Sequence[AuthorityRecord],
    confirmations: Iterable[Confirmation],
    certificates: Iterable[CertificateRecord],
    now: datetime,
) -> Situation:
    """What is, and who is waited for; pure. ``certificates`` are those by authorities of ``depended_on``."""
    fresh = [one for one in authorities if one.state is AuthorityState.PUBLISHED]
    if fresh:
        needed = frozenset(one.name for one in fresh if one.role is Role.ROOT or one.role in FOR_CLIENTS)
        waiting = _unconfirmed(needed, confirmations)
        step = Step.CONFIRM if waiting else Step.ACTIVATE
        return Situation(step, _names(fresh), _names(_active_like(authorities, fresh)), waiting)
    leaving = [one for one in authorities if one.state is AuthorityState.RETIRING]
    if not leaving:
        return Situation(Step.NONE)
    root = active(authorities, Role.ROOT) if any(one.role is Role.ROOT for one in leaving) else None
    valid = [one for one in certificates if _depends(one, now)]
    if root is None:
        waiting = _not_replaced(frozenset(one.key_id for one in leaving), valid)
        new = _active_like(authorities, leaving)
    else:
        kept = list(confirmations)
        waiting = (*_unconfirmed(frozenset({root.name}), kept), *_not_renewed(root, kept, valid))
        new = [root]
    return Situation(Step.REISSUE if waiting else Step.RETIRE, _names(new), _names(leaving), waiting)


def depended_on(authorities: Sequence[AuthorityRecord]) -> tuple[str, ...]:
    """The key ids of the issuing authorities whose certificates ``situation`` has to see, none where it needs none."""
    states = {one.state for one in authorities}
    if AuthorityState.PUBLISHED in states or AuthorityState.RETIRING not in states:
        return ()
    return tuple(one.key_id for one in authorities if one.role is not Role.ROOT and one.certificates)


async def start(
    authority: Authority,
    what: str,
    *,
    now: datetime,
    serial: Callable[[], int],
    principal: str = OPERATOR,
) -> Situation:
    """Make and publish what replaces the ``root``, or the authority ``issuing``, ``clients`` or ``servers``.

    The (old) root's key is needed, for this step only. With the plan's ``separate``, ``issuing`` is replaced by one
    for clients and one for servers. Refused: ROTATION_UNDER_WAY, AUTHORITY_UNKNOWN, STATE_KEY_MISSING.
    """
    ledger, custody = authority.ledger, authority.custody
    records = await ledger.authorities()
    refuse_second_rotation(records)
    shop = Workshop(ledger, custody, authority.hierarchy.trust_domain, authority.plan, now, serial)
    root = active(records, Role.ROOT)
    roles = _roles(authority, what, records)
    if root is None:
        raise _unknown("root")
    await check_key(custody, root, needed=True)
    issuer = signing_authority(root)
    changes: list[Change] = []
    if what == Role.ROOT:
        made = await new_root(shop, records, issuer)
        below: dict[str, x509.Certificate] = {}
        for record in records:
            if record.state is AuthorityState.ACTIVE and record.role is not Role.ROOT:
                held = signing_authority(record)
                public = supported(held.certificate.public_key())
                below[record.spki_sha256] = await recertified(
                    shop, held.certificate, public, made.as_issuer, above=held.above
                )
        changes = with_new_root(records, made.record(AuthorityState.PUBLISHED, now), below)
    else:
        for role in roles:
            name = free_name(records, role)
            public = await custody.create(name, authority.plan.issuing_key)
            certificate = await issuing_certificate(shop, role, public, issuer)
            state = AuthorityState.PUBLISHED
            made_record = authority_record(name, role, state, public, (certificate,), parent=root.name, now=now)
            changes.append((None, made_record))
    await put(ledger, changes, "authority.published", now, principal)
    return await status(ledger, now=now)


async def status(ledger: Ledger, *, now: datetime) -> Situation:
    """Where the rotation is."""
    return await _look(ledger, await ledger.authorities(), now)


async def advance(
    ledger: Ledger, *, without: Collection[str] = (), now: datetime, principal: str = OPERATOR
) -> Situation:
    """Take the next step: activate what is published, or retire what is left behind; returns what is then.

    ``without`` names those who may be cut off by it; the audit log has who was. Refused: ROTATION_NONE,
    ROTATION_NOT_CONFIRMED with the names of all who would be cut off, ROTATION_UNDER_WAY if another did it meanwhile.
    """
    records = await ledger.authorities()
    found = await _look(ledger, records, now)
    if found.step is Step.NONE:
        raise _none()
    if left := [name for name in found.waiting_for if name not in without]:
        raise Refused(
            Code.ROTATION_NOT_CONFIRMED,
            f"The rotation stays where it is: the next step is to {found.next}",
            f"this would cut off {_listed(left)}",
            "Wait until they have confirmed or renewed; to leave one behind: --without NAME.",
        )
    behind = " ".join(name for name in found.waiting_for if name in without)
    facts = {"without": behind} if behind else {}
    change = activated if found.next == "activate" else retired
    await put(ledger, change(records, now), f"authority.{found.next}d", now, principal, **facts)
    return await status(ledger, now=now)


async def abandon(ledger: Ledger, *, now: datetime, principal: str = OPERATOR) -> Situation:
    """Withdraw what is published and not active yet. Refused: ROTATION_NONE; ROTATION_UNDER_WAY once it signs."""
    records = await ledger.authorities()
    changes = abandoned(records, now)
    if not changes:
        if any(one.state is AuthorityState.RETIRING for one in records):
            raise Refused(
                Code.ROTATION_UNDER_WAY,
                "The rotation cannot be abandoned",
                "the new authority has signed already",
                "Bring it to its end: handclasp ca rotate advance. Then, if need be, rotate again.",
            )
        raise _none()
    await put(ledger, changes, "authority.abandoned", now, principal)
    return await status(ledger, now=now)


async def forget(ledger: Ledger, point: str, *, now: datetime, principal: str = OPERATOR) -> bool:
    """Expect no confirmation of this gateway, agent or holder any more; False if it was not known."""
    return await ledger.forget(point, Event(now, "point.forgotten", point, {"by": principal}))


async def _look(ledger: Ledger, records: Sequence[AuthorityRecord], now: datetime) -> Situation:
    certificates = [one for key_id in depended_on(records) for one in await _unexpired(ledger, key_id, now)]
    return situation(records, await ledger.confirmations(), certificates, now)


async def _unexpired(ledger: Ledger, key_id: str, now: datetime) -> list[CertificateRecord]:
    found: list[CertificateRecord] = []
    cursor: str | None = None
    while True:
        page = await ledger.search(Search(issuer_key_id=key_id, expires_after=now, after=cursor, limit=_PAGE))
        found += page.records
        cursor = page.cursor
        if cursor is None:
            return found


def _roles(authority: Authority, what: str, records: Sequence[AuthorityRecord]) -> tuple[Role, ...]:
    try:
        role = Role(what)
    except ValueError:
        raise _unknown(what) from None
    if active(records, role) is None:
        raise _unknown(what)
    return authority.plan.roles if role is Role.ISSUING else (role,)


def _unconfirmed(needed: frozenset[str], confirmations: Iterable[Confirmation]) -> tuple[str, ...]:
    return tuple(
        sorted(
            one.point
            for one in confirmations
            if one.point.startswith(ENFORCEMENT_POINTS) and not needed <= one.authorities
        )
    )


def _not_replaced(leaving: frozenset[str], valid: Iterable[CertificateRecord]) -> tuple[str, ...]:
    """The holders of what the leaving authorities issued, but for what another has issued again: for the same key,
    or, since a gateway makes a new key for each certificate, for the same name of Handclasp's own."""
    found = list(valid)
    keys = {one.spki_sha256 for one in found if _replaces(one, leaving)}
    own = {one.identity for one in found if _replaces(one, leaving) and _is_own(one)}
    return tuple(
        sorted(
            {
                _holder(one)
                for one in found
                if one.issuer_key_id in leaving and one.spki_sha256 not in keys and one.identity not in own
            }
        )
    )


def _replaces(record: CertificateRecord, leaving: frozenset[str]) -> bool:
    return record.issuer_key_id not in leaving and record.state is CertificateState.ISSUED


def _is_own(record: CertificateRecord) -> bool:
    return record.identity is not None and SpiffeID.parse(record.identity).is_reserved


def _not_renewed(
    root: AuthorityRecord, confirmations: Iterable[Confirmation], valid: Iterable[CertificateRecord]
) -> tuple[str, ...]:
    """Holders who know only the old root or send only its chain: nothing was issued to them since the new root is
    active, which is when they get its bundle and its chain, and they have not fetched them otherwise."""
    fetched = {one.point for one in confirmations if root.name in one.authorities and one.at >= root.changed_at}
    newest: dict[str, datetime] = {}
    for one in valid:
        holder = _holder(one)
        newest[holder] = max(one.issued_at, newest.get(holder, one.issued_at))
    return tuple(sorted(name for name, at in newest.items() if at < root.changed_at and name not in fetched))


def _depends(record: CertificateRecord, now: datetime) -> bool:
    # An OCSP signer goes with the authority that it answers for.
    if record.is_authority or record.profile in _NOBODYS or record.not_after <= now:
        return False
    if record.state is CertificateState.INTENDED:
        return now - record.issued_at < _SIGNING
    return record.state in (CertificateState.ISSUED, CertificateState.HELD)


def _holder(record: CertificateRecord) -> str:
    """Whose it is: the SPIFFE ID, or the first of its other names."""
    return record.identity or next(iter((*record.dns, *record.ips)), record.subject or f"{record.serial:x}")


def _active_like(authorities: Iterable[AuthorityRecord], others: Iterable[AuthorityRecord]) -> list[AuthorityRecord]:
    """The active ones of the same kind: roots for roots."""
    is_root = any(one.role is Role.ROOT for one in others)
    return [one for one in authorities if one.state is AuthorityState.ACTIVE and (one.role is Role.ROOT) == is_root]


def _names(records: Iterable[AuthorityRecord]) -> tuple[str, ...]:
    return tuple(one.name for one in records)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _unknown(what: str) -> Refused:
    return Refused(
        Code.AUTHORITY_UNKNOWN,
        f"There is no active authority {what} to rotate",
        "no active authority has this role",
        "See the authorities: handclasp ca show.",
    )


def _none() -> Refused:
    return Refused(
        Code.ROTATION_NONE,
        "There is nothing to advance or abandon",
        "no rotation is under way",
        "Begin one: handclasp ca rotate start issuing (or root).",
    )
