"""From what was seen of an endpoint to the cause.

In the order in which a handshake goes wrong: the client's own files; the way to the server; the hello; the server's
certificate; the client's certificate; and who the caller is. The first that fails is the verdict, whatever stands
behind it is told as well. One thing goes before: where no certificate was sent and the server refuses, that is it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from cryptography import x509

from handclasp.doctor import advice
from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Severity
from handclasp.doctor.rules import evidence, refusal
from handclasp.doctor.rules.client_chain import issuer_of, may_be_incomplete, top_of
from handclasp.doctor.rules.observed import Observation, Retry
from handclasp.doctor.rules.product import product
from handclasp.findings import CATALOGUE, Code
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.report import Report
from handclasp.tlswire.seen import Step

SKEWED: Final = timedelta(minutes=5)
_REFUSES: Final = (ClientCertificate.REQUIRED, ClientCertificate.REQUIRED_AT_HTTP)
_LIVES: Final = frozenset({Code.OK, Code.CREDENTIAL_REFUSED, Code.CLIENT_IDENTITY_NOT_ALLOWED})
_DATES: Final = frozenset({Code.SERVER_CERT_EXPIRED, Code.SERVER_CERT_NOT_YET_VALID})
_HELLO: Final = {
    70: (Code.TLS_VERSION_MISMATCH,),
    71: (Code.TLS_NO_SHARED_CIPHER, Code.TLS_VERSION_MISMATCH),
    86: (Code.TLS_VERSION_MISMATCH,),
    112: (Code.TLS_SNI_UNRECOGNIZED,),
    120: (Code.TLS_ALERT,),
}
_SAID_OF_HELLOS: Final = frozenset({40, 47, 50, 80, 109})
"""The alerts that servers have for a hello without anything in common."""
_ANY_HELLO: Final = (
    Code.TLS_NO_SHARED_CIPHER,
    Code.TLS_NO_SHARED_GROUP,
    Code.TLS_VERSION_MISMATCH,
    Code.TLS_SNI_UNRECOGNIZED,
)
_NEVER_REACHED: Final = frozenset(
    {
        Code.NET_DNS_FAILURE,
        Code.NET_CONNECTION_REFUSED,
        Code.NET_CONNECT_TIMEOUT,
        Code.NET_UNREACHABLE,
        Code.NET_PROXY_REFUSED,
    }
)

Coded = TypeVar("Coded", Ailment, Candidate)


def diagnose(seen: Observation) -> Diagnosis:
    """The whole of it. Never raises."""
    software = seen.product or _product(seen)
    candidates, decider = _candidates(seen)
    findings = _findings(seen, candidates, software)
    first = candidates[0].code
    reached = first not in _NEVER_REACHED
    return Diagnosis(
        subject=seen.plain.target.text,
        at=seen.at,
        verdict=_verdict(seen, candidates),
        candidates=candidates,
        evidence=tuple(evidence.proofs(seen)),
        findings=findings,
        decider=decider,
        product=software,
        examined=reached or bool(seen.loading),
    )


def _candidates(seen: Observation) -> tuple[tuple[Candidate, ...], str]:
    """The causes, ranked, and what decides between them where there is more than one."""
    plain = seen.plain
    if seen.loading:
        return tuple(Candidate(one.code, f"{one.where}: {one.what}") for one in _each(seen.loading)), ""
    refuses = plain.client_certificate in _REFUSES
    if not seen.given and refuses:
        more = [Candidate(one.code, f"{one.where}: {one.what}") for one in plain.findings]
        return (Candidate(Code.CLIENT_CERT_MISSING, plain.client_certificate_why), *more), ""
    if not plain.chain:
        return _no_chain(seen)
    if found := [Candidate(one.code, f"{one.where}: {one.what}") for one in _of_server(seen)]:
        return _server(seen, found)
    if seen.given:
        return _with_certificate(seen)
    why = plain.client_certificate_why
    if plain.client_certificate is ClientCertificate.UNDETERMINED:
        return _undetermined(seen)
    return (Candidate(Code.OK, f"the handshake succeeds without a client certificate: {why}"),), ""


def _undetermined(seen: Observation) -> tuple[tuple[Candidate, ...], str]:
    """Nobody showed a certificate, the handshake is sound, and what came after it is no yes: nothing proves that all is
    well. A refusal is most often for the certificate, which servers may also ask for later."""
    why = seen.plain.client_certificate_why
    if seen.plain.response is None and "nothing" in why:
        return (Candidate(Code.UNKNOWN, why),), _SHOW
    return (
        Candidate(Code.CLIENT_CERT_MISSING, why),
        Candidate(Code.UNKNOWN, "it may refuse for another reason"),
    ), _SHOW


def _no_chain(seen: Observation) -> tuple[tuple[Candidate, ...], str]:
    """The server showed no certificate: the way to it failed, or the hello."""
    plain = seen.plain
    alert = next((one for one in plain.alerts if one.step in {Step.CLIENT_HELLO, Step.SERVER_FLIGHT}), None)
    first = plain.findings[0] if plain.findings else None
    if alert is None or (first is not None and first.code not in {Code.TLS_ALERT, *_ANY_HELLO}):
        if first is None:
            return (Candidate(Code.UNKNOWN, "the server showed no certificate, and said nothing"),), _LOG
        return (Candidate(first.code, first.what),), ""
    worked = [one for one in seen.retries if one.worked]
    if worked:
        return tuple(Candidate(code, f"the server answers {what}") for code, what in _by_code(worked).items()), ""
    if first is not None and first.code in _ANY_HELLO:
        return (Candidate(first.code, first.what),), ""
    told = alert.number in _SAID_OF_HELLOS
    codes = _HELLO.get(alert.number, _ANY_HELLO if told else (Code.TLS_ALERT, *_ANY_HELLO))
    why = f"the server answered the hello with alert {alert.number}"
    return tuple(Candidate(code, why) for code in codes), "" if len(codes) == 1 else _LOG


def _by_code(worked: Sequence[Retry]) -> Mapping[Code, str]:
    told: dict[Code, str] = {}
    for one in worked:
        told.setdefault(one.code, one.what)
    return told


def _server(seen: Observation, found: list[Candidate]) -> tuple[tuple[Candidate, ...], str]:
    """The server's certificate is at fault, or a clock is: where the server says another time, by which it is in
    date, the clock of this machine is wrong; where it says none, it may be."""
    if found[0].code in _DATES:
        if seen.skew is None:
            found.insert(1, Candidate(Code.CLOCK_SKEW, "the clock of this machine may be wrong"))
            return tuple(_first_of_each(found)), "Compare this machine's clock with another: timedatectl."
        if abs(seen.skew) > SKEWED and _in_date(seen):
            why = f"the server's clock says {evidence.offset(seen.skew)}, and by it the certificate is in date"
            found.insert(0, Candidate(Code.CLOCK_SKEW, why))
    return tuple(_first_of_each(found)), ""


def _in_date(seen: Observation) -> bool:
    there = seen.at + (seen.skew or timedelta())
    return all(one.not_before <= there <= one.not_after for one in seen.plain.chain if one.fault is None)


def _with_certificate(seen: Observation) -> tuple[tuple[Candidate, ...], str]:
    """The server is sound, and a client certificate was given."""
    shown = seen.shown
    told = None if shown is None else shown.credential
    if shown is None or told is None:
        return (Candidate(Code.UNKNOWN, "the certificate was not shown"),), _LOG
    if seen.plain.client_certificate is ClientCertificate.NOT_REQUESTED:
        why = f"the server does not ask for a certificate: {seen.plain.client_certificate_why}"
        return (Candidate(Code.MTLS_NOT_ENFORCED, why),), ""
    stated = [one for one in shown.findings if one.code is not Code.OK]
    if told.accepted is not False and not stated:
        if told.accepted is None and (errors := [one for one in seen.local if one.severity is Severity.ERROR]):
            return tuple(Candidate(one.code, f"{one.where}: {one.what}") for one in _each(errors)), _LOG
        if told.accepted is None:
            return (Candidate(Code.UNKNOWN, f"nothing shows that the certificate is accepted: {told.why}"),), _LOG
        if seen.plain.client_certificate is ClientCertificate.OPTIONAL:
            why = f"the certificate is taken, and so is nobody's: {seen.plain.client_certificate_why}"
            return (Candidate(Code.MTLS_OPTIONAL, why),), ""
        return (Candidate(Code.OK, f"the certificate is accepted: {told.why}"),), ""
    if stated and stated[0].code in {Code.CREDENTIAL_UNUSABLE, Code.CREDENTIAL_WITHHELD}:
        return tuple(Candidate(one.code, one.what) for one in stated), ""
    if told.accepted and all(one.code not in _LIVES for one in stated):
        # The handshake was finished with it; what failed is the exchange behind it.
        return tuple(_first_of_each([Candidate(one.code, f"{one.where}: {one.what}") for one in stated])), ""
    ranked = refusal.ranked(_refusal(seen, shown), seen.local)
    ranked = _by_log(ranked, seen.log)
    return ranked, "" if len(ranked) == 1 or (seen.bundle and seen.lists) else _decider(seen)


def _by_log(ranked: tuple[Candidate, ...], log: Sequence[Ailment]) -> tuple[Candidate, ...]:
    """What the server's log says goes before what is guessed."""
    said = [Candidate(one.code, f"the server's log: {one.what}") for one in _each(log)]
    codes = {one.code for one in said}
    return (*said, *(one for one in ranked if one.code not in codes))


def _refusal(seen: Observation, shown: Report) -> refusal.Refusal:
    """How it said no."""
    fatal = [one.number for one in shown.alerts if one.fatal]
    status = None if shown.response is None else shown.response.status
    top = top_of(seen.sent)
    issuers = {issuer_of(one) for one in seen.sent}
    named = None if not shown.client_ca_names else not issuers.isdisjoint(shown.client_ca_names)
    intermediates = [one for one in seen.sent[1:] if one.subject != one.issuer]
    return refusal.Refusal(
        alert=fatal[-1] if fatal else None,
        status=status if not fatal else None,
        named=named,
        intermediates=len(intermediates),
        likely_incomplete=len(seen.sent) == 1 and top.subject != top.issuer and _has_relative(top, shown),
        judged=seen.bundle,
        lists=seen.lists,
        skewed=seen.skew is not None and abs(seen.skew) > SKEWED,
    )


def _has_relative(top: x509.Certificate, shown: Report) -> bool:
    """Whether the issuer's name is like one of those that the server names: the authority above it, perhaps."""
    mine = _common_words(issuer_of(top))
    for name in shown.client_ca_names:
        theirs = _common_words(name)
        same = sum(1 for one, other in zip(mine, theirs, strict=False) if one == other)
        if same and mine[0] == theirs[0] and same >= min(len(mine), len(theirs)) / 2:
            return True
    return may_be_incomplete(top, ())


def _common_words(name: str) -> list[str]:
    for part in name.split(","):
        kind, _, value = part.partition("=")
        if kind.strip() == "CN":
            return value.casefold().split() or [""]
    return [""]


_SHOW: Final = "Try with a client certificate: --cert FILE."
_LOG: Final = "Look at the server's log for the time of this attempt, and give it: --log FILE."


def _decider(seen: Observation) -> str:
    if not seen.bundle:
        return (
            "Give the authorities by which the server judges clients (--server-ca-bundle FILE, and its --crl FILE), or "
            "the server's log (--log FILE)."
        )
    return "Give the revocation list that the server heeds (--crl FILE), or the server's log (--log FILE)."


def _findings(seen: Observation, candidates: tuple[Candidate, ...], software: str) -> tuple[Ailment, ...]:
    """Those of the verdict first; then what else is wrong."""
    known = [*seen.loading, *seen.local, *seen.log, *_of_server(seen)]
    verdict = candidates[0]
    found = [one for one in known if one.code is verdict.code]
    if verdict.code is not Code.OK and not found:
        severity = Severity.WARNING if verdict.code is Code.MTLS_OPTIONAL else Severity.ERROR
        found = [Ailment(verdict.code, seen.plain.target.authority, verdict.why, severity)]
    found += [one for one in known if one.code is not verdict.code]
    found += list(_later(seen))
    once = {(one.code, one.where, one.what): one for one in found}
    return tuple(advised(one, software, seen.facts) for one in once.values())


def _of_server(seen: Observation) -> Iterator[Ailment]:
    """The faults of the server's certificate and of the way to it."""
    nameless = bool(seen.plain.chain) and not seen.plain.chain[0].names and seen.plain.chain[0].fault is None
    for one in seen.plain.findings:
        if one.code in _LIVES or one.code is Code.MTLS_OPTIONAL:
            continue
        if one.code is Code.SERVER_CERT_HOSTNAME_MISMATCH and nameless:
            what = "it has no subject alternative name, and the common name is not looked at"
            yield Ailment(Code.SERVER_CERT_NO_SAN, one.where, what, facts=one.facts)
            continue
        if one.code is Code.SERVER_CERT_UNKNOWN_CA and (what := _incomplete(seen)):
            yield Ailment(Code.SERVER_CHAIN_INCOMPLETE, one.where, what, facts=one.facts)
            continue
        yield Ailment(one.code, one.where, one.what, facts=one.facts)


def _incomplete(seen: Observation) -> str:
    """Why the server's chain seems to lack an intermediate; empty where it does not."""
    served = [one.certificate for one in seen.plain.chain if one.certificate is not None]
    top = top_of(served) if served else None
    if top is None or top.subject == top.issuer or not may_be_incomplete(top, seen.authorities):
        return ""
    return (
        f"the server does not send the certificate of {issuer_of(top)}, which by its name leads to a trusted authority"
    )


def _later(seen: Observation) -> Iterator[Ailment]:
    """What will bite one day."""
    plain = seen.plain
    for one in plain.chain:
        if one.fault is None and seen.at < one.not_after:
            left, life = one.not_after - seen.at, one.not_after - one.not_before
            if left < min(timedelta(days=30), life / 3):
                what = f"{one.subject or 'it'} expires on {one.not_after:%Y-%m-%d %H:%M} UTC"
                yield Ailment(Code.SERVER_CERT_EXPIRES_SOON, "the server's chain", what, Severity.WARNING)
    for remark in plain.remarks:
        if remark.code in {Code.CHAIN_WEAK_KEY, Code.CHAIN_WEAK_SIGNATURE}:
            yield Ailment(Code.SERVER_CERT_WEAK, remark.where, remark.what, Severity.WARNING)
    if plain.client_certificate is ClientCertificate.OPTIONAL:
        severity = Severity.WARNING if seen.given else Severity.NOTE
        yield Ailment(Code.MTLS_OPTIONAL, plain.target.authority, plain.client_certificate_why, severity)
    if seen.skew is not None and abs(seen.skew) > SKEWED:
        what = f"the server's clock says {evidence.offset(seen.skew)}"
        yield Ailment(Code.CLOCK_SKEW, "the Date of the server's answer", what, Severity.WARNING)
    shown = seen.shown
    if shown is not None and shown.client_ca_names and shown.credential is not None and shown.credential.accepted:
        issuers = {issuer_of(one) for one in seen.sent}
        if issuers.isdisjoint(shown.client_ca_names):
            what = (
                "the server takes the certificate, but names other authorities: Java, Go and browsers will not send it"
            )
            yield Ailment(Code.CLIENT_CERT_NOT_SENT_CA_FILTER, "CertificateRequest", what, Severity.WARNING)


def advised(one: Ailment, software: str, facts: Mapping[str, str]) -> Ailment:
    """The same with what to do about it, where it does not say so itself. The client's own files are never named as
    those of the server."""
    if one.fixes:
        return one
    of_client = {"cert", "key"} if str(one.code).startswith(("SERVER_", "MTLS_", "CONFIG_", "TRUST_")) else set()
    named = {name: value for name, value in facts.items() if name not in of_client}
    return replace(one, fixes=advice.fixes(one.code, server=software, facts=named))


def _verdict(seen: Observation, candidates: tuple[Candidate, ...]) -> str:
    """One sentence."""
    first = candidates[0]
    if first.code is Code.OK:
        return f"{seen.plain.target.authority} is healthy: {first.why}."
    meaning = CATALOGUE[first.code].meaning.rstrip(".")
    if len(candidates) > 1 and _open(seen, candidates):
        return f"Most likely: {meaning[0].lower()}{meaning[1:]} ({first.why})."
    return f"{meaning} ({first.why})."


def _open(seen: Observation, candidates: tuple[Candidate, ...]) -> bool:
    """Whether the first of them is but the likeliest."""
    proved = {one.code for one in (*seen.loading, *seen.local) if one.severity is Severity.ERROR}
    proved |= {one.code for one in seen.plain.findings} | {one.code for one in seen.log}
    return candidates[0].code not in proved and candidates[0].code is not Code.CLIENT_CERT_MISSING


def _product(seen: Observation) -> str:
    shown = None if seen.shown is None else product(seen.shown.response)
    return shown or product(seen.plain.response)


def _each(ailments: Sequence[Ailment]) -> list[Ailment]:
    """The first of each code."""
    return _first_of_each(ailments)


def _first_of_each(ones: Sequence[Coded]) -> list[Coded]:
    first: dict[Code, Coded] = {}
    for one in ones:
        first.setdefault(one.code, one)
    return list(first.values())
