"""How monitors stand, and how the work goes, as metrics.

Ends of certificates are timestamps, not seconds that are left: they stay true between two checks, and stay there while
an endpoint is down or its certificate has expired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handclasp.monitor.definition import State
from handclasp.monitor.lateness import BOUNDS, Statistics
from handclasp.monitor.outputs.exposition import Family, Histogram, Kind, Labels, Sample, seconds
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import CheckResult, WatchedCertificate

MOST_CERTIFICATES: Final = 500
"""Of one monitor (a directory, the ledger): those that end first."""

_GAUGES: Final = {
    "handclasp_monitor_state": "1 for the state that the monitor is in, 0 for the others.",
    "handclasp_monitor_since_timestamp_seconds": "When the state began.",
    "handclasp_monitor_paused": "1 where the monitor is kept and not checked.",
    "handclasp_monitor_maintenance": "1 where the last check was in a maintenance window.",
    "handclasp_monitor_last_check_timestamp_seconds": "When the monitor was last checked.",
    "handclasp_monitor_last_seen_timestamp_seconds": "When its certificates were last seen; older while it is down.",
    "handclasp_monitor_latency_seconds": "Until the handshake, or the first octet of the response, at the last check.",
    "handclasp_monitor_attempts": "Tries of the last check.",
    "handclasp_monitor_trusted": "1 where the chain was verified, 0 where it was not.",
    "handclasp_monitor_http_status": "The status of the last response.",
    "handclasp_monitor_certificates": "How many certificates the last check came across.",
    "handclasp_monitor_crl_next_update_timestamp_seconds": "When the first revocation list is due to be replaced.",
    "handclasp_certificate_not_after_timestamp_seconds": "When the certificate ends.",
    "handclasp_certificate_not_before_timestamp_seconds": "When the certificate begins.",
}
_INFOS: Final = {
    "handclasp_monitor": "What is watched, with its labels.",
    "handclasp_monitor_code": "What the last check found: a code of the catalogue.",
    "handclasp_monitor_tls": "How the endpoint speaks TLS.",
    "handclasp_monitor_client_certificate": "What the endpoint demands of a caller without a certificate.",
    "handclasp_certificate": "Which certificate it is.",
}
_STATES: Final = tuple(State)
_TLS_FACTS: Final = (("version", "tls_version"), ("cipher", "cipher"), ("group", "group"), ("alpn", "alpn"))


@dataclass(frozen=True, slots=True)
class OwnCredential:
    """A client certificate of the store: its name, whom it is for, its end."""

    name: str
    pattern: str
    not_after: datetime


def of_standings(standings: Iterable[Standing]) -> list[Family]:
    """All that is known of the monitors."""
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for standing in standings:
        for name, labels, value in _of_one(standing):
            samples[name].append(Sample(labels, value))
    infos = [Family(name, Kind.INFO, told, samples[name]) for name, told in _INFOS.items()]
    return infos + [Family(name, Kind.GAUGE, told, samples[name]) for name, told in _GAUGES.items()]


def of_credentials(credentials: Iterable[OwnCredential]) -> list[Family]:
    """The ends of our own client certificates."""
    samples = [
        Sample((("credential", one.name), ("pattern", one.pattern)), seconds(one.not_after)) for one in credentials
    ]
    told = "When our own client certificate ends."
    return [Family("handclasp_credential_not_after_timestamp_seconds", Kind.GAUGE, told, samples)]


def of_worker(statistics: Statistics, worker: str) -> list[Family]:
    """The work of one process."""
    labels = (("worker", worker),)
    counts = (
        ("handclasp_worker_checks", "Checks whose results were written.", statistics.checks),
        ("handclasp_worker_attempts", "Examinations, retries among them.", statistics.attempts),
        ("handclasp_worker_lost", "Results that the store no longer took.", statistics.lost),
        ("handclasp_worker_store_errors", "Calls of the store that failed.", statistics.store_errors),
    )
    lateness = Histogram(BOUNDS, tuple(statistics.late), statistics.late_sum)
    told = "How long after it was due a check began."
    return [
        *(Family(name, Kind.COUNTER, help_, [Sample(labels, value)]) for name, help_, value in counts),
        Family("handclasp_worker_lateness_seconds", Kind.HISTOGRAM, told, [Sample(labels, lateness)]),
    ]


def of_outputs(dropped: Mapping[str, int]) -> list[Family]:
    """What could not be handed on."""
    samples = [Sample((("output", name),), count) for name, count in sorted(dropped.items())]
    told = "Results that an output could not take or send."
    return [Family("handclasp_output_dropped", Kind.COUNTER, told, samples)]


def first_to_end(certificates: Sequence[WatchedCertificate]) -> list[WatchedCertificate]:
    """Each once, at most MOST_CERTIFICATES of them; in their order where all are told."""
    distinct = {(one.role, one.place, one.serial): one for one in reversed(certificates)}
    found = list(reversed(distinct.values()))
    if len(found) > MOST_CERTIFICATES:
        found = sorted(found, key=lambda one: one.not_after)[:MOST_CERTIFICATES]
    return found


def _of_one(standing: Standing) -> Iterator[tuple[str, Labels, float]]:
    monitor = standing.monitor
    name = (("monitor", monitor.name),)
    own = tuple((f"label_{key}", value) for key, value in monitor.labels)
    yield "handclasp_monitor", (*name, ("kind", monitor.kind.value), ("target", monitor.target), *own), 1
    for state in _STATES:
        yield "handclasp_monitor_state", (*name, ("state", state.value)), float(state is standing.state)
    yield "handclasp_monitor_paused", name, float(monitor.paused)
    if standing.since is not None:
        yield "handclasp_monitor_since_timestamp_seconds", name, seconds(standing.since)
    if standing.last is not None:
        yield from _of_result(name, standing.last)
        yield from _of_certificates((*name, ("target", monitor.target)), standing.last.certificates)


def _of_result(name: Labels, result: CheckResult) -> Iterator[tuple[str, Labels, float]]:
    yield "handclasp_monitor_code", (*name, ("code", result.code.value)), 1
    yield "handclasp_monitor_maintenance", name, float(result.maintenance)
    yield "handclasp_monitor_last_check_timestamp_seconds", name, seconds(result.at)
    yield "handclasp_monitor_attempts", name, result.attempts
    yield "handclasp_monitor_certificates", name, len(result.certificates)
    if result.certificates:
        yield "handclasp_monitor_last_seen_timestamp_seconds", name, seconds(result.seen_at or result.at)
    if result.seconds is not None:
        yield "handclasp_monitor_latency_seconds", name, result.seconds
    if result.trusted is not None:
        yield "handclasp_monitor_trusted", name, float(result.trusted)
    if result.crl_next_update is not None:
        moment = seconds(result.crl_next_update)
        yield "handclasp_monitor_crl_next_update_timestamp_seconds", name, moment
    facts = result.facts
    if isinstance(status := facts.get("status"), int):
        yield "handclasp_monitor_http_status", name, status
    if facts.get("tls_version"):
        told = tuple((label, str(facts.get(fact) or "")) for label, fact in _TLS_FACTS)
        yield "handclasp_monitor_tls", (*name, *told), 1
    if facts.get("client_certificate"):
        demand = ("client_certificate", str(facts["client_certificate"]))
        yield "handclasp_monitor_client_certificate", (*name, demand), 1


def _of_certificates(name: Labels, certificates: Sequence[WatchedCertificate]) -> Iterator[tuple[str, Labels, float]]:
    for one in first_to_end(certificates):
        labels = (*name, ("role", one.role), ("place", one.place), ("subject", one.subject), ("serial", one.serial))
        yield "handclasp_certificate_not_after_timestamp_seconds", labels, seconds(one.not_after)
        yield "handclasp_certificate_not_before_timestamp_seconds", labels, seconds(one.not_before)
        more = (("issuer", one.issuer), ("fingerprint", one.fingerprint))
        yield "handclasp_certificate", (*labels, *more), 1
