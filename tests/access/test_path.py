"""What a request target becomes before the rules see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.access import Normalised, Rejected, normalise
from handclasp.findings import Code

# What Envoy 1.40.0 answered: method, target (one character a byte), status, path without the query.
MEASURED: list[tuple[str, str, int, str | None]] = [
    (method, target, status, path)
    for method, target, status, path in json.loads(
        Path(__file__).with_name("envoy-1.40-targets.json").read_text("utf-8")
    )
]


@pytest.mark.parametrize(
    ("method", "target", "status", "path"), MEASURED, ids=[f"{m} {t!a}" for m, t, _, _ in MEASURED]
)
def test_a_target_becomes_what_envoy_made_of_it(method: str, target: str, status: int, path: str | None) -> None:
    """Every measured target gives the path, or the status, that Envoy gave."""
    seen = normalise(target.encode("latin-1"), method=method)
    assert (seen.status, None) == (status, path) if isinstance(seen, Rejected) else (200, seen.path) == (status, path)


@pytest.mark.parametrize("byte", [*range(0x00, 0x21), *range(0x7F, 0x100)], ids=hex)
@pytest.mark.parametrize("frame", [b"/a%cb", b"%c/a", b"/a?%c", b"/%c"], ids=["path", "first", "query", "last"])
def test_bytes_that_are_not_visible_ascii_are_refused(byte: int, frame: bytes) -> None:
    """Controls, blanks and bytes from 0x7F up are refused wherever they stand."""
    assert normalise(frame % byte) == Rejected(
        400, Code.GATEWAY_BAD_REQUEST, f"the byte 0x{byte:02X} cannot stand in a target"
    )


@pytest.mark.parametrize("text", ["/é", "/\u2028", "/\ud800", "/\udcff"], ids=ascii)
def test_text_beyond_ascii_is_refused(text: str) -> None:
    """Text stands for its UTF-8 bytes, also text that is no valid Unicode."""
    seen = normalise(text)
    assert isinstance(seen, Rejected)
    assert seen.code == Code.GATEWAY_BAD_REQUEST


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/a%2Fb", Code.ROUTE_PATH_REJECTED),
        ("/a%5cb", Code.ROUTE_PATH_REJECTED),
        ("/a%00b", Code.ROUTE_PATH_REJECTED),
        ("/a#b", Code.ROUTE_PATH_REJECTED),
        ("/a b", Code.GATEWAY_BAD_REQUEST),
        ("a", Code.GATEWAY_BAD_REQUEST),
        ("http://h:" + "9" * 5000 + "/", Code.GATEWAY_BAD_REQUEST),
    ],
    ids=["slash", "backslash", "nul", "fragment", "space", "no path", "absurd port"],
)
def test_a_refusal_carries_its_code(target: str, code: Code) -> None:
    """A path with two readings is ROUTE_PATH_REJECTED; what is no HTTP is GATEWAY_BAD_REQUEST."""
    seen = normalise(target)
    assert isinstance(seen, Rejected)
    assert (seen.status, seen.code) == (400, code)


@given(st.text("/.%2eEfF5cC;a\\?~:3410", max_size=16))
def test_a_path_that_the_rules_see_is_clean(text: str) -> None:
    """What reaches the rules begins with a slash and has no dot segment, query, backslash or doubled slash."""
    seen = normalise(f"/{text}")
    if isinstance(seen, Normalised):
        assert seen.path.startswith("/")
        assert not {".", ".."} & set(seen.path.split("/"))
        assert not set("?#\\") & set(seen.path)
        assert "//" not in seen.path or seen.path == "//"


@given(st.text(max_size=20), st.sampled_from(["GET", "OPTIONS", "CONNECT"]))
def test_every_text_has_an_answer(text: str, method: str) -> None:
    """No text makes the function fail, and what it lets through is ASCII."""
    seen = normalise(text, method=method)
    assert isinstance(seen, Rejected) or seen.path.isascii()
