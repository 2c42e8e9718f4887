"""`handclasp doctor` in every mode: what a person sees, the JSON, and the exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

from handclasp.testing.servers import NGINX, Case, Client, Material, ServerAt, make_material, missing, serving

REQUIRED = Case(Client.REQUIRED)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def nginx(material: Material) -> Iterator[ServerAt]:
    """nginx, which requires a certificate."""
    if (why := missing(NGINX)) is not None:
        pytest.skip(why)
    with serving(NGINX, material, [REQUIRED]) as running:
        yield running[REQUIRED]


def told(run: Run, *arguments: str | Path, stdin: bytes = b"") -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON."""
    said = (
        run("doctor", "--json", *map(str, arguments), stdin=stdin)
        if stdin
        else run("doctor", "--json", *map(str, arguments))
    )
    assert said.err == ""
    return said.code, json.loads(said.out)


def test_a_server_that_gets_no_certificate(run: Run, material: Material, nginx: ServerAt) -> None:
    """The verdict, the software, the proof, and a fix for it."""
    code, found = told(run, f"https://localhost:{nginx.port}/", "--cacert", material.roots)
    assert (code, found["code"], found["product"], found["examined"]) == (1, "CLIENT_CERT_MISSING", "nginx", True)
    assert found["candidates"] == ["CLIENT_CERT_MISSING"]
    assert any("HTTP 400" in proof["seen"] for proof in found["evidence"])
    first = found["findings"][0]
    assert (first["code"], bool(first["where"]), bool(first["fix"])) == ("CLIENT_CERT_MISSING", True, True)
    curl = next(fix for fix in first["fixes"] if fix["product"] == "curl")
    assert f"https://localhost:{nginx.port}/" in curl["commands"][0]


def test_a_sound_pair_is_healthy(run: Run, material: Material, nginx: ServerAt) -> None:
    """Exit code 0, and no finding."""
    arguments = ("--cacert", material.roots, "--cert", material.client.chain, "--key", material.client.key)
    code, found = told(run, f"localhost:{nginx.port}", *arguments)
    assert (code, found["code"], found["findings"]) == (0, "OK", [])


def test_the_servers_authorities_decide(run: Run, material: Material, nginx: ServerAt) -> None:
    """nginx says the same of every fault; with its authorities at hand there is one cause."""
    arguments = ("--cacert", material.roots, "--cert", material.stranger.chain, "--key", material.stranger.key)
    whole = ("--server-ca-bundle", material.client_authorities)
    code, found = told(run, f"localhost:{nginx.port}", *arguments, *whole)
    assert (code, found["candidates"], found["decider"]) == (1, ["CLIENT_CERT_UNKNOWN_CA"], None)
    assert any("verify error 20" in proof["seen"] for proof in found["evidence"])


def test_the_servers_log_decides(run: Run, material: Material, nginx: ServerAt, tmp_path: Path) -> None:
    """What the log says of a certificate that looks sound goes before what is guessed."""
    log = tmp_path / "error.log"
    log.write_text(
        "[info] client SSL certificate verify error: (23:certificate revoked) while reading client request\n"
    )
    arguments = ("--cacert", material.roots, "--cert", material.stranger.chain, "--key", material.stranger.key)
    _, found = told(run, f"localhost:{nginx.port}", *arguments, "--log", log)
    assert found["code"] == "CLIENT_CERT_REVOKED"


def test_a_person_reads_verdict_evidence_and_fix(run: Run, material: Material, nginx: ServerAt) -> None:
    """In this order, for the client that is asked for."""
    said = run("doctor", f"localhost:{nginx.port}", "--cacert", str(material.roots), "--client", "python")
    lines = said.out.splitlines()
    assert lines[0] == f"localhost:{nginx.port}: CLIENT_CERT_MISSING"
    assert [line for line in lines if line in {"Evidence", "Fix"}] == ["Evidence", "Fix"]
    assert "load_cert_chain" in said.out or "cert=" in said.out
    assert lines[-1] == "More of this: handclasp explain CLIENT_CERT_MISSING"


def test_nobody_is_reached(run: Run) -> None:
    """It could not examine: exit code 2, and the reason."""
    code, found = told(run, "https://no-such-name.invalid/")
    assert (code, found["code"], found["examined"]) == (2, "NET_DNS_FAILURE", False)


def test_files_that_do_not_belong_together(run: Run, material: Material) -> None:
    """A key of another certificate; and no key is ever printed."""
    code, found = told(run, "--files", material.client.leaf, material.stranger.key)
    assert (code, found["code"]) == (1, "CLIENT_KEY_MISMATCH")
    assert "PRIVATE KEY" not in json.dumps(found)


def test_both_sides_files(run: Run, material: Material) -> None:
    """What the server would say of the client, without either of them."""
    client = f"{material.stranger.chain},{material.stranger.key}"
    server = f"{material.server.chain},{material.server.key},{material.client_authorities}"
    code, found = told(run, "--pair", client, server)
    assert (code, found["code"]) == (1, "CLIENT_CERT_UNKNOWN_CA")
    assert any("alert 48" in proof["seen"] for proof in found["evidence"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("400 No required SSL certificate was sent", "CLIENT_CERT_MISSING"),
        ("403 client sent no required SSL certificate", "CLIENT_CERT_MISSING"),
        ("alert number 48 (unknown_ca)", "CLIENT_CERT_UNKNOWN_CA"),
        ("[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate (_ssl.c:1129)", "CLIENT_CERT_MISSING"),
        (
            "client SSL certificate verify error: (21:unable to verify the first certificate) "
            "while reading client request headers",
            "CLIENT_CERT_UNKNOWN_CA",
        ),
    ],
)
def test_a_message(run: Run, text: str, code: str) -> None:
    """Texts that people search for."""
    exit_code, found = told(run, "--message", text)
    assert (exit_code, found["code"]) == (1, code)
    assert found["decider"]


def test_an_unknown_message_says_so(run: Run) -> None:
    """Honestly."""
    _, found = told(run, "--message", "the quick brown fox")
    assert found["code"] == "UNKNOWN"


def test_a_configuration_has_file_and_line(run: Run, material: Material, tmp_path: Path) -> None:
    """nginx that asks and does not require."""
    path = tmp_path / "nginx.conf"
    path.write_text(
        "events {}\nhttp {\n  server {\n    listen 8443 ssl;\n"
        f"    ssl_certificate {material.server.chain};\n    ssl_certificate_key {material.server.key};\n"
        f"    ssl_client_certificate {material.client_authorities};\n    ssl_verify_client optional;\n"
        "    location / { proxy_pass http://127.0.0.1:9; }\n  }\n}\n"
    )
    code, found = told(run, "--config", path)
    assert code == 1
    optional = next(one for one in found["findings"] if one["code"] == "MTLS_OPTIONAL")
    assert (optional["file"], optional["line"]) == (str(path), 8)


def test_envoys_configuration_in_yaml(run: Run, material: Material, tmp_path: Path) -> None:
    """Lines are those of the file; an anchor is refused and not unfolded."""
    path = tmp_path / "envoy.yaml"
    path.write_text("static_resources: &a\n  listeners: [*a]\n")
    code, found = told(run, "--config", path, "--server", "envoy")
    assert (code, found["code"]) == (2, "CONFIG_UNREADABLE") or found["code"] == "CONFIG_UNREADABLE"


def test_a_file_that_is_no_capture(run: Run, tmp_path: Path) -> None:
    """Exit code 2."""
    path = tmp_path / "x.pcap"
    path.write_bytes(b"no capture")
    code, found = told(run, "--pcap", path)
    assert (code, found["code"]) == (2, "FILE_UNRECOGNIZED")


def test_a_pipe_in_place_of_a_file_does_not_hang(run: Run, tmp_path: Path) -> None:
    """What is no file is told, at once."""
    os.mkfifo(tmp_path / "pipe")
    code, found = told(run, "--files", tmp_path / "pipe")
    assert code in {1, 2}
    assert "it is no file" in json.dumps(found)


def test_a_kubernetes_secret_is_opened(run: Run, material: Material, tmp_path: Path) -> None:
    """Its entries are examined like files."""
    import base64

    data = {
        "tls.crt": base64.b64encode(material.client.chain.read_bytes()).decode(),
        "tls.key": base64.b64encode(material.client.key.read_bytes()).decode(),
    }
    path = tmp_path / "secret.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "data": data}))
    path.chmod(0o600)
    code, found = told(run, "--files", path)
    assert (code, found["code"]) == (0, "OK")
    assert any("mine/tls.key" in proof["tried"] for proof in found["evidence"])


def test_sarif_and_markdown(run: Run, material: Material) -> None:
    """The same findings, for other readers; markup in what strangers said is no markup."""
    said = run("doctor", "--sarif", "--files", str(material.client.leaf), str(material.stranger.key))
    sarif = json.loads(said.out)["runs"][0]
    assert (said.code, sarif["results"][0]["ruleId"], sarif["properties"]["code"]) == (
        1,
        "CLIENT_KEY_MISMATCH",
        "CLIENT_KEY_MISMATCH",
    )
    said = run("doctor", "--markdown", "--message", "400 No required SSL certificate was sent | `x` <b>")
    assert said.out.startswith("# CLIENT\\_CERT\\_MISSING: the message\n")
    assert "<b>" not in said.out.replace("\\<b\\>", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--files",),
        ("--pair", "one"),
        ("--files", "--message", "x"),
        ("a.test", "b.test"),
        ("a.test", "--key", "x"),
        ("--files", "a.pem", "--sni", "a.test"),
        ("--message", "x", "--cert", "a.pem"),
    ],
)
def test_what_cannot_be_asked(run: Run, arguments: tuple[str, ...]) -> None:
    """A usage error: exit code 2, on standard error."""
    said = run("doctor", *arguments)
    assert (said.code, said.out) == (2, "")
    assert "Error:" in said.err
