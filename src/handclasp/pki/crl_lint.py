"""What must be true of a revocation list before it is signed, read back from its DER (RFC 5280 §5)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from handclasp.findings import Code, Finding
from handclasp.pki import der
from handclasp.pki.keys import signature_algorithm, supported

_INTEGER = 0x02
_EXPLICIT_0 = 0xA0

# UTCTime up to 2049, GeneralizedTime after (§5.1.2.4 to §5.1.2.6).
_A_TIME = rb"(?:\x17\x0d[0-9]{12}Z|\x18\x0f(?:20[5-9]|2[1-9][0-9]|[3-9][0-9]{2})[0-9]{11}Z)"
_TIME = re.compile(_A_TIME)
# In an entry, after the serial number: a CRLReason that is not unspecified, which is not to be said, and not
# removeFromCRL, which is for delta lists (§5.3.1).
_TIME_AND_REASON = re.compile(
    _A_TIME + rb"(?:\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01[\x01-\x06\x09\x0a])?", re.DOTALL
)


def lint_crl(tbs: bytes, issuer: x509.Certificate, *, url: str | None = None) -> tuple[Finding, ...]:
    """Every broken rule as a Finding (REQUEST_LINT), none for a list that ``issuer`` may sign.

    ``url`` is the distribution point whose shard it should be, None for the list of everything.
    """
    try:
        return tuple(
            Finding(Code.REQUEST_LINT, "crl", what, {"section": section})
            for section, what in _findings(tbs, issuer, url)
        )
    except (ValueError, IndexError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        return (Finding(Code.REQUEST_LINT, "crl", f"the list cannot be read: {error}", {"section": "§5.1"}),)


def _findings(tbs: bytes, issuer: x509.Certificate, url: str | None) -> Iterator[tuple[str, str]]:
    fields = _fields(tbs)
    algorithm = signature_algorithm(supported(issuer.public_key()))
    if fields[0] != (_INTEGER, b"\x01"):
        yield "§5.1.2.1", "its version is not v2"
        return
    if der.encode(fields[1][0], fields[1][1]) != algorithm.identifier:
        yield "§5.1.2.2", f"its signature algorithm is not {algorithm.name}, which follows from its issuer's key"
    if not issuer.subject.rdns or der.encode(fields[2][0], fields[2][1]) != issuer.subject.public_bytes():
        yield "§5.1.2.3", "its issuer is not the subject of the authority that is to sign it"
    yield from _issuer(issuer)

    for name, (tag, content) in (("this", fields[3]), ("next", fields[4])):
        if _TIME.fullmatch(der.encode(tag, content)) is None:
            yield "§5.1.2.4", f"its {name} update is no time as RFC 5280 writes it"
    *revoked, (tag, _) = fields[5:]
    if tag != _EXPLICIT_0 or len(revoked) > 1:
        yield "§5.1.1", "it has other fields than a list of version 2"
        return
    for found_tag, entries in revoked:
        if found_tag != der.SEQUENCE or not entries:
            yield "§5.1.2.6", "its revoked certificates are neither absent nor a list with entries"
        else:
            yield from _entries(entries)
    # The null signature, so that cryptography reads it: the extensions and the two dates.
    crl = x509.load_der_x509_crl(der.signed(tbs, algorithm.identifier, b"\x00"))
    if crl.next_update_utc is None or crl.last_update_utc >= crl.next_update_utc:
        yield "§5.1.2.5", "its next update is not after this one"
    yield from _extensions(crl, issuer, url)


def _issuer(issuer: x509.Certificate) -> Iterator[tuple[str, str]]:
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return  # RFC 5280 §4.2.1.3: then the key may do everything; imported authorities are like that
    if not usage.crl_sign:
        yield "§4.2.1.3", "its issuer's key may not sign revocation lists"


def _extensions(
    crl: x509.CertificateRevocationList, issuer: x509.Certificate, url: str | None
) -> Iterator[tuple[str, str]]:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    kinds = []
    for extension in crl.extensions:
        value = extension.value
        kinds.append(type(value))
        if isinstance(value, x509.IssuingDistributionPoint):
            points = [] if value.full_name is None else [str(name.value) for name in value.full_name]
            if not extension.critical:
                yield "§5.2.5", "its issuing distribution point is not critical"
            if points != [url]:
                yield "§5.2.5", f"its distribution points are {points}, not {url}"
        elif extension.critical:
            yield "§5.2", f"its extension {extension.oid.dotted_string} is critical"
        if isinstance(value, x509.AuthorityKeyIdentifier) and value.key_identifier != identifier:
            yield "§5.2.1", "its authority key identifier is not its issuer's subject key identifier"
    wanted: list[type[x509.ExtensionType]] = [x509.AuthorityKeyIdentifier, x509.CRLNumber]
    if url is not None:
        wanted.append(x509.IssuingDistributionPoint)
    if kinds != wanted:
        yield "§5.2", f"its extensions are {', '.join(kind.__name__ for kind in kinds)}"


def _entries(content: bytes) -> Iterator[tuple[str, str]]:
    """Reads each entry once, by offsets: slicing the rest away each time would be quadratic."""
    last, at, end = 0, 0, len(content)
    while at < end:
        size, serial_size = content[at + 1], content[at + 3]
        serial_end, entry_end = at + 4 + serial_size, at + 2 + size
        if content[at] != der.SEQUENCE or size >= 0x80 or content[at + 2] != _INTEGER or entry_end > end:
            yield "§5.1.2.6", f"its entry at octet {at} is none"
            return
        serial = int.from_bytes(content[at + 4 : serial_end], "big", signed=True)
        if serial <= last or serial_size > 20:
            yield "§5.1.2.6", f"its serial number {serial:x} is repeated, out of order, not positive or too long"
        last = serial
        if _TIME_AND_REASON.fullmatch(content, serial_end, entry_end) is None:
            yield "§5.3", f"its entry {serial:x} has another time or reason than RFC 5280 allows"
        at = entry_end


def _fields(tbs: bytes) -> list[tuple[int, bytes]]:
    (outer,) = der.elements(tbs)
    return [(field.tag, field.content) for field in der.elements(outer.content)]
