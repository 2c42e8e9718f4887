"""Monitoring as people run it: alone, beside the gateway, several processes on one database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from handclasp.testing.postgres import Postgres, postgres
from handclasp.testing.servers import HAPROXY, Case, Client, Material, ServerAt, make_material, missing, serving
from handclasp.testing.site import _ENVIRONMENT, COMMAND, RunningSite, free_port, handclasp

REQUIRED, OPTIONAL = Case(Client.REQUIRED), Case(Client.OPTIONAL)

SERVICES = """\
trust_domain: example.org
services:
  orders:
    listen: 127.0.0.1:{listen}
    hosts: [localhost]
    upstream: http://127.0.0.1:{upstream}
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def servers(material: Material) -> Iterator[dict[Case, ServerAt]]:
    if (why := missing(HAPROXY)) is not None:
        pytest.skip(why)
    with serving(HAPROXY, material, [REQUIRED, OPTIONAL]) as running:
        yield dict(running)


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def services() -> str:
    return SERVICES.format(listen=free_port(), upstream=free_port())


@contextmanager
def watching(directory: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`handclasp monitor run` in a directory, until the context ends."""
    said = directory / "run.out"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, "monitor", "run"],
            cwd=directory,
            env={**_ENVIRONMENT, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: "Watching " in said.read_text())
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0 or process.returncode == -signal.SIGKILL


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.1)


def listed(directory: Path, **environment: str) -> dict[str, Any]:
    """The monitors as they stand, by name."""
    said = handclasp(directory, "monitor", "list", "--json", check=False, environment=environment)
    return {one["name"]: one for one in json.loads(said.stdout)}


def states(directory: Path) -> dict[str, tuple[str, str | None]]:
    return {name: (one["state"], one["code"]) for name, one in listed(directory).items()}


def test_monitors_are_checked_and_changed_while_it_runs(
    tmp_path: Path, material: Material, servers: dict[Case, ServerAt]
) -> None:
    """What stands in the file and what is added is checked; a change of the file counts; history survives a kill."""
    required, optional = (servers[case].port for case in (REQUIRED, OPTIONAL))
    roots = material.roots
    monitors = f"""
monitors:
  enforced: {{target: "localhost:{required}", trust: "{roots}", expect: {{client_certificate: required}}, every: 2s}}
  open: {{target: "localhost:{optional}", trust: "{roots}", refuses: anonymous, every: 2s, retries: 0}}
  chain: {{target: "{material.server.chain}", every: 2s}}
  gone: {{target: "127.0.0.1:1", every: 2s, retries: 0}}
  doubtful: {{target: "localhost:{required}", trust: system, every: 2s, retries: 0}}
"""
    text = services() + monitors
    (tmp_path / "handclasp.yaml").write_text(text)
    expected = {
        "enforced": ("ok", "OK"),
        "open": ("critical", "MTLS_NOT_ENFORCED"),
        "chain": ("ok", "OK"),
        "gone": ("critical", "NET_CONNECTION_REFUSED"),
        "doubtful": ("critical", "SERVER_CERT_UNKNOWN_CA"),
    }
    with watching(tmp_path) as process:
        until(lambda: states(tmp_path) == expected)
        handclasp(tmp_path, "monitor", "add", "added", f"localhost:{required}", "--trust", str(roots), "--every", "2s")
        until(lambda: states(tmp_path).get("added") == ("ok", "OK"))
        (tmp_path / "handclasp.yaml").write_text(text.replace("trust: system", f'trust: "{roots}"'))
        until(lambda: states(tmp_path)["doubtful"] == ("ok", "OK"))
        shown = json.loads(handclasp(tmp_path, "monitor", "show", "doubtful", "--json").stdout)
        assert ("code", "SERVER_CERT_UNKNOWN_CA", "OK") in [
            (one["what"], one["before"], one["after"]) for one in shown["changes"]
        ]
        process.kill()
        process.wait()
    with watching(tmp_path):
        at = listed(tmp_path)["enforced"]["checked_at"]
        until(lambda: listed(tmp_path)["enforced"]["checked_at"] > at)
    assert (tmp_path / ".handclasp").stat().st_mode & 0o077 == 0


def test_without_a_file_what_was_added_is_watched(tmp_path: Path) -> None:
    """A newcomer needs no handclasp.yaml to watch something."""
    handclasp(tmp_path, "monitor", "add", "nobody", "127.0.0.1:1", "--retries", "0")
    with watching(tmp_path):
        until(lambda: states(tmp_path) == {"nobody": ("critical", "NET_CONNECTION_REFUSED")})
    wrong = handclasp(tmp_path, "monitor", "add", "wrong", "127.0.0.1:1", "--expect", "state=200", check=False)
    assert (wrong.returncode, "status, headers" in wrong.stderr) == (2, True)


def test_up_watches_its_own_gateway(tmp_path: Path) -> None:
    """The gateway is an endpoint as any other: trusted by our own authority, and strangers are turned away."""
    text = services()
    port = text.split("127.0.0.1:")[1].split("\n")[0]
    monitors = f"""
monitors:
  gateway: {{target: "localhost:{port}", trust: own, expect: {{client_certificate: required}}, every: 5s}}
  anonymous: {{target: "localhost:{port}", trust: own, refuses: anonymous, every: 5s}}
  stranger: {{target: "localhost:{port}", trust: own, refuses: unlisted_ca, every: 5s}}
  mine: {{target: ledger, every: 5s}}
"""
    (tmp_path / "handclasp.yaml").write_text(text + monitors)
    with RunningSite(tmp_path) as site:
        until(lambda: all(one["checked_at"] for one in listed(tmp_path).values()))
        assert {name: one["state"] for name, one in listed(tmp_path).items()} == {
            # Its certificate is for seven days, so a warning would always be on if it were not for a quarter of them.
            "gateway": "ok",
            "anonymous": "ok",
            "stranger": "ok",
            "mine": "ok",
        }
        said = site.run("probe", f"localhost:{port}")
        assert "Trusted             yes, by own" in said.stdout
        site.change(text)
        until(lambda: listed(tmp_path) == {})


def test_processes_share_the_work(
    tmp_path: Path, database: Postgres, material: Material, servers: dict[Case, ServerAt]
) -> None:
    """Two on one PostgreSQL: each monitor is checked once a period; when one is killed, the other goes on with all."""
    text = f"database: {database.create('watched')}\n" + services() + "monitors:\n"
    target = f"localhost:{servers[REQUIRED].port}"
    text += "".join(f'  m{n}: {{target: "{target}", trust: "{material.roots}", every: 2s}}\n' for n in range(20))
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
        (place / "handclasp.yaml").write_text(text)
    with watching(places[0]) as first, watching(places[1]):
        until(lambda: all(one["checked_at"] for one in listed(places[1]).values()))
        time.sleep(6)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        killed = time.time()
        # The leases of the dead one end; then every monitor has been checked after it died.
        until(lambda: all(seconds(one["checked_at"]) > killed + 2 for one in listed(places[1]).values()), 90)
    without = tmp_path / "three"
    without.mkdir()
    (without / "handclasp.yaml").write_text(text.partition("monitors:")[0])
    assert len(listed(without)) == 20  # a file that says nothing of monitors removes none of them
    told = json.loads(handclasp(places[1], "monitor", "history", "m3", "--limit", "1000", "--json").stdout)["results"]
    periods = [int(seconds(one["at"]) // 2) for one in told]
    assert len(periods) - len(set(periods)) <= 1  # a check that was late may begin in the period of the next


def seconds(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp).timestamp()
