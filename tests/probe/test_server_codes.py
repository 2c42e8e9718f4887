"""What the verifier of chains finds, in the codes of a server; and what is said where nothing could be found out."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import Code
from handclasp.pki.keys import private_pem
from handclasp.probe import served
from handclasp.probe.crls import RevocationLists
from handclasp.probe.examine import Options, examine
from handclasp.probe.loop import Driver
from handclasp.probe.parse import target
from handclasp.probe.trust import Anchors, Verifier
from handclasp.testing.chains import AT, CLIENT, Holder, make
from handclasp.testing.scripted import Conversation, Scripted

NAME = [x509.DNSName("api.example.org")]
ROOT = make("root", authority=True)
NARROW = make("narrow", authority=True, path_length=0)
BELOW = make("below", NARROW, authority=True)


def found(leaf: Holder, *above: Holder, root: Holder = ROOT) -> list[tuple[Code, str]]:
    """What is found in this chain, and where."""
    verifier = Verifier([Anchors("root", lambda: [root.certificate])])
    judgement = verifier.judge([leaf.der, *(one.der for one in above)], "api.example.org", AT)
    return [(finding.code, finding.where.split(" ")[0]) for finding in judgement.findings]


def test_a_server_whose_certificate_begins_later() -> None:
    """A day too early."""
    assert found(make("leaf", ROOT, names=NAME, begins=AT + timedelta(days=1))) == [
        (Code.SERVER_CERT_NOT_YET_VALID, "chain[0]")
    ]


def test_a_server_with_a_certificate_for_clients() -> None:
    """Its extended key usage has clientAuth alone."""
    assert found(make("leaf", ROOT, names=NAME, usages=[CLIENT])) == [(Code.SERVER_CERT_WRONG_EKU, "chain[0]")]


def test_a_server_with_a_weak_signature(tmp_path: Path) -> None:
    """Signed with MD5, by OpenSSL: our library makes no such signature."""
    root, key, leaf = (str(tmp_path / name) for name in ("root.pem", "key.pem", "leaf.pem"))
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9"]
    own = ["-subj", "/CN=root", "-keyout", key, "-out", root, "-addext", "keyUsage=critical,keyCertSign"]
    names = ["-addext", "subjectAltName=DNS:api.example.org", "-addext", "basicConstraints=critical,CA:FALSE"]
    signed = ["-md5", "-subj", "/CN=leaf", "-keyout", str(tmp_path / "k.pem"), "-out", leaf, "-CA", root, "-CAkey", key]
    for arguments in (own, [*signed, *names]):
        subprocess.run([*new, *arguments], check=True, capture_output=True, timeout=30)
    anchor, certificate = (x509.load_pem_x509_certificate(Path(name).read_bytes()) for name in (root, leaf))
    verifier = Verifier([Anchors("root", lambda: [anchor])])
    served_chain = [certificate.public_bytes(Encoding.DER)]
    judgement = verifier.judge(served_chain, "api.example.org", certificate.not_valid_before_utc + timedelta(hours=1))
    assert Code.SERVER_CERT_WEAK in [finding.code for finding in judgement.findings]


def test_a_server_whose_chain_breaks_a_rule_without_a_code_of_its_own() -> None:
    """An intermediate below an authority that allows none."""
    leaf = make("leaf", BELOW, names=NAME)
    assert [code for code, _ in found(leaf, BELOW, root=NARROW)] == [Code.SERVER_CHAIN_INVALID]


def test_a_revocation_list_that_cannot_be_had() -> None:
    """The finding names its address, and says why; it is no list, and no fault of the certificate."""
    url = "ldap://directory.example.org/cn=crl"
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)]
    leaf = make("leaf", ROOT, names=NAME, add=[(x509.CRLDistributionPoints(points), False)])
    fetched = asyncio.run(RevocationLists().of([served.read(leaf.der)]))
    assert (fetched.crls, [(one.code, one.where) for one in fetched.findings]) == (
        (),
        [(Code.REVOCATION_UNREACHABLE, url)],
    )


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver(new_random=os.urandom)
    yield driver
    driver.close()


def test_a_server_that_asks_and_goes_on_without(driver: Driver, tmp_path: Path) -> None:
    """It sends a CertificateRequest, gets an empty Certificate, and answers: a remark, and no fault."""
    always: Any = {"begins": datetime(2001, 1, 1, tzinfo=UTC), "ends": datetime(2101, 1, 1, tzinfo=UTC)}
    root = make("root", authority=True, **always)
    holder = make("localhost", root, names=[x509.DNSName("localhost")], **always)
    path = tmp_path / "server.pem"
    path.write_bytes(holder.certificate.public_bytes(Encoding.PEM) + private_pem(holder.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=root.certificate.public_bytes(Encoding.PEM).decode())

    def script(conversation: Conversation) -> None:
        stream = conversation.tls(context)
        conversation.request(stream)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Scripted(script) as server:
        asked = target(f"https://localhost:{server.port}")
        verifier = Verifier([Anchors("root", lambda: [root.certificate])])
        report = asyncio.run(examine(driver, asked, verifier, Options(), lambda: datetime.now(UTC), None))
    assert (report.code, [one.code for one in report.remarks]) == (Code.OK, [Code.MTLS_OPTIONAL])
