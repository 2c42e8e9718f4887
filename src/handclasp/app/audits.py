"""The audit log: verified, signed, exported. Each verb is one operation of ``control``."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from handclasp import __version__
from handclasp.app import ambient
from handclasp.app.vault import Vault
from handclasp.authority import checkpoints, ocsf
from handclasp.authority.records import Checkpoint
from handclasp.findings import Code, Refused

Json = dict[str, object]

_log = logging.getLogger("handclasp.audit")
_PIECE = 500  # events an answer
_OFTEN = timedelta(hours=1)


async def verify(vault: Vault, *, kept: str | None) -> Json:
    """Prove the whole log and every checkpoint; with one kept elsewhere, also that nothing of it is gone."""
    key = await vault.custody.public_key(checkpoints.AUDIT_KEY)
    report = await checkpoints.examine(vault.ledger, key=key, kept=() if kept is None else (_read(kept),))
    report.check()
    last = (await vault.ledger.checkpoints())[-1:]
    stated = sum(count for count, _ in last[0].heads.values()) if last else 0
    return {
        "events": report.events,
        "checkpoints": report.checkpoints,
        "key_ids": list(report.key_ids),
        "since_checkpoint": report.events - stated,
    }


async def checkpoint(vault: Vault) -> Json:
    """Sign the state of the log now."""
    return _spelled(await checkpoints.checkpoint(vault.ledger, vault.custody, now=ambient.now()))


async def sign_hourly(vault: Vault) -> None:
    """For ever: a checkpoint at once and then every hour, if anything has happened since the last."""
    while True:
        try:
            await checkpoints.checkpoint(vault.ledger, vault.custody, now=ambient.now())
        except (Refused, OSError) as error:
            _log.error("the audit log could not be signed, which is tried again in an hour: %s", error)
        await asyncio.sleep(_OFTEN.total_seconds())


async def export(vault: Vault, *, kind: str | None, subject: str | None, after: list[object] | None) -> Json:
    """A piece of the events in OCSF, in the order of the log; ``after`` (writer, seq) asks for what follows."""
    found: list[Json] = []
    last = None if after is None else (str(after[0]), int(str(after[1])))
    seen = 0
    async for one in vault.ledger.all_events(after=last):
        seen += 1
        last = (one.writer, one.seq)
        if kind in (None, one.event.kind) and subject in (None, one.event.subject):
            found.append(ocsf.encode(one, version=__version__))
        if seen == _PIECE:
            return {"events": found, "after": list(last)}
    return {"events": found, "after": None}


def _spelled(one: Checkpoint) -> Json:
    return {
        "number": one.number,
        "at": one.at.isoformat(timespec="microseconds"),
        "heads": {writer: list(head) for writer, head in one.heads.items()},
        "prev": one.prev,
        "key_id": one.key_id,
        "signature": one.signature.hex(),
    }


def _read(text: str) -> Checkpoint:
    """What ``_spelled`` made. Refused(FILE_UNRECOGNIZED)."""
    try:
        found: Mapping[str, Any] = json.loads(text)
        return Checkpoint(
            number=int(found["number"]),
            at=datetime.fromisoformat(found["at"]),
            heads={str(writer): (int(count), str(hash_)) for writer, (count, hash_) in found["heads"].items()},
            prev=str(found["prev"]),
            key_id=str(found["key_id"]),
            signature=bytes.fromhex(found["signature"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise Refused(
            Code.FILE_UNRECOGNIZED,
            "The checkpoint cannot be read",
            "it is not what handclasp audit checkpoint prints",
            "Give that, unchanged.",
        ) from None
