"""Our own client and the examination against every product: what ``openssl s_client`` is shown is what we see, and what
each product does to callers without a certificate is what we conclude."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from handclasp.findings import Code
from handclasp.probe.credentials import Credential, Pattern
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.evidence import Attempt, Evidence, Request
from handclasp.probe.examine import Options, examine
from handclasp.probe.loop import Driver
from handclasp.probe.report import Report
from handclasp.probe.target import Target
from handclasp.probe.trust import Anchors, Verifier
from handclasp.testing.servers import JAVA_HTTPSERVER, NGINX, Case, Client, Versions
from handclasp.testing.servers import Credential as Files
from handclasp.testing.servers.refusals import refusal
from handclasp.tlswire.offer import Offer
from handclasp.tlswire.seen import Step

if TYPE_CHECKING:
    from tests.lab.conftest import Laboratory

NUMBERS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
CIPHERS = {  # in OpenSSL's order of preference, so that a server that heeds it chooses the same for both clients
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
    "ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """A driver for all that is asked of it here."""
    driver = Driver(new_random=os.urandom)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def evidence(lab: Laboratory, driver: Driver) -> dict[Case, Evidence]:
    """What one connection without a certificate shows of each case of a product, all of them at once."""
    offer = Offer("localhost", ciphers=tuple(CIPHERS.values()), alpn=("http/1.1",))
    attempts = {
        Attempt(target(lab, case), offer, request=Request(), listen=listening(lab, case)): case for case in lab.cases
    }
    found: dict[Case, Evidence] = {}
    driver.run(iter(attempts), lambda attempt, evidence: found.update({attempts[attempt]: evidence}))
    return found


@pytest.fixture(scope="module")
def reports(lab: Laboratory, driver: Driver) -> dict[Case, Report]:
    """What an examination without a credential says of each case."""
    return examined(lab, driver, {case: listening(lab, case) for case in lab.cases})


def listening(lab: Laboratory, case: Case) -> float:
    """Seconds to read before we write: as long as it takes, where a refusal by TLS is to come; else hardly any."""
    expected = refusal(lab.product.name, case)
    return 0.02 if expected is None or expected.status or case.client is Client.LOCATION else 8.0


def target(lab: Laboratory, case: Case) -> Target:
    """The port of a case, by its address, as localhost."""
    server = lab.servers[case]
    return Target(str(case), server.host, server.port, server_name="localhost", http="/")


def examined(
    lab: Laboratory, driver: Driver, listen: Mapping[Case, float], who: Files | None = None
) -> dict[Case, Report]:
    """The reports of these cases, with this client's certificate or none; ``listen`` is how long each is read from
    before we write."""
    verifier = Verifier([Anchors("laboratory", lambda: [lab.material.root.certificate])])
    credential = None if who is None else shown_by(who)

    async def scene() -> list[Report]:
        return await asyncio.gather(
            *(
                examine(driver, target(lab, case), verifier, Options(listen=seconds, credential=credential), now)
                for case, seconds in listen.items()
            )
        )

    return dict(zip(listen, asyncio.run(scene()), strict=True))


def now() -> datetime:
    """The time by which chains are judged."""
    return datetime.now(UTC)


def shown_by(who: Files) -> Credential:
    """A client's files as the credential for these servers."""
    until = who.holder.certificate.not_valid_after_utc
    return Credential("client", Pattern.parse("localhost"), who.ders, until, who.holder.key)


def test_what_is_seen(lab: Laboratory, evidence: dict[Case, Evidence]) -> None:
    """Chain, version, cipher, staple and request are those that ``openssl s_client`` is shown; and the server has
    proved its key. The staple comes whole, in TLS 1.2 (CertificateStatus) and in 1.3 (in the Certificate)."""
    for case, shown in lab.witness.items():
        seen = evidence[case].seen
        staple = lab.material.server.staple if shown.stapled else None
        names = sorted(lab.material.client_authority_names) if shown.requested else None
        assert (seen.chain, seen.version) == (shown.chain, NUMBERS[shown.version]), case
        assert seen.cipher == CIPHERS[shown.cipher], case
        assert (seen.staple, seen.proved) == (staple and staple.read_bytes(), True), case
        assert (None if seen.request is None else sorted(seen.request.authorities)) == names, case


def test_how_it_refuses(lab: Laboratory, evidence: dict[Case, Evidence]) -> None:
    """The alert's number and its step, the HTTP status, or silence: as the table of refusals has it."""
    for case in lab.cases:
        expected, found = refusal(lab.product.name, case), evidence[case]
        fatal = [(alert.number, alert.step) for alert in found.seen.alerts if alert.fatal]
        status = None if found.response is None else found.response.status
        if expected is None:
            assert (fatal, status) == ([], 200), case
        elif expected.alerts:
            step = Step.CLIENT_FLIGHT if case.versions is Versions.TLS12 else Step.FIRST_READ
            step = Step.APPLICATION if case.client is Client.LOCATION else step
            assert (status, [where for _, where in fatal]) == (None, [step]), case
            assert {number for number, _ in fatal} <= expected.alerts, case
        else:
            assert (fatal, status) == ([], expected.status), case


def test_what_is_concluded(lab: Laboratory, reports: dict[Case, Report]) -> None:
    """Whether a certificate is demanded, and by whom; where that comes only with a path, or a refusal says nothing, it
    stays open. The chain is trusted throughout."""

    def expected(case: Case) -> ClientCertificate:
        if case.client is Client.LOCATION:
            return ClientCertificate.UNDETERMINED
        if case.client is Client.REQUIRED:
            if lab.product is NGINX:
                return ClientCertificate.REQUIRED_AT_HTTP
            return ClientCertificate.REQUIRED
        return ClientCertificate.OPTIONAL if case.client is Client.OPTIONAL else ClientCertificate.NOT_REQUESTED

    assert {case: report.client_certificate for case, report in reports.items()} == {
        case: expected(case) for case in lab.cases
    }
    assert {case: (report.trusted, report.trusted_by) for case, report in reports.items()} == dict.fromkeys(
        lab.cases, (True, ("laboratory",))
    )


def test_a_credential_is_accepted(lab: Laboratory, driver: Driver) -> None:
    """Where the handshake asks for a certificate, ours is taken and the answer is 200."""
    asking = [case for case in lab.asking if case.client is not Client.LOCATION]
    reports = examined(lab, driver, dict.fromkeys(asking, 0.3), lab.material.client)
    assert {case: outcome(report) for case, report in reports.items()} == dict.fromkeys(asking, (True, 200))
    assert {report.code for report in reports.values()} == {Code.OK}


def test_a_strangers_credential_is_refused(lab: Laboratory, driver: Driver) -> None:
    """By an authority that the server does not trust: it is not taken, whatever the product says to it."""
    asking = [case for case in lab.asking if case.client is not Client.LOCATION]
    reports = examined(lab, driver, dict.fromkeys(asking, 1.0), lab.material.stranger)
    refused = {case: report.credential is not None and report.credential.accepted for case, report in reports.items()}
    assert refused == dict.fromkeys(asking, None if lab.product is JAVA_HTTPSERVER else False)


def outcome(report: Report) -> tuple[bool | None, int | None]:
    """Whether the credential was taken, and the HTTP status."""
    taken = report.credential.accepted if report.credential else None
    return taken, report.response.status if report.response else None
