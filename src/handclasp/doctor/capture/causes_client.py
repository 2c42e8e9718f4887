"""The server refuses, and a client certificate is the matter, or its absence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from handclasp.doctor.capture.conclusion import SERVER_LOG, Conclusion, Weight, candidates
from handclasp.doctor.capture.handshakes import Alert, Handshake, Shown
from handclasp.doctor.capture.shown import Chain, Judge, authorities
from handclasp.doctor.capture.told import alert_words
from handclasp.doctor.diagnosis import Candidate, Severity
from handclasp.doctor.rules.client_chain import issuer_of
from handclasp.doctor.rules.refusal import Refusal, ranked
from handclasp.findings import Code
from handclasp.pki.chain_names import shown

_STEP: Final = "after the client's flight"
_BY_HTTP: Final = "The status of the HTTP response that the client got: 400, 401 or 403 is the refusal."


def sent_none(seen: Handshake) -> bool:
    """The client was asked for a certificate, and sent none, as far as can be seen."""
    return seen.client_chain == () or (seen.encrypted and seen.shown is Shown.EMPTY)


def sent_one(seen: Handshake) -> bool:
    """The client sent a certificate, as far as can be seen."""
    return bool(seen.client_chain) or (seen.encrypted and seen.shown is Shown.CERTIFICATE)


def missing(seen: Handshake, how: str) -> Conclusion:
    """The server ended it (``how``: in words) after a client that had sent none."""
    verdict = f"The server asked for a client certificate, the client sent none, and {how}."
    return Conclusion(Weight.REFUSED, verdict, _STEP, candidates(_missing(seen)), _which_client(seen))


def maybe_missing(seen: Handshake) -> Conclusion:
    """The handshake went through all the same."""
    verdict = (
        "The server asked for a client certificate, the client sent none, and the handshake went through; a refusal "
        "by HTTP (nginx answers 400) cannot be seen in a capture."
    )
    found = (*_missing(seen), (Code.OK, "the server may take callers without a certificate"))
    return Conclusion(Weight.DOUBTFUL, verdict, _STEP, candidates(found), _BY_HTTP)


def doubtful(seen: Handshake, judge: Judge) -> Conclusion | None:
    """The handshake went through with a certificate that many servers would have refused; None if it looks sound.

    Only in TLS 1.2, where it is in clear. nginx refuses by HTTP alone.
    """
    if not seen.client_chain:
        return None
    chain = judge.client(seen.client_chain)
    strange = seen.request is not None and chain.named(seen.request.authorities) is False
    wrong = [one for one in chain.ailments if one.severity is Severity.ERROR]
    if not wrong and not strange:
        return None
    pairs = [(one.code, f"{one.where}: {one.what}") for one in wrong]
    if strange:
        pairs.append((Code.CLIENT_CERT_UNKNOWN_CA, "its issuer is not among the authorities that the server names"))
        if chain.intermediates == 0:
            pairs.append((Code.CLIENT_CHAIN_INCOMPLETE, "the client sent no intermediate certificate"))
    pairs.append((Code.OK, "the handshake went through"))
    fault = "is at fault" if wrong else "comes from no authority that the server names"
    verdict = (
        f"The handshake went through, but the client's certificate {fault}; a refusal by HTTP (nginx answers 400) "
        "cannot be seen in a capture."
    )
    return Conclusion(Weight.DOUBTFUL, verdict, _STEP, candidates(pairs), _BY_HTTP, chain.ailments)


def refused(seen: Handshake, alert: Alert, judge: Judge) -> Conclusion:
    """The server answered a client that sent a certificate with an alert."""
    verdict = f"The server answered the client's certificate with {alert_words(alert.number)}."
    found, chain = _of_certificate(seen, alert.number, "the encrypted alert", judge)
    return Conclusion(Weight.REFUSED, verdict, _STEP, found, SERVER_LOG, () if chain is None else chain.ailments)


def silently(seen: Handshake, code: Code, how: str, judge: Judge) -> Conclusion:
    """The server ended the connection after a client's certificate, and said nothing."""
    found, chain = _of_certificate(seen, None, "the silent end", judge)
    verdict = f"After the client's certificate {how}, without an alert."
    ended = Candidate(code, f"{how}, and that is all that can be seen")
    return Conclusion(
        Weight.FAILED, verdict, _STEP, (ended, *found), SERVER_LOG, () if chain is None else chain.ailments
    )


def _missing(seen: Handshake) -> Iterator[tuple[Code, str]]:
    how = "by the length of its records, the client" if seen.encrypted else "the client"
    yield Code.CLIENT_CERT_MISSING, f"{how} answered the request for a certificate with an empty Certificate"
    named = () if seen.request is None else seen.request.authorities
    if seen.encrypted or named:
        which = "may name some" if seen.encrypted else f"names {authorities(named).removeprefix('of ')}"
        yield (
            Code.CLIENT_CERT_NOT_SENT_CA_FILTER,
            f"Java, Go, .NET and browsers keep back a certificate whose issuer is not named, and the server {which}",
        )


def _which_client(seen: Handshake) -> str:
    if seen.request is not None and not seen.request.authorities:
        return "Whether the client was given a certificate and a key: its settings, or its command line."
    return (
        "Whether the client was given a certificate: its settings. If it was, compare its issuer with the authorities "
        "that the server names: handclasp probe shows them."
    )


def _of_certificate(
    seen: Handshake, number: int | None, signal: str, judge: Judge
) -> tuple[tuple[Candidate, ...], Chain | None]:
    """The causes, and the chain where it can be seen."""
    chain = judge.client(seen.client_chain) if seen.client_chain else None
    request = seen.request
    refusal = Refusal(
        alert=number,
        named=None if chain is None or request is None else chain.named(request.authorities),
        intermediates=0 if chain is None else chain.intermediates,
        likely_incomplete=chain is not None and chain.intermediates == 0 and chain.ends_open,
    )
    found = ranked(refusal, () if chain is None else chain.ailments)
    told = []
    for one in found:
        why = one.why.replace("the silent end", signal, 1)
        if refusal.named is False and chain is not None and one.code is Code.CLIENT_CERT_UNKNOWN_CA:
            issuer = "an authority" if chain.top is None else shown(issuer_of(chain.top))
            why = f"it ends at {issuer}, which is not among the authorities that the server names"
        told.append(Candidate(one.code, why))
    return tuple(told), chain
