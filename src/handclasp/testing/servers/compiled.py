"""Servers of our own in Go and Java, for what their TLS libraries do. Compiled once, without a network.

Java's are two: on its TLS sockets, which send an alert to whom they refuse, and on its own HTTP server, which ends
the connection without a word. All read the same list: one line for each port, fields separated by tabs: port, client
(none, optional, required), lowest and highest version, then the files of the chain, the key, the client authorities
and the staple (or ``-``).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from handclasp.testing.servers.case import Command, Listener, Product, Site
from handclasp.testing.servers.running import program

_HERE = Path(__file__).parent
_QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m")


def _prepare_go(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    made = _compiled(site.kept, "server.go", _compile_go)
    return [Command([made / "server", _list(site, listeners)], listeners)]


def _java(kind: str) -> Callable[[Site, Sequence[Listener]], Sequence[Command]]:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        made = _compiled(site.kept, "Server.java", _compile_java)
        arguments: list[str | Path] = [
            program("java"),
            *_QUICK_START,
            "-cp",
            made,
            "Server",
            kind,
            _list(site, listeners),
        ]
        return [Command(arguments, listeners)]

    return prepare


def _compile_go(source: Path, into: Path) -> None:
    # No module and no proxy: the standard library is all there is. Up to Go 1.19 it comes compiled, with cgo.
    environment = {
        "GO111MODULE": "off",
        "GOPROXY": "off",
        "CGO_ENABLED": "1",
        "PATH": os.environ.get("PATH", os.defpath),
    }
    environment |= {"HOME": str(into), "GOCACHE": str(into / "cache")}
    _run([program("go"), "build", "-ldflags=-s -w", "-o", into / "server", source], environment)


def _compile_java(source: Path, into: Path) -> None:
    _run([program("javac"), *(f"-J{option}" for option in _QUICK_START), "-proc:none", "-g:none", "-d", into, source])


def _compiled(kept: Path, name: str, compile_: Callable[[Path, Path], None]) -> Path:
    """The directory with what was made of a source, named by the source's content."""
    source = _HERE / name
    into = kept / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not into.is_dir():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept, ignore_cleanup_errors=True) as made:
            trial = Path(made) / "made"
            trial.mkdir()
            compile_(source, trial)
            try:
                trial.rename(into)  # whole or not at all
            except OSError:
                if not into.is_dir():  # else somebody was faster
                    raise
    return into


def _run(arguments: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(arguments, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{Path(arguments[0]).name} failed: {done.stdout}{done.stderr}")


def _list(site: Site, listeners: Sequence[Listener]) -> Path:
    lines = []
    for one in listeners:
        case, credential = one.case, one.credential
        files = (credential.chain, credential.key, one.material.client_authorities, one.staple or "-")
        fields = (one.port, case.client, case.versions.lowest, case.versions.highest, *files)
        lines.append("\t".join(str(field) for field in fields) + "\n")
    path = site.directory / "listeners.txt"
    path.write_text("".join(lines))
    return path


GO = Product("go", ("go",), "golang-go", _prepare_go, staples=True)
JAVA = Product("java", ("java", "javac"), "default-jdk-headless", _java("sockets"))
JAVA_HTTPSERVER = Product("java-httpserver", ("java", "javac"), "default-jdk-headless", _java("httpserver"))
