"""What strangers do to the doctor: it answers with a verdict, whatever it is shown."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import doctor_sources, doctoring, yaml_nodes
from handclasp.cli.main import main
from handclasp.doctor.config.envoy import Node
from handclasp.doctor.files.examine import examine
from handclasp.doctor.pair import pair
from handclasp.doctor.sources import Credentials, Source
from handclasp.findings import Code
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.chains import AT, Holder
from handclasp.testing.scripted import Conversation, Scripted

NOW = datetime.now(UTC)
BEGINS, ENDS = NOW - timedelta(days=2), NOW + timedelta(days=90)
NAMES = (x509.DNSName("localhost"),)


def pem(holder: Holder) -> bytes:
    """Its certificate."""
    return holder.certificate.public_bytes(Encoding.PEM)


def nameless(kind: str) -> bytes:
    """A certificate and its key; one of its names is no UTF-8."""
    root = chains.make("Root", authority=True)
    leaf = chains.make("client", root)
    der = leaf.der.replace(
        b"client" if kind == "subject" else b"Root", b"\xff\xfe\xff\xff\xff\xff"[: 6 if kind == "subject" else 4]
    )
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) + private_pem(leaf.key)


@pytest.fixture
def ask(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """The doctor's word on a server with our authority's certificate; ``after`` is what it does once TLS stands."""
    root = chains.make("Root", authority=True, begins=BEGINS, ends=ENDS)
    (tmp_path / "root.pem").write_bytes(pem(root))
    client = chains.make("client", root, begins=BEGINS, ends=ENDS)
    (tmp_path / "client.pem").write_bytes(pem(client) + private_pem(client.key))

    def act(
        answer: bytes, *arguments: str, verify: ssl.VerifyMode, ends: datetime = ENDS, tickets: int = 0
    ) -> dict[str, Any]:
        leaf = chains.make("localhost", root, names=NAMES, begins=BEGINS, ends=ends)
        (tmp_path / "server.pem").write_bytes(pem(leaf) + private_pem(leaf.key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        context.load_verify_locations(tmp_path / "root.pem")
        context.verify_mode = verify
        context.num_tickets = tickets

        def script(conversation: Conversation) -> None:
            stream = conversation.tls(context)
            conversation.request(stream)
            stream.sendall(answer)
            if not answer:
                time.sleep(1.5)

        with Scripted(script) as server, pytest.raises(SystemExit):
            main(
                [
                    "doctor",
                    f"https://localhost:{server.port}",
                    "--json",
                    "--timeout",
                    "1s",
                    "--cacert",
                    str(tmp_path / "root.pem"),
                    *(one.replace("CLIENT", str(tmp_path / "client.pem")) for one in arguments),
                ]
            )
        told: dict[str, Any] = json.loads(capfd.readouterr().out)
        return told

    return act


def test_a_date_at_the_end_of_time_is_no_clock(ask: Callable[..., dict[str, Any]]) -> None:
    """A server with an expired certificate may say any Date: here one that is beyond the year 9999 in UTC."""
    answer = b"HTTP/1.1 200 OK\r\nDate: Fri, 31 Dec 9999 23:59:59 -2300\r\nContent-Length: 0\r\n\r\n"
    told = ask(answer, verify=ssl.CERT_NONE, ends=NOW - timedelta(days=1))
    assert told["candidates"] == ["SERVER_CERT_EXPIRED", "CLOCK_SKEW"]


def test_a_403_to_nobody_is_not_healthy(ask: Callable[..., dict[str, Any]]) -> None:
    """The server asks for a certificate, gets none, and refuses over HTTP without saying why."""
    told = ask(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", verify=ssl.CERT_OPTIONAL)
    assert told["candidates"] == ["CLIENT_CERT_MISSING", "UNKNOWN"]


def test_silence_after_a_certificate_proves_nothing(ask: Callable[..., dict[str, Any]]) -> None:
    """TLS 1.3 without tickets, and no answer: nothing says that the certificate was taken."""
    told = ask(b"", "--cert", "CLIENT", verify=ssl.CERT_REQUIRED)
    assert told["code"] != "OK"


def test_an_answer_that_is_no_http_is_not_blamed_on_an_accepted_certificate(ask: Callable[..., dict[str, Any]]) -> None:
    """The handshake is finished with it, and what comes then is HTTP/2."""
    told = ask(b"\0\0\0\4\0\0\0\0\0" * 9, "--cert", "CLIENT", verify=ssl.CERT_REQUIRED, tickets=2)
    assert not told["code"].startswith("CLIENT_")


def test_sarif_bears_a_file_name_that_is_no_utf8(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its octets are told as a URI has them."""
    with pytest.raises(SystemExit):
        main(["doctor", "--files", str(tmp_path / "\udcff.pem"), "--sarif"])
    assert "%FF.pem" in capfd.readouterr().out


@pytest.mark.parametrize("kind", ["subject", "issuer"])
def test_a_name_that_cannot_be_read_is_told(kind: str) -> None:
    """The library decodes names late; `doctor --files` says which file it is."""
    found = examine([Source("client.pem", nameless(kind))], AT)
    assert found.findings[0].code is Code.CLIENT_FILE_NOT_PEM


@pytest.mark.parametrize("kind", ["subject", "issuer"])
def test_a_pair_with_a_name_that_cannot_be_read_is_told(kind: str) -> None:
    """On both sides."""
    one = Credentials(files=[Source("client.pem", nameless(kind))])
    assert pair(one, one, AT).exit_code != 0


def test_a_directory_in_place_of_a_file_is_unreadable(tmp_path: Path) -> None:
    """As the file of authorities of a configuration may be."""
    assert doctor_sources.load(str(tmp_path)).unreadable == "it is a directory"


def test_a_name_too_long_for_a_file_is_no_file() -> None:
    """Of a side of a pair."""
    assert doctoring.of_pair("a" * 300, "b" * 300, doctoring.Asked("")).exit_code == 2


def test_an_integer_of_yaml_that_cannot_be_written_stays_text() -> None:
    """Python reads any length in hexadecimal, and writes 4,300 digits."""
    value = "0x" + "f" * 5000
    assert yaml_nodes.parse(f"port: {value}".encode()) == Node({"port": Node(value, 1)}, 1)
