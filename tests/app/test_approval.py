"""Requests that somebody has to approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from handclasp.findings import Code
from handclasp.pki.keys import KeyType
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place

CSR = a_request()
QUANTUM = a_request(kind=KeyType.ML_DSA_44)


@pytest.fixture
def place(place: Place) -> Place:
    """With a profile that wants approval."""
    place.text += """\
profiles:
  partner: {extends: client, approval: required, names: {spiffe: [partners/*]}, key_types: [ec-p256, ml-dsa-44]}
"""
    return place


def ask(place: Place, csr: str = CSR, **more: Any) -> dict[str, Any]:
    """What is answered when it is asked for."""
    return place.issue(csr, **{"profile": "partner", "name": "partners/a", "request_id": "r-1"} | more)


def waiting(place: Place, *, all: bool = False) -> list[tuple[str, str]]:
    """The requests and their states."""
    return [(one["id"], one["state"]) for one in place.do("cert.requests", all=all)["requests"]]


def test_the_request_is_kept_and_nothing_issued(place: Place) -> None:
    """What is answered is the id under which it waits; the list has all that a person needs to decide."""
    assert ask(place) == {"pending": "r-1", "profile": "partner"}
    assert place.found(profile="partner") == []
    (one,) = place.do("cert.requests", all=False)["requests"]
    assert {
        key: one[key] for key in ("id", "state", "profile", "identity", "dns", "ips", "asked_by", "decided_by")
    } == {
        "id": "r-1",
        "state": "pending",
        "profile": "partner",
        "identity": "spiffe://example.org/partners/a",
        "dns": [],
        "ips": [],
        "asked_by": "operator",
        "decided_by": None,
    }


def test_a_request_without_an_id_gets_one(place: Place) -> None:
    """Another for each."""
    assert ask(place, request_id=None)["pending"] != ask(place, request_id=None)["pending"]


def test_approved_it_is_issued(place: Place) -> None:
    """For the names and the lifetime that were asked for, by whoever approved it."""
    ask(place, seconds=3600.0)
    told = place.do("cert.approve", id="r-1")
    assert (told["identity"], told["profile"], told["days_left"]) == (
        "spiffe://example.org/partners/a",
        "partner",
        round(1 / 24, 2),
    )
    assert (waiting(place), waiting(place, all=True)) == ([], [("r-1", "approved")])


def test_approved_twice_is_one_certificate(place: Place) -> None:
    """The same one, however often; and it is what asking again under this id gives."""
    ask(place)
    first, second = (place.do("cert.approve", id="r-1") for _ in range(2))
    asked_again = ask(place)
    assert first["serial"] == second["serial"] == asked_again["serial"]
    assert len(place.found(profile="partner")) == 1


def test_what_is_approved_is_not_denied(place: Place) -> None:
    """REQUEST_REPEATED, which says to revoke the certificate."""
    ask(place)
    place.do("cert.approve", id="r-1")
    refused = place.refused("cert.deny", id="r-1")
    assert (refused.code, refused.fix) == (
        Code.REQUEST_REPEATED,
        "Revoke its certificate: handclasp cert revoke SERIAL.",
    )


def test_what_is_denied_is_not_approved(place: Place) -> None:
    """REQUEST_DENIED, also when it is asked for again; denied twice is denied once."""
    ask(place)
    assert [place.do("cert.deny", id="r-1")["state"] for _ in range(2)] == ["denied", "denied"]
    assert place.refused("cert.approve", id="r-1").code is Code.REQUEST_DENIED
    assert place.not_issued(CSR, profile="partner", name="partners/a", request_id="r-1").code is Code.REQUEST_DENIED
    assert place.found(profile="partner") == []


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_a_request_that_is_none_is_unknown(place: Place, verb: str) -> None:
    """CERTIFICATE_UNKNOWN."""
    assert place.refused(f"cert.{verb}", id="r-9").code is Code.CERTIFICATE_UNKNOWN


def test_another_request_under_the_same_id_is_refused(place: Place) -> None:
    """Whoever approves an id approves what they saw."""
    ask(place)
    for other in ({"csr": a_request()}, {"name": "partners/b"}, {"seconds": 60.0}):
        asked: dict[str, Any] = {"csr": CSR, "name": "partners/a", "profile": "partner", "request_id": "r-1"}
        assert place.not_issued(**asked | other).code is Code.REQUEST_REPEATED


def test_what_could_never_be_issued_is_not_kept(place: Place) -> None:
    """Refused at once, with the rule; nobody is asked to approve it."""
    refused = place.not_issued(CSR, profile="partner", name="others/a")
    assert refused.code is Code.REQUEST_NAME_NOT_ALLOWED
    assert waiting(place) == []


def test_a_rule_that_came_meanwhile_is_seen(place: Place) -> None:
    """A key that the gateway cannot verify is not certified for whom a service lets in by now."""
    ask(place, QUANTUM)
    place.text = place.text.replace("profiles:", "    rules: [{allow: spiffe://example.org/partners/a}]\nprofiles:")
    assert place.refused("cert.approve", id="r-1").code is Code.REQUEST_KEY_NOT_VERIFIABLE
    assert waiting(place) == [("r-1", "pending")]


def test_a_profile_that_went_meanwhile_is_missed(place: Place) -> None:
    """REQUEST_PROFILE_UNKNOWN: nothing is made by other rules than those it was asked under."""
    ask(place)
    place.text = place.text.partition("profiles:")[0]
    assert place.refused("cert.approve", id="r-1").code is Code.REQUEST_PROFILE_UNKNOWN
    assert waiting(place) == [("r-1", "pending")]


def test_a_renewal_wants_no_second_approval(place: Place) -> None:
    """The same names again were approved."""
    ask(place)
    old = place.do("cert.approve", id="r-1")
    new = place.do("cert.renew", which=old["serial"], csr=a_request(), seconds=None, supersede=False)
    assert new["identity"] == old["identity"]


def test_status_counts_what_waits(place: Place) -> None:
    """So that somebody looks."""
    for number in range(3):
        ask(place, a_request(), request_id=f"r-{number}")
    place.do("cert.deny", id="r-0")
    assert place.do("status")["pending_requests"] == 2
