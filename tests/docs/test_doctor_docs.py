"""The pages about the doctor are followed word for word against a real server; what they say it never does is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.doctor.capture.recorded import record

from handclasp.app import doctoring
from handclasp.doctor.words.recognise import examine
from handclasp.findings import Code
from handclasp.testing.servers import HAPROXY, Case, Client, Material, make_material, one
from handclasp.testing.servers.case import Versions
from handclasp.testing.walkthrough import follow

DOCS = Path(__file__).parents[2] / "docs"
FAILS = DOCS / "how-to" / "why-does-it-fail.md"
LOG = """\
2026/11/21 09:00:00 [info] 7#7: *1 client SSL certificate verify error: (21:unable to verify the first certificate) \
while reading client request headers, client: 192.0.2.7, server: localhost, request: "GET / HTTP/1.1"
"""
NGINX = """\
events {{}}
http {{
  server {{
    listen 8443 ssl;
    server_name localhost;
    ssl_certificate {0}/server.pem;
    ssl_certificate_key {0}/server.key;
    ssl_client_certificate {0}/clients-ca.pem;
    ssl_verify_client optional;
    location / {{ proxy_pass http://127.0.0.1:8000; }}
  }}
}}
"""
ROWS = re.findall(r"^\| `(.+?)` \|[^|]*\| (\[.*\)) \|$", FAILS.read_text(), re.MULTILINE)
SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture
def given(tmp_path: Path, material: Material) -> Iterator[str]:
    """The HOST:PORT of a server that demands certificates; in the directory what the pages take for given."""
    client, stranger, server = material.client, material.stranger, material.server
    files = {
        "servers-ca.pem": material.roots,
        "clients-ca.pem": material.client_authorities,
        "client.pem": client.chain,
        "client.key": client.key,
        "stranger.pem": stranger.chain,
        "stranger.key": stranger.key,
        "server.pem": server.chain,
        "server.key": server.key,
    }
    for name, path in files.items():
        (tmp_path / name).write_bytes(path.read_bytes())
        (tmp_path / name).chmod(0o600)
    (tmp_path / "error.log").write_text(LOG)
    (tmp_path / "nginx.conf").write_text(NGINX.format(tmp_path))
    with one(HAPROXY, material, Case(Client.REQUIRED, Versions.TLS12)) as at:
        (tmp_path / "handshake.pcap").write_bytes(record(at, material.roots).capture())
    with one(HAPROXY, material, Case(Client.REQUIRED)) as at:
        yield f"localhost:{at.port}"


@pytest.mark.e2e
@pytest.mark.parametrize("page", ["doctor.md", "how-to/why-does-it-fail.md"])
def test_the_page_does_what_it_says(page: str, given: str, tmp_path: Path) -> None:
    """Every block runs, and what it prints is as shown."""
    text = (DOCS / page).read_text().replace("api.example.org:8443", given)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HANDCLASP_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "HOME": str(tmp_path)}
    steps = follow(text, tmp_path, environment, 120)
    for step in steps:
        assert step.fits, f"after:\n{step.block}\nthe page shows:\n{step.shown}\nbut it printed:\n{step.printed}"
    assert len(steps) == text.count("```sh\n")


@pytest.mark.parametrize(("text", "codes"), ROWS, ids=[text[:40] for text, _ in ROWS])
def test_a_text_has_the_causes_that_its_row_says(text: str, codes: str) -> None:
    """Those of "why-does-it-fail.md": the first is the verdict, the others are candidates in that order."""
    said = [Code(name) for name in re.findall(r"\[([A-Z0-9_]+)\]", codes)]
    found = [one.code for one in examine(text, datetime(2026, 1, 1, tzinfo=UTC), "the message").candidates]
    assert (found[0], [code for code in found if code in said]) == (said[0], said)


def test_the_table_of_texts_is_read() -> None:
    """All its rows: none is left out because it is written otherwise."""
    rows = [line for line in FAILS.read_text().splitlines() if line.startswith("| `")]
    assert (len(ROWS), len(ROWS) > 40) == (len(rows), True)


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of ``handclasp doctor``, and all that it printed."""
    done = subprocess.run(
        [Path(sys.executable).with_name("handclasp"), "doctor", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_forms_of_output(tmp_path: Path) -> None:
    """JSON has the keys that the page names, and SARIF is of its version."""
    row = next(line for line in (DOCS / "doctor.md").read_text().splitlines() if line.startswith("| `--json` |"))
    named = set(re.findall(r"`(\w+)`", row.partition(": ")[2].partition("` with")[0] + "`"))
    message = ("--message", "400 No required SSL certificate was sent")
    told = json.loads(run(tmp_path, *message, "--json")[1])
    assert (named - set(told), len(named) > 5, told["findings"][0].keys() >= {"where", "fix"}) == (set(), True, True)
    assert json.loads(run(tmp_path, *message, "--sarif")[1])["version"] == "2.1.0"


def test_exit_codes(tmp_path: Path, material: Material) -> None:
    """0 where all is well, 1 with findings, 2 where nothing could be examined."""
    sound = run(tmp_path, "--files", str(material.client.chain), str(material.client.key))
    wrong = run(tmp_path, "--files", str(material.client.chain), str(material.stranger.key))
    absent = run(tmp_path, "--files", "absent.pem")
    assert (sound[0], wrong[0], absent[0]) == (0, 1, 2)


@pytest.mark.e2e
def test_the_doctor_shows_a_certificate_to_no_impostor(given: str, material: Material, tmp_path: Path) -> None:
    """A server that another authority vouches for: the verdict is about the server, and nothing was shown to it."""
    files = ("--cert", "client.pem", "--key", "client.key")
    told = json.loads(run(tmp_path, given, "--cacert", "clients-ca.pem", *files, "--json")[1])
    (shown,) = [one["seen"] for one in told["evidence"] if one["tried"] == "handshake with the certificate"]
    assert (told["code"], "did not prove who it is" in shown) == ("SERVER_CERT_UNKNOWN_CA", True)


def test_a_pipe_in_place_of_a_file_does_not_stop_the_doctor(tmp_path: Path) -> None:
    """It is told of, and not waited for: as a file, as a configuration, and where a configuration names it."""
    os.mkfifo(tmp_path / "pipe.pem")
    text = NGINX.format(tmp_path).replace("server.key", "pipe.pem").replace("server.pem", "pipe.pem")
    (tmp_path / "nginx.conf").write_text(text)
    asked = (("--files", "pipe.pem"), ("--config", "pipe.pem"), ("--config", "nginx.conf"))
    told = [run(tmp_path, *one) for one in asked]
    assert [(status in {1, 2}, "pipe.pem" in printed) for status, printed in told] == [(True, True)] * 3


def test_a_directory_that_leads_to_itself_ends(tmp_path: Path, material: Material) -> None:
    """A symbolic link upwards is followed once at most: the certificate below it is read once."""
    (tmp_path / "client.pem").write_bytes(material.client.chain.read_bytes())
    (tmp_path / "again").symlink_to(tmp_path)
    read = [one.tried for one in doctoring.of_files([str(tmp_path)], None).evidence if one.tried.startswith("read ")]
    assert read == [f"read {tmp_path / 'client.pem'}"]


@pytest.mark.parametrize("mode", ["--files", "--config"])
def test_yaml_that_grows_is_not_unfolded(mode: str, tmp_path: Path) -> None:
    """Twelve lines of aliases that would make ten thousand million words are answered at once."""
    lines = ["kind: Secret", "static_resources:", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    status, printed = run(tmp_path, mode, "bomb.yaml", "--server", "envoy")
    assert (status in {0, 1, 2}, "Traceback" in printed, len(printed) < 10_000) == (True, False, True)


@pytest.mark.parametrize("name", ["nginx.conf", "haproxy.cfg", "httpd.conf", "Caddyfile"])
def test_a_file_that_a_configuration_names_is_not_quoted(name: str, tmp_path: Path) -> None:
    """A configuration of somebody else may name any file as a certificate, or include it: none of it is printed."""
    (tmp_path / "secret").write_text(f"{SECRET}\n{SECRET} {{ {SECRET}; }} }}\n")
    text = {
        "nginx.conf": NGINX.format(tmp_path)
        .replace("server.pem", "secret")
        .replace("http {", "http { include secret;"),
        "haproxy.cfg": "frontend one\n  bind :8443 ssl crt secret ca-file secret crl-file secret verify required\n",
        "httpd.conf": "Listen 8443\n<VirtualHost *:8443>\nInclude secret\nSSLEngine on\nSSLVerifyClient require\n"
        f"SSLCACertificateFile {tmp_path}/secret\n</VirtualHost>\n",
        "Caddyfile": "localhost {\n  import secret\n  tls secret secret {\n    client_auth {\n"
        "      mode require_and_verify\n      trust_pool file secret\n    }\n  }\n}\n",
    }[name]
    (tmp_path / name).write_text(text)
    status, printed = run(tmp_path, "--config", name, "--json")
    assert (status in {1, 2}, SECRET in printed, "Traceback" in printed) == (True, False, False)


def test_a_passphrase_is_in_no_report(tmp_path: Path, material: Material) -> None:
    """Neither a right nor a wrong one, in any form of output."""
    (tmp_path / "passphrase").write_text(f"{SECRET}\n")
    (tmp_path / "passphrase").chmod(0o600)
    files = ("--files", str(material.client.both), "--password-file", "passphrase")
    printed = "".join(run(tmp_path, *files, *form)[1] for form in ((), ("--json",), ("--sarif",), ("--markdown",)))
    assert (SECRET in printed, "PRIVATE KEY-----" in printed) == (False, False)
