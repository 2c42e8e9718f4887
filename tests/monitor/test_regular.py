"""Regular expressions on a stranger's text."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.monitor.regular import Expression, TooMuchWork, expression

ATOMS = ["a", "b", "C", ".", "[ab]", "[^a]", "[a-c1_]", r"\d", r"\w", r"\s", r"\W", " ", r"\.", "é", r"\n", r"\x41"]
PATTERNS = st.recursive(
    st.sampled_from(ATOMS) | st.sampled_from([r"\b", "^", "$", r"\A", "(?:)"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "??"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=8,
)
FLAGS = st.sampled_from(["", "(?i)", "(?m)", "(?s)", "(?ims)"])


@settings(max_examples=400)
@given(FLAGS, PATTERNS, st.lists(st.text("abcABC1_ \n.é", max_size=12), max_size=6))
def test_it_finds_what_the_other_kind_of_matcher_finds(flags: str, pattern: str, texts: list[str]) -> None:
    """The same answer as Python's, whose ``$`` also stands before a last line break."""
    theirs = re.compile(flags + (pattern if "m" in flags else pattern.replace("$", r"\Z")), re.ASCII)
    ours = Expression(flags + pattern)
    assert [ours.found_in(text) for text in texts] == [theirs.search(text) is not None for text in texts]


SLOW = {
    "exponential": ("(a*)*b", "a" * 65_536),
    "overlapping": ("(a|aa)+$", "a" * 65_535 + "b"),
    "cubic": (".*x.*y.*z", "x" * 65_536),
    "quadratic": ("status.*ok", "status" * 10_922),
    "counted": ("(?:.{1,20}){10}q", "ab" * 32_768),
}


@pytest.mark.parametrize("case", SLOW)
def test_hostile_text_takes_no_longer(case: str) -> None:
    """64 kB in well under a second, where a backtracking matcher takes hours."""
    pattern, text = SLOW[case]
    begun = time.process_time()
    assert not Expression(pattern).found_in(text)
    assert time.process_time() - begun < 1


def test_too_much_work_is_refused() -> None:
    """A pattern whose automaton is huge, on a text that visits much of it."""
    text = "".join(random.Random(1).choices("ab", k=65_536))
    begun = time.process_time()
    with pytest.raises(TooMuchWork):
        Expression("a[ab]{300}c").found_in(text)
    assert time.process_time() - begun < 2


def test_plain_text_is_looked_for_as_it_is() -> None:
    """The usual case."""
    assert expression("status ok").found_in("the status ok it is")
    assert not expression("status ok").found_in("the status is ok")


def test_braces_of_json_mean_themselves() -> None:
    """Only {m,n} repeats."""
    assert expression(r'^{"a": ?1}$').found_in('{"a":1}')


REFUSED = [
    r"a(?=b)",
    r"(?<!a)b",
    r"(a)\1",
    r"(?i:a)",
    "a**",
    "a*+",
    "*a",
    "(a",
    "a)",
    "[a",
    "[b-a]",
    r"\pL",
    "[[:alpha:]]",
]
REFUSED += [
    "a{2,1}",
    "a{501}",
    "{2}",
    "a{2}{3}",
    "((a{100}){100}){100}",
    "(" * 30 + ")" * 30,
    "a" * 1_001,
    "\\",
    r"[\d-z]",
]
REFUSED += [r"\x{110000}", r"a\Q"]


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_cannot_be_matched_safely_is_refused(pattern: str) -> None:
    """With the reason, when the settings are read."""
    with pytest.raises(InvalidSetting):
        expression(pattern)


@given(st.text(r"ab\()[]{}|*+?^$.-,01dwsbBAzxpQ?:i<>=!", max_size=30), st.text("ab01\n", max_size=10))
def test_any_pattern_is_read_or_refused(pattern: str, text: str) -> None:
    """Nothing but InvalidSetting leaves it."""
    try:
        made = Expression(pattern)
    except InvalidSetting as error:
        assert error.why
        return
    assert made.found_in(text) in {True, False}
