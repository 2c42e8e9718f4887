"""`handclasp ca rotate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import as_json, ask, place


@click.group()
def rotate() -> None:
    """Replace an authority without losing a request: start, then advance step by step."""


@rotate.command()
@click.argument("what", type=click.Choice(["root", "issuing", "clients", "servers"]))
@as_json
@place
def start(what: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Make a new authority and publish it: everyone is told to trust it, it signs nothing yet.

    The root's key is needed for this. Where it is offline: handclasp ca csr, ca sign, ca install.
    """
    _say(ask(directory, config_path, "rotate.start", what=what), json_=json_)


@rotate.command()
@as_json
@place
def status(json_: bool, directory: Path, config_path: Path) -> None:
    """Show where the rotation is, and who it waits for."""
    _say(ask(directory, config_path, "rotate.status"), json_=json_)


@rotate.command()
@click.option(
    "--without", multiple=True, metavar="NAME", help="Leave this one behind, although it has not confirmed; repeatable."
)
@as_json
@place
def advance(without: tuple[str, ...], json_: bool, directory: Path, config_path: Path) -> None:
    """Take the next step, if everyone who would be cut off by it has confirmed the one before."""
    _say(ask(directory, config_path, "rotate.advance", without=list(without)), json_=json_)


@rotate.command()
@as_json
@place
def abandon(json_: bool, directory: Path, config_path: Path) -> None:
    """Withdraw the new authority, as long as it has signed nothing."""
    _say(ask(directory, config_path, "rotate.abandon"), json_=json_)


def _say(told: dict[str, Any], *, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(told))
        return
    click.echo(told["says"])
    for name in told["waiting_for"]:
        click.echo(f"  waits for {name}")
    if told["next"]:
        click.echo(f"Next: {told['next']}")
