"""A real Alertmanager, of Debian: what it makes of what it is told."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handclasp.monitor.alerts.alertmanager import LAPSE
from handclasp.monitor.alerts.dispatch import Dispatch, World
from handclasp.monitor.alerts.receiver import Alertmanager, Receiver
from handclasp.monitor.definition import State
from handclasp.monitor.digest import Digest, digest
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import Transition
from handclasp.testing.watching import a_monitor, a_result

_CONFIG = """
route: {receiver: none, group_wait: 1h}
receivers: [{name: none}]
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where one is."""
    program = shutil.which("prometheus-alertmanager")
    assert program is not None, "install it (Debian: apt-get install prometheus-alertmanager)"
    directory = tmp_path_factory.mktemp("alertmanager")
    (directory / "config.yml").write_text(_CONFIG)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    arguments = [
        f"--config.file={directory}/config.yml",
        f"--storage.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.route-prefix=/am",
        "--cluster.listen-address=",
    ]
    with Path(directory / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
    try:
        found = f"http://127.0.0.1:{port}/am"
        until = time.monotonic() + 20
        while not _answers(f"{found}/-/ready"):
            assert process.poll() is None and time.monotonic() < until, (directory / "log").read_text()
            time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def firing(url: str, monitor: str) -> list[dict[str, Any]]:
    """The alerts of a monitor that it holds to be firing."""
    with urllib.request.urlopen(f'{url}/api/v2/alerts?filter=monitor="{monitor}"', timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


class Told:
    """Tells the Alertmanager, as time goes by."""

    def __init__(self, url: str, monitor: str) -> None:
        self.url, self.monitor = url, monitor
        # In whole seconds: what the API shows.
        self.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)

    def transition(self, before: State, after: State, minutes: float = 0.5) -> None:
        """A change of state, a while after the one before."""
        self.at += timedelta(minutes=minutes)
        result = replace(a_result(after, self.at), monitor=self.monitor)
        labels = (("team", "payments"),)
        moved = Transition(f"{self.at}", self.monitor, self.at, before, after, None, result, labels)
        self._do(lambda dispatch: dispatch.deliver("am", moved))

    def repeat(self, state: State) -> None:
        """The repetition, of how the monitor stands."""
        result = replace(a_result(state, self.at), monitor=self.monitor)
        monitor = a_monitor(self.monitor, labels=(("team", "payments"),))
        self._do(lambda dispatch: dispatch.repeat("am", [Standing(monitor, state, self.at, result, self.at)]))

    def test(self) -> None:
        """What ``handclasp monitor test-alert`` does."""
        self._do(lambda dispatch: dispatch.test("am"))

    def _do(self, work: Any) -> None:
        async def context(_: Receiver) -> ssl.SSLContext:
            return ssl.create_default_context()

        async def no_digest() -> Digest:
            return digest((), datetime.now(UTC))

        with ThreadPoolExecutor(1) as threads:
            world = World("example.org", lambda: datetime.now(UTC), lambda *_: b"", context, no_digest, threads)
            asyncio.run(work(Dispatch([Receiver("am", Alertmanager(self.url))], world)))

    def severities(self) -> list[str]:
        """Of what fires."""
        return sorted(one["labels"]["severity"] for one in firing(self.url, self.monitor))


def test_it_follows_a_monitor_through_its_states(url: str) -> None:
    """One alert at a time, each with the right severity, and none once all is well."""
    told = Told(url, "steps")
    told.transition(State.OK, State.WARNING)
    assert told.severities() == ["warning"]
    told.transition(State.WARNING, State.CRITICAL)
    assert told.severities() == ["critical"]
    told.transition(State.CRITICAL, State.OK)
    assert told.severities() == []


def test_an_alert_as_it_shows_it(url: str) -> None:
    """Labels for routes, annotations for people, and an end that is known beforehand."""
    told = Told(url, "shown")
    told.transition(State.OK, State.CRITICAL)
    (alert,) = firing(url, "shown")
    assert alert["labels"] == {
        "alertname": "HandclaspMonitor",
        "monitor": "shown",
        "instance": "a.test:443",
        "severity": "critical",
        "team": "payments",
    }
    assert (alert["annotations"]["summary"], alert["annotations"]["code"]) == ("It is so.", "NET_CONNECTION_REFUSED")
    assert datetime.fromisoformat(alert["startsAt"]) == told.at
    left = datetime.fromisoformat(alert["endsAt"]) - datetime.now(UTC)
    assert LAPSE - timedelta(minutes=1) < left <= LAPSE


def test_a_repetition_is_the_same_alert_and_keeps_it(url: str) -> None:
    """Said again it is no other; said for the first time it is as good as the transition; and what is well ends."""
    told = Told(url, "again")
    told.repeat(State.CRITICAL)
    (first,) = firing(url, "again")
    told.repeat(State.CRITICAL)
    told.transition(State.WARNING, State.CRITICAL, 0)
    (again,) = firing(url, "again")
    assert (first["fingerprint"], first["startsAt"]) == (again["fingerprint"], again["startsAt"])
    told.at += timedelta(seconds=30)
    told.repeat(State.OK)
    assert told.severities() == []


def test_a_repetition_that_comes_too_late_is_undone_by_the_next(url: str) -> None:
    """It was read before the monitor became well, and posted after."""
    told = Told(url, "late")
    told.transition(State.OK, State.CRITICAL)
    began = told.at
    told.transition(State.CRITICAL, State.OK)
    ended = told.at
    told.at = began
    told.repeat(State.CRITICAL)
    assert told.severities() == ["critical"]
    told.at = ended
    told.repeat(State.OK)
    assert told.severities() == []


def test_a_test(url: str) -> None:
    """Another alert by name, which no route for real ones takes."""
    Told(url, "test").test()
    (alert,) = firing(url, "test")
    assert (alert["labels"]["alertname"], alert["labels"]["severity"]) == ("HandclaspTest", "info")
