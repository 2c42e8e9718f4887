"""What ``/probe`` tells: the metrics of blackbox_exporter 0.23, by their names and meanings, and more.

It differs where that exporter is wrong or silent:

- ``probe_success`` is 0 for ``tcp_connect_tls`` where a server of TLS 1.3 turns us away for want of a certificate (the
  client's handshake succeeds there, and the refusal comes at the first read);
- ``probe_ssl_*`` stay where the certificate has expired, is not trusted, or the handshake broke off after it;
- every certificate of the chain has its ends (``handclasp_certificate_*``), and the reason is a code of the catalogue.

And it has less in these: http:// and TCP without TLS are not examined, a target of ``http_2xx`` without a scheme is
https://, and probe_ip_* are 0 where a name led to no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509

from handclasp.monitor.judge import MILD
from handclasp.monitor.outputs.destination import Module, Prober
from handclasp.monitor.outputs.exposition import Family, Kind, Labels, Sample, gauge, seconds
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.report import Report
from handclasp.probe.served import Served

_TURNED_AWAY: Final = frozenset({400, 401, 403, 421, 495, 496})
_REQUIRED: Final = frozenset({ClientCertificate.REQUIRED, ClientCertificate.REQUIRED_AT_HTTP})


def success(module: Module, report: Report) -> bool:
    """Whether all is well, as the module means it."""
    if module.prober is Prober.REFUSED:
        return _refused(report)
    sound = report.trusted is True and all(one.code in MILD for one in report.findings)
    status = 0 if report.response is None else report.response.status
    match module.prober:
        case Prober.HTTP_2XX:
            return sound and 200 <= status < 300
        case Prober.HTTPS:
            return sound and 200 <= status < 400
        case Prober.TCP_CONNECT_TLS:
            let_in = report.credential is not None and report.credential.accepted is not False
            return sound and (let_in or report.client_certificate is not ClientCertificate.REQUIRED)
    return sound


def families(module: Module, reports: Sequence[Report], duration: float, well: bool) -> list[Family]:
    """The metrics of one probe: ``reports`` are the endpoint's and those of the redirects, at least one; ``well`` is
    probe_success."""
    last = reports[-1]
    found = [
        gauge("probe_success", "Displays whether or not the probe was a success", ((), float(well))),
        gauge("probe_duration_seconds", "Returns how long the probe took to complete in seconds", ((), duration)),
        gauge(
            "probe_dns_lookup_time_seconds",
            "Returns the time taken for probe dns lookup in seconds",
            ((), sum(one.timings.resolved or 0.0 for one in reports)),
        ),
        gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", ((), 0.0)),
        *_address(last),
    ]
    if module.http:
        found += _http(reports)
    return found + _tls(last) + _ours(last)


def _refused(report: Report) -> bool:
    status = None if report.response is None else report.response.status
    return report.client_certificate in _REQUIRED or status in _TURNED_AWAY


def _address(report: Report) -> list[Family]:
    """Of the peer; where nothing was reached, of the target that is an address itself, otherwise 0."""
    address = _ip(report.address or report.target.authority)
    version = 0 if address is None else address.version
    digest = 0 if address is None else _fnv1a(address.packed)
    told = "Specifies the hash of IP address. It's useful to detect if the IP address changes."
    return [
        gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", ((), version)),
        gauge("probe_ip_addr_hash", told, ((), digest)),
    ]


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    """The address of ``192.0.2.1:443`` or ``[2001:db8::1]:443``; None for what is none."""
    host, bracket, _ = text.removeprefix("[").partition("]")
    if not bracket:
        host = text.rpartition(":")[0] if text.count(":") == 1 else text
    try:
        return ip_address(host)
    except ValueError:
        return None


def _fnv1a(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    digest = 0x811C9DC5
    for octet in data:
        digest = (digest ^ octet) * 0x01000193 & 0xFFFFFFFF
    return digest


def _http(reports: Sequence[Report]) -> list[Family]:
    response = reports[-1].response
    length, version, body = 0.0, 0.0, 0
    found: list[Family] = []
    if response is not None:
        headers = dict(response.headers)
        said = headers.get("content-length", "")
        length = float(said) if said.isascii() and said.isdecimal() and len(said) < 16 else -1.0
        version, body = 1.1, len(response.body)
        found = _last_modified(headers.get("last-modified"))
    status = 0 if response is None else response.status
    phases = [Sample((("phase", name),), value) for name, value in _phases(reports)]
    told = "Duration of http request by phase, summed over all redirects"
    return [
        *found,
        gauge("probe_http_status_code", "Response HTTP status code", ((), status)),
        gauge("probe_http_version", "Returns the version of HTTP of the probe response", ((), version)),
        gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect", ((), float(response is not None))),
        gauge("probe_http_redirects", "The number of redirects", ((), len(reports) - 1)),
        gauge("probe_http_content_length", "Length of http content response", ((), length)),
        gauge("probe_http_uncompressed_body_length", "Length of uncompressed response body", ((), body)),
        Family("probe_http_duration_seconds", Kind.GAUGE, told, phases),
    ]


def _last_modified(text: str | None) -> list[Family]:
    try:
        moment = parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return []
    told = "Returns the Last-Modified HTTP response header in unixtime"
    return [gauge("probe_http_last_modified_timestamp_seconds", told, ((), moment))]


def _phases(reports: Sequence[Report]) -> list[tuple[str, float]]:
    names = ("resolve", "connect", "tls", "processing", "transfer")
    totals = dict.fromkeys(names, 0.0)
    for report in reports:
        timings, before = report.timings, 0.0
        ended = timings.ended if timings.first_byte is not None else None
        reached = (timings.resolved, timings.connected, timings.secured, timings.first_byte, ended)
        for name, moment in zip(names, reached, strict=True):
            if moment is None:
                break
            totals[name] += max(moment - before, 0.0)
            before = moment
    return list(totals.items())


def _tls(report: Report) -> list[Family]:
    found = []
    if report.expires is not None:
        told = "Returns the earliest end of the certificates that were sent in unixtime"
        found.append(gauge("probe_ssl_earliest_cert_expiry", told, ((), seconds(report.expires))))
    path = [one for one in report.path if one.fault is None]
    if path:
        ends = min(one.not_after for one in path)
        told = "Returns the end of the path that was verified in unixtime"
        found.append(gauge("probe_ssl_last_chain_expiry_timestamp_seconds", told, ((), seconds(ends))))
    if report.chain and report.chain[0].fault is None:
        told = "Contains SSL leaf certificate information"
        # Named as there, where it is a gauge.
        found.append(Family("probe_ssl_last_chain_info", Kind.GAUGE, told, [Sample(_leaf(report.chain[0]), 1)]))
    if report.tls_version is not None:
        told = "Returns the TLS version used"
        version = (("version", report.tls_version),)
        found.append(Family("probe_tls_version_info", Kind.GAUGE, told, [Sample(version, 1)]))
    return found


def _leaf(leaf: Served) -> Labels:
    return (
        ("fingerprint_sha256", leaf.fingerprint),
        ("issuer", leaf.issuer),
        ("subject", leaf.subject),
        ("subjectalternative", ",".join(_dns_names(leaf))),
    )


def _dns_names(leaf: Served) -> list[str]:
    if leaf.certificate is None:
        return []
    try:
        extension = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return extension.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return []


def _ours(report: Report) -> list[Family]:
    after, before = [], []
    for number, one in enumerate(report.chain):
        if one.fault is None:
            labels = (("place", f"chain[{number}]"), ("subject", one.subject), ("serial", one.serial))
            after.append(Sample(labels, seconds(one.not_after)))
            before.append(Sample(labels, seconds(one.not_before)))
    demand = (("client_certificate", report.client_certificate.value),)
    told = "What the endpoint demands of a caller without a certificate."
    found = [
        Family(
            "handclasp_probe_code", Kind.INFO, "A code of the catalogue.", [Sample((("code", str(report.code)),), 1)]
        ),
        Family("handclasp_probe_client_certificate", Kind.INFO, told, [Sample(demand, 1)]),
        Family("handclasp_certificate_not_after_timestamp_seconds", Kind.GAUGE, "When the certificate ends.", after),
        Family(
            "handclasp_certificate_not_before_timestamp_seconds", Kind.GAUGE, "When the certificate begins.", before
        ),
    ]
    if report.trusted is not None:
        told = "1 where the chain was verified, 0 where it was not."
        found.append(gauge("handclasp_probe_trusted", told, ((), float(report.trusted))))
    lists = [one.next_update for one in report.crls if one.next_update is not None]
    if lists:
        told = "When the first revocation list is due to be replaced."
        found.append(gauge("handclasp_probe_crl_next_update_timestamp_seconds", told, ((), seconds(min(lists)))))
    return found
