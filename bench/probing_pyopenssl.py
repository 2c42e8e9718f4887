"""``python -m bench.probing_pyopenssl ROOTS``: the same as probing_ours, by an asyncio loop on pyOpenSSL.

Written to be fast: one context for all, no tasks and no streams (callbacks of the event loop, the socket in OpenSSL's
own hands), no callback for each state of the handshake, and each certificate parsed once. It learns the same: the chain
and whether it is trusted (OpenSSL verifies it each time), whether a certificate is asked for, and the alert, which it
reads first.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from cryptography import x509
from OpenSSL import SSL

from bench.probing_sample import OUTCOMES, spent_us

CONCURRENCY = 200
_PATIENCE_SECONDS = 10.0


def main() -> None:
    """Answer until there is nothing more to read."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(sys.argv[1])
    context.set_verify(SSL.VERIFY_PEER, _go_on)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL._lib.SSL_MODE_RELEASE_BUFFERS)  # type: ignore[attr-defined]  # it has no name of its own there
    for line in sys.stdin:
        port, count, *names = line.split()
        print(json.dumps(asyncio.run(probe(context, int(port), int(count), names))), flush=True)


def _go_on(connection: SSL.Connection, certificate: object, number: int, depth: int, ok: int) -> bool:
    """A chain that is not trusted is told of; it ends nothing."""
    if not ok:
        connection.set_app_data(number)
    return True


async def probe(context: SSL.Context, port: int, count: int, names: list[str]) -> dict[str, object]:
    """So many probes, and what they cost."""
    outcomes: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    numbers = iter(range(count))
    left = count

    def start() -> None:
        number = next(numbers, None)
        if number is not None:
            Probe(loop, context, port, names[number % len(names)].encode(), done)

    def done(outcome: str) -> None:
        nonlocal left
        outcomes[outcome] += 1
        left -= 1
        if left:
            start()
        else:
            finished.set_result(None)

    before, began = spent_us(), time.perf_counter()
    for _ in range(CONCURRENCY):
        start()
    await finished
    seconds, used = time.perf_counter() - began, spent_us() - before
    return {"cpu_us": used / count, "seconds": seconds, "verified": count, OUTCOMES: dict(outcomes)}


class Probe:
    """One connection, from the first system call to the outcome."""

    __slots__ = ("_connection", "_done", "_fd", "_loop", "_name", "_shaken", "_socket", "_timer", "_writing")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: SSL.Context,
        port: int,
        name: bytes,
        done: Callable[[str], None],
    ) -> None:
        self._loop, self._done, self._name, self._shaken = loop, done, name, False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._fd = self._socket.fileno()
        self._connection = SSL.Connection(context, self._socket)
        self._connection.set_tlsext_host_name(name)
        self._connection.set_connect_state()
        self._timer = loop.call_later(_PATIENCE_SECONDS, self._end, "timeout")
        self._writing = True
        self._socket.connect_ex(("127.0.0.1", port))
        loop.add_writer(self._fd, self._go_on)

    def _go_on(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
            self._loop.add_reader(self._fd, self._go_on)
        try:
            if not self._shaken:
                self._connection.do_handshake()
                self._shaken = True
            # A server that refuses says so now, and nothing was written that could be in its way.
            self._connection.recv(16384)
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._end(error.args[0][0][2] if error.args and error.args[0] else type(error).__name__)
        except OSError as error:
            self._end(type(error).__name__)
        else:
            self._end("data")

    def _end(self, alert: str) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._fd)
        connection = self._connection
        chain = connection.get_peer_cert_chain(as_cryptography=True) or []
        asked = bool(connection.get_client_ca_list())
        leaf = _read(chain[0]) if chain else None
        trusted = "trusted" if connection.get_app_data() is None and leaf else "not trusted"
        named = leaf is not None and self._name.decode() in leaf[1]
        told = f"{connection.get_protocol_version_name()}, {connection.get_cipher_name()}"
        self._socket.close()
        self._done(f"{told}, asked {asked}, {trusted}, named {named}, {alert}")


@lru_cache(maxsize=10_000)
def _read(certificate: x509.Certificate) -> tuple[str, tuple[str, ...]]:
    """When it ends, and whom it names."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return certificate.not_valid_after_utc.isoformat(), tuple(names.get_values_for_type(x509.DNSName))


if __name__ == "__main__":
    main()
