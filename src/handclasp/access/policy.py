"""The rules of one service. Rules only allow; what no rule allows is denied, so no rules deny everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from handclasp.access.pattern import IdentityPattern, PathPattern
from handclasp.findings import InvalidSetting
from handclasp.pki.spiffe import SpiffeID, TrustDomain


@dataclass(frozen=True, slots=True)
class Anyone:
    """Every caller, where callers have no identities (a service without client certificates, D15)."""

    def __str__(self) -> str:
        return "anyone"


ANYONE: Final = Anyone()
MAX_RULES: Final = 999  # Rule.name sorts as the file does, and Envoy evaluates policies in the order of their names.


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: it allows a request that fits its callers and its methods and its paths.

    ``number`` counts from 1 in the order of the file. ``methods`` or ``paths`` that are None mean any.
    """

    number: int
    callers: tuple[IdentityPattern, ...] | Anyone
    methods: frozenset[str] | None = None
    paths: tuple[PathPattern, ...] | None = None

    @classmethod
    def parse(
        cls,
        number: int,
        *,
        allow: str | Sequence[str],
        methods: Sequence[str] | None = None,
        paths: Sequence[str] | None = None,
        trust_domain: TrustDomain,
    ) -> Rule:
        """Read one rule as a person wrote it. InvalidSetting carries the path below the rule (``paths[1]``)."""
        return cls(
            number=number,
            callers=_callers(allow, trust_domain),
            methods=None if methods is None else frozenset(_methods(methods)),
            paths=None if paths is None else tuple(_paths(paths)),
        )

    def names(self, caller: SpiffeID) -> bool:
        """Whether the rule is for this caller, whatever the methods and paths."""
        return not isinstance(self.callers, Anyone) and any(pattern.matches(str(caller)) for pattern in self.callers)

    def __str__(self) -> str:
        """The rule in one line, as replies show it: ``1: spiffe://example.org/audit/* GET /v1/**``."""
        callers = str(self.callers) if isinstance(self.callers, Anyone) else ", ".join(map(str, self.callers))
        methods = "any method" if self.methods is None else ", ".join(sorted(self.methods))
        paths = "any path" if self.paths is None else ", ".join(map(str, self.paths))
        return f"{self.number}: {callers} may {methods} {paths}"

    @property
    def name(self) -> str:
        """The name of the rule in Envoy's policies, logs and statistics: ``rule-001``."""
        return f"rule-{self.number:03d}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may call a service: ``anyone`` where there are no client certificates, identities elsewhere."""

    service: str
    client_certificates: bool
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if len(self.rules) > MAX_RULES:
            raise InvalidSetting("rules", f"there are {len(self.rules)} rules", f"at most {MAX_RULES} rules a service")
        for index, rule in enumerate(self.rules):
            if rule.number != index + 1:
                raise ValueError(f"rule {rule.number} stands at position {index + 1}")
            anyone = isinstance(rule.callers, Anyone)
            if anyone and self.client_certificates:
                raise InvalidSetting(
                    f"rules[{index}].allow",
                    "anyone is for services without client certificates, and this service requires them",
                    "SPIFFE IDs (spiffe://<trust domain>/** for every caller), or client_certificates: off",
                )
            if not anyone and not self.client_certificates:
                raise InvalidSetting(
                    f"rules[{index}].allow",
                    "this service asks for no client certificates, so its callers have no identities",
                    "allow: anyone, or client_certificates: required",
                )


def parse_method(text: str) -> str:
    """A request method: an upper-case token (RFC 9110 section 9.1; methods are case-sensitive)."""
    example = "a method in capitals, such as GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS"
    if text == "*":  # a token by the grammar, but nobody means a method by it
        raise InvalidSetting("", "'*' is not a request method", "leave methods out to allow any")
    if not _TOKEN.fullmatch(text):
        raise InvalidSetting("", f"{text!r} is not a request method", example)
    if text != text.upper():
        raise InvalidSetting("", f"{text!r} is not written in capitals, and case counts in methods", text.upper())
    return text


T = TypeVar("T")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _callers(allow: str | Sequence[str], trust_domain: TrustDomain) -> tuple[IdentityPattern, ...] | Anyone:
    if isinstance(allow, str):
        if allow == str(ANYONE):
            return ANYONE
        return (_at("allow", partial(IdentityPattern.parse, allow, trust_domain)),)
    _not_empty("allow", allow, "one SPIFFE ID, or a list of them")
    patterns = []
    for index, text in enumerate(allow):
        where = f"allow[{index}]"
        if text == str(ANYONE):
            raise InvalidSetting(where, "anyone stands alone, not in a list", "allow: anyone")
        patterns.append(_at(where, partial(IdentityPattern.parse, text, trust_domain)))
    return tuple(patterns)


def _methods(methods: Sequence[str]) -> list[str]:
    _not_empty("methods", methods, "at least one method; leave methods out to allow any")
    return [_at(f"methods[{index}]", partial(parse_method, text)) for index, text in enumerate(methods)]


def _paths(paths: Sequence[str]) -> list[PathPattern]:
    _not_empty("paths", paths, "at least one path; leave paths out to allow any")
    return [_at(f"paths[{index}]", partial(PathPattern.parse, text)) for index, text in enumerate(paths)]


def _not_empty(path: str, values: Sequence[str], allowed: str) -> None:
    if not values:
        raise InvalidSetting(path, "the list is empty, so the rule could never allow anything", allowed)


def _at(path: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except InvalidSetting as error:
        raise error.at(path) from None
