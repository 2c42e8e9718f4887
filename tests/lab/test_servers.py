"""The servers of the laboratory are what they are said to be: ``openssl s_client`` and curl are the witnesses."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from handclasp.testing.servers import (
    HAPROXY,
    OPENSSL,
    STUNNEL,
    Case,
    Client,
    Credential,
    DidNotStart,
    Material,
    Product,
    missing,
    one,
    serving,
)
from handclasp.testing.servers.case import Command, Listener, Site
from handclasp.testing.servers.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.conftest import Laboratory


def credential_of(case: Case, material: Material) -> Credential:
    """What the server of this case shows."""
    return material.server_rsa if case.rsa else material.server


def test_what_it_serves(lab: Laboratory) -> None:
    """The whole chain, the version, the staple, and the authorities it asks for (in any order), are what it was
    given."""
    names = [f"CN=Laboratory {which} root" for which in ("clients", "partners")]
    seen = {
        case: (shown.chain, shown.version, shown.stapled, shown.requested, sorted(shown.names))
        for case, shown in lab.witness.items()
    }
    assert seen == {
        case: (
            credential_of(case, lab.material).ders,
            f"TLSv{case.versions.highest}",
            case.staple,
            asked := case.client in {Client.OPTIONAL, Client.REQUIRED},
            names if asked else [],
        )
        for case in lab.cases
    }


def test_what_it_does_without_a_certificate(lab: Laboratory) -> None:
    """It answers, or refuses by an alert or by HTTP, or says nothing: as the table of refusals has it."""
    for case, shown in lab.witness.items():
        expected = refusal(lab.product.name, case)
        if expected is None:
            assert (shown.alert, shown.status) == (None, 200), case
        else:
            assert shown.status == expected.status, case
            assert shown.alert in (expected.alerts or {None}), case


def test_whom_it_lets_in(lab: Laboratory) -> None:
    """With a certificate by the authority that it trusts the answer is 200; with a stranger's it never is."""

    async def scene() -> dict[Case, tuple[str, str]]:
        statuses = [curl(lab, case, who) for case in lab.asking for who in (lab.material.client, lab.material.stranger)]
        found = await asyncio.gather(*statuses)
        return dict(zip(lab.asking, zip(found[::2], found[1::2], strict=True), strict=True))

    refused = "400" if lab.product.name == "nginx" else "000"
    assert asyncio.run(scene()) == dict.fromkeys(lab.asking, ("200", refused))


async def curl(lab: Laboratory, case: Case, who: Credential) -> str:
    """The HTTP status that this client gets; 000 for none."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", "--cacert", lab.material.roots),
        *("--resolve", f"localhost:{lab.servers[case].port}:127.0.0.1", "--cert", who.chain, "--key", who.key),
        f"https://localhost:{lab.servers[case].port}/",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode()


def test_one_server_for_a_block(material: Material) -> None:
    """It is a process of its own with a log, and it is gone afterwards, with its port."""
    with one(OPENSSL, material, Case(Client.REQUIRED)) as server:
        os.kill(server.pid, 0)
        assert server.product == "openssl"
        assert "Using default temp DH parameters" in server.log.read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
    with socket.socket() as caller:
        assert caller.connect_ex((server.host, server.port)) != 0


@pytest.mark.parametrize(
    ("product", "case"),
    [(HAPROXY, Case(Client.LOCATION)), (STUNNEL, Case(staple=True))],
    ids=["location", "staple"],
)
def test_what_a_product_cannot_do(product: Product, case: Case, material: Material) -> None:
    """It says so before anything is started."""
    with pytest.raises(ValueError, match=f"{product.name} cannot serve {case}"), serving(product, material, [case]):
        pass


def test_a_product_that_is_not_installed() -> None:
    """What is missing, and what to do: why its tests are skipped."""
    absent = Product("absent", ("openssl", "no-such-program"), "absent-server", lambda _, __: [])
    assert missing(OPENSSL) is None
    assert missing(absent) == ("there is no no-such-program: install absent (Debian: apt-get install absent-server)")


def test_a_server_that_does_not_start(material: Material) -> None:
    """Its own words are in the error."""

    def prepare(_: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        return [Command(["openssl", "s_server", "-no-such-option"], listeners)]

    broken = Product("broken", ("openssl",), "openssl", prepare)
    with pytest.raises(DidNotStart, match="no-such-option"), one(broken, material, Case()):
        pass
