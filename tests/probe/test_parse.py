"""Targets and routes out of what a person writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.probe import parse
from handclasp.probe.target import Proxy, Route, StartTLS, Target


@pytest.mark.parametrize(
    ("text", "host", "port", "rest"),
    [
        ("api.example.org", "api.example.org", 443, {}),
        ("  API.Example.ORG. ", "api.example.org", 443, {}),
        ("api.example.org:8443", "api.example.org", 8443, {}),
        ("my_service:9000", "my_service", 9000, {}),
        ("192.0.2.7:1", "192.0.2.7", 1, {}),
        ("2001:db8::7", "2001:db8::7", 443, {}),
        ("2001:DB8:0::7", "2001:db8::7", 443, {}),
        ("[2001:db8::7]", "2001:db8::7", 443, {}),
        ("[::1]:65535", "::1", 65535, {}),
        ("https://api.example.org", "api.example.org", 443, {"http": "/"}),
        ("HTTPS://api.example.org:8443/v1?a=b%20c#part", "api.example.org", 8443, {"http": "/v1?a=b%20c"}),
        ("https://[::1]:8443?x", "::1", 8443, {"http": "/?x"}),
        ("https://api.example.org/straße x", "api.example.org", 443, {"http": "/stra%C3%9Fe%20x"}),
        ("tls://api.example.org", "api.example.org", 443, {}),
        ("imaps://mail.example.org/", "mail.example.org", 993, {}),
        ("ldaps://dir.example.org", "dir.example.org", 636, {}),
        ("smtp://mail.example.org", "mail.example.org", 25, {"starttls": StartTLS.SMTP}),
        ("smtp://mail.example.org:587", "mail.example.org", 587, {"starttls": StartTLS.SMTP}),
        ("smtps://mail.example.org", "mail.example.org", 465, {}),
        ("postgresql://db.example.org/orders", "db.example.org", 5432, {"starttls": StartTLS.POSTGRES}),
        ("postgres://db.example.org", "db.example.org", 5432, {"starttls": StartTLS.POSTGRES}),
        ("mysql://db.example.org", "db.example.org", 3306, {"starttls": StartTLS.MYSQL}),
        ("xmpp://im.example.org", "im.example.org", 5222, {"starttls": StartTLS.XMPP}),
        ("ftp://files.example.org", "files.example.org", 21, {"starttls": StartTLS.FTP}),
    ],
)
def test_a_target(text: str, host: str, port: int, rest: dict[str, object]) -> None:
    """Every way to write one."""
    expected = Target(text.strip(), host, port, None, None, rest.get("starttls"), rest.get("http"))  # type: ignore[arg-type]  # the table's values are of mixed types
    assert parse.target(text) == expected


def test_a_unix_socket() -> None:
    """With or without slashes as of a URL."""
    assert parse.target("unix:/run/app.sock") == Target("unix:/run/app.sock", "localhost", 0, "/run/app.sock")
    assert parse.target("unix:///run/app.sock", server_name="api.example.org") == Target(
        "unix:///run/app.sock", "localhost", 0, "/run/app.sock", "api.example.org"
    )


def test_options_fill_in_what_the_text_leaves_open() -> None:
    """The port of the protocol, another port, another name."""
    assert parse.target("mail", starttls=StartTLS.IMAP).port == 143
    assert parse.target("mail", starttls=StartTLS.IMAP, default_port=1143).port == 1143
    assert parse.target("mail", default_port=8443).port == 8443
    assert parse.target("192.0.2.7", server_name="API.example.org").name == "api.example.org"
    assert parse.target("smtp://mail", starttls=StartTLS.SMTP).starttls is StartTLS.SMTP


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", parse._ALLOWED),
        ("x" * 5000, "at most 4096 characters"),
        ("a\x00b", parse._ALLOWED),
        ("api.example.org:0", "a number from 1 to 65535"),
        ("api.example.org:65536", "a number from 1 to 65535"),
        ("api.example.org:", "a number from 1 to 65535"),
        ("api.example.org:४४३", "a number from 1 to 65535"),
        ("api.example.org/path", parse._ALLOWED),
        ("http://api.example.org", "https://, or HOST:PORT of a port that speaks TLS"),
        ("gopher://api.example.org", parse._ALLOWED_SCHEMES),
        ("https://user:secret@api.example.org", "the URL without USER:PASSWORD@"),
        ("https:///path", parse._ALLOWED),
        ("[::1", "[2001:db8::7]:443"),
        ("[::1]443", "[2001:db8::7]:443"),
        ("[localhost]:443", "[2001:db8::7]:443"),
        ("unix:///", "unix:/path/of/a/socket"),
        ("unix:/" + "x" * 120, "at most 107 octets"),
    ],
)
def test_what_is_no_target(text: str, allowed: str) -> None:
    """It is refused, and the error says what may stand there."""
    with pytest.raises(InvalidSetting) as caught:
        parse.target(text)
    assert caught.value.allowed == allowed
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["bücher.example", "-a.example", "a..example", "127.1", "0.0.0.0", "*.example.org"])
def test_what_is_no_host(text: str) -> None:
    """As with names anywhere else."""
    with pytest.raises(InvalidSetting):
        parse.target(text)


def test_a_scheme_and_an_option_that_disagree() -> None:
    """Nobody guesses which one is meant."""
    with pytest.raises(InvalidSetting):
        parse.target("smtp://mail", starttls=StartTLS.IMAP)


@given(st.text(max_size=80) | st.from_regex(r"(https|unix|smtp)?:?/{0,2}[\[\]:.a-z0-9/@?#]{0,30}", fullmatch=True))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """Nothing else is ever raised, and what is read can be written again."""
    try:
        found = parse.target(text)
    except InvalidSetting:
        return
    assert found.text == text.strip()
    again = parse.target(found.authority)
    assert (again.host, again.port, again.path) == (found.host, found.port, found.path)


def test_a_route() -> None:
    """By a proxy, with the PROXY protocol, to another address."""
    assert parse.route() == Route()
    assert parse.route(proxy="http://user%40x:p%3Aw@proxy.example.org:3128/", proxy_protocol=2) == Route(
        Proxy("http", "proxy.example.org", 3128, "user@x", "p:w"), 2
    )
    assert parse.route(proxy="socks5h://[::1]", address="[2001:db8::7]") == Route(
        Proxy("socks5", "::1", 1080), None, "2001:db8::7"
    )


@pytest.mark.parametrize(
    "proxy",
    [
        "https://user:hunter2@proxy:1",
        "proxy:3128",
        "http://user:hunter2@proxy",
        "http://user:hunter2%0a@proxy:1",
        "socks5://user:hunter2@:1",
        f"socks5://user:hunter2{'x' * 300}@proxy:1",
    ],
)
def test_a_proxy_that_cannot_be_used(proxy: str) -> None:
    """The error never repeats the password."""
    with pytest.raises(InvalidSetting) as caught:
        parse.route(proxy=proxy)
    assert "hunter2" not in f"{caught.value} {caught.value.allowed}"
