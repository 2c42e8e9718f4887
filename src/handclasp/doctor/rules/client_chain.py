"""A chain as the other side will judge it, in the doctor's codes: by our own verifier (``pki.chain``), which tells
every fault and not the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from handclasp.doctor.diagnosis import Ailment, Severity
from handclasp.findings import Code, Finding
from handclasp.pki import chain, chain_certificate, chain_rules
from handclasp.pki.chain import Limits, Purpose, Revocation, Rules, Trust
from handclasp.pki.chain_certificate import Parsed
from handclasp.pki.chain_terms import Fault
from handclasp.pki.containers import UNREADABLE
from handclasp.probe.trust import Anchors, Verifier

SOON: Final = timedelta(days=30)
_OF_LIFE: Final = 3  # a certificate of ten days is due in its last third, not from its first day

Certificates = Sequence[x509.Certificate]
Lists = Sequence[x509.CertificateRevocationList]

_LEAF: Final[Mapping[Code, Code]] = {
    Code.CHAIN_EXPIRED: Code.CLIENT_CERT_EXPIRED,
    Code.CHAIN_NOT_YET_VALID: Code.CLIENT_CERT_NOT_YET_VALID,
    Code.CHAIN_KEY_USAGE: Code.CLIENT_CERT_WRONG_EKU,
}
_ANY: Final[Mapping[Code, Code]] = {
    Code.CHAIN_EXPIRED: Code.CLIENT_CHAIN_EXPIRED,
    Code.CHAIN_NOT_YET_VALID: Code.CLIENT_CERT_NOT_YET_VALID,
    Code.CHAIN_EXTENDED_KEY_USAGE: Code.CLIENT_CERT_WRONG_EKU,
    Code.CHAIN_WEAK_KEY: Code.CLIENT_KEY_TOO_WEAK,
    Code.CHAIN_WEAK_SIGNATURE: Code.CLIENT_SIGNATURE_TOO_WEAK,
    Code.CHAIN_SELF_SIGNED: Code.CLIENT_CERT_SELF_SIGNED,
    Code.CHAIN_UNTRUSTED: Code.CLIENT_CERT_UNKNOWN_CA,
    Code.CHAIN_TOO_DEEP: Code.CLIENT_CHAIN_TOO_DEEP,
    Code.CHAIN_REVOKED: Code.CLIENT_CERT_REVOKED,
    Code.CHAIN_CRL_EXPIRED: Code.SERVER_CRL_EXPIRED,
    Code.CHAIN_CRL_MISSING: Code.SERVER_CRL_MISSING,
    Code.CHAIN_CRL_INVALID: Code.SERVER_CRL_MISSING,
}
_STRENGTH: Final = frozenset({Code.CHAIN_WEAK_KEY, Code.CHAIN_WEAK_SIGNATURE})

ORDER: Final = (
    Code.CLIENT_CERT_CA_NAME_COLLISION,
    Code.CLIENT_CHAIN_INCOMPLETE,
    Code.CLIENT_CERT_SELF_SIGNED,
    Code.CLIENT_CERT_UNKNOWN_CA,
    Code.CLIENT_CHAIN_INVALID,
    Code.CLIENT_CHAIN_TOO_DEEP,
    Code.CLIENT_KEY_TOO_WEAK,
    Code.CLIENT_SIGNATURE_TOO_WEAK,
    Code.SERVER_CRL_MISSING,
    Code.SERVER_CRL_EXPIRED,
    Code.CLIENT_CERT_REVOKED,
    Code.CLIENT_CHAIN_EXPIRED,
    Code.CLIENT_CERT_EXPIRED,
    Code.CLIENT_CERT_NOT_YET_VALID,
    Code.CLIENT_CERT_WRONG_EKU,
)
"""The order in which a server comes upon the faults: the path first, then strength, revocation and dates."""


def client_ailments(
    sent: Certificates,
    known: Certificates,
    trust: Certificates,
    crls: Lists,
    at: datetime,
    *,
    depth: int | None = None,
) -> tuple[Ailment, ...]:
    """What is wrong with the chain that a client sends, leaf first, as a server judges it that trusts ``trust`` and
    heeds ``crls`` (all of them, for every certificate, where there are any: as nginx and Envoy do).

    ``known`` are certificates that were found but are not sent: an intermediate among them explains a chain that is
    incomplete. ``depth`` is the most intermediates that the server follows. Without ``trust`` the chain is judged for
    what it says itself. Expiry within thirty days (or the last third of a short life) is a warning. Never raises.
    """
    if not sent:
        return ()
    found = list(_against(sent, known, trust, crls, at, depth) if trust else _alone(sent, at))
    found += _soon(sent, at)
    once = {(one.code, one.where, one.what): one for one in found}
    return tuple(sorted(once.values(), key=_rank))


def server_ailments(
    sent: Certificates, trust: Certificates, crls: Lists, at: datetime, name: str | None
) -> tuple[Ailment, ...]:
    """What is wrong with the chain that a server sends, as a client judges it that trusts ``trust`` and asked for
    ``name``."""
    if not sent:
        return ()
    found = []
    if trust:
        verifier = Verifier(
            [Anchors("given", lambda: trust, crls)], revocation=Revocation.REQUIRED if crls else Revocation.GIVEN
        )
        judgement = verifier.judge([one.public_bytes(Encoding.DER) for one in sent], name, at)
        found += [Ailment(one.code, one.where, one.what, facts=one.facts) for one in judgement.findings]
        found += [
            Ailment(Code.SERVER_CERT_WEAK, one.where, one.what, Severity.WARNING, facts=one.facts)
            for one in judgement.remarks
            if one.code in _STRENGTH
        ]
    if _lacks_names(sent[0]):
        what = "it has no subject alternative name, and the common name is not looked at"
        found = [one for one in found if one.code is not Code.SERVER_CERT_HOSTNAME_MISMATCH]
        found.insert(0, Ailment(Code.SERVER_CERT_NO_SAN, "chain[0]", what))
    found += _soon(sent, at, Code.SERVER_CERT_EXPIRES_SOON)
    return tuple(found)


def issuer_known(top: x509.Certificate, among: Certificates) -> x509.Certificate | None:
    """The certificate whose key signed ``top``; None where it is not there."""
    return next((one for one in among if one.subject == top.issuer and signed(top, one)), None)


def same_name(top: x509.Certificate, among: Certificates) -> x509.Certificate | None:
    """An authority that has the name of the issuer of ``top``, whatever its key."""
    return next((one for one in among if one.subject == top.issuer), None)


def signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key made the signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # the library raises many things for strange keys; each means no
        return False
    return True


def top_of(sent: Certificates) -> x509.Certificate:
    """The last certificate of the path that begins with the leaf, among those that are sent."""
    top, left = sent[0], list(sent[1:])
    while (issuer := issuer_known(top, left)) is not None:
        left.remove(issuer)
        top = issuer
    return top


def subject_of(certificate: x509.Certificate) -> str:
    """Its subject, for people; never raises."""
    return _text(certificate, "subject")


def issuer_of(certificate: x509.Certificate) -> str:
    """Its issuer, for people; never raises."""
    return _text(certificate, "issuer")


def _text(certificate: x509.Certificate, which: str) -> str:
    try:
        return str(getattr(certificate, which).rfc4514_string())[:300] or "(no name)"
    except UNREADABLE:
        return "(unreadable)"


def _against(
    sent: Certificates, known: Certificates, trust: Certificates, crls: Lists, at: datetime, depth: int | None
) -> Iterator[Ailment]:
    limits = Limits() if depth is None else Limits(depth=max(depth, 0))
    revocation = Revocation.REQUIRED if crls else Revocation.IGNORE
    verdict = chain.examine(
        sent[0],
        sent[1:],
        Trust.of(trust, crls=crls),
        at=at,
        purpose=Purpose.CLIENT,
        rules=Rules.PATH,
        revocation=revocation,
        limits=limits,
    )
    for finding in verdict.findings:
        code, what = _code(finding, sent, known, trust)
        yield Ailment(code, finding.where, what, facts={**finding.facts, "rule": str(finding.code)})
    for position, certificate in enumerate(sent):
        parsed = chain_certificate.read(certificate)
        if isinstance(parsed, Parsed):
            root = certificate.subject == certificate.issuer
            for fault in chain_rules.strength_faults(parsed, Rules.PROFILE, anchor=root):
                yield Ailment(_ANY[fault.code], f"chain[{position}] {subject_of(certificate)}", fault.what)


def _code(finding: Finding, sent: Certificates, known: Certificates, trust: Certificates) -> tuple[Code, str]:
    position = finding.facts.get("position", "0")
    if finding.code in {Code.CHAIN_UNTRUSTED, Code.CHAIN_BAD_SIGNATURE, Code.CHAIN_SELF_SIGNED}:
        told = _unconnected(sent, known, trust)
        if told is not None:
            return told
    code = _LEAF.get(finding.code) if position == "0" else None
    return code or _ANY.get(finding.code, Code.CLIENT_CHAIN_INVALID), finding.what


def _unconnected(sent: Certificates, known: Certificates, trust: Certificates) -> tuple[Code, str] | None:
    """Why the chain does not reach an authority, where more can be said than that it does not."""
    top = top_of(sent)
    if top.subject == top.issuer and signed(top, top):
        if len(sent) == 1:
            return Code.CLIENT_CERT_SELF_SIGNED, "it is signed by its own key, and the server does not trust it itself"
        twin = next((one for one in trust if one.subject == top.subject), None)
        if twin is not None:
            return Code.CLIENT_CERT_CA_NAME_COLLISION, _collision(top, twin)
        return Code.CLIENT_CERT_UNKNOWN_CA, f"it comes from {subject_of(top)}, which the server does not trust"
    missing = issuer_known(top, known)
    if missing is not None and missing not in trust:
        above: x509.Certificate = missing
        for _ in range(8):
            if above in trust or issuer_known(above, trust) is not None:
                what = f"the certificate of {subject_of(missing)} is not sent, and leads to a trusted authority"
                return Code.CLIENT_CHAIN_INCOMPLETE, what
            higher = issuer_known(above, known)
            if higher is None or higher == above:
                break
            above = higher
    twin = same_name(top, trust)
    if twin is not None and not signed(top, twin):
        return Code.CLIENT_CERT_CA_NAME_COLLISION, _collision(top, twin)
    if may_be_incomplete(top, trust):
        what = (
            f"the certificate of its issuer, {issuer_of(top)}, is not sent; by its name it may belong below a trusted "
            "authority"
        )
        return Code.CLIENT_CHAIN_INCOMPLETE, what
    return Code.CLIENT_CERT_UNKNOWN_CA, f"it was issued by {issuer_of(top)}, which the server does not trust"


def _collision(top: x509.Certificate, twin: x509.Certificate) -> str:
    return (
        f"the server trusts an authority of the name {subject_of(twin)}, but its key did not sign {subject_of(top)}: "
        "two authorities have one name"
    )


def may_be_incomplete(top: x509.Certificate, trust: Certificates) -> bool:
    """Whether the issuer of ``top`` looks like an intermediate of a trusted authority: it says where its certificate
    is fetched, or its name begins as the authority's does, or has its organization. A guess, and told as one."""
    if _has_issuer_url(top):
        return True
    return any(_alike(top.issuer, one.subject) for one in trust)


def _alike(one: x509.Name, other: x509.Name) -> bool:
    if one == other:
        return False
    organizations = [
        {str(each.value).casefold() for each in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
        for name in (one, other)
    ]
    if organizations[0] and organizations[0] == organizations[1]:
        return True
    words = [_words(name) for name in (one, other)]
    common = 0
    for left, right in zip(*words, strict=False):
        if left != right:
            break
        common += 1
    return common > 0 and common >= min(map(len, words)) / 2


def _words(name: x509.Name) -> list[str]:
    names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value).casefold().split() if names else []


def _has_issuer_url(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False
    return b"http" in found.value.public_bytes()


def _alone(sent: Certificates, at: datetime) -> Iterator[Ailment]:
    """What the certificates say themselves: dates, purpose, strength; and whether the leaf is its own issuer."""
    for position, certificate in enumerate(sent):
        parsed = chain_certificate.read(certificate)
        where = f"chain[{position}] {subject_of(certificate)}"
        if not isinstance(parsed, Parsed):
            yield Ailment(Code.CLIENT_CHAIN_INVALID, where, parsed.fault.what)
            continue
        root = position > 0 and certificate.subject == certificate.issuer
        issues = position > 0 and any(signed(one, certificate) for one in sent[:position])
        for fault in _faults(parsed, at, leaf=position == 0, root=root, issues=issues):
            code = _LEAF.get(fault.code) if position == 0 else None
            code = code or _ANY.get(fault.code, Code.CLIENT_CHAIN_INVALID)
            yield Ailment(code, where, fault.what, facts=fault.facts)
    leaf = sent[0]
    if leaf.subject == leaf.issuer and signed(leaf, leaf):
        what = "it is signed by its own key: a server takes it only if it trusts this very certificate"
        yield Ailment(Code.CLIENT_CERT_SELF_SIGNED, f"chain[0] {subject_of(leaf)}", what)


def _faults(parsed: Parsed, at: datetime, *, leaf: bool, root: bool, issues: bool) -> Iterator[Fault]:
    yield from chain_rules.dates(parsed, at)
    yield from chain_rules.strength_faults(parsed, Rules.PROFILE, anchor=root)
    yield from chain_rules.purpose_rules(parsed, Purpose.CLIENT, leaf=leaf)
    if issues:
        yield from chain_rules.issuer_rules(parsed, anchor=False, rules=Rules.PATH)


def _soon(sent: Certificates, at: datetime, code: Code = Code.CLIENT_CERT_EXPIRES_SOON) -> Iterator[Ailment]:
    for position, certificate in enumerate(sent):
        try:
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        except UNREADABLE:
            continue
        if at < ends < at + min(SOON, (ends - begins) / _OF_LIFE):
            what = f"it expires on {ends:%Y-%m-%d %H:%M} UTC"
            where = f"chain[{position}] {subject_of(certificate)}"
            yield Ailment(code, where, what, Severity.WARNING)


def _lacks_names(leaf: x509.Certificate) -> bool:
    try:
        leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return True
    except UNREADABLE:
        return False
    return False


def _rank(ailment: Ailment) -> tuple[bool, int]:
    position = ORDER.index(ailment.code) if ailment.code in ORDER else len(ORDER)
    return ailment.severity is not Severity.ERROR, position
