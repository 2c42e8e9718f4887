"""A diagnosis in words: for a terminal, and as Markdown for a ticket. From its JSON; what strangers said is made
printable, and nothing in it is secret.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from handclasp.pki.described_text import printable

Told = Mapping[str, Any]

_WIDTH: Final = 100
_FIXES_TOLD: Final = 3
_CANDIDATES_TOLD: Final = 5
_TOOLS: Final = ("openssl", "handclasp")  # what anybody may use, whatever the client


def lines(told: Told, *, client: str = "curl") -> Iterator[str]:
    """For a terminal. Of the clients' fixes those of ``client`` are shown."""
    yield from _wrapped("", f"{told['subject']}: {told['code']}")
    yield from _wrapped("  ", told["verdict"])
    if told["product"]:
        yield f"  The software is {printable(told['product'])}, as far as can be told."
    if told["evidence"]:
        yield ""
        yield "Evidence"
        for number, proof in enumerate(told["evidence"], 1):
            yield from _wrapped(f"  {number}. ", f"{proof['tried']}: {proof['seen']}")
    if len(told["ranking"]) > 1:
        yield ""
        yield "Causes that the evidence allows, the likeliest first"
        for number, one in enumerate(told["ranking"][:_CANDIDATES_TOLD], 1):
            yield from _wrapped(f"  {number}. ", f"{one['code']}: {one['why']}")
        if (more := len(told["ranking"]) - _CANDIDATES_TOLD) > 0:
            yield f"  and {more} more (--json)"
    if told["decider"]:
        yield from _wrapped("  ", f"What decides: {told['decider']}")
    main = [one for one in told["findings"] if one["code"] == told["code"]]
    rest = [one for one in told["findings"] if one["code"] != told["code"]]
    if main:
        yield ""
        yield "Fix"
        yield from _fix(main[0], client)
        for one in main[1:]:
            yield from _wrapped("  ", f"also {one['where']}: {one['what']}")
    if rest:
        yield ""
        yield "What else is wrong, or will be"
        for one in rest:
            yield from _wrapped("  - ", f"{one['severity']}: {one['code']} at {one['where']}: {one['what']}")
            yield from _wrapped("    ", one["fix"])
    if told["code"] != "OK":
        yield ""
        yield f"More of this: handclasp explain {told['code']}"


def markdown(told: Told) -> str:
    """A report for a ticket."""
    parts = [
        f"# {_md(told['code'])}: {_md(told['subject'])}",
        "",
        _md(told["verdict"]),
        "",
        f"Examined at {told['at']}" + (f"; the server is {_md(told['product'])}." if told["product"] else "."),
    ]
    if told["evidence"]:
        parts += ["", "## Evidence", "", "| tried | seen |", "|---|---|"]
        parts += [f"| {_md(one['tried'])} | {_md(one['seen'])} |" for one in told["evidence"]]
    if len(told["ranking"]) > 1:
        parts += ["", "## Causes, the likeliest first", ""]
        parts += [f"{number}. `{one['code']}`: {_md(one['why'])}" for number, one in enumerate(told["ranking"], 1)]
    if told["decider"]:
        parts += ["", f"What decides: {_md(told['decider'])}"]
    if told["findings"]:
        parts += ["", "## Findings", ""]
        for one in told["findings"]:
            parts.append(f"- **{one['code']}** ({one['severity']}) at {_md(one['where'])}: {_md(one['what'])}")
            parts.append(f"  - {_md(one['fix'])}")
            for fix in one["fixes"][:_FIXES_TOLD]:
                parts += _block(fix)
    return "\n".join(parts) + "\n"


def _block(fix: Told) -> list[str]:
    body = [*fix["commands"], *fix["configuration"]]
    if not body:
        return []
    whose = f" ({fix['product']})" if fix["product"] else ""
    # A fence longer than any in the text cannot be closed by it.
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in body))
    return [
        f"  - {_md(fix['what'])}{whose}",
        "",
        f"    {fence}",
        *(f"    {printable(line)}" for line in body),
        f"    {fence}",
        "",
    ]


def _longest_run(line: str) -> int:
    longest = run = 0
    for one in line:
        run = run + 1 if one == "`" else 0
        longest = max(longest, run)
    return longest


def _fix(one: Told, client: str) -> Iterator[str]:
    chosen = [fix for fix in one["fixes"] if fix["side"] != "client" or fix["product"] in {None, client, *_TOOLS}]
    if not chosen:
        yield from _wrapped("  ", one["fix"])
    for fix in chosen[:_FIXES_TOLD]:
        whose = f" ({fix['product']})" if fix["product"] else ""
        yield from _wrapped("  ", f"{fix['what']}{whose}")
        for line in (*fix["commands"], *fix["configuration"]):
            yield f"      {printable(line)}"
    others = sorted(
        {fix["product"] for fix in one["fixes"] if fix["side"] == "client" and fix["product"]} - {client, *_TOOLS}
    )
    if others:
        yield f"  For other clients: --client {', '.join(others)}"


def _wrapped(lead: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text),
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


_SPECIAL: Final = str.maketrans({one: f"\\{one}" for one in "\\`*_[]<>|#~!"})


def _md(text: str) -> str:
    """On one line, and nothing in it is markup."""
    return " ".join(printable(text).split()).translate(_SPECIAL)
