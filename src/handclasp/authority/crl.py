"""What is revoked, in the forms in which others need it: signed lists for handshakes to come, and the set of
fingerprints for connections that are open (D20).

The gateway gets the full list of each authority (``current_crl``), which outlives an outage of this program. Everybody
else fetches what is published (``publish``): short-lived, kept in the ledger so that all replicas serve the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.issue import Authority
from handclasp.authority.lineage import TRUSTED, SigningAuthority, signing_authority
from handclasp.authority.ports import KeyCustody, Ledger
from handclasp.authority.publication import crl_url
from handclasp.authority.records import AuthorityRecord, CrlRecord, Revocation, Role
from handclasp.authority.revoke import CONNECTION_AGE
from handclasp.findings import Code, Refused
from handclasp.pki.crl import PreparedCRL, Revoked, assemble_der, encoded, prepare_crl
from handclasp.pki.keys import supported
from handclasp.pki.profile import BACKDATE

FULL: Final = -1
"""The shard number under which the ledger keeps a full list."""
VALIDITY: Final = timedelta(hours=24)
"""How long a published list may be used; it is signed anew when half of that is over."""

# RFC 5280 §3.3: an entry stays until it was on a list made after the certificate expired. Lists are made hourly.
_KEPT_AFTER_EXPIRY = timedelta(days=1)
_ATTEMPTS = 5
# How long a Memory is added to before everything is read again, so that what has expired drops off; how far the clocks
# of those who revoke may be apart; and the longest list that is remembered (about 25 MB).
_READ_AGAIN = timedelta(hours=1)
_LATELY = timedelta(minutes=10)
_REMEMBERED = 200_000
_REASONS = {reason.value: reason for reason in x509.ReasonFlags}


class Keeper(Protocol):
    """Who has a ledger and keys: an Authority, or an offline machine that has a root and nothing below it."""

    @property
    def ledger(self) -> Ledger:
        """What remembers."""

    @property
    def custody(self) -> KeyCustody:
        """What signs."""


@dataclass(slots=True)
class Memory:
    """The entries of one list as they were last read, so that one revocation more does not read 100,000 again.

    The mark counts every change. If it has grown by as many as there are new revocations lately, nothing else has
    happened; otherwise (somebody released a certificate, or its clock is wrong) all is read again.
    """

    mark: int = -1
    read_at: datetime | None = None
    entries: dict[int, bytes] = field(default_factory=dict)


async def current_crl(
    authority: Keeper,
    issuer: SigningAuthority,
    *,
    now: datetime,
    lifetime: timedelta = timedelta(days=30),
    memory: Memory | None = None,
) -> x509.CertificateRevocationList:
    """A fresh full list of that authority, with a number above every earlier one. Refused(STATE_KEY_MISSING).

    30 days, so that a control plane that is down does not shut out every caller at nextUpdate (D19). It has every
    revocation committed before the call. Make one list at a time: of two made at once, either may know more.
    ``memory`` is for the same list at the next call.
    """
    number = await authority.ledger.next_crl_number(issuer.key_id, now)
    _, entries = await _entries(authority, issuer, None, memory or Memory(), now)
    _, der = await _signed(authority, issuer, entries, number, now, lifetime, None)
    return x509.load_der_x509_crl(der)


async def publish(
    authority: Authority,
    issuer: SigningAuthority,
    shard: int | None,
    *,
    now: datetime,
    memory: Memory | None = None,
) -> CrlRecord:
    """The list to be served: of that shard, or (None) of everything. It has every revocation committed before.

    It is the one that the ledger keeps while that is current, otherwise a new one. Refused(STATE_KEY_MISSING) if one
    must be made and the authority's key is away. ``memory`` is for the same list at the next call.

    1. A number is taken, then the revocations are read: of two replicas, the one with the higher number may still
       have read less; so
    2. the ledger keeps the list only if neither its number nor its mark is behind that of the one it has, and
    3. who was too late looks again: what is returned is what all replicas serve.
    """
    ledger = authority.ledger
    kept_as = FULL if shard is None else shard
    url = None if shard is None else shard_url(authority, issuer, shard)
    for _ in range(_ATTEMPTS):
        mark = await ledger.revocation_mark(issuer.key_id, shard)
        latest = await ledger.latest_crl(issuer.key_id, kept_as)
        if latest is not None and is_current(latest, mark, now) and _fits(latest, issuer, url):
            return latest
        number = await ledger.next_crl_number(issuer.key_id, now)
        mark, entries = await _entries(authority, issuer, shard, memory or Memory(), now)
        prepared, der = await _signed(authority, issuer, entries, number, now, VALIDITY, url)
        record = CrlRecord(
            issuer_key_id=issuer.key_id,
            shard=kept_as,
            number=number,
            mark=mark,
            this_update=prepared.this_update,
            next_update=prepared.next_update,
            der=der,
        )
        if await ledger.record_crl(record):
            return record
    # Others publish all the time: theirs is at most a few moments old.
    latest = await ledger.latest_crl(issuer.key_id, kept_as)
    assert latest is not None
    return latest


def is_current(record: CrlRecord, mark: int, now: datetime) -> bool:
    """Whether a list may still be served: nothing was revoked since, and less than half of its time is over.

    A list from the future is not current either: then the clock was set back, and its times are wrong.
    """
    half = record.this_update + (record.next_update - record.this_update) / 2
    return record.mark >= mark and record.this_update - BACKDATE <= now < half


def shards(authority: Authority, issuer: SigningAuthority) -> tuple[int | None, ...]:
    """The lists that an authority publishes: a root has so few that one is enough."""
    count = authority.plan.crl_shards
    if count == 1 or issuer.role is Role.ROOT or authority.plan.publication is None:
        return (None,)
    return tuple(range(count))


def shard_url(authority: Authority, issuer: SigningAuthority, shard: int) -> str:
    """The distribution point of that shard, as the certificates name it. ValueError where nothing is published."""
    base = authority.plan.publication
    if base is None:
        raise ValueError("a shard has a distribution point, and nothing is published here")
    # Also where there is one list by now: shards that older certificates name stay what they were.
    return crl_url(base, issuer.key_id, shard, max(2, authority.plan.crl_shards))


async def install(ledger: Ledger, crl: x509.CertificateRevocationList, *, now: datetime) -> AuthorityRecord:
    """Keep a root's list that was signed where its key is, to be served; returns whose it is. Again: nothing changes.

    Refused(AUTHORITY_UNUSABLE): it is by no root that is trusted here, it is out of date, or a newer one is here.
    """
    roots = [one for one in await ledger.authorities() if one.role is Role.ROOT and one.state in TRUSTED]
    record = next((one for one in roots if _is_by(crl, one)), None)
    if record is None:
        raise _unusable("no root that is trusted here has signed it", "Give the list that handclasp ca crl made.")
    ends = crl.next_update_utc
    if ends is None or not crl.last_update_utc <= now < ends:
        raise _unusable("it is out of date", "Make a new one where the root's key is: handclasp ca crl.")
    number = _number_of_whole(crl)
    latest = await ledger.latest_crl(record.key_id, FULL)
    der = crl.public_bytes(Encoding.DER)
    if latest is not None and latest.der == der:
        return record
    mark = await ledger.revocation_mark(record.key_id, None)
    if not await ledger.record_crl(CrlRecord(record.key_id, FULL, number, mark, crl.last_update_utc, ends, der)):
        raise _unusable("a newer one is here", "Nothing needs to be done.")
    return record


def _is_by(crl: x509.CertificateRevocationList, record: AuthorityRecord) -> bool:
    root = signing_authority(record).certificate
    try:
        return crl.issuer == root.subject and crl.is_signature_valid(supported(root.public_key()))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _number_of_whole(crl: x509.CertificateRevocationList) -> int:
    """Its number, if it is a list of everything: what is revoked and not on it would be good again."""
    try:
        values = {extension.oid: extension.value for extension in crl.extensions}
    except (ValueError, x509.DuplicateExtension) as error:
        raise _unusable(f"it cannot be read: {error}", "Give the list that handclasp ca crl made.") from None
    number = values.pop(x509.CRLNumber.oid, None)
    if not isinstance(number, x509.CRLNumber):
        raise _unusable("it has no number, so that none can tell it from an older one", "Make it with a number.")
    if values.keys() & {x509.DeltaCRLIndicator.oid, x509.IssuingDistributionPoint.oid}:
        raise _unusable("it is a part of a list", "Give the whole list: handclasp ca crl makes it.")
    return number.crl_number


def _unusable(why: str, fix: str) -> Refused:
    return Refused(Code.AUTHORITY_UNUSABLE, "The revocation list was not installed", why, fix)


async def deny_set(authority: Authority, now: datetime, max_age: timedelta = CONNECTION_AGE) -> frozenset[str]:
    """SHA-256 fingerprints (hex) of what was revoked less than ``max_age`` ago, of all authorities for clients.

    No open connection is older, and every later handshake meets the list: so the set stays small.
    """
    found = [
        await authority.ledger.revocations(issuer.key_id, since=now - max_age)
        for issuer in authority.hierarchy.accepted
    ]
    return frozenset(one.fingerprint for of_one in found for one in of_one if one.fingerprint)


async def _entries(
    authority: Keeper, issuer: SigningAuthority, shard: int | None, memory: Memory, now: datetime
) -> tuple[int, dict[int, bytes]]:
    """The mark, and all that was on the list when it was read or later."""
    ledger = authority.ledger
    mark = await ledger.revocation_mark(issuer.key_id, shard)
    if memory.read_at is not None and memory.read_at <= now < memory.read_at + _READ_AGAIN:
        lately = await ledger.revocations(issuer.key_id, since=memory.read_at - _LATELY, shard=shard)
        new = [one for one in lately if one.serial not in memory.entries]
        unchanged = await ledger.revocation_mark(issuer.key_id, shard) == mark
        if unchanged and len(new) == mark - memory.mark:
            memory.entries.update(encoded(_revoked(new)))
            memory.mark = mark
            return mark, memory.entries
    entries = await _read(authority, issuer, shard, now)
    if len(entries) <= _REMEMBERED:
        memory.mark, memory.read_at, memory.entries = mark, now, entries
    else:
        memory.mark, memory.read_at, memory.entries = -1, None, {}
    return mark, entries


async def _read(authority: Keeper, issuer: SigningAuthority, shard: int | None, now: datetime) -> dict[int, bytes]:
    expired = now - _KEPT_AFTER_EXPIRY
    found = await authority.ledger.revocations(issuer.key_id, expires_after=expired, shard=shard)
    return await asyncio.to_thread(encoded, _revoked(found))


async def _signed(
    authority: Keeper,
    issuer: SigningAuthority,
    entries: dict[int, bytes],
    number: int,
    now: datetime,
    lifetime: timedelta,
    url: str | None,
) -> tuple[PreparedCRL, bytes]:
    """In a thread, so that others are answered while a list of 100,000 entries is written."""
    prepared = await asyncio.to_thread(prepare_crl, issuer.certificate, entries, number, now, lifetime, url=url)
    signature = await authority.custody.sign(issuer.name, prepared.tbs)
    return prepared, await asyncio.to_thread(assemble_der, prepared, signature)


def _revoked(found: Iterable[Revocation]) -> Iterable[Revoked]:
    return (Revoked(one.serial, one.at, _REASONS[one.reason]) for one in found)


def _fits(record: CrlRecord, issuer: SigningAuthority, url: str | None) -> bool:
    """Whether the kept list is this authority's by name, and of this distribution point: settings may have changed."""
    crl = x509.load_der_x509_crl(record.der)
    try:
        names = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value.full_name
    except x509.ExtensionNotFound:
        names = None
    points = [name.value for name in names or ()]
    return crl.issuer == issuer.certificate.subject and points == ([] if url is None else [url])
