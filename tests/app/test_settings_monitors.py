"""handclasp.yaml: what is watched."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from handclasp.app.settings import parse
from handclasp.monitor import json_path, maintenance
from handclasp.monitor.definition import Expectation, Kind, Monitor, Stranger, Trust, Window
from handclasp.testing.settings_files import Told, a_file, a_service, problems

REQUEST_ONLY = "https://... as target, and no refuses"
LATENCY = "a number and ms or s, as in 500ms"
NAME = "1 to 80 of: letters, digits, dots, dashes and underscores, as in partner-api"
PIN = "the SHA-256 of a public key (SubjectPublicKeyInfo): sha256/BASE64, or 64 hexadecimal digits"
STATUS = "statuses of HTTP, as in 200 or 2xx"
TRUST = "system, own, or a PEM file of authorities, relative to this file"


def one(rest: str) -> Monitor:
    """The monitor that this says."""
    (made,) = parse(a_file(a_service(), rest=f"monitors:\n  m: {{{rest}}}\n"), "conf/handclasp.yaml").monitors
    return made


def told(rest: str, name: str = "m") -> list[Told]:
    """What is wrong with it, the columns counted from the value of the monitor."""
    start = len(f"  {name}: {{")
    return [
        (line - 8, column - start, path, why, allowed)
        for line, column, path, why, allowed in problems(a_file(a_service(), rest=f"monitors:\n  {name}: {{{rest}}}\n"))
    ]


def test_without_monitors_nothing_is_watched() -> None:
    """The default."""
    assert parse(a_file(a_service()), "handclasp.yaml").monitors == ()


def test_a_target_is_enough() -> None:
    """Everything else has a default, which is that of Monitor."""
    assert one("target: a.test") == Monitor("m", Kind.TLS, "a.test")


def test_everything_said_is_read() -> None:
    """Each setting has its effect."""
    text = a_file(
        a_service(),
        rest="""\
monitors:
  partner-api:
    target: https://api.partner.example/health
    every: 1m
    timeout: 5s
    retries: 1
    retry_after: 3s
    warning: 30d
    critical: 10d
    expect:
      client_certificate: required
      status: [200, 3xx]
      tls: "1.3"
      issuer: CN=R3, O=Let's Encrypt\\, Inc, C=US
      pins:
        - sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
        - ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB
      body: '"up": ?true'
      json: {"$.status": ok, "$.items[0]['id']": 7}
      headers: {Content-Type: ^application/json}
      latency: 500ms
      chain: unchanged
    trust: partner-ca.pem
    credential: partner
    server_name: API.partner.example
    maintenance: ["sun 02:00-04:00", "daily 23:30-00:15"]
    labels: {team: payments, env: prod}
    alerts: [oncall, mail]
    paused: true
alerts:
  oncall: {pagerduty: env:KEY}
  mail: {slack: env:HOOK}
""",
    )
    (made,) = parse(text, "conf/handclasp.yaml").monitors
    assert made == Monitor(
        name="partner-api",
        kind=Kind.HTTPS,
        target="https://api.partner.example/health",
        every=timedelta(minutes=1),
        timeout=timedelta(seconds=5),
        warning=timedelta(days=30),
        critical=timedelta(days=10),
        retries=1,
        retry_after=timedelta(seconds=3),
        trust=Trust.FILE,
        ca_file="conf/partner-ca.pem",
        server_name="api.partner.example",
        credential="partner",
        expect=Expectation(
            client_certificate="required",
            issuer="CN=R3,O=Let's Encrypt\\, Inc,C=US",
            pins=("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "ab" * 32),
            tls=0x0304,
            chain_unchanged=True,
            status=frozenset({200, *range(300, 400)}),
            headers=(("content-type", "^application/json"),),
            body='"up": ?true',
            json=(("$.status", "ok"), ("$.items[0].id", "7")),
            latency=0.5,
        ),
        maintenance=(
            Window(frozenset({6}), time(2), time(4)),
            Window(frozenset(range(7)), time(23, 30), time(0, 15)),
        ),
        alerts=("oncall", "mail"),
        labels=(("env", "prod"), ("team", "payments")),
        paused=True,
    )


@pytest.mark.parametrize(
    ("said", "kind", "target"),
    [
        ("api.test:8443", Kind.TLS, "api.test:8443"),
        ("'[2001:db8::1]:443'", Kind.TLS, "[2001:db8::1]:443"),
        ("smtp://mail.test", Kind.TLS, "smtp://mail.test"),
        ("unix:/run/x.sock", Kind.TLS, "unix:/run/x.sock"),
        ("https://api.test/a.pem", Kind.HTTPS, "https://api.test/a.pem"),
        ("/etc/ssl", Kind.FILES, "/etc/ssl"),
        ("./tls", Kind.FILES, "conf/tls"),
        ("server.pem", Kind.FILES, "conf/server.pem"),
        ("ledger", Kind.LEDGER, "ledger"),
    ],
)
def test_the_target_says_what_is_looked_at(said: str, kind: Kind, target: str) -> None:
    """Files are relative to the file of settings."""
    made = one(f"target: {said}")
    assert (made.kind, made.target) == (kind, target)


@pytest.mark.parametrize("stranger", ["anonymous", "unlisted_ca"])
@pytest.mark.parametrize("target", ["a.test:443", "https://a.test/"])
def test_refuses_looks_at_that_alone(stranger: str, target: str) -> None:
    """Whatever the endpoint is."""
    made = one(f"target: '{target}', refuses: {stranger}")
    assert (made.kind, made.stranger) == (Kind.REFUSED, Stranger(stranger))


@pytest.mark.parametrize(
    ("said", "warning", "critical"),
    [
        ("warning: 3d", timedelta(days=3), timedelta(days=1)),
        ("warning: 60d", timedelta(days=60), timedelta(days=7)),
        ("critical: 30d", timedelta(days=30), timedelta(days=30)),
        ("critical: 3d", timedelta(days=21), timedelta(days=3)),
    ],
)
def test_one_threshold_follows_from_the_other(said: str, warning: timedelta, critical: timedelta) -> None:
    """Where the default would not fit beside it."""
    made = one(f"target: a.test, {said}")
    assert (made.warning, made.critical) == (warning, critical)


@pytest.mark.parametrize(
    ("said", "credential", "trust"),
    [("", "auto", Trust.SYSTEM), (", credential: none, trust: own", None, Trust.OWN)],
)
def test_credential_and_trust(said: str, credential: str | None, trust: Trust) -> None:
    """By host pattern unless another is said, or none."""
    made = one(f"target: https://a.test{said}")
    assert (made.credential, made.trust) == (credential, trust)


WRONG: dict[str, tuple[str, Told]] = {
    "unknown": (
        "target: a.test, evry: 5m",
        (0, 17, "monitors.m.evry", "there is no setting of this name here (did you mean every?)", ""),
    ),
    "unknown expectation": (
        "target: https://a.test, expect: {jsn: {}}",
        (0, 34, "monitors.m.expect.jsn", "there is no setting of this name here (did you mean json?)", ""),
    ),
    "plain HTTP": (
        "target: http://a.test",
        (
            0,
            9,
            "monitors.m.target",
            "http:// has no TLS to look at",
            "https://, or HOST:PORT of a port that speaks TLS",
        ),
    ),
    "too often": (
        "target: a.test, every: 32d",
        (0, 24, "monitors.m.every", "32d is outside the limits", "1s to 31d, as in 5m"),
    ),
    "too long": (
        "target: a.test, retries: 10, timeout: 5m",
        (
            0,
            26,
            "monitors.m.retries",
            "a check with all its retries takes too long",
            "timeout and retry_after so that all of it takes at most 15m",
        ),
    ),
    "retries": ("target: a.test, retries: 11", (0, 26, "monitors.m.retries", "'11' is no such number", "0 to 10")),
    "thresholds": (
        "target: a.test, warning: 5d, critical: 6d",
        (0, 40, "monitors.m.critical", "critical comes before warning", "critical at most as long as warning"),
    ),
    "status without a request": (
        "target: a.test, expect: {status: 200}",
        (0, 34, "monitors.m.expect.status", "this belongs to a request", REQUEST_ONLY),
    ),
    "json without a request": (
        "target: a.test, expect: {json: {$.a: b}}",
        (0, 32, "monitors.m.expect.json", "this belongs to a request", REQUEST_ONLY),
    ),
    "credential without a request": (
        "target: a.test, credential: x",
        (0, 29, "monitors.m.credential", "this belongs to a request", REQUEST_ONLY),
    ),
    "files and endpoints": (
        "target: /etc/ssl, trust: own",
        (0, 26, "monitors.m.trust", "this belongs to an endpoint", "HOST:PORT or https://..."),
    ),
    "ledger and endpoints": (
        "target: ledger, refuses: anonymous",
        (0, 26, "monitors.m.refuses", "this belongs to an endpoint", "HOST:PORT or https://..."),
    ),
    "passphrase": (
        "target: a.test, passphrase: 'env:A'",
        (0, 29, "monitors.m.passphrase", "this belongs to files", "a file or a directory as target"),
    ),
    "prompt": (
        "target: /etc/ssl, passphrase: prompt",
        (
            0,
            31,
            "monitors.m.passphrase",
            "nobody sits there to be asked",
            "env:NAME, file:PATH or keyring:SERVICE",
        ),
    ),
    "refuses with expectations": (
        "target: a.test, refuses: anonymous, expect: {tls: '1.3'}",
        (
            0,
            45,
            "monitors.m.expect",
            "this belongs to a check without refuses",
            "a second monitor for what else has to hold",
        ),
    ),
    "pin": (
        "target: a.test, expect: {pins: [sha256/AA==]}",
        (0, 33, "monitors.m.expect.pins[0]", "'sha256/AA==' is no pin", PIN),
    ),
    "status": (
        "target: https://a.test, expect: {status: [200, 6xx]}",
        (0, 48, "monitors.m.expect.status[1]", "'6xx' is no status", STATUS),
    ),
    "latency": (
        "target: a.test, expect: {latency: 1m}",
        (0, 35, "monitors.m.expect.latency", "'1m' is no such time", LATENCY),
    ),
    "path": (
        "target: https://a.test, expect: {json: {a: b}}",
        (0, 41, "monitors.m.expect.json.a", "'a' is no path of JSON", json_path.ALLOWED),
    ),
    "window": (
        "target: a.test, maintenance: [always]",
        (0, 31, "monitors.m.maintenance[0]", "'always' is no window of maintenance", maintenance.ALLOWED),
    ),
    "trust": ("target: a.test, trust: mine", (0, 24, "monitors.m.trust", "'mine' is no trust", TRUST)),
    "tls": (
        "target: a.test, expect: {tls: 1.1}",
        (0, 31, "monitors.m.expect.tls", "'1.1' is not one of the choices (did you mean 1.3?)", "1.2 or 1.3"),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_at_its_place(case: str) -> None:
    """Line, column, path, why, and what may stand there."""
    text, expected = WRONG[case]
    found = told(text)
    if not expected[-1]:  # a list of all settings
        found = [(*problem[:-1], "") for problem in found]
    assert found == [expected]


def test_a_name_has_its_form() -> None:
    """It stands in metrics and addresses."""
    (problem,) = told("target: a.test", name="a/b")
    assert problem[2:] == ("monitors.'a/b'", "'a/b' cannot be the name of a monitor", NAME)


@pytest.mark.parametrize("pattern", ["(a)\\1", "(?=a)", "(a"])
def test_expressions_that_cannot_be_matched_safely_are_refused(pattern: str) -> None:
    """When the file is read, not when somebody answers."""
    (problem,) = told(f"target: https://a.test, expect: {{body: '{pattern}'}}")
    assert problem[2] == "monitors.m.expect.body"
