"""Writes the parts of reference.md that the code knows, commands, settings and codes, and a page for each code. Run it
after changing them.

    python docs/generate.py

tests/docs/test_docs.py fails where the file is not what this would write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from handclasp.app import settings
from handclasp.cli.explain import SERVERS, label
from handclasp.cli.main import handclasp
from handclasp.doctor.advice import fixes
from handclasp.doctor.diagnosis import Fix
from handclasp.findings import CATALOGUE, Code
from handclasp.findings.explained import EXPLANATIONS, FAMILIES, family

REFERENCE = Path(__file__).with_name("reference.md")
PAGES = Path(__file__).with_name("codes")
_MARK = "<!-- written by docs/generate.py -->\n"


def generated(text: str) -> str:
    """The text with each part between its two marks written anew."""
    for name, write in (("commands", commands), ("settings", keys), ("codes", codes)):
        begin, end = f"<!-- {name}: written by docs/generate.py -->\n", f"<!-- end of {name} -->\n"
        text, count = re.subn(
            re.escape(begin) + ".*?" + re.escape(end),
            _writer(begin + "\n" + write() + "\n" + end),
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise ValueError(f"{count} parts named {name}")
    return text


def _writer(new: str) -> Callable[[re.Match[str]], str]:
    return lambda _: new


def commands() -> str:
    """Each command with its arguments, what it does, and its options."""
    parts = []
    for path, command in each_command(handclasp, "handclasp"):
        arguments = " ".join(
            p.make_metavar(click.Context(command)) for p in command.params if p.param_type_name == "argument"
        )
        parts.append(f"### {path}\n\n    {path} {arguments}".rstrip() + f"\n\n{_prose(command.help or '')}\n")
        rows = [option for option in command.params if isinstance(option, click.Option)]
        if rows:
            parts.append("| option | meaning |\n|---|---|")
            parts += [f"| {_option(option)} | {_cell(_meaning(option))} |" for option in rows]
            parts.append("")
    return "\n".join(parts)


def each_command(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    if isinstance(group, click.Group):
        for name, command in sorted(group.commands.items()):
            yield from each_command(command, f"{path} {name}")
    else:
        yield path, group


def keys() -> str:
    """Each setting with its default and meaning."""
    schema = settings.schema()
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    lines += [f"| `{path}` | {default} | {_cell(meaning)} |" for path, default, meaning in each_key(schema, schema, "")]
    return "\n".join(lines) + "\n"


def each_key(schema: dict[str, Any], at: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Every setting: its path, its default and what it means."""
    for name, setting in at["properties"].items():
        here = f"{path}{name}"
        if "default" in setting and setting["default"] not in ([], {}):
            default = f"`{setting['default']}`"
        else:
            default = "required" if name in at.get("required", ()) else "none"
        yield here, default, setting["description"]
        if (below := _below(setting)) is not None:
            inner = schema["$defs"][below.rpartition("/")[2]]
            named = name in {"services", "profiles", "monitors", "alerts", "modules"}
            infix = ".NAME." if named else "[]." if name == "rules" else "."
            yield from each_key(schema, inner, here + infix)


def _below(setting: dict[str, Any]) -> str | None:
    found = re.search(r"'\$ref': '([^']+)'", str(setting))
    return found[1] if found else None


def codes() -> str:
    """The catalogue."""
    lines = ["| code | meaning | what to do |", "|---|---|---|"]
    lines += [f"| `{code}` | {_cell(entry.meaning)} | {_cell(entry.remedy)} |" for code, entry in CATALOGUE.items()]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """The page of each code, and the index of them, by file name."""
    return {f"{code}.md": page(code) for code in Code} | {"README.md": index()}


def index() -> str:
    """Every code by family, with a link to its page."""
    parts = [_MARK, "# Codes\n"]
    parts.append("What each code means, why it happens and what to do; `handclasp explain CODE` prints the same.\n")
    for title, codes in FAMILIES.items():
        parts.append(f"## {title}\n\n| code | meaning |\n|---|---|")
        parts += [f"| [`{code}`]({code}.md) | {_cell(CATALOGUE[code].meaning)} |" for code in codes]
        parts.append("")
    return "\n".join(parts)


def page(code: Code) -> str:
    """All that is known of a code: meaning, cause, evidence, fix by product, standard, example, and its family."""
    entry, told = CATALOGUE[code], EXPLANATIONS[code]
    parts = [_MARK, f"# {code}\n", f"{_cell(entry.meaning)}\n"]
    parts += [f"## {title}\n\n{_cell(text)}\n" for title, text in (("Cause", told.cause), ("Evidence", told.evidence))]
    parts.append(f"## What to do\n\n{_cell(entry.remedy)}\n")
    parts += [f"### {label(first)}\n\n" + "\n".join(map(_fix, each)) for first, *each in _by_product(code)]
    parts.append(f"## Standard\n\n{_cell(told.standard)}\n")
    parts.append(f"## Example\n\n{_block((told.example,))}\n")
    near = [f"[{one}]({one}.md)" for one in FAMILIES[family(code)] if one is not code]
    parts.append(f"## See also\n\n{family(code)}: {', '.join(near)}. [All codes](README.md).\n")
    return "\n".join(parts)


def _by_product(code: Code) -> Iterator[tuple[Fix, ...]]:
    """The fixes of each side and product: one of them for the heading, then all of them."""
    found: dict[str, dict[Fix, None]] = {}
    for server in ("", *SERVERS):
        for fix in fixes(code, server=server):
            found.setdefault(label(fix), {})[fix] = None
    for each in found.values():
        yield (next(iter(each)), *each)


def _fix(fix: Fix) -> str:
    blocks = [_block(lines) for lines in (fix.configuration, fix.commands) if lines]
    return "\n".join([f"{_cell(fix.what)}\n", *(f"{block}\n" for block in blocks)])


def _block(lines: Iterable[str]) -> str:
    return "\n".join(f"    {part}".rstrip() for line in lines for part in line.splitlines())


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    return f"{names} {_cell(option.make_metavar(click.Context(handclasp)))}"


def _meaning(option: click.Option) -> str:
    said = option.help or ""
    if option.envvar:
        said += f" Also `{option.envvar}` in the environment."
    if option.show_default:
        said += f" Default: `{option.default}`."
    return said.strip().replace("  [", " [")


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    """Text for a table: a bar would end the cell, an asterisk or an angle bracket would be markup."""
    return re.sub(r"([|*<>])", r"\\\1", text)


if __name__ == "__main__":
    REFERENCE.write_text(generated(REFERENCE.read_text()))
    PAGES.mkdir(exist_ok=True)
    wanted = pages()
    for stale in PAGES.glob("*.md"):
        if stale.name not in wanted:
            stale.unlink()
    for file, text in wanted.items():
        (PAGES / file).write_text(text)
