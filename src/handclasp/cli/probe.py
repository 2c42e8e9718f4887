"""`handclasp probe`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.options import Duration, as_json, passphrase_of, place, settings_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from handclasp.app.probing import Asked
    from handclasp.app.settings import Settings
    from handclasp.app.state import StateDirectory
    from handclasp.probe.credentials import Credential

_STARTTLS = ("smtp", "imap", "pop3", "ftp", "ldap", "postgres", "mysql", "xmpp")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--cacert", "cacerts", multiple=True, type=_FILE, help="Verify with these authorities only; repeatable.")
@click.option(
    "--trust",
    type=click.Choice(["system", "own", "any"]),
    default="any",
    show_default=True,
    help="Verify with the system's authorities, with that of the state directory, or with either.",
)
@click.option("--crl", "crls", multiple=True, type=_FILE, help="A revocation list to heed; repeatable.")
@click.option("--fetch-crls", is_flag=True, help="Fetch the revocation lists that the certificates name, over HTTP.")
@click.option("--sni", "server_name", metavar="NAME", help="Ask for this name, and verify it, instead of the target's.")
@click.option("--address", metavar="HOST", help="Connect there, whatever the name resolves to.")
@click.option("--starttls", type=click.Choice(_STARTTLS), help="Begin in the clear with this protocol.")
@click.option("--proxy", metavar="URL", help="http://HOST:PORT, socks5://HOST:PORT or socks4a://HOST:PORT.")
@click.option("--proxy-protocol", type=click.Choice(["1", "2"]), help="Say who calls by HAProxy's PROXY protocol.")
@click.option("--tls", "version", type=click.Choice(["1.2", "1.3"]), help="Offer only this version.")
@click.option("--timeout", type=Duration(), default="10s", show_default=True, help="For each target.")
@click.option("--credential", metavar="NAME", help="Show this client certificate of the store; auto: by host pattern.")
@click.option("--cert", type=_FILE, help="Show this client certificate: PEM or PKCS#12, with the chain above it.")
@click.option("--key", type=_FILE, help="Its private key, where it is not in the same file.")
@click.option("--password-file", type=click.File("rb"), help="The passphrase of --cert or --key; - is standard input.")
@click.option("--trace", is_flag=True, help="Tell the handshake message by message.")
@as_json
@place
def probe(
    targets: tuple[str, ...],
    cacerts: tuple[Path, ...],
    trust: str,
    crls: tuple[Path, ...],
    fetch_crls: bool,
    server_name: str | None,
    address: str | None,
    starttls: str | None,
    proxy: str | None,
    proxy_protocol: str | None,
    version: str | None,
    timeout: float,
    credential: str | None,
    cert: Path | None,
    key: Path | None,
    password_file: Any,
    trace: bool,
    json_: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Say what TLS servers show: chain, trust, and whether they demand a client certificate. None is needed for it.

    A TARGET is HOST, HOST:PORT, https://HOST/PATH, smtp://HOST (and so on), or unix:/PATH. Exits 0 where nothing is
    wrong, 1 with findings (nobody answers is one), 2 where an option, a file or a target cannot be used.
    """
    import asyncio

    from handclasp.app.probing import Asked

    if (cert or key) and credential:
        raise click.UsageError("Name a credential of the store or give files, not both.")
    if key and not cert:
        raise click.UsageError("--key belongs to a --cert.")
    asked = Asked(
        targets=targets,
        server_name=server_name,
        starttls=starttls,
        proxy=proxy,
        proxy_protocol=None if proxy_protocol is None else int(proxy_protocol),
        address=address,
        version=version,
        timeout=timeout,
        trust=trust,
        cacerts=tuple(str(one.absolute()) for one in cacerts),
        crls=tuple(str(one.absolute()) for one in crls),
        fetch_crls=fetch_crls,
        credential=credential,
        trace=trace,
    )
    files = None if cert is None else _from_files(cert, key, password_file)
    sys.exit(asyncio.run(_probe(asked, files, state_of(directory), lambda: settings_of(config_path), json_)))


async def _probe(
    asked: Asked, files: Credential | None, state: StateDirectory, load: Callable[[], Settings], json_: bool
) -> int:
    from handclasp.app.probing import probe as reports
    from handclasp.probe import report_text

    worst = 0
    first = True
    async for told in reports(asked, state, load, files):
        worst = worst if told["code"] == "OK" else 1
        if json_:
            click.echo(json.dumps(told))
            continue
        if not first:
            click.echo()
        first = False
        for line in report_text.trace(told):
            click.echo(line)
        for line in report_text.lines(told):
            click.echo(line)
    return worst


def _from_files(cert: Path, key: Path | None, password_file: Any) -> Credential:
    from handclasp.app.probe_credentials import from_files
    from handclasp.cli.inspect import asked

    passphrase = None if password_file is None else passphrase_of(password_file, "")
    return from_files(cert, key, passphrase, asked)
