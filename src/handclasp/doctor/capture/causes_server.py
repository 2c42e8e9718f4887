"""The client refuses: the server's certificate is the matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from handclasp.doctor.capture.conclusion import CLIENT_LOG, Conclusion, Weight, candidates
from handclasp.doctor.capture.handshakes import Alert, Handshake
from handclasp.doctor.capture.shown import Chain, Judge
from handclasp.doctor.capture.told import alert_words
from handclasp.doctor.diagnosis import Severity
from handclasp.findings import CATALOGUE, Code

_TRUST: Final = (Code.SERVER_CERT_UNKNOWN_CA, Code.SERVER_CHAIN_INCOMPLETE, Code.SERVER_CERT_SELF_SIGNED)
_ANY: Final = (
    *_TRUST,
    Code.SERVER_CERT_HOSTNAME_MISMATCH,
    Code.SERVER_CERT_EXPIRED,
    Code.SERVER_CERT_NOT_YET_VALID,
    Code.SERVER_CERT_WRONG_EKU,
    Code.SERVER_CERT_REVOKED,
    Code.SERVER_CRL_EXPIRED,
    Code.SERVER_CERT_WEAK,
    Code.CLOCK_SKEW,
    Code.PIN_MISMATCH,
)
BY_ALERT: Final[Mapping[int, tuple[Code, ...]]] = {
    42: (
        Code.SERVER_CERT_HOSTNAME_MISMATCH,
        Code.SERVER_CERT_NOT_YET_VALID,
        *(code for code in _ANY if code not in {Code.SERVER_CERT_HOSTNAME_MISMATCH, Code.SERVER_CERT_NOT_YET_VALID}),
    ),
    43: (Code.SERVER_CERT_WRONG_EKU, Code.SERVER_CHAIN_INVALID),
    44: (Code.SERVER_CERT_REVOKED,),
    45: (
        Code.SERVER_CERT_EXPIRED,
        Code.CLOCK_SKEW,
        Code.SERVER_CRL_EXPIRED,
        Code.SERVER_CERT_NOT_YET_VALID,
    ),
    46: _ANY,
    48: (*_TRUST, Code.SERVER_CRL_MISSING, Code.SERVER_CHAIN_INVALID),
    51: (Code.SERVER_KEY_MISMATCH, Code.SERVER_CHAIN_INVALID),
    80: _ANY,
}
"""The causes of a client's alert after the server's Certificate: OpenSSL ``ssl/statem/statem_lib.c`` maps verify errors
so; Go sends 42 for all, Java 46 for most."""


def refused(seen: Handshake, alert: Alert, judge: Judge) -> Conclusion:
    """The client answered the server's flight with an alert."""
    name = None if seen.hello is None else seen.hello.name
    chain = None if seen.server_chain is None else judge.server(seen.server_chain, name)
    verdict = f"The client refused the server: it answered the server's flight with {alert_words(alert.number)}."
    found = candidates(_ranked(alert.number, chain))
    beside = () if chain is None else chain.ailments
    return Conclusion(Weight.REFUSED, verdict, "after the server's flight", found, CLIENT_LOG, beside)


def left(seen: Handshake, code: Code, how: str, judge: Judge) -> Conclusion:
    """The client ended the connection after the server's flight, and said nothing."""
    name = None if seen.hello is None else seen.hello.name
    chain = None if seen.server_chain is None else judge.server(seen.server_chain, name)
    pairs = [(code, f"{how}, and that is all that can be seen"), *_ranked(None, chain)]
    beside = () if chain is None else chain.ailments
    verdict = f"After the server's flight {how}, without an alert."
    return Conclusion(Weight.FAILED, verdict, "after the server's flight", candidates(pairs), CLIENT_LOG, beside)


def _ranked(number: int | None, chain: Chain | None) -> Iterator[tuple[Code, str]]:
    """What is seen to be wrong and fits comes first, then what the alert allows, then what else is wrong."""
    allowed = BY_ALERT.get(number, ()) if number is not None else _ANY
    signal = alert_words(number) if number is not None else "it"
    errors = () if chain is None else tuple(one for one in chain.ailments if one.severity is Severity.ERROR)
    for one in errors:
        if one.code in allowed:
            yield one.code, f"{one.where}: {one.what}"
    if chain is not None and any(code in allowed for code in _TRUST):
        if chain.self_signed:
            yield Code.SERVER_CERT_SELF_SIGNED, f"the server's certificate is its own issuer: {chain.leaf}"
        elif chain.intermediates == 0 and chain.ends_open and len(chain.certificates) == 1:
            yield (
                Code.SERVER_CERT_UNKNOWN_CA,
                f"the client may not trust the authority that issued the server's certificate: {chain.leaf}",
            )
            yield Code.SERVER_CHAIN_INCOMPLETE, "the server sent its own certificate and nothing above it"
    for code in allowed:
        if chain is not None and _excluded(code, chain, errors_of=frozenset(one.code for one in errors)):
            continue
        yield code, f"{signal} allows it: {CATALOGUE[code].meaning}"
    for one in errors:
        yield one.code, f"{one.where}: {one.what}"
    if not allowed:
        yield Code.TLS_ALERT, f"the client sent {signal} after the server's flight"


_VISIBLE: Final = frozenset(
    {
        Code.SERVER_CERT_SELF_SIGNED,
        Code.SERVER_CERT_WRONG_EKU,
        Code.SERVER_CERT_EXPIRED,
        Code.SERVER_CERT_NOT_YET_VALID,
    }
)
"""What a chain in clear would show."""


def _excluded(code: Code, chain: Chain, *, errors_of: frozenset[Code]) -> bool:
    """The chain shows that it is not so. The name is not among these: the client may expect another than the SNI."""
    return bool(chain.certificates) and code in _VISIBLE and code not in errors_of
