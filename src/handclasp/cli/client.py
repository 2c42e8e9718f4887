"""`handclasp client`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.options import Duration, as_json, place, settings_of, state_of

if TYPE_CHECKING:
    from handclasp.app.grant import Granted
    from handclasp.pki.spiffe import SpiffeID

_REASONS = ("unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation")
_PASSWORD = "HANDCLASP_P12_PASSWORD"  # noqa: S105 - the name of a variable


@click.group()
def client() -> None:
    """Callers: add, list, show, renew and revoke their certificates."""


def _p12_options(command: Any) -> Any:
    command = click.option(
        "--p12-password-file",
        type=click.File("rb"),
        help=f"Read the passphrase from a file, - for standard input. [else {_PASSWORD}, else asked]",
    )(command)
    return click.option("--p12", is_flag=True, help="Also write identity.p12 (PKCS#12), for browsers and Java.")(
        command
    )


_lifetime = click.option("--lifetime", type=Duration(), help="90d, 12h, 30m.  [default: that of the settings, 90d]")
_out = click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where the files are written.")


@client.command()
@click.argument("name")
@click.option("--dns", multiple=True, metavar="NAME", help="A DNS name besides the SPIFFE ID; repeatable.")
@click.option("--key-type", default="ec-p256", show_default=True, help="The kind of the key.")
@_lifetime
@_p12_options
@_out
@as_json
@place
def add(
    name: str,
    dns: tuple[str, ...],
    key_type: str,
    lifetime: float | None,
    p12: bool,
    p12_password_file: Any,
    out: Path | None,
    json_: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Give a caller a key (0600), a certificate chain and the trust bundle.

    NAME becomes the SPIFFE ID spiffe://TRUST-DOMAIN/NAME; it may have slashes, as in audit/nightly. The key is made
    here and stays here.
    """
    from handclasp.app import grant

    identity = _identity(config_path, name)
    where = out or state_of(directory).client(identity)
    kind = grant.key_type_named(key_type)
    granted = _run(
        directory,
        config_path,
        lambda perform: grant.grant(
            perform,
            identity,
            where,
            dns=dns,
            seconds=lifetime,
            passphrase=_passphrase(p12, p12_password_file),
            key_type=kind,
        ),
    )
    _say_granted(granted, "Made", p12=p12, json_=json_)
    if not json_:
        _say_rules(config_path, identity)


@client.command()
@click.argument("name")
@_lifetime
@_p12_options
@_out
@as_json
@place
def renew(
    name: str,
    lifetime: float | None,
    p12: bool,
    p12_password_file: Any,
    out: Path | None,
    json_: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Give a caller a new certificate for the key it has, with the same names."""
    from handclasp.app import grant

    identity = _identity(config_path, name)
    where = out or state_of(directory).client(identity)
    granted = _run(
        directory,
        config_path,
        lambda perform: grant.renew(
            perform, identity, where, seconds=lifetime, passphrase=_passphrase(p12, p12_password_file)
        ),
    )
    _say_granted(granted, "Renewed", p12=p12, json_=json_)


@client.command("list")
@as_json
@place
def list_(json_: bool, directory: Path, config_path: Path) -> None:
    """List every caller's certificates."""
    clients = _run(directory, config_path, _all)
    clients.sort(key=lambda c: (c["identity"], c["issued_at"]))
    if json_:
        click.echo(json.dumps({"clients": clients}))
        return
    if not clients:
        click.echo("There are no callers yet: handclasp client add NAME.")
    for c in clients:
        click.echo(f"{c['state']:8} {_left(c):14} {c['identity']}  serial {c['serial']}{_dns(c)}")


async def _all(perform: Any) -> list[dict[str, Any]]:
    told = await perform("client.list")
    clients: list[dict[str, Any]] = told["clients"]
    while "after" in told:
        told = await perform("client.list", after=told["after"])
        clients += told["clients"]
    return clients[::-1]  # the oldest first, where their times are the same


@client.command()
@click.argument("name")
@as_json
@place
def show(name: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Show one caller's certificates."""
    told = _run(directory, config_path, lambda perform: perform("client.show", name=name))
    if json_:
        click.echo(json.dumps(told))
        return
    click.echo(told["identity"])
    for c in told["certificates"]:
        revoked = f", revoked {c['revoked_at']} ({c['reason']})" if c["state"] == "revoked" else ""
        click.echo(f"\n  {c['state']}, expires {c['not_after']} ({_left(c)}){revoked}{_dns(c)}")
        click.echo(
            f"  issued       {c['issued_at']}\n  serial       {c['serial']}\n"
            f"  fingerprint  {c['fingerprint']} (SHA-256)"
        )


@client.command()
@click.argument("name")
@click.option("--reason", type=click.Choice(_REASONS), default="unspecified", show_default=True)
@as_json
@place
def revoke(name: str, reason: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Refuse a caller from now on: revokes every certificate of it that has not expired."""
    told = _run(directory, config_path, lambda perform: perform("client.revoke", name=name, reason=reason))
    if json_:
        click.echo(json.dumps(told))
        return
    count = len(told["revoked"])
    if count:
        click.echo(f"Revoked {count} certificate{'s' if count > 1 else ''} of {told['identity']}.")
    else:
        click.echo(f"{told['identity']} has no certificate left to revoke.")
    if told["gateway_seconds"] is None:
        click.echo("No gateway runs here; the next handclasp up refuses it from its start.")
    else:
        click.echo(f"The gateway refuses it, confirmed after {told['gateway_seconds'] * 1000:.0f} ms.")
        click.echo("A WebSocket or stream that is open already goes on until it ends; its next request is refused.")


def _identity(config_path: Path, name: str) -> SpiffeID:
    from handclasp.app.naming import identity_named

    return identity_named(settings_of(config_path).trust_domain, name)


def _run(directory: Path, config_path: Path, act: Any) -> Any:
    import asyncio

    from handclasp.app import control

    state = state_of(directory)

    async def perform(operation: str, **arguments: object) -> dict[str, Any]:
        return await control.perform(state, lambda: settings_of(config_path), operation, **arguments)

    async def go() -> Any:
        return await act(perform)

    return asyncio.run(go())


def _passphrase(p12: bool, file: Any) -> bytes | None:
    if not p12:
        return None
    if file is not None:
        passphrase: bytes = file.readline().rstrip(b"\r\n")
    elif _PASSWORD in os.environ:
        passphrase = os.environ[_PASSWORD].encode()
    elif not sys.stdin.isatty():
        raise click.UsageError(
            f"There is no terminal to ask for a passphrase at. Use --p12-password-file or {_PASSWORD}."
        )
    else:
        passphrase = click.prompt("Passphrase of identity.p12", hide_input=True, confirmation_prompt=True).encode()
    if not passphrase:
        raise click.UsageError("The passphrase is empty, and the file would protect nothing.")
    return passphrase


def _say_granted(granted: Granted, verb: str, *, p12: bool, json_: bool) -> None:
    from handclasp.app.grant import P12
    from handclasp.app.state import BUNDLE, CHAIN, KEY

    files = {"key": KEY, "chain": CHAIN, "bundle": BUNDLE, **({"p12": P12} if p12 else {})}
    paths = {kind: str(granted.directory / name) for kind, name in files.items()}
    if json_:
        click.echo(json.dumps({**granted.facts, "files": paths}))
        return
    facts = granted.facts
    name = facts["identity"].split("/", 3)[3]
    click.echo(f"{verb} {facts['identity']}{_dns(facts)}")
    click.echo(f"  expires      {facts['not_after']} ({_left(facts)}); renew it before: handclasp client renew {name}")
    for kind, path in paths.items():
        click.echo(f"  {kind:12} {path}")
    click.echo(f"  curl --cacert {paths['bundle']} --cert {paths['chain']} --key {paths['key']} https://...")


def _say_rules(config_path: Path, identity: SpiffeID) -> None:
    """A caller without a rule gets 403 everywhere: better said now than found out."""
    settings = settings_of(config_path)
    named = [(s.name, rule) for s in settings.services for rule in s.policy.rules if rule.names(identity)]
    for service, rule in named:
        click.echo(f"  {service}, rule {rule}")
    if not named:
        click.echo(f"No rule allows it anything yet. In {config_path}, below the rules of a service:")
        click.echo(f"      - allow: {identity}")


def _left(c: dict[str, Any]) -> str:
    if c["days_left"] <= 0:
        return "expired"
    if c["days_left"] < 2:
        return f"{c['days_left'] * 24:.1f} hours left"
    return f"{c['days_left']:.0f} days left"


def _dns(c: dict[str, Any]) -> str:
    return f" (also {', '.join(c['dns'])})" if c["dns"] else ""
