"""A real `handclasp up` in a directory of its own, driven as a person drives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

COMMAND = (sys.executable, "-m", "handclasp")
_ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    # Bytecode may be kept, as a user's is: starting would otherwise be mostly compiling.
    if key not in {"PYTHONDONTWRITEBYTECODE", "HANDCLASP_DIR", "HANDCLASP_CONFIG"}
}


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def handclasp(
    directory: Path,
    *arguments: str,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    """Run one command in a directory, with more in its environment, and return what it said."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=directory,
        env={**_ENVIRONMENT, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )
    if check and done.returncode:
        raise AssertionError(
            f"handclasp {' '.join(arguments)} exited with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done


class RunningSite:
    """`handclasp up` as a child process, from readiness to a clean stop. A context manager."""

    def __init__(self, directory: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._environment = {**_ENVIRONMENT, **(environment or {})}
        self._arguments = arguments
        self._output = directory / "up.out"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.directory / ".handclasp"

    @property
    def output(self) -> str:
        """All that it has said."""
        return self._output.read_text()

    def start(self) -> RunningSite:
        """Start it and wait until it serves."""
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "up", *self._arguments],
                cwd=self.directory,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        self.wait_for_output("Handclasp is up.", 30)
        return self

    def wait_for_output(self, text: str, seconds: float = 5, count: int = 1) -> None:
        """Wait until it has said this (so many times)."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while self.output.count(text) < count:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"no {text!r} within {seconds} s; exit {self.process.poll()}; said:\n{self.output}"
                )
            time.sleep(0.01)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Signal it and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not stop within {seconds} s; said:\n{self.output}") from None

    def __enter__(self) -> RunningSite:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command beside it, in the same directory."""
        return handclasp(self.directory, *arguments, check=check, environment=self._environment)

    def json(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def envoy_pid(self) -> int:
        """Envoy's process id."""
        pid: int = self.json("status")["gateway"]["envoy_pid"]
        return pid

    def client(self, name: str) -> Path:
        """The directory of a caller's files."""
        return self.state / "clients" / name.replace("/", "+")

    def change(self, text: str) -> None:
        """Write the settings anew and wait until they are live or refused."""
        before = self.output.count("Took over") + self.output.count("Nothing was changed")
        part = self.directory / "handclasp.yaml.part"
        part.write_text(text)
        part.replace(self.directory / "handclasp.yaml")
        deadline = time.monotonic() + 10
        while self.output.count("Took over") + self.output.count("Nothing was changed") == before:
            if time.monotonic() > deadline:
                raise AssertionError(f"the settings were not read; said:\n{self.output}")
            time.sleep(0.01)

    def log(self, *arguments: str) -> list[dict[str, Any]]:
        """The records of `handclasp log`."""
        return [json.loads(line) for line in self.run("log", "--json", *arguments).stdout.splitlines()]

    def wait_for_log(self, seconds: float = 3, **expected: object) -> dict[str, Any]:
        """The newest record that has all these values, once there is one."""
        deadline = time.monotonic() + seconds
        while True:
            records = self.log()
            for record in reversed(records):
                if all(record.get(key) == value for key, value in expected.items()):
                    return dict(record)
            if time.monotonic() > deadline:
                raise AssertionError(f"no record with {expected} among {records[-5:]}")
            time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
