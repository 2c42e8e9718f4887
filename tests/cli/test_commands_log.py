"""`handclasp log`: what it prints of what the gateway wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from handclasp.dataplane.accesslog import LOG_FILE


class Said(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


LINES = [
    {"k": "connection", "at": "T1", "from": "127.0.0.1:1", "service": "orders", "tls": "TLSv1.3", "handshake": 5},
    {
        **{"k": "connection", "at": "T2", "from": "127.0.0.1:2", "service": "orders", "sni": "orders.test"},
        **{
            "uri": "spiffe://evil/\u001b[31mred\u202e",
            "fail": "TLS_error:CERTIFICATE_VERIFY_FAILED:self_signed_certificate",
        },
    },
    {
        **{"k": "request", "at": "T3", "from": "127.0.0.1:3", "host": "a", "method": "GET", "path": "/x"},
        **{"status": 200, "details": "via_upstream", "rule": "rule-002", "uri": "spiffe://example.org/alice"},
    },
    {"k": "request", "at": "T4", "from": "127.0.0.1:4", "status": 400, "details": "http1.codec_error", "flags": "DPE"},
]


@pytest.fixture
def logged(tmp_path: Path) -> None:
    """A log of four lines: accepted, refused, answered, unreadable."""
    log = tmp_path / ".handclasp" / LOG_FILE
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in LINES))


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("options", "shown"),
    [((), "1234"), (("--denied",), "24"), (("-n", "2"), "34"), (("-n", "1", "--denied"), "4"), (("-n", "0"), "")],
    ids=["all", "denied", "last two", "last denied", "none"],
)
def test_log(run: Run, options: tuple[str, ...], shown: str) -> None:
    """Which records are shown; as JSON each line parses."""
    said = run("log", "--json", *options)
    assert said.code == 0
    assert "".join(json.loads(line)["at"][1] for line in said.out.splitlines()) == shown


@pytest.mark.usefixtures("logged")
def test_log_for_people(run: Run) -> None:
    """One line each: time, address, who, what, the code and the reason."""
    lines = run("log").out.splitlines()
    assert lines[0] == "T1 127.0.0.1:1 - connection TLSv1.3 to orders ok"
    assert lines[1].startswith("T2 127.0.0.1:2 claims spiffe://evil/")
    assert "CLIENT_CERT_SELF_SIGNED: The caller's certificate is self-signed." in lines[1]
    assert lines[2] == "T3 127.0.0.1:3 spiffe://example.org/alice GET a/x 200 (rule 2) ok"


@pytest.mark.usefixtures("logged")
def test_the_log_says_where_its_codes_are_explained(run: Run) -> None:
    """In one line for all of them, beside the log and not in it; not with JSON, nor where nothing was refused."""
    both = "More: handclasp explain CLIENT_CERT_SELF_SIGNED GATEWAY_BAD_REQUEST\n"
    assert [run("log", *options).err for options in ((), ("-n", "1"), ("--json",), ("-n", "0"))] == [
        both,
        "More: handclasp explain GATEWAY_BAD_REQUEST\n",
        "",
        "",
    ]


@pytest.mark.usefixtures("logged")
def test_a_log_line_does_not_speak_to_the_terminal(run: Run) -> None:
    """Escape sequences and direction marks that a caller sent are not printed."""
    assert not {"\x1b", "\u202e"} & set(run("log").out)


@pytest.mark.usefixtures("logged")
def test_a_request_that_could_not_be_read_has_dashes(run: Run) -> None:
    """What is not known is not called None."""
    assert "None" not in run("log").out


def test_log_of_nothing(run: Run, tmp_path: Path) -> None:
    """A gateway that nobody called yet has an empty log, which is no error."""
    (tmp_path / ".handclasp" / "log").mkdir(parents=True)
    said = run("log")
    assert (said.code, said.out, said.err) == (0, "", "")


def test_log_without_a_gateway(run: Run) -> None:
    """Where no gateway ever ran, that is said, and exit 2."""
    said = run("log")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("There is no log in .handclasp: no gateway ever ran there.\n")
