"""From what the connections have shown to one report: every fault, in order of weight, and the code of the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from handclasp.findings import Code, Finding
from handclasp.probe import distinguished, served, staple
from handclasp.probe.credentials import Credential
from handclasp.probe.crls import Fetched
from handclasp.probe.enforcement import ClientCertificate, Enforcement, credential_refused, enforcement
from handclasp.probe.evidence import Evidence, Response
from handclasp.probe.report import Report, Shown
from handclasp.probe.target import Target
from handclasp.probe.trust import Judgement, Verifier
from handclasp.tlswire import names
from handclasp.tlswire.seen import Alert, Answer, Event

CREDENTIAL: Final = "credential"
"""The name of the attempt that shows one."""

AGAIN: Final = "again"
"""That of the one that repeats the first."""

WEIGHT: Final = (
    Code.TLS_SERVER_NOT_PROVED,
    Code.TLS_MALFORMED,
    Code.PIN_MISMATCH,
    Code.SERVER_CERT_REVOKED,
    Code.SERVER_CERT_EXPIRED,
    Code.SERVER_CERT_NOT_YET_VALID,
    Code.SERVER_CERT_HOSTNAME_MISMATCH,
    Code.SERVER_CERT_SELF_SIGNED,
    Code.SERVER_CHAIN_INCOMPLETE,
    Code.SERVER_CERT_UNKNOWN_CA,
    Code.SERVER_CERT_WRONG_EKU,
    Code.SERVER_CERT_WEAK,
    Code.SERVER_CHAIN_INVALID,
    Code.TLS_SNI_UNRECOGNIZED,
    Code.TLS_VERSION_MISMATCH,
    Code.CREDENTIAL_EXPIRED,
    Code.CREDENTIAL_WITHHELD,
    Code.CREDENTIAL_REFUSED,
    Code.CLIENT_IDENTITY_NOT_ALLOWED,
    Code.SERVER_CRL_EXPIRED,
    Code.SERVER_CRL_MISSING,
    Code.REVOCATION_UNREACHABLE,
    Code.SERVER_STAPLE_EXPIRED,
)
"""The faults that stand beside others, the weightiest first; what keeps everything else from being seen comes
before."""

_WEIGHTS: Final = {code: number for number, code in enumerate(WEIGHT)}
_REMEMBERED: Final = 64  # the longest list of schemes that is remembered

_ENDED: Final = frozenset({Code.NET_CLOSED_DURING_HANDSHAKE, Code.NET_RESET_DURING_HANDSHAKE})

_QUIET_ALERTS: Final = frozenset({0, 90})  # close_notify, user_canceled: how connections end


def verdict(
    target: Target,
    attempts: Sequence[tuple[str, Evidence]],
    verifier: Verifier,
    at: datetime,
    *,
    credential: Credential | None = None,
    withheld: Sequence[str] = (),
    fetched: Fetched | None = None,
) -> Report:
    """What the attempts mean together; at least one of them, in order, by their names in ``probe.examine``."""
    anonymous = [(name, evidence) for name, evidence in attempts if name != CREDENTIAL]
    plain = anonymous or list(attempts)
    name, main = next(((n, e) for n, e in reversed(plain) if e.seen.chain), plain[0])
    seen = main.seen
    answer = enforcement(main) if anonymous else Enforcement(ClientCertificate.UNDETERMINED, "a certificate was shown")
    chain = tuple(served.read(der) for der in seen.chain)
    judgement = verifier.judge(seen.chain, target.name or None, at) if chain else None
    stapled = _staple(main, judgement, at)
    shown, about_it = _shown(attempts, credential, withheld)
    if answer.answer is ClientCertificate.UNDETERMINED and _turned_away(main):
        # Java's HttpsServer ends the connection without a word.
        if shown is not None and shown.accepted:
            why = "the connection ended after our empty Certificate, and went on with a certificate"
            answer = Enforcement(ClientCertificate.REQUIRED, why)
        elif name == AGAIN and _turned_away(plain[0][1]):
            why = "the connection ended right after our empty Certificate, twice, without an alert"
            answer = Enforcement(ClientCertificate.REQUIRED, why)
    broken = _broken(main, answer.answer)
    findings = [
        *broken,
        *(judgement.findings if judgement is not None else ()),
        *(stapled.findings if stapled is not None else ()),
        *(fetched.findings if fetched is not None else ()),
        *_helped(name, plain),
        *about_it,
    ]
    if not chain:
        findings = findings[:1]
    ordered = _ordered(findings, {one.code for one in broken} if not seen.proved else set())
    request = seen.request
    return Report(
        target=target,
        at=at,
        code=ordered[0].code if ordered else Code.OK,
        findings=ordered,
        remarks=(*(judgement.remarks if judgement is not None else ()), *_optional(answer)),
        client_certificate=answer.answer,
        client_certificate_why=answer.why,
        client_ca_names=() if request is None else tuple(distinguished.text(der) for der in request.authorities),
        client_signature_algorithms=() if request is None else _scheme_names(request.signature_algorithms),
        tls_version=None if seen.version is None else names.version_name(seen.version),
        group=None if seen.group is None else names.group_name(seen.group),
        post_quantum=None if seen.group is None else names.is_post_quantum(seen.group),
        cipher=None if seen.cipher is None else names.cipher_name(seen.cipher),
        signature_scheme=None if seen.signature_scheme is None else names.scheme_name(seen.signature_scheme),
        alpn=seen.alpn,
        trusted=None if judgement is None else bool(judgement.trusted_by) and seen.proved,
        trusted_by=() if judgement is None or not seen.proved else judgement.trusted_by,
        alerts=_alerts(evidence for _, evidence in plain),
        chain=chain,
        path=() if judgement is None else tuple(map(served.read, judgement.path)),
        staple=stapled,
        crls=() if fetched is None else fetched.seen,
        address=main.address,
        timings=main.timings,
        response=_response(attempts, main),
        credential=shown,
        events=_events(attempts),
    )


def _broken(main: Evidence, answer: ClientCertificate) -> list[Finding]:
    """Why the exchange ended before its time; nothing where that is how a missing certificate is refused."""
    if answer in {ClientCertificate.REQUIRED, ClientCertificate.REQUIRED_AT_HTTP}:
        return []
    if main.seen.proved and credential_refused(main) is not None:
        return []  # told of the credential
    seen, failure = main.seen, main.failure
    if seen.fault is not None:
        return [Finding(seen.fault.code, f"handshake ({seen.fault.step})", seen.fault.what)]
    if failure is None:
        return []
    if seen.proved and (failure.phase == "listen" or (failure.phase == "http" and main.target.http is None)):
        return []  # the certificate is known and proved; nobody said that HTTP is spoken there
    return [Finding(failure.code, failure.phase, failure.what)]


def _turned_away(main: Evidence) -> bool:
    """Whether it ended, without an answer, where a certificate was missing."""
    seen = main.seen
    asked = seen.request is not None and seen.proved and main.response is None
    return asked and main.failure is not None and main.failure.code in _ENDED and main.failure.phase != "http"


def _helped(name: str, plain: Sequence[tuple[str, Evidence]]) -> list[Finding]:
    """What had to be left out of the hello."""
    first = plain[0][1].seen
    number = first.alerts[0].number if first.alerts else None
    if name == "without a server name":
        what = f"alert {number} for the name that was asked for; without a name it answers"
        return [Finding(Code.TLS_SNI_UNRECOGNIZED, "client_hello", what)]
    if name == "TLS 1.2 alone":
        what = "the server breaks off when TLS 1.3 is offered, and answers where only TLS 1.2 is"
        return [Finding(Code.TLS_VERSION_MISMATCH, "client_hello", what)]
    return []


def _optional(answer: Enforcement) -> tuple[Finding, ...]:
    if answer.answer is not ClientCertificate.OPTIONAL:
        return ()
    return (Finding(Code.MTLS_OPTIONAL, "client certificate", answer.why),)


def _staple(main: Evidence, judgement: Judgement | None, at: datetime) -> staple.Staple | None:
    if main.seen.staple is None or not main.seen.chain:
        return None
    first = served.read(main.seen.chain[0])
    if first.certificate is None:
        return None
    sent = [one.certificate for one in map(served.read, main.seen.chain[1:]) if one.certificate is not None]
    above = () if judgement is None else tuple(served.read(der).certificate for der in judgement.path[1:])
    known = [one for one in above if one is not None]
    return staple.read(main.seen.staple, first.certificate, [*known, *sent], at)


def _shown(
    attempts: Sequence[tuple[str, Evidence]], credential: Credential | None, withheld: Sequence[str]
) -> tuple[Shown | None, list[Finding]]:
    """What became of the credential."""
    if credential is None:
        return None, []
    chain = tuple(served.read(der) for der in credential.chain)
    evidence = next((evidence for name, evidence in attempts if name == CREDENTIAL), None)
    if evidence is None:
        if not any(one.seen.chain for _, one in attempts):
            return Shown(credential.name, None, "the server's certificate was not seen, so it was not shown", chain), []
        why = "it was not shown: there was no time left for it"
        return Shown(credential.name, None, why, chain), [Finding(Code.NET_HANDSHAKE_TIMEOUT, credential.name, why)]
    if withheld:
        why = f"the server did not prove who it is: {withheld[0]}"
        return Shown(credential.name, None, why, chain), [Finding(Code.CREDENTIAL_WITHHELD, credential.name, why)]
    if evidence.seen.request is None:
        failure = evidence.failure
        if failure is not None and failure.phase != "http":
            why = f"the connection for it failed: {failure.what}"
            return Shown(credential.name, None, why, chain), [Finding(failure.code, credential.name, why)]
        return Shown(credential.name, None, "the server did not ask for a certificate", chain), []
    if evidence.seen.answer is Answer.NO_SCHEME:
        why = "the server takes none of the signature schemes that its key can make, so it was not shown"
        return Shown(credential.name, None, why, chain), [Finding(Code.CREDENTIAL_UNUSABLE, credential.name, why)]
    refused = credential_refused(evidence)
    if refused is not None:
        code = Code.CLIENT_IDENTITY_NOT_ALLOWED if refused.by_identity else Code.CREDENTIAL_REFUSED
        shown = Shown(credential.name, refused.by_identity, refused.why, chain)
        return shown, [Finding(code, credential.name, refused.why)]
    if evidence.response is not None:
        return Shown(credential.name, True, f"the answer was HTTP {evidence.response.status}", chain), []
    if evidence.seen.complete and (evidence.seen.tickets or evidence.seen.version == 0x0303):
        return Shown(credential.name, True, "the server finished the handshake with it", chain), []
    if evidence.failure is not None:
        why = f"it was shown, and then: {evidence.failure.what}"
        return Shown(credential.name, None, why, chain), [Finding(evidence.failure.code, credential.name, why)]
    return Shown(credential.name, None, "it was shown, and the server said nothing to it", chain), []


def _response(attempts: Sequence[tuple[str, Evidence]], main: Evidence) -> Response | None:
    """The answer to the one who showed a credential, if there is one; otherwise the one to nobody."""
    last = attempts[-1][1]
    return last.response if last.response is not None else main.response


def _ordered(findings: Iterable[Finding], first: set[Code]) -> tuple[Finding, ...]:
    def key(finding: Finding) -> tuple[int, int]:
        stops = finding.code in first or finding.code not in _WEIGHTS
        return (0 if stops else 1, _WEIGHTS.get(finding.code, -1))

    return tuple(sorted(findings, key=key))


def _scheme_names(schemes: tuple[int, ...]) -> tuple[str, ...]:
    """The servers of one fleet ask for the same."""
    return _usual_scheme_names(schemes) if len(schemes) <= _REMEMBERED else tuple(map(names.scheme_name, schemes))


@lru_cache(maxsize=256)
def _usual_scheme_names(schemes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(map(names.scheme_name, schemes))


def _alerts(evidence: Iterable[Evidence]) -> tuple[Alert, ...]:
    return tuple(dict.fromkeys(one for each in evidence for one in each.seen.alerts if one.number not in _QUIET_ALERTS))


def _events(attempts: Sequence[tuple[str, Evidence]]) -> tuple[Event, ...]:
    if not any(evidence.seen.events for _, evidence in attempts):
        return ()
    events: list[Event] = []
    for name, evidence in attempts:
        facts = {"to": evidence.address or evidence.target.authority, "attempt": name}
        events.append(Event(True, "connection", facts))
        events += evidence.seen.events
    return tuple(events)
