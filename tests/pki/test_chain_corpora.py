"""The path verifier measured on the public corpora, and docs/path-validation.md held to what was measured."""

from __future__ import annotations

import base64
import json
import lzma
import re
import time
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from handclasp.findings import Code
from handclasp.pki.chain import ChainRefused, Limits, PolicyDemand, Purpose, Revocation, Rules, Trust, examine, verify

REPOSITORY = Path(__file__).parents[2]
CORPORA = REPOSITORY.parent / "shared" / "corpora"
PAGE = (REPOSITORY / "docs" / "path-validation.md").read_text()
PURPOSES = {"SERVER": Purpose.SERVER, "CLIENT": Purpose.CLIENT, "PATH": Purpose.ANY}
WITHOUT_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # the cases without a time are in date for a thousand years
AGREED = {"limbo_core": (188, 208), "pkits": (248, 249)}
BOTH = pytest.mark.parametrize("corpus", list(AGREED))


@cache
def cases(corpus: str) -> list[dict[str, Any]]:
    file = CORPORA / f"{corpus}.json.xz"
    if not file.exists():
        pytest.skip("the corpora are not beside the repository (../shared/corpora)")
    with lzma.open(file) as opened:
        found: list[dict[str, Any]] = json.load(opened)["testcases"]
    return found


def der(pem: str) -> bytes:
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-")))


def asked(corpus: str, case: dict[str, Any]) -> dict[str, Any]:
    """One case. PKITS tests path validation alone with a list for everybody; limbo tests a whole profile."""
    name = case["expected_peer_name"]
    wanted = None if name is None else ip_address(name["value"]) if name["kind"] == "IP" else name["value"]
    depth = case["max_chain_depth"]
    pkits = corpus == "pkits"
    demand = PolicyDemand()
    if pkits:
        accepted = frozenset(case["x_initial_policy_set"])
        demand = PolicyDemand(accepted, case["x_explicit_policy"], case["x_inhibit_mapping"], case["x_inhibit_any"])
    return {
        "leaf": der(case["peer_certificate"]),
        "chain": [der(pem) for pem in case["untrusted_intermediates"]],
        "trust": Trust.of([der(pem) for pem in case["trusted_certs"]], crls=[der(pem) for pem in case["crls"]]),
        "at": datetime.fromisoformat(case["validation_time"]) if case["validation_time"] else WITHOUT_TIME,
        "purpose": PURPOSES[case["validation_kind"]],
        "name": wanted,
        "rules": Rules.PATH if pkits else Rules.PROFILE,
        "revocation": Revocation.REQUIRED if pkits else Revocation.GIVEN,
        "policies": demand,
        "limits": Limits() if depth is None else Limits(depth=depth),
    }


def accepted(corpus: str, case: dict[str, Any]) -> bool:
    """Whether the chain proves a peer, with the mailboxes that the case expects."""
    try:
        peer = verify(**asked(corpus, case))
    except ChainRefused:
        return False
    return {name["value"] for name in case["expected_peer_names"]} <= set(peer.emails)


def disagreements(corpus: str) -> set[str]:
    return {case["id"] for case in cases(corpus) if accepted(corpus, case) != (case["expected_result"] == "SUCCESS")}


@BOTH
def test_the_score_and_every_disagreement_are_as_documented(corpus: str) -> None:
    """The number agreed on is the one in the page, and the page has every disagreement with its reason."""
    agreed, total = AGREED[corpus]
    found = disagreements(corpus)
    explained = {
        match["id"]
        for match in re.finditer(r"^\| `(?P<id>[\w:.-]+::[\w:.-]+)` \| (accepted|refused) \| \S", PAGE, re.MULTILINE)
        if match["id"].startswith("pkits::") == (corpus == "pkits")
    }
    assert found == explained
    assert (len(cases(corpus)) - len(found), len(cases(corpus))) == (agreed, total)
    assert f"**{agreed} of {total}**" in PAGE


@BOTH
def test_every_refusal_says_why_and_no_acceptance_does(corpus: str) -> None:
    """Findings are there if and only if there is no path, and each gives a field and a section."""
    for case in cases(corpus):
        verdict = examine(**asked(corpus, case))
        assert bool(verdict.findings) == (verdict.path is None), case["id"]
        assert all(
            finding.facts["field"] and finding.facts["section"]
            for finding in verdict.findings
            if finding.code is not Code.CHAIN_TOO_COMPLEX
        ), case["id"]


def test_the_pathological_cases_end_at_once() -> None:
    """No case takes a second; same-subject-same-key made another verifier run for minutes."""
    for case in cases("limbo_core"):
        if case["id"].startswith("pathological::"):
            started = time.process_time()
            examine(**asked("limbo_core", case))
            assert time.process_time() - started < 1, case["id"]
