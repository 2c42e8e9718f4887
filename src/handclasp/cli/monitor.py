"""`handclasp monitor`: what is watched, how it stands, and what changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import as_json, ask, place, state_of

_SETTINGS = ("every", "warning", "critical", "timeout", "retries", "refuses", "trust", "credential", "server_name")


@click.group()
def monitor() -> None:
    """Watch certificates and endpoints: those of handclasp.yaml (monitors:), and those that are added here.

    They are checked while handclasp up or handclasp monitor run runs.
    """


@monitor.command("list")
@as_json
@place
def list_(json_: bool, directory: Path, config_path: Path) -> None:
    """List every monitor: its state, days left, and when it was checked. Exits 1 where one is critical."""
    told = ask(directory, config_path, "monitor.list")["monitors"]
    if json_:
        click.echo(json.dumps(told))
    elif not told:
        click.echo("Nothing is watched. Add a monitor: handclasp monitor add NAME HOST:PORT, or in handclasp.yaml.")
    else:
        _table(
            ("NAME", "STATE", "DAYS", "CHECKED", "CODE", "TARGET"),
            [
                (
                    one["name"],
                    "paused" if one["paused"] else one["state"],
                    "-" if one["days_left"] is None else f"{one['days_left']:.1f}",
                    one["checked_at"] or "never",
                    one["code"] or "-",
                    one["target"],
                )
                for one in told
            ],
        )
        _more(one["code"] for one in told)
    sys.exit(1 if any(one["state"] == "critical" and not one["paused"] for one in told) else 0)


@monitor.command()
@place
def run(directory: Path, config_path: Path) -> None:
    """Watch, and do nothing else, until Ctrl-C: no gateway and no authority. handclasp up watches too.

    With PostgreSQL (database: in handclasp.yaml) any number of these share the work.
    """
    import asyncio
    import logging
    import os

    from handclasp.app.monitoring import run as watch

    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("handclasp").setLevel(logging.INFO)
    os.umask(0o077)
    asyncio.run(watch(state_of(directory), config_path, click.echo))


@monitor.command()
@click.argument("name")
@as_json
@place
def show(name: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Show one monitor: the last result, its certificates, and what changed lately."""
    told = ask(directory, config_path, "monitor.show", name=name)
    if json_:
        click.echo(json.dumps(told))
        return
    since = f" since {told['since']}" if told["since"] else ""
    click.echo(f"{_safe(told['name'])}: {told['state']}{since}: {_safe(told['summary'] or 'never checked')}")
    click.echo(f"  Target      {_safe(told['target'])} ({told['kind']}, from the {told['origin']})")
    click.echo(f"  Next check  {told['next_due']}")
    if told["results"]:
        _result(told["results"][0])
    for change in told["changes"]:
        _change(change)
    _more(*map(_codes, told["results"][:1]))


@monitor.command()
@click.argument("name")
@click.argument("target")
@click.option("--every", metavar="DURATION", help="How often, as in 5m.")
@click.option("--warning", metavar="DURATION", help="How long before its end a certificate is a warning, as in 21d.")
@click.option("--critical", metavar="DURATION", help="And critical, as in 7d.")
@click.option("--timeout", metavar="DURATION", help="How long one try may take.")
@click.option("--retries", metavar="NUMBER", help="How often it is tried again before a failure counts.")
@click.option("--refuses", type=click.Choice(["anonymous", "unlisted_ca"]), help="Who must be turned away there.")
@click.option("--trust", metavar="system|own|FILE", help="With which authorities the server is verified.")
@click.option("--credential", metavar="auto|none|NAME", help="The client certificate for a request.")
@click.option("--sni", "server_name", metavar="NAME", help="The name that is asked for, if not the target's.")
@click.option("--expect", "expected", multiple=True, metavar="NAME=VALUE", help="As in client_certificate=required.")
@click.option("--label", "labels", multiple=True, metavar="NAME=TEXT", help="For metrics and alerts; repeatable.")
@click.option("--alert", "alerts", multiple=True, metavar="NAME", help="Who is told; without it, all.")
@as_json
@place
def add(
    name: str,
    target: str,
    expected: tuple[str, ...],
    labels: tuple[str, ...],
    alerts: tuple[str, ...],
    json_: bool,
    directory: Path,
    config_path: Path,
    **settings: str | None,
) -> None:
    """Watch TARGET under NAME: HOST:PORT, https://HOST/PATH, a file or directory, or ledger. Again to change it."""
    definition: dict[str, Any] = {"target": target}
    definition |= {key: settings[key] for key in _SETTINGS if settings[key] is not None}
    if expected:
        definition["expect"] = {
            key: value.split(",") if key in {"pins", "status"} else value for key, value in _pairs(expected)
        }
    if labels:
        definition["labels"] = dict(_pairs(labels))
    if alerts:
        definition["alerts"] = list(alerts)
    told = ask(directory, config_path, "monitor.add", name=name, definition=definition, folder=str(Path.cwd()))
    click.echo(json.dumps(told) if json_ else f"{name} is watched: {_safe(told['target'])} ({told['kind']}).")


@monitor.command()
@click.argument("name")
@place
def remove(name: str, directory: Path, config_path: Path) -> None:
    """Forget a monitor that was added here, with its history."""
    ask(directory, config_path, "monitor.remove", name=name)
    click.echo(f"{name} is not watched any more.")


@monitor.command()
@click.argument("name")
@place
def pause(name: str, directory: Path, config_path: Path) -> None:
    """Stop checking a monitor that was added here, until it is resumed."""
    ask(directory, config_path, "monitor.pause", name=name, paused=True)
    click.echo(f"{name} is paused.")


@monitor.command()
@click.argument("name")
@place
def resume(name: str, directory: Path, config_path: Path) -> None:
    """Go on checking a monitor that is paused."""
    ask(directory, config_path, "monitor.pause", name=name, paused=False)
    click.echo(f"{name} is checked again.")


@monitor.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@as_json
@place
def check(names: tuple[str, ...], json_: bool, directory: Path, config_path: Path) -> None:
    """Check now, once, and say what was found. Nothing is kept and nobody is told. Exits 1 unless all is well."""
    told = ask(directory, config_path, "monitor.check", names=list(names))["results"]
    if json_:
        click.echo(json.dumps(told))
    else:
        for one in told:
            _result(one)
        _more(*map(_codes, told))
    sys.exit(0 if all(one["state"] == "ok" for one in told) else 1)


@monitor.command()
@click.argument("name")
@click.option("--days", type=float, default=7.0, show_default=True, help="How far back.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many results.")
@as_json
@place
def history(name: str, days: float, limit: int, json_: bool, directory: Path, config_path: Path) -> None:
    """Show the results of a monitor, newest first."""
    told = ask(directory, config_path, "monitor.history", name=name, days=days, limit=limit)
    if json_:
        click.echo(json.dumps(told))
        return
    _table(
        ("AT", "STATE", "SECONDS", "CODE", "SUMMARY"),
        [
            (one["at"], one["state"], _seconds(one["seconds"]), one["code"], _safe(one["summary"]))
            for one in told["results"]
        ],
    )
    _more([one["code"] for one in told["results"]])


@monitor.command()
@click.argument("name", required=False)
@click.option("--days", type=float, default=30.0, show_default=True, help="How far back.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@as_json
@place
def changes(name: str | None, days: float, limit: int, json_: bool, directory: Path, config_path: Path) -> None:
    """Say what changed on an endpoint (or on any), and when; newest first."""
    told = ask(directory, config_path, "monitor.changes", name=name, days=days, limit=limit)["changes"]
    if json_:
        click.echo(json.dumps(told))
        return
    for one in told:
        _change(one)
    if not told:
        click.echo("Nothing changed in that time.")


@monitor.command("datadog-check")
@click.option("--conf", is_flag=True, help="Its configuration (conf.d/handclasp.d/conf.yaml) instead.")
def datadog_check(conf: bool) -> None:
    """Print the check for the Datadog Agent, to be placed in its checks.d/handclasp.py."""
    from importlib import resources

    name = "conf.yaml.example" if conf else "handclasp.py"
    click.echo((resources.files("handclasp.monitor.datadog") / name).read_text(encoding="utf-8"), nl=False)


def _result(one: dict[str, Any]) -> None:
    click.echo(f"{_safe(one['monitor'])}: {one['state']} at {one['at']}: {_safe(one['summary'])}")
    for finding in one["findings"]:
        click.echo(f"  {finding['code']} at {_safe(finding['where'])}: {_safe(finding['what'])}")
    for certificate in one["certificates"]:
        click.echo(
            f"  {certificate['role']:12} {certificate['days_left']:8.1f} days  "
            f"{_safe(certificate['subject'] or ', '.join(certificate['names']))}"
        )


def _codes(one: dict[str, Any]) -> list[str]:
    """Of a result: its own, and those of its findings."""
    return [one["code"], *(finding["code"] for finding in one["findings"])]


def _more(*codes: Iterable[str | None]) -> None:
    """Where these codes are explained, in one line beside the output; nothing where all is well."""
    named = dict.fromkeys(code for each in codes for code in each if code not in (None, "OK"))
    if named:
        click.echo(f"More: handclasp explain {' '.join(map(str, named))}", err=True)


def _change(one: dict[str, Any]) -> None:
    before, after = (_safe(one[key]) if one[key] is not None else "nothing" for key in ("before", "after"))
    click.echo(f"{one['at']}  {_safe(one['monitor'])}  {one['what']}: {before} -> {after}")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    cells = [head, *(tuple(_safe(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{text!r} has no equals sign. Write it as NAME=VALUE.")
        pairs.append((key, value))
    return pairs


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _safe(text: object) -> str:
    from handclasp.pki.described_text import printable

    return printable(text)


@monitor.command()
@click.option("--days", type=click.FloatRange(0, 36_500), default=90.0, show_default=True, help="How far ahead.")
@as_json
@place
def digest(days: float, json_: bool, directory: Path, config_path: Path) -> None:
    """Say what expires when: every certificate that a monitor came across, the first to end first."""
    told = ask(directory, config_path, "monitor.digest", days=days)
    click.echo(json.dumps(told["digest"]) if json_ else told["text"], nl=json_)


@monitor.command()
@place
def calendar(directory: Path, config_path: Path) -> None:
    """Print the ends of all certificates as a calendar (iCalendar): handclasp monitor calendar > certificates.ics."""
    told = ask(directory, config_path, "monitor.calendar")
    click.echo(told["calendar"].encode(), nl=False)


@monitor.command("test-alert")
@click.argument("name")
@place
def test_alert(name: str, directory: Path, config_path: Path) -> None:
    """Send a test to NAME, one of alerts: in handclasp.yaml. Where it gets digests, it is sent the one of now."""
    told = ask(directory, config_path, "monitor.test-alert", name=name)
    click.echo(f"{name} has taken {'the digest of now' if told['digest'] else 'a test'}.")
