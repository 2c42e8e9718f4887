"""`handclasp audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import as_json, ask, place


@click.group()
def audit() -> None:
    """The audit log: verify, sign, export."""


@audit.command()
@click.option(
    "--checkpoint",
    type=click.File("rb"),
    help="A checkpoint kept elsewhere (handclasp audit checkpoint): the log must still hold all that it states.",
)
@as_json
@place
def verify(checkpoint: Any, json_: bool, directory: Path, config_path: Path) -> None:
    """Prove that no event was removed, changed, reordered or cut off; say where, if one was."""
    kept = None if checkpoint is None else checkpoint.read().decode("latin-1")
    told = ask(directory, config_path, "audit.verify", kept=kept)
    if json_:
        click.echo(json.dumps(told))
        return
    click.echo(f"The audit log verifies: {told['events']} events, {told['checkpoints']} signed checkpoints.")
    if told["key_ids"]:
        click.echo(f"Signed by the key {', '.join(told['key_ids'])}; {told['since_checkpoint']} events since then.")


@audit.command()
@place
def checkpoint(directory: Path, config_path: Path) -> None:
    """Sign the state of the log now, and print the statement: keep it where nobody here can change it."""
    click.echo(json.dumps(ask(directory, config_path, "audit.checkpoint"), indent=2))


@audit.command()
@click.option("--kind", help="Only events of this kind, as in certificate.issued.")
@click.option("--subject", help="Only events about this identity or authority.")
@place
def export(kind: str | None, subject: str | None, directory: Path, config_path: Path) -> None:
    """Print the events as JSON lines in the Open Cybersecurity Schema Framework (OCSF)."""
    after: list[object] | None = None
    while True:
        told = ask(directory, config_path, "audit.export", kind=kind, subject=subject, after=after)
        for event in told["events"]:
            click.echo(json.dumps(event, separators=(",", ":")))
        after = told["after"]
        if after is None:
            return
