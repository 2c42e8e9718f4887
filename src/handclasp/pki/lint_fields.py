"""Lint rules for the fields of TBSCertificate (RFC 5280 §4.1), in their order, and for the issuer (§6.1.4)."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.findings import Refused
from handclasp.pki import der
from handclasp.pki.lint_subject import ISSUER, SERIAL, SIGNATURE, SUBJECT, VALIDITY, Subject
from handclasp.pki.profile import BACKDATE, MAX_SERIAL_BITS, MIN_SERIAL_BITS
from handclasp.pki.wishes import needs_name


def version(s: Subject) -> Iterator[str]:
    if s.reading.certificate.version is not x509.Version.v3:
        yield f"its version is {s.reading.certificate.version.name}, not v3"


def serial_number(s: Subject) -> Iterator[str]:
    # Not certificate.serial_number, which warns about what this rule reports.
    number = int.from_bytes(s.reading.fields[SERIAL].content, "big", signed=True)
    if number <= 0:
        yield "its serial number is not positive"
    elif not MIN_SERIAL_BITS <= number.bit_length() <= MAX_SERIAL_BITS:
        yield (f"its serial number has {number.bit_length()} bits, not {MIN_SERIAL_BITS} to {MAX_SERIAL_BITS}")


def algorithm(s: Subject) -> Iterator[str]:
    wanted = s.issuer.algorithm
    if isinstance(wanted, Refused):
        yield f"its issuer's key cannot be used: {wanted.why}"
    elif der.encode(der.SEQUENCE, s.reading.fields[SIGNATURE].content) != wanted.identifier:
        yield f"its signature algorithm is not {wanted.name}, which follows from its issuer's key"


def issuer_name(s: Subject) -> Iterator[str]:
    name = s.reading.fields[ISSUER].content
    if not name:
        yield "its issuer has no name"
    if name != s.issuer.fields[SUBJECT].content:
        yield "its issuer's name is not the subject of the authority that is to sign it"


def validity_encoding(s: Subject) -> Iterator[str]:
    for time in der.elements(s.reading.fields[VALIDITY].content):
        text = time.content
        digits = len(text) - 1 if text[:-1].isdigit() and text.endswith(b"Z") else 0
        if time.tag == der.UTC_TIME:
            if digits != 12:
                yield f"its validity has the UTCTime {_ascii(text)}, not YYMMDDHHMMSSZ"
        elif digits != 14:
            yield f"its validity has the GeneralizedTime {_ascii(text)}, not YYYYMMDDHHMMSSZ"
        elif text < b"2050":
            yield f"its validity has the GeneralizedTime {_ascii(text)}, which up to 2049 must be a UTCTime"


def validity_order(s: Subject) -> Iterator[str]:
    if s.reading.not_before >= s.reading.not_after:
        yield "it ends before it begins"


def validity_length(s: Subject) -> Iterator[str]:
    length = s.reading.not_after - s.reading.not_before
    if length > s.profile.max_lifetime + BACKDATE:
        yield f"it is valid for {length}, and the profile {s.profile} allows {s.profile.max_lifetime}"


def within_issuer(s: Subject) -> Iterator[str]:
    if s.is_self_signed:
        return
    if s.reading.not_before < s.issuer.not_before:
        yield "it begins before its issuer's certificate does"
    if s.reading.not_after > s.issuer.not_after:
        yield "it ends after its issuer's certificate does"


def subject(s: Subject) -> Iterator[str]:
    if not s.reading.subject and (s.profile.is_ca or not needs_name(s.profile)):
        yield "it has no subject, and nothing else says whose it is"
    if not all(attribute.value for attribute in s.reading.subject):
        yield "its subject has an empty attribute"
    if len(s.reading.common_names) > 1:
        yield "its subject has more than one common name"


def common_name(s: Subject) -> Iterator[str]:
    if not needs_name(s.profile):
        return
    names = s.reading.common_names
    known = {_plain(name) for name in s.reading.alternative_names} if names else set()
    for name in names:
        if name not in known:
            yield f"its common name {name!r} is none of its subject alternative names"


def public_key(s: Subject) -> Iterator[str]:
    if not s.reading.has_key_meant:
        yield "its key is not the one that it was to be made for"
    kind = s.reading.kind
    if isinstance(kind, Refused):
        yield f"its key cannot be used: {kind.why}"
    elif kind not in s.profile.key_types:
        yield f"its key is of the kind {kind}, which the profile {s.profile} does not allow"


def issuer_is_authority(s: Subject) -> Iterator[str]:
    constraints = s.issuer.extension(x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:
        yield "its issuer is no authority"
    usage = s.issuer.extension(x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        yield "its issuer's key may not sign certificates"


def path_length(s: Subject) -> Iterator[str]:
    above, own = s.issuer.extension(x509.BasicConstraints), s.reading.extension(x509.BasicConstraints)
    if s.is_self_signed or above is None or above.value.path_length is None or own is None or not own.value.ca:
        return
    if above.value.path_length == 0:
        yield "its issuer may not certify other authorities (its path length is 0)"
    elif own.value.path_length is not None and own.value.path_length >= above.value.path_length:
        yield f"its path length is {own.value.path_length}, and that of its issuer is {above.value.path_length}"


def issuer_usages(s: Subject) -> Iterator[str]:
    allowed = s.issuer.extension(x509.ExtendedKeyUsage)
    if allowed is None or s.is_self_signed or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed.value:
        return
    for usage in s.profile.extended_key_usages:
        if usage not in allowed.value:
            yield f"its issuer's certificate is for other uses than {usage.dotted_string} (extended key usage)"


def _ascii(text: bytes) -> str:
    return text.decode("ascii", "replace")


def _plain(name: x509.GeneralName) -> str:
    """A subject alternative name as a common name would repeat it."""
    if isinstance(name, x509.UniformResourceIdentifier):
        scheme, _, rest = name.value.partition("://")
        return rest.partition("/")[2] if scheme == "spiffe" else name.value
    return str(name.value)
