"""The doctor in the laboratory of faults. `make accuracy` runs all of it, mends each, and writes docs/accuracy.md; here
every fault is examined on every product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handclasp.findings import Code
from handclasp.testing.accuracy import Result, right, run, trials
from handclasp.testing.faults import FAULTS, Workshop
from handclasp.testing.servers import APACHE, CADDY, ENVOY, GO, HAPROXY, JAVA, NGINX, OPENSSL, Product, missing

PRODUCTS: tuple[Product | None, ...] = (NGINX, HAPROXY, ENVOY, APACHE, CADDY, OPENSSL, GO, JAVA, None)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """What the faults are made of."""
    return Workshop(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what was compiled is kept."""
    return tmp_path_factory.getbasetemp().parent / "handclasp-compiled"


@pytest.fixture(scope="module", params=[pytest.param(one, id="none" if one is None else one.name) for one in PRODUCTS])
def results(request: pytest.FixtureRequest, shop: Workshop, kept: Path) -> Iterator[list[Result]]:
    """What the doctor says of every fault that the product can show."""
    product: Product | None = request.param
    if product is not None and (why := missing(product)):
        pytest.skip(why)
    yield run(shop, product, list(trials(shop, product, FAULTS)), kept=kept)


def test_with_all_files_the_right_code_comes_first(results: list[Result]) -> None:
    """With the server's files at hand the first code is the right one, in 98 of a hundred cases at least."""
    count, first, _, _ = right(results, whole=True)
    wrong = [f"{one.trial}: {one.diagnosis.code}" for one in results if one.whole and not one.first]
    assert first >= 0.98 * count, wrong


def test_from_the_clients_side_the_right_code_is_among_the_candidates(results: list[Result]) -> None:
    """From the client's side alone the right code is always among them, and the first in 85 of a hundred."""
    count, first, _, among = right(results, whole=False)
    missed = [f"{one.trial}: {one.diagnosis.code}" for one in results if one.rank is None]
    assert (missed, among) == ([], count)
    assert first >= 0.85 * count, [f"{one.trial}: {one.diagnosis.code}" for one in results if not one.first]


def test_where_several_causes_are_left_it_says_what_decides(results: list[Result]) -> None:
    """Whoever gets a guess is told what to look at."""
    for one in results:
        if len(one.diagnosis.candidates) > 1 and not one.first and not one.whole:
            assert one.diagnosis.decider, one.trial


def test_every_finding_has_a_fix_and_every_verdict_its_proof(results: list[Result]) -> None:
    """No verdict without evidence, no finding without something to do."""
    for one in results:
        told = one.diagnosis.as_json()
        assert told["evidence"], one.trial
        assert all(finding["fix"] and finding["where"] for finding in told["findings"]), one.trial
        assert told["candidates"][0] == told["code"], one.trial


def test_a_sound_pair_is_healthy(shop: Workshop) -> None:
    """Where nothing is wrong, nothing is found."""
    from handclasp.testing.faults import Fault
    from handclasp.testing.servers import Versions

    sound = Fault("nothing", Code.OK, "none", lambda _, scene: scene, (Versions.TLS12, Versions.TLS13))
    found = run(shop, HAPROXY, list(trials(shop, HAPROXY, [sound])))
    assert [(one.diagnosis.code, one.diagnosis.exit_code, one.diagnosis.findings) for one in found] == [
        (Code.OK, 0, ()) for _ in range(4)
    ]


def test_the_fix_makes_the_handshake_pass(shop: Workshop) -> None:
    """What the verdict asks for is done, and curl is served; for every fault that nginx can show."""
    found = run(shop, NGINX, list(trials(shop, NGINX, FAULTS)), mend=True)
    assert [str(one.trial) for one in found if one.whole and not one.passes] == []
