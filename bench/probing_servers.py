"""What is probed: HAProxy, which demands a client certificate, with one chain or many; and a link that is slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from bench.load import Unavailable, callers_cpu, on_cpu
from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.site import free_port

NAME = "localhost"
"""Whom the certificate names that is served to whoever asks for nobody else."""

CLIENT_PREFIX, SERVER_NETWORK = "198.18.0", "198.19.0.0/16"
"""The slow link's two ends: addresses for benchmarks (RFC 2544), in network namespaces that nothing else sees."""

_PATIENCE_SECONDS = 180.0  # ten thousand addresses take HAProxy half a minute
_POLL_SECONDS = 0.2
_DELAY_SOURCE = Path(__file__).parent / "delay.c"

_CONFIGURATION = """
global
  nbthread 1
  maxconn 3000
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend everyone
  http-request return status 200 content-type text/plain string welcome
"""
_BIND = "  bind {at} backlog 4096 ssl crt {shown} ca-file {clients} verify required ssl-min-ver TLSv1.3\n"


@dataclass(frozen=True, slots=True)
class Farm:
    """Certificates: ``roots`` verifies them; ``names`` are those that have a chain of their own. In ``directory``."""

    directory: Path
    roots: Path
    names: Sequence[str]


def farm(directory: Path, count: int) -> Farm:
    """A root, an intermediate, a leaf for NAME and ``count`` more, each P-256; and an authority of clients."""
    now = datetime.now(UTC)
    begins, ends = now - timedelta(hours=1), now + timedelta(days=3)
    root = chains.make("Benchmark root", authority=True, begins=begins, ends=ends)
    issuing = chains.make("Benchmark issuing", root, authority=True, path_length=0, begins=begins, ends=ends)
    clients = chains.make("Benchmark clients", authority=True, begins=begins, ends=ends)
    (directory / "served").mkdir(parents=True)
    names = tuple(f"n{number}.bench.internal" for number in range(count))
    for name in (NAME, *names):
        san = (x509.DNSName(name),)
        leaf = chains.make(name, issuing, names=san, usages=(chains.SERVER,), begins=begins, ends=ends)
        _served(directory, name).write_bytes(
            pem.pem(leaf.certificate) + pem.pem(issuing.certificate) + private_pem(leaf.key)
        )
    (directory / "clients.pem").write_bytes(pem.pem(clients.certificate))
    roots = directory / "roots.pem"
    roots.write_bytes(pem.pem(root.certificate))
    return Farm(directory, roots, names)


@contextmanager
def haproxy(
    certificates: Farm, *, inside: Sequence[str] = (), address: str = "127.0.0.1", addresses: Sequence[str] = ()
) -> Iterator[int]:
    """HAProxy, TLS 1.3 alone, a client certificate required; yields its port. On ``address`` it has all the chains, and
    shows the one that is asked for; with ``addresses`` it has one of them on each.

    ``inside`` is the command that leads into a network namespace. Raises Unavailable.
    """
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("there is no haproxy (apt-get install haproxy)")
    port = free_port()
    directory = certificates.directory
    file = directory / f"haproxy-{port}.cfg"
    shown = [(one, _served(directory, name)) for one, name in zip(addresses, certificates.names, strict=False)]
    clients = directory / "clients.pem"
    file.write_text(
        _CONFIGURATION
        + "".join(
            _BIND.format(at=f"{at}:{port}", shown=which, clients=clients)
            for at, which in shown or [(address, directory / "served")]
        )
    )
    with on_cpu(callers_cpu()), (directory / "haproxy.out").open("ab") as output:
        process = subprocess.Popen([*inside, program, "-db", "-f", str(file)], stdout=output, stderr=output)
    try:
        _wait_until_listening(process, inside, port, directory / "haproxy.out")
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class SlowLink:
    """A link between two network namespaces: the commands that lead to either side. Every address of SERVER_NETWORK is
    the server's."""

    client: Sequence[str]
    server: Sequence[str]


@contextmanager
def slow_link(round_trip_ms: int) -> Iterator[SlowLink]:
    """A link on which everything, SYN included, takes half of that in each direction. Raises Unavailable."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable("there is no C compiler (cc): install gcc")
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nsenter") is None:
        raise Unavailable("the slow link needs root, ip (iproute2) and nsenter (util-linux)")
    with tempfile.TemporaryDirectory(prefix="handclasp-bench-") as made:
        program = Path(made) / "delay"
        subprocess.run([compiler, "-O2", "-D_GNU_SOURCE", "-o", str(program), str(_DELAY_SOURCE)], check=True)
        with on_cpu(callers_cpu()):
            process = subprocess.Popen(
                [str(program), str(round_trip_ms // 2), CLIENT_PREFIX, SERVER_NETWORK],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            if not line:
                why = process.stderr.read().decode(errors="replace").strip()[-300:]
                raise Unavailable(f"the slow link cannot be made (network namespaces and /dev/net/tun): {why}")
            client, server = line.split()
            enter = ("nsenter", "--net", "--target")
            yield SlowLink((*enter, client.decode()), (*enter, server.decode()))
        finally:
            process.terminate()
            process.communicate()


def _served(directory: Path, name: str) -> Path:
    # HAProxy shows the first of the directory to who asks for nobody that is there.
    return directory / "served" / f"{'0-' if name == NAME else '1-'}{name}.pem"


def _wait_until_listening(process: subprocess.Popen[bytes], inside: Sequence[str], port: int, output: Path) -> None:
    """As the kernel tells it, so that no connection has to be made."""
    state = f":{port:04X} 00000000:0000 0A"
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        listening = subprocess.run([*inside, "cat", "/proc/net/tcp"], capture_output=True, text=True, check=True)
        if state in listening.stdout:
            return
        time.sleep(_POLL_SECONDS)
    raise Unavailable(f"haproxy does not serve: {output.read_text(errors='replace')[-500:]}")
