"""handclasp.yaml: where results go, what may be probed, how long is kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from handclasp.app.endpoints import LISTEN, Listen
from handclasp.app.monitoring_settings import MonitoringSettings, ProbeSettings
from handclasp.app.settings import parse
from handclasp.monitor.definition import Trust
from handclasp.monitor.outputs.destination import BUILT_IN, CollectorAddress, Module, Prober, StatsdAddress
from handclasp.monitor.outputs.targets import ALLOWED, AllowedTargets
from handclasp.monitor.ports import Retention
from handclasp.probe import parse as endpoint
from handclasp.testing.settings_files import Told, a_file, a_service, problems

STATSD = "HOST:PORT, or unix:/path/of/a/socket"
OTLP = "http://HOST:PORT or https://HOST:PORT; without a path, /v1/metrics"
JSONL = "a file, relative to this file, or - for standard output"
KEPT = "1h to 3650d, as in 7d"


def one(rest: str) -> MonitoringSettings:
    """What this says."""
    return parse(a_file(a_service(), rest=f"monitoring: {{{rest}}}\n"), "conf/handclasp.yaml").monitoring


def told(rest: str) -> list[Told]:
    """What is wrong with it: path, why, what is allowed."""
    found = problems(a_file(a_service(), rest=f"monitoring: {{{rest}}}\n"))
    assert {line for line, *_ in found} == {7}
    return found


def test_nothing_listens_and_nothing_is_sent_unless_it_is_said() -> None:
    """The default."""
    assert parse(a_file(a_service()), "handclasp.yaml").monitoring == MonitoringSettings()
    assert MonitoringSettings() == MonitoringSettings(None, None, None, None, None, Retention())


def test_everything_said_is_read() -> None:
    """Each setting has its effect; files are relative to the settings."""
    rest = (
        "listen: '10.0.0.5:9219', probe: {targets: ['*.example.org', 10.0.0.0/8], modules: "
        "{http_p: {prober: http_2xx, trust: ca.pem, server_name: P.test, credential: auto}, tls: {prober: tls, "
        "trust: own}}}, statsd: 'localhost:8125', otlp: 'https://otel.test/x', jsonl: log/a.jsonl, "
        "retention: {results: 2d, history: 30d}"
    )
    mine = Module("http_p", Prober.HTTP_2XX, Trust.FILE, "conf/ca.pem", "p.test", "auto")
    own = Module("tls", Prober.TLS, Trust.OWN)
    built_in = tuple(own if module.name == "tls" else module for module in BUILT_IN)
    assert one(rest) == MonitoringSettings(
        Listen("10.0.0.5", 9219),
        ProbeSettings(("*.example.org", "10.0.0.0/8"), (*built_in, mine)),
        StatsdAddress("localhost", 8125),
        CollectorAddress("https", "otel.test", 443, "/x"),
        Path("conf/log/a.jsonl"),
        Retention(timedelta(days=2), timedelta(days=30)),
    )


def test_a_port_alone_is_for_this_machine() -> None:
    """Metrics name who is watched, and /probe reaches into the network: others are named."""
    assert one("listen: 9219").listen == Listen("127.0.0.1", 9219)
    assert one("listen: '0.0.0.0:9219'").listen == Listen("0.0.0.0", 9219)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("'127.0.0.1:8125'", StatsdAddress("127.0.0.1", 8125)),
        ("'[::1]:8125'", StatsdAddress("::1", 8125)),
        ("unix:/run/d.sock", StatsdAddress(path="/run/d.sock")),
        ("unix:///run/d.sock", StatsdAddress(path="/run/d.sock")),
    ],
)
def test_statsd_is_an_address_or_a_socket(text: str, address: StatsdAddress) -> None:
    """As the Datadog Agent's settings write them."""
    assert one(f"statsd: {text}").statsd == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
        ("'http://[::1]:4318/'", "http://[::1]:4318/v1/metrics"),
        ("https://otel.test/a/v1/metrics", "https://otel.test:443/a/v1/metrics"),
    ],
)
def test_a_collector_has_the_usual_path(text: str, address: str) -> None:
    """Unless another is said."""
    assert str(one(f"otlp: {text}").otlp) == address


@pytest.mark.parametrize(
    ("rest", "path", "why", "allowed"),
    [
        ("listen: x", "listen", "'x' is not a port", f"{LISTEN}; ports are 1 to 65535"),
        ("listen: 8443", "listen", "the service a listens on 8443", "another port"),
        ("probe: {targets: [a.test]}", "listen", "it is missing, so nobody could ask for a probe", LISTEN),
        ("listen: 1, probe: {targets: [10.0.0.1/8]}", "probe.targets[0]", "'10.0.0.1/8' is no network: "
         "10.0.0.1/8 has host bits set", ALLOWED),
        ("listen: 1, probe: {targets: ['*']}", "probe.targets[0]", "'*' has * elsewhere than as its whole first label",
         ALLOWED),
        ("listen: 1, probe: {modules: {a: {prober: tls}}}", "probe.targets",
         "it is missing, so the modules could examine nothing", ALLOWED),
        ("listen: 1, probe: {targets: [a.test], modules: {a: {prober: icmp}}}", "probe.modules.a.prober",
         "'icmp' is not one of the choices", "http_2xx or tcp_connect_tls or tls or https or refused"),
        ("statsd: localhost", "statsd", "'localhost' is no host and port", STATSD),
        ("statsd: 'unix:a'", "statsd", "this is not the path of a socket", STATSD),
        ("otlp: 'localhost:4318'", "otlp", "'localhost:4318' is not the address of a collector", OTLP),
        ("otlp: 'http://u:p@h'", "otlp", "a login in the URL is not used",
         f"{OTLP}; keys in OTEL_EXPORTER_OTLP_HEADERS"),
        ("otlp: 'http://h:x'", "otlp", "'http://h:x' is not a URL", OTLP),
        ("jsonl: a/", "jsonl", "this is not the name of a file", JSONL),
        ("retention: {results: 1m}", "retention.results", "1m is outside the limits", KEPT),
        ("retention: {results: 9d, history: 8d}", "retention.history", "it is shorter than results",
         "at least as long as results"),
        ("metrics: on", "metrics", "there is no setting of this name here",
         "listen, probe, statsd, otlp, jsonl, retention"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(rest: str, path: str, why: str, allowed: str) -> None:
    """At its place, with what is allowed."""
    ((_, _, found, because, instead),) = told(rest)
    assert (found, because, instead) == (f"monitoring.{path}", why, allowed)


@pytest.mark.parametrize(
    ("pattern", "allowed", "not_allowed"),
    [
        ("a.test", ("a.test", "A.test:8443"), ("b.test", "x.a.test", "unix:/a.test")),
        ("a.test:443", ("a.test",), ("a.test:22",)),
        ("*.a.test", ("x.a.test", "smtp://x.a.test"), ("a.test", "y.x.a.test", "a.test.evil.test")),
        ("10.0.0.0/8", ("10.1.2.3:1",), ("11.0.0.1", "10.0.0.1.evil.test", "[::ffff:10.0.0.1]:1", "ten.test")),
        ("2001:db8::/32", ("[2001:db8::1]:443",), ("[2001:db9::1]:443", "10.0.0.1")),
        ("127.0.0.1", ("127.0.0.1:5",), ("127.0.0.2", "localhost", "[::1]:443")),
        ("anything", ("a.test", "10.0.0.1"), ("unix:/run/a.sock",)),
    ],
)
def test_a_target_is_allowed_by_a_pattern(pattern: str, allowed: tuple[str, ...], not_allowed: tuple[str, ...]) -> None:
    """By its name or its address as written, and by nothing else."""
    found = AllowedTargets.parse([pattern])
    told = {text: found.permits(endpoint.target(text)) for text in allowed + not_allowed}
    assert told == dict.fromkeys(allowed, True) | dict.fromkeys(not_allowed, False)


def test_without_patterns_nothing_is_allowed() -> None:
    """An empty list is no list of everything."""
    assert not AllowedTargets.parse([]).permits(endpoint.target("a.test"))
