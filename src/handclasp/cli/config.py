"""`handclasp config`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from handclasp.cli.options import settings_of


@click.group()
def config() -> None:
    """Check handclasp.yaml, or print its JSON Schema."""


@config.command()
@click.argument(
    "path", type=click.Path(path_type=Path, dir_okay=False), default=Path("handclasp.yaml"), envvar="HANDCLASP_CONFIG"
)
def validate(path: Path) -> None:
    """Read the settings as `up` would, and change nothing.

    All mistakes are printed, each with its line and what is allowed there.
    """
    settings = settings_of(path)
    services = len(settings.services)
    rules = sum(len(s.policy.rules) for s in settings.services)
    watched = f", {_count(len(settings.monitors), 'monitor')}" if settings.monitors else ""
    click.echo(f"{path} is valid: {_count(services, 'service')}, {_count(rules, 'rule')}{watched}.")
    for service in settings.services:
        if not service.policy.rules:
            click.echo(
                f"{settings.where(f'services.{service.name}')}: {service.name} has no rules, so nobody may call it."
            )


@config.command()
def schema() -> None:
    """Print the JSON Schema of handclasp.yaml, for editors."""
    from handclasp.app import settings

    click.echo(json.dumps(settings.schema(), indent=2))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
