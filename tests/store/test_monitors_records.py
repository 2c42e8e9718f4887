"""Monitors, results and transitions as JSON; results packed into hours."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.findings import Code, Finding
from handclasp.monitor import records_json
from handclasp.monitor.definition import Expectation, Kind, Monitor, State, Stranger, Trust, Window
from handclasp.monitor.records_json import (
    FORMAT,
    UnknownRecord,
    evidence_to_json,
    monitor_from_json,
    monitor_to_json,
    result_from_json,
    transition_from_json,
    transition_to_json,
)
from handclasp.monitor.results import CheckResult, Transition, WatchedCertificate
from handclasp.store.monitor_entries import HOUR, Entry, count, hour_of, latency_of, pack, roll_up, together, unpack

TEXT = st.text(st.characters(codec=None), max_size=8)  # with NUL and halves of surrogate pairs
TIMES = st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
SPANS = st.timedeltas(timedelta(0), timedelta(days=10_000))
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
SCALARS = st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False)
MONITORS = st.builds(
    Monitor,
    name=TEXT,
    kind=st.sampled_from(Kind),
    target=TEXT,
    origin=st.sampled_from(["file", "api"]),
    **dict.fromkeys(("every", "timeout", "warning", "critical", "retry_after"), SPANS),
    retries=st.integers(0, 9),
    trust=st.sampled_from(Trust),
    **dict.fromkeys(("ca_file", "server_name", "credential", "passphrase"), st.none() | TEXT),
    stranger=st.sampled_from(Stranger),
    expect=st.builds(
        Expectation,
        client_certificate=st.none() | TEXT,
        issuer=st.none() | TEXT,
        pins=TEXTS,
        tls=st.none() | st.sampled_from([0x0303, 0x0304]),
        chain_unchanged=st.booleans(),
        status=st.frozensets(st.integers(100, 599), max_size=3),
        headers=PAIRS,
        body=st.none() | TEXT,
        json=PAIRS,
        latency=st.none() | st.floats(0, 60),
    ),
    maintenance=st.lists(st.builds(Window, st.frozensets(st.integers(0, 6)), st.times(), st.times()), max_size=2).map(
        tuple
    ),
    alerts=TEXTS,
    labels=PAIRS,
    paused=st.booleans(),
)
CERTIFICATES = st.builds(
    WatchedCertificate,
    **dict.fromkeys(("role", "place", "subject", "issuer", "serial", "fingerprint", "spki"), TEXT),
    names=TEXTS,
    not_before=TIMES,
    not_after=TIMES,
)
RESULTS = st.builds(
    CheckResult,
    monitor=TEXT,
    at=TIMES,
    state=st.sampled_from(State),
    code=st.sampled_from(Code),
    summary=TEXT,
    findings=st.lists(
        st.builds(Finding, st.sampled_from(Code), TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2)), max_size=2
    ).map(tuple),
    certificates=st.lists(CERTIFICATES, max_size=2).map(tuple),
    facts=st.dictionaries(TEXT, SCALARS, max_size=3),
    seconds=st.none() | st.floats(0, 60),
    attempts=st.integers(1, 10),
    trusted=st.none() | st.booleans(),
    crl_next_update=st.none() | TIMES,
    seen_at=st.none() | TIMES,
    maintenance=st.booleans(),
)
TRANSITIONS = st.builds(
    Transition,
    id=TEXT,
    monitor=TEXT,
    at=TIMES,
    before=st.sampled_from(State),
    after=st.sampled_from(State),
    since=st.none() | TIMES,
    result=RESULTS,
    labels=PAIRS,
)
PLAIN = Monitor("a", Kind.TLS, "a.example.org:443")


@settings(max_examples=60, deadline=None)
@given(MONITORS)
def test_a_definition_comes_back(monitor: Monitor) -> None:
    """All of it, and the text is ASCII."""
    text = monitor_to_json(monitor)
    assert monitor_from_json(text) == monitor
    assert text.isascii()


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_a_result_comes_back(result: CheckResult) -> None:
    """From its evidence and what is kept beside it."""
    text = evidence_to_json(result)
    back = result_from_json(
        text, monitor=result.monitor, at=result.at, seconds=result.seconds, attempts=result.attempts
    )
    assert back == result
    assert text.isascii()


@settings(max_examples=40, deadline=None)
@given(TRANSITIONS)
def test_a_transition_comes_back(transition: Transition) -> None:
    """With its result."""
    assert transition_from_json(transition_to_json(transition)) == transition


@given(RESULTS)
@settings(max_examples=20, deadline=None)
def test_the_same_is_the_same_text(result: CheckResult) -> None:
    """Whatever the monitor, the time, the latency, the attempts, and the order of the facts."""
    facts = dict(reversed(list(result.facts.items())))
    other = replace(result, monitor="other", at=result.at + timedelta(1), seconds=1.5, attempts=9, facts=facts)
    assert evidence_to_json(other) == evidence_to_json(result)


@pytest.mark.parametrize(
    "change",
    [
        {"speed": 1},
        {"kind": "quic"},
        {"trust": "dane"},
        {"expect": {"speed": 1}},
        {"maintenance": [[[0], "00:00", "01:00", "Europe/Berlin"]]},
    ],
    ids=["field", "kind", "value", "expectation", "window"],
)
def test_a_newer_definition_is_refused(change: dict[str, Any]) -> None:
    """What is not known would not be looked at."""
    text = json.dumps(json.loads(monitor_to_json(PLAIN)) | change)
    with pytest.raises(UnknownRecord):
        monitor_from_json(text)


def test_a_newer_result_is_read_as_far_as_it_is_known() -> None:
    """Fields, and findings with other codes, are left out; a code or state of another version is refused."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    known = Finding(Code.TLS_ALERT, "here", "what", {"alert": "40"})
    result = CheckResult("a", at, State.WARNING, Code.TLS_ALERT, "One sentence.", findings=(known,))
    newer = json.loads(evidence_to_json(result))
    newer["speed"] = 1
    newer["findings"].append(newer["findings"][0] | {"code": "QUIC-TOO-QUICK"})
    assert result_from_json(json.dumps(newer), monitor="a", at=at) == result
    for change in ({"code": "QUIC-TOO-QUICK"}, {"state": "purple"}):
        with pytest.raises(UnknownRecord):
            result_from_json(json.dumps(newer | change), monitor="a", at=at)


def test_the_format() -> None:
    """A field, value or default that is added or changed needs a new FORMAT (and then this test its new words): what is
    in a database was written with these."""
    assert FORMAT == 1
    assert asdict(PLAIN) == {
        "name": "a",
        "kind": "tls",
        "target": "a.example.org:443",
        "origin": "file",
        "every": timedelta(minutes=5),
        "timeout": timedelta(seconds=10),
        "warning": timedelta(days=21),
        "critical": timedelta(days=7),
        "retries": 2,
        "retry_after": timedelta(seconds=10),
        "trust": "system",
        "ca_file": None,
        "server_name": None,
        "credential": "auto",
        "stranger": "anonymous",
        "passphrase": None,
        "expect": {
            "client_certificate": None,
            "issuer": None,
            "pins": (),
            "tls": None,
            "chain_unchanged": False,
            "status": frozenset(),
            "headers": (),
            "body": None,
            "json": (),
            "latency": None,
        },
        "maintenance": (),
        "alerts": (),
        "labels": (),
        "paused": False,
    }
    values = {kind: [one.value for one in kind] for kind in (Kind, Trust, Stranger)}
    assert values == {
        Kind: ["tls", "https", "refused", "files", "ledger"],
        Trust: ["system", "own", "file"],
        Stranger: ["anonymous", "unlisted_ca"],
    }
    assert [one.name for one in fields(Window)] == ["days", "start", "end"]
    assert monitor_to_json(PLAIN) == '{"kind":"tls","name":"a","target":"a.example.org:443"}'
    window = Window(frozenset({6, 0}), time(22), time(1, 30))
    assert json.loads(monitor_to_json(replace(PLAIN, every=timedelta(hours=1), maintenance=(window,)))) == {
        "kind": "tls",
        "name": "a",
        "target": "a.example.org:443",
        "every": 3_600_000_000,
        "maintenance": [[[0, 6], "22:00:00", "01:30:00"]],
    }


def test_every_field_of_a_result_is_kept() -> None:
    """In the evidence or beside it: a field that is added to CheckResult has to be added there."""
    beside = {"monitor", "at", "seconds", "attempts"}
    assert {one.name for one in fields(CheckResult)} == set(records_json._EVIDENCE) | beside
    assert {one.name for one in fields(WatchedCertificate)} == set(records_json._CERTIFICATE)
    assert {one.name for one in fields(Finding)} == set(records_json._FINDING)
    assert {one.name for one in fields(Transition)} == set(json.loads(transition_to_json(_transition())))


def _transition() -> Transition:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    result = CheckResult("a", at, State.OK, Code.OK, "One sentence.")
    return Transition("id", "a", at, State.OK, State.OK, at, result)


ENTRIES = st.builds(
    Entry,
    at=st.integers(0, HOUR - 1).map(lambda offset: 490_000 * HOUR + offset),
    latency=st.none() | st.integers(0, (1 << 32) - 2),
    attempts=st.integers(0, 63),
    state=st.sampled_from(State),
    evidence_id=st.integers(1, (1 << 56) - 1),
)


@given(st.lists(ENTRIES, max_size=20))
@settings(deadline=None)
def test_entries_come_back(entries: list[Entry]) -> None:
    """Sixteen octets each, sorted by time, and their roll-up is that of any two parts together."""
    packed = b"".join(pack(entry) for entry in entries)
    assert len(packed) == 16 * len(entries)
    assert count(packed) == len(entries)
    back = unpack(490_000 * HOUR, packed)
    assert back == sorted(entries, key=lambda entry: entry.at)
    half = len(entries) // 2
    assert together(roll_up(entries[:half]), roll_up(entries[half:])) == roll_up(back)


def test_the_ends_of_the_ranges() -> None:
    """More attempts than fit count as 63; latencies are between nothing and 71 minutes; the hour is UTC's."""
    (entry,) = unpack(0, pack(Entry(1, 2, 1000, State.OK, 3)))
    assert entry == Entry(1, 2, 63, State.OK, 3)
    assert [latency_of(seconds) for seconds in (None, -1.0, 0.0000014, 1e9)] == [None, 0, 1, (1 << 32) - 2]
    assert [hour_of(at) for at in (0, HOUR - 1, HOUR, -1)] == [0, 0, HOUR, -HOUR]
