"""Lint rules for the extensions (RFC 5280 §4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from handclasp.findings import InvalidSetting, Refused
from handclasp.pki.constraints import outside
from handclasp.pki.lint_subject import Subject
from handclasp.pki.names import dns_name
from handclasp.pki.profile import Presence
from handclasp.pki.spiffe import SpiffeID
from handclasp.pki.wishes import needs_name


def known(s: Subject) -> Iterator[str]:
    for extension in s.reading.extensions:
        if extension.oid not in _KNOWN:
            yield f"it has the extension {extension.oid.dotted_string}, which no profile has"


def basic_constraints(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.BasicConstraints)
    if found is None:
        yield "it has no basic constraints"
        return
    if not found.critical:
        yield "its basic constraints are not critical"
    if found.value.ca is not s.profile.is_ca:
        yield f"it says that it is {'an' if found.value.ca else 'no'} authority"
    if found.value.path_length != s.profile.path_length:
        yield f"its path length is {found.value.path_length}, not {s.profile.path_length}"


def key_usage(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.KeyUsage)
    if found is None:
        yield "it has no key usage"
        return
    if not found.critical:
        yield "its key usage is not critical"
    kind = s.reading.kind
    if not isinstance(kind, Refused) and found.value != s.profile.key_usage(kind):
        yield f"its key usage is not the one of the profile {s.profile} for keys of the kind {kind}"


def extended_key_usage(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.ExtendedKeyUsage)
    if found is not None and found.critical:
        yield "its extended key usage is critical, which excludes readers that know no better"
    usages = () if found is None else tuple(found.value)
    if len(set(usages)) != len(usages) or set(usages) != set(s.profile.extended_key_usages):
        yield f"its extended key usages are not those of the profile {s.profile}"


def ocsp_no_check(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.OCSPNoCheck)
    if s.profile.ocsp_no_check and found is None:
        yield "it has no ocsp-nocheck, so that its own revocation would be asked of itself"
    elif not s.profile.ocsp_no_check and found is not None:
        yield f"it has ocsp-nocheck, which the profile {s.profile} does not: it could not be revoked"
    if found is not None and found.critical:
        yield "its ocsp-nocheck is critical"


def name_constraints(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.NameConstraints)
    if found is None:
        return
    if not s.profile.is_ca:
        yield "it has name constraints and is no authority"
    if not found.critical:
        yield "its name constraints are not critical"
    mentioned = {
        type(name) for name in (*(found.value.permitted_subtrees or ()), *(found.value.excluded_subtrees or ()))
    }
    for kind in _CONSTRAINED:
        if kind not in mentioned:
            yield f"its name constraints do not speak of names of the kind {kind.__name__}, which allows them all"


def within_constraints(s: Subject) -> Iterator[str]:
    found = None if s.is_self_signed else s.issuer.extension(x509.NameConstraints)
    if found is None:
        return
    names = s.reading.alternative_names
    if s.reading.subject:
        names = (*names, x509.DirectoryName(s.reading.certificate.subject))
    yield from outside(found.value, names)


def alternative_name(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.SubjectAlternativeName)
    if found is None:
        if needs_name(s.profile):
            yield "it has no subject alternative name"
        return
    if not s.reading.alternative_names:
        yield "its subject alternative name is empty"
    if found.critical and s.reading.subject:
        yield "its subject alternative name is critical although it has a subject"
    if not found.critical and not s.reading.subject:
        yield "its subject alternative name is not critical although it has no subject"


def alternative_name_kinds(s: Subject) -> Iterator[str]:
    allowed: list[type[x509.GeneralName]] = []
    if s.profile.spiffe_id is not Presence.NONE:
        allowed.append(x509.UniformResourceIdentifier)
    if s.profile.dns_names:
        allowed.append(x509.DNSName)
    if s.profile.ip_addresses:
        allowed.append(x509.IPAddress)
    names = s.reading.alternative_names
    for kind in sorted({type(name).__name__ for name in names if not isinstance(name, tuple(allowed))}):
        yield f"it has a name of the kind {kind}, which the profile {s.profile} does not allow"
    if len(set(names)) != len(names):
        yield "it has the same name twice"


def spiffe_id(s: Subject) -> Iterator[str]:
    uris = [name.value for name in s.reading.alternative_names if isinstance(name, x509.UniformResourceIdentifier)]
    if s.profile.spiffe_id is Presence.REQUIRED and not uris:
        yield f"it has no SPIFFE ID, which the profile {s.profile} requires"
    if len(uris) > 1:
        yield "it has more than one URI, and an X.509-SVID has exactly one"
    for uri in uris:
        try:
            SpiffeID.parse(uri)
        except InvalidSetting as error:
            yield f"its URI is no SPIFFE ID: {error.why}"


def dns_names(s: Subject) -> Iterator[str]:
    for name in s.reading.alternative_names:
        if not isinstance(name, x509.DNSName):
            continue
        try:
            if dns_name(name.value) != name.value:
                yield f"its DNS name {name.value!r} is not in lower case"
        except InvalidSetting as error:
            yield f"its DNS name is none: {error.why}"


def subject_key_identifier(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.SubjectKeyIdentifier)
    if found is None:
        yield "it has no subject key identifier"
        return
    if found.critical:
        yield "its subject key identifier is critical"
    if found.value.digest != s.reading.key_identifier:
        yield "its subject key identifier is not that of its key"


def authority_key_identifier(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.AuthorityKeyIdentifier)
    of_issuer = s.issuer.extension(x509.SubjectKeyIdentifier)
    if found is None:
        yield "it has no authority key identifier"
        return
    if found.critical:
        yield "its authority key identifier is critical"
    expected = s.issuer.key_identifier if of_issuer is None else of_issuer.value.digest
    if found.value.key_identifier != expected:
        yield "its authority key identifier is not its issuer's subject key identifier"
    if found.value.authority_cert_issuer or found.value.authority_cert_serial_number:
        yield "its authority key identifier names a certificate, which breaks when the issuer renews"


def distribution_points(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.CRLDistributionPoints)
    if found is None:
        return
    if s.is_self_signed:
        yield "it is self-signed and has a CRL distribution point: no list can revoke it"
    if found.critical:
        yield "its CRL distribution points are critical"
    for point in found.value:
        if point.reasons or point.crl_issuer or point.relative_name or not point.full_name:
            yield "a CRL distribution point of it is more than the address of the list of its issuer"
        for name in point.full_name or ():
            if not _is_http(name):
                yield "a CRL distribution point of it is no address of plain HTTP"


def information_access(s: Subject) -> Iterator[str]:
    found = s.reading.extension(x509.AuthorityInformationAccess)
    if found is None:
        return
    if s.is_self_signed:
        yield "it is self-signed and has authority information access: there is nobody above it"
    if found.critical:
        yield "its authority information access is critical"
    for description in found.value:
        if description.access_method not in _ACCESS_METHODS:
            yield f"its authority information access has the method {description.access_method.dotted_string}"
        if not _is_http(description.access_location):
            yield "its authority information access has a location that is no address of plain HTTP"


def _is_http(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith("http://")


_CONSTRAINED = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)
_ACCESS_METHODS = frozenset({AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS})
_KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.OCSP_NO_CHECK,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
