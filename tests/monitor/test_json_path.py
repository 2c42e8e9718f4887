"""Values in JSON documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.monitor import json_path

DOCUMENT = json.loads('{"status": "ok", "a": {"b": [{"c": 1}, {"c": [true, null]}]}, "a key": {"it\'s": 2}, "": 0}')


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.status", "ok"),
        ("$.a.b[0].c", 1),
        ("$.a.b[1]['c'][1]", None),
        ("$['a key'][\"it's\"]", 2),
        ("$['a key']['it\\'s']", 2),
        ("$['']", 0),
    ],
)
def test_a_path_names_one_value(path: str, value: Any) -> None:
    """By names and places, in either notation."""
    assert json_path.value_at(DOCUMENT, json_path.parse(path)) == value


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("$.nothing", "$.nothing is not there"),
        ("$.a.b[2].c", "$.a.b[2] is not there"),
        ("$.status[0]", "$.status[0] is not there"),
        ("$.a.b.c", "$.a.b.c is not there"),
        ("$['a key'].x", "$['a key'].x is not there"),
    ],
)
def test_what_is_not_there_is_named(path: str, missing: str) -> None:
    """As far as the path leads."""
    with pytest.raises(json_path.NotThere, match="is not there") as raised:
        json_path.value_at(DOCUMENT, json_path.parse(path))
    assert str(raised.value) == missing


@pytest.mark.parametrize(
    "path",
    ["", "status", "$.", "$..a", "$.*", "$[*]", "$[-1]", "$[01]", "$['a]", "$.a[", "$.a b", "$[?(@.a)]", "$[1:2]"],
)
def test_what_is_no_path(path: str) -> None:
    """Whatever names several values, or none."""
    with pytest.raises(InvalidSetting):
        json_path.parse(path)


@given(st.lists(st.text(max_size=6) | st.integers(0, 10**6), max_size=8))
def test_a_path_is_written_as_it_is_read(steps: list[str | int]) -> None:
    """Whatever the names are."""
    assert json_path.parse(json_path.text_of(tuple(steps))) == tuple(steps)


@given(st.text("$.[]'\"\\ab01*-", max_size=20))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    """Nothing but InvalidSetting leaves it, and what it takes it writes in the same way."""
    try:
        path = json_path.parse(text)
    except InvalidSetting:
        return
    assert json_path.parse(json_path.text_of(path)) == path


@pytest.mark.parametrize(
    ("value", "expected", "alike"),
    [
        ("ok", "ok", True),
        ("ok", '"ok"', True),
        ("true", "true", True),
        (True, "true", True),
        (1, "true", False),
        (True, "1", False),
        (1, "1.0", True),
        ("1", "1", True),
        (None, "null", True),
        (0, "null", False),
        ([1, "a"], '[1, "a"]', True),
        ("x", "y", False),
        (float("inf"), "Infinity", False),
    ],
)
def test_values_are_compared_as_json_or_as_text(value: Any, expected: str, alike: bool) -> None:
    """A person writes no quotes around text."""
    assert json_path.is_value(value, expected) is alike


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 60_000, b"\xff", b"NaN", b"1" * 5_000, b'{"a": 1}x'])
def test_what_is_no_json_is_said(body: bytes) -> None:
    """Only ValueError, with a short reason."""
    with pytest.raises(ValueError, match=r"^[\x20-\x7e]{5,80}$"):
        json_path.load(body)


@given(st.binary(max_size=40))
def test_any_body_is_json_or_not(body: bytes) -> None:
    """Nothing but ValueError leaves it."""
    try:
        document = json_path.load(body)
    except ValueError:
        return
    assert json_path.value_at(document, ()) is document
