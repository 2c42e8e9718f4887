"""Finding paths from a certificate up to a trust anchor (RFC 4158), the likeliest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from handclasp.pki.chain_certificate import Parsed
from handclasp.pki.chain_names import Name
from handclasp.pki.chain_terms import TooComplex, Work

Path = tuple[Parsed, ...]
"""Certificates from the leaf upwards, each said to be issued by the next."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Certificates by subject. A certificate that is also an anchor stands with the anchors only."""

    anchors: dict[Name, list[Parsed]]
    others: dict[Name, list[Parsed]]
    trusted: frozenset[bytes]

    @classmethod
    def of(cls, anchors: Iterable[Parsed], others: Iterable[Parsed]) -> Pool:
        """The pool of these, each counted once."""
        by_der = {anchor.der: anchor for anchor in anchors}
        trusted = frozenset(by_der)
        rest = {other.der: other for other in others if other.der not in trusted}
        return cls(_by_subject(by_der.values()), _by_subject(rest.values()), trusted)

    def more(self, others: Iterable[Parsed]) -> Pool:
        """The same pool with the intermediates that one peer sent."""
        found: dict[bytes, Parsed] = {}
        for other in others:
            known = self.others.get(other.subject, ())
            if other.der not in self.trusted and all(other.der != one.der for one in known):
                found[other.der] = other
        if not found:
            return self
        merged = dict(self.others)
        for other in found.values():
            merged[other.subject] = [*merged.get(other.subject, ()), other]
        return Pool(self.anchors, merged, self.trusted)

    def named(self, subject: Name) -> list[Parsed]:
        """All with this subject, anchors first."""
        return [*self.anchors.get(subject, ()), *self.others.get(subject, ())]


def _by_subject(certificates: Iterable[Parsed]) -> dict[Name, list[Parsed]]:
    found: dict[Name, list[Parsed]] = {}
    for certificate in certificates:
        found.setdefault(certificate.subject, []).append(certificate)
    return found


class Search:
    """One search in a pool. After it, ``unfinished`` is the longest path that led nowhere, if any did."""

    def __init__(self, pool: Pool, at: datetime, longest: int, work: Work) -> None:
        self._pool = pool
        self._at = at
        self._longest = longest
        self._work = work
        self.unfinished: Path = ()

    def paths(self, leaf: Parsed) -> Iterator[Path]:
        """Every path to an anchor whose signatures are all good."""
        return self._up((leaf,), forgiving=False)

    def broken_paths(self, leaf: Parsed, tries: int) -> Iterator[Path]:
        """Some paths to an anchor by name only, to say which signature is wrong."""
        work = self._work
        self._work = _Few(tries)
        try:
            yield from self._up((leaf,), forgiving=True)
        except TooComplex:
            return
        finally:
            self._work = work

    def _up(self, path: Path, *, forgiving: bool) -> Iterator[Path]:
        top = path[-1]
        if top.der in self._pool.trusted:
            yield path
        if len(path) > len(self.unfinished):
            self.unfinished = path
        if len(path) >= self._longest:
            return
        for issuer in self._issuers(top):
            if any(issuer.subject == one.subject and issuer.spki == one.spki for one in path):
                continue  # the same authority again leads nowhere new (RFC 4158 §2.4.2)
            self._work.spend("steps")
            if not self._signed(top, issuer) and not forgiving:
                continue
            yield from self._up((*path, issuer), forgiving=forgiving)

    def _signed(self, certificate: Parsed, issuer: Parsed) -> bool:
        if issuer.spki not in certificate.issued:
            self._work.spend("signatures")
        return certificate.signed_by(issuer)

    def _issuers(self, certificate: Parsed) -> list[Parsed]:
        """Candidates by name: those whose key identifier fits, that are in date, and anchors come first."""
        wanted = certificate.issuer_key_identifier

        def unlikely(issuer: Parsed) -> tuple[bool, bool, bool, bool]:
            found = issuer.key_identifier
            return (
                wanted is not None and found is not None and found != wanted,
                not issuer.not_before <= self._at <= issuer.not_after,
                not issuer.authority,
                issuer.der not in self._pool.trusted,
            )

        candidates = self._pool.named(certificate.issuer)
        return sorted(candidates, key=unlikely) if len(candidates) > 1 else candidates


class _Few(Work):
    """A meter of its own for the search that only explains, so that it cannot turn an answer into none."""

    def __init__(self, tries: int) -> None:
        self._steps = tries

    def spend(self, what: str, amount: int = 1) -> None:
        self._steps -= amount
        if self._steps < 0:
            raise TooComplex(what, 0)
