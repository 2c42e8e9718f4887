"""PagerDuty's Events API v2. Pure.

One incident for each monitor: ``dedup_key`` is the same for all its alerts, so that a try that is made twice, or a
warning that becomes critical, changes the incident that is open, and ``ok`` resolves it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from handclasp.monitor.alerts.message import Message, as_json, line
from handclasp.monitor.definition import State
from handclasp.probe.served import stamp

_LONGEST_KEY: Final = 255
_SEVERITIES: Final = {State.CRITICAL: "critical", State.WARNING: "warning"}


def dedup_key(origin: str, monitor: str) -> str:
    """What makes the incident of one monitor one."""
    whole = f"handclasp/{origin}/{monitor}"
    return whole if len(whole) <= _LONGEST_KEY else f"handclasp/{hashlib.sha256(whole.encode()).hexdigest()}"


def event(message: Message, routing_key: str, *, resolve: bool = False) -> bytes:
    """The body of the POST: trigger, or resolve where all is well again (or where it is asked for)."""
    head: dict[str, Any] = {
        "routing_key": routing_key,
        "dedup_key": dedup_key(message.origin, message.monitor if not message.test else message.id),
    }
    if message.over or resolve:
        return json.dumps(head | {"event_action": "resolve"}).encode()
    payload = {
        "summary": line(message.subject, 1024),
        "source": message.target or message.origin,
        "severity": "info" if message.test else _SEVERITIES.get(message.after, "warning"),
        "timestamp": stamp(message.at),
        "component": message.monitor,
        "class": message.code.value,
        "custom_details": as_json(message),
    }
    return json.dumps(head | {"event_action": "trigger", "client": "Handclasp", "payload": payload}).encode()
