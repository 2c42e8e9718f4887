"""Facts from strangers never leave their place: not a quote, not a line, not an option."""

from __future__ import annotations

import json
import shlex
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.doctor.advice import SERVERS, fixes, quoting
from handclasp.findings import Code

NAMES = [
    "host",
    "port",
    "cert",
    "key",
    "chain",
    "cacert",
    "bundle",
    "crl",
    "intermediate",
    "issuing",
    "file",
    "issuer",
    "subject",
    "name",
    "depth",
    "version",
    "side",
]
HOSTILE = [
    "$(touch owned)",
    "`touch owned`",
    "'; touch owned; '",
    '"; touch owned; "',
    "a\nssl_verify_client off;",
    "a\r\nb",
    "\\",
    "a\\",
    "-rf",
    "--config=/etc/passwd",
    "${HOME}",
    "{env.HOME}",
    "{key}",
    "%{ENV:HOME}",
    "} ssl off; {",
    "#",
    "",
    "CN=x' or '1'='1",
    "fe80::1%;touch owned",
    "a b",
    "~.*",
    "default",
    "\u2028x",
    "\u202eexe",
    "\x00",
    "\ud800",
    "CN=\u2019; iex",
    "CN=a\x1b[2J",
    "O=x\\,CN=admin,CN=guest",
    "\u2019; Remove-Item",
]
values = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))
codes = st.sampled_from([code for code in Code if fixes(code)])


def _seen(code: Code, server: str, facts: dict[str, str]) -> list[list[str]]:
    """Every shell command in words."""
    found = (one.commands for one in fixes(code, server=server, facts=facts) if one.product != "iis")
    return [shlex.split(line, comments=True) for line in chain.from_iterable(found)]


@settings(max_examples=300, deadline=None)
@given(codes, st.sampled_from(["", *SERVERS]), st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
def test_no_fact_breaks_a_command(code: Code, server: str, facts: dict[str, str]) -> None:
    """With any facts, each command has the words that it has with none: as many, and all its own are unchanged."""
    side = {"side": facts["side"]} if "side" in facts else {}
    plain, filled = _seen(code, server, side), _seen(code, server, facts)
    assert [len(words) for words in filled] == [len(words) for words in plain]
    for before, after in zip(plain, filled, strict=True):
        assert [word for word in before if word in (";", "|", "&&", ">", ">>", "(", ")", "<", "<(")] == [
            after[index]
            for index, word in enumerate(before)
            if word in (";", "|", "&&", ">", ">>", "(", ")", "<", "<(")
        ]


@settings(max_examples=300, deadline=None)
@given(codes, st.sampled_from(["", *SERVERS]), st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
def test_no_fact_adds_a_line(code: Code, server: str, facts: dict[str, str]) -> None:
    """As many lines as without facts, each one line, and printable."""
    side = {"side": facts["side"]} if "side" in facts else {}
    shapes = []
    for given_facts in (facts, side):
        found = fixes(code, server=server, facts=given_facts)
        shapes.append([(one.side, one.product, len(one.commands), len(one.configuration)) for one in found])
        for line in chain.from_iterable((one.what, *one.commands, *one.configuration) for one in found):
            assert line.isprintable()
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_host_is_a_name_or_an_address(value: str) -> None:
    """Anything else is left at the placeholder."""
    first = fixes(Code.PROTO_PLAIN_HTTP_TO_TLS, clients=("curl",), facts={"host": value})[0]
    host = {"default": value, "fe80::1%;touch owned": "[fe80::1]"}.get(value, "api.example.com")
    assert first.commands == (f"curl --cacert server-ca.pem --cert client.pem --key client.key https://{host}/",)


@given(st.text(max_size=60).map(quoting.printable))
def test_quoting_holds_the_value(value: str) -> None:
    """What each product's quoting makes of a value is that value when the product reads it, or nothing at all."""
    assert shlex.split(quoting.shell(value) or "") == [value]
    assert json.loads(quoting.programming(value) or "") == value
    nginx = quoting.nginx(value)
    assert nginx is None or nginx == value or _backslashed(nginx) == value
    for one in (quoting.apache(value), quoting.caddy(value)):
        assert one is None or (one == f'"{value}"' and not {'"', "\\"} & set(value))
    windows = quoting.powershell(value)
    assert windows is None or windows[1:-1].replace("''", "'") == value


def _backslashed(quoted: str) -> str:
    """What nginx reads in double quotes: a backslash makes the next quote or backslash itself."""
    assert quoted[0] == quoted[-1] == '"'
    read, rest = [], iter(quoted[1:-1])
    for one in rest:
        read.append(next(rest) if one == "\\" else one)
        assert one != '"'
    return "".join(read)


def test_the_placeholder_stands_where_a_product_cannot_hold_a_value() -> None:
    """nginx would take a dollar sign for a variable."""
    found = fixes(Code.CLIENT_CERT_UNKNOWN_CA, server="nginx", facts={"bundle": "/etc/$host.pem"})[0]
    assert found.configuration == ("ssl_client_certificate client-ca.pem;", "ssl_verify_client on;")
    assert found.commands[0] == "cat issuing-ca.pem >> '/etc/$host.pem'"


def test_an_escape_hides_no_other_caller() -> None:
    """A common name within another part of the subject is nobody's."""
    facts = {"subject": "O=x\\,CN=admin,CN=guest"}
    found = fixes(Code.CLIENT_IDENTITY_NOT_ALLOWED, server="haproxy", facts=facts)[0]
    assert found.configuration == ("http-request deny deny_status 403 unless { ssl_c_s_dn(cn) -m str -- caller }",)
