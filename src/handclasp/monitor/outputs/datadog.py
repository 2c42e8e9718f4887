"""Results in Datadog's words: the metrics and service checks of its TLS integration, by their names and tags.

What that integration sends of one certificate, the leaf, is sent of the leaf here, with the same tags (name,
server_hostname, server, port), so that dashboards and alerts of before go on. Files and the ledger have one set for
each certificate, with tags that tell them apart. The service check ``handclasp.monitor`` is the state of a monitor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from typing import Final

from handclasp.findings import Code, InvalidSetting
from handclasp.monitor.definition import Kind, Monitor, State
from handclasp.monitor.judge import days_left, first_to_end, name_of, thresholds
from handclasp.monitor.outputs.exposition import label
from handclasp.monitor.outputs.prometheus import first_to_end as each_once
from handclasp.monitor.results import CheckResult, WatchedCertificate
from handclasp.probe import parse

_DAY: Final = 86_400
_ENDPOINTS: Final = frozenset({Kind.TLS, Kind.HTTPS, Kind.REFUSED})
_NOT_CONNECTED: Final = frozenset(
    {
        Code.NET_DNS_FAILURE,
        Code.NET_CONNECTION_REFUSED,
        Code.NET_UNREACHABLE,
        Code.NET_CONNECT_TIMEOUT,
        Code.NET_PROXY_REFUSED,
    }
)
_VERSIONS: Final = frozenset({Code.CHECK_TLS_VERSION, Code.TLS_VERSION_MISMATCH})
_NOT_TRIED: Final = frozenset({Code.CONFIG_INVALID, Code.CONFIG_NO_TRUST_ROOTS})
"""What keeps an endpoint from being reached at all, and says nothing about it."""


class Status(IntEnum):
    """Of a service check."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


Tags = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value. Tags are ``name:value``."""

    name: str
    value: float
    tags: Tags


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """A status, with words where it is not OK."""

    name: str
    status: Status
    tags: Tags
    message: str = ""


Reading = Gauge | ServiceCheck

_STATUS: Final = {
    State.OK: Status.OK,
    State.PENDING: Status.UNKNOWN,
    State.WARNING: Status.WARNING,
    State.CRITICAL: Status.CRITICAL,
}


def readings(monitor: Monitor, result: CheckResult, now: datetime) -> Iterator[Reading]:
    """All that is sent of one result; what is left is counted from ``now``."""
    tags = _tags(monitor)
    message = "" if result.state is State.OK else result.summary
    yield ServiceCheck("handclasp.monitor", _STATUS[result.state], tags, message)
    if monitor.kind in _ENDPOINTS:
        yield from _endpoint(monitor, result, tags)
        leaf = next((one for one in result.certificates if one.role == "leaf"), None)
        if leaf is not None:
            yield from _ends(leaf, tags, now)
    else:
        for one in each_once(result.certificates):
            about = (("role", one.role), ("place", one.place), ("subject", name_of(one)))
            yield from _ends(one, (*tags, *(tag(name, value) for name, value in about)), now)
    yield from _expiration(monitor, result, tags, now)


@lru_cache(maxsize=16_384)
def tag(name: str, value: str) -> str:
    """A tag that no stranger can make into two: without commas, bars and line breaks."""
    return f"{name}:{label(value).translate(_UNTAGGED)}"


_UNTAGGED: Final = str.maketrans({",": "_", "|": "_", "#": "_", "\n": "_", "\r": "_"})


@lru_cache(maxsize=4096)
def _place(text: str, server_name: str | None) -> tuple[str, str, str]:
    try:
        target = parse.target(text, server_name=server_name)
    except InvalidSetting:
        return text, "", server_name or text
    return target.path or target.host, str(target.port), target.name


def _tags(monitor: Monitor) -> Tags:
    own = tuple(tag(name, value) for name, value in monitor.labels)
    named = tag("name", monitor.name)
    if monitor.kind not in _ENDPOINTS:
        return (*own, named)
    server, port, name = _place(monitor.target, monitor.server_name)
    return (*own, named, tag("server_hostname", name), tag("server", server), tag("port", port))


def _endpoint(monitor: Monitor, result: CheckResult, tags: Tags) -> Iterator[ServiceCheck]:
    found = {one.code: one.what for one in reversed(result.findings)}
    if found.keys() & _NOT_TRIED:
        return
    away = next((what for code, what in found.items() if code in _NOT_CONNECTED), None)
    if away is not None:
        yield ServiceCheck("tls.can_connect", Status.CRITICAL, tags, away)
        return
    yield ServiceCheck("tls.can_connect", Status.OK, tags)
    version = next((what for code, what in found.items() if code in _VERSIONS), None)
    if version is not None:
        yield ServiceCheck("tls.version", Status.CRITICAL, tags, version)
    elif result.seen_at is None and "tls_version" in result.facts:
        yield ServiceCheck("tls.version", Status.OK, tags)
    if result.trusted:
        yield ServiceCheck("tls.cert_validation", Status.OK, tags)
    elif result.trusted is False or result.code is not Code.OK:
        yield ServiceCheck("tls.cert_validation", Status.CRITICAL, tags, result.summary)


def _ends(one: WatchedCertificate, tags: Tags, now: datetime) -> Iterator[Gauge]:
    left = (one.not_after - now).total_seconds()
    lives = (one.not_after - one.not_before).total_seconds()
    yield Gauge("tls.days_left", left / _DAY, tags)
    yield Gauge("tls.seconds_left", left, tags)
    yield Gauge("tls.issued_days", lives / _DAY, tags)
    yield Gauge("tls.issued_seconds", lives, tags)


def _expiration(monitor: Monitor, result: CheckResult, tags: Tags, now: datetime) -> Iterator[ServiceCheck]:
    """The first of all certificates that count, not the leaf alone."""
    first = first_to_end(result.certificates)
    if first is None:
        return
    warning, critical = thresholds(monitor, first)
    left = first.not_after - now
    status = Status.CRITICAL if left <= critical else Status.WARNING if left <= warning else Status.OK
    message = "" if status is Status.OK else f"{name_of(first)} ends {days_left(first, now)}"
    yield ServiceCheck("tls.cert_expiration", status, tags, message)
