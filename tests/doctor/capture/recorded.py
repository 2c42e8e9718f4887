"""Real handshakes, recorded by a relay between a client and a server."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.doctor.capture.wire import Said, capture, conversation

from handclasp.testing.servers.case import ServerAt
from handclasp.testing.servers.running import program

_PATIENCE = 20.0


@dataclass
class Recording:
    """What went through a relay, and who ended it first."""

    port: int
    said: list[Said] = field(default_factory=list)
    by_client: bool = False

    def capture(self) -> bytes:
        """As a capture file of this moment."""
        return capture(conversation(self.said, by_client=self.by_client), time.time())


@contextlib.contextmanager
def relay(server: ServerAt) -> Iterator[Recording]:
    """A port that passes one connection on; when the block ends, so does the recording."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_PATIENCE)
        recording = Recording(listener.getsockname()[1])
        thread = threading.Thread(target=_pass_on, args=(listener, server, recording))
        thread.start()
        try:
            yield recording
        finally:
            thread.join()


def _pass_on(listener: socket.socket, server: ServerAt, recording: Recording) -> None:
    caller = listener.accept()[0]
    with caller, socket.create_connection((server.host, server.port)) as callee:
        open_, first = {caller: callee, callee: caller}, True
        until = time.monotonic() + _PATIENCE
        while open_ and time.monotonic() < until:
            for one in select.select(list(open_), [], [], 0.2)[0]:
                try:
                    data = one.recv(65536)
                except ConnectionError:
                    data = b""
                if data:
                    recording.said.append((one is caller, data))
                    with contextlib.suppress(OSError):
                        open_.get(one, one).sendall(data)
                    continue
                if first:
                    recording.by_client, first = one is caller, False
                with contextlib.suppress(OSError):
                    open_[one].shutdown(socket.SHUT_WR)
                del open_[one]
                # A side that is gone is not waited for.
                until = min(until, time.monotonic() + 1.0)


def record(server: ServerAt, roots: Path, *options: str | Path, request: bool = True) -> Recording:
    """What ``openssl s_client`` and the server say to each other, with these options of s_client."""
    with relay(server) as recording:
        arguments: Sequence[str | Path] = (
            *(program("openssl"), "s_client", "-connect", f"127.0.0.1:{recording.port}", "-CAfile", roots),
            *("-verify_return_error", "-quiet", *options),
        )
        asked = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n" if request else b""
        subprocess.run(arguments, input=asked, capture_output=True, timeout=_PATIENCE, check=False)
    return recording
