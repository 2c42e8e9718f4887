"""Outputs, put together and running: read by a real Prometheus, and compared with a real blackbox_exporter."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import pytest

from handclasp.app import anchors, probing
from handclasp.app.endpoints import Listen
from handclasp.app.monitoring_settings import MonitoringSettings, ProbeSettings
from handclasp.app.outputs import HEADERS, Outputs, Sources, outputs
from handclasp.findings import Refused
from handclasp.monitor.definition import Monitor, State
from handclasp.monitor.lateness import Statistics
from handclasp.monitor.outputs.destination import CollectorAddress, StatsdAddress
from handclasp.monitor.outputs.prometheus import OwnCredential
from handclasp.monitor.ports import Claim, Outcome, Standing
from handclasp.probe.credentials import Credential
from handclasp.probe.target import Target
from handclasp.probe.trust import Verifier
from handclasp.testing.servers import NGINX, OPENSSL, Case, Client, Material, Versions, make_material, serving
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result

REQUIRED12, REQUIRED13 = Case(Client.REQUIRED, Versions.TLS12), Case(Client.REQUIRED, Versions.TLS13)
HOSTILE = 'CN=a"b\\c\nup 1'
Found = dict[str, dict[tuple[tuple[str, str], ...], float]]


@dataclass(frozen=True)
class Servers:
    """Where the endpoints are: ``HOST:PORT`` each."""

    material: Material
    nginx: str
    plain: str
    required12: str
    required13: str
    expired: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Real ones: nginx, and openssl with each demand, and with a certificate that ended yesterday."""
    material = make_material(tmp_path_factory.mktemp("material"))
    old = make_material(tmp_path_factory.mktemp("old"), now=datetime.now(UTC) - timedelta(days=31))
    with (
        serving(NGINX, material, [Case()]) as nginx,
        serving(OPENSSL, material, [Case(), REQUIRED12, REQUIRED13]) as openssl,
        serving(OPENSSL, old, [Case()]) as expired,
    ):
        roots = material.directory / "both.pem"
        roots.write_bytes(material.roots.read_bytes() + old.roots.read_bytes())
        at = [nginx[Case()], openssl[Case()], openssl[REQUIRED12], openssl[REQUIRED13], expired[Case()]]
        yield Servers(replace(material, roots=roots), *(f"localhost:{one.port}" for one in at))


@dataclass
class Store:
    """What is asked how the monitors stand."""

    standings: tuple[Standing, ...] = ()
    fails: bool = False
    asked: int = 0

    async def read(self) -> tuple[Standing, ...]:
        self.asked += 1
        if self.fails:
            raise OSError("the database is away")
        return self.standings


@dataclass
class Running:
    """Outputs in a loop of their own."""

    outputs: Outputs
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    store: Store
    shown: list[Target] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, body, headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(f"http://127.0.0.1:{self.outputs.port}{path}", headers=named)
        try:
            with urlopen(request, timeout=20) as answer:
                body = answer.read()
                if answer.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                return answer.status, body.decode(), dict(answer.headers)
        except HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def probe(self, target: str, module: str = "", **headers: str) -> Found:
        """The metrics of a probe."""
        status, text, _ = self.get(f"/probe?{urlencode({'target': target, 'module': module})}", **headers)
        assert status == 200, text
        return read(text)


@contextmanager
def running(
    settings: MonitoringSettings, *standings: Standing, roots: Path | None = None, **sources: Any
) -> Iterator[Running]:
    """Outputs of these settings, with such monitors; ``roots`` are whom every server is verified with."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    store, shown = Store(standings), list[Target]()

    async def verifier(_: Monitor) -> Verifier:
        return Verifier([anchors.system() if roots is None else anchors.file(roots)])

    async def credential(_: Monitor, target: Target) -> Credential | None:
        shown.append(target)
        return None

    with probing.driver(50) as driver:
        context = outputs(Sources("w", store.read, driver, verifier, credential, **sources), settings)
        try:
            found = run(context.__aenter__())
            try:
                yield Running(found, run, store, shown)
            finally:
                run(context.__aexit__(None, None, None))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def probing_anything(*targets: str) -> MonitoringSettings:
    """An exporter that may probe these."""
    return MonitoringSettings(Listen("127.0.0.1", 0), ProbeSettings(targets or ("localhost",)))


def read(text: str) -> Found:
    """The samples, by name and labels."""
    found: Found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"(\w+)(?:{(.*)})? (\S+)", line).groups("")  # type: ignore[union-attr]  # it is a sample
        pairs = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)))
        found.setdefault(name, {})[pairs] = float(value)
    return found


@contextmanager
def blackbox(directory: Path, roots: Path) -> Iterator[Callable[[str, str], Found]]:
    """The real one, with modules of the same names."""
    tls = f"tls_config: {{ca_file: {roots}}}"
    (directory / "blackbox.yml").write_text(
        f"modules:\n  http_2xx: {{prober: http, http: {{{tls}}}}}\n"
        f"  tcp_connect_tls: {{prober: tcp, tcp: {{tls: true, {tls}}}}}\n"
    )
    port = free_port()
    command = ["prometheus-blackbox-exporter", f"--config.file={directory / 'blackbox.yml'}"]
    with program([*command, f"--web.listen-address=127.0.0.1:{port}"], port):

        def probe(target: str, module: str) -> Found:
            query = urlencode({"target": target, "module": module})
            with urlopen(f"http://127.0.0.1:{port}/probe?{query}", timeout=20) as answer:
                return read(answer.read().decode())

        yield probe


@contextmanager
def program(command: Sequence[str], port: int) -> Iterator[None]:
    """A program that listens there, while the block runs."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 20
            while True:
                with socket.socket() as caller:
                    if caller.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < until, f"{command[0]} does not listen"
                time.sleep(0.01)
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


SSL = ("probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds", "probe_ssl_last_chain_info")
MEASURED = {"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds"}
"""Whose values are times."""


def test_users_of_blackbox_exporter_find_what_they_know(servers: Servers, tmp_path: Path) -> None:
    """The same names with the same labels and values from the same endpoints, except where that one is wrong."""
    roots = servers.material.roots
    gone = f"127.0.0.1:{free_port()}"
    with running(probing_anything("localhost", "127.0.0.1"), roots=roots) as ours, blackbox(tmp_path, roots) as theirs:
        for target, module in (
            (f"https://{servers.nginx}", "http_2xx"),
            (servers.nginx, "tcp_connect_tls"),
            (servers.plain, "tcp_connect_tls"),
            (gone, "tcp_connect_tls"),
            (f"https://{gone}", "http_2xx"),
        ):
            expected, found = theirs(target, module), ours.probe(target, module)
            assert {name: set(one) for name, one in found.items() if name.startswith("probe_")} == {
                name: set(one) for name, one in expected.items()
            }
            assert {name: found[name] for name in expected.keys() - MEASURED} == {
                name: one for name, one in expected.items() if name not in MEASURED
            }

        # A false green: the handshake of TLS 1.3 succeeds, and the refusal comes after it.
        assert theirs(servers.required13, "tcp_connect_tls")["probe_success"] == {(): 1}
        for target in (servers.required13, servers.required12, servers.expired):
            found = ours.probe(target, "tcp_connect_tls")
            assert found["probe_success"] == {(): 0}
            assert set(SSL) < set(found)
        for target in (servers.required12, servers.expired):
            assert not set(SSL) & set(theirs(target, "tcp_connect_tls"))
        (ends,) = ours.probe(servers.expired, "tls")["probe_ssl_earliest_cert_expiry"].values()
        assert -2 * 86400 < ends - time.time() < 0


def test_modules_of_our_own(servers: Servers) -> None:
    """tls takes no offence at a demand; refused wants it; all say what it is."""
    with running(probing_anything(), roots=servers.material.roots) as ours:
        success = {
            (target, module): next(iter(ours.probe(target, module)["probe_success"].values()))
            for target in (servers.required13, servers.plain, servers.expired)
            for module in ("tls", "refused")
        }
        assert success == {
            (servers.required13, "tls"): 1,
            (servers.required13, "refused"): 1,
            (servers.plain, "tls"): 1,
            (servers.plain, "refused"): 0,
            (servers.expired, "tls"): 0,
            (servers.expired, "refused"): 0,
        }
        found = ours.probe(servers.expired, "tls")
        assert found["handclasp_probe_code_info"] == {(("code", "SERVER_CERT_EXPIRED"),): 1}
        assert len(found["handclasp_certificate_not_after_timestamp_seconds"]) == 2
        found = ours.probe(servers.required13, "tls")
        assert found["handclasp_probe_client_certificate_info"] == {(("client_certificate", "required"),): 1}
        status, text, _ = ours.get(f"/probe?module=tls&debug=true&target={servers.required13}")
        assert status == 200
        assert '"client_certificate": "required"' in text
        assert "\nprobe_success 1\n" in text
        assert ours.shown == []


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("module=tls", 400, "Target parameter is missing"),
        ("target=localhost:1&module=nope", 400, "Unknown module 'nope'. There are: "),
        ("target=http://localhost", 400, "http:// has no TLS"),
        ("target=a%20b", 400, "Allowed: "),
        ("target=10.0.0.1:443", 403, "does not allow 10.0.0.1:443"),
        ("target=unix:/run/x.sock&module=tls", 403, "does not allow unix:/run/x.sock"),
        ("target=[::1]:443&module=tls", 403, "does not allow [::1]:443"),
        ("target=127.0.0.1:443&module=tls", 403, "does not allow"),
        ("target=" + "a" * 3000, 400, "it is too long"),
        ("&".join(["x=1"] * 30), 400, "cannot be read"),
        ("target=%ff%fe", 400, "Allowed: "),
    ],
)
def test_what_may_not_be_probed_is_not(exporter: Running, query: str, status: int, text: str) -> None:
    """Prometheus sees up == 0, and a person why."""
    found = exporter.get(f"/probe?{query}")
    assert (found[0], text in found[1]) == (status, True), found


@pytest.fixture(scope="module")
def exporter() -> Iterator[Running]:
    """One that may probe localhost alone."""
    with running(probing_anything("localhost", "*.example.org"), Standing(a_monitor(), State.OK, AT, None, AT)) as one:
        yield one


def test_pages_of_browsers_and_other_methods_are_turned_away(exporter: Running) -> None:
    """What a page of elsewhere asks for is not answered; nothing is changed by anybody."""
    assert exporter.get("/metrics", sec_fetch_site="cross-site")[0] == 403
    assert exporter.get("/metrics", sec_fetch_site="none")[0] == 200
    assert exporter.get("/nothing")[0] == 404
    assert exporter.get("/-/healthy")[:2] == (200, "Handclasp is healthy.\n")
    with pytest.raises(HTTPError, match="405"):
        urlopen(f"http://127.0.0.1:{exporter.outputs.port}/metrics", data=b"x")


def test_the_formats_are_negotiated(exporter: Running) -> None:
    """By Accept and Accept-Encoding."""
    _, text, headers = exporter.get("/metrics", accept="application/openmetrics-text", accept_encoding="gzip")
    assert headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert text.endswith("# EOF\n")
    assert exporter.get("/metrics")[2]["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_probe_ends_before_prometheus_gives_up() -> None:
    """Half a second before; a server that says nothing is no success, and no more than ``at_once`` wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent, running(probing_anything("127.0.0.1")) as ours:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        found = ours.probe(target, "tls", x_prometheus_scrape_timeout_seconds="1.2")
        assert 0.4 < time.monotonic() - began < 1.2
        assert found["probe_success"] == {(): 0}
        assert found["handclasp_probe_code_info"] == {(("code", "NET_HANDSHAKE_TIMEOUT"),): 1}
        for wrong in ("x", "-1", "nan", "inf"):
            status, _, _ = ours.get(f"/probe?module=tls&target={target}", x_prometheus_scrape_timeout_seconds=wrong)
            assert status == 400


def test_a_real_prometheus_reads_all_of_it(servers: Servers, tmp_path: Path) -> None:
    """/metrics in OpenMetrics, hostile labels among them, and /probe with the relabelling of blackbox_exporter's
    documentation."""
    certificates = (a_certificate(subject=HOSTILE), a_certificate(timedelta(days=-9), role="intermediate", place="x"))
    standing = Standing(
        a_monitor(labels=(("team", HOSTILE),)), State.CRITICAL, AT, a_result(certificates=certificates), AT
    )

    async def credentials() -> Sequence[OwnCredential]:
        return (OwnCredential("c", "*.a.test", AT),)

    statistics = Statistics(checks=5)
    statistics.begun(timedelta(seconds=1))
    sources: dict[str, Any] = {"statistics": lambda: statistics, "credentials": credentials}
    roots, port = servers.material.roots, free_port()
    with running(probing_anything(), standing, roots=roots, **sources) as ours:
        (tmp_path / "prometheus.yml").write_text(f"""\
global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}
scrape_configs:
  - job_name: handclasp
    static_configs: [{{targets: ["127.0.0.1:{ours.outputs.port}"]}}]
  - job_name: probes
    scrape_interval: 2s
    scrape_timeout: 2s
    metrics_path: /probe
    params: {{module: [tcp_connect_tls]}}
    static_configs: [{{targets: ["{servers.plain}", "{servers.required13}", "10.0.0.1:443"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{ours.outputs.port}"}}
""")
        command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", "--log.level=error"]
        command += [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        with program(command, port):

            def ask(query: str, wanted: int) -> dict[str, float]:
                """Value by the instance, or whatever label tells them apart."""
                until = time.monotonic() + 15
                while True:
                    try:
                        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}") as answer:
                            told = json.load(answer)["data"]["result"]
                    except HTTPError:  # it is still starting
                        told = []
                    if len(told) >= wanted or time.monotonic() > until:
                        break
                    time.sleep(0.05)
                labels = ("subject", "state", "credential", "instance")
                return {next(o["metric"][x] for x in labels if x in o["metric"]): float(o["value"][1]) for o in told}

            assert ask('up{job="probes"}', 3) == {servers.plain: 1, servers.required13: 1, "10.0.0.1:443": 0}
            assert ask("probe_success", 2) == {servers.plain: 1, servers.required13: 0}
            days = ask("(probe_ssl_earliest_cert_expiry - time()) / 86400", 2)
            assert {target: 29 < left < 30 for target, left in days.items()} == {
                servers.plain: True,
                servers.required13: True,
            }
            assert list(ask('up{job="handclasp"}', 1).values()) == [1]
            states = {"ok": 0, "pending": 0, "warning": 0, "critical": 1}
            assert ask("handclasp_monitor_state", 4) == states
            ends = {
                HOSTILE.replace("\n", "\\u{a}"): AT.timestamp() + 60 * 86400,
                "CN=a.test": AT.timestamp() - 9 * 86400,
            }
            assert ask('handclasp_certificate_not_after_timestamp_seconds{job="handclasp"}', 2) == ends
            assert ask("handclasp_credential_not_after_timestamp_seconds", 1) == {"c": AT.timestamp()}
            assert list(ask("handclasp_worker_checks_total", 1).values()) == [5]
            assert list(ask("histogram_quantile(1, handclasp_worker_lateness_seconds_bucket)", 1).values()) == [1]
            assert list(ask("handclasp_monitor_info", 1).values()) == [1]


def test_while_the_store_is_away_the_last_is_shown() -> None:
    """And it is said. It is asked at most once a second, whoever asks."""
    with running(MonitoringSettings(Listen("127.0.0.1", 0)), Standing(a_monitor(), State.OK, AT, None, AT)) as ours:
        ours.store.fails = True
        assert ours.get("/metrics")[0] == 503
        ours.store.fails = False
        assert read(ours.get("/metrics")[1])["handclasp_store_up"] == {(): 1}
        asked = ours.store.asked
        for _ in range(3):
            ours.get("/datadog.json")
        assert ours.store.asked == asked
        ours.store.fails = True
        time.sleep(1.05)
        found = read(ours.get("/metrics")[1])
        assert found["handclasp_store_up"] == {(): 0}
        assert len(found["handclasp_monitor_state"]) == 4


def test_the_page_for_datadog() -> None:
    """All readings of all monitors that are not paused."""
    last = a_result(certificates=(a_certificate(),))
    standings = [Standing(a_monitor(name, paused=name == "b"), State.OK, AT, last, AT) for name in "ab"]
    with running(MonitoringSettings(Listen("127.0.0.1", 0)), *standings, now=lambda: AT) as ours:
        told = json.loads(ours.get("/datadog.json")[1])
    tags = ["name:a", "server_hostname:a.test", "server:a.test", "port:443"]
    assert told["gauges"][0] == {"name": "tls.days_left", "value": 60, "tags": tags}
    assert {one["tags"][0] for one in told["service_checks"]} == {"name:a"}
    assert told["service_checks"][0] == {"name": "handclasp.monitor", "status": 0, "tags": tags, "message": ""}


def test_settings_change_while_it_runs(tmp_path: Path) -> None:
    """What is asked for begins, what is not any more ends, and what cannot be had leaves the rest as it was."""
    claim = Claim(Standing(a_monitor(), State.OK, None, None, AT), 1, AT)
    outcome = Outcome(claim, a_result(), (), None, AT)
    file = tmp_path / "results.jsonl"
    first = MonitoringSettings(Listen("127.0.0.1", 0))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent,
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as collector,
        running(first, environment={HEADERS: "api-key=a%20b"}, export_every=0.01) as ours,
    ):
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(5)
        collector.settimeout(5)
        assert ours.get("/probe?target=localhost:1")[0] == 403

        statsd = StatsdAddress("127.0.0.1", agent.getsockname()[1])
        otlp = CollectorAddress("http", "127.0.0.1", collector.getsockname()[1])
        second = replace(first, statsd=statsd, jsonl=file, otlp=otlp, probe=ProbeSettings(("localhost",)))
        ours.run(ours.outputs.settle(second))
        ours.run(_hand_on(ours.outputs, outcome))
        assert agent.recv(65536).startswith(b"_sc|handclasp.monitor|0|#name:m")
        peer, _ = collector.accept()
        with peer:
            assert b"api-key: a b\r\n" in peer.recv(65536)
        assert ours.get("/probe?target=localhost:1")[0] == 200

        port = ours.outputs.port
        wrong = replace(second, listen=Listen("127.0.0.1", taken.getsockname()[1]), statsd=None)
        with pytest.raises(Refused, match="Metrics cannot be served"):
            ours.run(ours.outputs.settle(wrong))
        assert ours.outputs.port == port
        assert ours.get("/-/healthy")[0] == 200
        with pytest.raises(Refused, match="Results cannot be written"):
            ours.run(ours.outputs.settle(replace(second, jsonl=tmp_path / "no/such.jsonl")))

        ours.run(ours.outputs.settle(MonitoringSettings()))
        ours.run(_hand_on(ours.outputs, outcome))
        assert ours.outputs.port is None
        assert [json.loads(line)["type"] for line in file.read_text().splitlines()] == ["result"]


async def _hand_on(to: Outputs, outcome: Outcome) -> None:
    """As the runner does."""
    to.on_results([outcome])
