"""X.509 extensions as plain values (RFC 5280 §4.2, §5.2, §5.3): known ones by their parts, all of them in hex."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from handclasp.pki import ber, der
from handclasp.pki.containers import UNREADABLE, explained

Values = list[dict[str, Any]]

MALFORMED = (*UNREADABLE, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

_EXTENSIONS = 0xA3
_USAGES = {  # RFC 5280 §4.2.1.3
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_NAME_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
    x509.DirectoryName: "directory",
    x509.RegisteredID: "OID",
    x509.OtherName: "other",
}


def oid_name(oid: x509.ObjectIdentifier) -> str:
    """The usual name of an OID, or the OID itself with dots."""
    name = oid._name
    return oid.dotted_string if name == "Unknown OID" else name


def extensions_of(certificate: x509.Certificate) -> Values:
    """All extensions of a certificate: one that is malformed has an ``error``, and the others are as they are.

    The library reads all or none. So each is read by itself where all cannot be, in a certificate that has no other.
    """
    try:
        return extensions(certificate.extensions)
    except MALFORMED as error:
        whole = explained(error)
    try:
        found = _one_by_one(certificate.public_bytes(Encoding.DER))
    except ValueError:
        found = []
    return found if any("error" in one for one in found) else [*found, {"error": whole}]


def extensions(found: x509.Extensions) -> Values:
    """Each extension: ``oid``, ``name``, ``critical``, ``value`` (None where it is not known here), ``der`` in hex."""
    return [
        {
            "oid": one.oid.dotted_string,
            "name": oid_name(one.oid),
            "critical": one.critical,
            "value": _value(one.value),
            "der": one.value.public_bytes().hex(),
        }
        for one in found
    ]


def value_of(values: Values, name: str, otherwise: Any = None) -> Any:
    """The value of the extension of this name, or ``otherwise``."""
    for one in values:
        if one.get("name") == name and one.get("value") is not None:
            return one["value"]
    return otherwise


def general_names(names: Iterable[x509.GeneralName]) -> list[dict[str, str]]:
    """Each name with its kind: ``{"kind": "DNS", "value": "api.example.org"}``."""
    return [{"kind": _NAME_KINDS.get(type(name), "other"), "value": _name(name)} for name in names]


def _name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    if isinstance(name, x509.RegisteredID):
        return name.value.dotted_string
    if isinstance(name, x509.OtherName):
        return f"{name.type_id.dotted_string}:{name.value.hex()}"
    return str(name.value)


def _value(value: x509.ExtensionType) -> Any:
    for kind, read in _READERS:
        if isinstance(value, kind):
            return read(value)
    return None


def _key_usage(value: x509.KeyUsage) -> list[str]:
    words = [text for attribute, text in _USAGES.items() if getattr(value, attribute)]
    if value.key_agreement:
        words += ["encipherOnly"] if value.encipher_only else []
        words += ["decipherOnly"] if value.decipher_only else []
    return words


def _points(value: x509.CRLDistributionPoints | x509.FreshestCRL) -> list[str]:
    return [_name(name) for point in value for name in (point.full_name or ())]


def _access(value: x509.AuthorityInformationAccess) -> dict[str, list[str]]:
    def of(method: x509.ObjectIdentifier) -> list[str]:
        return [_name(one.access_location) for one in value if one.access_method == method]

    return {
        "ocsp": of(AuthorityInformationAccessOID.OCSP),
        "issuers": of(AuthorityInformationAccessOID.CA_ISSUERS),
    }


def _constraints(value: x509.NameConstraints) -> dict[str, list[dict[str, str]]]:
    return {
        "permitted": general_names(value.permitted_subtrees or ()),
        "excluded": general_names(value.excluded_subtrees or ()),
    }


def _distribution(value: x509.IssuingDistributionPoint) -> dict[str, Any]:
    return {
        "urls": [_name(name) for name in value.full_name or ()],
        "only_user_certificates": value.only_contains_user_certs,
        "only_authorities": value.only_contains_ca_certs,
        "only_some_reasons": sorted(reason.value for reason in value.only_some_reasons or ()),
        "indirect": value.indirect_crl,
    }


_READERS: tuple[tuple[type[x509.ExtensionType], Callable[[Any], Any]], ...] = (
    (x509.SubjectAlternativeName, general_names),
    (x509.IssuerAlternativeName, general_names),
    (x509.BasicConstraints, lambda v: {"ca": v.ca, "path_length": v.path_length}),
    (x509.KeyUsage, _key_usage),
    (x509.ExtendedKeyUsage, lambda v: [oid_name(oid) for oid in v]),
    (x509.SubjectKeyIdentifier, lambda v: v.digest.hex()),
    (x509.AuthorityKeyIdentifier, lambda v: v.key_identifier.hex() if v.key_identifier is not None else None),
    (x509.NameConstraints, _constraints),
    (x509.CRLDistributionPoints, _points),
    (x509.FreshestCRL, _points),
    (x509.AuthorityInformationAccess, _access),
    (x509.CertificatePolicies, lambda v: [one.policy_identifier.dotted_string for one in v]),
    (x509.TLSFeature, lambda v: [one.name for one in v]),
    (x509.OCSPNoCheck, lambda v: True),
    (x509.InhibitAnyPolicy, lambda v: v.skip_certs),
    (x509.CRLNumber, lambda v: v.crl_number),
    (x509.DeltaCRLIndicator, lambda v: v.crl_number),
    (x509.IssuingDistributionPoint, _distribution),
    (x509.CRLReason, lambda v: v.reason.value),
    (x509.InvalidityDate, lambda v: v.invalidity_date_utc.isoformat().replace("+00:00", "Z")),
)


def _one_by_one(data: bytes) -> Values:
    """The extensions of the bytes themselves (RFC 5280 §4.1.2.9)."""
    found: Values = []
    tbs, *rest = ber.children(ber.one(data))
    fields = ber.children(tbs)
    head = b"".join(field.encoded for field in fields if field.tag != _EXTENSIONS)
    tail = b"".join(part.encoded for part in rest)
    for field in fields:
        if field.tag != _EXTENSIONS:
            continue
        for extension in ber.children(ber.one(field.content)):
            alone = der.encode(_EXTENSIONS, der.encode(ber.SEQUENCE, extension.encoded))
            short = der.encode(ber.SEQUENCE, der.encode(ber.SEQUENCE, head + alone) + tail)
            try:
                found += extensions(x509.load_der_x509_certificate(short).extensions)
            except MALFORMED as error:
                found.append(_raw(extension, explained(error)))
    return found


def _raw(extension: ber.Node, error: str) -> dict[str, Any]:
    parts = ber.children(extension)
    oid = x509.ObjectIdentifier(ber.oid(parts[0]))
    return {
        "oid": oid.dotted_string,
        "name": oid_name(oid),
        "critical": len(parts) == 3 and parts[1].content != b"\x00",
        "value": None,
        "der": ber.octets(parts[-1]).hex(),
        "error": error,
    }
