"""`handclasp explain`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.options import as_json

if TYPE_CHECKING:
    from handclasp.doctor.diagnosis import Fix
    from handclasp.findings import Code

SERVERS = ("nginx", "apache", "haproxy", "envoy", "caddy", "iis", "java", "go", "openssl")
_WIDTH = 100
_MOST_NAMED = 5
_LONGEST = 64  # letters of a name that are compared: no code has as many


@click.command()
@click.argument("codes", nargs=-1, metavar="[CODE...]")
@click.option("--server", type=click.Choice(SERVERS), help="Show the fix in the words of this server's software too.")
@as_json
def explain(codes: tuple[str, ...], server: str | None, json_: bool) -> None:
    """Explain what a code means: why it happens, what is seen of it, what to do, and which standard rules it.

    Without a CODE, lists them all. Upper and lower case, - and _ are the same. --json prints a line for each code.
    """
    from handclasp.findings import CATALOGUE
    from handclasp.findings.explained import FAMILIES

    wanted = [_code(name) for name in codes] or [code for each in FAMILIES.values() for code in each]
    if json_:
        for code in wanted:
            click.echo(json.dumps(as_object(code, server or "")))
        return
    if codes:
        click.echo("\n\n".join("\n".join(_lines(code, server or "")) for code in wanted))
        return
    for number, (title, each) in enumerate(FAMILIES.items()):
        click.echo(("\n" if number else "") + title)
        for code in each:
            click.echo(f"  {code}\n{_indented(CATALOGUE[code].meaning, 6)}")


def as_object(code: Code, server: str = "") -> dict[str, Any]:
    """All that is known of a code, for JSON. ``server`` is one of SERVERS, or empty."""
    from handclasp.doctor.advice import fixes
    from handclasp.findings import CATALOGUE
    from handclasp.findings.explained import EXPLANATIONS, family

    entry, explanation = CATALOGUE[code], EXPLANATIONS[code]
    return {
        "code": str(code),
        "family": family(code),
        "meaning": entry.meaning,
        "cause": explanation.cause,
        "evidence": explanation.evidence,
        "remedy": entry.remedy,
        "fixes": [fix.as_json() for fix in fixes(code, server=server)],
        "standard": explanation.standard,
        "example": explanation.example,
    }


def _code(name: str) -> Code:
    """The code of this name, however it is written. UsageError that names what is near."""
    from handclasp.findings import Code

    wanted = name.strip().upper().replace("-", "_")
    try:
        return Code(wanted)
    except ValueError:
        shown = "".join(letter if letter.isprintable() else "?" for letter in name[:_LONGEST])
        near = _near(wanted[:_LONGEST])
        hint = f"Did you mean {', '.join(near)}?" if near else "handclasp explain lists them all."
        raise click.UsageError(f"There is no code {shown}. {hint}") from None


def _near(wanted: str) -> list[str]:
    """The codes that may have been meant, the nearest first: alike as a whole, or with a word that is alike."""
    import difflib

    from handclasp.findings import Code

    names = [str(code) for code in Code]
    alike = difflib.get_close_matches(wanted, names, n=_MOST_NAMED)
    words = difflib.get_close_matches(wanted, sorted({word for name in names for word in name.split("_")}), n=1)
    within = [name for name in names if words and words[0] in name.split("_")]
    return list(dict.fromkeys(alike + within))[:_MOST_NAMED]


def _lines(code: Code, server: str) -> Iterator[str]:
    from handclasp.doctor.advice import fixes
    from handclasp.findings import CATALOGUE
    from handclasp.findings.explained import EXPLANATIONS

    entry, explanation = CATALOGUE[code], EXPLANATIONS[code]
    yield str(code)
    yield _indented(entry.meaning, 2)
    for title, text in (("Cause", explanation.cause), ("Evidence", explanation.evidence), ("What to do", entry.remedy)):
        yield f"\n{title}"
        yield _indented(text, 2)
    for fix in fixes(code, server=server):
        yield ""
        yield from _fix(fix)
    yield f"\nStandard\n{_indented(explanation.standard, 2)}"
    yield f"\nExample\n  {explanation.example}"


def _fix(fix: Fix) -> Iterator[str]:
    """One way to put it right: whose it is, what it does, and the lines as they are to be copied."""
    yield _indented(f"{label(fix)}: {fix.what}", 2)
    for line in (*fix.configuration, *fix.commands):
        yield from (f"      {part}" for part in line.splitlines())


def label(fix: Fix) -> str:
    """On whose side, and in whose words."""
    return f"{fix.side}, {fix.product}" if fix.product else str(fix.side)


def _indented(text: str, by: int) -> str:
    margin = " " * by
    return textwrap.fill(
        text, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
    )
