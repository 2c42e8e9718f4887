"""The chain of audit events: each carries the hash of the one before, so that none can be changed or taken out.

Each writer has a chain of its own (D22): one head for all would make every replica wait for every other. What a
chain alone cannot show is a tail cut off; checkpoints are signed statements over all heads, which show that
(``checkpoints``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC

from handclasp.authority.records import ChainedEvent, Checkpoint, Event
from handclasp.findings import Code, Finding, Refused

GENESIS = "0" * 64
"""What the first event of a chain has as its ``prev``."""

_FARTHEST = 1000  # places over which a moved event is looked for


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many events it has and the hash of the last."""

    count: int
    hash: str


_SPELLING = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)

EMPTY = Head(count=0, hash=GENESIS)


def chained(writer: str, head: Head, event: Event) -> ChainedEvent:
    """The event as the next one of the chain that ends in ``head``. Sequence numbers begin with 1."""
    seq = head.count + 1
    return ChainedEvent(writer, seq, head.hash, _digest(writer, seq, head.hash, event), event)


def verify(events: Iterable[ChainedEvent]) -> dict[str, Head]:
    """The head of every chain, proved from its first event on; takes the whole log, each chain in order.

    Refused(AUDIT_BROKEN) says where the first event was changed, removed, moved or put in.
    """
    walk = Walk()
    for found in events:
        for fault in walk.step(found):
            raise broken((fault,))
    return walk.heads


def broken(faults: Iterable[Finding]) -> Refused:
    """The audit log does not verify."""
    return Refused(
        Code.AUDIT_BROKEN,
        "The audit log does not verify",
        "; ".join(fault.what for fault in faults),
        "Restore the ledger from a backup, and find out who could write to it.",
    )


class Walk:
    """Reads a log event by event and says what is wrong with each. After a fault it goes on with what it found, so
    that one fault is one finding."""

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self.events = 0

    def step(self, found: ChainedEvent) -> Iterator[Finding]:
        """What is wrong with the next event of the log."""
        head = self.heads.get(found.writer, EMPTY)
        self.events += 1
        self.heads[found.writer] = Head(found.seq, found.hash)
        if found == chained(found.writer, head, found.event):
            return
        yield _finding(found, _what(found, head))


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """What the signature of a checkpoint is over: everything else in it, spelled as events are."""
    return _spelled(
        {
            "number": checkpoint.number,
            "at": checkpoint.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "heads": {writer: list(head) for writer, head in checkpoint.heads.items()},
            "prev": checkpoint.prev,
            "key_id": checkpoint.key_id,
        }
    )


def _what(found: ChainedEvent, head: Head) -> str:
    place = f"event {found.seq} of {found.writer}"
    if found.seq <= head.count:
        return f"{place} comes after event {head.count}: it was moved or put in"
    genuine = found.hash == _digest(found.writer, found.seq, found.prev, found.event)
    if not genuine:
        if (origin := _origin(found)) is not None:
            return f"{place} was moved: it was event {origin}"
        return f"{place} was changed"
    if found.seq > head.count + 1:
        first, last = head.count + 1, found.seq - 1
        gone = f"event {first}" if first == last else f"events {first} to {last}"
        return f"{gone} of {found.writer} {'was' if first == last else 'were'} removed"
    if head == EMPTY:
        return f"{place} does not begin a chain: what was before it was removed"
    return f"{place} does not follow from event {head.count}: one of the two was replaced by another"


def _origin(found: ChainedEvent) -> int | None:
    """The number under which the event has the hash that it carries, if there is one nearby."""
    near = range(max(1, found.seq - _FARTHEST), found.seq + _FARTHEST)
    return next((seq for seq in near if _digest(found.writer, seq, found.prev, found.event) == found.hash), None)


def _finding(found: ChainedEvent, what: str) -> Finding:
    return Finding(Code.AUDIT_BROKEN, f"{found.writer}/{found.seq}", what, {"writer": found.writer})


def _digest(writer: str, seq: int, prev: str, event: Event) -> str:
    """SHA-256 over the one spelling of the event: JSON, keys sorted, no blanks, ASCII; UTC with microseconds."""
    text = _spelled(
        {
            "writer": writer,
            "seq": seq,
            "prev": prev,
            "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "kind": event.kind,
            "subject": event.subject,
            "data": dict(event.data),
        }
    )
    return hashlib.sha256(text).hexdigest()


def _spelled(values: Mapping[str, object]) -> bytes:
    return _SPELLING.encode(values).encode("ascii")
