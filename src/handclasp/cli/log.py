"""`handclasp log`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handclasp.cli.options import as_json, place, state_of

if TYPE_CHECKING:
    from handclasp.dataplane.accesslog import Record


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--denied", is_flag=True, help="Only what was refused or failed.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Only the last so many.  [default: all; 10 with -f]")
@as_json
@place
def log(follow: bool, denied: bool, lines: int | None, json_: bool, directory: Path, config_path: Path) -> None:
    """Show every connection and request: when, from where, who if it was proved, what came of it, and why.

    A connection is shown when it ends. `claims` is what a certificate said that did not verify.
    """
    import asyncio

    from handclasp.app import logs
    from handclasp.findings import Code, Refused

    state = state_of(directory)

    if not state.log.exists():
        raise Refused(
            Code.CONFIG_MISSING, f"There is no log in {directory}", "no gateway ever ran there", "Run: handclasp up."
        )

    shown: dict[Code, None] = {}  # the codes of what was refused, in the order in which they came

    def show(record: Record) -> None:
        click.echo(json.dumps(record.as_json()) if json_ else _line(record))
        if not record.accepted:
            shown[record.code] = None

    def more() -> None:
        if shown and not json_:  # beside the lines and not among them: another program may be reading those
            click.echo(f"More: handclasp explain {' '.join(shown)}", err=True)

    def wanted(record: Record) -> bool:
        return not (denied and record.accepted)

    limit = 10 if follow and lines is None else lines
    for record in filter(wanted, logs.records(state.path)) if limit is None else logs.newest(state.path, limit, wanted):
        show(record)
    more()

    async def go_on() -> None:
        async for record in logs.follow(state.path, from_start=False):
            if wanted(record):
                first = not shown
                show(record)
                if first:
                    more()

    if follow:
        asyncio.run(go_on())


def _line(record: Record) -> str:
    who = record.identity or (f"claims {record.claimed}" if record.claimed else "-")
    if record.kind == "connection":
        what = f"connection {record.tls or ''} to {record.sni or record.service or '-'}".replace("  ", " ")
    else:
        what = f"{record.method or '-'} {record.host or '-'}{record.path or ''} {record.status}"
    rule = f" (rule {record.rule})" if record.rule is not None else ""
    said = "ok" if record.accepted else str(record.code)
    # What comes from a caller is printed without its control characters: a log line must not speak to the terminal.
    text = f"{record.at} {record.address} {who} {what}{rule} {said}"
    text += "" if record.accepted else f": {record.reason}"
    text += f" [{record.evidence}]" if record.evidence and not record.accepted else ""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
