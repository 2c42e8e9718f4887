"""Is the chain that a server sent trusted? Judged by our own verifier, each distinct chain once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import Code, Finding
from handclasp.pki import chain
from handclasp.pki.chain import Limits, Purpose, Revocation, Rules, Trust, Verdict
from handclasp.probe import served
from handclasp.probe.credentials import Credential
from handclasp.probe.served import Served

_MEMORY: Final = 10_000  # verdicts
_MEMORY_OCTETS: Final = 64 << 20  # of the chains that they are about: a stranger's may have half a megabyte
_LIMITS: Final = Limits(signatures=50, paths=16)
"""Servers choose what we judge: their keys may be made so that each signature takes 15 ms to check."""
_FRESH: Final = timedelta(hours=1)

_CODES: Final = MappingProxyType(
    {
        Code.CHAIN_REVOKED: Code.SERVER_CERT_REVOKED,
        Code.CHAIN_EXPIRED: Code.SERVER_CERT_EXPIRED,
        Code.CHAIN_NOT_YET_VALID: Code.SERVER_CERT_NOT_YET_VALID,
        Code.CHAIN_NAME_MISMATCH: Code.SERVER_CERT_HOSTNAME_MISMATCH,
        Code.CHAIN_SELF_SIGNED: Code.SERVER_CERT_SELF_SIGNED,
        Code.CHAIN_UNTRUSTED: Code.SERVER_CERT_UNKNOWN_CA,
        Code.CHAIN_EXTENDED_KEY_USAGE: Code.SERVER_CERT_WRONG_EKU,
        Code.CHAIN_WEAK_KEY: Code.SERVER_CERT_WEAK,
        Code.CHAIN_WEAK_SIGNATURE: Code.SERVER_CERT_WEAK,
        Code.CHAIN_CRL_MISSING: Code.SERVER_CRL_MISSING,
        Code.CHAIN_CRL_EXPIRED: Code.SERVER_CRL_EXPIRED,
    }
)


class Anchors:
    """Authorities to trust, by a name that reports use (``system``, ``own``, a file's). Read at their first use.

    ``load`` gives the certificates; it may raise Refused. ``crls`` are heeded for chains that end here.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Iterable[x509.Certificate | bytes]],
        crls: Iterable[x509.CertificateRevocationList | bytes] = (),
    ) -> None:
        self.name = name
        self._load = load
        self.crls = tuple(crls)

    def with_crls(self, crls: Iterable[x509.CertificateRevocationList | bytes]) -> Anchors:
        """The same, with these lists too."""
        return Anchors(self.name, self._load, (*self.crls, *crls))

    @cached_property
    def trust(self) -> Trust:
        """For the verifier."""
        return Trust.of(self._load(), crls=self.crls)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the verifier says of a chain. ``trusted_by`` are the names of the anchors that it leads to without fault.

    ``findings`` is empty where that is any; otherwise all the faults, in the words of the first anchors. ``remarks`` do
    not count against the chain. ``path`` is the valid path, or the candidate that came closest.
    """

    trusted_by: tuple[str, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    path: tuple[bytes, ...]


class Verifier:
    """Judges chains against one or more sets of anchors, each set by itself: they are never merged."""

    def __init__(self, anchors: Sequence[Anchors], *, revocation: Revocation = Revocation.GIVEN) -> None:
        if not anchors:
            raise ValueError("there is nothing to verify with")
        self._anchors = tuple(anchors)
        self._revocation = revocation
        self._known: OrderedDict[bytes, tuple[datetime, datetime, Judgement, int]] = OrderedDict()
        self._octets = 0
        self.verified = 0
        """How often a chain was really judged, and not remembered."""

    def with_crls(self, crls: Iterable[x509.CertificateRevocationList]) -> Verifier:
        """The same, heeding these lists too."""
        more = tuple(crls)
        return Verifier([one.with_crls(more) for one in self._anchors], revocation=self._revocation) if more else self

    def with_anchors(self, anchors: Anchors) -> Verifier:
        """Another with these authorities alone, which heeds the same lists."""
        crls = {id(crl): crl for one in self._anchors for crl in one.crls}
        return Verifier([anchors.with_crls(crls.values())], revocation=self._revocation)

    def for_credential(self, credential: Credential) -> Verifier:
        """With whom a server is verified before the credential is shown to it: the credential's authorities, if it
        has any."""
        ca = credential.anchors
        return self.with_anchors(Anchors(f"the CA of credential {credential.name}", lambda: ca)) if ca else self

    def judge(self, certificates: Sequence[bytes], name: str | None, at: datetime) -> Judgement:
        """The chain as served, leaf first; ``name`` is whom the leaf must name (a host name or an address, None:
        nobody)."""
        key = _key(certificates, name)
        known = self._known.get(key)
        if known is not None and known[0] < at < known[1]:
            self._known.move_to_end(key)
            return known[2]
        judgement = self._judge(certificates, name, at)
        self.verified += 1
        self._remember(key, (*_span(certificates, at), judgement, sum(map(len, certificates))))
        return judgement

    def _remember(self, key: bytes, known: tuple[datetime, datetime, Judgement, int]) -> None:
        old = self._known.pop(key, None)
        self._octets += known[3] - (old[3] if old is not None else 0)
        self._known[key] = known
        while len(self._known) > _MEMORY or (self._octets > _MEMORY_OCTETS and len(self._known) > 1):
            _, (_, _, _, octets) = self._known.popitem(last=False)
            self._octets -= octets

    def _judge(self, certificates: Sequence[bytes], name: str | None, at: datetime) -> Judgement:
        verdicts = [
            (
                one.name,
                chain.examine(
                    certificates[0],
                    certificates[1:],
                    one.trust,
                    at=at,
                    purpose=Purpose.SERVER,
                    name=_expected(name),
                    rules=Rules.PATH,
                    revocation=self._revocation,
                    limits=_LIMITS,
                ),
            )
            for one in self._anchors
        ]
        trusting = [(which, verdict) for which, verdict in verdicts if verdict.path is not None]
        if trusting:
            verdict = trusting[0][1]
            return Judgement(tuple(which for which, _ in trusting), (), _remarks(verdict), _ders(verdict.path or ()))
        # The faults of the anchors that came closest: fewest faults, then the first.
        _, closest = min(verdicts, key=lambda pair: len(pair[1].findings))
        leaf = [served.read(der) for der in certificates]
        return Judgement(
            (), tuple(_named(one, leaf) for one in closest.findings), _remarks(closest), _ders(closest.best)
        )


def _expected(name: str | None) -> chain.ExpectedName | None:
    if name is None:
        return None
    try:
        return ip_address(name)
    except ValueError:
        return name


def _ders(path: Iterable[x509.Certificate]) -> tuple[bytes, ...]:
    """The same in DER: ten thousand remembered certificates of the library take a hundred megabytes."""
    return tuple(served.read(one.public_bytes(Encoding.DER)).der for one in path)


def _remarks(verdict: Verdict) -> tuple[Finding, ...]:
    return verdict.remarks


def _named(finding: Finding, certificates: Sequence[Served]) -> Finding:
    """The verifier's finding as one about a server."""
    code = _CODES.get(finding.code, Code.SERVER_CHAIN_INVALID)
    what = finding.what
    if code is Code.SERVER_CERT_UNKNOWN_CA and _lacks_intermediate(certificates):
        code = Code.SERVER_CHAIN_INCOMPLETE
        what = f"{what}; the server does not send the certificate of {certificates[-1].issuer or 'its issuer'}"
    return Finding(code, finding.where, what, {**finding.facts, "rule": str(finding.code)})


def _lacks_intermediate(certificates: Sequence[Served]) -> bool:
    """Whether the last certificate says where its issuer's is to be fetched: then that one belongs into the chain."""
    subjects = {one.subject for one in certificates}
    last = certificates[-1]
    return last.fault is None and last.issuer not in subjects and bool(last.issuer_urls)


def _key(certificates: Sequence[bytes], name: str | None) -> bytes:
    digest = hashlib.sha256((name or "").encode())
    for der in certificates:
        digest.update(len(der).to_bytes(4, "big"))
        digest.update(der)
    return digest.digest()


def _span(certificates: Sequence[bytes], at: datetime) -> tuple[datetime, datetime]:
    """From when, and until when, the judgement holds: an hour to both sides, or to where a certificate begins or
    ends before that. Examinations that began earlier may end later."""
    since, until = at.astimezone(UTC) - _FRESH, at.astimezone(UTC) + _FRESH
    for der in certificates:
        one = served.read(der)
        for edge in (one.not_before, one.not_after):
            if at < edge < until:
                until = edge
            if since < edge <= at:
                since = edge
    return since, until
