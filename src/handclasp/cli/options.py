"""Options that several commands share, and the way from them to a state directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from handclasp.app.settings import Settings
    from handclasp.app.state import StateDirectory

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
