"""The path verifier: is this certificate what it claims to be, for this purpose, at this time? (RFC 5280 §6)

The one place where chains are judged. ``examine`` reports every fault; ``verify`` returns what was proved or raises.
Pure: the time is an argument, nothing is fetched. docs/path-validation.md lists what is checked, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

from handclasp.findings import CATALOGUE, Code, Finding, InvalidSetting, Refused
from handclasp.pki.chain_certificate import Parsed, Unreadable, read
from handclasp.pki.chain_crl import ParsedCRL, read_crl
from handclasp.pki.chain_judge import Judged, Judgement
from handclasp.pki.chain_names import Name
from handclasp.pki.chain_path import Pool
from handclasp.pki.chain_terms import (
    ANY_POLICY,
    ExpectedName,
    Fault,
    Limits,
    PolicyDemand,
    Purpose,
    Question,
    Revocation,
    Rules,
    TooComplex,
    Work,
)
from handclasp.pki.spiffe import SpiffeID

__all__ = [
    "ANY_POLICY",
    "ChainRefused",
    "ExpectedName",
    "Limits",
    "PolicyDemand",
    "Purpose",
    "Revocation",
    "Rules",
    "Trust",
    "Verdict",
    "VerifiedPeer",
    "examine",
    "verify",
]

Source = x509.Certificate | bytes
"""A certificate, or the DER of what claims to be one."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to trust, read once and used for many chains: anchors, known intermediates, revocation lists.

    Make it with ``of``. What could not be read is in ``unread`` and is reported where no path is found.
    """

    pool: Pool
    lists: dict[Name, list[ParsedCRL]]
    unread: tuple[tuple[str, Fault], ...]

    @classmethod
    def of(
        cls,
        anchors: Iterable[Source],
        *,
        intermediates: Iterable[Source] = (),
        crls: Iterable[x509.CertificateRevocationList | bytes] = (),
    ) -> Trust:
        """Each anchor is trusted as it stands: a root, an intermediate (a path ends there), or a leaf itself."""
        unread: list[tuple[str, Fault]] = []
        pool = Pool.of(_readable(anchors, "anchor", unread), _readable(intermediates, "intermediate", unread))
        lists: dict[Name, list[ParsedCRL]] = {}
        for number, source in enumerate(crls, 1):
            crl = read_crl(source)
            if isinstance(crl, Fault):
                unread.append((f"crl {number}", crl))
            else:
                lists.setdefault(crl.issuer, []).append(crl)
        return cls(pool, lists, tuple(unread))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. ``path`` is the valid path from the leaf to its anchor, or None.

    ``findings`` is empty if and only if there is a path; otherwise it holds every fault of ``best``, the
    candidate that came closest: one that reaches an anchor before one that does not, then the fewest faults,
    then the first found. ``remarks`` do not count against the chain (the profile's faults under Rules.PATH,
    certificates beside the path that could not be read).
    """

    path: tuple[x509.Certificate, ...] | None
    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    best: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class VerifiedPeer:
    """Whom a chain proves: the names of the leaf by kind, and the path from the leaf to its anchor."""

    path: tuple[x509.Certificate, ...]
    spiffe_id: SpiffeID | None
    dns: tuple[str, ...]
    ips: tuple[IPv4Address | IPv6Address, ...]
    uris: tuple[str, ...]
    emails: tuple[str, ...]


class ChainRefused(Refused):
    """A chain that is not valid; ``findings`` holds every fault, as Verdict does."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        first = findings[0]
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            first.code,
            "The certificate chain is not valid",
            f"{first.where}: {first.what}{more}",
            CATALOGUE[first.code].remedy,
        )
        self.findings = findings


def examine(
    leaf: Source,
    chain: Iterable[Source],
    trust: Trust,
    *,
    at: datetime,
    purpose: Purpose,
    name: ExpectedName | None = None,
    rules: Rules = Rules.PROFILE,
    revocation: Revocation = Revocation.GIVEN,
    policies: PolicyDemand = PolicyDemand(),  # noqa: B008 - it is frozen
    limits: Limits = Limits(),  # noqa: B008 - frozen too
) -> Verdict:
    """Judges a leaf with the certificates that came with it, in any order. Never raises for any certificate.

    ``at`` needs a time zone (ValueError otherwise). ``name`` is whom the leaf must name; None asks for nobody.
    """
    verdict, _ = _examine(leaf, chain, trust, _question(at, purpose, name, rules, revocation, policies, limits))
    return verdict


def verify(
    leaf: Source,
    chain: Iterable[Source],
    trust: Trust,
    *,
    at: datetime,
    purpose: Purpose,
    name: ExpectedName | None = None,
    rules: Rules = Rules.PROFILE,
    revocation: Revocation = Revocation.GIVEN,
    policies: PolicyDemand = PolicyDemand(),  # noqa: B008 - it is frozen
    limits: Limits = Limits(),  # noqa: B008 - frozen too
) -> VerifiedPeer:
    """The same, but returns whom the chain proves, and raises ChainRefused where it proves nobody."""
    verdict, parsed = _examine(leaf, chain, trust, _question(at, purpose, name, rules, revocation, policies, limits))
    if verdict.path is None or parsed is None:
        raise ChainRefused(verdict.findings)
    by_kind: dict[str, list[str]] = {}
    for found in parsed.names:
        by_kind.setdefault(found.kind, []).append(found.text)
    uris = by_kind.get("uri", [])
    return VerifiedPeer(
        path=verdict.path,
        spiffe_id=_spiffe_id(uris),
        dns=tuple(by_kind.get("dns", ())),
        ips=tuple(found.value for found in parsed.names if found.kind == "ip" and found.value is not None),
        uris=tuple(uris),
        emails=tuple(by_kind.get("email", ())),
    )


def _question(
    at: datetime,
    purpose: Purpose,
    name: ExpectedName | None,
    rules: Rules,
    revocation: Revocation,
    policies: PolicyDemand,
    limits: Limits,
) -> Question:
    if at.tzinfo is None:
        raise ValueError("at= has no time zone")
    if isinstance(name, str):
        # An address is never the name of a host, however it was handed over.
        with suppress(ValueError):
            name = ip_address(name)
    return Question(at.astimezone(UTC), purpose, name, rules, revocation, policies, limits)


def _examine(leaf: Source, chain: Iterable[Source], trust: Trust, question: Question) -> tuple[Verdict, Parsed | None]:
    unread: list[tuple[str, Fault]] = []
    try:
        others = _readable(_within(chain, question.limits), "sent", unread)
    except TooComplex as too_many:
        return Verdict(None, (_too_complex(too_many),), (), ()), None
    beside = tuple(_finding(fault, where) for where, fault in (*trust.unread, *unread))
    parsed = read(leaf)
    if isinstance(parsed, Unreadable):
        return Verdict(None, (_finding(parsed.fault, "chain[0]", position=0), *beside), (), ()), None
    judgement = Judgement(trust.pool.more(others), trust.lists, question, Work(question.limits))
    judged, stopped = judgement.best(parsed)
    findings = [_placed(judged, position, fault) for position, fault in judged.faults]
    remarks = [_placed(judged, position, fault) for position, fault in judged.remarks]
    if stopped is not None:
        findings.insert(0, _too_complex(stopped))
    path = tuple(certificate.certificate for certificate in judged.path)
    if findings:
        return Verdict(None, (*findings, *beside), tuple(remarks), path), parsed
    return Verdict(path, (), (*remarks, *beside), path), parsed


def _within(chain: Iterable[Source], limits: Limits) -> Iterator[Source]:
    octets = 0
    for number, source in enumerate(chain, 1):
        octets += len(source) if isinstance(source, bytes) else len(source.tbs_certificate_bytes)
        if number > limits.certificates:
            raise TooComplex("certificates", limits.certificates)
        if octets > limits.octets:
            raise TooComplex("octets", limits.octets)
        yield source


def _readable(sources: Iterable[Source], kind: str, unread: list[tuple[str, Fault]]) -> list[Parsed]:
    found = []
    for number, source in enumerate(sources, 1):
        parsed = read(source)
        if isinstance(parsed, Unreadable):
            unread.append((f"{kind} {number}", parsed.fault))
        else:
            found.append(parsed)
    return found


def _spiffe_id(uris: list[str]) -> SpiffeID | None:
    if len(uris) != 1:
        return None
    try:
        return SpiffeID.parse(uris[0])
    except InvalidSetting:
        return None


def _too_complex(stopped: TooComplex) -> Finding:
    facts = {"limit": str(stopped.limit), "of": stopped.what}
    return Finding(Code.CHAIN_TOO_COMPLEX, "chain", f"judging it takes {stopped}", facts)


def _placed(judged: Judged, position: int, fault: Fault) -> Finding:
    certificate = judged.path[position]
    where = f"chain[{position}] {certificate.subject_text}"
    return _finding(fault, where, position, certificate)


def _finding(fault: Fault, where: str, position: int | None = None, certificate: Parsed | None = None) -> Finding:
    facts = {"field": fault.field, "section": fault.section}
    if position is not None:
        facts["position"] = str(position)
    if certificate is not None:
        facts["subject"] = certificate.subject_text
        facts["serial"] = certificate.serial.hex()
    return Finding(fault.code, where, fault.what, facts | dict(fault.facts))
