"""A report in words, for a person at a terminal: from the JSON of ``probe.report``. Whatever a server sent is made
printable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from handclasp.findings import CATALOGUE, Code
from handclasp.pki.described_text import printable

Told = Mapping[str, Any]

_LABEL: Final = 20
_NAMES_SHOWN: Final = 8
_DEMANDS: Final = {
    "not_requested": "not requested",
    "optional": "optional",
    "required": "required",
    "required_at_http": "required, and refused over HTTP only",
    "undetermined": "undetermined",
}


def lines(told: Told) -> Iterator[str]:
    """The report of one endpoint."""
    at = f" ({told['address']})" if told["address"] and told["address"] not in told["target"] else ""
    yield printable(f"{told['target']}{at}: {headline(told)}")
    if told["chain"]:
        demand = f"{_DEMANDS[told['client_certificate']]}: {told['client_certificate_why']}"
        yield from _field("Client certificate", demand)
        yield from _field("Authorities asked", *told["client_ca_names"])
        yield from _field("TLS", _tls(told))
        yield from _field("Trusted", _trusted(told))
        for number, one in enumerate(told["chain"]):
            yield from _field("Chain" if number == 0 else "", *_certificate(number, one))
    if told["ocsp_staple"] is not None:
        staple = told["ocsp_staple"]
        until = "" if staple["next_update"] is None else f", until {staple['next_update']}"
        yield from _field("OCSP staple", f"{staple['status']}{'' if staple['valid'] else ' (not valid)'}{until}")
    for crl in told["crls"]:
        yield from _field("CRL", f"{crl['issuer']}: next update {crl['next_update'] or 'not said'} ({crl['source']})")
    for alert in told["alerts"]:
        yield from _field("Alert", f"{alert['number']} ({alert['name']}) at {alert['step'].replace('_', ' ')}")
    if told["http"] is not None:
        yield from _field("HTTP", f"{told['http']['status']} {told['http']['reason']}")
    if told["credential"] is not None:
        taken = {True: "accepted", False: "refused", None: "undecided"}[told["credential"]["accepted"]]
        yield from _field("Credential", f"{told['credential']['name']}: {taken}: {told['credential']['why']}")
    for one in told["findings"]:
        remedy = CATALOGUE[Code(one["code"])].remedy
        yield from _field("Finding", f"{one['code']} at {one['where']}", one["what"], remedy)
    if told["findings"]:
        codes = dict.fromkeys(str(one["code"]) for one in told["findings"])
        yield from _field("More", f"handclasp explain {' '.join(codes)}")
    for one in told["remarks"]:
        yield from _field("Remark", f"{one['where']}: {one['what']} ({one['code']})")


def headline(told: Told) -> str:
    """One line: the code, and the days that are left."""
    code = Code(told["code"])
    if code is not Code.OK:
        return f"{code}: {CATALOGUE[code].meaning.rstrip('.')}"
    left = min((one["days_left"] for one in told["chain"] if "days_left" in one), default=None)
    return "OK" if left is None else f"OK, {days(left)}"


def days(left: float) -> str:
    """``12.3 days left``, ``expired 4.0 days ago``."""
    return f"expired {-left:.1f} days ago" if left < 0 else f"{left:.1f} days left"


def trace(told: Told) -> Iterator[str]:
    """The handshake message by message: ``->`` is sent, ``<-`` received."""
    for event in told["trace"]:
        if event["message"] == "connection":
            yield printable(f"-- connection to {event['facts']['to']} ({event['facts']['attempt']})")
            continue
        yield f"{'->' if event['sent'] else '<-'} {printable(event['message'])}"
        for name, value in event["facts"].items():
            yield f"     {printable(name.replace('_', ' '))}: {printable(value)}"


def _tls(told: Told) -> str:
    group = "" if told["group"] is None else f", {told['group']} ({'' if told['post_quantum'] else 'not '}post-quantum)"
    alpn = "" if told["alpn"] is None else f", ALPN {told['alpn']}"
    return f"{told['tls_version']}, {told['cipher']}{group}{alpn}"


def _trusted(told: Told) -> str:
    if told["trusted"]:
        return f"yes, by {', '.join(told['trusted_by'])}"
    return "no" if told["trusted"] is False else "not judged"


def _certificate(number: int, one: Told) -> Iterator[str]:
    if "fault" in one:
        yield f"{number}  unreadable: {one['fault']}"
        return
    yield f"{number}  {one['subject'] or '(no subject)'}"
    if one["names"]:
        more = len(one["names"]) - _NAMES_SHOWN
        yield f"   names {', '.join(one['names'][:_NAMES_SHOWN])}{f' and {more} more' if more > 0 else ''}"
    yield f"   issuer {'itself' if one['subject'] == one['issuer'] else one['issuer']}"
    yield f"   {days(one['days_left'])}: {one['not_before']} to {one['not_after']}"
    yield f"   {one['key']}, signed with {one['signature']}, serial {one['serial']}"
    yield f"   sha256 {one['fingerprint']}"


def _field(label: str, *values: str) -> Iterator[str]:
    for number, value in enumerate(values):
        yield f"  {label if number == 0 else '':{_LABEL}}{printable(value)}"
