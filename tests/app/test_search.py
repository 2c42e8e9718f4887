"""Search: which certificates are found, page by page, and what is no search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.app.conftest import Place

Told = dict[str, Any]
WEEK = 7 * 86400.0
NAMES: dict[str, dict[str, Any]] = {
    "alice": {"name": "shop/alice"},
    "bob": {"name": "shop/bob", "seconds": WEEK},
    "api": {"profile": "server", "name": None, "dns": ["api.example.org"], "ips": ["192.0.2.1"]},
    "job": {"profile": "workload", "name": "jobs/nightly", "dns": ["nightly.example.org"]},
}


@pytest.fixture
def made(place: Place) -> dict[str, Told]:
    """Four certificates by a name of ours, oldest first; bob's is revoked."""
    found = {name: place.issue(**asked) for name, asked in NAMES.items()}
    place.do("cert.revoke", which=found["bob"]["serial"], reason="unspecified")
    return found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"contains": "SHOP/"}, ["bob", "alice"]),
        ({"contains": "ightly.exam"}, ["job"]),
        ({"contains": "192.0"}, ["api"]),
        ({"contains": "nobody"}, []),
        ({"prefix": "shop/b"}, ["bob"]),
        ({"prefix": "api."}, ["api"]),
        ({"prefix": "pi.example"}, []),
        ({"identity": "shop/alice"}, ["alice"]),
        ({"identity": "spiffe://example.org/shop/alice"}, ["alice"]),
        ({"identity": "shop"}, []),
        ({"profile": "workload"}, ["job"]),
        ({"profile": "client", "state": "revoked"}, ["bob"]),
        ({"prefix": "shop/", "state": "issued"}, ["alice"]),
        ({"state": "held"}, []),
        ({"issuer": "issuing", "profile": "server"}, ["api"]),
        ({"issuer": "nobody"}, []),
        ({"expires_within": 2 * 86400.0}, ["job"]),
        ({"expires_within": 8 * 86400.0}, ["job", "api", "bob"]),
        ({"expires_within": 8 * 86400.0, "contains": "shop"}, ["bob"]),
    ],
    ids=str,
)
def test_what_is_asked_must_all_hold(
    place: Place, made: dict[str, Told], asked: dict[str, object], expected: list[str]
) -> None:
    """The newest first."""
    assert [one["serial"] for one in place.found(**asked)] == [made[name]["serial"] for name in expected]


@pytest.mark.parametrize("spelled", [str, str.upper, lambda text: ":".join(text[i : i + 2] for i in range(0, 40, 2))])
def test_by_serial_number(place: Place, made: dict[str, Told], spelled: Any) -> None:
    """As any tool prints it."""
    assert [one["identity"] for one in place.found(serial=spelled(made["alice"]["serial"]))] == [
        "spiffe://example.org/shop/alice"
    ]


@pytest.mark.parametrize(("word", "field"), [("fingerprint", "fingerprint"), ("key", "spki_sha256")])
def test_by_a_digest(place: Place, made: dict[str, Told], word: str, field: str) -> None:
    """Of the certificate, or of its key; with colons or without."""
    text = made["api"][field].upper()
    for spelled in (text, ":".join(text[i : i + 2] for i in range(0, 64, 2))):
        assert [one["dns"] for one in place.found(**{word: spelled})] == [["api.example.org"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_have_everything_once(place: Place, made: dict[str, Told], limit: int) -> None:
    """Also when certificates are issued between two of them: those are newer, and on no page that follows."""
    seen: list[str] = []
    after = None
    while True:
        page = place.page(issuer="issuing", limit=limit, after=after)
        assert len(page["certificates"]) <= limit
        seen += [one["serial"] for one in page["certificates"]]
        after = page["after"]
        if after is None:
            break
        place.issue(name="late")
    assert seen == [one["serial"] for one in reversed(made.values())]


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"contains": "ab"}, ""),
        ({"contains": ""}, ""),
        ({"after": "x"}, "--after"),
        ({"after": "1; DROP TABLE certificates"}, "--after"),
        ({"after": "9" * 30}, "--after"),
        ({"serial": "xyz"}, "--serial"),
        ({"serial": ""}, "--serial"),
    ],
    ids=str,
)
def test_what_is_no_search_is_explained(place: Place, asked: dict[str, object], path: str) -> None:
    """With what is allowed, and without a trace."""
    nothing = dict.fromkeys(("contains", "prefix", "identity", "serial", "fingerprint", "key", "profile", "state"))
    rest = {"issuer": None, "expires_within": None, "limit": 10, "after": None}
    invalid = place.invalid("cert.search", **{**nothing, **rest, **asked})
    assert invalid.path == path
    assert invalid.allowed


@pytest.mark.parametrize(
    "asked",
    [{"serial": "f" * 60}, {"serial": "-1"}, {"contains": "%%%"}, {"contains": '"""'}, {"prefix": "_"}, {"key": "é"}],
    ids=str,
)
def test_what_nothing_can_match_finds_nothing(place: Place, made: dict[str, Told], asked: dict[str, object]) -> None:
    """No character is anything but itself."""
    assert place.found(**asked) == []
