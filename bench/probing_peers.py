"""Who probes: our prober and a loop on pyOpenSSL, each a Python process of its own; and blackbox_exporter, driven over
HTTP by a client that is not counted. All of them on one core, the servers and the client on another."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.http1 import Connection
from bench.load import Unavailable, callers_cpu, cpu_us, gateways_cpu, on_cpu
from bench.probing_sample import OUTCOMES
from bench.probing_servers import NAME, Farm
from handclasp.testing.site import free_port

CONCURRENCY = 32
"""Requests at once to blackbox_exporter."""

_LOOPBACK = "127.0.0.1"
_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.02
_HERE = Path(__file__).parent

_MODULES = """
modules:
  verified: {{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{
    ca_file: {roots}, server_name: {name}}}}}}}
  unverified: {{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{
    insecure_skip_verify: true, server_name: {name}}}}}}}
"""


class Wrong(Exception):
    """A prober did not see what there was to see: the measurement would be of something else."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: CPU of the prober for each probe, what it saw and how often, how many chains it verified."""

    cpu_us: float
    per_second: float
    outcomes: Mapping[str, int]
    verified: int | None = None


Probe = Callable[[int, Sequence[str]], Awaitable[Sample]]
"""Makes so many probes, of servers with these names in turn."""


@asynccontextmanager
async def ours(certificates: Farm, port: int) -> AsyncIterator[Probe]:
    """Our prober; yields a Probe."""
    async with _python("bench.probing_ours", certificates, port, ("OK", "required", "trusted", "alert 116")) as probe:
        yield probe


@asynccontextmanager
async def pyopenssl(certificates: Farm, port: int, installed: Path) -> AsyncIterator[Probe]:
    """The loop on pyOpenSSL, from the directory in which ``install_pyopenssl`` has put it; yields a Probe."""
    wanted = ("asked True", "trusted", "named True", "tlsv13 alert certificate required")
    async with _python("bench.probing_pyopenssl", certificates, port, wanted, installed) as probe:
        yield probe


def install_pyopenssl(where: Path) -> Path:
    """Into a directory of its own, once. Raises Unavailable."""
    target = where / ".pyopenssl"  # hidden, so that nobody lints it
    if not (target / "OpenSSL").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        done = subprocess.run(
            [*pip, "--no-deps", "--target", str(target), "-r", str(_HERE / "pyopenssl.txt")],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"pip could not install it: {done.stderr.strip()[-300:]}")
    return target


@asynccontextmanager
async def blackbox(certificates: Farm, port: int, module: str) -> AsyncIterator[Probe]:
    """blackbox_exporter with the chain ``verified`` or ``unverified``; yields a Probe."""
    program = shutil.which("prometheus-blackbox-exporter") or shutil.which("blackbox_exporter")
    if program is None:
        raise Unavailable("it is not installed (apt-get install prometheus-blackbox-exporter)")
    file = certificates.directory / "blackbox.yml"
    file.write_text(_MODULES.format(roots=certificates.roots, name=NAME))
    own = free_port()
    path = f"/probe?target={_LOOPBACK}:{port}&module={module}"
    with _blackbox_process(program, file, own) as pid:
        async with AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(Connection(_LOOPBACK, own)) for _ in range(CONCURRENCY)]

            async def probe(count: int, names: Sequence[str]) -> Sample:
                if tuple(names) != (NAME,):
                    raise ValueError("a module has one server name")
                numbers = iter(range(count))
                outcomes: Counter[str] = Counter()

                async def some(connection: Connection) -> None:
                    for _ in numbers:
                        answer = await connection.send("GET", path)
                        seen = b"\nprobe_success 1\n" in answer.body and b"\nprobe_ssl_earliest_cert" in answer.body
                        outcomes["success" if seen else "no success"] += 1

                before, began = cpu_us(pid), time.perf_counter()
                await asyncio.gather(*(some(one) for one in connections))
                seconds, used = time.perf_counter() - began, cpu_us(pid) - before
                if set(outcomes) != {"success"}:
                    raise Wrong(f"blackbox_exporter: {dict(outcomes)}")
                return Sample(used / count, count / seconds, dict(outcomes))

            yield probe


@asynccontextmanager
async def _python(
    module: str, certificates: Farm, port: int, wanted: Sequence[str], installed: Path | None = None
) -> AsyncIterator[Probe]:
    paths = [str(_HERE.parent), *([] if installed is None else [str(installed)])]
    with on_cpu(gateways_cpu()):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, str(certificates.roots)),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    asks, answers = process.stdin, process.stdout

    async def probe(count: int, names: Sequence[str]) -> Sample:
        asks.write(f"{port} {count} {' '.join(names)}\n".encode())
        line = await answers.readline()
        if not line:
            raise Wrong(f"{module} ended")
        told = json.loads(line)
        for outcome in told[OUTCOMES]:
            if any(part not in outcome for part in wanted) or "not trusted" in outcome:
                raise Wrong(f"{module}: {told[OUTCOMES]}")
        return Sample(told["cpu_us"], count / told["seconds"], told[OUTCOMES], told["verified"])

    try:
        yield probe
    finally:
        asks.close()
        await process.wait()


@contextmanager
def _blackbox_process(program: str, file: Path, port: int) -> Iterator[int]:
    command = [program, f"--config.file={file}", f"--web.listen-address={_LOOPBACK}:{port}", "--log.level=error"]
    with on_cpu(gateways_cpu()), (file.parent / "blackbox.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not _listening(port):
            if process.poll() is not None or time.monotonic() > until:
                raise Unavailable(f"it does not serve: {(file.parent / 'blackbox.out').read_text()[-300:]}")
            time.sleep(_POLL_SECONDS)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _listening(port: int) -> bool:
    return any(f":{port:04X} 0" in line for line in _sockets() if " 0A " in line)


def _sockets() -> list[str]:
    return [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]


def driven_from_elsewhere() -> AbstractContextManager[None]:
    """The client of blackbox_exporter runs on the servers' core."""
    return on_cpu(callers_cpu())
