"""Certificate policies (RFC 5280 §6.1.2 to §6.1.5), on the graph of RFC 9618.

The tree of RFC 5280 grows exponentially with mappings; the graph has a node a policy and level, and the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from handclasp.findings import Code
from handclasp.pki.chain_certificate import Parsed
from handclasp.pki.chain_terms import ANY_POLICY, Fault, PolicyDemand, Work


@dataclass(slots=True)
class _Node:
    """A policy on one level: what the next level may call it, and the policies of the level above it comes from."""

    expected: set[str]
    parents: set[str] = field(default_factory=set)


_Level = dict[str, _Node]


def policy_faults(path: Sequence[Parsed], demand: PolicyDemand, work: Work) -> Iterator[tuple[int, Fault]]:
    """Faults of the path (leaf first) by position; the certificate of the anchor itself is not processed (§6.1)."""
    chain = path[-2::-1] if len(path) > 1 else path
    last = len(chain)
    explicit = 0 if demand.explicit else last + 1
    mapping = 0 if demand.inhibit_mapping else last + 1
    any_policy = 0 if demand.inhibit_any else last + 1
    levels: list[_Level] | None = [{ANY_POLICY: _Node({ANY_POLICY})}]
    for number, certificate in enumerate(chain, 1):
        position = last - number
        if levels is not None:
            may_any = any_policy > 0 or (number < last and certificate.self_issued)
            levels = _grown(levels, certificate, may_any, work)
        if number < last:
            if any(ANY_POLICY in pair for pair in certificate.mappings):
                yield (
                    position,
                    _fault("policyMappings", "anyPolicy is mapped, which is forbidden", "RFC 5280 §6.1.4 (a)"),
                )
            if levels is not None and certificate.mappings:
                levels = _mapped(levels, certificate, mapping > 0)
            if not certificate.self_issued:
                explicit, mapping, any_policy = max(explicit - 1, 0), max(mapping - 1, 0), max(any_policy - 1, 0)
            if certificate.require_explicit is not None:
                explicit = min(explicit, certificate.require_explicit)
            if certificate.inhibit_mapping is not None:
                mapping = min(mapping, certificate.inhibit_mapping)
            if certificate.inhibit_any is not None:
                any_policy = min(any_policy, certificate.inhibit_any)
        else:
            explicit = max(explicit - 1, 0)
            if certificate.require_explicit == 0:
                explicit = 0
        if explicit == 0 and levels is None:
            what = "no certificate policy is valid along the path down to this certificate, and one is required"
            yield position, _fault("certificatePolicies", what, "RFC 5280 §6.1.3 (f)")
            return
    if explicit == 0 and not _accepted(levels, demand.accepted):
        what = f"none of its policies is one of those asked for ({', '.join(sorted(demand.accepted))})"
        yield 0, _fault("certificatePolicies", what, "RFC 5280 §6.1.5 (g)")


def _fault(where: str, what: str, section: str) -> Fault:
    return Fault(Code.CHAIN_POLICY, where, what, section)


def _grown(levels: list[_Level], certificate: Parsed, may_any: bool, work: Work) -> list[_Level] | None:
    """One level more (§6.1.3 (d) and (e)); None where no policy is left."""
    if certificate.policies is None:
        return None
    above = levels[-1]
    by_expected: dict[str, set[str]] = {}
    for policy, node in above.items():
        for expected in node.expected:
            by_expected.setdefault(expected, set()).add(policy)
    level: _Level = {}
    work.spend("policies", len(certificate.policies) + len(by_expected))
    for policy in certificate.policies:
        if policy == ANY_POLICY:
            continue
        parents = by_expected.get(policy) or ({ANY_POLICY} if ANY_POLICY in above else set())
        if parents:
            level[policy] = _Node({policy}, set(parents))
    if ANY_POLICY in certificate.policies and may_any:
        for policy, parents in by_expected.items():
            if policy not in level:
                level[policy] = _Node({policy}, set(parents))
    return _pruned([*levels, level])


def _mapped(levels: list[_Level], certificate: Parsed, allowed: bool) -> list[_Level] | None:
    """Policy mappings applied to the last level (§6.1.4 (b))."""
    level = levels[-1]
    targets: dict[str, set[str]] = {}
    for issuer, subject in certificate.mappings:
        targets.setdefault(issuer, set()).add(subject)
    for policy, subjects in targets.items():
        if not allowed:
            level.pop(policy, None)
        elif policy in level:
            level[policy].expected = subjects
        elif ANY_POLICY in level:
            level[policy] = _Node(subjects, {ANY_POLICY})
    return _pruned(levels)


def _pruned(levels: list[_Level]) -> list[_Level] | None:
    """Nodes without a child go, level by level upwards; None where nothing is left."""
    for upper, lower in zip(levels[-2::-1], levels[:0:-1], strict=True):
        needed = {parent for node in lower.values() for parent in node.parents}
        for policy in [policy for policy in upper if policy not in needed]:
            del upper[policy]
    return levels if levels[-1] else None


def _accepted(levels: list[_Level] | None, asked: frozenset[str]) -> bool:
    """Whether the intersection with the policies asked for holds any (§6.1.5 (g), RFC 9618 §5.5)."""
    if levels is None:
        return False
    if ANY_POLICY in asked or ANY_POLICY in levels[-1]:
        return bool(asked)
    return any(policy in asked and ANY_POLICY in node.parents for level in levels[1:] for policy, node in level.items())
