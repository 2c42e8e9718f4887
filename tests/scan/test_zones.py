"""Hosts out of zone files (RFC 1035 §5.1)."""

from __future__ import annotations

from collections.abc import Iterator

import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.scan.lines import Line, Rubbish
from handclasp.scan.zones import MAX_ENTRY, Host, hosts

ZONE = """\
$TTL 1h
$ORIGIN example.org.
@       IN SOA ns1 hostmaster (
            2026060101 ; serial
            1h 15m     ; ( not a parenthesis
            30d 1h )
        IN NS  ns1
        IN MX  10 mail
@       IN A   192.0.2.1
        IN AAAA 2001:db8::1
www     300 IN CNAME @
api     IN 300 A 192.0.2.2
ns1     A 192.0.2.3
mail.example.org. IN A 192.0.2.4
text    IN TXT "a ; b ( c" "with \\"quotes\\" in it"
_dmarc  IN TXT "v=DMARC1"
*       IN A   192.0.2.5
_https._tcp IN SRV 0 0 8443 api
_submission._tcp IN SRV 0 0 587 mail.example.org.
_imap._tcp IN SRV 0 0 0 .
_other._tcp IN SRV 0 0 1234 api
$ORIGIN lab.example.org.
deep    IN A   192.0.2.6
$INCLUDE /etc/passwd
$GENERATE 1-254 host-$ A 10.0.0.$
bad     IN TXT "never closed
after   IN A   192.0.2.7
"""


def read(text: str, origin: str | None = None) -> list[str]:
    found = hosts(lines(text), "zone", origin)
    return [one.text if isinstance(one, Host) else f"{one.where}: {one.why}" for one in found if one is not None]


def lines(text: str) -> Iterator[Line]:
    return (Line(number, line) for number, line in enumerate(text.split("\n"), 1))


def test_a_zone() -> None:
    """Owners of addresses and aliases, servers of SRV; inherited owners, both orders of TTL and class, parentheses,
    comments, quotes; a rubbish line, $INCLUDE and $GENERATE are told and stop nothing."""
    assert read(ZONE) == [
        "example.org",
        "example.org",
        "www.example.org",
        "api.example.org",
        "ns1.example.org",
        "mail.example.org",
        "zone:17: a wildcard names no host",
        "api.example.org:8443",
        "smtp://mail.example.org:587",
        "deep.lab.example.org",
        "zone:24: $INCLUDE is not followed: a zone file does not say which other files are read; name them with --zone",
        "zone:25: $GENERATE is no part of RFC 1035 and is not expanded: give its hosts as a list or a network",
        "zone:26: it cannot be read from column 16 on",
        "after.lab.example.org",
    ]


def test_the_same_hosts_as_dnspython() -> None:
    """On what both read."""
    kept = [line for line in ZONE.splitlines() if not line.startswith(("$INC", "$GEN", "bad", "*", "_"))]
    text = "\n".join(kept) + "\n"
    zone = dns.zone.from_text(text, origin="example.org.", relativize=False)
    wanted = {
        name.to_text(omit_final_dot=True) for kind in ("A", "AAAA", "CNAME") for name, _ in zone.iterate_rdatasets(kind)
    }
    assert set(read(text)) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("www A 192.0.2.1", "zone:1: the name is relative, and nothing says to what: name the zone with --origin"),
        ("a. 300", "zone:1: the entry has no type"),
        ("a. SOA ( 1 2", "zone:1: the entry does not end: a parenthesis is missing"),
        (
            "_https._tcp.a. SRV 0 0 host",
            "zone:1: an SRV entry has a priority, a weight, a port and a target (RFC 2782)",
        ),
        ("$ORIGIN sub", "zone:1: the new origin is relative, and there is none before it"),
        ("$STRANGE x", "zone:1: '$STRANGE' is not known"),
    ],
)
def test_faults(text: str, said: str) -> None:
    """Each with its line."""
    assert read(text) == [said]


def test_a_parenthesis_that_is_never_closed_does_not_eat_the_memory() -> None:
    """The entry is given up, and reading goes on."""
    text = "a. TXT (\n" + "x x x x\n" * (MAX_ENTRY // 4) + "b. A 192.0.2.1\n"
    assert read(text) == ["zone:1: the entry has more than 4096 parts; a parenthesis may be missing", "b"]


def test_the_origin_that_is_given() -> None:
    """For relative names before any $ORIGIN."""
    assert read("@ A 192.0.2.1\nwww A 192.0.2.1\n", "example.org") == ["example.org", "www.example.org"]


@given(st.text(alphabet='ab.@*_;()"\\ \t\n$0A', max_size=200))
def test_any_text(text: str) -> None:
    """Nothing is raised, and every message names a line that is there."""
    for one in hosts(lines(text), "zone", None):
        if isinstance(one, Rubbish):
            assert 1 <= int(one.where.partition(":")[2]) <= text.count("\n") + 1
