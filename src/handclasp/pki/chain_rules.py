"""What each certificate of a path must be: by its form (RFC 5280 §4) and by its place (§6.1, RFC 9525).

Functions yield one fault for each rule that is broken, and never stop at the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from handclasp.findings import Code
from handclasp.pki import chain_names
from handclasp.pki.chain_certificate import POLICY_MAPPINGS, UNREADABLE, Parsed
from handclasp.pki.chain_names import Presented
from handclasp.pki.chain_terms import Fault, Purpose, Question, Rules, Work

_USAGE = {
    Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
    Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,
}
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_MIN_RSA = 2048
_MANY = 20  # names of one certificate that are reported each for itself
_BROKEN_ALWAYS = {"md2", "md4", "md5"}
_BROKEN = _BROKEN_ALWAYS | {"sha1"}

_KNOWN = frozenset(
    oid.dotted_string
    for oid in (
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.SUBJECT_INFORMATION_ACCESS,
        ExtensionOID.TLS_FEATURE,
        ExtensionOID.OCSP_NO_CHECK,
    )
) | {POLICY_MAPPINGS}
"""Extensions that are understood; an unknown one that is critical is a fault (§4.2)."""

_CRITICAL = (
    ("nameConstraints", ExtensionOID.NAME_CONSTRAINTS.dotted_string, "RFC 5280 §4.2.1.10"),
    ("policyConstraints", ExtensionOID.POLICY_CONSTRAINTS.dotted_string, "RFC 5280 §4.2.1.11"),
    ("inhibitAnyPolicy", ExtensionOID.INHIBIT_ANY_POLICY.dotted_string, "RFC 5280 §4.2.1.14"),
)
_NOT_CRITICAL = (
    ("authorityKeyIdentifier", ExtensionOID.AUTHORITY_KEY_IDENTIFIER.dotted_string, "RFC 5280 §4.2.1.1"),
    ("subjectKeyIdentifier", ExtensionOID.SUBJECT_KEY_IDENTIFIER.dotted_string, "RFC 5280 §4.2.1.2"),
    ("freshestCRL", ExtensionOID.FRESHEST_CRL.dotted_string, "RFC 5280 §4.2.1.15"),
    ("authorityInfoAccess", ExtensionOID.AUTHORITY_INFORMATION_ACCESS.dotted_string, "RFC 5280 §4.2.2.1"),
    ("subjectInfoAccess", ExtensionOID.SUBJECT_INFORMATION_ACCESS.dotted_string, "RFC 5280 §4.2.2.2"),
)


def form_faults(certificate: Parsed, *, anchor: bool) -> tuple[Fault, ...]:
    """Where a certificate breaks the profile that its issuer should have kept, worked out once.

    Of a trust anchor nobody looks for the serial number, nor for its issuer's key: they are used by nothing.
    """
    if certificate.form is None:
        if certificate.faults:
            certificate.form = ((), ())  # it could not be read whole, so that absences would be said wrongly
        else:
            always = (*_fields(certificate), *_extensions(certificate), *_names(certificate))
            certificate.form = (always, (*_serial(certificate), *_no_authority_key(certificate)))
    always, below_anchor = certificate.form
    return always if anchor else always + below_anchor


def _malformed(field: str, what: str, section: str) -> Fault:
    return Fault(Code.CHAIN_MALFORMED, field, what, section)


def _extension_fault(field: str, what: str, section: str) -> Fault:
    return Fault(Code.CHAIN_EXTENSION, field, what, section)


def _serial(certificate: Parsed) -> Iterator[Fault]:
    section = "RFC 5280 §4.1.2.2"
    if certificate.serial_number <= 0:
        yield _malformed("serialNumber", f"the serial number {certificate.serial_number} is not positive", section)
    if len(certificate.serial) > 20:
        what = f"the serial number is {len(certificate.serial)} octets long, more than 20"
        yield _malformed("serialNumber", what, section)


def _fields(certificate: Parsed) -> Iterator[Fault]:
    if certificate.certificate.version is not x509.Version.v3:
        what = "it is not of version 3, which has extensions"
        yield _malformed("version", what, "RFC 5280 §4.1.2.1")
    if not certificate.issuer:
        yield _malformed("issuer", "the issuer is the empty name", "RFC 5280 §4.1.2.4")
    if not certificate.subject and certificate.authority:
        yield _malformed("subject", "an authority has the empty name", "RFC 5280 §4.1.2.6")
    if not certificate.subject and not certificate.names:
        yield _malformed("subject", "it names nobody: no subject, no alternative name", "RFC 5280 §4.1.2.6")
    if certificate.not_after < certificate.not_before:
        yield _malformed("validity", "it ends before it begins", "RFC 5280 §4.1.2.5")


def _extensions(certificate: Parsed) -> Iterator[Fault]:
    present = certificate.extensions
    authority, usage = certificate.authority, certificate.key_usage
    signs = usage is not None and usage.key_cert_sign

    constraints = present.get(ExtensionOID.BASIC_CONSTRAINTS.dotted_string)
    if authority and constraints is not None and not constraints.critical:
        yield _extension_fault("basicConstraints", "those of an authority must be critical", "RFC 5280 §4.2.1.9")
    if signs and not authority:
        what = "it may sign certificates (keyCertSign) but is no authority"
        yield _extension_fault("keyUsage", what, "RFC 5280 §4.2.1.3")
    if authority and usage is not None and not signs:
        what = "it is an authority but may not sign certificates (keyCertSign)"
        yield _extension_fault("keyUsage", what, "RFC 5280 §4.2.1.9")
    if certificate.path_length is not None and not authority:
        yield _extension_fault("basicConstraints", "it has a path length but is no authority", "RFC 5280 §4.2.1.9")
    if authority and certificate.key_identifier is None:
        yield _extension_fault("subjectKeyIdentifier", "an authority must have one", "RFC 5280 §4.2.1.2")
    yield from _authority_key_identifier(certificate)

    limits = certificate.constraints
    if limits is not None:
        if not authority:
            yield _extension_fault("nameConstraints", "only an authority may have them", "RFC 5280 §4.2.1.10")
        for what in limits.faults:
            yield _extension_fault("nameConstraints", what, "RFC 5280 §4.2.1.10")
    for field, oid, section in _CRITICAL:
        found = present.get(oid)
        if found is not None and not found.critical:
            yield _extension_fault(field, "it must be critical", section)
    for field, oid, section in _NOT_CRITICAL:
        found = present.get(oid)
        if found is not None and found.critical:
            yield _extension_fault(field, "it must not be critical", section)


def _authority_key_identifier(certificate: Parsed) -> Iterator[Fault]:
    found = certificate.issuer_key_identifier
    present = ExtensionOID.AUTHORITY_KEY_IDENTIFIER.dotted_string in certificate.extensions
    what = None
    if present and found is None:
        what = "it does not give the identifier of the key"
    elif present and found != certificate.key_identifier is not None and _self_signed(certificate):
        what = "the certificate is self-signed, and names another key than its own"
    if what:
        yield _extension_fault("authorityKeyIdentifier", what, "RFC 5280 §4.2.1.1")


def _no_authority_key(certificate: Parsed) -> Iterator[Fault]:
    present = ExtensionOID.AUTHORITY_KEY_IDENTIFIER.dotted_string in certificate.extensions
    if not present and not _self_signed(certificate):
        what = "only a self-signed certificate may be without one"
        yield _extension_fault("authorityKeyIdentifier", what, "RFC 5280 §4.2.1.1")


def _self_signed(certificate: Parsed) -> bool:
    return certificate.self_issued and certificate.signed_by(certificate)


def _names(certificate: Parsed) -> Iterator[Fault]:
    found = certificate.extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string)
    if found is None:
        return
    section = "RFC 5280 §4.2.1.6"
    if not certificate.names:
        yield _extension_fault("subjectAltName", "it has no name in it", section)
    if not certificate.subject and not found.critical:
        yield _extension_fault("subjectAltName", "it must be critical where the subject is empty", section)
    if certificate.subject and found.critical:
        yield _extension_fault("subjectAltName", "it should not be critical where there is a subject", section)
    wrong = [name for name in certificate.names if name.fault]
    for name in wrong[:_MANY]:
        what = f"the {name.kind} name '{chain_names.shown(name.text)}': {name.fault}"
        yield _extension_fault("subjectAltName", what, section)
    if len(wrong) > _MANY:
        yield _extension_fault("subjectAltName", f"so are {len(wrong) - _MANY} names more", section)


def strength_faults(certificate: Parsed, rules: Rules, *, anchor: bool) -> Iterator[Fault]:
    """Weak keys, and weak signatures where the signature counts: that on a trust anchor proves nothing."""
    if rules is Rules.PROFILE and (weak := _weak(certificate)):
        yield Fault(Code.CHAIN_WEAK_KEY, "subjectPublicKeyInfo", weak, "NIST SP 800-57 §5.6.1")
    if anchor:
        return
    try:
        used = certificate.certificate.signature_hash_algorithm
    except UNREADABLE:  # an algorithm that nobody knows verifies under no key, and is reported there
        return
    if used is not None and used.name in (_BROKEN if rules is Rules.PROFILE else _BROKEN_ALWAYS):
        yield Fault(
            Code.CHAIN_WEAK_SIGNATURE, "signatureAlgorithm", f"it is signed with {used.name.upper()}", "RFC 9155 §2"
        )


def _weak(certificate: Parsed) -> str | None:
    match certificate.public_key:
        case ec.EllipticCurvePublicKey() as key:
            return None if key.curve.name in _CURVES else f"its key is on the curve {key.curve.name}"
        case rsa.RSAPublicKey() as key:
            if key.key_size < _MIN_RSA:
                return f"its RSA key has {key.key_size} bits"
            if key.key_size % 8:
                return f"its RSA key has {key.key_size} bits, which is no whole number of octets"
            return None
        case dsa.DSAPublicKey():
            return "its key is a DSA key"
        case (
            None
            | ed25519.Ed25519PublicKey()
            | ed448.Ed448PublicKey()
            | mldsa.MLDSA44PublicKey()
            | mldsa.MLDSA65PublicKey()
            | mldsa.MLDSA87PublicKey()
        ):
            return None
        case key:
            return f"its key ({type(key).__name__}) makes no signatures"


def dates(certificate: Parsed, at: datetime) -> Iterator[Fault]:
    """Both ends belong to the validity, and it is counted in whole seconds (§4.1.2.5)."""
    at = at.replace(microsecond=0)
    begins, ends = certificate.not_before, certificate.not_after
    if begins <= at <= ends:
        return
    facts = {"not_before": begins.isoformat(), "not_after": ends.isoformat(), "at": at.isoformat()}
    section = "RFC 5280 §4.1.2.5"
    if at > ends:
        yield Fault(Code.CHAIN_EXPIRED, "validity", f"it expired on {ends:%Y-%m-%d %H:%M:%S} UTC", section, facts)
    if at < begins:
        what = f"it is valid from {begins:%Y-%m-%d %H:%M:%S} UTC only"
        yield Fault(Code.CHAIN_NOT_YET_VALID, "validity", what, section, facts)


def critical_extensions(certificate: Parsed) -> Iterator[Fault]:
    """Critical extensions that are not understood (§4.2)."""
    for oid, extension in certificate.extensions.items():
        if extension.critical and oid not in _KNOWN:
            what = f"the critical extension {oid} is not understood"
            yield Fault(Code.CHAIN_UNKNOWN_CRITICAL, oid, what, "RFC 5280 §4.2", {"oid": oid})


def issuer_rules(certificate: Parsed, *, anchor: bool, rules: Rules) -> Iterator[Fault]:
    """What a certificate needs to issue others (§6.1.4 (k) and (n))."""
    if not certificate.authority and certificate.readable:
        # Before version 3 there was no way to say that it is one; a self-signed anchor is believed (§6.1.4 (k)).
        old = certificate.certificate.version is x509.Version.v1 and anchor and rules is Rules.PATH
        if not (old and certificate.self_issued):
            what = "it issued a certificate but is no authority (CA:TRUE)"
            yield Fault(Code.CHAIN_NOT_AN_AUTHORITY, "basicConstraints", what, "RFC 5280 §6.1.4 (k)")
    usage = certificate.key_usage
    if usage is not None and not usage.key_cert_sign:
        what = "its key may not sign certificates (keyCertSign)"
        yield Fault(Code.CHAIN_KEY_USAGE, "keyUsage", what, "RFC 5280 §6.1.4 (n)")


def purpose_rules(certificate: Parsed, purpose: Purpose, *, leaf: bool) -> Iterator[Fault]:
    """Key usages. An authority that has extended key usages gives its leaves no others (as OpenSSL does)."""
    wanted = _USAGE.get(purpose)
    if wanted is None:
        return
    if certificate.usages is not None and wanted not in certificate.usages:
        what = f"it is not meant for {purpose} authentication"
        facts = {"wanted": wanted, "present": " ".join(sorted(certificate.usages))}
        section = "RFC 5280 §4.2.1.12"
        yield Fault(Code.CHAIN_EXTENDED_KEY_USAGE, "extendedKeyUsage", what, section, facts)
    usage = certificate.key_usage
    if not leaf or usage is None:
        return
    enough = usage.digital_signature or usage.key_agreement
    if purpose is Purpose.SERVER:
        enough = enough or usage.key_encipherment
    if not enough:
        what = f"its key may be used neither to sign nor to agree on keys, as a TLS {purpose} must"
        yield Fault(Code.CHAIN_KEY_USAGE, "keyUsage", what, "RFC 5280 §4.2.1.3")


def leaf_names(leaf: Parsed, question: Question) -> Iterator[Fault]:
    """The name that was asked for, among the alternative names only (RFC 9525 §6, never the common name)."""
    if question.name is None:
        if question.purpose is Purpose.SERVER and leaf.readable and not leaf.names and question.rules is Rules.PROFILE:
            what = "a server must have alternative names; the common name is not looked at"
            yield Fault(Code.CHAIN_NAME_MISMATCH, "subjectAltName", what, "RFC 9525 §6")
        return
    if leaf.readable and not chain_names.names_it(leaf.names, question.name):
        texts = [chain_names.shown(name.text) for name in leaf.names[:_MANY]]
        them = ", ".join(texts[:5]) or "nobody (it has no alternative names)"
        what = f"{question.name} was expected, and it names {them}{' and others' if len(leaf.names) > 5 else ''}"
        facts = {"expected": str(question.name), "present": " ".join(texts)}
        yield Fault(Code.CHAIN_NAME_MISMATCH, "subjectAltName", what, "RFC 9525 §6", facts)


def path_lengths(path: Sequence[Parsed], depth: int) -> Iterator[tuple[int, Fault]]:
    """Path length constraints, the anchor's too, and the depth allowed here (§6.1.4 (l) and (m))."""
    below = 0
    for position, certificate in enumerate(path[1:], 1):
        limit = certificate.path_length
        if limit is not None and below > limit:
            what = f"it allows {limit} intermediate{'' if limit == 1 else 's'} below it, and there are {below}"
            facts = {"allowed": str(limit), "found": str(below)}
            yield (
                position,
                Fault(Code.CHAIN_PATH_LENGTH, "basicConstraints", what, "RFC 5280 §6.1.4 (m)", facts),
            )
        if position < len(path) - 1 and not certificate.self_issued:
            below += 1
    if below > depth:
        what = f"there are {below} intermediates in the path, and {depth} are allowed"
        yield len(path) - 1, Fault(Code.CHAIN_TOO_DEEP, "path", what, "RFC 5280 §6.1.4 (l)")


def name_constraints(path: Sequence[Parsed], work: Work) -> Iterator[tuple[int, Fault]]:
    """Every name below an authority with name constraints (§6.1.3 (b) and (c)), the anchor's too."""
    limited = [(position, one.constraints) for position, one in enumerate(path) if one.constraints and position]
    if not limited:
        return
    for position, certificate in enumerate(path):
        if position and certificate.self_issued:
            continue
        names: list[Presented] | None = None
        for higher, limits in limited:
            if higher <= position:
                continue
            if names is None:
                names = _constrained_names(certificate)
            above = path[higher].subject_text
            for name, why in islice(chain_names.violations(names, limits, work), _MANY):
                text = chain_names.shown(name.text)
                what = f"the {name.kind} name '{text}' is outside of the constraints of {above}: {why}"
                facts = {"name": text, "kind": name.kind, "constrained_by": above}
                section = "RFC 5280 §6.1.3 (b)"
                yield position, Fault(Code.CHAIN_NAME_CONSTRAINTS, "subjectAltName", what, section, facts)


def _constrained_names(certificate: Parsed) -> list[Presented]:
    names = list(certificate.names)
    if certificate.subject:
        names.append(Presented("directory", certificate.subject_text, certificate.subject))
        names.extend(chain_names.email(text) for text in chain_names.emails_of(certificate.subject))
    return names
