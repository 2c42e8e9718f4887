"""Signed statements over the heads of all chains of the audit log, and the proof of the whole log by them.

The key is ``audit`` in custody. Its public half stands in an event ``audit.key``, so that the log can be verified
where the key is not; whoever could rewrite everything could write another key there, so the key's identifier is
compared with what custody says, or what was written down elsewhere.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from handclasp.authority.audit import GENESIS, Head, Walk, broken, checkpoint_bytes
from handclasp.authority.certify import PRINCIPAL
from handclasp.authority.ports import KeyCustody, Ledger, Stale
from handclasp.authority.records import ChainedEvent, Checkpoint, Event
from handclasp.findings import Code, Finding, Refused
from handclasp.pki.keys import KeyType, PublicKey, WrongSignature, key_id, supported, verify

AUDIT_KEY = "audit"
"""The name of the key in custody."""

_KEY_MADE = "audit.key"
_MOST_FAULTS = 100
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination of the audit log found: its size, its heads, the last checkpoint, the identifiers of the
    keys that signed the checkpoints, and what is wrong (at most 100 findings, in the order of the log)."""

    events: int
    heads: Mapping[str, Head]
    checkpoints: int
    key_ids: tuple[str, ...]
    faults: tuple[Finding, ...]

    def check(self) -> None:
        """Returns if nothing is wrong; raises Refused(AUDIT_BROKEN)."""
        if self.faults:
            raise broken(self.faults)


async def checkpoint(
    ledger: Ledger, custody: KeyCustody, *, now: datetime, kind: KeyType = KeyType.EC_P256
) -> Checkpoint:
    """Sign what the log is now; returns the last checkpoint as it was if there were no events since.

    The key is made at the first time. Another process that signs at the same moment is no harm: then this one
    follows it. Refused(STATE_KEY_MISSING) if the log has an audit key, and it is not in this custody: a second one
    could not be told from that of somebody who rewrites the log.
    """
    if await custody.public_key(AUDIT_KEY) is None and await ledger.events(kind=_KEY_MADE):
        raise Refused(
            Code.STATE_KEY_MISSING,
            "The audit log was not signed",
            f"its key was made elsewhere, and there is no {custody.where(AUDIT_KEY)}",
            "Copy the key there, from the machine that has it or from a backup.",
        )
    public = await custody.create(AUDIT_KEY, kind)
    await _announce(ledger, public, now)
    for _ in range(_ATTEMPTS):
        earlier = await ledger.checkpoints()
        last = earlier[-1] if earlier else None
        heads = await ledger.heads()
        if last is not None and dict(last.heads) == heads and last.key_id == key_id(public):
            return last
        await _check_still_there(ledger, last)
        unsigned = Checkpoint(
            number=1 if last is None else last.number + 1,
            at=now,
            heads=heads,
            prev=GENESIS if last is None else digest(last),
            key_id=key_id(public),
            signature=b"",
        )
        signed = replace(unsigned, signature=await custody.sign(AUDIT_KEY, checkpoint_bytes(unsigned)))
        try:
            await ledger.add_checkpoint(signed)
        except Stale:
            continue
        return signed
    raise Refused(
        Code.DATABASE_UNREACHABLE,
        "The audit log was not signed",
        f"others signed it {_ATTEMPTS} times meanwhile",
        "Try again.",
    )


async def examine(ledger: Ledger, *, key: PublicKey | None = None, kept: Sequence[Checkpoint] = ()) -> Report:
    """Read the whole log once, piece by piece, and compare it with every checkpoint.

    ``key`` is the public key that signs checkpoints, where custody has it: one by another key as the last is a fault.
    ``kept`` are checkpoints that somebody kept elsewhere; the ledger must have exactly these too. A tail that was cut
    off together with the checkpoints that state it can be found by them alone.
    """
    statements = await ledger.checkpoints()
    stated = {
        (writer, count): (one.number, hash_) for one in statements for writer, (count, hash_) in one.heads.items()
    }
    walk, keys = Walk(), dict[str, PublicKey]()
    faults: list[Finding] = []
    async for found in ledger.all_events():
        faults += walk.step(found)
        if (claim := stated.get((found.writer, found.seq))) is not None and claim[1] != found.hash:
            faults.append(
                _fault(
                    found.writer,
                    f"event {found.seq} of {found.writer} is not the one that checkpoint "
                    f"{claim[0]} states: the log up to it was replaced",
                )
            )
        if found.event.kind == _KEY_MADE and (announced := _key_of(found)) is not None:
            keys[key_id(announced)] = announced
        if len(faults) >= _MOST_FAULTS:
            break
    else:
        faults += _cut(statements, walk.heads)
    faults += _unsound(statements, keys, key)
    if key is not None and not statements and walk.events:
        faults.append(_fault("checkpoints", "all were removed: the audit key is here, and there is nothing it signed"))
    faults += _missing(statements, kept)
    key_ids = tuple(dict.fromkeys(one.key_id for one in statements))
    return Report(walk.events, walk.heads, len(statements), key_ids, tuple(faults[:_MOST_FAULTS]))


def digest(checkpoint: Checkpoint) -> str:
    """What the next checkpoint has as its ``prev``: SHA-256 of this one and its signature."""
    return hashlib.sha256(checkpoint_bytes(checkpoint) + checkpoint.signature).hexdigest()


async def _check_still_there(ledger: Ledger, last: Checkpoint | None) -> None:
    """Refused(AUDIT_BROKEN) unless the log still has what the last checkpoint states: a log that was cut or replaced
    since must not be signed again."""
    for writer, (count, digest_) in () if last is None else last.heads.items():
        async for found in ledger.all_events(after=(writer, count - 1)):
            if (found.writer, found.seq, found.hash) == (writer, count, digest_):
                break
            raise _gone(writer, count)
        else:
            raise _gone(writer, count)


def _gone(writer: str, count: int) -> Refused:
    return broken((_fault(writer, f"event {count} of {writer}, which the last checkpoint states, is gone"),))


async def _announce(ledger: Ledger, public: PublicKey, now: datetime) -> None:
    name = key_id(public)
    for found in await ledger.events(kind=_KEY_MADE):
        if found.event.subject == name:
            return
    spki = b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    await ledger.append(Event(now, _KEY_MADE, name, {"by": PRINCIPAL, "public_key": spki}))


def _key_of(found: ChainedEvent) -> PublicKey | None:
    try:
        public = supported(load_der_public_key(b64decode(found.event.data["public_key"], validate=True)))
    except (KeyError, ValueError, UnsupportedAlgorithm, Refused):
        return None
    return public if key_id(public) == found.event.subject else None


def _cut(statements: Iterable[Checkpoint], heads: Mapping[str, Head]) -> Iterator[Finding]:
    """The chains that end before the last checkpoint says that they do."""
    longest: dict[str, tuple[int, int]] = {}
    for one in statements:
        for writer, (count, _) in one.heads.items():
            if count > longest.get(writer, (0, 0))[0]:
                longest[writer] = (count, one.number)
    for writer, (count, number) in sorted(longest.items()):
        there = heads[writer].count if writer in heads else 0
        if there < count:
            gone = f"event {count}" if count == there + 1 else f"events {there + 1} to {count}"
            yield _fault(
                writer,
                f"{gone} of {writer} {'was' if count == there + 1 else 'were'} cut off: "
                f"checkpoint {number} states {count} events, and there are {there}",
            )


def _unsound(
    statements: Sequence[Checkpoint], keys: Mapping[str, PublicKey], key: PublicKey | None
) -> Iterator[Finding]:
    prev, number = GENESIS, 0
    for one in statements:
        where = f"checkpoint {one.number}"
        if one.number != number + 1:
            yield _fault(where, f"checkpoint {number + 1} was removed: {one.number} comes after {number}")
        elif one.prev != prev:
            yield _fault(where, f"checkpoint {one.number} does not follow from {number}: one of the two was replaced")
        signer = keys.get(one.key_id)
        if signer is None:
            yield _fault(where, f"checkpoint {one.number} is signed by the key {one.key_id}, which no event names")
        elif not _signed(one, signer):
            yield _fault(where, f"checkpoint {one.number} was changed: its signature does not verify")
        prev, number = digest(one), one.number
    if key is not None and statements and statements[-1].key_id != key_id(key):
        yield _fault(
            "checkpoints",
            f"checkpoint {number} is signed by the key {statements[-1].key_id}, and the audit key is {key_id(key)}",
        )


def _signed(one: Checkpoint, signer: PublicKey) -> bool:
    try:
        verify(signer, one.signature, checkpoint_bytes(one))
    except WrongSignature:
        return False
    return True


def _missing(statements: Sequence[Checkpoint], kept: Iterable[Checkpoint]) -> Iterator[Finding]:
    there = {one.number: one for one in statements}
    for one in kept:
        if (found := there.get(one.number)) is None:
            yield _fault(
                "checkpoints",
                f"checkpoint {one.number}, which was kept elsewhere, was cut off, and perhaps events before it",
            )
        elif (found.heads, found.prev, found.key_id) != (one.heads, one.prev, one.key_id):
            yield _fault("checkpoints", f"checkpoint {one.number} is not the one that was kept elsewhere")


def _fault(where: str, what: str) -> Finding:
    return Finding(Code.AUDIT_BROKEN, where, what)
