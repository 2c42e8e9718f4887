"""Rules, and the decisions that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from handclasp.access import ANYONE, Decision, IdentityPattern, PathPattern, Policy, Request, Rule, decide, parse_method
from handclasp.findings import Code, InvalidSetting
from handclasp.pki.spiffe import SpiffeID, TrustDomain

EXAMPLE = TrustDomain.parse("example.org")
CHECKOUT = SpiffeID.parse("spiffe://example.org/checkout")
NIGHTLY = SpiffeID.parse("spiffe://example.org/audit/nightly")


def rule(
    number: int, allow: str | Sequence[str], methods: Sequence[str] | None = None, paths: Sequence[str] | None = None
) -> Rule:
    return Rule.parse(number, allow=allow, methods=methods, paths=paths, trust_domain=EXAMPLE)


ORDERS = Policy(
    "orders",
    client_certificates=True,
    rules=(
        rule(1, "spiffe://example.org/checkout", ["GET", "POST"], ["/v1/orders/**"]),
        rule(2, "spiffe://example.org/audit/*", ["GET"]),
        rule(3, ["spiffe://example.org/checkout", "spiffe://example.org/audit/**"], None, ["/v1/health"]),
    ),
)


@pytest.mark.parametrize(
    ("caller", "method", "target", "number"),
    [
        (CHECKOUT, "GET", "/v1/orders", 1),
        (CHECKOUT, "POST", "/v1/orders/7?dry=1", 1),
        (CHECKOUT, "GET", "/x/..//v1/%6frders/7", 1),
        (CHECKOUT, "GET", "http://orders.example.org/v1/orders", 1),
        (NIGHTLY, "GET", "/anything", 2),
        (NIGHTLY, "GET", "/v1/health", 2),
        (NIGHTLY, "HEAD", "/v1/health", 3),
        (CHECKOUT, "DELETE", "/v1/health", 3),
        (CHECKOUT, "DELETE", "/v1/orders/7", None),
        (CHECKOUT, "HEAD", "/v1/orders", None),
        (CHECKOUT, "get", "/v1/orders", None),
        (CHECKOUT, "GET", "/v1/orders/../users", None),
        (CHECKOUT, "GET", "/v1/users?/v1/orders", None),
        (SpiffeID.parse("spiffe://partner.org/checkout"), "GET", "/v1/orders", None),
    ],
    ids=str,
)
def test_the_first_rule_that_fits_decides(caller: SpiffeID, method: str, target: str, number: int | None) -> None:
    """A rule allows what fits its callers, methods and paths together; the query counts nowhere."""
    decision = decide(ORDERS, Request(caller, method, target))
    assert (decision.allowed, decision.rule) == (number is not None, number)


def test_what_is_allowed_names_its_rule() -> None:
    """An allowed request carries the rule, the path as the rules saw it, and no near misses."""
    assert decide(ORDERS, Request(CHECKOUT, "GET", "/v1//orders/./7?x")) == Decision(
        True, 1, Code.OK, "/v1/orders/7", "rule 1 allows it"
    )


@pytest.mark.parametrize(
    ("caller", "method", "target", "near"),
    [
        (
            CHECKOUT,
            "DELETE",
            "/v1/orders/7",
            (
                "rule 1 allows this caller, but not the method DELETE (GET, POST)",
                "rule 2 does not allow this caller (spiffe://example.org/audit/*) nor the method DELETE (GET)",
                "rule 3 allows this caller, but not the path /v1/orders/7 (/v1/health)",
            ),
        ),
        (
            CHECKOUT,
            "HEAD",
            "/v2",
            (
                "rule 1 allows this caller, but neither the method HEAD (GET, POST; GET does not imply HEAD) "
                "nor the path /v2 (/v1/orders/**)",
                "rule 2 does not allow this caller (spiffe://example.org/audit/*) "
                "nor the method HEAD (GET; GET does not imply HEAD)",
                "rule 3 allows this caller, but not the path /v2 (/v1/health)",
            ),
        ),
    ],
    ids=["method or path", "method and path"],
)
def test_a_denial_says_of_every_rule_what_did_not_fit(
    caller: SpiffeID, method: str, target: str, near: tuple[str, ...]
) -> None:
    """Near misses are in the order of the rules, and name what each would have allowed."""
    decision = decide(ORDERS, Request(caller, method, target))
    why = f"no rule of orders allows {caller} {method} {decision.path}"
    assert decision == Decision(False, None, Code.POLICY_NO_RULE_ALLOWS, decision.path, why, near)


def test_no_rules_deny_everything() -> None:
    """An empty list of rules allows nobody."""
    assert decide(Policy("orders", True, ()), Request(CHECKOUT, "GET", "/")) == Decision(
        False, None, Code.POLICY_NO_RULE_ALLOWS, "/", "orders has no rules, and what no rule allows is denied"
    )


def test_a_refused_target_is_refused_before_any_rule() -> None:
    """Not even a rule that allows everything helps a path with two readings."""
    policy = Policy("orders", True, (rule(1, "spiffe://example.org/**"),))
    assert decide(policy, Request(CHECKOUT, "GET", "/a%2fb")) == Decision(
        False,
        None,
        Code.ROUTE_PATH_REJECTED,
        None,
        "the request is answered 400: an encoded slash (%2F or %5C) can be read in two ways",
    )


def test_a_caller_without_a_certificate_is_refused() -> None:
    """Where certificates are required, their absence is the reason."""
    assert decide(ORDERS, Request(None, "GET", "/v1/orders")) == Decision(
        False,
        None,
        Code.CLIENT_CERT_MISSING,
        None,
        "orders requires a client certificate, and the caller shows none",
    )


@pytest.mark.parametrize("caller", [None, CHECKOUT], ids=["none", "some"])
def test_anyone_is_everyone_where_there_are_no_certificates(caller: SpiffeID | None) -> None:
    """A service without client certificates has no identities: every caller is the same."""
    policy = Policy("public", False, (rule(1, "anyone", ["GET"]),))
    assert decide(policy, Request(caller, "GET", "/")).rule == 1
    assert decide(policy, Request(caller, "PUT", "/")) == Decision(
        False,
        None,
        Code.POLICY_NO_RULE_ALLOWS,
        "/",
        "no rule of public allows anyone PUT /",
        ("rule 1 allows anyone, but not the method PUT (GET)",),
    )


def test_a_rule_reads_into_values() -> None:
    """Absent fields are None (any); the name sorts in the order of the file."""
    assert rule(7, ["spiffe://example.org/a/*"], ["GET", "GET"], ["/a"]) == Rule(
        7, (IdentityPattern(EXAMPLE, ("a", "*")),), frozenset({"GET"}), (PathPattern(("a",)),)
    )
    assert rule(7, "anyone") == Rule(7, ANYONE, None, None)
    assert rule(7, "anyone").name == "rule-007"


@pytest.mark.parametrize(
    ("allow", "methods", "paths", "path", "allowed"),
    [
        ("checkout", None, None, "allow", "a SPIFFE ID such as spiffe://example.org/checkout"),
        (
            ["spiffe://example.org/a", "b"],
            None,
            None,
            "allow[1]",
            "a SPIFFE ID such as spiffe://example.org/b",
        ),
        (["anyone"], None, None, "allow[0]", "allow: anyone"),
        ([], None, None, "allow", "one SPIFFE ID, or a list of them"),
        ("anyone", ["GET", "post"], None, "methods[1]", "POST"),
        ("anyone", [], None, "methods", "at least one method; leave methods out to allow any"),
        ("anyone", None, ["/a", "/b//c"], "paths[1]", "write /b/c"),
        ("anyone", None, [], "paths", "at least one path; leave paths out to allow any"),
    ],
    ids=["name", "in a list", "anyone in a list", "no callers", "method", "no methods", "path", "no paths"],
)
def test_an_error_in_a_rule_says_where(
    allow: str | list[str], methods: list[str] | None, paths: list[str] | None, path: str, allowed: str
) -> None:
    """The path of the error is that of the value below the rule."""
    with pytest.raises(InvalidSetting) as caught:
        rule(1, allow, methods, paths)
    assert (caught.value.path, caught.value.allowed) == (path, allowed)


@pytest.mark.parametrize(
    ("client_certificates", "allow", "why"),
    [
        (True, "anyone", "anyone is for services without client certificates, and this service requires them"),
        (
            False,
            "spiffe://example.org/a",
            "this service asks for no client certificates, so its callers have no identities",
        ),
    ],
    ids=["anyone with certificates", "identity without"],
)
def test_anyone_and_identities_do_not_mix(client_certificates: bool, allow: str, why: str) -> None:
    """anyone belongs to services without client certificates, identities to the others (D15)."""
    with pytest.raises(InvalidSetting) as caught:
        Policy("orders", client_certificates, (rule(1, allow),))
    assert (caught.value.path, caught.value.why) == ("rules[0].allow", why)


def test_there_are_as_many_rules_as_their_names_can_sort() -> None:
    """Envoy evaluates policies by name; beyond rule-999 names would no longer sort as the file does."""
    policy = Policy("orders", False, tuple(rule(n, "anyone") for n in range(1, 1000)))
    assert [r.name for r in policy.rules] == sorted(r.name for r in policy.rules)
    with pytest.raises(InvalidSetting):
        Policy("orders", False, (*policy.rules, rule(1000, "anyone")))


@pytest.mark.parametrize("text", ["GET", "PATCH", "M-SEARCH", "X!"], ids=str)
def test_a_method_is_an_upper_case_token(text: str) -> None:
    """Any token in capitals is a method (RFC 9110 section 9.1)."""
    assert parse_method(text) == text


@pytest.mark.parametrize(
    ("text", "why", "allowed"),
    [
        ("get", "'get' is not written in capitals, and case counts in methods", "GET"),
        ("*", "'*' is not a request method", "leave methods out to allow any"),
        ("Post", "'Post' is not written in capitals, and case counts in methods", "POST"),
    ]
    + [
        (
            text,
            f"{text!r} is not a request method",
            "a method in capitals, such as GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS",
        )
        for text in ("", "GET ", "GET,POST", "É")
    ],
    ids=ascii,
)
def test_what_is_no_method_is_an_error(text: str, why: str, allowed: str) -> None:
    """Lower case names the method in capitals; everything else an example."""
    with pytest.raises(InvalidSetting) as caught:
        parse_method(text)
    assert (caught.value.path, caught.value.why, caught.value.allowed) == ("", why, allowed)
