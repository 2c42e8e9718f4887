"""Real handshakes between ``openssl s_client`` and real servers, as captures: the right cause comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.doctor.capture.recorded import record

from handclasp.doctor.capture import examine
from handclasp.doctor.diagnosis import Diagnosis
from handclasp.findings import Code
from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.servers import (
    HAPROXY,
    NGINX,
    OPENSSL,
    Case,
    Client,
    Credential,
    Material,
    Product,
    ServerAt,
    Versions,
    make_material,
    missing,
    serving,
)

NOW = datetime.now(UTC)
REQUIRED12, REQUIRED13 = Case(Client.REQUIRED, Versions.TLS12), Case(Client.REQUIRED, Versions.TLS13)
OPEN = Case()
PRODUCTS = (NGINX, HAPROXY, OPENSSL)
REFUSING = (HAPROXY, OPENSSL)
"""Those that refuse in the handshake."""

Ask = Callable[..., Diagnosis]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"), now=NOW)


@pytest.fixture(scope="module", params=PRODUCTS, ids=lambda product: product.name)
def product(request: pytest.FixtureRequest) -> Product:
    found: Product = request.param
    if why := missing(found):
        pytest.skip(why)
    return found


@pytest.fixture(scope="module")
def servers(product: Product, material: Material) -> Iterator[Mapping[Case, ServerAt]]:
    with serving(product, material, [REQUIRED12, REQUIRED13, OPEN]) as found:
        yield found


@pytest.fixture
def ask(servers: Mapping[Case, ServerAt], material: Material) -> Ask:
    """Records a handshake and examines it."""

    def asked(case: Case, *options: str | Path, roots: Path | None = None) -> Diagnosis:
        recording = record(servers[case], roots or material.roots, "-servername", "localhost", *options)
        return examine(recording.capture(), "x.pcap", NOW)

    return asked


def showing(credential: Credential) -> tuple[str | Path, ...]:
    return "-cert", credential.leaf, "-cert_chain", credential.issuers, "-key", credential.key


def codes(diagnosis: Diagnosis) -> list[Code]:
    return [one.code for one in diagnosis.candidates]


@pytest.mark.parametrize("case", [REQUIRED12, REQUIRED13, OPEN], ids=str)
def test_sound(ask: Ask, material: Material, case: Case) -> None:
    """A handshake that went through, with a certificate where one is asked for, is OK."""
    diagnosis = ask(case, *showing(material.client))
    assert (codes(diagnosis), diagnosis.findings, diagnosis.exit_code) == ([Code.OK], (), 0)


@pytest.mark.parametrize("case", [REQUIRED12, REQUIRED13], ids=str)
def test_no_certificate(ask: Ask, product: Product, case: Case) -> None:
    """No certificate: missing comes first, then the filter by names; where the handshake goes through, OK is last."""
    last = [] if product in REFUSING else [Code.OK]
    assert codes(ask(case)) == [Code.CLIENT_CERT_MISSING, Code.CLIENT_CERT_NOT_SENT_CA_FILTER, *last]


def test_stranger_in_clear(ask: Ask, product: Product, material: Material) -> None:
    """TLS 1.2: the names that the server sent show that the certificate's authority is unknown to it."""
    diagnosis = ask(REQUIRED12, *showing(material.stranger))
    first = diagnosis.candidates[0]
    assert first.code is Code.CLIENT_CERT_UNKNOWN_CA
    assert first.why == (
        "it ends at CN=Somebody else root, which is not among the authorities that the server names"
        if product in REFUSING
        else "its issuer is not among the authorities that the server names"
    )


def test_stranger_encrypted(ask: Ask, product: Product, material: Material) -> None:
    """TLS 1.3: that a certificate was refused is told by lengths alone, and every cause stays possible. What nginx says
    by HTTP is not seen."""
    diagnosis = ask(REQUIRED13, *showing(material.stranger))
    if product in REFUSING:
        assert diagnosis.verdict == "The server answered the client's certificate with an encrypted alert."
        assert codes(diagnosis)[0] is Code.CLIENT_CERT_UNKNOWN_CA
        assert {Code.CLIENT_CERT_REVOKED, Code.CLIENT_CERT_EXPIRED, Code.CLIENT_CHAIN_INCOMPLETE} < set(
            codes(diagnosis)
        )
    else:
        assert diagnosis.verdict == "The handshake went through; what HTTP said after it is encrypted."


@pytest.mark.parametrize(
    ("days", "usage", "expected"),
    [
        pytest.param(-1, chains.CLIENT, Code.CLIENT_CERT_EXPIRED, id="expired"),
        pytest.param(30, chains.SERVER, Code.CLIENT_CERT_WRONG_EKU, id="usage"),
    ],
)
def test_faulty_in_clear(
    ask: Ask, material: Material, tmp_path: Path, days: int, usage: x509.ObjectIdentifier, expected: Code
) -> None:
    """TLS 1.2: a certificate that shows its fault itself is judged, also where the server refuses by HTTP alone."""
    issuer = material.client.above[0]
    begins, ends = NOW - timedelta(days=8), NOW + timedelta(days=days)
    leaf = chains.make("client", issuer, usages=(usage,), begins=begins, ends=ends)
    certificate, key = tmp_path / "leaf.pem", tmp_path / "leaf.key"
    certificate.write_bytes(pem.pem(leaf.certificate))
    key.write_bytes(private_pem(leaf.key))
    diagnosis = ask(REQUIRED12, "-cert", certificate, "-cert_chain", material.client.issuers, "-key", key)
    assert codes(diagnosis)[0] is expected
    assert diagnosis.candidates[0].why.startswith("chain[0] CN=client: it ")


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_server_not_trusted(ask: Ask, material: Material, option: str) -> None:
    """The client's alert 48 is in clear in both versions: OpenSSL sends it before it encrypts."""
    diagnosis = ask(OPEN, option, roots=material.client_authorities)
    assert diagnosis.verdict == (
        "The client refused the server: it answered the server's flight with alert 48 (unknown_ca)."
    )
    assert codes(diagnosis)[:2] == [Code.SERVER_CERT_UNKNOWN_CA, Code.SERVER_CHAIN_INCOMPLETE]


def test_server_has_another_name(ask: Ask) -> None:
    """TLS 1.2: the certificate in clear does not name what the client asked for."""
    diagnosis = ask(OPEN, "-tls1_2", "-servername", "other.test", "-verify_hostname", "other.test")
    assert diagnosis.candidates[0].code is Code.SERVER_CERT_HOSTNAME_MISMATCH
    assert (
        diagnosis.candidates[0].why
        == "chain[0] CN=localhost: other.test was expected, and it names localhost, 127.0.0.1, ::1"
    )


def test_version(ask: Ask) -> None:
    """A client of TLS 1.2 at a server of 1.3."""
    assert codes(ask(REQUIRED13, "-tls1_2")) == [Code.TLS_VERSION_MISMATCH, Code.TLS_ALERT]


def test_cipher(ask: Ask) -> None:
    """A client that offers a suite for which the server has no key."""
    assert codes(ask(REQUIRED12, "-tls1_2", "-cipher", "AES128-SHA"))[0] is Code.TLS_NO_SHARED_CIPHER


def test_group(ask: Ask) -> None:
    """A client whose only group is one that hardly any server has."""
    diagnosis = ask(REQUIRED12, "-tls1_2", "-groups", "brainpoolP256r1", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert codes(diagnosis)[:2] == [Code.TLS_NO_SHARED_GROUP, Code.TLS_NO_SHARED_CIPHER]


def test_what_is_told(ask: Ask, product: Product, material: Material) -> None:
    """TLS 1.2: the line of evidence has the hellos, the chains and the names of authorities."""
    seen = ask(REQUIRED12, *showing(material.client)).evidence[1].seen.split("; ")
    assert "the server sent 2 certificates: CN=localhost, issued by CN=Laboratory servers issuing" in seen
    assert "the client sent 2 certificates: CN=client, issued by CN=Laboratory clients issuing" in seen
    assert any(one.startswith("the server asked for a client certificate of CN=Laboratory ") for one in seen)
    assert "ServerHello: TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" in seen
