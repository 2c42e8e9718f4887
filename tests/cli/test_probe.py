"""`handclasp probe` and `inspect HOST:PORT` against real servers: what a person sees, and the JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from tests.cli.conftest import Run

from handclasp.testing.servers import (
    HAPROXY,
    NGINX,
    Case,
    Client,
    Material,
    ServerAt,
    Versions,
    make_material,
    missing,
    serving,
)

REQUIRED, OPTIONAL, OLD = Case(Client.REQUIRED), Case(Client.OPTIONAL), Case(Client.NONE, Versions.TLS12)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def servers(material: Material) -> Iterator[dict[Case, ServerAt]]:
    """HAProxy, which requires, asks, or does not."""
    if (why := missing(HAPROXY)) is not None:
        pytest.skip(why)
    with serving(HAPROXY, material, [REQUIRED, OPTIONAL, OLD]) as running:
        yield dict(running)


def told(run: Run, *arguments: str) -> tuple[int, dict[str, Any]]:
    said = run("probe", "--json", *arguments)
    assert said.err == ""
    return said.code, json.loads(said.out)


def test_the_json_of_a_server_that_requires_a_certificate(
    run: Run, material: Material, servers: dict[Case, ServerAt]
) -> None:
    """Everything that is promised, without a client certificate."""
    port = servers[REQUIRED].port
    code, found = told(run, f"localhost:{port}", "--cacert", str(material.roots))
    leaf = found["chain"][0]
    assert code == 0
    assert {key: found[key] for key in ("target", "code", "client_certificate", "tls_version", "trusted")} == {
        "target": f"localhost:{port}",
        "code": "OK",
        "client_certificate": "required",
        "tls_version": "TLS 1.3",
        "trusted": True,
    }
    assert [(one["number"], one["step"]) for one in found["alerts"]] == [(116, "first_read")]
    assert len(found["client_ca_names"]) == 2
    assert (found["group"], found["cipher"][:4]) == ("x25519", "TLS_")
    assert len(found["chain"]) == 2
    assert {"localhost", "127.0.0.1"} <= set(leaf["names"])
    assert leaf["fingerprint"] == material.server.holder.certificate.fingerprint(SHA256()).hex()
    assert 0 < leaf["days_left"] < 400
    assert leaf["key"] == "EC P-256"
    assert set(leaf) >= {"subject", "issuer", "serial", "not_before", "not_after", "signature", "spki"}


def test_each_way_of_asking(run: Run, material: Material, servers: dict[Case, ServerAt]) -> None:
    """Several targets, one line each, in their order."""
    ports = [str(servers[case].port) for case in (REQUIRED, OPTIONAL, OLD)]
    said = run("probe", "--json", "--cacert", str(material.roots), *(f"127.0.0.1:{port}" for port in ports))
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [(one["client_certificate"], one["tls_version"]) for one in lines] == [
        ("required", "TLS 1.3"),
        ("optional", "TLS 1.3"),
        ("not_requested", "TLS 1.2"),
    ]


def test_a_server_that_is_not_trusted(run: Run, material: Material, servers: dict[Case, ServerAt]) -> None:
    """The code and exit code say so; the rest is told all the same. With a wrong name there are two faults."""
    port = servers[REQUIRED].port
    code, found = told(run, f"localhost:{port}")
    assert (code, found["trusted"], found["client_certificate"]) == (1, False, "required")
    assert found["code"] in {"SERVER_CERT_UNKNOWN_CA", "SERVER_CHAIN_INCOMPLETE"}
    code, found = told(run, f"localhost:{port}", "--sni", "other.example", "--cacert", str(material.roots))
    assert (code, found["code"], found["server_name"]) == (1, "SERVER_CERT_HOSTNAME_MISMATCH", "other.example")


def test_what_a_person_reads(run: Run, material: Material, servers: dict[Case, ServerAt]) -> None:
    """The text has the answer in its first lines; the trace has every message."""
    target = f"localhost:{servers[REQUIRED].port}"
    said = run("probe", target, "--cacert", str(material.roots), "--trace")
    assert f"{target} (127.0.0.1): OK, " in said.out
    assert "  Client certificate  required: the server sent alert 116 after our empty Certificate" in said.out
    order = re.findall(r"^(->|<-) (\w+)", said.out, re.MULTILINE)
    assert order[:7] == [
        ("->", "ClientHello"),
        ("<-", "ServerHello"),
        ("<-", "EncryptedExtensions"),
        ("<-", "CertificateRequest"),
        ("<-", "Certificate"),
        ("<-", "CertificateVerify"),
        ("<-", "Finished"),
    ]
    assert order[7:10] == [("->", "Certificate"), ("->", "Finished"), ("<-", "Alert")]


def test_findings_lead_to_their_explanations(run: Run, material: Material, servers: dict[Case, ServerAt]) -> None:
    """One line for all of them, whose codes are those that are found; none where nothing is."""
    target = f"localhost:{servers[REQUIRED].port}"
    roots = ("--cacert", str(material.roots))
    _, found = told(run, target, "--sni", "other.example", *roots)
    codes = " ".join(dict.fromkeys(one["code"] for one in found["findings"]))
    said = run("probe", target, "--sni", "other.example", *roots).out
    assert re.findall(r"^ +More +(.+)$", said, re.MULTILINE) == [f"handclasp explain {codes}"]
    assert "handclasp explain" not in run("probe", target, *roots).out


def test_a_credential_of_files(run: Run, material: Material, servers: dict[Case, ServerAt]) -> None:
    """It is shown once the server has proved who it is, and not otherwise; the wrong one is refused."""
    target, roots = f"https://localhost:{servers[REQUIRED].port}/", str(material.roots)
    mine = ("--cert", str(material.client.chain), "--key", str(material.client.key))
    code, found = told(run, target, "--cacert", roots, *mine)
    assert (code, found["client_certificate"], found["credential"]["accepted"]) == (0, "required", True)
    assert found["http"]["status"] == 200
    code, found = told(run, target, *mine)
    assert (code, found["credential"]["accepted"]) == (1, None)
    assert "CREDENTIAL_WITHHELD" in [one["code"] for one in found["findings"]]
    stranger = ("--cert", str(material.stranger.chain), "--key", str(material.stranger.key))
    code, found = told(run, target, "--cacert", roots, *stranger)
    assert (code, found["code"], found["credential"]["accepted"]) == (1, "CREDENTIAL_REFUSED", False)


def test_a_credential_of_the_store_by_its_pattern(
    run: Run, material: Material, servers: dict[Case, ServerAt], settings: Path
) -> None:
    """The one of the host is taken; a host of no pattern is shown none; a name is taken for any."""
    port, roots = servers[REQUIRED].port, str(material.roots)
    both = ("--cert", str(material.client.chain), "--key", str(material.client.key))
    assert run("credential", "add", f"localhost:{port}", *both, "--cacert", roots, "--name", "mine").code == 0
    code, found = told(run, f"https://localhost:{port}/", "--credential", "auto")
    assert (code, found["credential"]["name"], found["credential"]["accepted"]) == (0, "mine", True)
    code, found = told(run, f"https://127.0.0.1:{port}/", "--credential", "auto", "--cacert", roots)
    assert (code, found["credential"]) == (0, None)
    code, found = told(run, f"https://127.0.0.1:{port}/", "--credential", "mine")
    assert (code, found["credential"]["accepted"]) == (0, True)
    said = run("probe", f"localhost:{port}", "--credential", "nobody")
    assert (said.code, "CREDENTIAL_UNKNOWN" in said.err) == (2, True)


def test_nginx_refuses_over_http_only(run: Run, material: Material) -> None:
    """Its handshake succeeds without a certificate; a request does not."""
    if (why := missing(NGINX)) is not None:
        pytest.skip(why)
    with serving(NGINX, material, [REQUIRED]) as running:
        code, found = told(run, f"localhost:{running[REQUIRED].port}", "--cacert", str(material.roots))
    assert (code, found["client_certificate"], found["http"]["status"]) == (0, "required_at_http", 400)


def test_what_cannot_be_asked(run: Run) -> None:
    """Mistakes of the command line are exit code 2 and say what is allowed; nobody at the other end is 1."""
    assert run("probe", "localhost:99999").code == 2
    assert "1 to 65535" in run("probe", "localhost:99999").err
    said = run("probe", "127.0.0.1:1", "--timeout", "2s")
    assert (said.code, "NET_CONNECTION_REFUSED" in said.out) == (1, True)


def test_inspect_reads_a_server(run: Run, material: Material, servers: dict[Case, ServerAt]) -> None:
    """The same evidence, read as certificates; whether they are trusted is not asked."""
    said = run("inspect", f"localhost:{servers[REQUIRED].port}", "--json")
    found = json.loads(said.out)
    assert (said.code, len(found["certificates"])) == (0, 2)
    assert found["form"] == f"TLS 1.3 from localhost:{servers[REQUIRED].port}"
