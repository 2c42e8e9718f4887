"""What a monitor expects of an endpoint, held against what was seen. Pure; everything seen may be hostile.

An expectation that nothing was seen for is not met. Where the endpoint could not be reached at all, only that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from handclasp.findings import Code, Finding
from handclasp.monitor import json_path
from handclasp.monitor.definition import Kind, Monitor, Stranger
from handclasp.monitor.examined import Examined
from handclasp.monitor.judge import MILD
from handclasp.monitor.regular import TooMuchWork, expression
from handclasp.monitor.results import CheckResult, WatchedCertificate
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.evidence import Response

MAX_BODY: Final = 64 * 1024
"""Octets of a body that are looked at."""

_MAX_HEADER: Final = 8 * 1024
_VERSIONS: Final = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}
_VERSION_NAMES: Final = {number: name for name, number in _VERSIONS.items()}
_REFUSING: Final = (ClientCertificate.REQUIRED, ClientCertificate.REQUIRED_AT_HTTP)


def unmet(monitor: Monitor, examined: Examined, last: CheckResult | None) -> tuple[Finding, ...]:
    """What the monitor expects and is not so, in the order in which a handshake shows it. Empty where the examination
    ended before there was anything to compare; its own findings say why."""
    if examined.findings and not examined.certificates and examined.response is None:
        return ()
    return tuple(finding for rule in _RULES for finding in rule(monitor, examined, last))


def _failed(examined: Examined) -> bool:
    """Whether the examination says itself why nothing was seen; a mild finding beside it is no reason."""
    return any(one.code not in MILD for one in examined.findings)


def leaf(certificates: tuple[WatchedCertificate, ...]) -> WatchedCertificate | None:
    """The server's own certificate among those of a check."""
    return next((one for one in certificates if one.role == "leaf"), None)


def _enforcement(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    expected, found = monitor.expect.client_certificate, examined.client_certificate
    if expected is None or found == expected or (expected == ClientCertificate.REQUIRED and found in _REFUSING):
        return
    said = (found or ClientCertificate.UNDETERMINED).value
    what = f"a client certificate is {_words(said)} instead of {_words(expected)}"
    if found in {None, ClientCertificate.UNDETERMINED}:
        what = f"it cannot be seen whether a client certificate is {_words(expected)}"
    yield Finding(
        Code.CHECK_CLIENT_CERTIFICATE, monitor.target, what, {"client_certificate": said, "expected": expected}
    )


def _stranger(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    if monitor.kind is not Kind.REFUSED or examined.refused:
        return
    who = "a caller without a certificate"
    if monitor.stranger is Stranger.UNLISTED_CA:
        who = "a caller with a certificate of an unknown authority"
    facts = {"stranger": monitor.stranger.value}
    if examined.refused is None:
        if not _failed(examined):
            yield Finding(Code.UNKNOWN, monitor.target, f"it cannot be seen whether {who} is refused", facts)
        return
    yield Finding(Code.MTLS_NOT_ENFORCED, monitor.target, f"{who} is not refused", facts)


def _tls(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    lowest = monitor.expect.tls
    if lowest is None:
        return
    found = str(examined.facts.get("tls_version") or "")
    if _VERSIONS.get(found, 0) < lowest:
        expected = _VERSION_NAMES.get(lowest, hex(lowest))
        what = f"the server took TLS {found}, and not {expected}" if found else "no version of TLS was agreed on"
        yield Finding(Code.CHECK_TLS_VERSION, monitor.target, what, {"tls_version": found, "expected": expected})


def _issuer(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    expected, found = monitor.expect.issuer, leaf(examined.certificates)
    if expected is not None and (found is None or found.issuer != expected):
        issuer = found.issuer if found is not None else ""
        what = f"the certificate was issued by {issuer or 'nobody that was seen'} instead of {expected}"
        yield Finding(Code.CHECK_ISSUER_CHANGED, monitor.target, what, {"issuer": issuer, "expected": expected})


def _pins(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    # Whoever has a certificate can attach a pinned one to it: what is beside the path does not count.
    seen = [one.spki for one in examined.certificates if one.role not in {"credential", "extra"}]
    if monitor.expect.pins and not set(monitor.expect.pins) & set(seen):
        what = "none of the pinned keys is in the chain"
        yield Finding(Code.PIN_MISMATCH, monitor.target, what, {"spki_sha256": " ".join(seen)})


def _unchanged(monitor: Monitor, examined: Examined, last: CheckResult | None) -> Iterator[Finding]:
    before = leaf(last.certificates) if last is not None else None
    now = leaf(examined.certificates)
    if not monitor.expect.chain_unchanged or before is None or now is None:
        return
    if before.issuer != now.issuer:
        what = f"the issuer was {before.issuer} and is {now.issuer}"
    elif before.spki != now.spki:
        what = f"the key of {now.subject} is another one than before"
    else:
        return
    facts = {"issuer": now.issuer, "issuer_before": before.issuer, "spki": now.spki, "spki_before": before.spki}
    yield Finding(Code.CHECK_CHAIN_CHANGED, monitor.target, what, facts)


def _latency(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    most, found = monitor.expect.latency, examined.seconds
    if most is not None and found is not None and found > most:
        what = f"the answer took {found * 1000:.0f} ms; at most {most * 1000:.0f} ms are allowed"
        yield Finding(Code.CHECK_LATENCY, monitor.target, what, {"seconds": f"{found:.3f}", "most": f"{most:.3f}"})


def _response(monitor: Monitor, examined: Examined, _: CheckResult | None) -> Iterator[Finding]:
    if monitor.kind is not Kind.HTTPS:
        return
    response = examined.response
    if response is None:
        if not _failed(examined):
            yield Finding(Code.CHECK_STATUS, monitor.target, "there was no answer to the request")
        return
    yield from _status(monitor, response)
    yield from _headers(monitor, response)
    yield from _body(monitor, response)
    yield from _json(monitor, response)


def _status(monitor: Monitor, response: Response) -> Iterator[Finding]:
    expected = monitor.expect.status
    if response.status in expected or (not expected and 200 <= response.status < 400):
        return
    wanted = _statuses(expected) or "200 to 399"
    what = f"the answer was HTTP {response.status} instead of {wanted}"
    yield Finding(Code.CHECK_STATUS, monitor.target, what, {"status": str(response.status), "expected": wanted})


def _headers(monitor: Monitor, response: Response) -> Iterator[Finding]:
    for name, pattern in monitor.expect.headers:
        values = [value[:_MAX_HEADER] for found, value in response.headers if found == name]
        try:
            if any(expression(pattern).found_in(value) for value in values):
                continue
            what = f"the header {name} does not match {pattern!r}" if values else f"the header {name} is missing"
        except TooMuchWork:
            what = f"the header {name} cannot be compared with {pattern!r} in reasonable time"
        yield Finding(Code.CHECK_HEADER, monitor.target, what, {"header": name, "expected": pattern})


def _body(monitor: Monitor, response: Response) -> Iterator[Finding]:
    pattern = monitor.expect.body
    if pattern is None:
        return
    try:
        if expression(pattern).found_in(response.body[:MAX_BODY].decode(errors="replace")):
            return
        what = f"the body does not match {pattern!r}"
        if not response.whole or len(response.body) > MAX_BODY:
            what = f"the first {MAX_BODY >> 10} kB of the body do not match {pattern!r}"
    except TooMuchWork:
        what = f"the body cannot be compared with {pattern!r} in reasonable time"
    yield Finding(Code.CHECK_BODY, monitor.target, what, {"expected": pattern})


def _json(monitor: Monitor, response: Response) -> Iterator[Finding]:
    if not monitor.expect.json:
        return
    if not response.whole or len(response.body) > MAX_BODY:
        yield Finding(Code.CHECK_BODY, monitor.target, f"the body is longer than {MAX_BODY >> 10} kB")
        return
    try:
        document = json_path.load(response.body)
    except ValueError as error:
        yield Finding(Code.CHECK_BODY, monitor.target, f"the body is not JSON: {error}")
        return
    for path, expected in monitor.expect.json:
        facts = {"path": path, "expected": expected}
        try:
            value = json_path.value_at(document, json_path.parse(path))
        except json_path.NotThere as missing:
            yield Finding(Code.CHECK_BODY, monitor.target, f"in the body, {missing}", facts)
            continue
        if not json_path.is_value(value, expected):
            # The value is not told: it may be somebody's, and alerts go far.
            yield Finding(Code.CHECK_BODY, monitor.target, f"in the body, {path} is not {expected}", facts)


def _words(answer: str) -> str:
    return answer.replace("_at_http", " at HTTP").replace("_", " ")


def _statuses(expected: frozenset[int]) -> str:
    """``200, 204, 300 to 399``."""
    parts: list[list[int]] = []
    for status in sorted(expected):
        if parts and parts[-1][1] == status - 1:
            parts[-1][1] = status
        else:
            parts.append([status, status])
    return ", ".join(f"{low} to {high}" if high > low else str(low) for low, high in parts)


_RULES: Final[tuple[Callable[[Monitor, Examined, CheckResult | None], Iterator[Finding]], ...]] = (
    _tls,
    _enforcement,
    _stranger,
    _unchanged,
    _issuer,
    _pins,
    _response,
    _latency,
)
