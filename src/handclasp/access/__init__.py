"""Who may call what: the language of the rules, and the evaluator that Envoy must agree with. Pure."""

from handclasp.access.evaluate import Decision, Request, decide
from handclasp.access.path import Normalised, Rejected, normalise
from handclasp.access.pattern import IdentityPattern, PathPattern
from handclasp.access.policy import ANYONE, Anyone, Policy, Rule, parse_method

__all__ = [
    "ANYONE",
    "Anyone",
    "Decision",
    "IdentityPattern",
    "Normalised",
    "PathPattern",
    "Policy",
    "Rejected",
    "Request",
    "Rule",
    "decide",
    "normalise",
    "parse_method",
]
