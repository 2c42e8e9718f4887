"""OpenTelemetry: what is exported, read by the generated messages of the protocol, and received over HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.metrics.v1 import metrics_pb2  # type: ignore[import-untyped]  # generated, without types

from handclasp.monitor.definition import State
from handclasp.monitor.lateness import Statistics
from handclasp.monitor.outputs import otlp, prometheus
from handclasp.monitor.outputs.collector import Collector
from handclasp.monitor.outputs.destination import CollectorAddress
from handclasp.monitor.outputs.exposition import Family, Kind, Sample, gauge
from handclasp.monitor.ports import Standing
from handclasp.testing.watching import AT, a_monitor, a_result

RESOURCE = {"service.name": "handclasp", "service.version": "1"}
STARTED = AT - timedelta(hours=1)
NANO = 1_000_000_000


def read(body: bytes) -> Any:
    """As ResourceMetrics of the protocol's own messages.

    Those at hand are of before scopes had their name; the numbers of the fields stayed as they were.
    """
    (told,) = json.loads(body)["resourceMetrics"]
    (scope,) = told.pop("scopeMetrics")
    scope["instrumentationLibrary"] = scope.pop("scope")
    told["instrumentationLibraryMetrics"] = [scope]
    return json_format.ParseDict(told, metrics_pb2.ResourceMetrics())


def test_the_protocols_own_messages_read_it() -> None:
    """Every family of ours, of every kind; strict as to names of fields and types."""
    statistics = Statistics(checks=7)
    statistics.begun(timedelta(seconds=0.07))
    standing = Standing(a_monitor(), State.OK, AT, a_result(trusted=True), AT)
    families = [*prometheus.of_standings([standing]), *prometheus.of_worker(statistics, "w")]
    (body,) = otlp.requests(families, AT, STARTED, RESOURCE)
    message = read(body)
    assert {one.key: one.value.string_value for one in message.resource.attributes} == RESOURCE
    (scope,) = message.instrumentation_library_metrics
    assert scope.instrumentation_library.name == "handclasp.monitor"
    metrics = {one.name: one for one in scope.metrics}
    assert {family.name for family in families if family.samples} == {name.removesuffix("_info") for name in metrics}

    (point,) = metrics["handclasp_monitor_trusted"].gauge.data_points
    assert (point.as_double, point.time_unix_nano) == (1, int(AT.timestamp()) * NANO)
    checks = metrics["handclasp_worker_checks"].sum
    assert (checks.is_monotonic, checks.aggregation_temporality) == (True, 2)
    (point,) = checks.data_points
    assert (point.as_double, point.start_time_unix_nano) == (7, int(STARTED.timestamp()) * NANO)
    lateness = metrics["handclasp_worker_lateness_seconds"]
    (histogram,) = lateness.histogram.data_points
    assert (histogram.count, list(histogram.bucket_counts)[:3], lateness.unit) == (1, [0, 1, 0], "s")
    assert len(histogram.bucket_counts) == len(histogram.explicit_bounds) + 1


def test_much_goes_in_several_requests() -> None:
    """Each of a bounded size, and every point once."""
    many = Family("g", Kind.GAUGE, "Many.", [Sample((("n", str(n)),), n) for n in range(12_001)])
    bodies = otlp.requests([many, gauge("last", "One.", ((), 1))], AT, STARTED, RESOURCE)
    metrics = [metric for body in bodies for metric in read(body).instrumentation_library_metrics[0].metrics]
    counts = [(metric.name, len(metric.gauge.data_points)) for metric in metrics]
    assert counts == [("g", 5000), ("g", 5000), ("g", 2001), ("last", 1)]
    assert [p.as_double for m in metrics[:3] for p in m.gauge.data_points] == list(range(12_001))


class _Receiver(HTTPServer):
    """Notes what is posted, and answers with the statuses in turn, then with 200."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = list(statuses)
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.enough = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append((self.path, dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()
        if not self.server.statuses:
            self.server.enough.set()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def a_receiver(*statuses: int) -> Iterator[_Receiver]:
    """A collector."""
    with _Receiver(*statuses) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_collector_that_fails_is_asked_again() -> None:
    """A failure ends nothing; the keys for it are in the request, and in no log."""

    async def families() -> list[Family]:
        return [gauge("g", "G.", ((), 1))]

    async def main() -> None:
        with a_receiver(503, 302, 200) as server:
            address = CollectorAddress("http", "127.0.0.1", server.server_port)
            collector = Collector(address, families, lambda: AT, RESOURCE, {"api-key": "secret"}, every=0.01)
            assert "secret" not in repr(collector)
            running = asyncio.create_task(collector.run())
            assert await asyncio.to_thread(server.enough.wait, 5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert collector.dropped == 2
        path, headers, body = server.posted[0]
        assert (path, headers["Content-Type"], headers["api-key"]) == ("/v1/metrics", "application/json", "secret")
        assert read(body).instrumentation_library_metrics[0].metrics[0].name == "g"

    asyncio.run(main())
