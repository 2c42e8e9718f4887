"""What ``openssl s_client`` is shown by a server: the witness that our own client is compared with."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.testing.servers.case import ServerAt
from handclasp.testing.servers.running import program

_PATIENCE = 20.0  # seconds: to tell a server that hangs, never to tell that one says nothing
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)
_NAMES = re.compile(
    r"^Acceptable client certificate CA names\n((?:.+\n)*?)(?:Client Certificate Types|Requested)", re.M
)
_FACTS = re.compile(r"^ *(Protocol|Cipher) *: (\S+)$", re.M)
_NEW = re.compile(r"^New, (\S+), Cipher is (\S+)$", re.M)
_STATUS = re.compile(r"^HTTP/1\.[01] ([0-9]{3})\b", re.M)
_ALERT = re.compile(r"SSL alert number ([0-9]+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """What one connection without a client certificate has shown. ``names`` are in the form of RFC 4514, in order.

    ``requested`` says whether a certificate was asked for, ``alert`` is the number of the fatal alert and ``status``
    that of the HTTP response.
    """

    chain: tuple[bytes, ...]
    requested: bool
    names: tuple[str, ...]
    version: str
    cipher: str
    stapled: bool
    alert: int | None
    status: int | None


async def shown(server: ServerAt, roots: Path, *, ask: bool = True) -> Shown:
    """Connect to a server, and ask ``GET /`` if ``ask``; else wait for what comes unasked, until the end."""
    process = await asyncio.create_subprocess_exec(
        # By the line: what it tells and what it passes on would otherwise interrupt each other.
        *("stdbuf", "-oL", program("openssl"), "s_client", "-connect", f"{server.host}:{server.port}"),
        *("-servername", "localhost", "-CAfile", roots, "-showcerts", "-status", "-nameopt", "RFC2253", "-ign_eof"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if ask:
            process.stdin.write(_REQUEST)
        async with asyncio.timeout(_PATIENCE):
            # Its input stays open: its end would end the connection.
            output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()
    return _read(output.decode(errors="replace"), errors.decode(errors="replace"))


def _read(output: str, errors: str) -> Shown:
    new = _NEW.search(output)
    assert new is not None, output + errors
    facts = dict(_FACTS.findall(output)) if new[1] == "(NONE)" else {"Protocol": new[1], "Cipher": new[2]}
    names = _NAMES.search(output)
    alert, status = _ALERT.search(errors), _STATUS.search(output)
    return Shown(
        chain=tuple(
            x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
            for pem in _CERTIFICATE.findall(output.partition("\nServer certificate\n")[0])
        ),
        requested=re.search("^Requested Signature Algorithms:", output, re.M) is not None,
        names=tuple(names[1].splitlines()) if names else (),
        version=facts.get("Protocol", ""),
        cipher=facts.get("Cipher", ""),
        stapled="OCSP Response Status: successful" in output,
        alert=int(alert[1]) if alert else None,
        status=int(status[1]) if status else None,
    )
