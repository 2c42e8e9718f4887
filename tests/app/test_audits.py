"""The audit log: whatever is done to it in the database is found, and said where."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from handclasp.findings import Code
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place


@pytest.fixture
def place(place: Place) -> Place:
    """With some events, and an authority that made them."""
    for name in ("alice", "bob"):
        place.issue(name=name)
    return place


def tamper(place: Place, *statements: str) -> None:
    """Do this to the database by hand."""
    with closing(sqlite3.connect(place.state.ledger)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def count(place: Place) -> int:
    """How many events there are."""
    with closing(sqlite3.connect(place.state.ledger)) as database:
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])


def exported(place: Place, **asked: Any) -> list[dict[str, Any]]:
    """All events, piece by piece."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        told = place.do("audit.export", **{"kind": None, "subject": None, "after": after} | asked)
        found += told["events"]
        after = told["after"]
        if after is None:
            return found


def test_a_log_that_nobody_touched_verifies(place: Place) -> None:
    """With how many events, and how many of them no checkpoint states yet."""
    events = count(place)
    assert place.do("audit.verify", kept=None) == {
        "events": events,
        "checkpoints": 0,
        "key_ids": [],
        "since_checkpoint": events,
    }
    kept = place.do("audit.checkpoint")
    place.issue()
    assert place.do("audit.verify", kept=json.dumps(kept)) == {
        "events": events + 3,  # the audit key, the intent and the certificate
        "checkpoints": 1,
        "key_ids": [kept["key_id"]],
        "since_checkpoint": 2,
    }


LAST = "(SELECT max(seq) FROM events)"
DAMAGE = {
    "changed": (["UPDATE events SET data = replace(data, 'by', 'to') WHERE seq = 7"], "event 7 of local was changed"),
    "time": (["UPDATE events SET at = at + 1 WHERE seq = 8"], "event 8 of local was changed"),
    "removed": (["DELETE FROM events WHERE seq = 6"], "event 6 of local was removed"),
    "several": (["DELETE FROM events WHERE seq IN (5, 6)"], "events 5 to 6 of local were removed"),
    "beginning": (["DELETE FROM events WHERE seq = 1"], "event 1 of local was removed"),
    "swapped": (
        [
            "UPDATE events SET seq = -5 WHERE seq = 5",
            "UPDATE events SET seq = 5 WHERE seq = 6",
            "UPDATE events SET seq = 6 WHERE seq = -5",
        ],
        "event 5 of local was moved: it was event 6",
    ),
    "cut": ([f"DELETE FROM events WHERE seq > {LAST} - 2"], "were cut off: checkpoint 1 states"),
    "checkpoint changed": (["UPDATE checkpoints SET at = at + 1"], "checkpoint 1 was changed: its signature"),
}  # fmt: skip


@pytest.mark.parametrize(("statements", "said"), DAMAGE.values(), ids=DAMAGE.keys())
def test_what_was_done_to_it_by_hand_is_found(place: Place, statements: list[str], said: str) -> None:
    """AUDIT_BROKEN says which event of which chain."""
    place.do("audit.checkpoint")
    tamper(place, *statements)
    refused = place.refused("audit.verify", kept=None)
    assert refused.code is Code.AUDIT_BROKEN
    assert said in refused.why


def test_every_fault_is_told(place: Place) -> None:
    """Not the first only."""
    tamper(place, "DELETE FROM events WHERE seq = 3", "UPDATE events SET subject = 'x' WHERE seq = 7")
    why = place.refused("audit.verify", kept=None).why
    assert "event 3 of local was removed" in why
    assert "event 7 of local was changed" in why


def test_a_tail_cut_off_with_its_checkpoint_is_found_by_one_kept_elsewhere(place: Place) -> None:
    """Whoever can write to the database can shorten both; what lies elsewhere cannot be shortened."""
    place.do("audit.checkpoint")
    place.issue(name="carol")
    kept = place.do("audit.checkpoint")
    tamper(place, f"DELETE FROM events WHERE seq > {LAST} - 2", "DELETE FROM checkpoints WHERE number = 2")
    place.do("audit.verify", kept=None)
    refused = place.refused("audit.verify", kept=json.dumps(kept))
    assert refused.code is Code.AUDIT_BROKEN
    assert "checkpoint 2, which was kept elsewhere, was cut off" in refused.why


def test_a_log_written_anew_is_found_by_one_kept_elsewhere(place: Place) -> None:
    """Another ledger altogether does not hold what the checkpoint states."""
    kept = place.do("audit.checkpoint")
    for path in (*place.state.path.glob("ledger.db*"), *place.state.authority_keys.glob("*.key")):
        path.unlink()
    place.issue()
    place.do("audit.checkpoint")
    assert place.refused("audit.verify", kept=json.dumps(kept)).code is Code.AUDIT_BROKEN


@pytest.mark.parametrize(
    "kept",
    ["", "{", "[]", "null", '{"number": 1}', '{"number": 1e999}', "[" * 100_000],
    ids=["empty", "cut", "list", "null", "parts", "infinite", "deep"],
)
def test_what_is_no_checkpoint_is_refused(place: Place, kept: str) -> None:
    """FILE_UNRECOGNIZED."""
    assert place.refused("audit.verify", kept=kept).code is Code.FILE_UNRECOGNIZED


def test_a_checkpoint_of_nothing_new_is_the_last_one(place: Place) -> None:
    """Asked for every hour, an idle log has one."""
    assert place.do("audit.checkpoint") == place.do("audit.checkpoint")


def test_a_second_audit_key_is_not_made(place: Place) -> None:
    """Where the first is missing: STATE_KEY_MISSING, since it could be anybody's."""
    place.do("audit.checkpoint")
    (place.state.authority_keys / "audit.key").unlink()
    assert place.refused("audit.checkpoint").code is Code.STATE_KEY_MISSING


def test_the_export_has_every_event_in_order(place: Place) -> None:
    """As OCSF, with what was done, to whom, and its place in the chain."""
    events = exported(place)
    assert len(events) == count(place)
    assert all({"class_uid", "activity_id", "time", "metadata"} <= set(event) for event in events)
    times = [event["time"] for event in events]
    assert times == sorted(times)
    assert json.loads(json.dumps(events)) == events


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"kind": "certificate.issued"}, 2),
        ({"subject": "spiffe://example.org/alice"}, 2),
        ({"kind": "certificate.issued", "subject": "spiffe://example.org/alice"}, 1),
        ({"kind": "nothing"}, 0),
    ],
    ids=["kind", "subject", "both", "nothing"],
)
def test_the_export_may_be_of_some_events(place: Place, asked: dict[str, str], expected: int) -> None:
    """Of one kind, or about one subject."""
    found = exported(place, **asked)
    assert len([one for one in found if "gateway" not in str(one)]) == expected


def test_a_long_log_is_exported_in_pieces(place: Place) -> None:
    """No answer holds all of it, and together they hold each event once."""

    async def many(site: Any) -> None:
        from handclasp.app import ambient
        from handclasp.authority.records import Event

        for number in range(600):
            await site.vault.ledger.append(Event(ambient.now(), "test", f"{number}", {"by": "operator"}))

    place.with_site(many)
    first = place.do("audit.export", kind=None, subject=None, after=None)
    assert (len(first["events"]), first["after"]) == (500, ["local", 500])
    assert len(exported(place)) == count(place)


def test_what_is_refused_leaves_no_event(place: Place) -> None:
    """The log says what was done, and nothing was."""
    before = count(place)
    place.not_issued(a_request(), profile="nothing", name="alice")
    place.not_issued(a_request(), name="alice", ips=["192.0.2.1"])
    assert count(place) == before
