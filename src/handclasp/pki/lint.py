"""What must be true of a certificate before it is signed, read back from its DER.

The builder means well; this trusts only the bytes. Every rule names its section; all rules are in ``RULES``.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from handclasp.findings import Code, Finding
from handclasp.pki import lint_extensions as extensions
from handclasp.pki import lint_fields as fields
from handclasp.pki.keys import KeyType
from handclasp.pki.lint_subject import Reading, Rule, Subject, read_issuer
from handclasp.pki.profile import Profile

_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def lint(
    certificate: x509.Certificate,
    profile: Profile,
    issuer: x509.Certificate | None,
    meant: tuple[KeyType, bytes] | None = None,
) -> tuple[Finding, ...]:
    """Every broken rule as a Finding (REQUEST_LINT), none for a certificate that may be signed.

    ``issuer`` is None for a self-signed certificate; ``meant`` is the key that it was to be made for, if that is
    known: its kind, and the DER of its SubjectPublicKeyInfo. Signatures are not looked at: there is none yet.
    """
    try:
        reading = Reading(certificate, meant)
    except _UNREADABLE as error:
        return (_finding(READABLE, f"it cannot be read: {error}"),)
    return lint_reading(reading, profile, issuer)


def lint_reading(reading: Reading, profile: Profile, issuer: x509.Certificate | None) -> tuple[Finding, ...]:
    """The same, of a certificate that was read already."""
    subject = Subject(reading, profile, reading if issuer is None else read_issuer(issuer))
    found: list[Finding] = []
    for rule in RULES:
        try:
            for what in rule.check(subject):
                found.append(_finding(rule, what))  # noqa: PERF401 - there is hardly ever one, and a generator costs
        except _UNREADABLE as error:
            # cryptography decodes some fields only when they are asked for.
            found.append(_finding(rule, f"what the rule {rule.name} looks at cannot be read: {error}"))
    return tuple(found)


def _finding(rule: Rule, what: str) -> Finding:
    return Finding(Code.REQUEST_LINT, rule.name, what, {"rule": rule.name, "section": rule.section})


READABLE = Rule("readable", "RFC 5280 §4.1", lambda _: iter(()))

RULES: tuple[Rule, ...] = (
    Rule("version", "RFC 5280 §4.1.2.1", fields.version),
    Rule("serial-number", "RFC 5280 §4.1.2.2", fields.serial_number),
    Rule("signature-algorithm", "RFC 5280 §4.1.2.3", fields.algorithm),
    Rule("issuer-name", "RFC 5280 §4.1.2.4", fields.issuer_name),
    Rule("validity-encoding", "RFC 5280 §4.1.2.5", fields.validity_encoding),
    Rule("validity-order", "RFC 5280 §4.1.2.5", fields.validity_order),
    Rule("validity-length", "profile", fields.validity_length),
    Rule("validity-within-issuer", "RFC 5280 §6.1.3", fields.within_issuer),
    Rule("subject", "RFC 5280 §4.1.2.6", fields.subject),
    Rule("common-name", "RFC 9525 §2", fields.common_name),
    Rule("public-key", "RFC 5280 §4.1.2.7", fields.public_key),
    Rule("known-extensions", "RFC 5280 §4.2", extensions.known),
    Rule("basic-constraints", "RFC 5280 §4.2.1.9", extensions.basic_constraints),
    Rule("key-usage", "RFC 5280 §4.2.1.3", extensions.key_usage),
    Rule("extended-key-usage", "RFC 5280 §4.2.1.12", extensions.extended_key_usage),
    Rule("ocsp-no-check", "RFC 6960 §4.2.2.2.1", extensions.ocsp_no_check),
    Rule("name-constraints", "RFC 5280 §4.2.1.10", extensions.name_constraints),
    Rule("alternative-name", "RFC 5280 §4.2.1.6", extensions.alternative_name),
    Rule("alternative-name-kinds", "RFC 5280 §4.2.1.6", extensions.alternative_name_kinds),
    Rule("spiffe-id", "X.509-SVID §2", extensions.spiffe_id),
    Rule("dns-names", "RFC 5280 §4.2.1.6", extensions.dns_names),
    Rule("subject-key-identifier", "RFC 5280 §4.2.1.2", extensions.subject_key_identifier),
    Rule("authority-key-identifier", "RFC 5280 §4.2.1.1", extensions.authority_key_identifier),
    Rule("distribution-points", "RFC 5280 §4.2.1.13", extensions.distribution_points),
    Rule("information-access", "RFC 5280 §4.2.2.1", extensions.information_access),
    Rule("issuer-is-authority", "RFC 5280 §6.1.4", fields.issuer_is_authority),
    Rule("path-length", "RFC 5280 §6.1.4", fields.path_length),
    Rule("issuer-usages", "RFC 5280 §4.2.1.12", fields.issuer_usages),
    Rule("within-name-constraints", "RFC 5280 §6.1.3", extensions.within_constraints),
)
