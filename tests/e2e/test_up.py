"""`handclasp up` from the first run to the clean end, as a person uses it."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from handclasp.app.state import BUNDLE, CHAIN, KEY
from handclasp.testing.calls import Caller, call
from handclasp.testing.site import RunningSite, free_port, handclasp, is_running
from handclasp.testing.upstream import EchoApi

Start = Callable[..., RunningSite]


def printed_curls(site: RunningSite) -> list[str]:
    """The two curl commands that were printed."""
    return re.findall(r"^  (curl .*)$", site.output, re.MULTILINE)


def test_the_printed_commands_do_what_is_said_of_them(start: Start) -> None:
    """Pasted as they stand from another directory, the first curl passes and the second is refused."""
    site = start("--demo", "--listen", f"127.0.0.1:{free_port()}")
    passes, refused = (
        subprocess.run(command + " -sS", shell=True, cwd="/", capture_output=True, text=True, check=False)
        for command in printed_curls(site)
    )
    assert (passes.returncode, '"lamp"' in passes.stdout) == (0, True)
    assert (refused.returncode in (16, 35, 55, 56), refused.stdout) == (True, "")


def test_an_api_of_ones_own_is_put_behind(start: Start) -> None:
    """--upstream NAME=URL, given twice, makes two services that the first caller may call, and nobody else."""
    with EchoApi() as one, EchoApi() as two:
        port = free_port()
        site = start("--upstream", f"one={one.url}", "--upstream", f"two={two.url}", "--listen", f"127.0.0.1:{port}")
        services = yaml.safe_load((site.directory / "handclasp.yaml").read_text())["services"]
        ports = [int(str(service["listen"]).rpartition(":")[2]) for service in services.values()]
        answers = [call(p, site.client("first"), site.client("first"), "GET", "/") for p in ports]
        site.run("client", "add", "second")
        denied = call(ports[0], site.client("first"), site.client("second"), "GET", "/")
        assert [a.json["api"] for a in answers] == [one.port, two.port]
        assert (ports, denied.status) == ([port, port + 1], 403)


def test_the_second_run_takes_what_is_there(tmp_path: Path) -> None:
    """Authority, settings and caller of the first run serve again, unchanged, demo included."""
    listen = ("--listen", f"127.0.0.1:{free_port()}")
    with RunningSite(tmp_path, "--demo", *listen) as first:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.pem")}
        settings = (tmp_path / "handclasp.yaml").read_text()
        command = printed_curls(first)[0]
    with RunningSite(tmp_path, "--demo"):
        done = subprocess.run(command + " -sS", shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.pem")}
    assert settings == (tmp_path / "handclasp.yaml").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    """It exits 0; Envoy is gone, and so are the sockets."""
    site = RunningSite(tmp_path, "--demo", "--listen", f"127.0.0.1:{free_port()}").start()
    envoy = site.envoy_pid()
    assert (site.stop(number), is_running(envoy)) == (0, False)
    assert list(site.state.rglob("*.sock")) == []


def test_a_request_in_flight_is_finished_before_it_ends(tmp_path: Path) -> None:
    """SIGTERM refuses new connections at once and lets the running request have its answer."""
    with EchoApi() as api:
        port = free_port()
        site = RunningSite(tmp_path, "--upstream", api.url, "--listen", f"127.0.0.1:{port}").start()
        first = site.client("first")
        import threading

        statuses: list[int] = []
        slow = threading.Thread(target=lambda: statuses.append(call(port, first, first, "GET", "/?sleep=1.5").status))
        slow.start()
        time.sleep(0.4)
        assert site.process is not None
        site.process.terminate()
        time.sleep(0.5)
        with pytest.raises(OSError, match="refused"):
            Caller(port, first, first)
        slow.join()
        assert (statuses, site.stop()) == ([200], 0)


def test_private_keys_are_for_their_owner_alone(start: Start) -> None:
    """Modes: directories 0700, keys 0600, the root's key 0400, whatever the umask."""
    old = os.umask(0)
    try:
        site = start("--demo", "--listen", f"127.0.0.1:{free_port()}")
    finally:
        os.umask(old)
    modes = {
        str(path.relative_to(site.state)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in (
            site.state,
            site.state / "ca" / "root.key",
            site.state / "ca" / "issuing.key",
            site.state / "gateway" / "orders" / KEY,
            site.client("first") / KEY,
            site.state / "control.sock",
            site.state / "run" / "envoy-admin.sock",
            site.state / "run" / "xds.sock",
            site.state / "log" / "envoy.log",
        )
    }
    assert modes == {
        ".": "0o700",
        "ca/root.key": "0o400",
        "ca/issuing.key": "0o600",
        f"gateway/orders/{KEY}": "0o600",
        f"clients/first/{KEY}": "0o600",
        "control.sock": "0o600",
        "run/envoy-admin.sock": "0o600",
        "run/xds.sock": "0o600",
        "log/envoy.log": "0o600",
    }


def test_no_private_key_is_said_or_logged(start: Start) -> None:
    """No line of a key's Base64 is in the output, the logs, Envoy's configuration dump file or the ledger."""
    site = start("--demo", "--listen", f"127.0.0.1:{free_port()}")
    site.run("client", "add", "other")
    keys = [*site.state.rglob(KEY), *(site.state / "ca").glob("*.key")]
    lines = {key.read_text().splitlines()[1] for key in keys}
    told = [p for p in site.state.rglob("*") if p.is_file() and p not in keys and p.suffix != ".sock"]
    leaks = {path.name for path in told for line in lines if line.encode() in path.read_bytes()}
    assert (leaks, [line for line in lines if line in site.output], len(lines) >= 4) == (set(), [], True)


def test_the_gateways_certificate_is_renewed_while_it_runs(tmp_path: Path) -> None:
    """At two thirds of its life a new one is served; a connection that is open stays."""
    with EchoApi() as api:
        port = free_port()
        (tmp_path / "handclasp.yaml").write_text(
            f"trust_domain: example.org\nlifetimes: {{gateway: 12s}}\nservices:\n  api:\n    listen: 127.0.0.1:{port}\n"
            f"    hosts: [localhost]\n    upstream: {api.url}\n    rules: [{{allow: spiffe://example.org/first}}]\n"
        )
        with RunningSite(tmp_path) as site:
            first = site.client("first")
            with Caller(port, first, first) as open_one:
                served = {open_one.socket.getpeercert(binary_form=True)}
                deadline = time.monotonic() + 12
                while len(served) < 2 and time.monotonic() < deadline:
                    with Caller(port, first, first) as caller:
                        served.add(caller.socket.getpeercert(binary_form=True))
                    time.sleep(0.5)
                assert (len(served), open_one.send("GET", "/").status) == (2, 200)


def test_the_root_key_may_be_moved_away(tmp_path: Path) -> None:
    """Without it everything goes on, and status says that it is not here."""
    listen = ("--listen", f"127.0.0.1:{free_port()}")
    with RunningSite(tmp_path, "--demo", *listen) as site:
        assert "root's key is online" in site.run("status").stdout
    (tmp_path / ".handclasp" / "ca" / "root.key").rename(tmp_path / "root.key.away")
    with RunningSite(tmp_path, "--demo") as site:
        site.run("client", "add", "later")
        online = {one["role"]: one["key_online"] for one in site.json("status")["authorities"]}
        assert online == {"root": False, "issuing": True}


def test_client_files_are_what_openssl_reads(start: Start) -> None:
    """The chain verifies against the bundle; key and PKCS#12 belong to it; lifetime and expiry are said."""
    site = start("--demo", "--listen", f"127.0.0.1:{free_port()}")
    password = site.directory / "password"
    password.write_text("a long passphrase\n")
    done = site.run(
        *("client", "add", "team/app", "--dns", "app.example.org", "--lifetime", "30d"),
        *("--p12", "--p12-password-file", str(password)),
    )
    files = site.client("team/app")
    leaf = x509.load_pem_x509_certificates((files / CHAIN).read_bytes())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["spiffe://handclasp.internal/team/app", "app.example.org"]
    assert "30 days left" in done.stdout
    chain, bundle = str(files / CHAIN), str(files / BUNDLE)
    verify = ["openssl", "verify", "-purpose", "sslclient", "-CAfile", bundle, "-untrusted", chain, chain]
    assert subprocess.run(verify, capture_output=True, text=True, check=True).stdout.endswith("OK\n")
    p12 = ["openssl", "pkcs12", "-in", str(files / "identity.p12"), "-passin", f"file:{password}", "-nodes"]
    assert "PRIVATE KEY" in subprocess.run(p12, capture_output=True, text=True, check=True).stdout
    assert stat.S_IMODE((files / "identity.p12").stat().st_mode) == 0o600


def test_renewal_keeps_key_and_names(start: Start) -> None:
    """`client renew` writes a chain with a later end; key, DNS names and identity stay, and it passes."""
    with EchoApi() as api:
        port = free_port()
        site = start("--upstream", api.url, "--listen", f"127.0.0.1:{port}")
        first = site.client("first")
        key, chain = (first / KEY).read_bytes(), (first / CHAIN).read_bytes()
        site.run("client", "renew", "first", "--lifetime", "120d")
        assert (key == (first / KEY).read_bytes(), chain != (first / CHAIN).read_bytes()) == (True, True)
        assert call(port, first, first, "GET", "/").status == 200


def test_a_new_grant_after_revocation_passes(start: Start) -> None:
    """`client add` after `client revoke` is a new grant, and replaces the files of the revoked one (D12)."""
    with EchoApi() as api:
        port = free_port()
        site = start("--upstream", api.url, "--listen", f"127.0.0.1:{port}")
        site.run("client", "revoke", "first")
        refused = site.run("client", "renew", "first", check=False)
        site.run("client", "add", "first")
        assert (refused.returncode, "REQUEST_IDENTITY_REVOKED" in refused.stderr) == (2, True)
        assert call(port, site.client("first"), site.client("first"), "GET", "/").status == 200


def test_callers_can_be_managed_while_nothing_runs(tmp_path: Path) -> None:
    """Without `up`, the same commands work on the directory; the next `up` refuses whom they revoked."""
    with EchoApi() as api:
        port = free_port()
        with RunningSite(tmp_path, "--upstream", api.url, "--listen", f"127.0.0.1:{port}"):
            pass
        done = handclasp(tmp_path, "client", "revoke", "first")
        assert "No gateway runs here" in done.stdout
        with RunningSite(tmp_path) as site, pytest.raises(OSError):
            call(port, site.client("first"), site.client("first"), "GET", "/")
