"""The chain of evidence of an endpoint, in words: what was tried, and what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from handclasp.doctor.diagnosis import Proof, Severity
from handclasp.doctor.rules.observed import Observation
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.report import Report
from handclasp.tlswire.names import alert_name

_NAMES_TOLD: Final = 5
_DEMANDS: Final = {
    ClientCertificate.NOT_REQUESTED: "it asks for no client certificate",
    ClientCertificate.OPTIONAL: "it asks for a client certificate, and goes on without",
    ClientCertificate.REQUIRED: "it requires a client certificate",
    ClientCertificate.REQUIRED_AT_HTTP: "it requires a client certificate, and refuses over HTTP",
    ClientCertificate.UNDETERMINED: "whether it requires a client certificate stays open",
}


def proofs(seen: Observation) -> Iterator[Proof]:
    """In the order of examination."""
    for one in seen.loading:
        yield Proof(f"read {one.where}", one.what, {"code": str(one.code)})
    yield from _reached(seen.plain)
    yield from _plain(seen.plain)
    for retry in seen.retries:
        yield Proof(f"the hello {retry.what}", "the server answers" if retry.worked else "the server breaks off again")
    if seen.plain.chain:
        yield _trust(seen.plain)
    if seen.shown is not None:
        yield _shown(seen.shown)
    if seen.sent:
        yield _local(seen)
    yield from seen.replayed
    for one in seen.log:
        yield Proof("read the server's log", one.what, {"code": str(one.code)})
    if seen.skew is not None:
        yield Proof("compare the clocks", f"the server's says {offset(seen.skew)}")


def offset(skew: timedelta) -> str:
    """``the same time``, ``3 h 20 min more``, ``2 days less`` than ours."""
    seconds = abs(int(skew.total_seconds()))
    if seconds < 60:
        return "the same time as this one"
    if seconds >= 2 * 86400:
        size = f"{seconds // 86400} days"
    elif seconds >= 3600:
        size = f"{seconds // 3600} h {seconds % 3600 // 60} min"
    else:
        size = f"{seconds // 60} min"
    return f"{size} {'more' if skew > timedelta() else 'less'} than this one"


def _reached(report: Report) -> Iterator[Proof]:
    if report.address is not None and report.timings.connected is not None:
        seen = f"{report.address} accepts, after {report.timings.connected * 1000:.0f} ms"
        yield Proof(f"connect to {report.target.authority}", seen)
    elif report.findings:
        yield Proof(f"connect to {report.target.authority}", report.findings[0].what)


def _plain(report: Report) -> Iterator[Proof]:
    if report.tls_version is None:
        if report.timings.connected is not None:
            what = "; ".join(one.what for one in report.findings) or "nothing that is TLS came back"
            yield Proof("say hello, without a certificate", f"{what}{_alerts(report)}")
        return
    facts = {"tls_version": report.tls_version, "cipher": report.cipher or ""}
    if report.group is not None:
        facts["group"] = report.group
    seen = [f"{report.tls_version} with {report.cipher}", _DEMANDS[report.client_certificate]]
    if report.client_certificate_why:
        seen.append(report.client_certificate_why)
    if report.client_ca_names:
        told = ", ".join(report.client_ca_names[:_NAMES_TOLD])
        more = len(report.client_ca_names) - _NAMES_TOLD
        facts["authorities"] = told + (f" and {more} more" if more > 0 else "")
        seen.append(f"it names {len(report.client_ca_names)} authorities")
    yield Proof("handshake without a certificate, reading before writing", "; ".join(seen) + _alerts(report), facts)


def _trust(report: Report) -> Proof:
    leaf = report.chain[0]
    facts = {"subject": leaf.subject, "issuer": leaf.issuer, "not_after": f"{leaf.not_after:%Y-%m-%dT%H:%M:%SZ}"}
    if report.trusted:
        return Proof("verify the server's chain", f"trusted, by {', '.join(report.trusted_by)}", facts)
    why = "; ".join(f"{one.where}: {one.what}" for one in report.findings if str(one.code).startswith("SERVER_"))
    return Proof("verify the server's chain", why or "not trusted", facts)


def _shown(report: Report) -> Proof:
    told = report.credential
    status = "" if report.response is None else f"; HTTP {report.response.status}"
    if told is None:
        return Proof("handshake with the certificate", "it was not shown")
    taken = {True: "accepted", False: "refused", None: "undecided"}[told.accepted]
    return Proof("handshake with the certificate", f"{taken}: {told.why}{_alerts(report)}{status}")


def _local(seen: Observation) -> Proof:
    tried = "judge the client's chain by the server's authorities" if seen.bundle else "judge the client's chain itself"
    if seen.bundle and seen.lists:
        tried += " and revocation lists"
    leaf = seen.sent[0]
    errors = [f"{one.where}: {one.what} ({one.code})" for one in seen.local if one.severity is Severity.ERROR]
    facts = {"certificates": str(len(seen.sent)), "serial": f"{leaf.serial_number:x}"}
    return Proof(tried, "; ".join(errors) or "sound", facts)


def _alerts(report: Report) -> str:
    said = [
        f"alert {one.number} ({alert_name(one.number)}) at {str(one.step).replace('_', ' ')}" for one in report.alerts
    ]
    return f"; the server sent {', '.join(said)}" if said else ""
