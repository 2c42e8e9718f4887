"""`handclasp inspect`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import as_json, passphrase_of


def standard_input() -> bytes:
    """Standard input, no more of it than can be read as a file anyway."""
    from handclasp.pki.containers import MAX_SIZE

    return sys.stdin.buffer.read(MAX_SIZE + 1)


def only_one_reads_it(inputs: tuple[str, ...], *secrets: Any) -> None:
    """Standard input is one stream: refuse two arguments that would read it."""
    readers = [name for name in inputs if name == "-"] + [file for file in secrets if file and file.name == "<stdin>"]
    if len(readers) > 1:
        raise click.UsageError("Only one of the arguments can be -, standard input.")


def asked(name: str) -> bytes | None:
    """The passphrase of this file from the person at the terminal; None where there is none."""
    return passphrase_of(None, f"Passphrase of {name}")


@click.command()
@click.argument("file", metavar="FILE|HOST:PORT")
@click.option(
    "--password-file", type=click.File("rb"), help="Read the file's passphrase from a file, - for standard input."
)
@as_json
def inspect(file: str, password_file: Any, json_: bool) -> None:
    """Say what is in FILE (- for standard input), or what the server at HOST:PORT sends: certificates, requests, CRLs
    and keys.

    Reads PEM, DER, PKCS#7 and PKCS#12. Never shows anything secret. --json has every extension, and all of a CRL.
    Whether a server's chain is trusted, handclasp probe says.
    """
    from handclasp.app import convert
    from handclasp.pki import described_text

    only_one_reads_it((file,), password_file)
    if _is_endpoint(file):
        described = _served(file)
    else:
        passphrase = None if password_file is None else passphrase_of(password_file, "")
        data = standard_input() if file == "-" else convert.load(file)
        name = "Standard input" if file == "-" else file
        # A key that stays closed is told of as well, so nobody is asked for it; a PKCS#12 says nothing without.
        ask = asked if file != "-" else lambda _: None
        described = convert.described(convert.read(name, data, ask, passphrase, keys=False), whole=json_)
    if json_:
        click.echo(json.dumps(described))
        return
    for line in described_text.lines(described):
        click.echo(line)


def _is_endpoint(file: str) -> bool:
    """Whether it names a server: a URL, or HOST:PORT where there is no such file."""
    if "://" in file or file.startswith("unix:"):
        return True
    host, colon, port = file.rpartition(":")
    return bool(host and colon and port.isdecimal()) and not Path(file).exists()


def _served(target: str) -> dict[str, Any]:
    import asyncio

    from handclasp.app.probing import inspected

    return asyncio.run(inspected(target))
