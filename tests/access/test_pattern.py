"""The patterns of a rule: what they match, what they compile to, and what a person is told about a wrong one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.access import IdentityPattern, PathPattern
from handclasp.findings import InvalidSetting
from handclasp.pki.spiffe import TrustDomain

EXAMPLE = TrustDomain.parse("example.org")
PATHS = "a path such as /v1/orders, /v1/orders/* or /v1/orders/**"
WILDCARDS = "a segment written out, * for any one segment, or ** for any number of segments"


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/v1/orders/**", "/v1/orders", True),
        ("/v1/orders/**", "/v1/orders/", True),
        ("/v1/orders/**", "/v1/orders/7/lines", True),
        ("/v1/orders/**", "/v1/ordersx", False),
        ("/v1/orders/*", "/v1/orders/7", True),
        ("/v1/orders/*", "/v1/orders/", False),
        ("/v1/orders/*", "/v1/orders/7/lines", False),
        ("/v1/*/lines", "/v1/7/lines", True),
        ("/v1/**/lines", "/v1/lines", True),
        ("/v1/**/lines", "/v1/a/lines/b/lines", True),
        ("/v1/**/lines", "/v1/a/lines/b", False),
        ("/v1", "/v1/", False),
        ("/v1/", "/v1/", True),
        ("/V1", "/v1", False),
        ("/", "/", True),
        ("/", "//", False),
        ("/**", "/", True),
        ("/**", "//", True),
        ("/a.b", "/aXb", False),
    ],
    ids=str,
)
def test_a_path_pattern_matches_whole_segments(pattern: str, path: str, expected: bool) -> None:
    """* is one segment that is not empty, ** any number and also the empty last one; case counts."""
    assert PathPattern.parse(pattern).matches(path) is expected


@pytest.mark.parametrize(
    ("pattern", "identity", "expected"),
    [
        ("spiffe://example.org/checkout", "spiffe://example.org/checkout", True),
        ("spiffe://example.org/checkout", "spiffe://example.org/checkout/eu", False),
        ("spiffe://example.org/audit/*", "spiffe://example.org/audit/night", True),
        ("spiffe://example.org/audit/*", "spiffe://example.org/audit", False),
        ("spiffe://example.org/audit/*", "spiffe://example.org/audit/a/b", False),
        ("spiffe://example.org/audit/**", "spiffe://example.org/audit", True),
        ("spiffe://example.org/**", "spiffe://example.org/a/b", True),
        ("spiffe://example.org/**", "spiffe://exampleXorg/a", False),
        ("spiffe://example.org/**", "spiffe://example.org.evil/a", False),
        ("spiffe://example.org/**", "spiffe://example.org//a", False),
        ("spiffe://example.org/**", "https://example.org/a", False),
    ],
    ids=str,
)
def test_an_identity_pattern_matches_whole_segments(pattern: str, identity: str, expected: bool) -> None:
    """* is one segment, ** any number; the trust domain is always the written one."""
    assert IdentityPattern.parse(pattern, EXAMPLE).matches(identity) is expected


@pytest.mark.parametrize(
    ("pattern", "regex", "exact"),
    [
        ("/v1/orders.json", r"/v1/orders\.json", "/v1/orders.json"),
        ("/v1/*/x_y", r"/v1/[^/]+/x_y", None),
        ("/v1/**", r"/v1(?:/[^/]*)*", None),
        ("/(a)+", r"/\(a\)\+", "/(a)+"),
    ],
    ids=["literal", "one", "any number", "punctuation"],
)
def test_a_path_pattern_compiles_to_re2(pattern: str, regex: str, exact: str | None) -> None:
    """Punctuation is escaped, letters, digits and _ are not (RE2 refuses that); without wildcards it is exact."""
    parsed = PathPattern.parse(pattern)
    assert (parsed.regex, parsed.exact, str(parsed)) == (regex, exact, pattern)


def test_an_identity_pattern_compiles_to_re2() -> None:
    """The dots of the trust domain are escaped."""
    parsed = IdentityPattern.parse("spiffe://example.org/ns/*/sa/**", EXAMPLE)
    assert parsed.regex == r"spiffe://example\.org/ns/[^/]+/sa(?:/[^/]+)*"
    assert parsed.exact is None
    assert str(parsed) == "spiffe://example.org/ns/*/sa/**"


LITERALS = st.text("ab.-_~!$&'()+,;=:@[]\\^{}|*%", min_size=1, max_size=3).filter(lambda s: "*" not in s)
PATTERNS = st.lists(st.sampled_from(["*", "**", "a", "b"]) | LITERALS, min_size=1, max_size=6)
TEXTS = st.lists(st.sampled_from(["", "a", "b", "\n"]) | LITERALS, max_size=6)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[str, ...], str]:
    """Segments of a pattern, and a text that it may well match."""
    pattern = draw(PATTERNS)
    if draw(st.booleans()):
        text = draw(TEXTS)
    else:
        text = []
        for segment in pattern:
            text += draw(TEXTS) if segment == "**" else [draw(LITERALS)] if segment == "*" else [segment]
    return tuple(pattern), draw(st.sampled_from(["/", "/", "/", ""])) + "/".join(text)


@given(cases())
def test_a_path_pattern_and_its_regex_agree(case: tuple[tuple[str, ...], str]) -> None:
    """matches() is a full match of the regex, for every pattern and text."""
    segments, text = case
    pattern = PathPattern(segments)
    assert pattern.matches(text) is (re.fullmatch(pattern.regex, text) is not None)
    assert pattern.exact is None or pattern.matches(text) is (text == pattern.exact)


@given(cases(), st.sampled_from(["spiffe://example.org", "spiffe://exampleXorg", "SPIFFE://example.org", ""]))
def test_an_identity_pattern_and_its_regex_agree(case: tuple[tuple[str, ...], str], domain: str) -> None:
    """matches() is a full match of the regex, for every pattern and text."""
    segments, text = case
    pattern = IdentityPattern(EXAMPLE, segments)
    assert pattern.matches(domain + text) is (re.fullmatch(pattern.regex, domain + text) is not None)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1).filter(lambda s: "*" not in s))
def test_escapes_are_those_that_re2_and_python_share(text: str) -> None:
    """A backslash stands before ASCII punctuation only, and the regex reads as the text itself."""
    regex = PathPattern((text,)).regex
    assert re.fullmatch(regex, f"/{text}")
    assert all(not c.isalnum() and c != "_" for c in re.findall(r"\\(.)", regex))


@pytest.mark.parametrize(
    ("text", "why", "allowed"),
    [
        ("v1/orders", "'v1/orders' does not begin with a slash", PATHS),
        ("", "'' does not begin with a slash", PATHS),
        ("/v1/ord*", "'ord*': * stands for one whole segment, and cannot be a part of one", WILDCARDS),
        ("/v1/***", "'***': * stands for one whole segment, and cannot be a part of one", WILDCARDS),
        ("/a?b=c", "'/a?b=c' contains a query, and rules see the path alone", "write /a"),
        ("/a#b", "'/a#b' contains a fragment, which is never sent", "write /a"),
        (
            "/a b",
            "'/a b' contains a space or a control character, and a path never does",
            "a space in a path is written %20",
        ),
        ("//", "'//' has slashes with nothing between them", "write /"),
    ]
    + [
        (text, f"{text!r} can never match: the gateway turns it into {seen!r} before the rules see it", f"write {seen}")
        for text, seen in [
            ("/a//b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/%2e%2e/b", "/b"),
            ("/%7euser", "/~user"),
            ("/%41", "/A"),
            ("/a\\b", "/a/b"),
            ("/a/..;x/b", "/b"),
            ("/{id}", "/%7Bid%7D"),
            ("/é", "/%C3%A9"),
        ]
    ]
    + [
        (
            "/a%2Fb",
            "'/a%2Fb' can never match: an encoded slash (%2F or %5C) can be read in two ways, and is answered 400",
            PATHS,
        ),
        (
            "/a%00b",
            "'/a%00b' can never match: an encoded NUL (%00) ends the path for some programs, and is answered 400",
            PATHS,
        ),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_path_that_could_never_match_is_an_error(text: str, why: str, allowed: str) -> None:
    """The error says why the path is never seen, and what to write instead."""
    with pytest.raises(InvalidSetting) as caught:
        PathPattern.parse(text)
    assert (caught.value.path, caught.value.why, caught.value.allowed) == ("", why, allowed)


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=12))
def test_a_path_pattern_without_wildcards_is_seen_as_written(text: str) -> None:
    """Whatever parses and has no wildcard matches the path that its own text is normalised to."""
    try:
        pattern = PathPattern.parse(f"/{text}")
    except InvalidSetting as error:
        assert error.why
        assert error.allowed
    else:
        assert str(pattern) == f"/{text}"
        assert pattern.exact is None or pattern.matches(f"/{text}")


@pytest.mark.parametrize(
    ("text", "why", "allowed"),
    [
        ("checkout", "'checkout' is not a SPIFFE ID", "a SPIFFE ID such as spiffe://example.org/checkout"),
        ("ns/a", "'ns/a' is not a SPIFFE ID", "a SPIFFE ID such as spiffe://example.org/ns/a"),
        ("CN=bob", "'CN=bob' is not a SPIFFE ID", "a SPIFFE ID such as spiffe://example.org/checkout"),
        ("*", "'*' is not a SPIFFE ID", "a SPIFFE ID such as spiffe://example.org/checkout"),
        (
            "spiffe://partner.org/bob",
            "'spiffe://partner.org/bob' is of another trust domain ('partner.org') than this file's (example.org)",
            "an identity of example.org, such as spiffe://example.org/checkout",
        ),
        (
            "spiffe://*/bob",
            "'spiffe://*/bob' is of another trust domain ('*') than this file's (example.org)",
            "an identity of example.org, such as spiffe://example.org/checkout",
        ),
        (
            "spiffe://example.org",
            "'spiffe://example.org' names the trust domain itself and no caller in it",
            "spiffe://example.org/checkout, or spiffe://example.org/** for every caller",
        ),
        (
            "spiffe://example.org/audit-*",
            "'audit-*': * stands for one whole segment, and cannot be a part of one",
            WILDCARDS,
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_identity_of_this_trust_domain_is_an_error(text: str, why: str, allowed: str) -> None:
    """The error says what is wrong, and names an identity that would do."""
    with pytest.raises(InvalidSetting) as caught:
        IdentityPattern.parse(text, EXAMPLE)
    assert (caught.value.path, caught.value.why, caught.value.allowed) == ("", why, allowed)


@pytest.mark.parametrize("path", ["a//b", "a/", "../a", "a b", "a%41", "/a"], ids=str)
def test_segments_that_no_spiffe_id_has_are_errors(path: str) -> None:
    """Beside its wildcards, a pattern is held to the SPIFFE-ID specification, section 2.2."""
    with pytest.raises(InvalidSetting):
        IdentityPattern.parse(f"spiffe://example.org/{path}", EXAMPLE)
