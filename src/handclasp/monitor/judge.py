"""From what a check has found to how the monitor stands: one state, one code, one sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from handclasp.findings import CATALOGUE, Code, Finding
from handclasp.monitor.definition import Kind, Monitor, State, severity
from handclasp.monitor.results import CheckResult, WatchedCertificate

MILD: Final = frozenset(
    {
        Code.SERVER_CERT_EXPIRES_SOON,
        Code.SERVER_CERT_WEAK,
        Code.SERVER_STAPLE_EXPIRED,
        Code.REVOCATION_UNREACHABLE,
        Code.CHECK_LATENCY,
    }
)
"""What warrants a warning. Everything else is critical: what a monitor looks at works, or it does not."""

LASTING: Final = frozenset(
    {
        Code.SERVER_CERT_EXPIRES_SOON,
        Code.SERVER_CERT_EXPIRED,
        Code.SERVER_CERT_WEAK,
        Code.CREDENTIAL_EXPIRED,
        Code.CREDENTIAL_UNKNOWN,
        Code.CREDENTIAL_UNUSABLE,
    }
)
"""What is the same a moment later, so that trying again tells nothing."""

_UNCOUNTED: Final = frozenset({"root", "extra"})
"""Roles whose end changes nothing: nobody needs a served root, or what is beside the verified path."""

_SHORT: Final = 2, 4, 10
_DAY: Final = timedelta(days=1)


def thresholds(monitor: Monitor, certificate: WatchedCertificate) -> tuple[timedelta, timedelta]:
    """How long before its end a certificate is a warning, and critical.

    Those of the monitor, except for certificates that live so short that the monitor's would hold for half of their
    life and more (of days, or of hours): a quarter of their life, and a tenth.
    """
    life = certificate.not_after - certificate.not_before
    half, quarter, tenth = (life / part for part in _SHORT)
    warning = monitor.warning if monitor.warning < half else quarter
    critical = monitor.critical if monitor.critical < half else tenth
    return warning, min(critical, warning)


def judge(monitor: Monitor, result: CheckResult) -> CheckResult:
    """The result with its state, code and summary, which follow from its findings and certificates; findings about the
    ends of certificates are added, and the worst comes first."""
    ending = list(_endings(monitor, result.certificates, result.at))
    told = {finding.code for finding, _ in ending}
    # The verifier says too that a certificate has expired, and knows less of it.
    found = [(one, state_of(one)) for one in result.findings if one.code not in told or one.code not in LASTING]
    # What is only remembered comes last, and among the rest what is worst comes first.
    found = [*ending, *found] if result.seen_at is None else [*found, *ending]
    found.sort(key=lambda one: -severity(one[1]))
    worst = found[0] if found else None
    return CheckResult(
        monitor=result.monitor,
        at=result.at,
        state=worst[1] if worst else State.OK,
        code=worst[0].code if worst else Code.OK,
        summary=_summary(monitor, result, [finding for finding, _ in found]),
        findings=tuple(finding for finding, _ in found),
        certificates=result.certificates,
        facts=result.facts,
        seconds=result.seconds,
        attempts=result.attempts,
        trusted=result.trusted,
        crl_next_update=result.crl_next_update,
        seen_at=result.seen_at,
        maintenance=result.maintenance,
    )


def state_of(finding: Finding) -> State:
    """How bad a finding is by itself. What ends soon is judged by its certificate instead."""
    return State.WARNING if finding.code in MILD else State.CRITICAL


def may_pass(result: CheckResult) -> bool:
    """Whether trying again can come to something better."""
    return any(one.code not in LASTING for one in result.findings)


def days_left(certificate: WatchedCertificate, at: datetime) -> str:
    """``in 63 days``, ``in 5 hours``, ``2 days ago``."""
    left = certificate.not_after - at
    amount = abs(left)
    if amount >= 2 * _DAY:
        text = f"{amount // _DAY} days"
    elif amount >= timedelta(hours=2):
        text = f"{amount // timedelta(hours=1)} hours"
    else:
        minutes = amount // timedelta(minutes=1)
        text = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return f"in {text}" if left > timedelta() else f"{text} ago"


def first_to_end(certificates: tuple[WatchedCertificate, ...]) -> WatchedCertificate | None:
    """The one that counts and ends first."""
    return min((one for one in certificates if one.role not in _UNCOUNTED), key=lambda one: one.not_after, default=None)


def name_of(certificate: WatchedCertificate) -> str:
    """How a certificate is called in a sentence."""
    name = certificate.subject or ", ".join(certificate.names[:2]) or f"serial number {certificate.serial}"
    return name if len(name) <= 120 else f"{name[:117]}..."


def _endings(
    monitor: Monitor, certificates: tuple[WatchedCertificate, ...], at: datetime
) -> Iterator[tuple[Finding, State]]:
    """What has ended or ends soon: the first to end first."""
    seen = set()
    for one in sorted(certificates, key=lambda one: one.not_after) if len(certificates) > 1 else certificates:
        if one.role in _UNCOUNTED or one.fingerprint in seen:
            continue
        seen.add(one.fingerprint)
        warning, critical = thresholds(monitor, one)
        left = one.not_after - at
        if left > warning:
            continue
        facts = {"subject": one.subject, "fingerprint": one.fingerprint, "not_after": one.not_after.isoformat()}
        if left > timedelta():
            code, verb = Code.SERVER_CERT_EXPIRES_SOON, "ends"
        else:
            code, verb = Code.SERVER_CERT_EXPIRED, "ended"
            if one.role == "credential" and monitor.kind is not Kind.LEDGER:
                code = Code.CREDENTIAL_EXPIRED
        what = f"{_which(monitor, one)} {verb} {days_left(one, at)}, on {one.not_after:%Y-%m-%d %H:%M} UTC"
        yield Finding(code, one.place, what, facts), State.WARNING if left > critical else State.CRITICAL


def _which(monitor: Monitor, one: WatchedCertificate) -> str:
    match one.role:
        case "leaf":
            return f"the certificate of {name_of(one)}"
        case "intermediate":
            return f"the intermediate certificate {name_of(one)}"
        case "credential" if monitor.kind is not Kind.LEDGER:
            return f"our own client certificate {name_of(one)}"
        case "authority":
            return f"the authority {name_of(one)}"
        case "file":
            return f"the certificate {name_of(one)} in {one.place}"
    return f"the certificate {name_of(one)} ({one.place})"


def _summary(monitor: Monitor, result: CheckResult, findings: list[Finding]) -> str:
    if findings:
        first = findings[0]
        what = first.what or CATALOGUE[first.code].meaning
        more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
        return f"{what[:1].upper()}{what[1:].removesuffix('.')}{more}."
    one = first_to_end(result.certificates)
    if monitor.kind is Kind.REFUSED:
        good = f"A caller {'without a certificate' if monitor.stranger == 'anonymous' else 'of an unknown authority'}"
        return f"{good} is refused."
    if one is None:
        return "Everything is as expected; there is no certificate that could end."
    return f"Everything is as expected; {_which(monitor, one)} ends {days_left(one, result.at)}."
