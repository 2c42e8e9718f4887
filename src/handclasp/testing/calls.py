"""Callers for tests: raw HTTP/1.1 over TLS, sent byte for byte as given, and curl."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handclasp.app.state import BUNDLE, CHAIN, KEY


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers (lower-case names) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Caller:
    """One TLS connection to a gateway on loopback; requests go one after the other on it.

    ``files`` is a directory that `client add` wrote (None: no certificate); ``trust`` holds the bundle to verify
    the gateway with. ``sni`` None sends none.
    """

    def __init__(
        self,
        port: int,
        trust: Path,
        files: Path | None = None,
        *,
        sni: str | None = "localhost",
        version: ssl.TLSVersion | None = None,
        ciphers: str | None = None,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(trust / BUNDLE)
        context.check_hostname = sni is not None
        if files is not None:
            context.load_cert_chain(files / CHAIN, files / KEY)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if ciphers is not None:
            context.set_ciphers(ciphers)
        self._raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        try:
            self.socket = context.wrap_socket(self._raw, server_hostname=sni)
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(
        self,
        method: str,
        target: str | bytes,
        headers: Sequence[tuple[str, str]] = (),
        *,
        host: str | None = "localhost",
        body: bytes = b"",
    ) -> Answer:
        """Send one request as it stands and read the answer. Raises OSError or HTTPException if there is none."""
        raw = target if isinstance(target, bytes) else target.encode("latin-1")
        lines = [method.encode() + b" " + raw + b" HTTP/1.1"]
        if host is not None:
            lines.append(b"Host: " + host.encode())
        lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        self.socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def call(port: int, trust: Path, files: Path | None, method: str, target: str, **more: Any) -> Answer:
    """One request on a connection of its own."""
    sni = more.pop("sni", "localhost")
    with Caller(port, trust, files, sni=sni) as caller:
        return caller.send(method, target, **more)


def curl(*arguments: str | Path, trust: Path, files: Path | None = None) -> subprocess.CompletedProcess[str]:
    """curl with the trust bundle and, if given, a caller's certificate; --silent --show-error."""
    identity = () if files is None else ("--cert", files / CHAIN, "--key", files / KEY)
    return subprocess.run(
        ["curl", "-sS", "--max-time", "10", "--cacert", trust / BUNDLE, *identity, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
