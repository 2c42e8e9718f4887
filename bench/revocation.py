"""Revocation, measured: lists of 100,000 entries, from a revocation to the fresh list, and answers of OCSP."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from handclasp.authority.hierarchy import establish
from handclasp.authority.issue import Authority, issue
from handclasp.authority.pipeline import event
from handclasp.authority.records import CertificateRecord, CertificateState
from handclasp.pki.crl import Revoked, assemble_crl, prepare_crl
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, generate, sign
from handclasp.pki.profile import CLIENT
from handclasp.pki.request import create, parse
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.protocols.publish.server import served
from handclasp.store import database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

DOMAIN = TrustDomain("example.org")
_CONNECTIONS = 16


def serial() -> int:
    return secrets.randbits(158) | 1 << 158


def clock() -> datetime:
    return datetime.now(UTC)


def measure() -> dict[str, Any]:
    """All three."""
    return {"build": crl_build(), "fresh": revocation_to_crl(), "ocsp": ocsp_from_cache()}


def crl_build(entries: int = 100_000) -> dict[str, float]:
    """Seconds of CPU for one list: written and linted, then assembled and verified; the builder of cryptography beside
    it, given its entries ready made and all at once."""
    key, certificate = _root()
    now = clock()
    reasons = [reason for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.remove_from_crl]
    revoked = [Revoked(serial(), now - timedelta(seconds=n), reasons[n % len(reasons)]) for n in range(entries)]
    prepare_seconds, prepared = _cpu(lambda: prepare_crl(certificate, revoked, 1, now, timedelta(days=1)))
    signature = sign(key, prepared.tbs)
    assemble_seconds, crl = _cpu(lambda: assemble_crl(prepared, signature))
    peer_seconds, _ = _cpu(lambda: _by_cryptography(key, certificate, revoked, now))
    return {
        "entries": entries,
        "octets": len(crl.public_bytes(Encoding.DER)),
        "prepare_cpu_seconds": prepare_seconds,
        "assemble_cpu_seconds": assemble_seconds,
        "cryptography_builder_cpu_seconds": peer_seconds,
    }


def revocation_to_crl(revoked: int = 100_000, rounds: int = 5) -> dict[str, Any]:
    """Seconds from the call that revokes one certificate more to the list over HTTP that has it, with so many in
    the shard already; and how long others waited for the event loop meanwhile at most."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_revocation_to_crl(Path(directory), revoked, rounds))


def ocsp_from_cache(certificates: int = 1000, seconds: float = 5.0) -> dict[str, float]:
    """Answers a second over HTTP by GET on kept connections, from the cache, all of them checked for their status. The
    server has a process of its own; the client runs on the other core."""
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=_serve_ocsp, args=(directory, certificates, theirs), daemon=True
        )
        server.start()
        try:
            port, requests = ours.recv()
            warm = asyncio.run(_load(port, requests, 1.0))
            ours.send("cpu")
            before = ours.recv()
            started = time.perf_counter()
            answers = asyncio.run(_load(port, requests, seconds))
            took = time.perf_counter() - started
            ours.send("cpu")
            after = ours.recv()
            ours.send("stop")
        finally:
            server.join(10)
            if server.is_alive():
                server.terminate()
    cpu = after - before
    return {
        "warm_up_answers": warm,
        "answers": answers,
        "answers_per_second": answers / took,
        "server_cpu_seconds": cpu,
        "answers_per_cpu_second": answers / cpu,
    }


def _cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(3):
        started = time.process_time()
        result = work()
        best = min(best, time.process_time() - started)
    return best, result


def _root() -> tuple[Any, x509.Certificate]:
    from handclasp.pki.issue import assemble, authority_subject, prepare
    from handclasp.pki.profile import ROOT

    key = generate(KeyType.EC_P256)
    public = key.public_key()
    subject = authority_subject(ROOT, DOMAIN, public)
    prepared = prepare(
        ROOT, subject=subject, names=Names(), public_key=public, issuer=None, serial=serial(), now=clock()
    )
    return key, assemble(prepared, sign(key, prepared.tbs))


def _by_cryptography(key: Any, issuer: x509.Certificate, revoked: list[Revoked], now: datetime) -> bytes:
    entries = [
        x509.RevokedCertificateBuilder(
            one.serial,
            one.at.replace(microsecond=0),
            [x509.Extension(x509.CRLReason.oid, False, x509.CRLReason(one.reason))],
        ).build()
        for one in revoked
    ]
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject, last_update=now, next_update=now + timedelta(days=1), revoked_certificates=entries
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


async def _authority(directory: Path, ledger: SqlLedger) -> Authority:
    custody = KeyFiles(directory / "ca")
    hierarchy = await establish(ledger, custody, DOMAIN, now=clock(), serial=serial)
    return Authority(ledger, custody, hierarchy)


async def _issue(authority: Authority, name: str) -> CertificateRecord:
    identity = SpiffeID(DOMAIN, name)
    request = parse(create(generate(KeyType.EC_P256), identity))
    made = await issue(authority, request, Names(identity), CLIENT, "operator", now=clock(), serial=serial())
    return made.record


async def _revoked(ledger: SqlLedger, record: CertificateRecord) -> None:
    await ledger.change_state(
        record.issuer_key_id,
        record.serial,
        allowed_from=frozenset({CertificateState.ISSUED}),
        to=CertificateState.REVOKED,
        at=clock(),
        reason="keyCompromise",
        event_of=lambda one: event("certificate.revoked", one, clock(), "bench"),
    )


def _fill(path: Path, count: int) -> None:
    """So many copies of the one revoked certificate, with other serial numbers and times."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM certificates WHERE revoked_at IS NOT NULL").fetchone())
    del row["id"]
    width = len(row["serial"])

    def copies() -> Iterator[tuple[Any, ...]]:
        for number in range(count):
            made = serial()
            changed = {"serial": f"{made:0{width}x}", "fingerprint": f"{made:064x}"}
            yield tuple((row | changed | {"revoked_at": row["revoked_at"] - number * 1_000_003}).values())

    names, places = ", ".join(row), ", ".join("?" * len(row))
    connection.executemany(f"INSERT INTO certificates ({names}) VALUES ({places})", copies())
    connection.commit()
    connection.close()


async def _revocation_to_crl(directory: Path, revoked: int, rounds: int) -> dict[str, Any]:
    with database.open(directory / "ledger.db") as opened:
        ledger = SqlLedger(opened)
        authority = await _authority(directory, ledger)
        first = await _issue(authority, "first")
        await _revoked(ledger, first)
        await asyncio.to_thread(_fill, directory / "ledger.db", revoked)
        issuer = authority.hierarchy.issuers[0].key_id
        took: list[float] = []
        cpu: list[float] = []
        waits = [0.0]
        async with served(lambda: authority, clock=clock, serial=serial) as server:

            async def others() -> None:
                while True:
                    started = time.perf_counter()
                    await asyncio.sleep(0.001)
                    waits.append(time.perf_counter() - started - 0.001)

            waiting = asyncio.create_task(others())
            for number in range(rounds):
                record = await _issue(authority, f"caller-{number}")
                started, cpu_before = time.perf_counter(), time.process_time()
                await _revoked(ledger, record)
                await server.refresh()
                fetched = await _fetched(server.port, f"/crl/{issuer}.crl")
                took.append(time.perf_counter() - started)
                cpu.append(time.process_time() - cpu_before)
                crl = x509.load_der_x509_crl(fetched)
                assert crl.get_revoked_certificate_by_serial_number(record.serial) is not None
            waiting.cancel()
    return {
        "revoked": revoked,
        "seconds": took,
        "median_seconds": sorted(took)[len(took) // 2],
        "median_cpu_seconds": sorted(cpu)[len(cpu) // 2],
        "longest_wait_seconds": max(waits),
    }


async def _fetched(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


def _serve_ocsp(directory: str, certificates: int, pipe: Connection) -> None:
    asyncio.run(_serving(Path(directory), certificates, pipe))


async def _serving(directory: Path, certificates: int, pipe: Connection) -> None:
    import base64
    from urllib.parse import quote

    with database.open(directory / "ledger.db") as opened:
        authority = await _authority(directory, SqlLedger(opened))
        issuer = authority.hierarchy.issuers[0].certificate
        requests = []
        for number in range(certificates):
            record = await _issue(authority, f"caller-{number}")
            certificate = x509.load_der_x509_certificate(record.der)
            request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()
            encoded = quote(base64.b64encode(request.public_bytes(Encoding.DER)).decode(), safe="")
            requests.append(f"GET /ocsp/{encoded} HTTP/1.1\r\nHost: pki.example.org\r\n\r\n".encode())
        async with served(lambda: authority, clock=clock, serial=serial) as server:
            pipe.send((server.port, requests))
            while await asyncio.to_thread(pipe.recv) == "cpu":
                pipe.send(sum(os.times()[:2]))


async def _load(port: int, requests: list[bytes], seconds: float) -> int:
    """How many answers came in that time, each of them a successful one."""
    ends = time.perf_counter() + seconds

    async def client(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < ends:
            writer.write(requests[(number + count * _CONNECTIONS) % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            # OCSPResponse with the status successful, after a length of two octets.
            assert head.startswith(b"HTTP/1.1 200") and body[4:7] == b"\x0a\x01\x00"
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(client(number) for number in range(_CONNECTIONS))))
