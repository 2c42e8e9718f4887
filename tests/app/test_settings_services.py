"""handclasp.yaml: services and their rules, and what is said of those that cannot be meant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handclasp.access.pattern import IdentityPattern, PathPattern
from handclasp.access.policy import ANYONE, MAX_RULES, Policy, Rule
from handclasp.app.endpoints import LISTEN, UPSTREAM
from handclasp.app.settings import (
    Lifetimes,
    Listen,
    ServiceSettings,
    Settings,
    Upstream,
    parse,
)
from handclasp.pki.spiffe import TrustDomain
from handclasp.testing.settings_files import (
    EXAMPLE,
    KEYS,
    Told,
    a_file,
    a_service,
    only_service,
    problems,
)

EXAMPLE_ORG = TrustDomain("example.org")


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
