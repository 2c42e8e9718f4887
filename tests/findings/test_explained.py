"""Every code is explained at length, has something that can be done about it, and is named by a test."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest

from handclasp.cli.explain import SERVERS
from handclasp.doctor import advice
from handclasp.findings import CATALOGUE, Code
from handclasp.findings.explained import EXPLANATIONS, FAMILIES, family

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
NOT_COUNTED = (TESTS / "findings", TESTS / "docs", TESTS / "cli" / "test_explain.py")

each_code = pytest.mark.parametrize("code", list(Code), ids=str)


def test_every_code_is_explained_and_no_other() -> None:
    """The explanations are of the catalogue, whole and no more."""
    assert set(EXPLANATIONS) == set(Code)


def test_every_code_is_in_one_family() -> None:
    """No family twice, none left out."""
    grouped = [code for codes in FAMILIES.values() for code in codes]
    assert sorted(grouped) == sorted(Code)


def test_the_family_of_a_code() -> None:
    """By what it is about, and not by how its name begins."""
    assert (family(Code.CLOCK_SKEW), family(Code.CLIENT_CERT_MISSING)) == ("The network", "The client's certificate")


@each_code
def test_an_explanation_is_text(code: Code) -> None:
    """Four texts, none empty, in house style: no exclamation mark, no line break, no doubled space."""
    for text in astuple(EXPLANATIONS[code]):
        assert text == " ".join(text.split())
        assert text
        assert "!" not in text


@each_code
def test_cause_and_evidence_are_sentences(code: Code) -> None:
    """They begin with a capital, a number, or the name of a program, and end with a full stop; the cause is short."""
    explanation = EXPLANATIONS[code]
    for text in (explanation.cause, explanation.evidence):
        assert re.match(r'[A-Z0-9"]|openssl |curl |nginx|handclasp |listen ', text)
        assert text.endswith(".")
    assert len(re.findall(r"[.] ", explanation.cause)) <= 3


@each_code
def test_the_standard_is_named_or_there_is_none(code: Code) -> None:
    """A section of a document that has a name, or the word none; a document of ours is there."""
    standard = EXPLANATIONS[code].standard
    named = r"RFC \d+|NIST SP|PKCS#11|X\.690|SPIFFE|PostgreSQL|CVE-|PROXY protocol"
    assert standard.startswith("none: ") or re.search(named, standard)
    assert [path for path in re.findall(r"docs/[\w/-]+\.md", standard) if not (ROOT / path).exists()] == []
    if standard.startswith("none: a rule of Handclasp"):
        assert "(docs/" in standard


@each_code
def test_an_explanation_is_of_nobodys_machine(code: Code) -> None:
    """No paths of somebody's machine, no addresses but those for documents, no address of a registry."""
    text = " ".join(astuple(EXPLANATIONS[code]))
    assert re.findall(r"/(?:home|Users|work|root|tmp)/\S*", text) == []
    assert re.findall(r"\S*(?:pypi\.|pythonhosted|npmjs|crates\.io|index-url)\S*", text, re.IGNORECASE) == []
    addresses = re.findall(r"(?<![§.\d])\d+\.\d+\.\d+\.\d+(?![.\d])", text)  # and no number of a section
    assert [a for a in addresses if not a.startswith(("192.0.2.", "203.0.113.", "198.51.100.", "127.0.0."))] == []


def test_no_two_codes_have_one_explanation() -> None:
    """Cause and evidence are of the code itself."""
    for field in ("cause", "evidence"):
        assert len({getattr(one, field) for one in EXPLANATIONS.values()}) == len(Code)


@each_code
def test_something_can_be_done(code: Code) -> None:
    """A remedy in the catalogue; where there is advice as well, each piece says what it does."""
    assert CATALOGUE[code].remedy
    assert all(fix.what for server in ("", *SERVERS) for fix in advice.fixes(code, server=server))


def test_the_servers_are_those_of_the_advice() -> None:
    """What can be asked for is what there is advice for."""
    assert set(SERVERS) == set(advice.SERVERS)


def test_findings_do_not_load_the_explanations() -> None:
    """They are long, and most processes never explain anything."""
    asked = "import sys, handclasp.findings; print(any('explained' in name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_code_is_named_by_a_test() -> None:
    """By one that is about it: those of the catalogue itself, and of the documents, name them all."""
    texts = [
        path.read_text() for path in TESTS.rglob("*.py") if not any(one in (path, *path.parents) for one in NOT_COUNTED)
    ]
    named = {word for text in texts for word in re.findall(r"\b[A-Z][A-Z_]+\b", text)}
    assert sorted(code.name for code in Code if code.name not in named) == []
