"""Alertmanager's API v2 (POST /api/v2/alerts). Pure.

Alertmanager knows an alert by its labels and believes that it is over once ``endsAt`` has passed. Every alert therefore
says that it ends LAPSE from now, and all that are firing are posted again every REPEAT, from how the monitors stand: an
Alertmanager that was restarted knows them again, and the alerts of a Handclasp that is gone end by themselves. The
severity is a label, as routes expect it, so a warning that becomes critical is another alert, and the first one ends.
What has become well lately is posted as over with each repetition: one that overlaps with the end cannot undo it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from handclasp.findings import CATALOGUE, Code
from handclasp.monitor.alerts.message import Message, NamedCertificate, certificate, line, safe_labels
from handclasp.monitor.definition import State
from handclasp.monitor.ports import Standing
from handclasp.probe.served import stamp

PATH: Final = "/api/v2/alerts"
REPEAT: Final = timedelta(minutes=4)
LAPSE: Final = timedelta(minutes=15)
NAME: Final = "HandclaspMonitor"
_FIRING: Final = (State.WARNING, State.CRITICAL)
_AT_ONCE: Final = 500  # alerts in a POST

Alert = dict[str, Any]


def alerts(message: Message, now: datetime) -> bytes:
    """The body of the POST for a change of state: what fires now, and the end of what fired before."""
    found: list[Alert] = []
    identity = message.monitor, message.target, message.labels
    annotations = _annotations(message.sentence, message.code, message.remedy, message.certificate)
    for state in _FIRING:
        if state is message.after:
            found.append(_alert(identity, state, message.at, now + LAPSE, annotations))
        elif message.before is state or message.over:
            found.append(_alert(identity, state, None, message.at, annotations))
    if message.test:
        found = [_alert(identity, State.WARNING, message.at, now + LAPSE, annotations, test=True)]
    return json.dumps(found).encode()


def repetition(standings: Iterable[Standing], now: datetime) -> Iterator[bytes]:
    """The bodies that say again what is firing, and what has ceased since the last time or two."""
    found: list[Alert] = []
    for one in standings:
        found += _of(one, now)
        if len(found) >= _AT_ONCE:
            yield json.dumps(found).encode()
            found = []
    if found:
        yield json.dumps(found).encode()


def _of(standing: Standing, now: datetime) -> Sequence[Alert]:
    monitor, last = standing.monitor, standing.last
    if monitor.paused or last is None or standing.since is None:
        return ()
    firing = standing.state in _FIRING
    if not firing and not (standing.state is State.OK and now - standing.since < 3 * REPEAT):
        return ()
    remedy = "" if last.code is Code.OK else CATALOGUE[last.code].remedy
    annotations = _annotations(line(last.summary, 500), last.code, remedy, certificate(last))
    identity = monitor.name, line(monitor.target, 200), safe_labels(monitor.labels)
    if firing:
        return (_alert(identity, standing.state, standing.since, now + LAPSE, annotations),)
    return tuple(_alert(identity, state, None, standing.since, annotations) for state in _FIRING)


def _alert(
    identity: tuple[str, str, tuple[tuple[str, str], ...]],
    state: State,
    start: datetime | None,
    end: datetime,
    annotations: dict[str, str],
    *,
    test: bool = False,
) -> Alert:
    """The labels that are ours come last: a monitor's own cannot take their place. An empty one is none."""
    monitor, target, own = identity
    labels = dict(own) | {
        "alertname": "HandclaspTest" if test else NAME,
        "monitor": monitor,
        "instance": target,
        "severity": "info" if test else state.value,
    }
    labels = {name: value for name, value in labels.items() if value}
    begun = {} if start is None else {"startsAt": stamp(start)}
    return {"labels": labels, "annotations": annotations, "endsAt": stamp(end)} | begun


def _annotations(sentence: str, code: Code, remedy: str, one: NamedCertificate | None) -> dict[str, str]:
    found = {"summary": sentence, "code": code.value, "remedy": remedy}
    if one is not None:
        found |= {"certificate": one.name, "not_after": stamp(one.not_after), "fingerprint": one.fingerprint}
    return {name: value for name, value in found.items() if value}
