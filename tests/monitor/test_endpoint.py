"""Endpoints that make a monitor believe that all is well: servers on real sockets, examined as a monitor does."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from handclasp.app.stranger import stranger
from handclasp.findings import Code
from handclasp.monitor.checks import Checks
from handclasp.monitor.definition import Expectation, Kind, Monitor, State, Stranger
from handclasp.monitor.endpoint import MAX_CERTIFICATES, EndpointExaminer
from handclasp.monitor.records_json import evidence_to_json
from handclasp.monitor.results import CheckResult
from handclasp.pki.keys import private_pem
from handclasp.probe import served
from handclasp.probe.loop import Driver
from handclasp.probe.trust import Anchors, Verifier
from handclasp.testing.chains import Holder, make
from handclasp.testing.scripted import Conversation, Scripted
from handclasp.testing.watching import FixedInventory

ALWAYS: Any = {"begins": datetime(2001, 1, 1, tzinfo=UTC), "ends": datetime(2101, 1, 1, tzinfo=UTC)}
ROOT = make("root", authority=True, **ALWAYS)
LOCALHOST = x509.DNSName("localhost")
SERVER = make("localhost", ROOT, names=[LOCALHOST], **ALWAYS)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver(new_random=os.urandom)
    yield driver
    driver.close()


def context(directory: Path, *chain: Holder, ask: bool = False) -> ssl.SSLContext:
    """OpenSSL with this chain; ``ask`` for a certificate, and take a caller without one too."""
    path = directory / "server.pem"
    sent = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in chain)
    path.write_bytes(sent + private_pem(chain[0].key))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    if ask:
        made.verify_mode = ssl.CERT_OPTIONAL
        made.load_verify_locations(cadata=ROOT.certificate.public_bytes(Encoding.PEM).decode())
    return made


def answering(with_: ssl.SSLContext, status: int) -> Callable[[Conversation], None]:
    def script(conversation: Conversation) -> None:
        stream = conversation.tls(with_)
        conversation.request(stream)
        stream.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        conversation.wait_for_end()

    return script


def checked(driver: Driver, server: Scripted, kind: Kind, **rest: Any) -> CheckResult:
    verifier = Verifier([Anchors("root", lambda: [ROOT.certificate])])

    async def verified_by(_: Monitor) -> Verifier:
        return verifier

    async def nothing(*_: Any) -> None:
        return None

    now = datetime.now(UTC)
    examiner = EndpointExaminer(driver, verified_by, nothing, stranger, lambda: now)
    checks = Checks(
        examiner=examiner,
        inventory=FixedInventory(),
        read_secrets=lambda _: (),
        read_passphrase=lambda _: b"",
    )
    monitor = Monitor("m", kind, f"https://localhost:{server.port}/", **rest)
    return asyncio.run(checks.check(monitor, None, now))


@pytest.mark.parametrize("who", list(Stranger))
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.MTLS_NOT_ENFORCED),
        (401, Code.MTLS_NOT_ENFORCED),
        (403, Code.UNKNOWN),  # it may be that of a server that asks later
        (421, Code.MTLS_NOT_ENFORCED),
    ],
)
def test_who_never_asks_for_a_certificate_refuses_nobody_for_it(
    driver: Driver, tmp_path: Path, who: Stranger, status: int, code: Code
) -> None:
    """A page that wants a login, or a directory that nobody may list, is no mutual TLS."""
    with Scripted(answering(context(tmp_path, SERVER), status)) as server:
        result = checked(driver, server, Kind.REFUSED, stranger=who)
    assert (result.state, result.code) == (State.CRITICAL, code)


@pytest.mark.parametrize(("status", "state"), [(401, State.OK), (403, State.OK), (421, State.CRITICAL)])
def test_who_asks_may_refuse_over_http(driver: Driver, tmp_path: Path, status: int, state: State) -> None:
    """What is behind it turns the caller away; 421 is about the name of the host."""
    with Scripted(answering(context(tmp_path, SERVER, ask=True), status)) as server:
        assert checked(driver, server, Kind.REFUSED).state is state


def test_a_pinned_certificate_that_is_only_attached_is_no_pin(driver: Driver, tmp_path: Path) -> None:
    """Certificates are public: whoever has another one for the host can send the pinned one beside it."""
    pinned = make("localhost", ROOT, names=[LOCALHOST], **ALWAYS)
    pins = (served.read(pinned.der).spki,)
    with Scripted(answering(context(tmp_path, SERVER, pinned), 200)) as server:
        assert checked(driver, server, Kind.HTTPS, expect=Expectation(pins=pins)).code is Code.PIN_MISMATCH
    with Scripted(answering(context(tmp_path, pinned, SERVER), 200)) as server:
        assert checked(driver, server, Kind.HTTPS, expect=Expectation(pins=pins)).state is State.OK


def test_what_is_kept_of_a_check_is_bounded(driver: Driver, tmp_path: Path) -> None:
    """A server that sends 200 kB of certificates, other ones at each check, does not fill the database with them."""
    long = x509.ObjectIdentifier("1.2.3.4")
    padding = [x509.NameAttribute(long, "A" * 30_000, _validate=False)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost"), *padding])
    names = [LOCALHOST, *(x509.DNSName(f"{number}.example.org") for number in range(2_000))]
    big = make(subject, ROOT, names=names, **ALWAYS)
    extra = [make(f"extra {number}", ROOT, **ALWAYS) for number in range(60)]
    with Scripted(answering(context(tmp_path, big, *extra), 200)) as server:
        result = checked(driver, server, Kind.HTTPS)
        strange = checked(driver, server, Kind.HTTPS, server_name="other.example.org")
    assert result.state is State.OK
    assert len(result.certificates) == MAX_CERTIFICATES
    assert len(evidence_to_json(result)) < 30_000
    assert strange.code is Code.SERVER_CERT_HOSTNAME_MISMATCH
    assert len(evidence_to_json(strange)) < 60_000
