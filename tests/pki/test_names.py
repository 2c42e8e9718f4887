"""DNS names, hosts and distinguished names."""

from __future__ import annotations

import string
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.pki.names import IPAddress, dns_name, host, rfc4514

LETTERS = string.ascii_letters
LABELS = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?", fullmatch=True)
DNS_NAMES = st.builds(
    lambda wild, labels, last: wild + ".".join([*labels, last]),
    st.sampled_from(["", "*."]),
    st.lists(LABELS, min_size=1, max_size=4),
    st.from_regex(r"[a-zA-Z]{1,20}", fullmatch=True),
)


@given(DNS_NAMES)
def test_a_dns_name_is_read_in_lower_case_and_then_stays(text: str) -> None:
    """dns_name() gives lower case, and gives its own results again."""
    assert dns_name(text) == text.lower()
    assert dns_name(dns_name(text)) == dns_name(text)


@given(st.one_of(st.text(), st.text("aA0-.*x:[]%é", max_size=30)))
def test_any_text_is_a_host_or_an_invalid_setting(text: str) -> None:
    """Reading raises nothing but InvalidSetting; a host that is a name is also a DNS name."""
    try:
        found = host(text)
    except InvalidSetting as error:
        assert error.why
        return
    if isinstance(found, str):
        assert dns_name(text) == found
    else:
        assert host(str(found)) == found


@given(st.text())
def test_any_text_is_a_dns_name_or_an_invalid_setting(text: str) -> None:
    """Reading raises nothing but InvalidSetting."""
    try:
        assert dns_name(text) == text.lower()
    except InvalidSetting as error:
        assert error.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "the DNS name is empty", id="empty"),
        pytest.param(
            "bücher.example",
            "'bücher.example' has letters outside ASCII: write the name in its xn-- form",
            id="another script",
        ),
        pytest.param("a.example.", "'a.example.' ends with a dot, which certificates leave out", id="final dot"),
        pytest.param("a..example", "'a..example' has an empty label", id="empty label"),
        pytest.param(
            "a_b.example",
            "'a_b.example' has the label 'a_b'; labels are letters, digits and inner hyphens",
            id="underscore",
        ),
        pytest.param(
            "-a.example",
            "'-a.example' has the label '-a'; labels are letters, digits and inner hyphens",
            id="hyphen first",
        ),
        pytest.param(
            "a.*.example",
            "'a.*.example' has the label '*'; labels are letters, digits and inner hyphens",
            id="wildcard inside",
        ),
        pytest.param(
            "*.example",
            "'*.example' is a wildcard for a whole top-level domain, which clients do not accept",
            id="wide wildcard",
        ),
        pytest.param(
            "192.0.2.7",
            "'192.0.2.7' ends in a number, so it is an IP address and not a DNS name",
            id="IP address",
        ),
        pytest.param(
            "127.0x1", "'127.0x1' ends in a number, so it is an IP address and not a DNS name", id="hex IP address"
        ),
        pytest.param(
            "a" * 64,
            f"'{'a' * 57}...' has a label of 64 characters; a label has at most 63",
            id="long label",
        ),
        pytest.param(
            "a." * 126 + "ab",
            f"'{('a.' * 126)[:57]}...' is 254 characters long; a DNS name has at most 253",
            id="long name",
        ),
    ],
)
def test_what_is_no_dns_name_is_refused(text: str, why: str) -> None:
    """A DNS name is one that certificates carry and clients match."""
    with pytest.raises(InvalidSetting) as caught:
        dns_name(text)
    assert caught.value.why == why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Orders.Example.org", "orders.example.org", id="name"),
        pytest.param("localhost", "localhost", id="one label"),
        pytest.param("xn--bcher-kva.example", "xn--bcher-kva.example", id="A-label"),
        pytest.param("192.0.2.7", ip_address("192.0.2.7"), id="IPv4"),
        pytest.param("2001:db8::7", ip_address("2001:db8::7"), id="IPv6"),
    ],
)
def test_a_host_is_a_name_or_an_address(text: str, expected: str | IPAddress) -> None:
    """host() reads an address as an address and anything else as a DNS name."""
    assert host(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("*.example.org", "'*.example.org' is a wildcard, which stands for many hosts", id="wildcard"),
        pytest.param("[::1]", "'[::1]' is no IPv6 address (they are written without brackets and port)", id="brackets"),
        pytest.param(
            "a.example:443",
            "'a.example:443' is no IPv6 address (they are written without brackets and port)",
            id="port",
        ),
        pytest.param("fe80::1%eth0", "'fe80::1%eth0' has a zone, which means nothing elsewhere", id="zone"),
        pytest.param("0.0.0.0", "'0.0.0.0' is not the address of one host", id="any address"),
        pytest.param("ff02::1", "'ff02::1' is not the address of one host", id="multicast"),
    ],
)
def test_what_is_no_host_is_refused(text: str, why: str) -> None:
    """A host is one that a caller can put into a URL."""
    with pytest.raises(InvalidSetting) as caught:
        host(text)
    assert caught.value.why == why


def test_a_distinguished_name_is_written_most_specific_first() -> None:
    """RFC 4514 §2.1 reverses the order, §2.4 escapes the comma."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Orders, Inc."),
            x509.NameAttribute(NameOID.COMMON_NAME, "checkout"),
        ]
    )
    assert (rfc4514(name), rfc4514(x509.Name([]))) == ("CN=checkout,O=Orders\\, Inc.", "")
