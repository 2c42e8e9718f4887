"""handclasp.yaml: what may stand in it, and what is said of everything else."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handclasp.access.pattern import IdentityPattern, PathPattern
from handclasp.access.policy import ANYONE, MAX_RULES, Policy, Rule
from handclasp.app.endpoints import LISTEN, UPSTREAM
from handclasp.app.settings import (
    Lifetimes,
    Listen,
    ServiceSettings,
    Settings,
    SettingsError,
    Upstream,
    first_file,
    load,
    parse,
    schema,
)
from handclasp.app.yaml_source import MAX_SIZE
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.spiffe import TrustDomain

EXAMPLE = dedent("""\
    trust_domain: example.org
    services:
      orders:
        listen: 8443
        hosts: [orders.example.org, localhost]
        upstream: http://127.0.0.1:8000
        client_certificates: required        # the default; off: plain TLS, no identities
        rules:
          - allow: spiffe://example.org/checkout
            methods: [GET, POST]
            paths: [/v1/orders/**]
          - allow: spiffe://example.org/audit/*
            methods: [GET]
    """)
EXAMPLE_ORG = TrustDomain("example.org")
KEYS = "listen, hosts, upstream, upstream_ca, client_certificates, explain, rules"

Told = tuple[int, int, str, str, str]


def a_file(*services: str, rest: str = "") -> str:
    return "trust_domain: example.org\nservices:\n" + "".join(services) + rest


def a_service(
    name: str = "a",
    listen: str = "8443",
    hosts: str = "[a.test]",
    upstream: str = "http://127.0.0.1:1",
    rest: str = "",
) -> str:
    head = f"  {name}:\n    listen: {listen}\n    hosts: {hosts}\n    upstream: {upstream}\n"
    return head + "".join(f"    {line}\n" for line in dedent(rest).splitlines())


def problems(text: str) -> list[Told]:
    with pytest.raises(SettingsError) as raised:
        parse(text, "handclasp.yaml")
    assert {p.file for p in raised.value.problems} == {"handclasp.yaml"}
    return [(p.line, p.column, p.path, p.why, p.allowed) for p in raised.value.problems]


def only_service(text: str) -> ServiceSettings:
    (service,) = parse(text, "handclasp.yaml").services
    return service


def test_the_documented_example_is_read_as_it_stands() -> None:
    """The file of the documentation means what it says."""
    checkout = IdentityPattern(EXAMPLE_ORG, ("checkout",))
    audit = IdentityPattern(EXAMPLE_ORG, ("audit", "*"))
    orders = PathPattern(("v1", "orders", "**"))
    policy = Policy(
        "orders",
        True,
        (
            Rule(1, (checkout,), frozenset({"GET", "POST"}), (orders,)),
            Rule(2, (audit,), frozenset({"GET"}), None),
        ),
    )
    service = ServiceSettings(
        name="orders",
        listen=Listen(None, 8443),
        hosts=("orders.example.org", "localhost"),
        upstream=Upstream("http", "127.0.0.1", 8000),
        client_certificates="required",
        policy=policy,
        explain="none",
    )
    assert parse(EXAMPLE, "handclasp.yaml") == Settings(
        EXAMPLE_ORG, (service,), Lifetimes(timedelta(days=90), timedelta(days=7)), "handclasp.yaml", {}
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("8443", Listen(None, 8443)),
        ("'8443'", Listen(None, 8443)),
        ("127.0.0.1:8443", Listen("127.0.0.1", 8443)),
        ("'[::1]:8443'", Listen("::1", 8443)),
        ("'[0:0::1]:8443'", Listen("::1", 8443)),
    ],
    ids=["port", "quoted-port", "ipv4", "ipv6", "ipv6-spelled-otherwise"],
)
def test_listen_is_a_port_or_an_address_and_a_port(written: str, meant: Listen) -> None:
    """All ways to write a place to listen are read, numbers as the text that was written."""
    assert only_service(a_file(a_service(listen=written))).listen == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://api.internal", Upstream("http", "api.internal", 80)),
        ("https://API.internal", Upstream("https", "api.internal", 443)),
        ("h2c://127.0.0.1:50051", Upstream("h2c", "127.0.0.1", 50051)),
        ("h2c://api", Upstream("h2c", "api", 80)),
        ("http://127.0.0.1:8000/", Upstream("http", "127.0.0.1", 8000)),
        ("'http://[::1]:8000'", Upstream("http", "::1", 8000)),
    ],
    ids=["http", "https", "h2c", "h2c-port", "final-slash", "ipv6"],
)
def test_upstream_is_a_url_with_the_port_of_its_scheme(written: str, meant: Upstream) -> None:
    """An upstream without a port has the one of its scheme."""
    assert only_service(a_file(a_service(upstream=written))).upstream == meant


def test_off_is_the_word_and_not_a_boolean() -> None:
    """YAML 1.1 reads off as false; here it is what was written, and anyone may be allowed then (D15)."""
    service = only_service(a_file(a_service(rest="client_certificates: off\nrules:\n  - allow: anyone\n")))
    assert (service.client_certificates, service.policy) == ("off", Policy("a", False, (Rule(1, ANYONE),)))


@pytest.mark.parametrize("name", ["no", "8443", "null", "on"])
def test_names_that_yaml_reads_otherwise_are_names(name: str) -> None:
    """A key is the text that was written."""
    assert only_service(a_file(a_service(name=name))).name == name


@pytest.mark.parametrize("rules", ["", "rules:", "rules: []"], ids=["missing", "nothing", "empty"])
def test_no_rules_deny_everything(rules: str) -> None:
    """Missing and empty rules are a policy that allows nothing."""
    assert only_service(a_file(a_service(rest=rules))).policy == Policy("a", True, ())


def test_a_rule_may_allow_several_callers() -> None:
    """allow takes a list."""
    allow = "rules:\n  - allow: [spiffe://example.org/x, spiffe://example.org/**]"
    callers = (IdentityPattern(EXAMPLE_ORG, ("x",)), IdentityPattern(EXAMPLE_ORG, ("**",)))
    assert only_service(a_file(a_service(rest=allow))).policy.rules == (Rule(1, callers),)


def test_lifetimes_are_read() -> None:
    """The limits themselves are allowed."""
    text = a_file(a_service(), rest="lifetimes: {client: 10s, gateway: 398d}\n")
    assert parse(text, "f").lifetimes == Lifetimes(timedelta(seconds=10), timedelta(days=398))


def test_services_may_share_a_port_and_not_a_host() -> None:
    """One port serves several host names; one of the services may have an IP address."""
    text = a_file(a_service(hosts="[a.test, 127.0.0.1]"), a_service("b", hosts="[b.test]"))
    assert [s.name for s in parse(text, "f").services] == ["a", "b"]


SYNTAX_KEY = "one key: value on a line, its keys lined up; a text with a colon and a space in quotes"
TOP = "the settings trust_domain, services and lifetimes, each with a colon"


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


@pytest.mark.parametrize(
    ("listen", "column", "why", "allowed"),
    [
        ("1:30", 13, "'1' is not an IP address", LISTEN),
        ("localhost:8443", 13, "'localhost' is not an IP address", LISTEN),
        ("::1:8443", 13, "'::1:8443' has several colons", LISTEN),
        ("'[127.0.0.1]:8443'", 13, "'[127.0.0.1]' is not an IP address", LISTEN),
        ("'[fe80::1%eth0]:8443'", 13, "'[fe80::1%eth0]' is not an IP address", LISTEN),
        ("0", 13, "'0' is not a port", f"{LISTEN}; ports are 1 to 65535"),
        ("65536", 13, "'65536' is not a port", f"{LISTEN}; ports are 1 to 65535"),
        ("8_443", 13, "'8_443' is not a port", f"{LISTEN}; ports are 1 to 65535"),
        ("0x20FB", 13, "'0x20FB' is not a port", f"{LISTEN}; ports are 1 to 65535"),
        ("\u0668", 13, "'\u0668' is not a port", f"{LISTEN}; ports are 1 to 65535"),
        ("[8443]", 13, "a list stands where one value belongs", LISTEN),
        ("", 5, "nothing stands where one value belongs", LISTEN),
    ],
    ids=[
        "sexagesimal",
        "name",
        "ipv6-without-brackets",
        "ipv4-in-brackets",
        "zone",
        "zero",
        "large",
        "underscore",
        "hexadecimal",
        "arabic-digit",
        "list",
        "nothing",
    ],
)
def test_a_listen_that_is_none_is_explained(listen: str, column: int, why: str, allowed: str) -> None:
    """No other reading is guessed."""
    assert problems(a_file(a_service(listen=listen))) == [(4, column, "services.a.listen", why, allowed)]


@pytest.mark.parametrize(
    ("upstream", "why", "allowed"),
    [
        ("localhost:80", "'localhost:80' is not a URL", UPSTREAM),
        ("ftp://x", "'ftp' is not a scheme that the gateway speaks", UPSTREAM),
        ("http://u:p@x", "a user or a password in the URL is not used", UPSTREAM),
        (
            "http://x/a?b",
            "'/a?b' after the host is not used: the gateway passes on the caller's own path",
            "http://x",
        ),
        ("http://x:99999", "'99999' in 'http://x:99999' is not a port", f"{UPSTREAM}; ports are 1 to 65535"),
        ("'http://x:'", "'' in 'http://x:' is not a port", f"{UPSTREAM}; ports are 1 to 65535"),
        ("http://[::1", "'[::1' is not a host and a port", UPSTREAM),
        ("http://[1.2.3.4]:1", "'[1.2.3.4]:1' is not a host and a port", UPSTREAM),
        ("http://", "'' is not a host and a port", UPSTREAM),
    ],
    ids=["no-scheme", "scheme", "user", "path", "port", "empty-port", "open-bracket", "ipv4-in-brackets", "no-host"],
)
def test_an_upstream_that_is_no_url_is_explained(upstream: str, why: str, allowed: str) -> None:
    """What the gateway would not use is refused, not ignored."""
    assert problems(a_file(a_service(upstream=upstream))) == [(6, 15, "services.a.upstream", why, allowed)]


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        (
            "upstream_ca: ca.pem",
            (
                7,
                18,
                "services.a.upstream_ca",
                "an upstream of http:// has no certificate to verify",
                "upstream_ca with an https:// upstream only",
            ),
        ),
        (
            "client_certificates: no",
            (7, 26, "services.a.client_certificates", "'no' is not one of the choices", "required or off"),
        ),
        (
            "explain: ful",
            (7, 14, "services.a.explain", "'ful' is not one of the choices (did you mean full?)", "none or full"),
        ),
        (
            "client-certificates: off",
            (
                7,
                5,
                "services.a.client-certificates",
                "there is no setting of this name here (did you mean client_certificates?)",
                KEYS,
            ),
        ),
        (
            "rules:\n  - allow: anyone",
            (
                8,
                16,
                "services.a.rules[0].allow",
                "anyone is for services without client certificates, and this service requires them",
                "SPIFFE IDs (spiffe://<trust domain>/** for every caller), or client_certificates: off",
            ),
        ),
        (
            "client_certificates: off\nrules:\n  - allow: spiffe://example.org/x",
            (
                9,
                16,
                "services.a.rules[0].allow",
                "this service asks for no client certificates, so its callers have no identities",
                "allow: anyone, or client_certificates: required",
            ),
        ),
        (
            "rules:\n  - allow: [anyone]\n",
            (8, 17, "services.a.rules[0].allow[0]", "anyone stands alone, not in a list", "allow: anyone"),
        ),
        (
            "rules:\n  - allow: spiffe://other.org/x\n",
            (
                8,
                16,
                "services.a.rules[0].allow",
                "'spiffe://other.org/x' is of another trust domain ('other.org') than this file's (example.org)",
                "an identity of example.org, such as spiffe://example.org/checkout",
            ),
        ),
        (
            "rules:\n  - allow: spiffe://example.org/x\n    methods:\n",
            (
                9,
                9,
                "services.a.rules[0].methods",
                "nothing stands where a list belongs",
                "a list of methods, as in [GET, POST]; leave methods out to allow any",
            ),
        ),
        (
            "rules:\n  - allow: spiffe://example.org/x\n    paths: []\n",
            (
                9,
                16,
                "services.a.rules[0].paths",
                "it is empty",
                "a list of paths, as in [/v1/orders/**]; leave paths out to allow any",
            ),
        ),
    ],
    ids=[
        "authority-without-tls",
        "boolean-word",
        "near-choice",
        "near-key",
        "anyone-required",
        "identity-off",
        "anyone-in-a-list",
        "other-trust-domain",
        "methods-nothing",
        "paths-empty",
    ],
)
def test_a_service_that_cannot_be_meant_is_explained(rest: str, told: Told) -> None:
    """Settings that contradict each other, or would widen a rule by accident, are refused."""
    assert problems(a_file(a_service(rest=rest))) == [told]


@pytest.mark.parametrize(
    ("services", "told"),
    [
        (
            [a_service(), a_service("b", hosts="[b.test, A.TEST]")],
            [
                (
                    9,
                    21,
                    "services.b.hosts[1]",
                    "the service a has the host a.test on 8443 already",
                    "another host, or another port to listen on",
                )
            ],
        ),
        (
            [a_service(hosts="[127.0.0.1]"), a_service("b", hosts="[b.test, '::1']")],
            [
                (
                    9,
                    21,
                    "services.b.hosts[1]",
                    "the service a on 8443 has an IP address already, and one service of a port alone can",
                    "host names here, or another port to listen on",
                )
            ],
        ),
        (
            [a_service(), a_service("b", "127.0.0.1:8443", "[b.test]")],
            [
                (
                    8,
                    13,
                    "services.b.listen",
                    "127.0.0.1:8443 overlaps with 8443, where the service a listens",
                    "8443 as there, or another port",
                )
            ],
        ),
        (
            [a_service(listen="0.0.0.0:8443"), a_service("b", "127.0.0.1:8443", "[b.test]")],
            [
                (
                    8,
                    13,
                    "services.b.listen",
                    "127.0.0.1:8443 overlaps with 0.0.0.0:8443, where the service a listens",
                    "0.0.0.0:8443 as there, or another port",
                )
            ],
        ),
        (
            [a_service(hosts="[a.test, A.test]")],
            [
                (
                    5,
                    21,
                    "services.a.hosts[1]",
                    "a.test is there twice",
                    "each host once; upper and lower case are the same",
                )
            ],
        ),
    ],
    ids=["shared-host", "two-addresses", "all-addresses", "all-ipv4", "twice-in-one"],
)
def test_services_that_cannot_be_told_apart_are_refused(services: list[str], told: list[Told]) -> None:
    """Two services on one port differ by their hosts, and one alone may have an address (D16)."""
    assert problems(a_file(*services)) == told


def test_different_addresses_of_one_port_do_not_overlap() -> None:
    """Two addresses of a machine, or two families, are two places to listen."""
    places = ["127.0.0.1:8443", "127.0.0.2:8443", "'[::]:8443'"]
    text = a_file(*(a_service(f"s{n}", listen=place) for n, place in enumerate(places)))
    assert len(parse(text, "f").services) == 3


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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: {}", [(1, 1, "trust_domain"), (1, 11, "services")]),
        (a_file("  a:\n"), [(3, 3, "services.a")]),
        (a_file("  a: [1]\n"), [(3, 6, "services.a")]),
        (a_file(a_service(hosts="[]")), [(5, 12, "services.a.hosts")]),
        (a_file(a_service(hosts="a.test")), [(5, 12, "services.a.hosts")]),
        (a_file(a_service(rest="rules: x")), [(7, 12, "services.a.rules")]),
        (a_file(a_service(rest="rules: [x]")), [(7, 13, "services.a.rules[0]")]),
        (a_file(a_service(rest="client_certificates: [off]")), [(7, 26, "services.a.client_certificates")]),
        (a_file(a_service(), rest="lifetimes:\n"), [(7, 1, "lifetimes")]),
    ],
    ids=["top", "nothing", "list", "no-hosts", "text-hosts", "text-rules", "text-rule", "list-choice", "lifetimes"],
)
def test_values_of_the_wrong_kind_are_placed(text: str, told: list[tuple[int, int, str]]) -> None:
    """Every kind of value is refused where another kind belongs."""
    assert [problem[:3] for problem in problems(text)] == told


def test_too_many_rules_are_refused() -> None:
    """The limit of a policy is told at the list."""
    rules = "rules:\n" + "  - allow: spiffe://example.org/x\n" * (MAX_RULES + 1)
    why, allowed = f"there are {MAX_RULES + 1} rules", f"at most {MAX_RULES} rules a service"
    assert problems(a_file(a_service(rest=rules))) == [(7, 5, "services.a.rules", why, allowed)]


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


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but SettingsError leaves parse, whatever the text."""
    assert _read_or_refused(text)


FRAGMENTS = [*"\n\t :-[]{},&*!|>'\"#%@`?~.", "  ", "    ", "a", "off", "1:30", "<<", "spiffe://example.org/x", "anyone"]
FRAGMENTS += [*EXAMPLE.splitlines(keepends=True), *(f"{key}: " for key in KEYS.split(", ")), "lifetimes: ", "- allow: "]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join))
def test_any_mixture_of_settings_is_read_or_refused(text: str) -> None:
    """The same for text that looks like settings."""
    assert _read_or_refused(text)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["off", "8443", "anyone"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split(", ")), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(KEYS.split(", ")), JUNK)
def test_any_value_of_a_setting_is_read_or_refused(key: str, junk: Any) -> None:
    """The same for a value of any kind at any setting of a service."""
    service = {"listen": 1, "hosts": ["a.test"], "upstream": "http://a"} | {key: junk}
    assert _read_or_refused(json.dumps({"trust_domain": "example.org", "services": {"a": service}}))


def _read_or_refused(text: str) -> bool:
    try:
        return isinstance(parse(text, "f"), Settings)
    except SettingsError as error:
        return len(error.problems) > 0 and all(p.line > 0 and p.column > 0 and p.why for p in error.problems)


def test_the_schema_describes_every_setting_and_no_other() -> None:
    """Editors offer what the file may say, each with a description and an example, and mark all else."""
    made = schema()
    definitions: dict[str, Any] = made["$defs"]
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {
        "file": list(made["properties"]),
        **{name: list(definition["properties"]) for name, definition in definitions.items()},
    } == {
        "file": ["trust_domain", "services", "lifetimes"],
        "LifetimesModel": ["client", "gateway"],
        "RuleModel": ["allow", "methods", "paths"],
        "ServiceModel": KEYS.split(", "),
    }
    for definition in (made, *definitions.values()):
        assert definition["additionalProperties"] is False
        for setting in definition["properties"].values():
            assert setting["description"]
            assert setting.get("examples") or "$ref" in setting
    assert definitions["ServiceModel"]["required"] == ["listen", "hosts", "upstream"]
    assert definitions["RuleModel"]["required"] == ["allow"]


def test_the_examples_of_the_schema_are_read() -> None:
    """What the schema shows may be written."""
    properties = schema()["$defs"]["ServiceModel"]["properties"]
    for key, setting in properties.items():
        for example in setting["examples"]:
            service = {"listen": 1, "hosts": ["a.test"], "upstream": "https://a"} | {key: example}
            text = json.dumps({"trust_domain": "example.org", "services": {"a": service}})
            assert only_service(text).name == "a"
