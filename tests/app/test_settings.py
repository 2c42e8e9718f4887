"""handclasp.yaml as a file: its text, its places, all problems at once, and the first one that is written."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from handclasp.access.pattern import IdentityPattern
from handclasp.access.policy import Rule
from handclasp.app.settings import (
    Listen,
    SettingsError,
    Upstream,
    first_file,
    load,
    parse,
)
from handclasp.app.yaml_source import MAX_SIZE
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.spiffe import TrustDomain
from handclasp.testing.settings_files import (
    EXAMPLE,
    Told,
    a_file,
    a_service,
    problems,
)

EXAMPLE_ORG = TrustDomain("example.org")


SYNTAX_KEY = "one key: value on a line, its keys lined up; a text with a colon and a space in quotes"
TOP = "the settings trust_domain, services and so on, each with a colon"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", (1, 1, "", "the file is empty", TOP)),
        ("# nothing\n", (1, 1, "", "the file is empty", TOP)),
        ("- a\n", (1, 1, "", "the file holds a list instead of settings", TOP)),
        ("text", (1, 1, "", "the file holds text instead of settings", TOP)),
        ("a: 1\n\tb: 2\n", (2, 1, "", "there is a tab in the indentation", "spaces alone")),
        (
            "\ufeffa: 1",
            (1, 1, "", "the file begins with a byte order mark, which cannot be seen", "UTF-8 without such a mark"),
        ),
        ("a: \0", (1, 4, "", "the character U+0000 cannot be seen and means nothing here", "printable text")),
        ("a: \u202e", (1, 4, "", "the character U+202E cannot be seen and means nothing here", "printable text")),
        ("a: \ud800", (1, 4, "", "the character U+D800 cannot be seen and means nothing here", "printable text")),
        (EXAMPLE + "---\na: 1\n", (14, 1, "", "a second document begins here", "one document")),
        ("a: [1, 2\nb: 3\n", (1, 4, "", "the list that begins with [ has no end", "[a, b, c]")),
        ("a: 'x\n", (1, 4, "", "this quotation mark is not closed", "a closing quotation mark")),
        ("a: @x\n", (1, 4, "", "'@' cannot begin a value in YAML", "the text in quotes")),
        ("a: b: c\n", (1, 5, "", "a colon stands where no key can be", SYNTAX_KEY)),
        (
            "a: [::1]:8443\n",
            (
                1,
                5,
                "",
                "there is no value that YAML can read",
                "a value; a text that begins with [ or : in quotes, as in '[::1]:8443'",
            ),
        ),
        ("[" * 100_000, (1, 18, "[0]" * 17, "the nesting is too deep", "at most 16 levels")),
        (
            "#" * (MAX_SIZE + 1),
            (1, 1, "", "the file is too large to be a file of settings", f"at most {MAX_SIZE} bytes"),
        ),
    ],
    ids=[
        "empty",
        "comment-only",
        "list",
        "text",
        "tab",
        "byte-order-mark",
        "nul",
        "text-direction",
        "surrogate",
        "two-documents",
        "open-list",
        "open-quote",
        "at-sign",
        "two-colons",
        "brackets-unquoted",
        "deep",
        "too-large",
    ],
)
def test_a_file_that_is_no_settings_is_said_to_be_none(text: str, told: Told) -> None:
    """What YAML, or we, cannot read is named with its place."""
    assert problems(text) == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            a_file(a_service(), a_service()),
            (7, 3, "services.a", "the key is there twice; it was set in line 3, column 3", "each key once"),
        ),
        (
            a_file(a_service(listen="&port 8443")),
            (
                4,
                13,
                "services.a.listen",
                "&port is an anchor",
                "the value alone, written out where it is needed",
            ),
        ),
        (
            a_file("  a: *x\n"),
            (3, 6, "services.a", "*x is an alias", "the value itself, written out"),
        ),
        (
            a_file(a_service(listen="!!int 8443")),
            (4, 13, "services.a.listen", "tag:yaml.org,2002:int is a tag", "the value alone"),
        ),
        (
            a_file(a_service(), rest="? [a]\n: 1\n"),
            (7, 3, "", "a key is not plain text", "text, as in listen: 8443"),
        ),
    ],
    ids=["duplicate", "anchor", "alias", "tag", "complex-key"],
)
def test_yaml_that_hides_what_it_means_is_refused(text: str, told: Told) -> None:
    """Each setting is written once, where it holds."""
    assert problems(text) == [told]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    """A person corrects a file in one round, also what contradicts across services that have other mistakes."""
    text = dedent("""\
        trust_domain: Example.org
        services:
          a:
            listen: 8443
            hosts: ['*.a.test', a.test]
            upstreem: http://127.0.0.1:1
          B:
            listen: 8443
            hosts: [a.test]
            upstream: ftp://x
            rules:
              - methods: get
        lifetimes: {client: 1y, gateway: 399d}
        """)
    assert [(line, column, path) for line, column, path, _, _ in problems(text)] == [
        (1, 15, "trust_domain"),
        (3, 3, "services.a.upstream"),
        (5, 13, "services.a.hosts[0]"),
        (6, 5, "services.a.upstreem"),
        (7, 3, "services.B"),
        (9, 13, "services.B.hosts[0]"),
        (10, 15, "services.B.upstream"),
        (12, 9, "services.B.rules[0].allow"),
        (12, 18, "services.B.rules[0].methods"),
        (13, 21, "lifetimes.client"),
        (13, 34, "lifetimes.gateway"),
    ]


def test_an_error_is_printed_as_terminals_read_it() -> None:
    """File, line and column first, then the setting, why, and what is allowed."""
    with pytest.raises(SettingsError) as raised:
        parse(a_file(a_service(rest="client_certificates: no")), "conf/handclasp.yaml")
    assert str(raised.value) == (
        "conf/handclasp.yaml:7:26: services.a.client_certificates: 'no' is not one of the choices. "
        "Allowed: required or off"
    )


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("trust_domain", (1, 15)),
        ("services.orders", (3, 3)),
        ("services.orders.listen", (4, 13)),
        ("services.orders.hosts[1]", (5, 33)),
        ("services.orders.rules[1].methods", (13, 18)),
        ("services.orders.rules[0].nothing", (9, 9)),
        ("services.orders.explain", (3, 3)),
        ("lifetimes.client", (1, 1)),
    ],
)
def test_settings_know_their_places(path: str, place: tuple[int, int]) -> None:
    """What is not written has the place of what is around it."""
    assert parse(EXAMPLE, "handclasp.yaml").position(path) == place


def test_a_place_is_named_by_file_and_line() -> None:
    """Other messages name the line to edit."""
    assert parse(EXAMPLE, "handclasp.yaml").where("services.orders.upstream") == "handclasp.yaml:6"


def test_settings_are_equal_when_they_mean_the_same() -> None:
    """Comments and places are no change."""
    assert parse("# more\n" + EXAMPLE, "other.yaml") == parse(EXAMPLE, "handclasp.yaml")


def test_a_missing_file_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    """There is no traceback for a file that is not there."""
    with pytest.raises(Refused) as raised:
        load(tmp_path / "handclasp.yaml")
    assert raised.value.code is Code.CONFIG_MISSING


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """What cannot be opened is refused with the system's reason."""
    with pytest.raises(Refused) as raised:
        load(tmp_path)
    assert (raised.value.code, raised.value.why) == (Code.CONFIG_INVALID, "Is a directory")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a: 1\nb: \xc3\xa9\xff\n", (2, 5, "", "the byte 0xff is not UTF-8")),
        (EXAMPLE.encode("utf-16"), (1, 1, "", "the file is UTF-16")),
        (b"#" * 10_000_000, (1, 1, "", "the file is too large to be a file of settings")),
        (b"\xef\xbb\xbfa: 1", (1, 1, "", "the file begins with a byte order mark, which cannot be seen")),
    ],
    ids=["latin-1", "utf-16", "10-megabytes", "byte-order-mark"],
)
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, data: bytes, told: tuple[int, int, str, str]) -> None:
    """The file is UTF-8 of a sensible size."""
    file = tmp_path / "handclasp.yaml"
    file.write_bytes(data)
    with pytest.raises(SettingsError) as raised:
        load(file)
    assert [(p.line, p.column, p.path, p.why) for p in raised.value.problems] == [told]


@pytest.mark.parametrize(
    ("data", "why"),
    [(None, "cannot be read: No such file or directory"), (b"hello", "there is no certificate in it")],
    ids=["missing", "not-pem"],
)
def test_an_authority_file_that_cannot_be_used_is_told_at_its_setting(
    tmp_path: Path, data: bytes | None, why: str
) -> None:
    """upstream_ca is relative to the file that names it, and is looked at before anything changes."""
    if data is not None:
        (tmp_path / "ca.pem").write_bytes(data)
    file = tmp_path / "handclasp.yaml"
    file.write_text(a_file(a_service(upstream="https://api.test", rest="upstream_ca: ca.pem")))
    with pytest.raises(SettingsError) as raised:
        load(file)
    (problem,) = raised.value.problems
    assert (problem.line, problem.column, problem.path) == (7, 18, "services.a.upstream_ca")
    assert problem.why.removeprefix(str(tmp_path / "ca.pem")).lstrip(": ") == why


def test_an_authority_file_is_relative_to_the_settings() -> None:
    """The folder is that of the file, wherever the program was started."""
    text = a_file(a_service(upstream="https://api.test", rest="upstream_ca: pki/ca.pem"))
    (service,) = parse(text, "/etc/handclasp/handclasp.yaml").services
    assert service.upstream == Upstream("https", "api.test", 443, Path("/etc/handclasp/pki/ca.pem"))


@pytest.mark.parametrize("demo", [True, False], ids=["demo", "own-api"])
def test_the_first_file_says_what_was_asked(demo: bool) -> None:
    """What the first run writes allows exactly the first caller."""
    services: list[tuple[str, int | str, list[str], str]] = [
        ("orders", 8443, ["localhost", "127.0.0.1"], "http://127.0.0.1:8000"),
        ("no", "[::1]:8444", ["::1"], "http://[::1]:8001"),
    ]
    text = first_file(EXAMPLE_ORG, services, "spiffe://example.org/first", demo=demo)
    read = parse(text, "handclasp.yaml")
    first = (Rule(1, (IdentityPattern(EXAMPLE_ORG, ("first",)),)),)
    assert [(s.name, s.listen, [str(h) for h in s.hosts], s.upstream, s.policy.rules) for s in read.services] == [
        ("orders", Listen(None, 8443), ["localhost", "127.0.0.1"], Upstream("http", "127.0.0.1", 8000), first),
        ("no", Listen("::1", 8444), ["::1"], Upstream("http", "::1", 8001), first),
    ]


def test_the_first_file_allows_by_service() -> None:
    """Each service may have a caller of its own."""
    services = [("a", 1, ["a.test"], "http://a"), ("b", 2, ["b.test"], "http://b")]
    text = first_file(EXAMPLE_ORG, services, {"a": "spiffe://example.org/x", "b": "spiffe://example.org/y"})
    callers = [s.policy.rules[0].callers for s in parse(text, "f").services]
    assert callers == [(IdentityPattern(EXAMPLE_ORG, ("x",)),), (IdentityPattern(EXAMPLE_ORG, ("y",)),)]


@pytest.mark.parametrize("upstream", ["localhost:8000", "http://a # b", "x\n    listen: 1", "'", "a: b", "\t"])
def test_the_first_file_refuses_values_that_it_could_not_say(upstream: str) -> None:
    """A word of the command line never becomes another setting."""
    with pytest.raises(InvalidSetting) as raised:
        first_file(EXAMPLE_ORG, [("a", 8443, ["a.test"], upstream)], "spiffe://example.org/x")
    assert raised.value.path in {"services.a.upstream", ""}
