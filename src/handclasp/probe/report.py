"""What is known of one endpoint after an examination: the values that a report shows, and their JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from handclasp.findings import Code, Finding
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.evidence import Response, Timings
from handclasp.probe.served import Served, stamp
from handclasp.probe.staple import Staple
from handclasp.probe.target import Target
from handclasp.tlswire.names import alert_name
from handclasp.tlswire.seen import Alert, Event


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of a credential. ``accepted`` is None where it was not shown or the server did not say;
    ``why`` tells."""

    name: str
    accepted: bool | None
    why: str
    chain: tuple[Served, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One endpoint at one time.

    ``code`` is OK, or that of the first of ``findings``, which are in order of weight. A server that requires a client
    certificate is no finding. ``trusted`` is None where there is no chain to judge. ``remarks`` are what a stricter
    reader would note. ``chain`` is as served, leaf first.
    """

    target: Target
    at: datetime
    code: Code
    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...] = ()
    client_certificate: ClientCertificate = ClientCertificate.UNDETERMINED
    client_certificate_why: str = ""
    client_ca_names: tuple[str, ...] = ()
    client_signature_algorithms: tuple[str, ...] = ()
    tls_version: str | None = None
    group: str | None = None
    post_quantum: bool | None = None
    cipher: str | None = None
    signature_scheme: str | None = None
    alpn: str | None = None
    trusted: bool | None = None
    trusted_by: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    chain: tuple[Served, ...] = ()
    path: tuple[Served, ...] = ()
    """The valid path from the leaf to its anchor, or the candidate that came closest."""
    staple: Staple | None = None
    crls: tuple[CrlSeen, ...] = ()
    address: str | None = None
    timings: Timings = field(default_factory=Timings)
    response: Response | None = None
    credential: Shown | None = None
    events: tuple[Event, ...] = ()

    @property
    def expires(self) -> datetime | None:
        """When the first certificate of the chain ends; None without a chain."""
        return min((one.not_after for one in self.chain if one.fault is None), default=None)


@dataclass(frozen=True, slots=True)
class CrlSeen:
    """A revocation list that was looked at: where it came from, and when the next one is due."""

    source: str
    issuer: str
    this_update: datetime | None
    next_update: datetime | None


def as_json(report: Report) -> dict[str, Any]:
    """One JSON object. Times are in UTC, durations in seconds."""
    return {
        "target": report.target.text,
        "host": report.target.host,
        "port": report.target.port,
        "server_name": report.target.name or None,
        "address": report.address,
        "at": stamp(report.at),
        "code": str(report.code),
        "findings": [_finding(one) for one in report.findings],
        "remarks": [_finding(one) for one in report.remarks],
        "client_certificate": str(report.client_certificate),
        "client_certificate_why": report.client_certificate_why,
        "client_ca_names": list(report.client_ca_names),
        "client_signature_algorithms": list(report.client_signature_algorithms),
        "tls_version": report.tls_version,
        "group": report.group,
        "post_quantum": report.post_quantum,
        "cipher": report.cipher,
        "signature_scheme": report.signature_scheme,
        "alpn": report.alpn,
        "trusted": report.trusted,
        "trusted_by": list(report.trusted_by),
        "alerts": [_alert(one) for one in report.alerts],
        "chain": [one.as_json(report.at) for one in report.chain],
        "ocsp_staple": _staple(report.staple),
        "crls": [
            {
                "source": one.source,
                "issuer": one.issuer,
                "this_update": _when(one.this_update),
                "next_update": _when(one.next_update),
            }
            for one in report.crls
        ],
        "http": _http(report.response),
        "credential": _shown(report.credential, report.at),
        "seconds": {name: _seconds(getattr(report.timings, name)) for name in _TIMINGS},
        "trace": [{"sent": one.sent, "message": one.what, "facts": dict(one.facts)} for one in report.events],
    }


_TIMINGS: Final = ("resolved", "connected", "secured", "first_byte", "ended")


def _finding(one: Finding) -> dict[str, Any]:
    return {"code": str(one.code), "where": one.where, "what": one.what, "facts": dict(one.facts)}


def _alert(one: Alert) -> dict[str, Any]:
    return {"number": one.number, "name": alert_name(one.number), "fatal": one.fatal, "step": str(one.step)}


def _staple(staple: Staple | None) -> dict[str, Any] | None:
    if staple is None:
        return None
    return {
        "status": staple.status,
        "valid": staple.valid,
        "this_update": _when(staple.this_update),
        "next_update": _when(staple.next_update),
    }


def _http(response: Response | None) -> dict[str, Any] | None:
    if response is None:
        return None
    return {"status": response.status, "reason": response.reason}


def _shown(shown: Shown | None, at: datetime) -> dict[str, Any] | None:
    if shown is None:
        return None
    chain = [one.as_json(at) for one in shown.chain]
    return {"name": shown.name, "accepted": shown.accepted, "why": shown.why, "chain": chain}


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
