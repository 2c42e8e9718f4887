"""`handclasp scan`: many endpoints once, and what differs between two scans."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handclasp.cli.options import Duration, as_json, place, settings_of, state_of

if TYPE_CHECKING:
    from handclasp.app.scanning import Asked, Outcome
    from handclasp.scan.lines import Rubbish
    from handclasp.scan.tally import Tally

_STARTTLS = ("smtp", "imap", "pop3", "ftp", "ldap", "postgres", "mysql", "xmpp")
_FILE = click.Path(path_type=Path, dir_okay=False)
_MOST_RUBBISH = 20  # lines that are told one by one
_STOPPED = 130


class _Scan(click.Group):
    """A group whose first command need not be named: `scan TARGET` is `scan run TARGET`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Scan)
def scan() -> None:
    """Examine thousands of TLS servers at once, without a client certificate.

    `handclasp scan TARGET...` is `handclasp scan run TARGET...`.
    """


@scan.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--file", "files", multiple=True, metavar="FILE", help="A target on each line, # for comments; repeatable."
)
@click.option("--zone", "zones", multiple=True, metavar="FILE", help="The hosts of a zone file (RFC 1035); repeatable.")
@click.option("--origin", metavar="NAME", help="The zone that relative names of --zone belong to, without $ORIGIN.")
@click.option("--ports", default="443", show_default=True, help="For targets that name none: 443,8443.")
@click.option("--output", type=_FILE, help="Write to this file: .jsonl, .csv, .sqlite or .parquet.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "csv", "sqlite", "parquet"]),
    help="The form of the results; without it the file's suffix says it, and a table is printed without --output.",
)
@click.option("--resume", is_flag=True, help="Go on with the results in --output: leave out what is in it already.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --output.")
@click.option("--concurrency", type=click.IntRange(1, 20_000), default=500, show_default=True, help="Targets at once.")
@click.option(
    "--per-host",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Connections to one address at once; 0: any.",
)
@click.option("--rate", type=click.FloatRange(0.01), help="New connections a second, at most.")
@click.option("--timeout", type=Duration(), default="10s", show_default=True, help="For each target.")
@click.option("--cacert", "cacerts", multiple=True, type=_FILE, help="Verify with these authorities only; repeatable.")
@click.option(
    "--trust",
    type=click.Choice(["system", "own", "any"]),
    default="any",
    show_default=True,
    help="Verify with the system's authorities, with that of the state directory, or with either.",
)
@click.option("--crl", "crls", multiple=True, type=_FILE, help="A revocation list to heed; repeatable.")
@click.option(
    "--sni",
    "server_name",
    metavar="NAME",
    help="Ask for this name, and verify it, instead of each target's; none: no name.",
)
@click.option("--any-name", is_flag=True, help="Accept certificates whomever they name, as for addresses of a network.")
@click.option("--starttls", type=click.Choice(_STARTTLS), help="Begin in the clear with this protocol.")
@click.option("--tls", "version", type=click.Choice(["1.2", "1.3"]), help="Offer only this version.")
@click.option("--post-quantum", is_flag=True, help="Offer X25519MLKEM768 too, to see who takes it; slower.")
@click.option("--quiet", is_flag=True, help="Show no progress and no summary.")
@place
def run(
    targets: tuple[str, ...],
    files: tuple[str, ...],
    zones: tuple[str, ...],
    origin: str | None,
    ports: str,
    output: Path | None,
    form: str | None,
    resume: bool,
    overwrite: bool,
    concurrency: int,
    per_host: int,
    rate: float | None,
    timeout: float,
    cacerts: tuple[Path, ...],
    trust: str,
    crls: tuple[Path, ...],
    server_name: str | None,
    any_name: bool,
    starttls: str | None,
    version: str | None,
    post_quantum: bool,
    quiet: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Examine each target once: chain, trust, TLS, and whether a client certificate is demanded.

    A TARGET is one of `handclasp probe`, HOST:PORT,PORT, a network (10.0.0.0/24, 10.0.0.0/24:443,8443), or - for a list
    on standard input. Of an address of a network nobody knows the name, so any name in its certificate is right.
    Exits 0 where all is well, 1 with findings or lines that were not understood, 2 where there was nothing to scan.
    """
    from handclasp.app.scanning import Asked

    if not (targets or files or zones):
        raise click.UsageError("Name a target, a --file or a --zone.")
    if resume and overwrite:
        raise click.UsageError("--resume keeps what is in the file, and --overwrite does not: give one of them.")
    asked = Asked(
        targets=targets,
        files=files,
        zones=zones,
        origin=origin,
        ports=ports,
        server_name=server_name,
        any_name=any_name,
        starttls=starttls,
        version=version,
        post_quantum=post_quantum,
        timeout=timeout,
        trust=trust,
        cacerts=tuple(str(one.absolute()) for one in cacerts),
        crls=tuple(str(one.absolute()) for one in crls),
        concurrency=concurrency,
        per_host=per_host,
        rate=rate,
        output=output,
        form=form,
        resume=resume,
        overwrite=overwrite,
    )
    sys.exit(_run(asked, directory, config_path, quiet=quiet))


def _run(asked: Asked, directory: Path, config_path: Path, *, quiet: bool) -> int:
    from handclasp.app.scanning import Listeners
    from handclasp.app.scanning import scan as scanned

    screen = _Screen(live=not quiet and sys.stderr.isatty())
    try:
        outcome = scanned(
            asked,
            state_of(directory),
            lambda: settings_of(config_path),
            Listeners(screen.write, screen.told, screen.show),
        )
    finally:
        screen.clear()
    if not quiet:
        _sum_up(outcome, screen)
    return _STOPPED if outcome.interrupted else outcome.tally.exit_code


def _sum_up(outcome: Outcome, screen: _Screen) -> None:
    from handclasp.scan.tally import summary

    if screen.untold:
        click.echo(f"And {screen.untold:,} more lines that were not understood.", err=True)
    if outcome.interrupted:
        click.echo("Stopped before the end; what was examined is written.", err=True)
    for line in summary(outcome.tally, outcome.seconds):
        click.echo(line, err=True)


class _Screen:
    """Standard output and error side by side: the progress is one line that makes way for everything else."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._drawn = False
        self._told = 0

    @property
    def untold(self) -> int:
        """Lines that were counted and not shown."""
        return max(self._told - _MOST_RUBBISH, 0)

    def write(self, text: str) -> None:
        """Results."""
        self.clear()
        click.echo(text, nl=False)

    def told(self, rubbish: Rubbish) -> None:
        """A line that was not understood."""
        from handclasp.pki.described_text import printable

        self._told += 1
        if self._told <= _MOST_RUBBISH:
            self.clear()
            click.echo(printable(f"{rubbish.where}: {rubbish.why}."), err=True)

    def show(self, tally: Tally, seconds: float) -> None:
        """How far it is."""
        if not self._live:
            return
        import shutil

        from handclasp.scan.tally import progress

        line = progress(tally, seconds, shutil.get_terminal_size().columns - 1)
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)
        self._drawn = True

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._drawn = False
            click.echo("\r\x1b[K", nl=False, err=True)


@scan.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@as_json
def diff(old: Path, new: Path, json_: bool) -> None:
    """Say what differs between two scans: files of JSON lines, CSV, SQLite or Parquet, in any combination.

    Servers that no longer demand a client certificate come first. Exits 0 where nothing differs, 1 where something
    does, 2 where a file cannot be read.
    """
    from handclasp.app.scanning import compared

    with compared(old, new) as found:
        summary = found.summary
        if not summary.same_manner:
            click.echo("The results were made with different options; some differences may come from that.", err=True)
        count = 0
        for one in found:
            count += 1
            click.echo(json.dumps(one.as_json()) if json_ else one.line())
        if not json_:
            what = "No differences" if not count else f"{count:,} {'difference' if count == 1 else 'differences'}"
            click.echo(f"{what} between {summary.old_count:,} and {summary.new_count:,} targets.")
    sys.exit(1 if count else 0)
