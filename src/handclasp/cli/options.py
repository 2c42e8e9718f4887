"""Options that several commands share, and the way from them to a state directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from handclasp.app.settings import Settings
    from handclasp.app.state import StateDirectory

_LONGEST_PASSPHRASE = 64 << 10  # octets; a file may have no end

F = TypeVar("F", bound=Callable[..., Any])


def place(command: F) -> F:
    """--dir and --config."""
    command = click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("handclasp.yaml"),
        show_default=True,
        envvar="HANDCLASP_CONFIG",
        help="The settings file.",
    )(command)
    return click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".handclasp"),
        show_default=True,
        envvar="HANDCLASP_DIR",
        help="The state directory.",
    )(command)


def as_json(command: F) -> F:
    """--json."""
    return click.option("--json", "json_", is_flag=True, help="Print JSON.")(command)


def state_of(directory: Path) -> StateDirectory:
    """The state directory, by its absolute path."""
    from handclasp.app.state import StateDirectory

    return StateDirectory(directory.absolute())


def settings_of(config_path: Path) -> Settings:
    """The settings; Refused (CONFIG_MISSING) where there are none yet."""
    from handclasp.app import settings
    from handclasp.findings import Code, Refused

    if not config_path.exists():
        raise Refused(
            Code.CONFIG_MISSING,
            f"There is no {config_path}",
            "it says what is served and who may call it",
            "Make one with handclasp up --demo or handclasp up --upstream URL, or name it with --config.",
        )
    return settings.load(config_path)


class Duration(click.ParamType[float]):
    """A length of time such as 90d, 12h, 30m or 45s, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        from handclasp.app.duration import parse_duration
        from handclasp.findings import InvalidSetting

        try:
            return parse_duration(str(value)).total_seconds()
        except InvalidSetting as error:
            self.fail(f"{error.why}; allowed: {error.allowed}", param, ctx)


def ask(directory: Path, config_path: Path, operation: str, /, **arguments: object) -> dict[str, Any]:
    """Have one operation done, by the running handclasp of the state directory or here."""
    import asyncio

    from handclasp.app import control

    state = state_of(directory)
    return asyncio.run(control.perform(state, lambda: settings_of(config_path), operation, **arguments))


def passphrase_of(file: Any, prompt: str, variable: str | None = None, *, confirm: bool = False) -> bytes | None:
    """A passphrase from a file's first line, the environment or the terminal; None where there is none of them."""
    if file is not None:
        first: bytes = file.readline(_LONGEST_PASSPHRASE).rstrip(b"\r\n")
        return first
    if variable is not None and variable in os.environ:
        return os.environ[variable].encode()
    if not sys.stdin.isatty():
        return None
    asked: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm)
    return asked.encode()


def write_public(path: Path, data: bytes) -> None:
    """Write a file that anybody may read, whole or not at all; ``-`` is standard output."""
    if str(path) == "-":
        click.echo(data.decode(), nl=False)
        return
    from handclasp.app.state import unwritable
    from handclasp.store import files

    try:
        files.write(path.absolute(), data, 0o644)
    except OSError as error:
        raise unwritable(path, error) from None
