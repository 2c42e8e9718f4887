"""Monitors by the local API: what there is, how it stands, what it was, and monitors that no file names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from handclasp.app import ambient
from handclasp.app.credential_source import CredentialSource
from handclasp.app.settings_alerts import check_names
from handclasp.app.settings_monitors import MONITOR_NAME, ExpectModel, MonitorModel, monitor
from handclasp.app.vault import Vault
from handclasp.app.watch import looking, sync
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.monitor.definition import Monitor
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import Change, CheckResult, Hour, WatchedCertificate
from handclasp.probe.served import stamp
from handclasp.store.monitors import SqlMonitors

Json = dict[str, Any]
_AT_ONCE = 200  # checks


async def listing(vault: Vault, *, names: list[str] | None = None) -> Json:
    """How every monitor stands (or those)."""
    now = ambient.now()
    return {"monitors": [standing_json(one, now) for one in await _standings(vault, names)]}


async def show(vault: Vault, *, name: str, limit: int = 10) -> Json:
    """One monitor: how it stands, its last results, what changed."""
    store = SqlMonitors(vault.database)
    (one,) = await _standings(vault, [name])
    return {
        **standing_json(one, ambient.now()),
        "results": [result_json(result) for result in await store.results(name, limit=limit)],
        "changes": [change_json(change) for change in await store.changes(name, limit=limit)],
    }


async def add(vault: Vault, *, name: str, definition: Mapping[str, Any], folder: str) -> Json:
    """Add a monitor that no file names, or change it. ``definition`` is what would stand below its name in
    handclasp.yaml, as text; files are relative to ``folder``. Raises InvalidSetting."""
    made = defined(name, definition, Path(folder))
    for _, problem in check_names([made], () if vault.settings is None else vault.settings.alerts):
        raise problem
    named = () if vault.settings is None else vault.settings.monitors
    if name in {one.name for one in named} or not await SqlMonitors(vault.database).put(made, ambient.now()):
        raise _in_the_file(name)
    return {"name": made.name, "kind": str(made.kind), "target": made.target, "every": made.every.total_seconds()}


async def remove(vault: Vault, *, name: str) -> Json:
    """Forget a monitor that no file names, with its history."""
    (one,) = await _standings(vault, [name])
    if one.monitor.origin == "file" or not await SqlMonitors(vault.database).remove(name):
        raise _in_the_file(name)
    return {"name": name}


async def pause(vault: Vault, *, name: str, paused: bool) -> Json:
    """Stop checking a monitor that no file names, or go on."""
    (one,) = await _standings(vault, [name])
    changed = replace(one.monitor, paused=paused)
    if one.monitor.origin == "file" or not await SqlMonitors(vault.database).put(changed, one.next_due):
        raise _in_the_file(name)
    return {"name": name, "paused": paused}


async def check(vault: Vault, *, names: list[str]) -> Json:
    """Check now, once, and say what was found; nothing of it is kept, and nobody is told."""
    standings = await _standings(vault, names or None)
    with looking(vault, CredentialSource(vault, _not_here)) as look:
        results: list[CheckResult] = []
        for at in range(0, len(standings), _AT_ONCE):
            some = standings[at : at + _AT_ONCE]
            results += await asyncio.gather(*(look.checks.check(one.monitor, one.last, ambient.now()) for one in some))
    return {"results": [result_json(one) for one in results]}


async def history(vault: Vault, *, name: str, days: float, limit: int) -> Json:
    """The results of one monitor, and what they amount to hour by hour."""
    store = SqlMonitors(vault.database)
    await _standings(vault, [name])
    since = ambient.now() - timedelta(days=days)
    return {
        "results": [result_json(one) for one in await store.results(name, since=since, limit=limit)],
        "hours": [hour_json(one) for one in await store.hours(name, since=since)],
    }


async def changes(vault: Vault, *, name: str | None, days: float, limit: int) -> Json:
    """What changed, and when; newest first."""
    if name is not None:
        await _standings(vault, [name])
    since = ambient.now() - timedelta(days=days)
    found = await SqlMonitors(vault.database).changes(name, since=since, limit=limit)
    return {"changes": [change_json(one) for one in found]}


def defined(name: str, definition: Mapping[str, Any], folder: Path) -> Monitor:
    """The monitor of this definition. Raises InvalidSetting, by the path of the setting."""
    try:
        MONITOR_NAME.parse(name)
        return monitor(name, MonitorModel.model_validate(dict(definition)), folder, origin="api")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(step) for step in first["loc"] if step != "[key]")
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InvalidSetting):
            raise InvalidSetting(path, cause.why, cause.allowed) from None
        model = ExpectModel if path.startswith("expect.") else MonitorModel
        allowed = ", ".join(field.alias or key for key, field in model.model_fields.items())
        why = "it is missing" if first["type"] == "missing" else "there is no setting of this name, or of this form"
        raise InvalidSetting(path, why, allowed) from None


async def _standings(vault: Vault, names: list[str] | None) -> tuple[Standing, ...]:
    """Those, all of them there; with the monitors of the file as they are now. Refused(MONITOR_UNKNOWN)."""
    store = SqlMonitors(vault.database)
    if vault.settings is not None:
        await sync(vault, store, vault.settings)
    found = await store.standings(names)
    missing = set(names or ()) - {one.monitor.name for one in found}
    if missing:
        raise Refused(
            Code.MONITOR_UNKNOWN,
            f"There is no monitor {sorted(missing)[0]}",
            "neither handclasp.yaml nor handclasp monitor add has named it",
            "See which there are: handclasp monitor list.",
        )
    return found


async def _not_here(_: str) -> None:
    """What is due for renewal is renewed by the worker, or when it is next shown."""


def _in_the_file(name: str) -> Refused:
    return Refused(
        Code.CONFIG_CONFLICT,
        f"The monitor {name} cannot be changed here",
        "it stands in handclasp.yaml",
        f"Change it there: monitors.{name}.",
    )


def standing_json(one: Standing, now: datetime) -> Json:
    """How a monitor stands."""
    last = one.last
    ends = min((each.not_after for each in last.certificates), default=None) if last is not None else None
    return {
        "name": one.monitor.name,
        "kind": str(one.monitor.kind),
        "target": one.monitor.target,
        "origin": one.monitor.origin,
        "paused": one.monitor.paused,
        "every": one.monitor.every.total_seconds(),
        "labels": dict(one.monitor.labels),
        "state": str(one.state),
        "since": None if one.since is None else stamp(one.since),
        "next_due": stamp(one.next_due),
        "code": None if last is None else str(last.code),
        "summary": None if last is None else last.summary,
        "checked_at": None if last is None else stamp(last.at),
        "expires": None if ends is None else stamp(ends),
        "days_left": None if ends is None else round((ends - now).total_seconds() / 86400, 2),
    }


def result_json(one: CheckResult) -> Json:
    """One result, whole."""
    return {
        "monitor": one.monitor,
        "at": stamp(one.at),
        "state": str(one.state),
        "code": str(one.code),
        "summary": one.summary,
        "findings": [
            {"code": str(each.code), "where": each.where, "what": each.what, "facts": dict(each.facts)}
            for each in one.findings
        ],
        "certificates": [certificate_json(each, one.at) for each in one.certificates],
        "facts": dict(one.facts),
        "seconds": one.seconds,
        "attempts": one.attempts,
        "trusted": one.trusted,
        "crl_next_update": None if one.crl_next_update is None else stamp(one.crl_next_update),
        "seen_at": None if one.seen_at is None else stamp(one.seen_at),
        "maintenance": one.maintenance,
    }


def certificate_json(one: WatchedCertificate, at: datetime) -> Json:
    """A certificate that was come across."""
    return {
        "role": one.role,
        "place": one.place,
        "subject": one.subject,
        "issuer": one.issuer,
        "names": list(one.names),
        "serial": one.serial,
        "fingerprint": one.fingerprint,
        "spki": one.spki,
        "not_before": stamp(one.not_before),
        "not_after": stamp(one.not_after),
        "days_left": round((one.not_after - at).total_seconds() / 86400, 2),
    }


def change_json(one: Change) -> Json:
    """Something that changed."""
    return {"monitor": one.monitor, "at": stamp(one.at), "what": one.what, "before": one.before, "after": one.after}


def hour_json(one: Hour) -> Json:
    """An hour of results."""
    return {
        "start": stamp(one.start),
        "checks": one.checks,
        "ok": one.ok,
        "warning": one.warning,
        "critical": one.critical,
        "seconds_min": one.seconds_min,
        "seconds_mean": one.seconds_mean,
        "seconds_max": one.seconds_max,
    }
