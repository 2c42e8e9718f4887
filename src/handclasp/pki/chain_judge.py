"""Judging one path, and choosing between the paths there are (RFC 5280 §6.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from cryptography import x509

from handclasp.findings import Code
from handclasp.pki import chain_names, chain_policy, chain_rules
from handclasp.pki.chain_certificate import UNREADABLE, Parsed, quiet
from handclasp.pki.chain_crl import Lists, ParsedCRL
from handclasp.pki.chain_names import Name
from handclasp.pki.chain_path import Path, Pool, Search
from handclasp.pki.chain_terms import Fault, Purpose, Question, Revocation, Rules, TooComplex, Work

_EXPLAINING_STEPS = 64  # tries to find a path whose signatures are wrong, when there is no other
_NESTED = 4  # signers of lists whose own lists have signers of their own, and so on

Placed = tuple[int, Fault]


@dataclass(frozen=True, slots=True)
class Judged:
    """A path and all that is wrong with it, by position from the leaf."""

    path: Path
    anchored: bool
    faults: tuple[Placed, ...]
    remarks: tuple[Placed, ...]

    @property
    def rank(self) -> tuple[bool, int]:
        """The smaller, the closer to a valid path."""
        return (not self.anchored, len(self.faults))


class Judgement:
    """One examination: a pool, lists, a question, and the meter that all of it shares."""

    def __init__(
        self,
        pool: Pool,
        lists: dict[Name, list[ParsedCRL]],
        question: Question,
        work: Work,
        signing: tuple[bytes, ...] = (),
    ) -> None:
        self._pool = pool
        self._by_issuer = lists
        self._question = question
        self._work = work
        self._signing = signing
        self._signers: dict[tuple[bytes, bytes], bool] = {}

    def best(self, leaf: Parsed) -> tuple[Judged, TooComplex | None]:
        """The first valid path, or else the one that came closest; and which limit ended the search, if one did."""
        best: Judged | None = None
        stopped: TooComplex | None = None
        search = Search(self._pool, self._question.at, self._question.limits.longest, self._work)
        try:
            for path in search.paths(leaf):
                self._work.spend("paths")
                judged = self._judged(path)
                if not judged.faults:
                    return judged, None
                if best is None or judged.rank < best.rank:
                    best = judged
        except TooComplex as error:
            stopped = error
        if best is None:
            best = self._explained(search, leaf, whole=stopped is None)
        return best, stopped

    def _explained(self, search: Search, leaf: Parsed, *, whole: bool) -> Judged:
        """Why there is no path with good signatures."""
        longest = search.unfinished or (leaf,)
        best: Judged | None = None
        try:
            if whole:
                for path in search.broken_paths(leaf, _EXPLAINING_STEPS):
                    judged = self._judged(path)
                    if best is None or judged.rank < best.rank:
                        best = judged
            return best or self._judged(longest, anchored=False)
        except TooComplex:
            return best or Judged((leaf,), anchored=False, faults=((0, _untrusted((leaf,), self._pool)),), remarks=())

    def _judged(self, path: Path, *, anchored: bool = True) -> Judged:
        question = self._question
        faults: list[Placed] = []
        remarks: list[Placed] = []
        for position, certificate in enumerate(path):
            anchor = anchored and position == len(path) - 1
            faults.extend((position, fault) for fault in self._alone(path, position, anchor=anchor))
            form = ((position, fault) for fault in chain_rules.form_faults(certificate, anchor=anchor and position > 0))
            (faults if question.rules is Rules.PROFILE else remarks).extend(form)
        if not anchored:
            faults.append((len(path) - 1, _untrusted(path, self._pool)))
        faults.extend(chain_rules.path_lengths(path, question.limits.depth))
        faults.extend(chain_rules.name_constraints(path, self._work))
        if anchored:
            faults.extend(chain_policy.policy_faults(path, question.policies, self._work))
        if question.revocation is not Revocation.IGNORE:
            faults.extend(self._revocation(path))
        faults.sort(key=lambda placed: placed[0])
        return Judged(path, anchored, tuple(faults), tuple(remarks))

    def _alone(self, path: Path, position: int, *, anchor: bool) -> Iterator[Fault]:
        """The rules for one certificate in its place, in the order of §6.1.3 and §6.1.4."""
        certificate, question = path[position], self._question
        yield from certificate.faults
        if position + 1 < len(path):
            yield from _issued(certificate, path[position + 1], question.rules)
        elif not anchor and not certificate.same_algorithm:
            yield _two_algorithms()
        yield from chain_rules.strength_faults(certificate, question.rules, anchor=anchor)
        yield from chain_rules.dates(certificate, question.at)
        if position:
            yield from chain_rules.issuer_rules(certificate, anchor=anchor, rules=question.rules)
        yield from chain_rules.purpose_rules(certificate, question.purpose, leaf=position == 0)
        if position == 0:
            yield from chain_rules.leaf_names(certificate, question)
        yield from chain_rules.critical_extensions(certificate)

    def _revocation(self, path: Path) -> Iterator[Placed]:
        question = self._question
        if question.revocation is Revocation.GIVEN and not self._by_issuer:
            return
        for position, (certificate, issuer) in enumerate(pairwise(path)):

            def signer(crl: ParsedCRL, issuer: Parsed, certificate: Parsed = certificate) -> Parsed | None:
                return self._signer(crl, issuer, path[-1], certificate)

            lists = Lists(self._by_issuer, question.at, question.revocation, question.rules, signer, self._work)
            for fault in lists.faults(certificate, issuer):
                yield position, fault

    def _signer(self, crl: ParsedCRL, issuer: Parsed, anchor: Parsed, target: Parsed) -> Parsed | None:
        """Whose key signed a list (§6.3.3 (f) and (g)): the issuer, or another with a path to the same anchor."""
        candidates = [issuer] if issuer.subject == crl.issuer else []
        candidates += [other for other in self._pool.named(crl.issuer) if other is not issuer]
        for candidate in candidates:
            usage = candidate.key_usage
            if usage is not None and not usage.crl_sign:
                continue
            if candidate.spki not in crl.issued:
                self._work.spend("signatures")
            if not crl.signed_by(candidate):
                continue
            if candidate is issuer or candidate.der == anchor.der or self._valid_signer(candidate, anchor, target):
                return candidate
        return None

    def _valid_signer(self, candidate: Parsed, anchor: Parsed, target: Parsed) -> bool:
        """Whether a signer of lists, which is not in the path, is valid itself, its revocation looked at too."""
        if candidate.der == target.der:
            # A list cannot vouch for the key that signed it, unless the certificate's issuer wants it so (§4.2.1.13).
            return _names_itself(candidate)
        if candidate.der in self._signing or len(self._signing) >= _NESTED:
            return False
        key = (candidate.der, anchor.der)
        if key not in self._signers:
            pool = replace(self._pool, anchors={anchor.subject: [anchor]}, trusted=frozenset({anchor.der}))
            question = replace(self._question, purpose=Purpose.ANY, name=None)
            nested = Judgement(pool, self._by_issuer, question, self._work, (*self._signing, target.der, candidate.der))
            judged, stopped = nested.best(candidate)
            self._signers[key] = stopped is None and not judged.faults
        return self._signers[key]


def _issued(certificate: Parsed, issuer: Parsed, rules: Rules) -> Iterator[Fault]:
    """Whether the next one really issued it (§6.1.3 (a) (1)); the names match, or it would not stand there."""
    if not certificate.same_algorithm:
        yield _two_algorithms()
    if not certificate.signed_by(issuer):
        what = f"its signature was not made by the key of {issuer.subject_text}"
        yield Fault(Code.CHAIN_BAD_SIGNATURE, "signatureValue", what, "RFC 5280 §6.1.3 (a) (1)")
    wanted, found = certificate.issuer_key_identifier, issuer.key_identifier
    if rules is Rules.PROFILE and wanted is not None and found is not None and wanted != found:
        what = f"it names the key {wanted.hex()} as its issuer's, which has the identifier {found.hex()}"
        yield Fault(Code.CHAIN_EXTENSION, "authorityKeyIdentifier", what, "RFC 5280 §4.2.1.1")


def _names_itself(certificate: Parsed) -> bool:
    named = (name for point in certificate.points for name in point.crl_issuer or ())
    return any(
        chain_names.normal(name.value) == certificate.subject for name in named if isinstance(name, x509.DirectoryName)
    )


def _two_algorithms() -> Fault:
    what = "it names two different signature algorithms, inside and outside of what is signed"
    return Fault(Code.CHAIN_MALFORMED, "signatureAlgorithm", what, "RFC 5280 §4.1.1.2")


def _untrusted(path: Path, pool: Pool) -> Fault:
    top = path[-1]
    if top.self_issued and top.signed_by(top):
        code = Code.CHAIN_SELF_SIGNED if len(path) == 1 else Code.CHAIN_UNTRUSTED
        return Fault(code, "issuer", "it is self-signed and not trusted", "RFC 5280 §6.1")
    issuer = _text(top)
    if pool.named(top.issuer):
        what = f"none of the certificates of {issuer} issued it, or each leads round in a circle or too far"
    else:
        what = f"the certificate of its issuer, {issuer}, was not sent and is not trusted"
    return Fault(Code.CHAIN_UNTRUSTED, "issuer", what, "RFC 5280 §6.1", {"issuer": issuer})


def _text(certificate: Parsed) -> str:
    try:
        with quiet():
            return chain_names.shown(certificate.certificate.issuer.rfc4514_string()) or "(the empty name)"
    except UNREADABLE:
        return "(a name that cannot be read)"
