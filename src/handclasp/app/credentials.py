"""Client certificates for hosts: added, listed, shown, removed. Each verb is one operation of ``control``.

No answer has a key. What keeps the keys is in ``sealing``, what uses them in ``credential_source``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from handclasp.app import ambient
from handclasp.app.certificates import check_verifiable
from handclasp.app.credential_files import Pair, anchors, fingerprint, pair
from handclasp.app.naming import identity_named
from handclasp.app.sealing import Sealing
from handclasp.app.site import Site
from handclasp.app.vault import Vault
from handclasp.authority.issue import issue
from handclasp.authority.lineage import active
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import Ledger, Stale
from handclasp.authority.records import AuthorityState, CertificateRecord, CertificateState, Event, Role, Search
from handclasp.authority.renew import renew_certificate
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import describe, keys, pem, request
from handclasp.pki.issue import Names
from handclasp.pki.names import rfc4514
from handclasp.pki.profile import CLIENT
from handclasp.pki.spiffe import SpiffeID
from handclasp.probe import parse
from handclasp.probe.credentials import Pattern, candidates
from handclasp.store.credentials import CredentialStore, StoredCredential

Json = dict[str, object]

RESERVED = frozenset({"auto", "none"})
"""Names that mean something else where a credential is named."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME_ALLOWED = "letters, digits, dots, hyphens and underscores, as in partner-a; not auto or none"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a new credential goes: its pattern and name, and what it replaces."""

    pattern: Pattern
    name: str
    old: StoredCredential | None
    first: bool


def stored(vault: Vault) -> CredentialStore:
    """The credentials of a vault, as they are at rest."""
    return CredentialStore(vault.database, writer=vault.writer)


async def add(
    vault: Vault,
    *,
    pattern: str,
    files: list[list[str]],
    passphrase: str,
    ca: list[str] | None,
    name: str | None,
    replace: bool,
) -> Json:
    """Keep the certificate and key of these files ([name, hex]) for the hosts of a pattern.

    ``passphrase`` (hex, empty for none) opens them; ``ca`` is a file of authorities to verify the server with.
    Refused: STATE_FILE_EXISTS where there is one for the pattern and ``replace`` is not asked; what ``pair`` and
    ``Sealing`` refuse. Raises InvalidSetting for a pattern or a name that is none.
    """
    place = await _place(vault, pattern, name, replace=replace)
    given = [(file, bytes.fromhex(content)) for file, content in files]
    found = pair(given, bytes.fromhex(passphrase) or None, now=ambient.now())
    return await _keep(vault, place, found, _ca(ca), None)


async def add_identity(
    site: Site, *, pattern: str, identity: str, ca: list[str] | None, name: str | None, replace: bool
) -> Json:
    """A new key and a certificate of our own authority for it, for the hosts of a pattern; it renews itself.

    As ``add``. Refused(REQUEST_IDENTITY_REVOKED) for an identity that was revoked and not granted again.
    """
    place = await _place(site.vault, pattern, name, replace=replace)
    who = identity_named(site.authority.hierarchy.trust_domain, identity)
    await _check_not_revoked(site, who)
    authorities = _ca(ca)
    await Sealing(site.vault.custody).prepare(first=place.first)  # before anything is issued
    return await _keep(site.vault, place, await issued(site, who, now=ambient.now()), authorities, who)


async def issued(site: Site, identity: SpiffeID, *, now: datetime) -> Pair:
    """A new key, and a certificate of the client profile for it under that identity."""
    key = keys.generate(keys.KeyType.EC_P256)
    made = await issue(
        site.authority,
        _request(site, key, identity),
        Names(identity),
        CLIENT,
        OPERATOR,
        now=now,
        serial=ambient.new_serial(),
        lifetime=site.settings.lifetimes.client,
    )
    return Pair(key, made.chain)


async def renew(site: Site, *, name: str) -> Json:
    """Renew the certificate of an identity of ours, if that is due; ``{"renewed": false}`` if not.

    Its key stays, as a caller's does: so a rotation sees that what the old authority issued is replaced.
    Refused: CREDENTIAL_UNKNOWN; REQUEST_IDENTITY_REVOKED if it was revoked, is on hold or has expired.
    """
    store = stored(site.vault)
    old = await _named(store, name)
    now = ambient.now()
    record = await record_of(site.authority.ledger, old)
    if old.identity is None or record is None or not await is_due(site.authority.ledger, record, now):
        return {"renewed": False}
    sealing = Sealing(site.vault.custody)
    private = await sealing.open(old)
    key = cast("keys.PrivateKey", load_der_private_key(private, None))
    made = await renew_certificate(
        site.authority,
        record,
        now=now,
        serial=ambient.new_serial(),
        request=_request(site, key, SpiffeID.parse(old.identity)),
        lifetime=site.settings.lifetimes.client,
        profile=CLIENT,
    )
    leaf = made.chain[0]
    unsealed = replace(old, chain=pem.pem(*made.chain), not_after=leaf.not_valid_after_utc)
    new = await sealing.seal(private, unsealed)
    try:
        await store.put(new, _event("credential.renewed", new, now), instead_of=old)
    except Stale:
        return {"renewed": False}  # somebody else has renewed or removed it meanwhile
    return {"renewed": True, **summary(new, now)}


async def listing(vault: Vault) -> Json:
    """Every credential, by name."""
    now = ambient.now()
    return {"credentials": [summary(one, now) for one in await stored(vault).all()]}


async def show(vault: Vault, *, which: str) -> Json:
    """One credential by its name or its pattern, with its certificates, and whether its key can be opened here."""
    found = await _which(vault, which)
    try:
        await Sealing(vault.custody).open(found)
        fault = None
    except Refused as refused:
        fault = {"code": refused.code.value, "why": refused.why, "fix": refused.fix}
    return {
        **summary(found, ambient.now()),
        "usable": fault is None,
        "fault": fault,
        "pem": found.chain.decode(errors="replace"),
        "ca_pem": None if found.ca is None else found.ca.decode(errors="replace"),
    }


async def remove(vault: Vault, *, which: str) -> Json:
    """Forget one credential by its name or its pattern, its key with it. Refused(CREDENTIAL_UNKNOWN)."""
    found = await _which(vault, which)
    now = ambient.now()
    try:
        await stored(vault).remove(found, _event("credential.removed", found, now))
    except Stale:
        raise _changed(found.name) from None
    return summary(found, now)


async def chosen(vault: Vault, *, target: str) -> Json:
    """Which credential an endpoint is shown (HOST, HOST:PORT or a URL), and why; no server is asked."""
    asked = parse.target(target)
    tried = candidates(asked.name, asked.port)
    there = await stored(vault).for_patterns([str(one) for one in tried])
    best = next((one for one in tried if str(one) in there), None)
    return {
        "host": asked.name,
        "port": asked.port,
        "credential": None if best is None else summary(there[str(best)], ambient.now()),
        "why": None if best is None else f"its pattern {best} is for {best.says}",
        "tried": [str(one) for one in tried],
        "passed_over": [there[str(one)].name for one in tried if str(one) in there and one != best],
    }


def summary(one: StoredCredential, now: datetime) -> Json:
    """One credential in short. ``state``: valid, expired, not_yet_valid, or damaged where its certificates cannot be
    read (there is no more to say of it then). ``ca``: the subjects of the authorities of its own."""
    short: Json = {
        "name": one.name,
        "pattern": one.pattern,
        "identity": one.identity,
        "state": "expired" if one.not_after <= now else "valid",
        "not_after": one.not_after.isoformat(timespec="seconds"),
        "days_left": round((one.not_after - now) / timedelta(days=1), 2),
        "renews_itself": one.identity is not None,
        "created_at": one.created_at.isoformat(timespec="seconds"),
    }
    try:
        leaf, *above = chain_of(one)
        ca = anchors_of(one)
    except Refused:
        return {**short, "state": "damaged", "subject": "", "chain": [], "ca": []}
    begins = leaf.not_valid_before_utc
    return {
        **short,
        "state": "not_yet_valid" if begins > now else short["state"],
        "subject": rfc4514(leaf.subject),
        "issuer": rfc4514(leaf.issuer),
        "serial": f"{leaf.serial_number:x}",
        "fingerprint": fingerprint(leaf),
        "key": describe.kind(leaf.public_key()),
        "not_before": begins.isoformat(timespec="seconds"),
        "chain": [rfc4514(each.subject) for each in (leaf, *above)],
        "ca": [rfc4514(each.subject) for each in ca],
    }


def chain_of(one: StoredCredential) -> tuple[x509.Certificate, ...]:
    """Its certificates, the leaf first. Refused(STATE_DAMAGED)."""
    return _certificates(one, one.chain)


def anchors_of(one: StoredCredential) -> tuple[x509.Certificate, ...]:
    """The authorities of its own. Refused(STATE_DAMAGED)."""
    return () if one.ca is None else _certificates(one, one.ca)


async def record_of(ledger: Ledger, one: StoredCredential) -> CertificateRecord | None:
    """What the ledger knows of the certificate of an identity of ours."""
    page = await ledger.search(Search(fingerprint=fingerprint(chain_of(one)[0]), limit=1))
    return page.records[0] if page.records else None


async def is_due(ledger: Ledger, record: CertificateRecord, now: datetime) -> bool:
    """Whether it is time to renew it: two thirds of its life are over, or an authority above it is being replaced."""
    if now >= record.issued_at + (record.not_after - record.issued_at) * 2 / 3:
        return True
    authorities = await ledger.authorities()
    leaving = [each for each in authorities if each.state is AuthorityState.RETIRING]
    if any(each.role is Role.ROOT for each in leaving):
        # What it sends leads to the old root, unless it was issued since the new one is active.
        root = active(authorities, Role.ROOT)
        return root is not None and record.issued_at < root.changed_at
    return any(each.key_id == record.issuer_key_id for each in leaving)


async def _place(vault: Vault, pattern: str, name: str | None, *, replace: bool) -> _Place:
    parsed = Pattern.parse(pattern)
    if name is not None and (name in RESERVED or not _NAME.fullmatch(name)):
        raise InvalidSetting("--name", "it is no name for a credential", _NAME_ALLOWED)
    there = {one.pattern: one for one in await stored(vault).all()}
    old = there.get(str(parsed))
    if old is not None and not replace:
        raise Refused(
            Code.STATE_FILE_EXISTS,
            "The credential was not added",
            f"{old.name} is for {parsed} already, until {old.not_after.isoformat(timespec='seconds')}",
            "To put the new one in its place, add --replace.",
        )
    called = name or (_name_of(parsed) if old is None else old.name)
    other = next((one for one in there.values() if one.name == called and one is not old), None)
    if other is not None:
        raise InvalidSetting("--name", f"the name {called} is that of the credential for {other.pattern}", "another")
    return _Place(parsed, called, old, first=not set(there) - {str(parsed)})


def _name_of(pattern: Pattern) -> str:
    """The name of who has given none: the host, with ``wildcard.`` for ``*.``, and the port."""
    host = pattern.host.replace(":", "-").strip("-")
    name = f"wildcard.{host}" if pattern.wildcard else host
    name = name if pattern.port is None else f"{name}-{pattern.port}"
    return name if _NAME.fullmatch(name) and name not in RESERVED else f"for-{name}"[:100]


async def _keep(
    vault: Vault, place: _Place, found: Pair, authorities: tuple[x509.Certificate, ...], identity: SpiffeID | None
) -> Json:
    now = ambient.now()
    sealing = Sealing(vault.custody)
    await sealing.prepare(first=place.first)
    unsealed = StoredCredential(
        name=place.name,
        pattern=str(place.pattern),
        chain=pem.pem(*found.chain),
        sealed=None,
        ca=pem.pem(*authorities) or None,
        identity=None if identity is None else str(identity),
        created_at=now,
        not_after=found.chain[0].not_valid_after_utc,
    )
    new = await sealing.seal(_der(found.key), unsealed)
    kind = "credential.added" if place.old is None else "credential.replaced"
    try:
        await stored(vault).put(new, _event(kind, new, now), instead_of=place.old)
    except Stale:
        raise _changed(place.name) from None
    replaced = None if place.old is None else summary(place.old, now)
    return {**summary(new, now), "replaced": replaced, "warnings": list(found.warnings)}


def _ca(given: list[str] | None) -> tuple[x509.Certificate, ...]:
    return () if given is None else anchors(given[0], bytes.fromhex(given[1]))


def _request(site: Site, key: keys.PrivateKey, identity: SpiffeID) -> request.Request:
    asked = request.parse(request.create(key, identity))
    check_verifiable(site, asked, identity)
    return asked


async def _check_not_revoked(site: Site, identity: SpiffeID) -> None:
    """Whoever was revoked gets nothing by this way; who never had anything, or has let it expire, does."""
    now = ambient.now()
    held = await site.authority.ledger.certificates(identity=str(identity), profile=CLIENT.name)
    barred = {CertificateState.REVOKED, CertificateState.HELD}
    good = any(one.state is CertificateState.ISSUED and one.not_after > now for one in held)
    if not good and any(one.state in barred for one in held):
        raise Refused(
            Code.REQUEST_IDENTITY_REVOKED,
            f"{identity} cannot be used as a credential",
            "its certificates are revoked or on hold",
            f"To grant access again: handclasp client add {identity.path}.",
        )


def _der(key: object) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]  # every kind of private key has it
    return encoded


async def _named(store: CredentialStore, name: str) -> StoredCredential:
    found = await store.named(name)
    if found is None:
        raise unknown(name)
    return found


async def _which(vault: Vault, text: str) -> StoredCredential:
    store = stored(vault)
    if (found := await store.named(text)) is not None:
        return found
    try:
        pattern = str(Pattern.parse(text))
    except InvalidSetting:
        raise unknown(text) from None
    by_pattern = await store.for_patterns([pattern])
    if pattern not in by_pattern:
        raise unknown(text)
    return by_pattern[pattern]


def unknown(name: str) -> Refused:
    """The error of a credential that is not there."""
    return Refused(
        Code.CREDENTIAL_UNKNOWN,
        f"There is no credential {name}",
        "none has this name or this pattern",
        "See which there are: handclasp credential list.",
    )


def _changed(name: str) -> Refused:
    return Refused(
        Code.CONFIG_CONFLICT,
        f"The credential {name} was left as it is",
        "somebody else has changed the credentials at the same time",
        "See what there is now: handclasp credential list. Then try again.",
    )


def _certificates(one: StoredCredential, data: bytes) -> tuple[x509.Certificate, ...]:
    try:
        return pem.load_chain(data)
    except InvalidSetting:
        raise Refused(
            Code.STATE_DAMAGED,
            f"The credential {one.name} cannot be used",
            "its certificates cannot be read: somebody has changed them in the database",
            "Restore the database from a backup, or add the credential again.",
        ) from None


def _event(kind: str, one: StoredCredential, now: datetime) -> Event:
    facts = {"by": OPERATOR, "pattern": one.pattern, **({"identity": one.identity} if one.identity else {})}
    with suppress(Refused):  # what is damaged can be removed
        leaf = chain_of(one)[0]
        facts |= {"serial": f"{leaf.serial_number:x}", "fingerprint": fingerprint(leaf)}
    return Event(now, kind, one.name, facts)
