"""Patterns of a rule: ``*`` is one whole segment that is not empty, ``**`` any number, none included (D14).

A pattern is read once, by ``parse()``; ``matches()`` and ``regex`` are two readings of the same segments and
agree on every text. The regex stays in the common part of RE2 and Python's ``re``, and is meant for a full match,
which is what Envoy's ``safe_regex`` does. Case counts everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from handclasp.access.path import Rejected, normalise
from handclasp.findings import InvalidSetting
from handclasp.pki.spiffe import SpiffeID, TrustDomain

ONE: Final = "*"
ANY_NUMBER: Final = "**"

_PATHS: Final = "a path such as /v1/orders, /v1/orders/* or /v1/orders/**"
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Paths as the rules see them (after normalisation, without the query).

    ``**`` also takes the empty last segment of a path that ends in a slash: ``/v1/orders/**`` matches
    ``/v1/orders``, ``/v1/orders/`` and ``/v1/orders/7``. ``/v1/orders`` matches itself alone.
    """

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Read a pattern such as ``/v1/orders/**``. One that could never match is an InvalidSetting too."""
        if not text.startswith("/"):
            raise InvalidSetting("", f"{text!r} does not begin with a slash", _PATHS)
        if any(ord(c) <= 0x20 or ord(c) == 0x7F for c in text):
            why = f"{text!r} contains a space or a control character, and a path never does"
            raise InvalidSetting("", why, "a space in a path is written %20")
        for mark, name in (("?", "a query, and rules see the path alone"), ("#", "a fragment, which is never sent")):
            if mark in text:
                raise InvalidSetting("", f"{text!r} contains {name}", f"write {text.partition(mark)[0]}")
        if not text.strip("/") and text != "/":
            raise InvalidSetting("", f"{text!r} has slashes with nothing between them", "write /")
        seen = normalise(quote(text, safe=_ASCII, encoding="utf-8", errors="surrogatepass"))
        if isinstance(seen, Rejected):
            raise InvalidSetting("", f"{text!r} can never match: {seen.why}, and is answered {seen.status}", _PATHS)
        if seen.path != text:
            why = f"{text!r} can never match: the gateway turns it into {seen.path!r} before the rules see it"
            raise InvalidSetting("", why, f"write {seen.path}")
        return cls(_segments(text[1:]))

    def matches(self, path: str) -> bool:
        """Whether this pattern describes the normalised path."""
        if path and not path.startswith("/"):
            return False
        return _match(self.segments, tuple(path.split("/")[1:]))

    @property
    def exact(self) -> str | None:
        """The one path that matches, where the pattern has no wildcard."""
        return None if _has_wildcard(self.segments) else str(self)

    @property
    def regex(self) -> str:
        """The same as a regular expression (RE2 and Python), for a full match."""
        return _regex(self.segments, any_number="(?:/[^/]*)*")

    def __str__(self) -> str:
        return "".join(f"/{segment}" for segment in self.segments)


@dataclass(frozen=True, slots=True)
class IdentityPattern:
    """SPIFFE IDs of one trust domain: ``spiffe://example.org/audit/*``."""

    trust_domain: TrustDomain
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, trust_domain: TrustDomain) -> IdentityPattern:
        """Read an identity, or a pattern of identities, of this trust domain. Raises InvalidSetting."""
        example = f"spiffe://{trust_domain}/checkout"
        if not text.startswith("spiffe://"):
            named = f"spiffe://{trust_domain}/{text}"
            suggestion = named if _is_identity(named) else example
            raise InvalidSetting("", f"{text!r} is not a SPIFFE ID", f"a SPIFFE ID such as {suggestion}")
        domain, _, path = text.removeprefix("spiffe://").partition("/")
        if domain != trust_domain.name:
            why = f"{text!r} is of another trust domain ({domain!r}) than this file's ({trust_domain})"
            raise InvalidSetting("", why, f"an identity of {trust_domain}, such as {example}")
        if not path:
            why = f"{text!r} names the trust domain itself and no caller in it"
            raise InvalidSetting("", why, f"{example}, or spiffe://{trust_domain}/** for every caller")
        segments = _segments(path)
        # The wildcards apart, a pattern is held to what a SPIFFE ID may contain.
        SpiffeID.parse(f"spiffe://{domain}/" + "/".join("x" if s in {ONE, ANY_NUMBER} else s for s in segments))
        return cls(trust_domain, segments)

    def matches(self, identity: str) -> bool:
        """Whether this pattern describes the identity, given as its URI."""
        domain = f"spiffe://{self.trust_domain}"
        if not identity.startswith(domain):
            return False
        rest = identity[len(domain) :]
        if rest and not rest.startswith("/"):
            return False
        segments = tuple(rest.split("/")[1:])
        return "" not in segments and _match(self.segments, segments)

    @property
    def exact(self) -> str | None:
        """The one identity that matches, where the pattern has no wildcard."""
        return None if _has_wildcard(self.segments) else str(self)

    @property
    def regex(self) -> str:
        """The same as a regular expression (RE2 and Python), for a full match."""
        return _escape(f"spiffe://{self.trust_domain}") + _regex(self.segments, any_number="(?:/[^/]+)*")

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}" + "".join(f"/{segment}" for segment in self.segments)


def _is_identity(text: str) -> bool:
    try:
        SpiffeID.parse(text)
    except InvalidSetting:
        return False
    return True


def _segments(path: str) -> tuple[str, ...]:
    segments = tuple(path.split("/"))
    for segment in segments:
        if "*" in segment and segment not in {ONE, ANY_NUMBER}:
            raise InvalidSetting(
                "",
                f"{segment!r}: * stands for one whole segment, and cannot be a part of one",
                "a segment written out, * for any one segment, or ** for any number of segments",
            )
    return segments


def _has_wildcard(segments: tuple[str, ...]) -> bool:
    return ONE in segments or ANY_NUMBER in segments


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Glob over segments: on a mismatch, the last ``**`` takes one segment more. Quadratic at worst."""
    p = s = 0
    star, resume = -1, 0
    while s < len(segments):
        if p < len(pattern) and pattern[p] == ANY_NUMBER:
            star, resume = p, s
            p += 1
        elif p < len(pattern) and (segments[s] != "" if pattern[p] == ONE else pattern[p] == segments[s]):
            p += 1
            s += 1
        elif star >= 0:
            resume += 1
            p, s = star + 1, resume
        else:
            return False
    return all(rest == ANY_NUMBER for rest in pattern[p:])


def _regex(segments: tuple[str, ...], *, any_number: str) -> str:
    parts = {ONE: "/[^/]+", ANY_NUMBER: any_number}
    return "".join(parts.get(segment) or _escape(f"/{segment}") for segment in segments)


def _escape(text: str) -> str:
    # RE2 takes a backslash before ASCII punctuation as Python does; before letters, digits and _ it does not.
    return re.sub(r"[^A-Za-z0-9_/:-]", lambda found: f"\\{found[0]}", text)
