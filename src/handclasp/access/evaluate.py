"""The evaluator: what the gateway answers to a request, and why; decision for decision as Envoy decides.

The domain: targets as in ``access.path``; methods that Envoy's HTTP/1.1 parser knows. Another method (``FOO``,
``get``) is answered 400 over HTTP/1.1 whatever the rules say, and passes to the rules over HTTP/2; the evaluator
answers for HTTP/2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from handclasp.access.path import AMBIGUOUS, Rejected, normalise
from handclasp.access.policy import Anyone, Policy, Rule
from handclasp.findings import Code
from handclasp.pki.spiffe import SpiffeID


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrives: the proved identity, the method, and the raw request target with its query.

    ``caller`` is None where no certificate was shown.
    """

    caller: SpiffeID | None
    method: str
    target: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the request passes; ``rule`` is the number of the first rule that allows it.

    ``path`` is the path as the rules see it, None if the request never reaches the rules. For a denial by the rules,
    ``near`` says of each rule in turn what did not fit.
    """

    allowed: bool
    rule: int | None
    code: Code
    path: str | None
    why: str
    near: tuple[str, ...] = ()


def decide(policy: Policy, request: Request) -> Decision:
    """Decide as the gateway does: certificate, then target (400), then the rules in the order of the file."""
    if policy.client_certificates and request.caller is None:
        why = f"{policy.service} requires a client certificate, and the caller shows none"
        return Decision(False, None, Code.CLIENT_CERT_MISSING, None, why)
    seen = normalise(request.target, method=request.method)
    if isinstance(seen, Rejected):
        return Decision(False, None, seen.code, None, f"the request is answered {seen.status}: {seen.why}")
    if re.fullmatch(AMBIGUOUS, seen.path):
        why = f"the request is answered 400: {seen.path} has a dot segment with parameters"
        return Decision(False, None, Code.ROUTE_PATH_REJECTED, None, why)
    caller = request.caller if policy.client_certificates else None
    near = []
    for rule in policy.rules:
        misses = _misses(rule, caller, request.method, seen.path)
        if not misses:
            return Decision(True, rule.number, Code.OK, seen.path, f"rule {rule.number} allows it")
        near.append(_explain(rule, misses))
    who = "anyone" if caller is None else str(caller)
    why = f"no rule of {policy.service} allows {who} {request.method} {seen.path}"
    if not policy.rules:
        why = f"{policy.service} has no rules, and what no rule allows is denied"
    return Decision(False, None, Code.POLICY_NO_RULE_ALLOWS, seen.path, why, tuple(near))


_CALLER = "this caller"


def _misses(rule: Rule, caller: SpiffeID | None, method: str, path: str) -> dict[str, str]:
    """What of the request the rule does not allow, each with what it would allow."""
    misses = {}
    if not isinstance(rule.callers, Anyone) and (
        caller is None or not any(pattern.matches(str(caller)) for pattern in rule.callers)
    ):
        misses[_CALLER] = ", ".join(map(str, rule.callers))
    if rule.methods is not None and method not in rule.methods:
        hint = "; GET does not imply HEAD" if method == "HEAD" and "GET" in rule.methods else ""
        misses[f"the method {method}"] = ", ".join(sorted(rule.methods)) + hint
    if rule.paths is not None and not any(pattern.matches(path) for pattern in rule.paths):
        misses[f"the path {path}"] = ", ".join(map(str, rule.paths))
    return misses


def _explain(rule: Rule, misses: dict[str, str]) -> str:
    said = [f"{what} ({allowed})" for what, allowed in misses.items()]
    if _CALLER in misses:
        return f"rule {rule.number} does not allow " + " nor ".join(said)
    caller = "anyone" if isinstance(rule.callers, Anyone) else _CALLER
    if len(said) == 1:
        return f"rule {rule.number} allows {caller}, but not {said[0]}"
    return f"rule {rule.number} allows {caller}, but neither {said[0]} nor {said[1]}"
