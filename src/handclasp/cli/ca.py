"""`handclasp ca`: the authorities themselves, how they are made, kept and replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import Duration, as_json, ask, passphrase_of, place, write_public
from handclasp.cli.rotate import rotate

_ROLES = ("issuing", "clients", "servers")
_out = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default="-", help="The file; - for standard output."
)
_trust_domain = click.option("--trust-domain", metavar="NAME", help="As in example.org.  [default: the settings']")
_path_length = click.option(
    "--path-length", type=click.IntRange(0, 8), help="How many authorities may follow below.  [default: the profile's]"
)
_lifetime = click.option("--lifetime", type=Duration(), help="3650d, 87600h.  [default: the profile's]")


@click.group()
def ca() -> None:
    """Authorities: show, make offline, import, replace."""


ca.add_command(rotate)


@ca.command()
@as_json
@place
def show(json_: bool, directory: Path, config_path: Path) -> None:
    """Show every authority, where its key is, and the profiles."""
    told = ask(directory, config_path, "ca.show")
    if json_:
        click.echo(json.dumps(told))
        return
    for one in told["authorities"]:
        click.echo(f"{one['name']:12} {one['role']:8} {one['state']:10} {_left(one)}")
        click.echo(f"             {one['subject'] or 'no certificate yet'}")
        click.echo(f"             {one['key_type'] or 'unknown'} key {_key(one)}; key id {one['key_id']}")
    click.echo("\nProfiles: " + ", ".join(told["profiles"]))


def _left(one: dict[str, Any]) -> str:
    return "" if one["days_left"] is None else f"{one['days_left']:.0f} days left ({one['not_after']})"


def _key(one: dict[str, Any]) -> str:
    return f"in {one['key']}" if one["key_online"] else f"not on this machine (would be {one['key']})"


@ca.command()
@_out
@place
def bundle(out: Path, directory: Path, config_path: Path) -> None:
    """Write the trust bundle: the roots that callers trust."""
    write_public(out, ask(directory, config_path, "ca.bundle")["bundle"].encode())


@ca.command()
@_trust_domain
@click.option("--key-type", default="ec-p384", show_default=True, help="The kind of the root's key.")
@_lifetime
@_path_length
@click.option("--unencrypted", is_flag=True, help="Keep the key without a passphrase.")
@_out
@place
def root(
    trust_domain: str | None,
    key_type: str,
    lifetime: float | None,
    path_length: int | None,
    unencrypted: bool,
    out: Path,
    directory: Path,
    config_path: Path,
) -> None:
    """Make a root alone, on a machine that stays offline.

    Its key stays in --dir, encrypted with a passphrase: HANDCLASP_CA_PASSPHRASE, or asked for. Authorities of other
    machines are signed with `handclasp ca sign`.
    """
    told = ask(
        directory,
        config_path,
        "ca.root",
        trust_domain=trust_domain,
        key_type=key_type,
        seconds=lifetime,
        path_length=path_length,
        unencrypted=unencrypted,
    )
    write_public(out, told["certificate"].encode())
    click.echo(f"Made the root {told['subject']}, valid until {told['not_after']}.", err=True)
    click.echo(f"Its key: {told['key']}", err=True)
    click.echo("Sign an authority with it: handclasp ca sign issuing.csr --out issuing.pem", err=True)


@ca.command()
@click.option("--role", type=click.Choice(_ROLES), default="issuing", show_default=True, help="Whom it is to sign for.")
@_trust_domain
@_out
@place
def csr(role: str, trust_domain: str | None, out: Path, directory: Path, config_path: Path) -> None:
    """Make the key of an issuing authority here, and a request for the keeper of the root to sign."""
    told = ask(directory, config_path, "ca.csr", role=role, trust_domain=trust_domain)
    write_public(out, told["csr"].encode())
    click.echo(f"The authority {told['name']} waits for its certificate; its key is {told['key']}.", err=True)
    click.echo("On the root's machine: handclasp ca sign FILE. Back here: handclasp ca install FILE.", err=True)


@ca.command()
@click.argument("request", type=click.File("rb"))
@_lifetime
@_path_length
@_out
@place
def sign(
    request: Any, lifetime: float | None, path_length: int | None, out: Path, directory: Path, config_path: Path
) -> None:
    """Sign the REQUEST of an issuing authority with the root that is here."""
    told = ask(
        directory,
        config_path,
        "ca.sign",
        csr=request.read().decode("latin-1"),
        seconds=lifetime,
        path_length=path_length,
    )
    write_public(out, told["chain"].encode())
    click.echo(f"Signed {told['subject']}, valid until {told['not_after']}.", err=True)
    click.echo("On the machine of the request: handclasp ca install FILE.", err=True)


@ca.command("crl")
@click.option("--lifetime", type=Duration(), help="Until when it may be used: 365d.  [default: 365d]")
@_out
@place
def crl(lifetime: float | None, out: Path, directory: Path, config_path: Path) -> None:
    """Sign the revocation list of the root that is here, to be published by an online machine."""
    told = ask(directory, config_path, "ca.crl", seconds=lifetime)
    write_public(out, told["crl"].encode())
    click.echo(f"Signed the root's revocation list, good until {told['next_update']}.", err=True)
    click.echo("On the online machine: handclasp ca install-crl FILE.", err=True)


@ca.command("install-crl")
@click.argument("file", type=click.File("rb"))
@place
def install_crl(file: Any, directory: Path, config_path: Path) -> None:
    """Publish a root's revocation list (FILE) that `handclasp ca crl` signed where the root's key is."""
    told = ask(directory, config_path, "ca.install-crl", data=file.read().hex())
    click.echo(f"The revocation list of {told['name']} is published from now on.")


@ca.command("renew-root")
@_out
@place
def renew_root(out: Path, directory: Path, config_path: Path) -> None:
    """Make a new root beside the one that is here, cross-signed by it, on the machine that stays offline.

    Everything that the old root signed here is certified by the new one too. What is written is for `handclasp ca
    install` on the online machine, where it begins a rotation.
    """
    told = ask(directory, config_path, "ca.renew-root")
    write_public(out, told["chain"].encode())
    click.echo(f"Made the root {told['subject']}, valid until {told['not_after']}.", err=True)
    click.echo("On the online machine: handclasp ca install FILE, then handclasp ca rotate advance.", err=True)


@ca.command()
@click.argument("chain", type=click.File("rb"))
@place
def install(chain: Any, directory: Path, config_path: Path) -> None:
    """Install the certificate that `handclasp ca sign` made, with those above it (CHAIN, PEM)."""
    _say_taken(ask(directory, config_path, "ca.install", chain=chain.read().decode("latin-1")))


@ca.command("import")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"))
@click.option("--role", type=click.Choice(("root", *_ROLES)), help="What it is for.  [default: by its certificate]")
@click.option("--password-file", type=click.File("rb"), help="The passphrase of the key or PKCS#12 file.")
@_trust_domain
@place
def import_(
    files: tuple[Any, ...],
    role: str | None,
    password_file: Any,
    trust_domain: str | None,
    directory: Path,
    config_path: Path,
) -> None:
    """Take over an authority that exists: its certificate, its key, and those above it (PEM, DER or PKCS#12).

    The key is copied into our own custody. A root without a key is trusted, and signs nothing here.
    """
    passphrase = passphrase_of(password_file, "Passphrase (empty if none)") or b""
    told = ask(
        directory,
        config_path,
        "ca.import",
        files=[file.read().hex() for file in files],
        passphrase=passphrase.hex(),
        role=role,
        trust_domain=trust_domain,
    )
    _say_taken(told)


def _say_taken(told: dict[str, Any]) -> None:
    click.echo(f"The authority {told['name']} is {told['state']}: {told['subject']}, until {told['not_after']}.")
    if told["state"] == "published":
        click.echo("It is trusted, and signs nothing yet. Go on with: handclasp ca rotate advance")


@ca.command()
@click.option(
    "--new-password-file", type=click.File("rb"), help="The new passphrase.  [else asked; empty: none, unencrypted]"
)
@place
def passphrase(new_password_file: Any, directory: Path, config_path: Path) -> None:
    """Encrypt the authority's key files with a new passphrase (or, with an empty one, decrypt them).

    The present passphrase comes from where the settings say. Afterwards, put the new one there.
    """
    new = passphrase_of(new_password_file, "New passphrase", confirm=True)
    if new is None:
        raise click.UsageError("There is no terminal to ask for the passphrase at. Use --new-password-file.")
    told = ask(directory, config_path, "ca.passphrase", new=new.hex())
    click.echo(f"{'Encrypted' if new else 'Decrypted'} {', '.join(told['keys'])}.")
    if new:
        click.echo(
            "Tell Handclasp the new passphrase before its next start: authority.keys.passphrase in the settings,"
        )
        click.echo("or HANDCLASP_CA_PASSPHRASE in its environment.")
