"""What mutual TLS costs over one-way TLS: nginx that verifies its callers, beside the same nginx that does not.

Both ends are OpenSSL. CPU is that of nginx's only process and of the load generator, each on a core of its own; one
connection at a time, so that the latency has no queue in it. What starting a program and loading its files costs is
measured apart (a load of one) and taken off.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256

from bench.load import LoadFailed, Unavailable, callers_cpu, compile_programs, cpu_us, gateways_cpu, on_cpu
from bench.rounds import Spread, in_turn
from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.servers import NGINX, missing
from handclasp.testing.servers.running import program
from handclasp.testing.site import free_port

ROUNDS = 25
_VERSIONS = {"tls12": "TLS 1.2", "tls13": "TLS 1.3"}
_COUNTS = {"full": 250, "keep": 3_000}  # of handshakes, and of requests on one connection
_WHAT = {"full": "connection with handshake and a request", "keep": "request on a kept connection"}
_KINDS = ("RSA-2048", "P-256")
_ONES = 7  # loads of one, for what comes before the first
_SETTLE_SECONDS = 0.01  # nginx closes after the caller has gone


@dataclass(frozen=True, slots=True)
class Arm:
    """One of what is compared: the leafs' keys (both ends), the version of TLS, the load's mode, mutual or not."""

    kind: str
    tls: str
    mode: str
    mutual: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """For each connection or request: CPU of both ends in us, and the caller's median wait in ms."""

    server_us: float
    client_us: float
    p50_ms: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Each arm's samples, round by round; or why there are none."""

    samples: Mapping[Arm, Sequence[Sample]]
    skipped: str | None = None

    def lines(self) -> Iterator[str]:
        """Two tables (Markdown): medians, what mutual TLS adds in each round, and in how much of one-way TLS."""
        if self.skipped:
            yield f"What mutual TLS costs was not measured: {self.skipped}."
        for mode in _WHAT if self.samples else ():
            yield f"| {_WHAT[mode]} | one-way | mutual | added (middle half) | ratio (middle half) |"
            yield "|---|---|---|---|---|"
            for arm in self.samples:
                if arm.mode == mode and not arm.mutual:
                    yield from self._rows(arm)
            yield ""

    def _rows(self, plain: Arm) -> Iterator[str]:
        other = Arm(plain.kind, plain.tls, plain.mode, mutual=True)
        cpu = 1 if plain.mode == "keep" else 0  # digits
        told = ("server_us", "CPU of nginx", "us", cpu), ("client_us", "of the caller", "us", cpu)
        for field, name, unit, digits in (*told, ("p50_ms", "latency", "ms", 2)):
            one, two = ([getattr(sample, field) for sample in self.samples[arm]] for arm in (plain, other))
            added = Spread.of([b - a for a, b in zip(one, two, strict=True)])
            ratio = Spread.of([b / a for a, b in zip(one, two, strict=True)])
            medians = f"{median(one):.{digits}f} {unit} | {median(two):.{digits}f} {unit}"
            more = f"{added.median:+.{digits}f} ({added.low:+.{digits}f} to {added.high:+.{digits}f}) {unit}"
            times = f"{ratio.median:.2f} ({ratio.low:.2f} - {ratio.high:.2f})"
            yield f"| {plain.kind}, {_VERSIONS[plain.tls]}, {name} | {medians} | {more} | {times} |"

    def as_json(self) -> dict[str, Any]:
        """Each sample."""
        told = [{**asdict(arm), "samples": [asdict(one) for one in found]} for arm, found in self.samples.items()]
        return {"arms": told, "skipped": self.skipped}


def run(rounds: int = ROUNDS) -> Cost:
    """Measure all of it: under ten seconds a round."""
    if (why := missing(NGINX)) is not None:
        return Cost({}, why)
    with TemporaryDirectory(prefix="handclasp-cost-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        try:
            load = compile_programs(directory).mtlsload
        except Unavailable as lacking:
            return Cost({}, str(lacking))
        arms = [Arm(*one) for one in product(_KINDS, _VERSIONS, _COUNTS, (False, True))]
        for kind in _KINDS:
            _certificates(directory, kind)
        with _nginx(directory) as (pid, ports):

            def used(arm: Arm, count: int) -> tuple[float, float, float]:
                return _load(load, directory, arm, pid, ports[arm.kind, arm.mutual], count)

            before = {arm: tuple(map(median, zip(*(used(arm, 1) for _ in range(_ONES)), strict=True))) for arm in arms}
            samples: dict[Arm, list[Sample]] = {arm: [] for arm in arms}
            for number in range(rounds):
                for arm in in_turn(arms, number):
                    server, client, wait = used(arm, _COUNTS[arm.mode])
                    more = _COUNTS[arm.mode] - 1
                    first = before[arm]
                    samples[arm].append(Sample((server - first[0]) / more, (client - first[1]) / more, wait))
    return Cost(samples)


def _load(load: Path, directory: Path, arm: Arm, pid: int, port: int, count: int) -> tuple[float, float, float]:
    """CPU of nginx and of the caller for all of the load, in us, and the median wait in ms. Raises LoadFailed."""
    own = [f"{arm.kind}-client.pem", f"{arm.kind}-client.key"] if arm.mutual else ["-", "-"]
    command = [str(load), "localhost", str(port), f"{arm.kind}-roots.pem", *own, arm.mode, str(count), "1", arm.tls]
    before = cpu_us(pid)
    with on_cpu(callers_cpu()):
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(f"{arm}: {done.stdout}{done.stderr}")
    time.sleep(_SETTLE_SECONDS)
    seen = json.loads(done.stdout)
    return cpu_us(pid) - before, seen["client_cpu_us"] * seen["n"], seen["p50_ms"]


def _certificates(directory: Path, kind: str) -> None:
    """A root, an intermediate and both leafs, all with keys of this kind; each end sends leaf and intermediate."""
    now = datetime.now(UTC)
    make = partial(chains.make, hash_=SHA256(), begins=now - timedelta(hours=1), ends=now + timedelta(days=3))
    root = make("Benchmark root", authority=True, key=_key(kind))
    issuing = make("Benchmark issuing", root, authority=True, key=_key(kind), path_length=0)
    (directory / f"{kind}-roots.pem").write_bytes(pem.pem(root.certificate))
    allowed = chains.key_usage("digital_signature")
    for name, usage in (("server", chains.SERVER), ("client", chains.CLIENT)):
        names = [x509.DNSName("localhost" if name == "server" else "client.bench.internal")]
        leaf = make(name, issuing, key=_key(kind), usage=allowed, usages=[usage], names=names)
        (directory / f"{kind}-{name}.pem").write_bytes(pem.pem(leaf.certificate) + pem.pem(issuing.certificate))
        (directory / f"{kind}-{name}.key").write_bytes(private_pem(leaf.key))


def _key(kind: str) -> PrivateKeyTypes:
    return rsa.generate_private_key(65537, 2048) if kind == "RSA-2048" else ec.generate_private_key(ec.SECP256R1())


@contextmanager
def _nginx(directory: Path) -> Iterator[tuple[int, dict[tuple[str, bool], int]]]:
    """One process (no master) with a port for each kind of key, verifying and not; yields its id and the ports."""
    ports = {(kind, mutual): free_port() for kind in _KINDS for mutual in (False, True)}
    servers = "\n".join(
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {kind}-server.pem; "
        f"ssl_certificate_key {kind}-server.key; ssl_protocols TLSv1.2 TLSv1.3; ssl_verify_depth 2; "
        f"ssl_client_certificate {kind}-roots.pem; ssl_verify_client {'on' if mutual else 'off'}; "
        'location / { return 200 "welcome\\n"; } }'
        for (kind, mutual), port in ports.items()
    )
    bodies = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{one}_temp_path {directory}/{one}; " for one in bodies)
    user = "user root; " if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; {user}pid nginx.pid; error_log error.log crit;\n"
        f"events {{ }}\nhttp {{ access_log off; keepalive_requests 1000000; {paths}\n{servers}\n}}\n"
    )
    command = [program("nginx"), "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "error.log"]
    with on_cpu(gateways_cpu()):
        process = subprocess.Popen(command)
    try:
        while not (directory / "nginx.pid").exists() and process.poll() is None:
            time.sleep(_SETTLE_SECONDS)
        yield process.pid, ports
    finally:
        process.terminate()
        process.wait()
