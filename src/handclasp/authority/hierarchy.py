"""The authorities of a trust domain: made once, in this order, and loaded ever after.

1. The ledger remembers that authorities are planned, before there is any key.
2. The root: its key, its self-signed certificate, its record.
3. Each issuing authority: its key, its certificate, signed by the root, its record.

Each step sees what is there already, so that a crash at any of them is continued the next time. From then on the
root's key is not needed and may be away. How authorities change is in ``rotation``, how they are made with the
root's key elsewhere in ``ceremony``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from handclasp.authority.certify import (
    PRINCIPAL,
    Workshop,
    authority_event,
    authority_record,
    issuing_certificate,
    self_signed_root,
)
from handclasp.authority.lineage import (
    DEFAULT_PLAN,
    FOR_CLIENTS,
    FOR_SERVERS,
    Hierarchy,
    Plan,
    SigningAuthority,
    active,
    free_name,
    hierarchy_of,
    signing_authority,
    uri,
)
from handclasp.authority.ports import KeyCustody, Ledger, Stale
from handclasp.authority.records import AuthorityRecord, AuthorityState, Event, Role
from handclasp.findings import Code, Refused
from handclasp.pki.keys import spki_sha256, supported
from handclasp.pki.spiffe import TrustDomain

__all__ = [
    "Hierarchy",
    "Plan",
    "SigningAuthority",
    "establish",
    "establish_root",
    "load",
    "trust_domain_of",
]

_PLANNED = "authority.planned"
_FIRST_NAMES = tuple(role.value for role in Role)


async def establish(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    *,
    plan: Plan = DEFAULT_PLAN,
    now: datetime,
    serial: Callable[[], int],
) -> Hierarchy:
    """The authorities of this state, what is missing made; ``serial`` gives a fresh serial number at each call.

    Refused: CONFIG_CONFLICT if the state belongs to another trust domain, STATE_KEY_MISSING if a key that is needed
    is away or a requested authority waits for its certificate, STATE_DAMAGED if a key does not belong to its
    certificate or the ledger to the keys.
    """
    loaded = await load(ledger, custody, trust_domain)
    if loaded is not None:
        return loaded
    shop = Workshop(ledger, custody, trust_domain, plan, now, serial)
    records = await ledger.authorities()
    for record in records:
        if record.state is AuthorityState.REQUESTED:
            raise Refused(
                Code.STATE_KEY_MISSING,
                f"The authority {record.name} has no certificate yet",
                "it was requested, and it waits for its certificate from whoever keeps the root",
                "Install it: handclasp ca install FILE.",
            )
    root = await _root(shop)
    for role in _missing(plan, records):
        await _issuing(shop, role, root)
    made = await load(ledger, custody, trust_domain)
    assert made is not None
    return made


async def load(ledger: Ledger, custody: KeyCustody, trust_domain: TrustDomain) -> Hierarchy | None:
    """The authorities that there are; nothing is made. None where one is still missing.

    Refused as ``establish`` does. Only the keys of those that sign are needed.
    """
    await check_trust_domain(ledger, trust_domain)
    records = await ledger.authorities()
    hierarchy = hierarchy_of(trust_domain, records)
    if hierarchy is None:
        return None
    signing = {hierarchy.clients.name, hierarchy.servers.name}
    for record in records:
        if record.name in signing:
            await _check_if_open(custody, record)
    return hierarchy


async def establish_root(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    *,
    plan: Plan = DEFAULT_PLAN,
    now: datetime,
    serial: Callable[[], int],
) -> SigningAuthority:
    """The active root and nothing below it, made if there is none: what the offline machine of a ceremony has."""
    await check_trust_domain(ledger, trust_domain)
    return await _root(Workshop(ledger, custody, trust_domain, plan, now, serial))


async def trust_domain_of(ledger: Ledger) -> TrustDomain | None:
    """The trust domain whose authorities this ledger remembers; None for an empty one."""
    planned = await ledger.events(kind=_PLANNED)
    return TrustDomain(planned[0].event.subject.removeprefix("spiffe://")) if planned else None


async def _check_if_open(custody: KeyCustody, record: AuthorityRecord) -> None:
    """As ``check_key``. A key that cannot be opened now is asked for when it signs: to look something up, or to
    revoke, it is not needed."""
    try:
        await check_key(custody, record, needed=True)
    except Refused as refused:
        if refused.code not in (Code.KEY_PASSPHRASE_MISSING, Code.HSM_UNAVAILABLE):
            raise


async def check_trust_domain(ledger: Ledger, trust_domain: TrustDomain) -> None:
    """Refused(CONFIG_CONFLICT) if the state belongs to another trust domain."""
    known = await trust_domain_of(ledger)
    if known is not None and known != trust_domain:
        raise Refused(
            Code.CONFIG_CONFLICT,
            f"This state does not belong to the trust domain {trust_domain}",
            f"its authority is that of {uri(known)}",
            "Set trust_domain back in handclasp.yaml, or choose another directory with --dir.",
        )


async def plan_once(ledger: Ledger, custody: KeyCustody, trust_domain: TrustDomain, now: datetime) -> None:
    """Step 1. With keys here and no plan, the ledger they belong to was lost, and with it what was revoked.

    A new root on the old key would make every revoked certificate good again.
    """
    if await ledger.events(kind=_PLANNED):
        return
    for name in _FIRST_NAMES:
        if await custody.public_key(name) is not None:
            raise Refused(
                Code.STATE_DAMAGED,
                "There are authority keys here, but the ledger knows nothing of them",
                f"{custody.where(name)} is older than the ledger: what was issued and revoked with it is not known",
                "Restore the ledger from a backup; or, to begin anew, move the old keys away: "
                "every certificate they issued then becomes useless.",
            )
    await ledger.append(Event(now, _PLANNED, uri(trust_domain), {"by": PRINCIPAL}))


async def check_key(custody: KeyCustody, record: AuthorityRecord, *, needed: bool) -> None:
    """Refused(STATE_DAMAGED) if custody has another key under this name, STATE_KEY_MISSING if a needed one is away."""
    name = record.name
    public = await custody.public_key(name)
    if public is None:
        if not needed:
            return
        raise key_missing(custody, name)
    if spki_sha256(public) != record.spki_sha256:
        raise Refused(
            Code.STATE_DAMAGED,
            f"The {name} key does not belong to the {name} certificate",
            f"{custody.where(name)} holds another key than the one that the ledger's certificate names",
            "Restore the file from a backup.",
        )


def key_missing(custody: KeyCustody, name: str) -> Refused:
    """The key of that name is needed and away."""
    return Refused(
        Code.STATE_KEY_MISSING,
        f"The {name} key is not here",
        f"there is no {custody.where(name)}",
        f"Put it back as {custody.where(name)}.",
    )


async def _root(shop: Workshop) -> SigningAuthority:
    """Step 2."""
    records = await shop.ledger.authorities()
    found = active(records, Role.ROOT)
    if found is None:
        await plan_once(shop.ledger, shop.custody, shop.trust_domain, shop.now)
        name = free_name(records, Role.ROOT)
        certificate = await self_signed_root(shop, name)
        public = supported(certificate.public_key())
        found = authority_record(name, Role.ROOT, AuthorityState.ACTIVE, public, (certificate,), now=shop.now)
        await put_new(shop.ledger, found, shop.now)
    return signing_authority(found)


async def _issuing(shop: Workshop, role: Role, root: SigningAuthority) -> None:
    """Step 3."""
    records = await shop.ledger.authorities()
    (above,) = (record for record in records if record.name == root.name)
    await check_key(shop.custody, above, needed=True)
    name = free_name(records, role)
    public = await shop.custody.create(name, shop.plan.issuing_key)
    certificate = await issuing_certificate(shop, role, public, root)
    made = authority_record(name, role, AuthorityState.ACTIVE, public, (certificate,), parent=root.name, now=shop.now)
    await put_new(shop.ledger, made, shop.now)


async def put_new(ledger: Ledger, record: AuthorityRecord, now: datetime) -> None:
    """Add one authority, with its event."""
    kind = f"authority.{record.state.value}"
    try:
        await ledger.put_authorities([(None, record)], [authority_event(kind, record, now, PRINCIPAL)])
    except Stale:
        raise Refused(
            Code.STATE_IN_USE,
            "The authority was not made",
            "another process is making it in the same database at this moment",
            "Start this one again.",
        ) from None


def _missing(plan: Plan, records: Sequence[AuthorityRecord]) -> list[Role]:
    """What the plan wants for purposes that nobody active serves."""
    served = {record.role for record in records if record.state is AuthorityState.ACTIVE}
    covered = (bool(served & FOR_CLIENTS), bool(served & FOR_SERVERS))
    if covered == (False, False):
        return list(plan.roles)
    return [role for role, there in zip((Role.CLIENTS, Role.SERVERS), covered, strict=True) if not there]
