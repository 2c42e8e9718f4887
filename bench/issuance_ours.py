"""Our issuance in this process, and the bare loop of ``cryptography`` that it is compared with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bench.issuance_peers import CONCURRENCY, Csr, Sample, in_time
from handclasp.app import ambient
from handclasp.authority.hierarchy import establish
from handclasp.authority.issue import Authority, issue
from handclasp.pki import request
from handclasp.pki.profile import CLIENT
from handclasp.pki.spiffe import TrustDomain
from handclasp.store.database import Database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

TRUST_DOMAIN = TrustDomain("bench.internal")
PROFILE = CLIENT
PRINCIPAL = "operator"

_LOOK_SECONDS, _QUIET_LOOKS, _QUIET_SECONDS = 0.3, 2, 0.003


async def establish_in(directory: Path, database: Database) -> Authority:
    """A new authority with the default plan: a root on P-384, an issuing authority on P-256, keys in plain files."""
    ledger, custody = SqlLedger(database), KeyFiles(directory / "keys")
    hierarchy = await establish(ledger, custody, TRUST_DOMAIN, now=ambient.now(), serial=ambient.new_serial)
    return Authority(ledger, custody, hierarchy)


def requests(names: Sequence[str], *, spiffe: bool = False) -> list[Csr]:
    """A CSR of a fresh P-256 key for each name: a SPIFFE ID of this name, or the DNS name or address itself."""
    return [(name, _csr(name, spiffe=spiffe)) for name in names]


def _csr(name: str, *, spiffe: bool) -> bytes:
    subject = x509.Name([])
    alternative: x509.GeneralName = x509.DNSName(name)
    if spiffe:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternative = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/{name}")
    elif name[0].isdigit():
        alternative = x509.IPAddress(IPv4Address(name))
    return request.create_for(ec.generate_private_key(ec.SECP256R1()), subject, (alternative,))


async def ours(authority: Authority, csrs: Sequence[Csr]) -> Sample:
    """CSR in, durable certificate out, ``CONCURRENCY`` at once. CPU is the process's, until it has settled."""
    waiting, done = in_time(csrs), 0

    async def work() -> None:
        nonlocal done
        for _, pem in waiting:
            asked = request.parse(pem)
            issued = await issue(
                authority, asked, None, PROFILE, PRINCIPAL, now=ambient.now(), serial=ambient.new_serial()
            )
            assert issued.certificate.public_bytes(Encoding.PEM)
            done += 1

    used, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    seconds = time.perf_counter() - began
    await settled()
    return Sample(done / seconds, (time.process_time() - used) / done * 1e6)


async def settled() -> None:
    """Returns when the process has done what the ledger had put off (it does a bit of that each time it has had
    nothing to do for a quarter of a second)."""
    quiet = 0
    while quiet < _QUIET_LOOKS:
        before = time.process_time()
        await asyncio.sleep(_LOOK_SECONDS)
        quiet = quiet + 1 if time.process_time() - before < _QUIET_SECONDS else 0


@dataclass(frozen=True, slots=True)
class Bare:
    """``cryptography`` alone: a leaf like ours built and signed, in one thread, nothing checked and nothing kept."""

    issuer: x509.Certificate
    pattern: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    async def like(cls, authority: Authority) -> Bare:
        """Leaves with the extensions of ours, in the order and with the criticality that they have there."""
        (_, pem), *_ = requests(["pattern"], spiffe=True)
        issued = await issue(
            authority,
            request.parse(pem),
            None,
            PROFILE,
            PRINCIPAL,
            now=ambient.now(),
            serial=ambient.new_serial(),
        )
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(authority.hierarchy.signer(PROFILE).certificate, issued.certificate, key)

    async def loop(self, csrs: Sequence[Csr]) -> Sample:
        """One leaf for the key and name of each request, read beforehand."""
        asked = [(name, request.parse(pem).public_key) for name, pem in csrs]
        now = ambient.now()
        used, began = time.thread_time(), time.perf_counter()
        for name, public in asked:
            builder = (
                x509.CertificateBuilder()
                .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                .issuer_name(self.issuer.subject)
                .public_key(public)
                .serial_number(ambient.new_serial())
                .not_valid_before(now)
                .not_valid_after(now + timedelta(days=1))
            )
            for extension in self.pattern.extensions:
                value = extension.value
                if isinstance(value, x509.SubjectAlternativeName):
                    uri = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/{name}")
                    value = x509.SubjectAlternativeName([uri])
                elif isinstance(value, x509.SubjectKeyIdentifier):
                    value = x509.SubjectKeyIdentifier.from_public_key(public)
                builder = builder.add_extension(value, extension.critical)
            assert builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)
        seconds = time.perf_counter() - began
        return Sample(len(asked) / seconds, (time.thread_time() - used) / len(asked) * 1e6)
