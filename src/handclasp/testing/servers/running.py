"""Real servers, from the first connection that is accepted to a clean stop.

One process serves as many cases as its product can, each on a loopback port of its own, in a directory of its own.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from handclasp.testing.servers.case import Case, Command, Listener, Product, ServerAt, Site
from handclasp.testing.servers.material import Material

HOST = "127.0.0.1"

_STARTING, _STOPPING = 30.0, 5.0  # seconds
_ATTEMPTS = 3  # somebody else may take a port between our choice and the server's start
_PORTS = range(18_000, 32_000)  # below those that the kernel gives to outgoing connections
_STRIDE = 16


class DidNotStart(RuntimeError):
    """A server ended, or did not accept, before it was of any use. The text has its log."""


@contextmanager
def serving(
    product: Product, material: Material, cases: Sequence[Case], *, kept: Path | None = None
) -> Iterator[Mapping[Case, ServerAt]]:
    """One product that serves all of these cases for as long as the block runs.

    ``kept`` is a directory for what takes long to make (compiled programs), so that the next start is short. Raises
    ValueError for a case that the product cannot serve and DidNotStart with the server's own words.
    """
    if cannot := [str(case) for case in cases if not product.can(case)]:
        raise ValueError(f"{product.name} cannot serve {', '.join(cannot)}")
    # Not in pytest's directory: a server that gives up root's rights could not read its documents there.
    with tempfile.TemporaryDirectory(prefix=f"handclasp-{product.name}-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        directory.chmod(0o755)
        site = Site(directory, kept or directory, directory / "log", material)
        with ExitStack() as stack:
            yield _started(stack, product, site, cases)


@contextmanager
def one(product: Product, material: Material, case: Case, *, kept: Path | None = None) -> Iterator[ServerAt]:
    """One product that serves one case."""
    with serving(product, material, [case], kept=kept) as found:
        yield found[case]


def missing(product: Product) -> str | None:
    """Why the product cannot run here, and what to do; None if it can."""
    absent = [name for name in product.programs if shutil.which(name, path=_path()) is None]
    if not absent:
        return None
    return f"there is no {' and no '.join(absent)}: install {product.name} (Debian: apt-get install {product.package})"


def program(name: str) -> str:
    """Where a program is; servers are often where only root looks."""
    found = shutil.which(name, path=_path())
    if found is None:
        raise FileNotFoundError(f"there is no {name}")
    return found


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


def _started(stack: ExitStack, product: Product, site: Site, cases: Sequence[Case]) -> Mapping[Case, ServerAt]:
    for attempt in range(1, _ATTEMPTS + 1):
        listeners = [
            Listener(case, port, case.material or site.material)
            for case, port in zip(cases, _free(len(cases)), strict=True)
        ]
        commands = product.prepare(site, listeners)
        with ExitStack() as trial:
            processes = [(command, trial.enter_context(_process(site, command))) for command in commands]
            try:
                for command, process in processes:
                    _accepts(product, site, command, process)
            except DidNotStart:
                if attempt == _ATTEMPTS:
                    raise
                continue
            stack.push(trial.pop_all())
        return {
            listener.case: ServerAt(HOST, listener.port, process.pid, site.log, product.name)
            for command, process in processes
            for listener in command.listeners
        }
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _process(site: Site, command: Command) -> Iterator[subprocess.Popen[bytes]]:
    with site.log.open("ab") as output:
        process = subprocess.Popen(
            command.arguments,
            cwd=site.directory,
            env={**os.environ, "HOME": str(site.directory), **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _accepts(product: Product, site: Site, command: Command, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _STARTING
    for listener in command.listeners:
        while True:
            if process.poll() is not None:
                why = f"it ended with status {process.returncode}"
                break
            with socket.socket() as caller:
                if caller.connect_ex((HOST, listener.port)) == 0:
                    why = ""
                    break
            if time.monotonic() > until:
                why = f"port {listener.port} does not accept"
                break
            time.sleep(0.005)
        if why:
            raise DidNotStart(f"{product.name} does not start: {why}: {site.log.read_text(errors='replace')}")


def _free(count: int) -> list[int]:
    """Loopback ports that nobody listens on now. Processes side by side choose among different ones: HAProxy and Envoy
    would share a port and not complain."""
    chosen: list[int] = []
    mine = _PORTS[os.getpid() % _STRIDE :: _STRIDE]
    for port in random.SystemRandom().sample(mine, len(mine)):
        if len(chosen) == count:
            break
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
        chosen.append(port)
    return chosen
