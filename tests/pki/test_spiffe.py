"""Trust domains and SPIFFE IDs: what is one, what is none, and what is said about it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.pki.spiffe import SpiffeID, TrustDomain

ORG = TrustDomain.parse("example.org")
DOMAINS = st.text(string.ascii_lowercase + string.digits + "._-", min_size=1, max_size=255)
SEGMENTS = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=20).filter(
    lambda segment: segment not in (".", "..")
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=8).map("/".join)


@given(DOMAINS, PATHS)
def test_an_identity_survives_being_written_and_read(domain: str, path: str) -> None:
    """parse(str(id)) is the identity again, for every valid one."""
    identity = SpiffeID(TrustDomain.parse(domain), path)
    assert SpiffeID.parse(str(identity)) == identity


@given(st.one_of(st.text(), st.text().map("spiffe://".__add__), st.text().map("spiffe://a/".__add__)))
def test_any_text_is_an_identity_or_an_invalid_setting(text: str) -> None:
    """Reading raises nothing but InvalidSetting, and what it accepts is written as it was read."""
    try:
        identity = SpiffeID.parse(text)
    except InvalidSetting as error:
        assert error.why
        assert error.allowed
    else:
        assert str(identity) == text


@given(st.text())
def test_any_text_is_a_trust_domain_or_an_invalid_setting(text: str) -> None:
    """Reading raises nothing but InvalidSetting, and changes nothing."""
    try:
        domain = TrustDomain.parse(text)
    except InvalidSetting:
        return
    assert str(domain) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "the trust domain is empty", id="empty"),
        pytest.param("a" * 256, "the trust domain is 256 characters long", id="too long"),
        pytest.param("Example.org", "the trust domain 'Example.org' has upper-case letters", id="upper case"),
        pytest.param(
            "example.org:443",
            "the trust domain 'example.org:443' has characters that are not allowed in one",
            id="port",
        ),
        pytest.param(
            "example.org\n",
            "the trust domain 'example.org\\n' has characters that are not allowed in one",
            id="final newline",
        ),
        pytest.param(
            "\u212a", "the trust domain '\u212a' has characters that are not allowed in one", id="Kelvin sign"
        ),
    ],
)
def test_what_is_no_trust_domain_is_refused(text: str, why: str) -> None:
    """A trust domain is lower-case letters, digits, dots, dashes, underscores (SPIFFE-ID §2.1)."""
    with pytest.raises(InvalidSetting) as caught:
        TrustDomain.parse(text)
    assert caught.value.why == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("https://a/b", "'https://a/b' does not begin with spiffe://", id="scheme"),
        pytest.param("SPIFFE://a/b", "'SPIFFE://a/b' does not begin with spiffe://", id="scheme's case"),
        pytest.param("spiffe:///b", "the trust domain is empty", id="no trust domain"),
        pytest.param("spiffe://a", "'spiffe://a' has no path, so it names no caller", id="no path"),
        pytest.param("spiffe://a/", "the name is empty", id="empty path"),
        pytest.param("spiffe://a//b", "'/b' begins or ends with a slash", id="slash first"),
        pytest.param("spiffe://a/b/", "'b/' begins or ends with a slash", id="slash last"),
        pytest.param("spiffe://a/b//c", "'b//c' has two slashes together", id="empty segment"),
        pytest.param(
            "spiffe://a/b/../c",
            "'b/../c' has the segment '..', which changes meaning when it is resolved",
            id="dots",
        ),
        pytest.param("spiffe://a/b%2Fc", "'b%2Fc' has characters that are not allowed in a SPIFFE ID", id="percent"),
        pytest.param("spiffe://a/é", "'é' has characters that are not allowed in a SPIFFE ID", id="letter"),
        pytest.param("spiffe://a/b?c", "'b?c' has characters that are not allowed in a SPIFFE ID", id="query"),
        pytest.param("spiffe://a/b\n", "'b\\n' has characters that are not allowed in a SPIFFE ID", id="newline"),
        pytest.param("spiffe://a/" + "b" * 2038, "the SPIFFE ID is 2049 bytes long", id="too long"),
    ],
)
def test_what_is_no_identity_is_refused(text: str, why: str) -> None:
    """A SPIFFE ID is taken as written or not at all (SPIFFE-ID §2)."""
    with pytest.raises(InvalidSetting) as caught:
        SpiffeID.parse(text)
    assert caught.value.why == why


def test_an_identity_of_2048_bytes_is_one() -> None:
    """The limit of SPIFFE-ID §2.3 is itself allowed."""
    assert len(str(SpiffeID.parse("spiffe://a/" + "b" * 2037))) == 2048


def test_a_name_gives_the_identity_below_the_trust_domain() -> None:
    """D12: NAME gives spiffe://<trust domain>/NAME, slashes allowed."""
    assert str(SpiffeID.named(ORG, "audit/nightly")) == "spiffe://example.org/audit/nightly"


@pytest.mark.parametrize("name", ["handclasp", "handclasp/gateway"])
def test_the_products_own_names_are_not_given_away(name: str) -> None:
    """D12: handclasp/ is reserved."""
    with pytest.raises(InvalidSetting) as caught:
        SpiffeID.named(ORG, name)
    assert caught.value.why == "names that begin with handclasp/ belong to Handclasp itself"
    assert SpiffeID.named(ORG, name, reserved=True).is_reserved


def test_a_name_that_only_looks_reserved_is_given() -> None:
    """The whole first segment counts, not its beginning."""
    assert not SpiffeID.named(ORG, "handclasper/gateway").is_reserved


def test_a_uri_is_no_name() -> None:
    """Whoever gives a URI for a name is told so."""
    with pytest.raises(InvalidSetting) as caught:
        SpiffeID.named(ORG, "spiffe://example.org/checkout")
    assert caught.value.why == "'spiffe://example.org/checkout' is a URI, not a name in example.org"
