"""Bad input and bad days: one clear message, nothing half-written, nothing left behind, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from handclasp.dataplane.envoy import Envoy
from handclasp.findings import Code, Refused
from handclasp.testing.calls import call
from handclasp.testing.site import COMMAND, RunningSite, free_port, handclasp, is_running
from handclasp.testing.upstream import EchoApi


def refused(directory: Path, *arguments: str, **more: Any) -> str:
    """Run a command that must be refused: exit 2, no traceback; returns what it said."""
    done = handclasp(directory, *arguments, check=False, **more)
    assert (done.returncode, "Traceback" in done.stderr, done.stdout) == (2, False, ""), done
    return done.stderr


def good(port: int, upstream: str = "http://127.0.0.1:1") -> str:
    """Settings that are right."""
    return (
        f"trust_domain: example.org\nservices:\n  api:\n    listen: 127.0.0.1:{port}\n    hosts: [localhost]\n"
        f"    upstream: {upstream}\n    rules: [{{allow: spiffe://example.org/first}}]\n"
    )


def test_up_without_settings_says_how_to_begin(tmp_path: Path) -> None:
    """No file and no option: both ways to begin are named, and nothing is served."""
    said = refused(tmp_path, "up")
    assert "handclasp up --upstream http://127.0.0.1:8000" in said
    assert "handclasp up --demo" in said


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://a/b", "http://a:0", "nonsense"])
def test_an_upstream_that_is_no_url_is_said(tmp_path: Path, url: str) -> None:
    """The message names the value and what is allowed; no settings are written."""
    said = refused(tmp_path, "up", "--upstream", url)
    assert ("http://" in said, (tmp_path / "handclasp.yaml").exists()) == (True, False)


def test_upstream_beside_a_settings_file_names_the_line(tmp_path: Path) -> None:
    """The file alone says what is served; the message says where (D11)."""
    (tmp_path / "handclasp.yaml").write_text(good(free_port()))
    assert "handclasp.yaml:6" in refused(tmp_path, "up", "--upstream", "http://127.0.0.1:8000")


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """Before Envoy is even started; the message names the port and the line."""
    with EchoApi() as other:
        (tmp_path / "handclasp.yaml").write_text(good(other.port))
        said = refused(tmp_path, "up")
    assert (f"port {other.port}" in said, "handclasp.yaml:4" in said, "GATEWAY_PORT_TAKEN" in said) == (True,) * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_privileged_port_is_said(tmp_path: Path) -> None:
    """Below 1024 without the right: the message says so."""
    (tmp_path / "handclasp.yaml").write_text(good(81))
    script = (
        "import os\n"
        "from handclasp.app.ports import check_free\n"
        "from handclasp.findings import Refused\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: check_free('127.0.0.1', 81, 'handclasp.yaml:4')\n"
        "except Refused as refused: print(refused.code)\n"
    )
    limit = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if limit.exists() and int(limit.read_text()) <= 81:
        pytest.skip("this machine lets everybody use port 81")
    done = subprocess.run([COMMAND[0], "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "GATEWAY_PORT_PRIVILEGED\n", done


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The path and the reason; no traceback."""
    (tmp_path / "file").write_text("")
    (tmp_path / "handclasp.yaml").write_text(good(free_port()))
    assert "file" in refused(tmp_path, "up", "--dir", "file/state")


def test_a_directory_in_use_is_said(tmp_path: Path) -> None:
    """A second `up` names the process of the first, which goes on."""
    with RunningSite(tmp_path, "--demo", "--listen", f"127.0.0.1:{free_port()}") as site:
        said = refused(tmp_path, "up")
        assert site.process is not None
        assert (f"process {site.process.pid}" in said, site.process.poll()) == (True, None)


def test_a_newer_state_is_said(tmp_path: Path) -> None:
    """A ledger of a later schema is left as it is."""
    port = free_port()
    (tmp_path / "handclasp.yaml").write_text(good(port))
    with RunningSite(tmp_path):
        pass
    with sqlite3.connect(tmp_path / ".handclasp" / "ledger.db") as ledger:
        ledger.execute("update alembic_version set version_num = '9999'")
    ledger.close()
    assert "STATE_NEWER" in refused(tmp_path, "up")


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "a//b", "handclasp/x", "spiffe://other.org/x", "ä", "a/", "-x\n"], ids=repr
)
def test_a_name_that_is_no_identity_is_said(tmp_path: Path, name: str) -> None:
    """What is wrong with it and what is allowed; nothing is made."""
    (tmp_path / "handclasp.yaml").write_text(good(free_port()))
    refused(tmp_path, "client", "add", "--", name)
    assert list(tmp_path.rglob("key.pem")) == []


def test_every_mistake_of_a_file_is_said(tmp_path: Path) -> None:
    """`config validate` lists all with line and column, exits 2, and `up` says the same."""
    (tmp_path / "handclasp.yaml").write_text(
        "trust_domain: Example\nservices:\n  api:\n    listen: 99999\n    hosts: []\n    upsteam: http://a\n"
        "    rules: 3\n"
    )
    said = refused(tmp_path, "config", "validate")
    places = [line.split(": ")[0] for line in said.splitlines() if line.startswith("handclasp.yaml:")]
    assert [place.split(":")[1] for place in places] == sorted(place.split(":")[1] for place in places)
    assert len(places) >= 5
    assert set(said.splitlines()) <= set(refused(tmp_path, "up").splitlines())


def test_a_change_that_envoy_does_not_confirm_is_said(tmp_path: Path) -> None:
    """Envoy stands still: the change is recorded, and who made it is told GATEWAY_NOT_ACKNOWLEDGED; once Envoy goes on,
    it has it."""
    (tmp_path / "handclasp.yaml").write_text(good(free_port()))
    with RunningSite(tmp_path) as site:
        envoy = site.envoy_pid()
        os.kill(envoy, signal.SIGSTOP)
        try:
            done = site.run("client", "revoke", "first", check=False)
        finally:
            os.kill(envoy, signal.SIGCONT)
        assert (done.returncode, "GATEWAY_NOT_ACKNOWLEDGED" in done.stderr) == (1, True), done


def test_envoy_that_dies_is_started_again(tmp_path: Path) -> None:
    """Killed, it is back within a second, with everything it knew; the log says so."""
    port = free_port()
    with EchoApi() as api:
        (tmp_path / "handclasp.yaml").write_text(good(port, api.url))
        with RunningSite(tmp_path) as site:
            first = site.client("first")
            old = site.envoy_pid()
            os.kill(old, signal.SIGKILL)
            deadline = time.monotonic() + 3
            while True:
                try:
                    assert call(port, first, first, "GET", "/").status == 200
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            assert "Envoy ended by signal SIGKILL" in site.output
            assert site.envoy_pid() != old


@pytest.mark.parametrize("delay", [0.05, 0.4, 0.8, 1.2, 2.0])
def test_kill_9_at_any_moment_leaves_nothing_in_the_way(tmp_path: Path, delay: float) -> None:
    """After SIGKILL during the first start or later, Envoy is gone, and the next `up` starts clean."""
    port = free_port()
    (tmp_path / "handclasp.yaml").write_text(good(port))
    up = subprocess.Popen([*COMMAND, "up"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    up.kill()
    up.wait()
    with RunningSite(tmp_path) as site:
        first = site.client("first")
        assert call(port, first, first, "GET", "/").status == 503  # passed the gateway; there is no API


def test_kill_9_takes_envoy_along_and_loses_no_certificate(tmp_path: Path) -> None:
    """No gateway goes on that cannot be told of a revocation; what was issued before is known and passes after."""
    port = free_port()
    with EchoApi() as api:
        (tmp_path / "handclasp.yaml").write_text(good(port, api.url).replace("first", "'*'").replace("/'*'", "/*"))
        site = RunningSite(tmp_path).start()
        envoy = site.envoy_pid()
        for name in ("one", "two"):
            site.run("client", "add", name)
        site.run("client", "revoke", "two")
        assert site.process is not None
        site.process.kill()
        site.process.wait()
        deadline = time.monotonic() + 2
        while is_running(envoy):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with RunningSite(tmp_path) as again:
            assert call(port, again.client("one"), again.client("one"), "GET", "/").status == 200
            with pytest.raises(OSError):
                call(port, again.client("one"), again.client("two"), "GET", "/")


def test_an_envoy_that_cannot_start_is_said(tmp_path: Path) -> None:
    """A program that ends at once is Refused, with where to look."""

    async def go() -> Refused:
        (tmp_path / "run").mkdir()
        (tmp_path / "log").mkdir()
        envoy = Envoy(tmp_path, lambda exit_, backoff: None, program=Path("/bin/false"))
        await envoy.start()
        try:
            await envoy.ready(5)
        except Refused as error:
            return error
        finally:
            await envoy.stop()
        raise AssertionError("it was taken for ready")

    assert asyncio.run(go()).code is Code.GATEWAY_CANNOT_START


def test_a_deep_state_directory_works(tmp_path: Path) -> None:
    """A path longer than a Unix socket's address is no obstacle."""
    deep = tmp_path / ("d" * 60) / ("e" * 60) / ("f" * 60)
    deep.mkdir(parents=True)
    with RunningSite(deep, "--demo", "--listen", f"127.0.0.1:{free_port()}") as site:
        site.run("client", "add", "other")
        assert site.json("status")["gateway"]["live"] is True


def test_a_broken_settings_file_keeps_nobody_in(tmp_path: Path) -> None:
    """With no `up` and settings that cannot be read, a caller can still be listed and revoked."""
    port = free_port()
    with EchoApi() as api:
        (tmp_path / "handclasp.yaml").write_text(good(port, api.url))
        with RunningSite(tmp_path):
            pass
        (tmp_path / "handclasp.yaml").write_text("x: [")
        handclasp(tmp_path, "client", "revoke", "first")
        assert "revoked" in handclasp(tmp_path, "client", "list").stdout
        assert "handclasp.yaml:2:1:" in refused(tmp_path, "client", "add", "second")
        (tmp_path / "handclasp.yaml").write_text(good(port, api.url))
        with RunningSite(tmp_path) as site, pytest.raises(OSError):
            call(port, site.client("first"), site.client("first"), "GET", "/")


def test_a_passphrase_without_a_terminal_is_asked_of_a_file(tmp_path: Path) -> None:
    """--p12 in a script names the option and the variable, and makes nothing."""
    (tmp_path / "handclasp.yaml").write_text(good(free_port()))
    assert "--p12-password-file" in refused(tmp_path, "client", "add", "one", "--p12", stdin=subprocess.DEVNULL)
    assert list(tmp_path.rglob("key.pem")) == []
