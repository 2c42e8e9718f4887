"""Patterns of the names that a profile allows."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.pki.name_rules import ANY_NAME, NameRules
from handclasp.pki.names import Names
from handclasp.pki.spiffe import SpiffeID


def names(*texts: str) -> Names:
    spiffe = [SpiffeID.parse(text) for text in texts if text.startswith("spiffe:")]
    ips = tuple(ip_address(text.removeprefix("ip:")) for text in texts if text.startswith("ip:"))
    dns = tuple(text for text in texts if ":" not in text)
    return Names(spiffe[0] if spiffe else None, dns, ips)


@pytest.mark.parametrize(
    ("rules", "allowed", "refused"),
    [
        pytest.param(
            NameRules(spiffe=("spiffe://example.org/jobs/*",)),
            ["spiffe://example.org/jobs/a"],
            ["spiffe://example.org/jobs", "spiffe://example.org/jobs/a/b", "spiffe://example.com/jobs/a"],
            id="one segment",
        ),
        pytest.param(
            NameRules(spiffe=("jobs/**", "/audit")),
            ["spiffe://example.org/jobs", "spiffe://example.com/jobs/a/b", "spiffe://example.org/audit"],
            ["spiffe://example.org/job", "spiffe://example.org/a/jobs", "spiffe://example.org/audit/a"],
            id="paths in any trust domain",
        ),
        pytest.param(
            NameRules(spiffe=("**/prod/**/api",)),
            ["spiffe://example.org/prod/api", "spiffe://example.org/a/prod/prod/b/api"],
            ["spiffe://example.org/prod/api/x"],
            id="any number, twice",
        ),
        pytest.param(
            NameRules(dns=("*.example.org", "one.example.com")),
            ["a.example.org", "one.example.com"],
            ["example.org", "a.b.example.org", "two.example.com", "*.example.org"],
            id="one label",
        ),
        pytest.param(
            NameRules(dns=("**.example.org",), wildcards=True),
            ["example.org", "a.example.org", "a.b.example.org", "*.a.example.org"],
            ["badexample.org", "example.org.evil.test"],
            id="any number of labels",
        ),
        pytest.param(
            NameRules(ips=(ip_network("10.0.0.0/8"), ip_network("fd00::/8"))),
            ["ip:10.1.2.3", "ip:fd00::1"],
            ["ip:11.0.0.1", "ip:::1"],
            id="networks",
        ),
        pytest.param(NameRules(spiffe=(), dns=(), ips=()), [], ["a.example", "ip:::1"], id="none"),
        pytest.param(ANY_NAME, ["a.example", "*.b.example", "ip:::1", "spiffe://example.org/x"], [], id="any"),
    ],
)
def test_a_pattern_allows_what_it_describes(rules: NameRules, allowed: list[str], refused: list[str]) -> None:
    """Each name is allowed or refused by itself."""
    assert [list(rules.faults(names(name))) for name in allowed] == [[]] * len(allowed)
    assert [len(list(rules.faults(names(name)))) for name in refused] == [1] * len(refused)


def test_what_is_refused_is_said_with_what_is_allowed() -> None:
    """One sentence for each name."""
    rules = NameRules(spiffe=("jobs/*",), dns=("*.example.org",), ips=(ip_network("10.0.0.0/8"),))
    assert list(rules.faults(names("spiffe://example.org/x", "a.example", "ip:192.0.2.1"))) == [
        "spiffe://example.org/x is none of the SPIFFE IDs it allows (jobs/*)",
        "a.example is none of the DNS names it allows (*.example.org)",
        "192.0.2.1 is in none of the networks it allows (10.0.0.0/8)",
    ]


@pytest.mark.parametrize(
    ("spiffe", "dns", "why"),
    [
        ("jobs/a*", None, "'jobs/a*' has 'a*', and * cannot be a part of something"),
        ("", None, "'' can never match: the name is empty"),
        ("jobs//a", None, "'jobs//a' can never match: 'jobs//a' has two slashes together"),
        ("spiffe://Example.org/*", None, "'spiffe://Example.org/*' can never match: "
         "the trust domain 'Example.org' has upper-case letters"),
        (None, "a*.example.org", "'a*.example.org' has 'a*', and * cannot be a part of something"),
        (None, "Example.org", "'Example.org' has upper-case letters"),
        (None, "a_b.example", "'a_b.example' can never match: "
         "'a_b.example' has the label 'a_b'; labels are letters, digits and inner hyphens"),
    ],
)  # fmt: skip
def test_what_can_never_match_is_no_pattern(spiffe: str | None, dns: str | None, why: str) -> None:
    """A pattern that nothing matches is a mistake of whoever wrote it."""
    with pytest.raises(InvalidSetting) as caught:
        NameRules(spiffe=None if spiffe is None else (spiffe,), dns=None if dns is None else (dns,))
    assert caught.value.why == why


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5), st.data())
def test_a_name_with_wildcards_in_place_of_its_segments_matches(path: list[str], data: st.DataObject) -> None:
    """* for any segment, ** for any run of them."""
    at = data.draw(st.integers(0, len(path)))
    until = data.draw(st.integers(at, len(path)))
    identity = SpiffeID.parse("spiffe://example.org/" + "/".join(path))
    run = [*path[:at], "**", *path[until:]]
    ones = [data.draw(st.sampled_from([segment, "*"])) for segment in path]
    for pattern in (run, ones):
        assert list(NameRules(spiffe=("/".join(pattern),)).faults(Names(identity))) == []
