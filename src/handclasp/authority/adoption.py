"""Recording an authority whose certificate was made elsewhere: the first is active, a later one begins a rotation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority import inventory, pedigree
from handclasp.authority.certify import authority_event, authority_record, limits, subject_key_id
from handclasp.authority.lineage import FOR_CLIENTS, FOR_SERVERS, active, certificate_of, free_name
from handclasp.authority.ports import Ledger, Stale
from handclasp.authority.records import AuthorityRecord, AuthorityState, Role
from handclasp.authority.succession import Change, issuer_key_id, with_new_root
from handclasp.findings import Code, Refused
from handclasp.pki.keys import spki_sha256, supported
from handclasp.pki.names import rfc4514


async def adopt(
    ledger: Ledger,
    records: Sequence[AuthorityRecord],
    path: Sequence[x509.Certificate],
    name: str,
    role: Role,
    *,
    now: datetime,
    principal: str,
    take_key: Callable[[], Awaitable[object]] | None = None,
) -> AuthorityRecord:
    """The authority ``name`` of the certificate ``path[0]``, its root ``path[-1]`` recorded too where there is none.

    ``take_key`` is called when nothing speaks against it any more: a key that stayed behind from a refusal would be
    the next authority's of that name.
    """
    own, root = path[0], path[-1]
    waiting = next((one for one in records if one.name == name), None)
    changes: list[Change] = []
    parent = None
    known_root = active(records, Role.ROOT)
    if role is Role.ROOT:
        if known_root is not None:
            raise pedigree.unusable(
                f"there is a root here already: {known_root.name}",
                "To replace it: handclasp ca rotate start root. To begin anew choose another directory with --dir.",
            )
    elif known_root is None:
        parent = free_name(records, Role.ROOT)
        root_key = supported(root.public_key())
        changes.append((None, authority_record(parent, Role.ROOT, AuthorityState.ACTIVE, root_key, (root,), now=now)))
    elif spki_sha256(supported(root.public_key())) == known_root.spki_sha256:
        parent = known_root.name
    else:
        raise pedigree.unusable(
            f"its chain leads to {rfc4514(root.subject)}, and the root here is another one: {known_root.name}",
            "Have it signed by the root that everybody here trusts.",
        )
    state = _state_of_new(records, role)
    public = supported(own.public_key())
    record = authority_record(name, role, state, public, (own,), above=tuple(path[1:-1]), parent=parent, now=now)
    if waiting is not None:
        record = replace(record, created_at=waiting.created_at)
    changes.append((None if waiting is None else waiting.state, record))
    if take_key is not None:
        await take_key()
    await put(ledger, changes, "authority.installed", now, principal)
    for certificate in path:
        await inventory.take(ledger, certificate, now=now, principal=principal)
    return record


async def adopt_root(
    ledger: Ledger,
    records: Sequence[AuthorityRecord],
    root: x509.Certificate,
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    principal: str,
) -> AuthorityRecord:
    """A new root made offline: published, if the old one vouches for it and it certifies every issuing authority."""
    old = active(records, Role.ROOT)
    spki = spki_sha256(supported(root.public_key()))
    pedigree.path(spki, (root,), Role.ROOT, now)
    if old is None:
        raise pedigree.unusable(
            "there is no authority here yet that it could be the root of",
            "Import it: handclasp ca import FILE.",
        )
    refuse_second_rotation(records)
    others = [one for one in certificates if one != root]
    cross = next((one for one in others if pedigree.spki_of(one) == spki), None)
    if cross is None:
        raise pedigree.unusable(
            "the old root's certificate for the new root is missing",
            "Give all that the offline machine made.",
        )
    pedigree.path(spki, (cross, certificate_of(old, old.certificates[0])), Role.ISSUING, now)
    below = {key: one for one in others if one is not cross and (key := pedigree.spki_of(one)) is not None}
    key_id = subject_key_id(root)
    for record in records:
        if record.role is Role.ROOT or record.state is not AuthorityState.ACTIVE:
            continue
        certified = below.get(record.spki_sha256)
        if certified is None or issuer_key_id(certified.public_bytes(Encoding.DER)) != key_id:
            raise pedigree.unusable(
                f"the new root has not certified the authority {record.name}",
                "Make the new root where that authority was signed.",
            )
        pedigree.path(record.spki_sha256, (certified, root), record.role, now)
        before = [limits(certificate_of(record, der)) for der in (record.certificates[0], *record.above)]
        if any(one not in ((None, ()), limits(certified)) for one in before):
            raise pedigree.unusable(
                f"the new root lets the authority {record.name} sign more than it may sign now",
                "Make the new root where that authority was signed.",
            )
    made = authority_record(
        free_name(records, Role.ROOT),
        Role.ROOT,
        AuthorityState.PUBLISHED,
        supported(root.public_key()),
        (root, cross),
        now=now,
    )
    await put(ledger, with_new_root(records, made, below), "authority.installed", now, principal)
    for certificate in certificates:
        await inventory.take(ledger, certificate, now=now, principal=principal)
    return made


async def put(
    ledger: Ledger, changes: Sequence[Change], kind: str, now: datetime, principal: str, **facts: str
) -> None:
    """Record the changes, one event for each. Refused(ROTATION_UNDER_WAY) if somebody else changed them meanwhile."""
    events = [authority_event(kind, record, now, principal, **facts) for _, record in changes]
    try:
        await ledger.put_authorities(changes, events)
    except Stale:
        raise Refused(
            Code.ROTATION_UNDER_WAY,
            "The authorities were not changed",
            "somebody else has changed them at the same moment",
            "See what is now: handclasp ca rotate status.",
        ) from None


def refuse_second_rotation(records: Sequence[AuthorityRecord], role: Role | None = None) -> None:
    """Refused(ROTATION_UNDER_WAY) if one is; with ``role`` another published authority is fine that serves others."""
    for record in records:
        beside = (
            role is not None
            and record.state is AuthorityState.PUBLISHED
            and record.role is not Role.ROOT
            and not overlap(record.role, role)
        )
        if record.state in (AuthorityState.PUBLISHED, AuthorityState.RETIRING) and not beside:
            raise Refused(
                Code.ROTATION_UNDER_WAY,
                "Another authority cannot be published now",
                f"a rotation is under way: {record.name} is {record.state}",
                "Bring it to its end (handclasp ca rotate advance) or abandon it.",
            )


def overlap(one: Role, other: Role) -> bool:
    """Whether both sign for clients, or both for servers."""
    return any(one in roles and other in roles for roles in (FOR_CLIENTS, FOR_SERVERS))


def _state_of_new(records: Sequence[AuthorityRecord], role: Role) -> AuthorityState:
    """ACTIVE if nobody serves its purpose, otherwise PUBLISHED: it waits until everyone knows it."""
    if role is Role.ROOT or not any(one.state is AuthorityState.ACTIVE and overlap(one.role, role) for one in records):
        return AuthorityState.ACTIVE
    refuse_second_rotation(records, role)
    return AuthorityState.PUBLISHED
