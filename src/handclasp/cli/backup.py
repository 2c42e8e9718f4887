"""`handclasp backup`, `restore` and `database`: a copy of everything, and the ledger in another database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import ask, passphrase_of, place, settings_of, state_of

_PASSWORD = "HANDCLASP_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
_password_file = click.option(
    "--password-file",
    type=click.File("rb"),
    help=f"The passphrase of the backup, - for standard input. [else {_PASSWORD}, else asked]",
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_password_file
@click.option("--without-keys", is_flag=True, help="Leave the authority's keys out (they are kept elsewhere).")
@place
def backup(file: Path, password_file: Any, without_keys: bool, directory: Path, config_path: Path) -> None:
    """Write the ledger, the authority's keys and the settings to one FILE, while everything goes on running.

    The keys in it are encrypted with a passphrase, whether or not they are here.
    """
    passphrase = None if without_keys else passphrase_of(password_file, "Passphrase", _PASSWORD, confirm=True)
    if not without_keys and not passphrase:
        raise click.UsageError(f"A backup with keys needs a passphrase: --password-file or {_PASSWORD}.")
    told = ask(
        directory,
        config_path,
        "backup",
        file=str(file.absolute()),
        settings=str(config_path.absolute()),
        passphrase=None if passphrase is None else passphrase.hex(),
    )
    click.echo(f"Wrote {file}: {told['certificates']} certificates, {told['events']} events, {_keys(told)}.")


def _keys(told: dict[str, Any]) -> str:
    return f"the keys {', '.join(told['keys'])}" if told["keys"] else "no keys"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_password_file
@place
def restore(file: Path, password_file: Any, directory: Path, config_path: Path) -> None:
    """Restore a backup FILE into an empty state directory (and database).

    What was revoked after the backup was made is good again: revoke it once more.
    """
    import asyncio

    from handclasp.app import backups

    told = asyncio.run(
        backups.restore(
            state_of(directory),
            lambda: settings_of(config_path),
            file,
            lambda: passphrase_of(password_file, "Passphrase", _PASSWORD),
        )
    )
    click.echo(f"Restored {told['certificates']} certificates, {told['events']} events, {_keys(told)}.")
    click.echo(f"The backup is of {told['made_at']}: what was revoked since then, revoke again.")
    if told["keys_unencrypted"]:
        click.echo("The keys are not encrypted here. To encrypt them: handclasp ca passphrase.")


@click.group()
def database() -> None:
    """The database of the ledger."""


@database.command()
@click.argument("url")
@place
def move(url: str, directory: Path, config_path: Path) -> None:
    """Copy the ledger into another, empty database: postgresql://USER@HOST/NAME, or the path of a new SQLite file.

    Stop every handclasp first. Afterwards set `database` in the settings to the new one; the old one stays as it is.
    """
    told = ask(directory, config_path, "database.move", url=url)
    click.echo(f"Copied {told['certificates']} certificates and {told['events']} events; the audit log verifies.")
    if "://" in told["database"]:
        click.echo(f"Now set in {config_path}:    database: {told['database']}")
    else:
        click.echo(f"Now put it in place as {state_of(directory).ledger}, and take `database` out of {config_path}.")
