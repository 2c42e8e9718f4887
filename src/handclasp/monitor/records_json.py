"""Monitors, results and transitions as JSON, and back: what a store keeps of them.

Points in time are whole microseconds since 1970 and durations whole microseconds, so that both come back exactly. All
text is ASCII: what a peer put into a certificate (NUL, halves of surrogate pairs) is spelled out, and no database can
refuse it.

A definition with a field or value that is not known here is refused: to leave out what somebody asked for would be to
report that all is well when it was not looked at. What is not known in a result is left out: it only shows what was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, cast

from handclasp.findings import Code, Finding
from handclasp.monitor.definition import Expectation, Kind, Monitor, State, Stranger, Trust, Window
from handclasp.monitor.results import CheckResult, Transition, WatchedCertificate

FORMAT: Final = 1
"""Of definitions. One more with every field, value or default that is added or changed, so that a program of before, at
the same database, leaves the monitors alone that it cannot read."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

_Convert = Callable[[Any], Any] | None
_Fields = Mapping[str, tuple[_Convert, _Convert]]


class UnknownRecord(ValueError):
    """The text has something that this version does not know: a newer one wrote it."""


def monitor_to_json(monitor: Monitor) -> str:
    """The same text for equal monitors. What is as by default is left out: this is read before every check."""
    return _encode(_changed(_MONITOR, monitor, _DEFAULT_MONITOR))


def monitor_from_json(text: str) -> Monitor:
    """UnknownRecord if a newer version wrote it."""
    try:
        return Monitor(**_in(_MONITOR, json.loads(text)))
    except (ValueError, TypeError, KeyError) as error:
        raise UnknownRecord(f"the definition of a monitor cannot be read: {error}") from error


def evidence_to_json(result: CheckResult) -> str:
    """What the check found, without the monitor's name, the time, the latency and the attempts: the same text for all
    checks that found the same."""
    return _encode(_out(_EVIDENCE, result))


def result_from_json(
    text: str, *, monitor: str, at: datetime, seconds: float | None = None, attempts: int = 1
) -> CheckResult:
    """The result whose evidence that is. UnknownRecord if its state or code is not known here."""
    found = json.loads(text)
    findings = [one for one in found["findings"] if one["code"] in _CODES]
    try:
        return CheckResult(
            monitor=monitor,
            at=at,
            state=State(found["state"]),
            code=Code(found["code"]),
            summary=found["summary"],
            findings=tuple([Finding(Code(f["code"]), f["where"], f["what"], f["facts"]) for f in findings]),
            certificates=tuple([_certificate(one) for one in found["certificates"]]),
            facts=found["facts"],
            seconds=seconds,
            attempts=attempts,
            trusted=found["trusted"],
            crl_next_update=_time_in(found["crl_next_update"]),
            seen_at=_time_in(found["seen_at"]),
            maintenance=found["maintenance"],
        )
    except ValueError as error:
        raise UnknownRecord(f"a result cannot be read: {error}") from error


def transition_to_json(transition: Transition) -> str:
    """With its result, whole."""
    result = transition.result
    return _encode(
        {
            "id": transition.id,
            "monitor": transition.monitor,
            "at": _microseconds(transition.at),
            "before": transition.before.value,
            "after": transition.after.value,
            "since": _time_out(transition.since),
            "labels": transition.labels,
            "result": {
                "monitor": result.monitor,
                "at": _microseconds(result.at),
                "seconds": result.seconds,
                "attempts": result.attempts,
                "evidence": _out(_EVIDENCE, result),
            },
        }
    )


def transition_from_json(text: str) -> Transition:
    """UnknownRecord as for results."""
    found = json.loads(text)
    result = found["result"]
    return Transition(
        id=found["id"],
        monitor=found["monitor"],
        at=_instant(found["at"]),
        before=State(found["before"]),
        after=State(found["after"]),
        since=_time_in(found["since"]),
        result=result_from_json(
            _encode(result["evidence"]),
            monitor=result["monitor"],
            at=_instant(result["at"]),
            seconds=result["seconds"],
            attempts=result["attempts"],
        ),
        labels=_pairs(found["labels"]),
    )


def _out(fields: _Fields, value: object) -> dict[str, Any]:
    found = {}
    for name, (convert, _) in fields.items():
        one = getattr(value, name)
        found[name] = one if convert is None or one is None else convert(one)
    return found


def _changed(fields: _Fields, value: object, usual: object) -> dict[str, Any]:
    found = {}
    for name, (convert, _) in fields.items():
        one = getattr(value, name)
        if one != getattr(usual, name):
            found[name] = one if convert is None or one is None else convert(one)
    return found


def _in(fields: _Fields, found: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, one in found.items():
        if name not in fields:
            raise UnknownRecord(f"{name} is not known to this version")
        convert = fields[name][1]
        values[name] = one if convert is None or one is None else convert(one)
    return values


def _certificate(found: Mapping[str, Any]) -> WatchedCertificate:
    return WatchedCertificate(
        role=found["role"],
        place=found["place"],
        subject=found["subject"],
        issuer=found["issuer"],
        names=tuple(found["names"]),
        serial=found["serial"],
        fingerprint=found["fingerprint"],
        spki=found["spki"],
        not_before=_instant(found["not_before"]),
        not_after=_instant(found["not_after"]),
    )


def _microseconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return (at - _EPOCH) // _MICROSECOND


def _instant(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def _time_out(at: datetime | None) -> int | None:
    return None if at is None else _microseconds(at)


def _time_in(value: int | None) -> datetime | None:
    return None if value is None else _instant(value)


def _pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name, value in found])


def _window_out(window: Window) -> list[object]:
    return [sorted(window.days), window.start.isoformat(), window.end.isoformat()]


def _window_in(found: list[Any]) -> Window:
    days, start, end = found
    return Window(frozenset(days), time.fromisoformat(start), time.fromisoformat(end))


_CODES: Final = frozenset(Code)
_AS_IS: Final = (None, None)
_TUPLE: Final = (None, tuple)
_PAIRS: Final = (None, _pairs)
_DURATION: Final = (lambda value: value // _MICROSECOND, lambda value: timedelta(microseconds=value))
_INSTANT: Final = (_microseconds, _instant)
_DEFAULT_EXPECTATION: Final = Expectation()
# No name, kind or target is None, so that these are always written.
_DEFAULT_MONITOR: Final = Monitor(cast("str", None), cast("Kind", None), cast("str", None))
_EXPECTATION: Final[_Fields] = {
    "client_certificate": _AS_IS,
    "issuer": _AS_IS,
    "pins": _TUPLE,
    "tls": _AS_IS,
    "chain_unchanged": _AS_IS,
    "status": (sorted, frozenset),
    "headers": _PAIRS,
    "body": _AS_IS,
    "json": _PAIRS,
    "latency": _AS_IS,
}
_MONITOR: Final[_Fields] = {
    "name": _AS_IS,
    "kind": (None, Kind),
    "target": _AS_IS,
    "origin": _AS_IS,
    "every": _DURATION,
    "timeout": _DURATION,
    "warning": _DURATION,
    "critical": _DURATION,
    "retries": _AS_IS,
    "retry_after": _DURATION,
    "trust": (None, Trust),
    "ca_file": _AS_IS,
    "server_name": _AS_IS,
    "credential": _AS_IS,
    "stranger": (None, Stranger),
    "passphrase": _AS_IS,
    "expect": (
        lambda expectation: _changed(_EXPECTATION, expectation, _DEFAULT_EXPECTATION),
        lambda found: Expectation(**_in(_EXPECTATION, found)),
    ),
    "maintenance": (
        lambda windows: [_window_out(one) for one in windows],
        lambda found: tuple([_window_in(one) for one in found]),
    ),
    "alerts": _TUPLE,
    "labels": _PAIRS,
    "paused": _AS_IS,
}
_FINDING: Final[_Fields] = {"code": _AS_IS, "where": _AS_IS, "what": _AS_IS, "facts": (dict, None)}
_CERTIFICATE: Final[_Fields] = {
    "role": _AS_IS,
    "place": _AS_IS,
    "subject": _AS_IS,
    "issuer": _AS_IS,
    "names": _TUPLE,
    "serial": _AS_IS,
    "fingerprint": _AS_IS,
    "spki": _AS_IS,
    "not_before": _INSTANT,
    "not_after": _INSTANT,
}
_EVIDENCE: Final[_Fields] = {
    "state": _AS_IS,
    "code": _AS_IS,
    "summary": _AS_IS,
    "findings": (lambda findings: [_out(_FINDING, one) for one in findings], None),
    "certificates": (lambda certificates: [_out(_CERTIFICATE, one) for one in certificates], None),
    "facts": (dict, None),
    "trusted": _AS_IS,
    "crl_next_update": _INSTANT,
    "seen_at": _INSTANT,
    "maintenance": _AS_IS,
}
