"""What must be true of a certificate before it is signed, read back from its DER.

The builder means well; this trusts only the bytes. Every rule names its section; all rules are in ``RULES``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID, NameOID

from handclasp.findings import Code, Finding, InvalidSetting, Refused
from handclasp.pki import der
from handclasp.pki.keys import key_id, key_type, signature_algorithm, supported
from handclasp.pki.names import dns_name
from handclasp.pki.profile import BACKDATE, MAX_SERIAL_BITS, MIN_SERIAL_BITS, Presence, Profile
from handclasp.pki.spiffe import SpiffeID

_E = TypeVar("_E", bound=x509.ExtensionType)
_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules look at. ``issuer`` is the certificate itself where it is self-signed."""

    certificate: x509.Certificate
    profile: Profile
    issuer: x509.Certificate
    extensions: x509.Extensions

    def extension(self, kind: type[_E]) -> x509.Extension[_E] | None:
        return _find(self.extensions, kind)

    def alternative_names(self) -> tuple[x509.GeneralName, ...]:
        found = self.extension(x509.SubjectAlternativeName)
        return () if found is None else tuple(found.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: ``check`` yields a sentence for each way in which it is broken."""

    name: str
    section: str
    check: Callable[[Subject], Iterator[str]]


def lint(certificate: x509.Certificate, profile: Profile, issuer: x509.Certificate | None) -> tuple[Finding, ...]:
    """Every broken rule as a Finding (REQUEST_LINT), none for a certificate that may be signed.

    ``issuer`` is None for a self-signed certificate. Signatures are not looked at: there is none yet.
    """
    try:
        subject = Subject(certificate, profile, issuer or certificate, certificate.extensions)
    except _UNREADABLE as error:
        return (_finding(EXTENSIONS, f"its extensions cannot be read: {error}"),)
    return tuple(_finding(rule, what) for rule in RULES for what in _broken(rule, subject))


def _broken(rule: Rule, subject: Subject) -> list[str]:
    try:
        return list(rule.check(subject))
    except _UNREADABLE as error:
        # cryptography decodes some fields only when they are asked for.
        return [f"what the rule {rule.name} looks at cannot be read: {error}"]


def _finding(rule: Rule, what: str) -> Finding:
    return Finding(Code.REQUEST_LINT, rule.name, what, {"rule": rule.name, "section": rule.section})


def _find(extensions: x509.Extensions, kind: type[_E]) -> x509.Extension[_E] | None:
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


# The fields of TBSCertificate, in their order.


def _version(s: Subject) -> Iterator[str]:
    if s.certificate.version is not x509.Version.v3:
        yield f"its version is {s.certificate.version.name}, not v3"


def _serial(s: Subject) -> Iterator[str]:
    # Not certificate.serial_number, which warns about what this rule reports.
    number = int.from_bytes(_tbs_fields(s.certificate)[_SERIAL].content, "big", signed=True)
    if number <= 0:
        yield "its serial number is not positive"
    elif not MIN_SERIAL_BITS <= number.bit_length() <= MAX_SERIAL_BITS:
        yield (f"its serial number has {number.bit_length()} bits, not {MIN_SERIAL_BITS} to {MAX_SERIAL_BITS}")


def _algorithm(s: Subject) -> Iterator[str]:
    try:
        wanted = signature_algorithm(supported(s.issuer.public_key()))
    except Refused as refused:
        yield f"its issuer's key cannot be used: {refused.why}"
        return
    inner = der.encode(der.SEQUENCE, _tbs_fields(s.certificate)[_SIGNATURE].content)
    if inner != wanted.identifier:
        yield f"its signature algorithm is not {wanted.name}, which follows from its issuer's key"


def _issuer_name(s: Subject) -> Iterator[str]:
    if not s.certificate.issuer.rdns:
        yield "its issuer has no name"
    if s.certificate.issuer.public_bytes() != s.issuer.subject.public_bytes():
        yield "its issuer's name is not the subject of the authority that is to sign it"


def _validity_encoding(s: Subject) -> Iterator[str]:
    for time in der.elements(_tbs_fields(s.certificate)[_VALIDITY].content):
        text = time.content.decode("ascii", "replace")
        if time.tag == der.UTC_TIME:
            if not re.fullmatch(r"[0-9]{12}Z", text):
                yield f"its validity has the UTCTime {text}, not YYMMDDHHMMSSZ"
        elif not re.fullmatch(r"[0-9]{14}Z", text):
            yield f"its validity has the GeneralizedTime {text}, not YYYYMMDDHHMMSSZ"
        elif text < "2050":
            yield f"its validity has the GeneralizedTime {text}, which up to 2049 must be a UTCTime"


def _validity_order(s: Subject) -> Iterator[str]:
    if s.certificate.not_valid_before_utc >= s.certificate.not_valid_after_utc:
        yield "it ends before it begins"


def _validity_length(s: Subject) -> Iterator[str]:
    length = s.certificate.not_valid_after_utc - s.certificate.not_valid_before_utc
    if length > s.profile.max_lifetime + BACKDATE:
        yield f"it is valid for {length}, and the profile {s.profile} allows {s.profile.max_lifetime}"


def _within_issuer(s: Subject) -> Iterator[str]:
    if s.certificate.not_valid_before_utc < s.issuer.not_valid_before_utc:
        yield "it begins before its issuer's certificate does"
    if s.certificate.not_valid_after_utc > s.issuer.not_valid_after_utc:
        yield "it ends after its issuer's certificate does"


def _subject(s: Subject) -> Iterator[str]:
    name = s.certificate.subject
    if s.profile.is_ca and not name.rdns:
        yield "it is an authority's and has no subject"
    if any(not attribute.value for attribute in name):
        yield "its subject has an empty attribute"
    if len(name.get_attributes_for_oid(NameOID.COMMON_NAME)) > 1:
        yield "its subject has more than one common name"


def _common_name(s: Subject) -> Iterator[str]:
    if s.profile.is_ca:
        return
    known = {_plain(name) for name in s.alternative_names()}
    for attribute in s.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        if attribute.value not in known:
            yield f"its common name {attribute.value!r} is none of its subject alternative names"


def _public_key(s: Subject) -> Iterator[str]:
    try:
        kind = key_type(s.certificate.public_key())
    except Refused as refused:
        yield f"its key cannot be used: {refused.why}"
        return
    if kind not in s.profile.key_types:
        yield f"its key is of the kind {kind}, which the profile {s.profile} does not allow"


# The extensions.


def _known_extensions(s: Subject) -> Iterator[str]:
    for extension in s.extensions:
        if extension.oid not in _KNOWN:
            yield f"it has the extension {extension.oid.dotted_string}, which no profile has"


def _basic_constraints(s: Subject) -> Iterator[str]:
    found = s.extension(x509.BasicConstraints)
    if found is None:
        yield "it has no basic constraints"
        return
    if not found.critical:
        yield "its basic constraints are not critical"
    if found.value.ca is not s.profile.is_ca:
        yield f"it says that it is {'an' if found.value.ca else 'no'} authority"
    if found.value.path_length != s.profile.path_length:
        yield f"its path length is {found.value.path_length}, not {s.profile.path_length}"


def _key_usage(s: Subject) -> Iterator[str]:
    found = s.extension(x509.KeyUsage)
    if found is None:
        yield "it has no key usage"
        return
    if not found.critical:
        yield "its key usage is not critical"
    if found.value != s.profile.key_usage:
        yield f"its key usage is not the one of the profile {s.profile}"


def _extended_key_usage(s: Subject) -> Iterator[str]:
    found = s.extension(x509.ExtendedKeyUsage)
    if found is not None and found.critical:
        yield "its extended key usage is critical, which excludes readers that know no better"
    usages = () if found is None else tuple(found.value)
    if len(set(usages)) != len(usages) or set(usages) != set(s.profile.extended_key_usages):
        yield f"its extended key usages are not those of the profile {s.profile}"


def _san_presence(s: Subject) -> Iterator[str]:
    found = s.extension(x509.SubjectAlternativeName)
    if found is None:
        if not s.profile.is_ca:
            yield "it has no subject alternative name"
        return
    if not tuple(found.value):
        yield "its subject alternative name is empty"
    if found.critical and s.certificate.subject.rdns:
        yield "its subject alternative name is critical although it has a subject"
    if not found.critical and not s.certificate.subject.rdns:
        yield "its subject alternative name is not critical although it has no subject"


def _san_kinds(s: Subject) -> Iterator[str]:
    allowed: list[type[x509.GeneralName]] = []
    if s.profile.spiffe_id is not Presence.NONE:
        allowed.append(x509.UniformResourceIdentifier)
    if s.profile.dns_names:
        allowed.append(x509.DNSName)
    if s.profile.ip_addresses:
        allowed.append(x509.IPAddress)
    names = s.alternative_names()
    for kind in sorted({type(name).__name__ for name in names if not isinstance(name, tuple(allowed))}):
        yield f"it has a name of the kind {kind}, which the profile {s.profile} does not allow"
    if len(set(names)) != len(names):
        yield "it has the same name twice"


def _spiffe_id(s: Subject) -> Iterator[str]:
    uris = [name.value for name in s.alternative_names() if isinstance(name, x509.UniformResourceIdentifier)]
    if s.profile.spiffe_id is Presence.REQUIRED and not uris:
        yield f"it has no SPIFFE ID, which the profile {s.profile} requires"
    if len(uris) > 1:
        yield "it has more than one URI, and an X.509-SVID has exactly one"
    for uri in uris:
        try:
            SpiffeID.parse(uri)
        except InvalidSetting as error:
            yield f"its URI is no SPIFFE ID: {error.why}"


def _dns_names(s: Subject) -> Iterator[str]:
    for name in s.alternative_names():
        if not isinstance(name, x509.DNSName):
            continue
        try:
            if dns_name(name.value) != name.value:
                yield f"its DNS name {name.value!r} is not in lower case"
        except InvalidSetting as error:
            yield f"its DNS name is none: {error.why}"


def _subject_key_identifier(s: Subject) -> Iterator[str]:
    found = s.extension(x509.SubjectKeyIdentifier)
    if found is None:
        yield "it has no subject key identifier"
        return
    if found.critical:
        yield "its subject key identifier is critical"
    try:
        expected = key_id(supported(s.certificate.public_key()))
    except Refused:
        return
    if found.value.digest.hex() != expected:
        yield "its subject key identifier is not that of its key"


def _authority_key_identifier(s: Subject) -> Iterator[str]:
    found = s.extension(x509.AuthorityKeyIdentifier)
    of_issuer = _find(s.issuer.extensions, x509.SubjectKeyIdentifier)
    if found is None:
        yield "it has no authority key identifier"
        return
    if found.critical:
        yield "its authority key identifier is critical"
    if of_issuer is None:
        yield "its issuer's certificate has no subject key identifier"
    elif found.value.key_identifier != of_issuer.value.digest:
        yield "its authority key identifier is not its issuer's subject key identifier"
    if found.value.authority_cert_issuer or found.value.authority_cert_serial_number:
        yield "its authority key identifier names a certificate, which breaks when the issuer renews"


# The certificate that is to sign it.


def _issuer_is_authority(s: Subject) -> Iterator[str]:
    constraints = _find(s.issuer.extensions, x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:
        yield "its issuer is no authority"
    elif s.issuer is not s.certificate and s.profile.is_ca and constraints.value.path_length == 0:
        yield "its issuer may not certify other authorities (its path length is 0)"
    usage = _find(s.issuer.extensions, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        yield "its issuer's key may not sign certificates"


EXTENSIONS = Rule("extensions", "RFC 5280 §4.2", lambda _: iter(()))

RULES: tuple[Rule, ...] = (
    Rule("version", "RFC 5280 §4.1.2.1", _version),
    Rule("serial-number", "RFC 5280 §4.1.2.2", _serial),
    Rule("signature-algorithm", "RFC 5280 §4.1.2.3", _algorithm),
    Rule("issuer-name", "RFC 5280 §4.1.2.4", _issuer_name),
    Rule("validity-encoding", "RFC 5280 §4.1.2.5", _validity_encoding),
    Rule("validity-order", "RFC 5280 §4.1.2.5", _validity_order),
    Rule("validity-length", "profile", _validity_length),
    Rule("validity-within-issuer", "RFC 5280 §6.1.3", _within_issuer),
    Rule("subject", "RFC 5280 §4.1.2.6", _subject),
    Rule("common-name", "RFC 9525 §2", _common_name),
    Rule("public-key", "RFC 5280 §4.1.2.7", _public_key),
    Rule("known-extensions", "RFC 5280 §4.2", _known_extensions),
    Rule("basic-constraints", "RFC 5280 §4.2.1.9", _basic_constraints),
    Rule("key-usage", "RFC 5280 §4.2.1.3", _key_usage),
    Rule("extended-key-usage", "RFC 5280 §4.2.1.12", _extended_key_usage),
    Rule("alternative-name", "RFC 5280 §4.2.1.6", _san_presence),
    Rule("alternative-name-kinds", "RFC 5280 §4.2.1.6", _san_kinds),
    Rule("spiffe-id", "X.509-SVID §2", _spiffe_id),
    Rule("dns-names", "RFC 5280 §4.2.1.6", _dns_names),
    Rule("subject-key-identifier", "RFC 5280 §4.2.1.2", _subject_key_identifier),
    Rule("authority-key-identifier", "RFC 5280 §4.2.1.1", _authority_key_identifier),
    Rule("issuer-is-authority", "RFC 5280 §6.1.4", _issuer_is_authority),
)

_KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
)

# The places of these fields in a TBSCertificate of version 3 (§4.1); version 1 writes no version.
_SERIAL = 1
_SIGNATURE = 2
_VALIDITY = 4


def _tbs_fields(certificate: x509.Certificate) -> list[der.Element]:
    (tbs,) = der.elements(certificate.tbs_certificate_bytes)
    fields = list(der.elements(tbs.content))
    explicit_version = fields[0].tag == 0xA0
    return fields if explicit_version else [der.Element(0xA0, b""), *fields]


def _plain(name: x509.GeneralName) -> str:
    """A subject alternative name as a common name would repeat it."""
    if isinstance(name, x509.UniformResourceIdentifier):
        try:
            return SpiffeID.parse(name.value).name
        except InvalidSetting:
            return name.value
    return str(name.value)
