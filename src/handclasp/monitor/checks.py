"""What each kind of monitor looks at, and the one check of it: look, compare with what is expected, judge.

An examination that came across no certificates (nothing answered, no handshake, the file is gone) forgets nothing: its
result keeps the certificates and facts of the last one, and says when they were seen. So metrics and thresholds go on
while an endpoint is down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from handclasp.findings import Code, Finding, Refused
from handclasp.monitor import material
from handclasp.monitor.assertions import leaf, unmet
from handclasp.monitor.definition import Kind, Monitor, State
from handclasp.monitor.examined import Examined, Examiner, Inventory, ReadPassphrase, ReadSecrets
from handclasp.monitor.judge import judge
from handclasp.monitor.results import CheckResult, WatchedCertificate

MAX_INVENTORY: Final = 1_000
"""Certificates of our own that one check tells of."""

_SMALL: Final = 8 * 1024  # octets of a body that are looked at without a thread
_OF_THE_MOMENT: Final = "status"  # a fact that is not remembered

_log = logging.getLogger("handclasp.monitor")


class Checks:
    """All kinds of checks, on the ports that they need."""

    def __init__(
        self,
        *,
        examiner: Examiner,
        inventory: Inventory,
        read_secrets: ReadSecrets,
        read_passphrase: ReadPassphrase,
    ) -> None:
        self._examiner = examiner
        self._inventory = inventory
        self._read_secrets = read_secrets
        self._read_passphrase = read_passphrase

    async def check(self, monitor: Monitor, last: CheckResult | None, now: datetime) -> CheckResult:
        """Look once. ``last`` is the result before. Raises nothing but CancelledError: what goes wrong in here is a
        finding too."""
        if last is not None and last.facts.get("target") != monitor.target:
            last = None  # of another endpoint, before the monitor was changed
        try:
            match monitor.kind:
                case Kind.FILES:
                    result = await self._files(monitor, now)
                case Kind.LEDGER:
                    result = await self._ledger(monitor, now)
                case _:
                    result = await self._endpoint(monitor, last, now)
        except Exception as error:  # one monitor must not end the others
            _log.exception("the check of %s failed", monitor.name)
            what = f"the check itself failed ({type(error).__name__}); the log says more"
            result = _result(monitor, now, findings=(Finding(Code.UNKNOWN, monitor.target, what),))
        return judge(monitor, _with_memory(result, last) if monitor.kind is not Kind.LEDGER else result)

    async def _endpoint(self, monitor: Monitor, last: CheckResult | None, now: datetime) -> CheckResult:
        seen = await self._examiner.examine(monitor, now)
        if seen.response is not None and len(seen.response.body) > _SMALL:
            missing = await asyncio.to_thread(unmet, monitor, seen, last)
        else:
            missing = unmet(monitor, seen, last)
        return _result(
            monitor,
            now,
            findings=(*seen.findings, *missing),
            certificates=seen.certificates,
            facts=_facts(seen),
            seconds=seen.seconds,
            trusted=seen.trusted,
            crl_next_update=seen.crl_next_update,
        )

    async def _files(self, monitor: Monitor, now: datetime) -> CheckResult:
        passphrase = None
        if monitor.passphrase is not None:
            try:
                passphrase = await asyncio.to_thread(self._read_passphrase, monitor.passphrase)
            except Refused as error:
                finding = Finding(error.code, monitor.target, f"{error.what}: {error.why}")
                return _result(monitor, now, findings=(finding,))
        found = await asyncio.to_thread(
            material.read, Path(monitor.target), passphrase, self._read_secrets, now
        )  # a directory of any size
        return _result(
            monitor,
            now,
            findings=found.findings,
            certificates=found.certificates,
            facts={"files": found.files, "certificates": len(found.certificates)},
            crl_next_update=found.crl_next_update,
        )

    async def _ledger(self, monitor: Monitor, now: datetime) -> CheckResult:
        found = await self._inventory.ending(now + monitor.warning, MAX_INVENTORY)
        return _result(monitor, now, certificates=found)


def _result(
    monitor: Monitor,
    now: datetime,
    *,
    findings: Iterable[Finding] = (),
    certificates: Iterable[WatchedCertificate] = (),
    facts: dict[str, Any] | None = None,
    seconds: float | None = None,
    trusted: bool | None = None,
    crl_next_update: datetime | None = None,
) -> CheckResult:
    """What was found, not judged yet."""
    return CheckResult(
        monitor=monitor.name,
        at=now,
        state=State.PENDING,
        code=Code.UNKNOWN,
        summary="",
        findings=tuple(findings),
        certificates=tuple(certificates),
        facts={"target": monitor.target, **(facts or {})},
        seconds=seconds,
        trusted=trusted,
        crl_next_update=crl_next_update,
    )


def _facts(seen: Examined) -> dict[str, Any]:
    facts = {name: value for name, value in seen.facts.items() if value is not None}
    if (server := leaf(seen.certificates)) is not None:
        facts["issuer"] = server.issuer
    if seen.client_certificate is not None:
        facts["client_certificate"] = seen.client_certificate.value
    if seen.response is not None:
        facts["status"] = seen.response.status
    return facts


def _with_memory(result: CheckResult, last: CheckResult | None) -> CheckResult:
    """The result with what the last one knew, where it came across nothing itself."""
    if result.certificates or last is None or not last.certificates:
        return result
    remembered = {name: value for name, value in last.facts.items() if name != _OF_THE_MOMENT}
    return CheckResult(
        monitor=result.monitor,
        at=result.at,
        state=result.state,
        code=result.code,
        summary=result.summary,
        findings=result.findings,
        certificates=last.certificates,
        facts={**remembered, **result.facts},
        seconds=result.seconds,
        attempts=result.attempts,
        trusted=result.trusted,
        crl_next_update=result.crl_next_update or last.crl_next_update,
        seen_at=last.seen_at or last.at,
    )
