"""Revocation lists in path validation: scopes, reasons, indirect and delta lists (RFC 5280 §5 and §6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from handclasp.findings import Code
from handclasp.pki import chain_names, der
from handclasp.pki.chain_certificate import UNREADABLE, Parsed, quiet, remember, verified
from handclasp.pki.chain_names import Name
from handclasp.pki.chain_terms import Fault, Revocation, Rules, Work

Reasons = frozenset[x509.ReasonFlags]

_LISTED = (x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl)
ALL_REASONS: Reasons = frozenset(reason for reason in x509.ReasonFlags if reason not in _LISTED)

_KNOWN = frozenset(
    oid.dotted_string
    for oid in (
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    )
)
_KNOWN_OF_ENTRY = frozenset(
    oid.dotted_string
    for oid in (
        CRLEntryExtensionOID.CRL_REASON,
        CRLEntryExtensionOID.INVALIDITY_DATE,
        CRLEntryExtensionOID.CERTIFICATE_ISSUER,
    )
)
_CRITICAL = b"\x01\x01\xff"  # the DER of a BOOLEAN that is true, as every critical extension has it


@dataclass(slots=True, eq=False)
class ParsedCRL:
    """One revocation list, read once. ``faults`` make it useless, ``form`` only under Rules.PROFILE.

    ``entries`` is the index of an indirect list, made when it is first asked.
    """

    crl: x509.CertificateRevocationList
    issuer: Name
    this_update: datetime
    next_update: datetime | None
    number: int | None = None
    base: int | None = None
    point: x509.IssuingDistributionPoint | None = None
    key_identifier: bytes | None = None
    faults: list[str] = field(default_factory=list)
    form: list[str] = field(default_factory=list)
    issued: dict[bytes, bool] = field(default_factory=dict)
    entries: dict[tuple[Name, int], x509.RevokedCertificate] | None = None

    @property
    def indirect(self) -> bool:
        """Whether it lists certificates of other issuers too (§5.2.5)."""
        return self.point is not None and self.point.indirect_crl

    @property
    def reasons(self) -> Reasons:
        """The reasons that it covers."""
        some = None if self.point is None else self.point.only_some_reasons
        return ALL_REASONS if some is None else frozenset(some)

    def signed_by(self, signer: Parsed) -> bool:
        """Whether the key of ``signer`` made the signature."""
        known = self.issued.get(signer.spki)
        if known is None:
            known = verified(self.crl, self.crl.tbs_certlist_bytes, signer.public_key)
            remember(self.issued, signer.spki, known)
        return known

    def find(self, issuer: Name, serial: int) -> x509.RevokedCertificate | None:
        """The entry of a certificate. Raises one of UNREADABLE where an entry cannot be read."""
        if not self.indirect and serial >= 0:  # the library finds no negative ones
            return self.crl.get_revoked_certificate_by_serial_number(serial)
        if self.entries is None:
            with quiet():  # about serial numbers that are not positive, which lists may hold
                self.entries = dict(_by_issuer(self))
        return self.entries.get((issuer, serial))


def read_crl(source: x509.CertificateRevocationList | bytes) -> ParsedCRL | Fault:
    """A revocation list, or its DER. Never raises for any bytes."""
    try:
        crl = x509.load_der_x509_crl(source) if isinstance(source, bytes) else source
        data = source if isinstance(source, bytes) else crl.public_bytes(Encoding.DER)
        issuer, same_algorithm = _fields(data)
        parsed = ParsedCRL(crl, chain_names.normal_name(issuer), crl.last_update_utc, crl.next_update_utc)
        if not same_algorithm:
            parsed.faults.append("it names two different signature algorithms (RFC 5280 §5.1.1.2)")
    except UNREADABLE as error:
        return Fault(Code.CHAIN_CRL_INVALID, "crl", f"a revocation list cannot be read: {error}", "RFC 5280 §5.1")
    try:
        with quiet():
            _take(parsed, data)
    except UNREADABLE as error:
        parsed.faults.append(f"it cannot be read: {error}")
    return parsed


def _fields(data: bytes) -> tuple[bytes, bool]:
    """The raw name of the issuer, and whether both signature algorithms are the same."""
    (sequence,) = der.elements(data)
    tbs, outer, _ = der.elements(sequence.content)
    fields = der.elements(tbs.content)
    first = next(fields, None)
    inner = next(fields, None) if first is not None and first.tag == 0x02 else first
    issuer = next(fields, None)
    if inner is None or issuer is None:
        raise ValueError("it is shorter than a revocation list")
    return issuer.content, inner.content == outer.content


def _take(parsed: ParsedCRL, data: bytes) -> None:
    critical = 0
    for extension in parsed.crl.extensions:
        critical += extension.critical
        if extension.critical and extension.oid.dotted_string not in _KNOWN:
            parsed.faults.append(f"its critical extension {extension.oid.dotted_string} is not understood")
        match extension.value:
            case x509.CRLNumber() as value:
                parsed.number = value.crl_number
                if extension.critical:
                    parsed.form.append("its number must not be critical (RFC 5280 §5.2.3)")
            case x509.DeltaCRLIndicator() as value:
                parsed.base = value.crl_number
            case x509.IssuingDistributionPoint() as value:
                parsed.point = value
            case x509.AuthorityKeyIdentifier() as value:
                parsed.key_identifier = value.key_identifier
    if parsed.number is None:
        parsed.form.append("it has no number (RFC 5280 §5.2.3)")
    if parsed.next_update is None:
        parsed.form.append("it does not say when the next list comes (RFC 5280 §5.1.2.5)")
    if data.count(_CRITICAL) > critical:  # so entries may have critical extensions; it is slow to look at all
        parsed.faults.extend(_entry_faults(parsed.crl))


def _entry_faults(crl: x509.CertificateRevocationList) -> Iterator[str]:
    for entry in crl:
        for extension in entry.extensions:
            if extension.critical and extension.oid.dotted_string not in _KNOWN_OF_ENTRY:
                yield f"an entry has the critical extension {extension.oid.dotted_string}, which is not understood"
                return


def _by_issuer(parsed: ParsedCRL) -> Iterator[tuple[tuple[Name, int], x509.RevokedCertificate]]:
    """Entries by issuer and serial: an entry without issuer has that of the entry before it (§5.3.3)."""
    issuer = parsed.issuer
    for entry in parsed.crl:
        try:
            names = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value
        except x509.ExtensionNotFound:
            pass
        else:
            issuer = next((chain_names.normal(n.value) for n in names if isinstance(n, x509.DirectoryName)), ())
        yield (issuer, entry.serial_number), entry


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists there are, and how one is judged.

    ``signer(list, issuer)`` is the certificate whose key signed a list, its own path being valid, or None.
    """

    by_issuer: dict[Name, list[ParsedCRL]]
    at: datetime
    mode: Revocation
    rules: Rules
    signer: Callable[[ParsedCRL, Parsed], Parsed | None]
    work: Work

    def faults(self, certificate: Parsed, issuer: Parsed) -> list[Fault]:
        """What the lists say of one certificate (§6.3.3): nothing if it is good."""
        covered: Reasons = frozenset()
        problems: list[Fault] = []
        for point in (*certificate.points, None):
            if covered == ALL_REASONS:
                break
            self.work.spend("comparisons", _size(point))
            for crl in self._candidates(certificate, point):
                self.work.spend("comparisons", _size(point))
                wanted = _reasons(point) & crl.reasons
                if not wanted - covered:
                    continue
                if why := _out_of_scope(crl, certificate, point):
                    if self.mode is Revocation.REQUIRED:
                        problems.append(_unusable(crl, why))
                    continue
                fault = self._usable(crl, certificate, issuer)
                if fault is not None:
                    problems.append(fault)
                    continue
                try:
                    entry = self._entry(crl, certificate, issuer)
                except UNREADABLE as error:
                    problems.append(_unusable(crl, f"an entry cannot be read: {error}"))
                    continue
                if entry is not None:
                    return [_revoked(entry)]
                covered |= wanted
        if covered == ALL_REASONS or (self.mode is Revocation.GIVEN and (covered or not problems)):
            return []
        if problems:
            return _distinct(problems)
        missing = "for some reasons" if covered else "at all"
        what = f"there is no revocation list that covers it {missing}"
        return [Fault(Code.CHAIN_CRL_MISSING, "crl", what, "RFC 5280 §6.3.3")]

    def _candidates(self, certificate: Parsed, point: x509.DistributionPoint | None) -> Iterator[ParsedCRL]:
        issuers = [certificate.issuer]
        if point is not None and point.crl_issuer:
            issuers = [chain_names.normal(n.value) for n in point.crl_issuer if isinstance(n, x509.DirectoryName)]
        for name in issuers:
            for crl in self.by_issuer.get(name, ()):
                foreign = (
                    self.mode is Revocation.GIVEN
                    and crl.key_identifier is not None
                    and certificate.issuer_key_identifier is not None
                    and crl.key_identifier != certificate.issuer_key_identifier
                    and not crl.indirect
                )
                # With GIVEN the list of another key of the same name says nothing, rather than something wrong.
                if crl.base is None and not foreign:
                    yield crl

    def _usable(self, crl: ParsedCRL, certificate: Parsed, issuer: Parsed) -> Fault | None:
        for why in (*crl.faults, *(crl.form if self.rules is Rules.PROFILE else ())):
            return _unusable(crl, why)
        if self.at < crl.this_update:
            return _unusable(crl, "it is not valid yet")
        if crl.next_update is not None and self.at > crl.next_update:
            what = f"the revocation list of {_issuer_text(crl)} ended on {crl.next_update:%Y-%m-%d %H:%M:%S} UTC"
            facts = {"next_update": crl.next_update.isoformat(), "at": self.at.isoformat()}
            return Fault(Code.CHAIN_CRL_EXPIRED, "crl", what, "RFC 5280 §6.3.3 (a)", facts)
        if self.signer(crl, issuer) is None:
            return _unusable(crl, "it is not signed by the issuer, or not by a key that may sign lists (cRLSign)")
        return None

    def _entry(self, crl: ParsedCRL, certificate: Parsed, issuer: Parsed) -> x509.RevokedCertificate | None:
        """The entry in the list as the newest delta list for it leaves it (§5.2.4)."""
        serial = certificate.serial_number
        deltas = [
            delta
            for delta in self.by_issuer.get(crl.issuer, ())
            if delta.base is not None
            and crl.number is not None
            and delta.number is not None
            and delta.base <= crl.number < delta.number
            and delta.point == crl.point
            and delta.key_identifier == crl.key_identifier
            and self._usable(delta, certificate, issuer) is None
        ]
        if deltas:
            newest = max(deltas, key=lambda delta: delta.number or 0)
            entry = newest.find(certificate.issuer, serial)
            if entry is not None:
                return None if reason(entry) is x509.ReasonFlags.remove_from_crl else entry
        return crl.find(certificate.issuer, serial)


def reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags:
    """Why a certificate was revoked (§5.3.1)."""
    try:
        with quiet():
            return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, *UNREADABLE):
        return x509.ReasonFlags.unspecified


def _distinct(problems: Iterable[Fault]) -> list[Fault]:
    return list({(problem.code, problem.what): problem for problem in problems}.values())


def _revoked(entry: x509.RevokedCertificate) -> Fault:
    why, since = reason(entry), entry.revocation_date_utc
    what = f"it was revoked on {since:%Y-%m-%d %H:%M:%S} UTC ({why.value})"
    facts = {"reason": why.value, "since": since.isoformat()}
    return Fault(Code.CHAIN_REVOKED, "crl", what, "RFC 5280 §6.3.3 (i)", facts)


def _issuer_text(crl: ParsedCRL) -> str:
    try:
        with quiet():
            return chain_names.shown(crl.crl.issuer.rfc4514_string())
    except UNREADABLE:
        return "(a name that cannot be read)"


def _unusable(crl: ParsedCRL, why: str) -> Fault:
    what = f"the revocation list of {_issuer_text(crl)} cannot be used: {why}"
    return Fault(Code.CHAIN_CRL_INVALID, "crl", what, "RFC 5280 §6.3.3")


def _size(point: x509.DistributionPoint | None) -> int:
    return 1 if point is None else 1 + len(point.full_name or ()) + len(point.crl_issuer or ())


def _reasons(point: x509.DistributionPoint | None) -> Reasons:
    return ALL_REASONS if point is None or point.reasons is None else point.reasons & ALL_REASONS


def _out_of_scope(crl: ParsedCRL, certificate: Parsed, point: x509.DistributionPoint | None) -> str | None:
    """Why a list does not cover a certificate by this distribution point (§6.3.3 (b))."""
    other_issuer = point is not None and bool(point.crl_issuer)
    if other_issuer and not crl.indirect:
        return "the distribution point names another issuer, and the list is not an indirect one"
    scope = crl.point
    if scope is None:
        return None
    if scope.only_contains_attribute_certs:
        return "it is for attribute certificates"
    if scope.only_contains_user_certs and certificate.authority:
        return "it is not for authorities"
    if scope.only_contains_ca_certs and not certificate.authority:
        return "it is for authorities only"
    mine = _point_names(scope.full_name, scope.relative_name, [crl.issuer])
    if mine is None:
        return None
    if point is None:
        theirs: Sequence[Any] | None = [("directory", certificate.issuer)]
    elif point.full_name is None and point.relative_name is None:
        theirs = [_comparable(name) for name in point.crl_issuer or ()]
    else:
        issuers = [chain_names.normal(n.value) for n in point.crl_issuer or () if isinstance(n, x509.DirectoryName)]
        theirs = _point_names(point.full_name, point.relative_name, issuers or [certificate.issuer])
    if not set(mine) & set(theirs or ()):
        return "it is that of another distribution point"
    return None


def _point_names(
    full: Iterable[x509.GeneralName] | None, relative: x509.RelativeDistinguishedName | None, issuers: Sequence[Name]
) -> list[Any] | None:
    if full is not None:
        return [_comparable(name) for name in full]
    if relative is not None:
        last = chain_names.normal(x509.Name([relative]))
        return [("directory", issuer + last) for issuer in issuers]
    return None


def _comparable(name: x509.GeneralName) -> Any:
    if isinstance(name, x509.DirectoryName):
        return ("directory", chain_names.normal(name.value))
    return (type(name).__name__, name.value)
