"""The how-tos about monitoring do what they say: each is followed word for word, against real servers.

Names and ports of the pages become those of servers that were started for the test, and a minute becomes a second.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.servers import HAPROXY, Case, Client, Material, make_material, one, serving
from handclasp.testing.servers.case import Command, Listener, Product, Site, Versions
from handclasp.testing.servers.material import NAMES
from handclasp.testing.servers.running import HOST, program
from handclasp.testing.site import free_port
from handclasp.testing.walkthrough import follow

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
SECONDS = 90

_PARTNER = """\
global
  log stdout format raw daemon
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend partner
  http-request return status 200 content-type application/json string '{"status":"ok"}'
"""


def followed(page: str, directory: Path, names: Mapping[str, str], more: Mapping[str, str] | None = None) -> None:
    """Run every block of the page in the directory, in which these names stand for those of the page; what it prints
    has to be as shown. Nothing that it started is left."""
    text = (HOW_TO / page).read_text()
    for said, here in names.items():
        assert said in text
        text = text.replace(said, here)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HANDCLASP_", "OTEL_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "HOME": str(directory)}
    try:
        steps = follow(text, directory, {**environment, **(more or {})}, SECONDS)
    finally:
        end_what_runs_in(directory)
    for step in steps:
        assert step.fits, f"after:\n{step.block}\nthe page shows:\n{step.shown}\nbut it printed:\n{step.printed}"
    assert len(steps) == text.count("```sh\n")


def end_what_runs_in(directory: Path) -> None:
    """A page that went wrong half-way has not stopped what it started."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve().is_relative_to(directory):
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


def of_a_year(material: Material, directory: Path, left: timedelta) -> Material:
    """The same, but the server's certificate was made for a year, and so much of it is left."""
    ends = datetime.now(UTC) + left
    begins = ends - timedelta(days=365)
    later = ends + timedelta(days=1000)
    root = chains.make("Partner root", authority=True, begins=begins, ends=later)
    issuing = chains.make("Partner issuing", root, authority=True, path_length=0, begins=begins, ends=later)
    leaf = chains.make("localhost", issuing, names=NAMES, usages=(chains.SERVER,), begins=begins, ends=ends)
    both = directory / "both.pem"
    both.write_bytes(pem.pem(leaf.certificate, issuing.certificate) + private_pem(leaf.key))
    both.chmod(0o600)
    roots = directory / "roots.pem"
    roots.write_bytes(pem.pem(root.certificate))
    return replace(material, roots=roots, server=replace(material.server, holder=leaf, both=both))


def _serve_partner(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    (listener,) = listeners
    bind = (
        f"  bind {HOST}:{listener.port} ssl crt {listener.credential.both} ca-file {site.material.client_authorities}"
    )
    path = site.directory / "haproxy.cfg"
    path.write_text(f"{_PARTNER}{bind} verify required\n")
    return [Command([program("haproxy"), "-db", "-f", path], listeners)]


PARTNER = Product("haproxy", ("haproxy",), "haproxy", _serve_partner)
"""An API that answers in JSON, and nobody without a certificate."""


@contextmanager
def partner(material: Material, directory: Path, made: Path) -> Iterator[str]:
    """Its HOST:PORT, and in the directory what it gave to us."""
    made.mkdir()
    theirs = of_a_year(material, made, timedelta(days=100))
    (directory / "partner-ca.pem").write_bytes(theirs.roots.read_bytes())
    (directory / "client.pem").write_bytes(material.client.chain.read_bytes())
    (directory / "client.key").write_bytes(material.client.key.read_bytes())
    with one(PARTNER, theirs, Case(Client.REQUIRED)) as server:
        yield f"localhost:{server.port}"


@pytest.mark.e2e
def test_a_partner_is_monitored(tmp_path: Path, material: Material) -> None:
    """From the first look to an alert for a certificate that ends too soon."""
    directory = tmp_path / "reader"
    directory.mkdir()
    with partner(material, directory, tmp_path / "partner") as at:
        names = {"api.partner.example:8443": at, "*.partner.example": "localhost", "9000": str(free_port())}
        followed("monitor-a-partner.md", directory, names)


BLACKBOX = """\
modules:
  tcp_connect_tls:
    prober: tcp
    tcp:
      tls: true
      tls_config: {ca_file: internal-ca.pem}
"""
PROMETHEUS = """\
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: endpoints
    metrics_path: /probe
    params: {module: [tcp_connect_tls]}
    static_configs:
      - targets: ["@TARGET@"]
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: 127.0.0.1:@EXPORTER@
"""


@contextmanager
def process(directory: Path, port: int, *arguments: str) -> Iterator[int]:
    """A program in the directory that listens on the port, from its first connection to its end. Its process id."""
    with (directory / "said").open("ab") as said:
        running = subprocess.Popen(arguments, cwd=directory, stdout=said, stderr=said)
    try:
        until = time.monotonic() + 20
        while True:
            with socket.socket() as caller:
                if caller.connect_ex((HOST, port)) == 0:
                    break
            assert running.poll() is None and time.monotonic() < until, (directory / "said").read_text()
            time.sleep(0.02)
        yield running.pid
    finally:
        running.terminate()
        running.wait(10)


@pytest.mark.e2e
def test_prometheus_changes_over_from_blackbox_exporter(tmp_path: Path, material: Material) -> None:
    """Both exporters are asked about a server that demands a certificate; Prometheus then reads ours."""
    exporter, database, ours = free_port(), free_port(), free_port()
    with one(HAPROXY, material, Case(Client.REQUIRED, Versions.TLS13)) as server:
        at = f"localhost:{server.port}"
        (tmp_path / "internal-ca.pem").write_bytes(material.roots.read_bytes())
        (tmp_path / "blackbox.yml").write_text(BLACKBOX)
        text = PROMETHEUS.replace("@TARGET@", at).replace("@EXPORTER@", str(exporter))
        (tmp_path / "prometheus.yml").write_text(text)
        listen = "--web.listen-address=127.0.0.1"
        blackbox = ("prometheus-blackbox-exporter", "--config.file=blackbox.yml", f"{listen}:{exporter}")
        prometheus = ("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"{listen}:{database}")
        with process(tmp_path, exporter, *blackbox), process(tmp_path, database, *prometheus) as pid:
            names = {"api.example.org:8443": at, "9115": str(exporter), "9090": str(database), "9219": str(ours)}
            followed("from-blackbox-exporter.md", tmp_path, names, {"PROMETHEUS": str(pid)})


TLS_CHECK = """\
instances:
  - server: {host}
    port: {port}
    tls_ca_cert: {directory}/internal-ca.pem
    days_warning: 21
    days_critical: 7
    tags: [team:payments]
"""
AGENT = """\
#!{python}
# A stand-in for the Agent's command: it runs a check file on a class with the methods that the Agent's class has, and
# prints what the check hands on.
import importlib.util, os, sys, types
import yaml

class AgentCheck:
    OK, WARNING, CRITICAL, UNKNOWN = range(4)
    def gauge(self, name, value, tags=None):
        print("gauge", name, value, *sorted(tags))
    def service_check(self, name, status, tags=None, message=None):
        print("service_check", name, status, *sorted(tags))

base = types.ModuleType("datadog_checks.base")
base.AgentCheck = AgentCheck
sys.modules["datadog_checks.base"] = base
assert sys.argv[1] == "check"
spec = importlib.util.spec_from_file_location("check", os.environ["AGENT"] + "/checks.d/" + sys.argv[2] + ".py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with open(os.environ["AGENT"] + "/conf.d/" + sys.argv[2] + ".d/conf.yaml") as file:
    for instance in yaml.safe_load(file)["instances"]:
        module.HandclaspCheck().check(instance)
"""


@pytest.mark.e2e
def test_the_agent_changes_over_from_its_tls_check(tmp_path: Path, material: Material) -> None:
    """The check file hands on what the monitors found; then DogStatsD brings the same to where the Agent listens."""
    directory, agent, programs = tmp_path / "reader", tmp_path / "agent", tmp_path / "programs"
    for made in (directory, agent / "conf.d" / "tls.d", programs):
        made.mkdir(parents=True)
    (directory / "internal-ca.pem").write_bytes(material.roots.read_bytes())
    (programs / "datadog-agent").write_text(AGENT.format(python=sys.executable))
    (programs / "datadog-agent").chmod(0o755)
    with (
        one(HAPROXY, material, Case(Client.REQUIRED, Versions.TLS12)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind((HOST, 0))
        receiver.settimeout(10)
        old = TLS_CHECK.format(host="localhost", port=server.port, directory=directory)
        (agent / "conf.d" / "tls.d" / "conf.yaml").write_text(old)
        listen = str(free_port())
        names = {
            "server: api.example.org\n    port: 8443": f"server: localhost\n    port: {server.port}",
            "api.example.org:8443": f"localhost:{server.port}",
            "9219": listen,
            "8125": str(receiver.getsockname()[1]),
            "--conf >": f"--conf | sed s/9219/{listen}/ >",
            "every: 1m": "every: 1s",
            "kill %1": "sleep 2; kill %1",
        }
        more = {"AGENT": str(agent), "PATH": f"{Path(sys.executable).parent}:{programs}:{os.environ['PATH']}"}
        followed("from-datadog.md", directory, names, more)
        sent = receiver.recv(65536).decode()
    assert "tls.days_left:29.9" in sent and "_sc|tls.can_connect|0|" in sent and "team:payments" in sent


DEMANDS = (Client.REQUIRED, Client.OPTIONAL, Client.NONE)


@pytest.mark.e2e
def test_a_list_is_scanned(tmp_path: Path, material: Material) -> None:
    """Servers that demand a certificate, ask for it, and do neither."""
    (tmp_path / "internal-ca.pem").write_bytes(material.roots.read_bytes())
    with serving(HAPROXY, material, [Case(client) for client in DEMANDS]) as servers:
        names = {f"{name}.example.org": "localhost" for name in ("shop", "partners", "new")}
        names |= {str(8443 + n): str(servers[Case(client)].port) for n, client in enumerate(DEMANDS)}
        followed("scan.md", tmp_path, names)
