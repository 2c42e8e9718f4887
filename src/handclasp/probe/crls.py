"""Fetching the revocation lists that a server's certificates name: over plain HTTP, each once, never redirected.

Only where a person asked for it: the addresses are in a stranger's certificate, so whoever fetches them lets a stranger
choose where this machine connects to.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from handclasp import __version__
from handclasp.findings import Code, Finding, InvalidSetting
from handclasp.pki import names
from handclasp.pki.containers import UNREADABLE, explained
from handclasp.probe.evidence import Request
from handclasp.probe.http import MalformedResponse, ResponseReader, encode
from handclasp.probe.report import CrlSeen
from handclasp.probe.served import Served
from handclasp.probe.target import Target

MAX_SIZE: Final = 16 << 20  # octets
_MAX_ADDRESSES: Final = 8  # of one chain
_SECONDS: Final = 5.0
_URL: Final = re.compile(r"http://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.\-]+)(?::([0-9]{1,5}))?(/[!-~]*)?")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The lists of one chain. ``findings`` say which could not be had."""

    crls: tuple[x509.CertificateRevocationList, ...]
    seen: tuple[CrlSeen, ...]
    findings: tuple[Finding, ...]


class RevocationLists:
    """Fetches, and remembers for as long as it lives."""

    def __init__(self) -> None:
        self._fetched: dict[str, asyncio.Task[x509.CertificateRevocationList | str]] = {}

    async def of(self, chain: Sequence[Served]) -> Fetched:
        """The lists that these certificates name, at most eight."""
        urls = list(dict.fromkeys(url for one in chain for url in one.crls))[:_MAX_ADDRESSES]
        crls, seen, findings = [], [], []
        for url, found in zip(urls, await asyncio.gather(*(self._once(url) for url in urls)), strict=True):
            if isinstance(found, str):
                findings.append(Finding(Code.REVOCATION_UNREACHABLE, url, found))
                continue
            crls.append(found)
            seen.append(CrlSeen(url, names.rfc4514(found.issuer), found.last_update_utc, found.next_update_utc))
        return Fetched(tuple(crls), tuple(seen), tuple(findings))

    async def _once(self, url: str) -> x509.CertificateRevocationList | str:
        if url not in self._fetched:
            self._fetched[url] = asyncio.create_task(_fetch(url))
        return await self._fetched[url]


async def _fetch(url: str) -> x509.CertificateRevocationList | str:
    """The list, or why there is none."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return "only plain http:// addresses are fetched"
    host, port = parts[1].strip("[]"), int(parts[2] or 80)
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _get(Target(url, host, port, http=parts[3] or "/"))
    except TimeoutError:
        return f"it did not come within {_SECONDS:.0f} seconds"
    except (OSError, OverflowError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    except (MalformedResponse, InvalidSetting, _NotThere) as error:
        return str(error)
    try:
        crl = x509.load_der_x509_crl(body)
        _ = crl.last_update_utc, crl.next_update_utc, crl.issuer
    except UNREADABLE as error:
        return f"what came is no revocation list in DER: {explained(error)}"
    return crl


class _NotThere(Exception):
    pass


async def _get(target: Target) -> bytes:
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        request = Request("GET", target.http or "/", (("Host", _host(target)),))
        writer.write(encode(request, target, f"handclasp/{__version__}"))
        await writer.drain()
        response = ResponseReader("GET", MAX_SIZE)
        while not response.done:
            data = await reader.read(64 * 1024)
            if not data:
                response.end()
                break
            response.receive(data)
    finally:
        writer.transport.abort()
    found = response.response
    if found is None:
        raise _NotThere("the answer was cut off")
    if found.status != 200:
        raise _NotThere(f"the answer was HTTP {found.status}")
    if not found.whole:
        raise _NotThere(f"it is cut off, or larger than {MAX_SIZE >> 20} MB")
    return found.body


def _host(target: Target) -> str:
    name = f"[{target.host}]" if ":" in target.host else target.host
    return name if target.port == 80 else f"{name}:{target.port}"
