"""`handclasp explain`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

import pytest

from handclasp.findings import CATALOGUE, Code
from handclasp.findings.explained import EXPLANATIONS, FAMILIES


class Said(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Said]

HEADINGS = ["Cause", "Evidence", "What to do", "Standard", "Example"]


def test_a_code_at_length(run: Run) -> None:
    """The code and its meaning first, then five parts in this order."""
    said = run("explain", "CLIENT_CERT_MISSING")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[:2] == ["CLIENT_CERT_MISSING", f"  {CATALOGUE[Code.CLIENT_CERT_MISSING].meaning}"]
    assert [line for line in lines[1:] if line and line[0] != " "] == HEADINGS
    assert lines[-1] == f"  {EXPLANATIONS[Code.CLIENT_CERT_MISSING].example}"


@pytest.mark.parametrize("written", ["client_cert_missing", "Client-Cert-Missing", " CLIENT-CERT_MISSING "])
def test_however_it_is_written(run: Run, written: str) -> None:
    """Upper and lower case, - and _ are the same."""
    assert run("explain", written) == run("explain", "CLIENT_CERT_MISSING")


def test_the_fix_is_in_the_words_of_programs(run: Run) -> None:
    """A client without a certificate is told what to give to curl."""
    assert "client, curl: " in run("explain", "CLIENT_CERT_MISSING").out


def test_the_fix_is_in_the_words_of_the_server(run: Run) -> None:
    """nginx has a directive for it, which is only shown to those who have nginx."""
    without, with_nginx = (
        run("explain", "CONFIG_DEPTH_TOO_SMALL"),
        run("explain", "CONFIG_DEPTH_TOO_SMALL", "--server", "nginx"),
    )
    assert ("server, nginx: " in without.out, "server, nginx: " in with_nginx.out) == (False, True)
    assert "      ssl_verify_depth " in with_nginx.out


def test_several_codes(run: Run) -> None:
    """One after the other, in the order in which they were asked for."""
    out = run("explain", "PIN_MISMATCH", "OK").out
    assert out == run("explain", "PIN_MISMATCH").out + "\n" + run("explain", "OK").out


def test_all_codes_by_family(run: Run) -> None:
    """Without a code: each family as a heading, below it its codes."""
    lines = run("explain").out.splitlines()
    assert [line for line in lines if line and line[0] != " "] == list(FAMILIES)
    listed = [line.strip() for line in lines if line.startswith("  ") and line[2] != " "]
    assert listed == [code for codes in FAMILIES.values() for code in codes]


def test_json(run: Run) -> None:
    """One object on one line, with everything that is known of the code."""
    told = json.loads(run("explain", "client-cert-expired", "--json").out)
    code = Code.CLIENT_CERT_EXPIRED
    fixes = told.pop("fixes")
    assert told == {
        "code": "CLIENT_CERT_EXPIRED",
        "family": "The client's certificate",
        "meaning": CATALOGUE[code].meaning,
        "cause": EXPLANATIONS[code].cause,
        "evidence": EXPLANATIONS[code].evidence,
        "remedy": CATALOGUE[code].remedy,
        "standard": EXPLANATIONS[code].standard,
        "example": EXPLANATIONS[code].example,
    }
    assert {tuple(sorted(fix)) for fix in fixes} == {("commands", "configuration", "product", "side", "what")}


def test_json_of_all(run: Run) -> None:
    """A line for each code."""
    lines = run("explain", "--json").out.splitlines()
    assert sorted(json.loads(line)["code"] for line in lines) == sorted(Code)


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("CLIENT_CERT_MISING", "CLIENT_CERT_MISSING"),
        ("no-shared-cipher", "TLS_NO_SHARED_CIPHER"),
        ("expird", "CLIENT_CERT_EXPIRED"),
        ("misdirected", "ROUTE_MISDIRECTED"),
    ],
)
def test_an_unknown_code_names_what_is_near(run: Run, written: str, near: str) -> None:
    """A slip of the finger, or a part of the name."""
    said = run("explain", written)
    assert (said.code, said.out) == (2, "")
    assert f"There is no code {written}. Did you mean " in said.err
    assert near in said.err


def test_an_unknown_code_that_is_near_nothing(run: Run) -> None:
    """It says where they all are."""
    said = run("explain", "12345")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("There is no code 12345. handclasp explain lists them all.\n")


def test_one_unknown_code_among_others(run: Run) -> None:
    """Nothing is printed but what is wrong."""
    said = run("explain", "OK", "QQQQ")
    assert (said.code, said.out) == (2, "")


def test_a_hostile_name(run: Run) -> None:
    """It is not put on the terminal as it is, and not compared at any length."""
    said = run("explain", "\x1b[2J" + "A" * 100_000)
    assert (said.code, "\x1b" in said.err, len(said.err) < 1000) == (2, False, True)
