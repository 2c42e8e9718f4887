"""Which causes a server's refusal of a certificate allows, ranked by what else is known.

An alert's number tells a family of causes, not one (OpenSSL ``ssl/statem/statem_lib.c`` maps some thirty verify errors
to eight alerts; Go and Java send 42 or 46 for nearly all), and a 400 over HTTP tells nothing. What the client's own
files show decides between them; then the authorities that the server names; then how often each happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handclasp.doctor.diagnosis import Ailment, Candidate, Severity
from handclasp.findings import CATALOGUE, Code

_TRUST: Final = (
    Code.CLIENT_CERT_UNKNOWN_CA,
    Code.CLIENT_CHAIN_INCOMPLETE,
    Code.CLIENT_CERT_SELF_SIGNED,
    Code.CLIENT_CERT_CA_NAME_COLLISION,
)
_STRENGTH: Final = (Code.CLIENT_KEY_TOO_WEAK, Code.CLIENT_SIGNATURE_TOO_WEAK)
_ALL: Final = (
    *_TRUST,
    Code.CLIENT_CERT_EXPIRED,
    Code.CLIENT_CERT_REVOKED,
    Code.SERVER_CRL_EXPIRED,
    Code.CLIENT_CHAIN_TOO_DEEP,
    Code.CLIENT_CERT_WRONG_EKU,
    Code.SERVER_CRL_MISSING,
    Code.CLIENT_CHAIN_EXPIRED,
    Code.CLIENT_CERT_NOT_YET_VALID,
    Code.CLOCK_SKEW,
    *_STRENGTH,
    Code.CLIENT_CHAIN_INVALID,
)
"""What nginx has one text for ("The SSL certificate error"), and what Go and Java have one alert for."""

BY_ALERT: Final[Mapping[int, tuple[Code, ...]]] = {
    40: (Code.CLIENT_CERT_UNKNOWN_CA, *_STRENGTH, Code.TLS_NO_SHARED_CIPHER, Code.CLIENT_CHAIN_INVALID),
    42: (
        Code.CLIENT_CERT_NOT_YET_VALID,
        *_STRENGTH,
        Code.CLIENT_IDENTITY_NOT_ALLOWED,
        *(code for code in _ALL if code not in {Code.CLIENT_CERT_NOT_YET_VALID, *_STRENGTH}),
    ),
    43: (Code.CLIENT_CERT_WRONG_EKU, Code.CLIENT_CHAIN_INVALID),
    44: (Code.CLIENT_CERT_REVOKED,),
    45: (
        Code.CLIENT_CERT_EXPIRED,
        Code.SERVER_CRL_EXPIRED,
        Code.CLIENT_CHAIN_EXPIRED,
        Code.CLOCK_SKEW,
        Code.CLIENT_CERT_NOT_YET_VALID,
    ),
    46: (
        Code.CLIENT_IDENTITY_NOT_ALLOWED,
        Code.SERVER_CRL_EXPIRED,
        *(code for code in _ALL if code is not Code.SERVER_CRL_EXPIRED),
    ),
    48: (*_TRUST, Code.CLIENT_CHAIN_TOO_DEEP, Code.SERVER_CRL_MISSING, Code.CLIENT_CHAIN_INVALID, *_STRENGTH),
    49: (Code.CLIENT_IDENTITY_NOT_ALLOWED,),
    50: (Code.CLIENT_CHAIN_INVALID,),
    51: (Code.CLIENT_CERT_CA_NAME_COLLISION, Code.CLIENT_CHAIN_INVALID, Code.CLIENT_KEY_MISMATCH),
    80: (Code.CLIENT_CHAIN_TOO_DEEP, *_ALL),
    116: (Code.CLIENT_CERT_MISSING,),
}
"""The causes of an alert that answers a certificate, the most frequent first (RFC 8446 §6.2 and the products)."""

SILENT: Final = (*_ALL, Code.CLIENT_IDENTITY_NOT_ALLOWED)
BY_STATUS: Final[Mapping[int, tuple[Code, ...]]] = {
    403: (Code.CLIENT_IDENTITY_NOT_ALLOWED, *_ALL),
    401: (Code.CLIENT_IDENTITY_NOT_ALLOWED, *_ALL),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the server said no to a certificate that was shown, and what is known beside.

    ``alert`` is its number, ``status`` that of HTTP; neither: it said nothing. ``named`` says whether an issuer of the
    chain is among the authorities that the server names (None: it names none). ``intermediates`` are those sent.
    ``judged``: the chain was judged with the server's own authorities, and what was found is all there is;
    ``lists``: with its revocation lists too. ``skewed``: the clocks differ by minutes.
    """

    alert: int | None = None
    status: int | None = None
    named: bool | None = None
    intermediates: int = 0
    likely_incomplete: bool = False
    judged: bool = False
    lists: bool = False
    skewed: bool = False

    @property
    def signal(self) -> str:
        """What was seen, in words."""
        if self.alert is not None:
            return f"alert {self.alert}"
        return f"HTTP {self.status}" if self.status is not None else "the silent end"

    @property
    def allows(self) -> tuple[Code, ...]:
        """The causes that it allows, before anything else is known."""
        if self.alert is not None:
            return BY_ALERT.get(self.alert, SILENT)
        return BY_STATUS.get(self.status or 0, SILENT)


def ranked(refusal: Refusal, local: Sequence[Ailment]) -> tuple[Candidate, ...]:
    """The causes, best first, never empty. ``local`` is what is wrong with the client's files, as far as seen here."""
    allowed = list(refusal.allows)
    errors = [one for one in local if one.severity is Severity.ERROR]
    found = list(dict.fromkeys(one.code for one in errors))
    whys = {one.code: f"{one.where}: {one.what}" for one in reversed(errors)}
    fitting = [code for code in found if code in allowed]
    if fitting and (refusal.judged or _certain(fitting)):
        # What is seen to be wrong, and explains what the server said, needs no other cause.
        others = [code for code in found if code not in fitting]
        return tuple(Candidate(code, whys[code]) for code in (*fitting, *others))
    order = fitting + [code for code in _adjusted(refusal, allowed) if code not in fitting]
    if refusal.judged:
        order = [code for code in order if code in fitting or code in _left_open(refusal)] or [
            Code.CLIENT_IDENTITY_NOT_ALLOWED
        ]
    order += [code for code in found if code not in order]
    return tuple(Candidate(code, whys.get(code) or _why(code, refusal)) for code in order)


def _certain(codes: Sequence[Code]) -> bool:
    """Whether the files prove it whatever the server trusts."""
    return codes[0] not in {*_TRUST} or codes[0] is Code.CLIENT_CERT_SELF_SIGNED


def _left_open(refusal: Refusal) -> set[Code]:
    """What the server's own files, as given, do not exclude."""
    left = {Code.CLIENT_IDENTITY_NOT_ALLOWED, Code.CLOCK_SKEW, Code.CLIENT_CHAIN_TOO_DEEP, Code.TLS_NO_SHARED_CIPHER}
    if not refusal.lists:
        left |= {Code.CLIENT_CERT_REVOKED, Code.SERVER_CRL_EXPIRED, Code.SERVER_CRL_MISSING}
    return left


def _adjusted(refusal: Refusal, allowed: Sequence[Code]) -> list[Code]:
    """The order for what is known of this server."""

    def weight(code: Code) -> tuple[int, int]:
        position = allowed.index(code)
        if code is Code.CLOCK_SKEW and refusal.skewed:
            return -3, position
        if refusal.named is True and code in {Code.CLIENT_CERT_UNKNOWN_CA, Code.CLIENT_CHAIN_INCOMPLETE}:
            return 1, position
        if code is Code.CLIENT_CERT_CA_NAME_COLLISION and Code.CLIENT_CERT_REVOKED in allowed:
            return 1, position - len(allowed)  # rare, where the server's word leaves everything open
        if refusal.named is False and refusal.likely_incomplete and code is Code.CLIENT_CHAIN_INCOMPLETE:
            return -2, position
        if refusal.named is False and code is Code.CLIENT_CERT_UNKNOWN_CA:
            return -1, position
        if code is Code.CLIENT_CHAIN_TOO_DEEP:
            # nginx and Apache follow one intermediate unless told otherwise.
            return (-2, position) if refusal.intermediates > 1 and refusal.named is not False else (1, position)
        if code in {Code.CLIENT_CERT_EXPIRED, Code.CLIENT_CERT_SELF_SIGNED, *_STRENGTH, Code.CLIENT_CERT_WRONG_EKU}:
            return 2, position  # the files would have shown it
        if code in {Code.CLIENT_CHAIN_EXPIRED, Code.CLIENT_CERT_NOT_YET_VALID, Code.CLIENT_CHAIN_INVALID}:
            return 2, position
        return 0, position

    return sorted(allowed, key=weight)


_WHYS: Final[Mapping[Code, str]] = {
    Code.CLIENT_CERT_REVOKED: "the certificate itself looks sound, so the server may know that it is revoked",
    Code.SERVER_CRL_EXPIRED: "the certificate looks sound, and servers refuse everybody when their CRL is out of date",
    Code.SERVER_CRL_MISSING: "the server may lack the CRL of one of the authorities of the chain",
    Code.CLIENT_CERT_CA_NAME_COLLISION: "the server may trust another authority of the same name",
    Code.CLIENT_CERT_UNKNOWN_CA: "the server may not trust the authority that issued the certificate",
    Code.CLIENT_CHAIN_INCOMPLETE: "the server may need an intermediate certificate that is not sent",
    Code.CLIENT_CHAIN_TOO_DEEP: "the server may follow fewer intermediates than the chain has",
    Code.CLIENT_IDENTITY_NOT_ALLOWED: "the certificate may be taken, and the caller not be among those allowed",
    Code.CLOCK_SKEW: "the server's clock may differ from this one",
}


def _why(code: Code, refusal: Refusal) -> str:
    if code is Code.CLIENT_CERT_UNKNOWN_CA and refusal.named is False:
        return "no authority above the certificate is among those that the server names"
    return f"{refusal.signal} allows it: {_WHYS.get(code) or CATALOGUE[code].meaning}"
