"""Audit events in the Open Cybersecurity Schema (OCSF 1.1), for the tools that collect those of a whole company.

The class is Entity Management (3004, of the category Identity and Access Management): each event is one change of a
managed thing, by somebody. API Activity (6003) would need an API, a source endpoint and a status for every call, none
of which the ledger's transaction knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from handclasp.authority.records import ChainedEvent

_CATEGORY, _CLASS = 3, 3004
_SCHEMA = "1.1.0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CREATE, _UPDATE, _DELETE, _ENABLE, _DISABLE, _OTHER = 1, 3, 4, 8, 9, 99
_NAMES = {
    _CREATE: "Create",
    _UPDATE: "Update",
    _DELETE: "Delete",
    _ENABLE: "Enable",
    _DISABLE: "Disable",
    _OTHER: "Other",
}
_ACTIVITIES = {
    "authority.planned": _CREATE,
    "authority.requested": _CREATE,
    "authority.created": _CREATE,
    "authority.published": _CREATE,
    "authority.installed": _CREATE,
    "authority.active": _ENABLE,
    "authority.activated": _ENABLE,
    "authority.renewed": _UPDATE,
    "authority.retired": _DISABLE,
    "authority.abandoned": _DISABLE,
    "certificate.intended": _CREATE,
    "certificate.issued": _CREATE,
    "certificate.imported": _CREATE,
    "certificate.revoked": _DELETE,
    "certificate.held": _DISABLE,
    "certificate.released": _ENABLE,
    "request.submitted": _CREATE,
    "request.approved": _UPDATE,
    "request.denied": _UPDATE,
    "point.forgotten": _DELETE,
    "audit.key": _CREATE,
}
_INFORMATIONAL, _LOW = 1, 2
# What takes something away from somebody is worth a look.
_NOTABLE = frozenset({"certificate.revoked", "certificate.held", "request.denied", "authority.retired"})


def encode(found: ChainedEvent, *, version: str) -> dict[str, object]:
    """The event as an OCSF object, ready for ``json.dumps``; the chain's own fields are under ``unmapped``.

    ``version`` is that of the product.
    """
    event = found.event
    activity = _ACTIVITIES.get(event.kind, _OTHER)
    return {
        "activity_id": activity,
        "activity_name": _NAMES[activity] if activity != _OTHER else event.kind,
        "category_name": "Identity & Access Management",
        "category_uid": _CATEGORY,
        "class_name": "Entity Management",
        "class_uid": _CLASS,
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"Entity Management: {_NAMES[activity]}",
        "severity_id": _LOW if event.kind in _NOTABLE else _INFORMATIONAL,
        "severity": "Low" if event.kind in _NOTABLE else "Informational",
        "status_id": 1,
        "status": "Success",
        "time": (event.at - _EPOCH) // timedelta(milliseconds=1),
        "message": f"{event.kind} {event.subject}",
        "metadata": {
            "version": _SCHEMA,
            "uid": f"{found.writer}/{found.seq}",
            "event_code": event.kind,
            "log_name": "audit",
            "log_provider": found.writer,
            "sequence": found.seq,
            "product": {"name": "Handclasp", "vendor_name": "Handclasp", "version": version},
        },
        "actor": {"user": {"name": event.data.get("by", ""), "type_id": 99, "type": "principal"}},
        "entity": _entity(event.kind, event.subject, event.data),
        "unmapped": {"prev": found.prev, "hash": found.hash},
    }


def _entity(kind: str, subject: str, data: Mapping[str, str]) -> dict[str, object]:
    """The managed thing: what it is, whose it is, and by what it is found again."""
    uid = data.get("serial") or data.get("key_id") or data.get("request_id")
    return {
        "name": subject,
        "type": kind.partition(".")[0],
        **({"uid": uid} if uid else {}),
        "data": {key: value for key, value in data.items() if key != "by"},
    }
