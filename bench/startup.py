"""How long a person waits: for ``--help``, and from `handclasp up` to the first accepted mutual-TLS request."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.ours import handclasp
from handclasp.testing.site import free_port
from handclasp.testing.upstream import EchoApi

_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Startup:
    """Seconds, one for each run."""

    help: Sequence[float]
    first_run: Sequence[float]
    initialised: Sequence[float]


def measure(help_runs: int, up_runs: int) -> Startup:
    """Real processes in fresh directories; each `up` is stopped by its process id."""
    first_run, initialised = [], []
    with EchoApi() as api:
        for _ in range(up_runs):
            with TemporaryDirectory(prefix="handclasp-bench-") as name:
                directory, port = Path(name), free_port()
                first_run.append(_up(directory, port, "--upstream", api.url, "--listen", f"127.0.0.1:{port}"))
                initialised.append(_up(directory, port))
    return Startup([_help() for _ in range(help_runs)], first_run, initialised)


def _help() -> float:
    began = time.perf_counter()
    subprocess.run([*handclasp(), "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _up(directory: Path, port: int, *arguments: str) -> float:
    """Start `up`, call it as the caller `first` until that is answered 200, and stop it."""
    caller = directory / ".handclasp" / "clients" / "first"
    with (directory / "up.out").open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen([*handclasp(), "up", *arguments], cwd=directory, stdout=output, stderr=output)
        try:
            while not (caller / "chain.pem").exists():  # written last
                _still_trying(process, began, directory)
            context = ssl.create_default_context(cafile=str(caller / "bundle.pem"))
            context.load_cert_chain(caller / "chain.pem", caller / "key.pem")
            while not _accepted(context, port):
                _still_trying(process, began, directory)
            return time.perf_counter() - began
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _still_trying(process: subprocess.Popen[bytes], began: float, directory: Path) -> None:
    if process.poll() is not None or time.perf_counter() - began > _PATIENCE_SECONDS:
        raise RuntimeError(f"handclasp up does not serve; it said:\n{(directory / 'up.out').read_text()}")
    time.sleep(_POLL_SECONDS)


def _accepted(context: ssl.SSLContext, port: int) -> bool:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return tls.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
