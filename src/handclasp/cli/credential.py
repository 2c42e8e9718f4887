"""`handclasp credential`: the client certificates that are shown to other people's servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import as_json, ask, passphrase_of, place


@click.group()
def credential() -> None:
    """Client certificates for servers: add, choose by host, list, remove.

    A credential is a certificate with its key for the hosts of a PATTERN: api.acme.com:8443, api.acme.com,
    *.acme.com:8443 or *.acme.com (* is one label), an address with or without a port. Where several match, the first
    in this order is taken. A host that none matches is shown none, and a server that does not prove who it is neither.
    """


@credential.command()
@click.argument("pattern")
@click.option("--cert", type=click.Path(), help="The certificate, with its chain if there is one (PEM, DER, PKCS#7).")
@click.option("--key", type=click.Path(), help="Its private key (PEM or DER).  [default: the one in --cert]")
@click.option("--p12", type=click.Path(), help="Key, certificate and chain in one PKCS#12 file.")
@click.option(
    "--password-file",
    type=click.File("rb"),
    help="Read the files' passphrase from a file, - for standard input.  [else asked, if one is needed]",
)
@click.option("--identity", metavar="NAME", help="An identity of the authority here, instead of files.")
@click.option(
    "--cacert", type=click.Path(), help="Verify the server with these authorities before it is shown anything."
)
@click.option("--name", help="What it is called.  [default: after the pattern]")
@click.option("--replace", is_flag=True, help="Put it in the place of the one that is there for this pattern.")
@as_json
@place
def add(
    pattern: str,
    cert: str | None,
    key: str | None,
    p12: str | None,
    password_file: Any,
    identity: str | None,
    cacert: str | None,
    name: str | None,
    replace: bool,
    json_: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Keep a client certificate for the hosts of PATTERN; quote it if it has a *.

    The files are only read: the key is kept encrypted in the state directory, and no command gives it out again.

    \b
      handclasp credential add '*.acme.com' --cert client.pem --key client.key
      handclasp credential add api.acme.com:8443 --p12 client.p12 --cacert acme-root.pem
      handclasp credential add orders.example.org --identity monitor

    With --identity a new key is made here and certified by the authority here; the certificate is renewed by itself
    when two thirds of its life are over.
    """
    from handclasp.app import convert

    if [cert, p12, identity].count(None) != 2:
        raise click.UsageError("Give one of these: --cert (with --key), --p12, or --identity.")
    if key is not None and cert is None:
        raise click.UsageError("--key goes with --cert.")
    ca = None if cacert is None else [cacert, convert.load(cacert).hex()]
    given: dict[str, Any] = {"pattern": pattern, "ca": ca, "name": name, "replace": replace}
    if identity is not None:
        if password_file is not None:
            raise click.UsageError("--password-file is for files; with --identity there are none.")
        told = ask(directory, config_path, "credential.add-identity", identity=identity, **given)
    else:
        names = [one for one in dict.fromkeys((p12, cert, key)) if one is not None]
        files = [[one, convert.load(one).hex()] for one in names]
        passphrase = None if password_file is None else passphrase_of(password_file, "")
        told = _with_passphrase(directory, config_path, {"files": files, **given}, passphrase, names[-1])
    if json_:
        click.echo(json.dumps(told))
        return
    old = told["replaced"]
    if old is not None:
        click.echo(f"Replaced {old['name']} for {old['pattern']}: {old['subject']}, until {old['not_after']}.")
    click.echo(f"Added {told['name']} for {told['pattern']}: {_who(told)}, until {told['not_after']} ({_left(told)}).")
    for warning in told["warnings"]:
        click.echo(f"Note: {warning}.", err=True)


def _with_passphrase(
    directory: Path, config_path: Path, arguments: dict[str, Any], passphrase: bytes | None, file: str
) -> dict[str, Any]:
    """Add what is in files; where they need a passphrase and none was given, a person is asked."""
    from handclasp.findings import Code, Refused

    try:
        return ask(directory, config_path, "credential.add", passphrase=(passphrase or b"").hex(), **arguments)
    except Refused as refused:
        if refused.code is not Code.FILE_PASSPHRASE_MISSING or passphrase is not None:
            raise
        answer = passphrase_of(None, f"Passphrase of {file}")
        if answer is None:
            raise
    return ask(directory, config_path, "credential.add", passphrase=answer.hex(), **arguments)


@credential.command("list")
@as_json
@place
def list_(json_: bool, directory: Path, config_path: Path) -> None:
    """List the credentials, with the days that each has left."""
    told = ask(directory, config_path, "credential.list")
    if json_:
        click.echo(json.dumps(told))
        return
    found = told["credentials"]
    width = max((len(one["pattern"]) for one in found), default=0)
    for one in found:
        click.echo(f"{one['pattern']:{width}}  {_left(one):14}  {one['name']}  {_who(one)}")
    if not found:
        click.echo("There are no credentials yet: handclasp credential add PATTERN --cert FILE --key FILE.")


@credential.command()
@click.argument("which")
@click.option("--pem", "pem_", is_flag=True, help="Print the certificates themselves.")
@as_json
@place
def show(which: str, pem_: bool, json_: bool, directory: Path, config_path: Path) -> None:
    """Show one credential, by its name or pattern WHICH, and whether its key can be opened here.

    The key itself is never shown.
    """
    told = ask(directory, config_path, "credential.show", which=which)
    if json_:
        click.echo(json.dumps(told))
        return
    if pem_:
        click.echo(told["pem"], nl=False)
        return
    click.echo(f"{told['name']}, for {told['pattern']}")
    for label, value in (
        ("state", f"{told['state'].replace('_', ' ')}, {_left(told)}"),
        ("identity", told["identity"] and f"{told['identity']}, renewed by itself"),
        ("subject", told["subject"]),
        ("issued by", told["issuer"]),
        ("valid from", told["not_before"]),
        ("expires", told["not_after"]),
        ("serial", told["serial"]),
        ("fingerprint", f"{told['fingerprint']} (SHA-256)"),
        ("key", told["key"]),
        ("chain", " < ".join(told["chain"][1:])),
        ("verify with", ", ".join(told["ca"]) or "the authorities of this machine"),
        ("added", told["created_at"]),
    ):
        if value:
            click.echo(f"  {label:12} {value}")
    if not told["usable"]:
        click.echo(f"\n  It cannot be used: {told['fault']['why']}.\n  {told['fault']['fix']}")


@credential.command("for")
@click.argument("target", metavar="HOST[:PORT]")
@as_json
@place
def for_(target: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Say which credential HOST is shown on PORT (443 if none is given), and why. No server is asked."""
    told = ask(directory, config_path, "credential.for", target=target)
    if json_:
        click.echo(json.dumps(told))
        return
    found = told["credential"]
    if found is None:
        tried = ", ".join(told["tried"]) or "it has no name"
        click.echo(f"None: nothing matches ({tried}).")
        return
    click.echo(f"{found['name']}: {told['why']}.")
    click.echo(f"  {_who(found)}, {_left(found)}")
    if told["passed_over"]:
        click.echo(f"  Less exact: {', '.join(told['passed_over'])}")


@credential.command()
@click.argument("which")
@as_json
@place
def remove(which: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Forget one credential, by its name or pattern WHICH, and its key with it.

    Its certificate is good until it expires or is revoked, but nobody here has its key any more.
    """
    told = ask(directory, config_path, "credential.remove", which=which)
    click.echo(json.dumps(told) if json_ else f"Removed {told['name']} for {told['pattern']}: {_who(told)}.")


def _who(one: dict[str, Any]) -> str:
    return str(one["identity"] or one["subject"] or f"serial {one['serial']}")


def _left(one: dict[str, Any]) -> str:
    if one["days_left"] <= 0:
        return "expired"
    if one["days_left"] < 2:
        return f"{one['days_left'] * 24:.1f} hours left"
    return f"{one['days_left']:.0f} days left"
