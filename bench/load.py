"""Load and its price: the two C programs, and the CPU that a process has used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).parent
_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_SETTLE_SECONDS = 0.12  # Envoy writes its log every 100 ms: that belongs to the requests


class Unavailable(Exception):
    """Something that only this machine lacks: the part is skipped and says so."""


class LoadFailed(Exception):
    """Not every request was answered 200: the measurement would be of something else."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller's files, as `handclasp client add` writes them."""

    directory: Path

    @property
    def arguments(self) -> tuple[str, str, str]:
        """Trust bundle, chain and key, in mtlsload's order."""
        return (str(self.directory / "bundle.pem"), str(self.directory / "chain.pem"), str(self.directory / "key.pem"))


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: ``mode`` full (a handshake for each request) or keep (keep-alive), ``tls`` tls12 or tls13."""

    mode: str
    tls: str
    requests: int
    concurrency: int = 8
    path: str = "/v1/orders/7"


@dataclass(frozen=True, slots=True)
class Sample:
    """The price of one load: CPU of the gateway for each request, and what the callers saw."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Programs:
    """The compiled programs."""

    mtlsload: Path
    upstream: Path


def compile_programs(directory: Path) -> Programs:
    """Compile both into a directory. Raises Unavailable without a compiler or OpenSSL's headers."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable("there is no C compiler (cc): install gcc and libssl-dev")
    programs = Programs(directory / "mtlsload", directory / "upstream")
    for program, libraries in ((programs.mtlsload, ("-lssl", "-lcrypto")), (programs.upstream, ())):
        source = _SOURCES / f"{program.name}.c"
        done = subprocess.run(
            [compiler, "-O2", "-D_GNU_SOURCE", "-o", str(program), str(source), *libraries],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            why = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise Unavailable(f"{source.name} does not compile (is libssl-dev installed?): {why}")
    return programs


@contextmanager
def upstream(program: Path) -> Iterator[int]:
    """The API behind all gateways; yields its port."""
    with on_cpu(callers_cpu()):
        process = subprocess.Popen([str(program)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


async def measure(programs: Programs, pid: int, port: int, caller: Caller, load: Load) -> Sample:
    """Send one load to a port and return what it cost the process. Raises LoadFailed."""
    before = cpu_us(pid)
    with on_cpu(callers_cpu()):
        process = await asyncio.create_subprocess_exec(
            *(str(programs.mtlsload), "localhost", str(port), *caller.arguments),
            *(load.mode, str(load.requests), str(load.concurrency), load.tls, load.path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    output, errors = await process.communicate()
    if process.returncode:
        raise LoadFailed(f"port {port}, {load}: {output.decode()}{errors.decode()}")
    await asyncio.sleep(_SETTLE_SECONDS)
    used = cpu_us(pid) - before
    seen = json.loads(output)
    return Sample(used / load.requests, seen["per_s"], seen["p50_ms"], seen["p99_ms"])


def cpu_us(pid: int) -> float:
    """CPU time of a process, all its threads, in microseconds.

    From the scheduler (the first number of each thread's schedstat, in nanoseconds; none of Envoy's threads ends
    before Envoy does); where the kernel does not keep it, utime and stime of stat, which count in ticks of 10 ms.
    """
    process = Path(f"/proc/{pid}")
    try:
        return sum(int(task.read_text().split()[0]) for task in process.glob("task/*/schedstat")) / 1000 or _ticks(
            process
        )
    except OSError:
        return _ticks(process)


def _ticks(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_US


def gateways_cpu() -> int:
    """The core on which every gateway runs, one after the other."""
    return _CPUS[0]


def callers_cpu() -> int:
    """The core of the load and the upstream: another one, where there is another."""
    return _CPUS[-1]


@contextmanager
def on_cpu(number: int) -> Iterator[None]:
    """What is spawned within the context runs on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


_CPUS = sorted(os.sched_getaffinity(0))
