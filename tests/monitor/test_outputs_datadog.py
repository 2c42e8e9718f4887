"""Datadog: readings, DogStatsD on the wire, and the check for the Agent."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from handclasp.findings import Code, Finding
from handclasp.monitor import datadog as drop_in
from handclasp.monitor.definition import Kind, State
from handclasp.monitor.outputs.datadog import Gauge, ServiceCheck, Status, readings, tag
from handclasp.monitor.outputs.destination import StatsdAddress
from handclasp.monitor.outputs.statsd import MOST_OCTETS, StatsdSender, datagrams, line
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result

TAGS = ("team:pay", "name:m", "server_hostname:a.test", "server:a.test", "port:443")
LABELS = (("team", "pay"),)
TOLD = {
    "gauges": [{"name": "tls.days_left", "value": 12.5, "tags": ["name:m"]}],
    "service_checks": [
        {"name": "tls.can_connect", "status": 0, "tags": ["name:m"], "message": ""},
        {"name": "tls.cert_expiration", "status": 1, "tags": ["name:m"], "message": "ends soon"},
    ],
}

STAND_IN = """
class AgentCheck:
    OK, WARNING, CRITICAL, UNKNOWN = range(4)

    def __init__(self, name, init_config, instances):
        self.instance = instances[0]
        self.sent = []

    def gauge(self, name, value, tags=None):
        self.sent.append(["gauge", name, value, tags])

    def service_check(self, name, status, tags=None, message=None):
        self.sent.append(["service_check", name, status, tags, message])
"""
RUN = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("handclasp", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
check = module.HandclaspCheck("handclasp", {}, [{"url": sys.argv[2], "tags": ["site:test"]}])
try:
    check.check(check.instance)
except OSError as error:
    check.sent.append(["raised", type(error).__name__])
print(json.dumps(check.sent))
"""
RUN_REAL = """
import importlib.util, json, sys
from datadog_checks.base.stubs import aggregator
spec = importlib.util.spec_from_file_location("handclasp", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
check = module.HandclaspCheck("handclasp", {}, [{"url": sys.argv[2], "tags": ["site:test"]}])
error = check.run()
gauge, = aggregator.metrics("tls.days_left")
ends, = aggregator.service_checks("tls.cert_expiration")
print(json.dumps([error, gauge.value, sorted(gauge.tags), ends.status, ends.message]))
"""


def test_an_endpoint_is_told_in_datadogs_words() -> None:
    """Names and tags are those of its TLS integration; the leaf alone has gauges."""
    result = a_result(trusted=True, facts={"target": "a.test:443", "tls_version": "1.3"})
    assert list(readings(a_monitor(labels=LABELS), result, AT + timedelta(hours=12))) == [
        ServiceCheck("handclasp.monitor", Status.OK, TAGS),
        ServiceCheck("tls.can_connect", Status.OK, TAGS),
        ServiceCheck("tls.version", Status.OK, TAGS),
        ServiceCheck("tls.cert_validation", Status.OK, TAGS),
        Gauge("tls.days_left", 59.5, TAGS),
        Gauge("tls.seconds_left", 59.5 * 86400, TAGS),
        Gauge("tls.issued_days", 90, TAGS),
        Gauge("tls.issued_seconds", 90 * 86400, TAGS),
        ServiceCheck("tls.cert_expiration", Status.OK, TAGS),
    ]


def test_an_endpoint_that_does_not_answer_keeps_its_days() -> None:
    """Only that it cannot be reached is critical; what is not known is not said."""
    finding = Finding(Code.NET_CONNECTION_REFUSED, "a.test:443", "nothing listens there")
    result = a_result(
        State.CRITICAL, findings=(finding,), certificates=(a_certificate(timedelta(days=10)),), seen_at=AT
    )
    found = list(readings(a_monitor(labels=LABELS), result, AT))
    checks = [(one.name, one.status) for one in found if isinstance(one, ServiceCheck)]
    assert checks == [
        ("handclasp.monitor", Status.CRITICAL),
        ("tls.can_connect", Status.CRITICAL),
        ("tls.cert_expiration", Status.WARNING),
    ]
    assert Gauge("tls.days_left", 10, TAGS) in found


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (Code.SERVER_CERT_HOSTNAME_MISMATCH, "tls.cert_validation"),
        (Code.NET_RESET_DURING_HANDSHAKE, "tls.cert_validation"),
        (Code.CHECK_TLS_VERSION, "tls.version"),
    ],
)
def test_a_fault_is_told_where_datadog_tells_it(code: Code, name: str) -> None:
    """Each has its service check."""
    trusted = None if code is Code.NET_RESET_DURING_HANDSHAKE else code is Code.CHECK_TLS_VERSION
    result = a_result(State.CRITICAL, code=code, findings=(Finding(code, "a", "because"),), trusted=trusted)
    found = [one for one in readings(a_monitor(), result, AT) if isinstance(one, ServiceCheck)]
    assert [one.name for one in found if one.status is Status.CRITICAL] == ["handclasp.monitor", name]


def test_files_have_a_set_for_each() -> None:
    """Told apart by role, place and subject."""
    certificates = (a_certificate(place="a.pem", role="file"), a_certificate(place="b.pem", role="file"))
    monitor = a_monitor(kind=Kind.FILES, target="/etc/tls")
    found = [
        one.tags
        for one in readings(monitor, a_result(certificates=certificates), AT)
        if isinstance(one, Gauge) and one.name == "tls.days_left"
    ]
    assert found == [("name:m", "role:file", f"place:{name}.pem", "subject:CN=a.test") for name in "ab"]


def test_a_line_cannot_be_made_into_two() -> None:
    """Neither a tag nor a message of a stranger ends where it says."""
    assert tag("subject", "a,b|#c\nd\x00") == "subject:a_b__c\\u{a}d\\u{0}"
    sent = line(ServiceCheck("n", Status.CRITICAL, ("a:b",), "x|y\nz m:w"))
    assert sent == b"_sc|n|2|#a:b|m:x/y\\nz m\\:w"
    assert line(Gauge("tls.days_left", 1 / 3, ("a:ü",))) == "tls.days_left:0.333333|g|#a:ü".encode()


def test_datagrams_are_full_and_no_fuller() -> None:
    """Lines in order, none split, none too long; a line that fits nowhere is left out."""
    many = [Gauge("n", number, ("t:" + "x" * (number % 200),)) for number in range(500)]
    sent = list(datagrams([*many, Gauge("n", 1, ("x" * 2000,))]))
    assert b"\n".join(sent).split(b"\n") == [line(one) for one in many]
    assert max(map(len, sent)) <= MOST_OCTETS
    assert all(len(a) + 1 + len(b.split(b"\n")[0]) > MOST_OCTETS for a, b in pairwise(sent))


@pytest.mark.parametrize("unix", [False, True], ids=["udp", "unix"])
def test_an_agent_receives_them(unix: bool, tmp_path: Path) -> None:
    """Over either kind of socket; when the Agent is away, nothing waits and it is counted."""

    async def main() -> None:
        path = str(tmp_path / "dsd.sock")
        receiver = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_DGRAM)
        with receiver:
            receiver.settimeout(5)
            receiver.bind(path if unix else ("127.0.0.1", 0))
            address = StatsdAddress(path=path) if unix else StatsdAddress("127.0.0.1", receiver.getsockname()[1])
            sender = StatsdSender(address)
            await sender.start()
            readings_ = list(readings(a_monitor(), a_result(), AT))
            sender.send(readings_)
            assert receiver.recv(65536) == b"\n".join(line(one) for one in readings_)
        if unix:
            sender.send(readings_)
            assert sender.dropped == 1
        sender.close()
        sender.send(readings_)
        assert sender.dropped == 1 + unix

    asyncio.run(main())


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/datadog.json" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(TOLD).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def a_page() -> Iterator[str]:
    """Handclasp's page, for the Agent."""
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def agent(program: str, url: str, search: Path | None = None) -> list[object]:
    """What the check does in an Agent's Python."""
    file = Path(drop_in.__path__[0]) / "handclasp.py"
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), url],
        env={"PYTHONPATH": str(search or "")},
        capture_output=True,
        check=True,
        text=True,
    )
    told: list[object] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_the_check_hands_on_what_it_fetched(tmp_path: Path) -> None:
    """Against a class with the four methods of the Agent's that it uses."""
    (tmp_path / "datadog_checks").mkdir()
    (tmp_path / "datadog_checks/base.py").write_text(STAND_IN)
    with a_page() as url:
        about = ["site:test", f"url:{url}/datadog.json"]
        assert agent(RUN, f"{url}/datadog.json", tmp_path) == [
            ["service_check", "handclasp.can_connect", 0, about, None],
            ["gauge", "tls.days_left", 12.5, ["name:m", "site:test"]],
            ["service_check", "tls.can_connect", 0, ["name:m", "site:test"], None],
            ["service_check", "tls.cert_expiration", 1, ["name:m", "site:test"], "ends soon"],
        ]
        first, raised = agent(RUN, f"{url}/other", tmp_path)
    assert isinstance(first, list)
    assert first[:3] == ["service_check", "handclasp.can_connect", 2]
    assert raised == ["raised", "OSError"]


@pytest.mark.skipif(
    importlib.util.find_spec("datadog_checks") is None,
    reason="the Agent's own class is not here: pip install 'datadog-checks-base[deps]'",
)
def test_the_check_runs_on_the_agents_own_class() -> None:
    """With its aggregator's stub to see what would be sent."""
    with a_page() as url:
        told = agent(RUN_REAL, f"{url}/datadog.json")
    assert told == ["", 12.5, ["name:m", "site:test"], 1, "ends soon"]
