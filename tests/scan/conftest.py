"""Servers for scans, and the command line in this process."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient
from handclasp.cli.main import main
from handclasp.pki.keys import private_pem
from handclasp.testing.chains import Holder, make
from handclasp.testing.scripted import Conversation, Scripted, server_context

Record = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``handclasp`` with these words, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in words])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, out, err)

    return run


def answer(context: ssl.SSLContext) -> Callable[[Conversation], None]:
    """A script: TLS, and an answer over HTTP."""

    def script(conversation: Conversation) -> None:
        stream = conversation.tls(context)
        if conversation.request(stream):
            stream.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        conversation.wait_for_end()

    return script


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Scripted]:
    """A server that demands a client certificate."""
    with Scripted(answer(server_context(client=ssl.CERT_REQUIRED)), host="0.0.0.0") as server:
        yield server


@pytest.fixture(scope="module")
def optional_endpoint() -> Iterator[Scripted]:
    """A server that asks for a client certificate and goes on without."""
    with Scripted(answer(server_context(client=ssl.CERT_OPTIONAL)), host="0.0.0.0") as server:
        yield server


def context_of(holder: Holder, tmp_path: Path) -> ssl.SSLContext:
    """OpenSSL as a server with this certificate."""
    path = tmp_path / "server.pem"
    path.write_bytes(holder.certificate.public_bytes(Encoding.PEM) + private_pem(holder.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def current(subject: str | x509.Name, **more: Any) -> Holder:
    """A self-signed certificate that is in date."""
    from datetime import timedelta

    now = ambient.now()
    return make(subject, begins=now - timedelta(hours=1), ends=now + timedelta(days=20), **more)


class Gauge:
    """Counts how many connections a server has at once: each from its beginning until right before the server ends
    it, so that no client's next one can be counted with it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._guard = threading.Lock()
        self._now = 0
        self.most = 0

    def script(self, conversation: Conversation) -> None:
        with self._guard:
            self._now += 1
            self.most = max(self.most, self._now)
        threading.Event().wait(self._seconds)
        with self._guard:
            self._now -= 1
        conversation.sock.sendall(b"SSH-2.0-none\r\n")


def record(target: str, **changes: Any) -> Record:
    """A record as a scan makes it of a server that is well."""
    leaf = {
        "subject": "CN=api",
        "issuer": "CN=Issuer",
        "names": ["api.example.org"],
        "serial": "0a",
        "fingerprint": "ab" * 32,
        "spki": "cd" * 32,
        "not_before": "2026-05-01T00:00:00Z",
        "not_after": "2026-07-01T00:00:00Z",
        "days_left": 30.0,
        "seconds_left": 2592000,
        "key": "EC P-256",
        "signature": "ecdsa-with-SHA256",
    }
    told: Record = {
        "target": target,
        "host": "api.example.org",
        "port": 443,
        "server_name": "api.example.org",
        "address": "192.0.2.1",
        "at": "2026-06-01T12:00:00Z",
        "code": "OK",
        "findings": [],
        "remarks": [],
        "client_certificate": "required",
        "client_certificate_why": "alert 116",
        "client_ca_names": ["CN=Callers"],
        "client_signature_algorithms": [],
        "tls_version": "TLS 1.3",
        "group": "x25519",
        "post_quantum": False,
        "cipher": "TLS_AES_128_GCM_SHA256",
        "signature_scheme": "ecdsa_secp256r1_sha256",
        "alpn": None,
        "trusted": True,
        "trusted_by": ["system"],
        "alerts": [{"number": 116, "name": "certificate_required", "fatal": True, "step": "after_certificate"}],
        "chain": [{**leaf, **changes.pop("leaf", {})}],
        "ocsp_staple": None,
        "http": None,
        "seconds": {"ended": 0.25},
        "scan": "0123456789ab",
    }
    return {**told, **changes}
