"""Examining an endpoint for a monitor: the probe, asked what the monitor wants to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from handclasp.findings import Code, Finding, InvalidSetting, Refused
from handclasp.monitor.definition import Kind, Monitor, Stranger
from handclasp.monitor.examined import Examined, Scalar, bounded, wants_request, watched
from handclasp.monitor.results import WatchedCertificate
from handclasp.probe import parse
from handclasp.probe.credentials import Credential
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.examine import Attempts, Options, examine
from handclasp.probe.report import Report
from handclasp.probe.target import Target
from handclasp.probe.trust import Verifier

_ABOUT_THE_STRANGER: Final = frozenset({Code.CREDENTIAL_REFUSED, Code.CLIENT_IDENTITY_NOT_ALLOWED})
_TURNED_AWAY: Final = frozenset({400, 401, 403, 495, 496})
"""Statuses that turn a caller away, from a server that has asked for a certificate. From one that has not, they are
about something else: a missing login, a page that is nobody's."""
_REFUSED: Final = MappingProxyType(
    {
        ClientCertificate.REQUIRED: True,
        ClientCertificate.REQUIRED_AT_HTTP: True,
        ClientCertificate.OPTIONAL: False,
        ClientCertificate.NOT_REQUESTED: False,
    }
)

MAX_CERTIFICATES: Final = 20
"""Of a chain: what is beyond them is on no path that is verified."""
MAX_FINDINGS: Final = 20

CredentialFor = Callable[[Monitor, Target], Awaitable[Credential | None]]
VerifierFor = Callable[[Monitor], Awaitable[Verifier]]


class EndpointExaminer:
    """Reaches endpoints by the probe. ``verifier_for`` gives the authorities of a monitor, ``credential_for`` the
    client certificate that it shows (None: none; either may raise Refused), ``stranger`` one of an authority that
    nobody knows. ``now`` is the clock."""

    def __init__(
        self,
        driver: Attempts,
        verifier_for: VerifierFor,
        credential_for: CredentialFor,
        stranger: Callable[[], Credential],
        now: Callable[[], datetime],
    ) -> None:
        self._driver = driver
        self._verifier_for = verifier_for
        self._credential_for = credential_for
        self._stranger = stranger
        self._now = now

    async def examine(self, monitor: Monitor, now: datetime) -> Examined:
        """As monitor.examined.Examiner says."""
        try:
            target = parse.target(monitor.target, server_name=monitor.server_name)
            verifier = await self._verifier_for(monitor)
            options = await self._options(monitor, target)
        except InvalidSetting as error:
            return Examined(findings=(Finding(Code.CONFIG_INVALID, monitor.name, error.why),))
        except Refused as refused:
            return Examined(findings=(Finding(refused.code, monitor.name, f"{refused.what}: {refused.why}"),))
        if options.credential is not None:
            verifier = verifier.for_credential(options.credential)
        report = await examine(self._driver, target, verifier, options, self._now)
        return _examined(monitor, report)

    async def _options(self, monitor: Monitor, target: Target) -> Options:
        options = Options(deadline=monitor.timeout.total_seconds())
        if monitor.kind is Kind.TLS:
            return replace(options, http="if_asked" if wants_request(monitor) else "never")
        if monitor.kind is Kind.HTTPS:
            credential = await self._credential_for(monitor, target)
            alone = monitor.expect.client_certificate is None
            return replace(options, http="always", credential=credential, only_credential=alone)
        if monitor.stranger is Stranger.UNLISTED_CA:
            stranger = self._stranger()
            return replace(options, http="always", credential=stranger, only_credential=True, show_unverified=True)
        return replace(options, http="always")


def _examined(monitor: Monitor, report: Report) -> Examined:
    refused = _refused(monitor, report) if monitor.kind is Kind.REFUSED else None
    findings = report.findings
    if monitor.kind is Kind.REFUSED:
        findings = tuple(one for one in findings if one.code not in _ABOUT_THE_STRANGER)
    findings = tuple(map(_bounded, findings[:MAX_FINDINGS]))
    facts: dict[str, Scalar] = {
        "address": report.address,
        "tls_version": None if report.tls_version is None else report.tls_version.removeprefix("TLS "),
        "cipher": report.cipher,
        "group": report.group,
        "alpn": report.alpn,
    }
    timings = report.timings
    return Examined(
        findings=findings,
        certificates=_certificates(monitor, report),
        facts={name: value for name, value in facts.items() if value is not None},
        seconds=timings.secured if timings.first_byte is None else timings.first_byte,
        trusted=report.trusted,
        client_certificate=_demand(monitor, report),
        refused=refused,
        response=report.response,
        crl_next_update=min((one.next_update for one in report.crls if one.next_update is not None), default=None),
    )


def _bounded(finding: Finding) -> Finding:
    facts = {name: bounded(value) for name, value in finding.facts.items()}
    return replace(finding, where=bounded(finding.where), what=bounded(finding.what), facts=facts)


def _demand(monitor: Monitor, report: Report) -> ClientCertificate | None:
    """What the server demands of a caller without a certificate; None where none called like that."""
    asked = wants_request(monitor) or (monitor.kind is Kind.REFUSED and monitor.stranger is Stranger.ANONYMOUS)
    return report.client_certificate if asked else None


def _refused(monitor: Monitor, report: Report) -> bool | None:
    """Whether the stranger was turned away for lack of a good certificate: in the handshake, or over HTTP."""
    status = None if report.response is None else report.response.status
    asked = bool(report.client_signature_algorithms or report.client_ca_names)
    turned_away = asked and status in _TURNED_AWAY
    if monitor.stranger is Stranger.ANONYMOUS:
        known = _REFUSED.get(report.client_certificate)
        if known is not True and turned_away:
            return True  # by whatever is behind it
        return known
    if any(one.code in _ABOUT_THE_STRANGER for one in report.findings) or turned_away:
        return True
    if report.credential is not None and report.credential.accepted:
        return False
    # A 403 of a server that has not asked: it may ask later, by renegotiation, which we do not follow.
    return None if status is None or (status == 403 and not asked) else False


def _certificates(monitor: Monitor, report: Report) -> tuple[WatchedCertificate, ...]:
    path = {one.fingerprint for one in report.path}
    found = []
    for number, one in enumerate(report.chain[:MAX_CERTIFICATES]):
        if one.fault is not None:
            continue
        role = "leaf" if number == 0 else "root" if one.self_issued else "intermediate"
        if number and path and one.fingerprint not in path:
            role = "extra"
        found.append(watched(one, role, f"chain[{number}]"))
    if report.credential is not None and monitor.kind is not Kind.REFUSED and report.credential.chain:
        found.append(watched(report.credential.chain[0], "credential", report.credential.name))
    return tuple(found)
