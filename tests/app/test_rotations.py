"""Rotations where no gateway runs: step by step, as a person takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from handclasp.findings import Code
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.pem import load_chain
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place

HOLDER = "spiffe://example.org/alice"


def states(place: Place) -> dict[str, str]:
    """Each authority with its state."""
    return {one["name"]: one["state"] for one in place.do("ca.show")["authorities"]}


KEYS = {name: generate(KeyType.EC_P256) for name in ("alice", "bob")}


def add(place: Place, name: str = "alice") -> dict[str, Any]:
    """A caller with a certificate; it has the trust bundle that there is now."""
    return place.do("client.add", name=name, csr=a_request(key=KEYS[name]), dns=[], seconds=None)


def renew(place: Place, name: str = "alice") -> dict[str, Any]:
    """A certificate anew for its key, with the trust bundle that there is by then."""
    return place.do("client.renew", name=name, csr=a_request(key=KEYS[name]), seconds=None)


def test_without_a_rotation_there_is_nothing_to_do(place: Place) -> None:
    """It says so, and there is nothing to advance or abandon."""
    add(place)
    assert place.do("rotate.status") == {
        "step": "none",
        "new": [],
        "old": [],
        "waiting_for": [],
        "says": "No rotation is under way.",
        "next": "",
    }
    assert place.refused("rotate.advance", without=[]).code is Code.ROTATION_NONE
    assert place.refused("rotate.abandon").code is Code.ROTATION_NONE


def test_an_issuing_authority_is_replaced(place: Place) -> None:
    """Published, activated when nobody is waited for, retired when nobody depends on the old one."""
    old = add(place)
    started = place.do("rotate.start", what="issuing")
    assert (started["step"], started["new"], started["old"]) == ("activate", ["issuing-2"], ["issuing"])
    activated = place.do("rotate.advance", without=[])
    assert (activated["step"], activated["waiting_for"]) == ("re-issue", [HOLDER])
    assert states(place) == {"root": "active", "issuing": "retiring", "issuing-2": "active"}
    new = renew(place)
    leaf, issuer = load_chain(new["chain"].encode())
    leaf.verify_directly_issued_by(issuer)
    assert issuer != load_chain(old["chain"].encode())[1]
    assert place.do("rotate.advance", without=[])["step"] == "none"
    assert states(place) == {"root": "active", "issuing": "retired", "issuing-2": "active"}


def test_the_root_is_replaced(place: Place) -> None:
    """Both are in the bundle while it lasts, and the new one alone afterwards."""
    add(place)
    bundles = [place.do("ca.bundle")["bundle"]]
    place.do("rotate.start", what="root")
    bundles.append(place.do("ca.bundle")["bundle"])
    place.do("rotate.advance", without=[])
    bundles.append(place.do("ca.bundle")["bundle"])
    renew(place)
    assert place.do("rotate.advance", without=[])["step"] == "none"
    bundles.append(place.do("ca.bundle")["bundle"])
    assert [len(load_chain(one.encode())) for one in bundles] == [1, 2, 2, 1]
    assert states(place) == {"root": "retired", "issuing": "active", "root-2": "active"}


@pytest.mark.parametrize("what", ["issuing", "root"])
def test_it_does_not_go_on_while_somebody_would_be_cut_off(place: Place, what: str) -> None:
    """ROTATION_NOT_CONFIRMED names them; left behind by name, it goes on; by another name, it does not."""
    for name in ("alice", "bob"):
        add(place, name)
    place.do("rotate.start", what=what)
    place.do("rotate.advance", without=[])
    renew(place, "bob")
    for without in ([], ["spiffe://example.org/bob"], ["alice"]):
        refused = place.refused("rotate.advance", without=without)
        assert refused.code is Code.ROTATION_NOT_CONFIRMED
        assert HOLDER in f"{refused.what} {refused.why}"
        assert "bob" not in f"{refused.what} {refused.why}"
    assert place.do("rotate.advance", without=[HOLDER])["step"] == "none"


def test_a_second_rotation_waits(place: Place) -> None:
    """ROTATION_UNDER_WAY, of either kind."""
    add(place)
    place.do("rotate.start", what="issuing")
    for what in ("issuing", "root"):
        assert place.refused("rotate.start", what=what).code is Code.ROTATION_UNDER_WAY


def test_before_it_signs_it_can_be_withdrawn(place: Place) -> None:
    """And afterwards not; the next one has another name."""
    add(place)
    place.do("rotate.start", what="issuing")
    assert place.do("rotate.abandon")["step"] == "none"
    assert states(place) == {"root": "active", "issuing": "active", "issuing-2": "retired"}
    place.do("rotate.start", what="issuing")
    place.do("rotate.advance", without=[])
    assert place.refused("rotate.abandon").code is Code.ROTATION_UNDER_WAY
    assert states(place)["issuing-3"] == "active"


def test_without_the_root_s_key_nothing_is_published(place: Place) -> None:
    """STATE_KEY_MISSING says to bring it back; once it is there, it goes on."""
    add(place)
    key = place.state.authority_keys / "root.key"
    away = key.rename(place.state.path / "away.key")
    for what in ("issuing", "root"):
        assert place.refused("rotate.start", what=what).code is Code.STATE_KEY_MISSING
    assert states(place) == {"root": "active", "issuing": "active"}
    away.rename(key)
    assert place.do("rotate.start", what="issuing")["step"] == "activate"


@pytest.mark.parametrize(("issuing", "what"), [("together", "clients"), ("separate", "issuing")])
def test_an_authority_that_is_not_there_is_not_replaced(place: Place, issuing: str, what: str) -> None:
    """AUTHORITY_UNKNOWN."""
    place.text += f"authority: {{issuing: {issuing}}}\n"
    add(place)
    assert place.refused("rotate.start", what=what).code is Code.AUTHORITY_UNKNOWN


def test_of_separate_authorities_each_is_replaced_by_itself(place: Place) -> None:
    """That of the servers has no holders to wait for but its own."""
    place.text += "authority: {issuing: separate}\n"
    add(place)
    place.do("rotate.start", what="servers")
    advanced = place.do("rotate.advance", without=[])
    assert advanced["waiting_for"] == []
    assert place.do("rotate.advance", without=[])["step"] == "none"
    assert states(place) == {"root": "active", "clients": "active", "servers": "retired", "servers-2": "active"}
