"""`handclasp`: the commands, and the one place where errors become words and exit codes."""

from __future__ import annotations

import sys

import click

from handclasp import __version__
from handclasp.cli.audit import audit
from handclasp.cli.backup import backup, database, restore
from handclasp.cli.ca import ca
from handclasp.cli.can import can
from handclasp.cli.cert import cert
from handclasp.cli.client import client
from handclasp.cli.config import config
from handclasp.cli.convert import convert
from handclasp.cli.credential import credential
from handclasp.cli.doctor import doctor
from handclasp.cli.explain import explain
from handclasp.cli.inspect import inspect
from handclasp.cli.log import log
from handclasp.cli.monitor import monitor
from handclasp.cli.probe import probe
from handclasp.cli.scan import scan
from handclasp.cli.status import status
from handclasp.cli.up import up

USER_MISTAKE, FAILURE = 2, 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="handclasp")
def handclasp() -> None:
    """Mutual TLS for every API a team runs.

    Start with `handclasp up --demo`, or with your own API: `handclasp up --upstream http://127.0.0.1:8000`.
    """


for _command in (
    *(up, client, cert, ca, credential, can, log, status),
    *(audit, backup, restore, database, config, convert, inspect, probe, doctor, explain, scan, monitor),
):
    handclasp.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits 0, 1 (something failed, or `can` says no) or 2 (what was asked cannot be done)."""
    try:
        handclasp.main(arguments, prog_name="handclasp", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stdout = None  # the reader of our output is gone; there is nobody to tell
        sys.exit(0)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except Exception as error:
        code = _explain(error)
        if code is None:
            raise
        sys.exit(code)


def _explain(error: Exception) -> int | None:
    """Say what happened, why, and what to do; the exit code, or None for a fault of ours."""
    from handclasp.findings import CATALOGUE, Code, InvalidSetting, Refused

    failures = {
        Code.GATEWAY_CANNOT_START,
        Code.GATEWAY_REJECTED_CONFIG,
        Code.GATEWAY_NOT_ACKNOWLEDGED,
        Code.STATE_DAMAGED,
        Code.AUDIT_BROKEN,
        Code.BACKUP_UNUSABLE,
        Code.DATABASE_UNREACHABLE,
        Code.HSM_UNAVAILABLE,
        Code.ROTATION_NOT_CONFIRMED,
    }
    if isinstance(error, Refused):
        more = f"({error.code}) More: handclasp explain {error.code}"
        click.echo(f"{error.what}: {error.why}.\n{error.fix}\n{more}", err=True)
        return FAILURE if error.code in failures else USER_MISTAKE
    if isinstance(error, UnicodeEncodeError):
        click.echo("What was given is no text in UTF-8.\nWrite names, options and files in UTF-8.", err=True)
        return USER_MISTAKE
    if isinstance(error, InvalidSetting):
        where = f"{error.path}: " if error.path else ""
        click.echo(f"{where}{error.why}.\nAllowed: {error.allowed}.", err=True)
        return USER_MISTAKE
    if type(error).__name__ == "SettingsError":  # of app.settings, not imported for every error
        click.echo(f"{error}\n{CATALOGUE[Code.CONFIG_INVALID].remedy} Nothing was changed.", err=True)
        return USER_MISTAKE
    return None
