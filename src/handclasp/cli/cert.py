"""`handclasp cert`: certificates of every profile, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import Duration, as_json, ask, place, settings_of, write_public

_REASONS = ("unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation")
_STATES = ("intended", "issued", "held", "revoked")


@click.group()
def cert() -> None:
    """Certificates: issue, search, revoke, hold, approve, import."""


_names = (
    click.option("--name", metavar="NAME", help="The SPIFFE ID spiffe://TRUST-DOMAIN/NAME."),
    click.option("--dns", multiple=True, metavar="NAME", help="A DNS name; repeatable."),
    click.option("--ip", multiple=True, metavar="ADDRESS", help="An IP address; repeatable."),
)


def _with_names(command: Any) -> Any:
    for option in reversed(_names):
        command = option(command)
    return command


@cert.command()
@click.option("--csr", type=click.File("rb"), help="The request (PKCS#10).  [default: a new key is made]")
@click.option("--profile", default="client", show_default=True, help="A built-in profile, or one of the settings.")
@_with_names
@click.option("--lifetime", type=Duration(), help="90d, 12h, 30m.  [default: the profile's]")
@click.option("--key-type", default="ec-p256", show_default=True, help="The kind of the new key, without --csr.")
@click.option("--request-id", metavar="ID", help="Your name for this request: asked twice, it gives one certificate.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="With --csr the file of the chain [default: standard output]; else the directory of key, chain and bundle.",
)
@as_json
@place
def issue(
    csr: Any,
    profile: str,
    name: str | None,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    lifetime: float | None,
    key_type: str,
    request_id: str | None,
    out: Path | None,
    json_: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Issue a certificate of any profile.

    Without names, those of the request are taken, as far as the profile allows them: a name that it does not allow
    is refused, not dropped.
    """
    key = None
    if csr is None:
        from handclasp.app.grant import new_key

        if out is None:
            raise click.UsageError("Name the directory for the new key with --out, or give a request with --csr.")
        if not (name or dns or ip):
            raise click.UsageError("Give a name: --name, --dns or --ip.")
        key, made = new_key(key_type)
        request = made.decode()
    else:
        request = csr.read().decode("latin-1")
    told = ask(
        directory,
        config_path,
        "cert.issue",
        csr=request,
        profile=profile,
        name=name,
        dns=list(dns),
        ips=list(ip),
        seconds=lifetime,
        request_id=request_id,
    )
    if "pending" in told:
        click.echo(json.dumps(told) if json_ else _pending(told))
        return
    if key is not None and out is not None:
        from handclasp.app.state import write_identity

        write_identity(out, key=key, chain=told["chain"].encode(), bundle=told["bundle"].encode())
    elif out is not None or not json_:
        write_public(out or Path("-"), told["chain"].encode())
    if json_:
        click.echo(json.dumps(told))
    else:
        click.echo(f"Issued {_who(told)}, serial {told['serial']}, until {told['not_after']}.", err=True)


def _pending(told: dict[str, Any]) -> str:
    return (
        f"The profile {told['profile']} wants approval: the request {told['pending']} is kept.\n"
        f"To approve it: handclasp cert approve {told['pending']}"
    )


@cert.command("list")
@click.argument("text", required=False)
@click.option("--prefix", metavar="TEXT", help="A name begins with this.")
@click.option("--identity", metavar="NAME", help="Exactly this SPIFFE ID, or its name.")
@click.option("--serial", metavar="HEX", help="The serial number.")
@click.option("--fingerprint", metavar="HEX", help="SHA-256 of the certificate.")
@click.option("--key", metavar="HEX", help="SHA-256 of the public key (SubjectPublicKeyInfo).")
@click.option("--profile", help="Of this profile; external: issued elsewhere.")
@click.option("--state", type=click.Choice(_STATES), help="In this state.")
@click.option("--issuer", metavar="NAME", help="The authority that issued it, by its name or key id.")
@click.option("--expires-within", type=Duration(), help="30d, 12h: those that end by then and have not ended yet.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--after", metavar="CURSOR", help="Go on where the page before ended.")
@as_json
@place
def list_(
    text: str | None,
    prefix: str | None,
    identity: str | None,
    serial: str | None,
    fingerprint: str | None,
    key: str | None,
    profile: str | None,
    state: str | None,
    issuer: str | None,
    expires_within: float | None,
    limit: int,
    after: str | None,
    json_: bool,
    directory: Path,
    config_path: Path,
) -> None:
    """Search all certificates that were ever issued here, newest first.

    TEXT (three characters or more) is looked for anywhere in SPIFFE IDs, DNS names, addresses and subjects.
    """
    told = ask(
        directory,
        config_path,
        "cert.search",
        contains=text,
        prefix=prefix,
        identity=identity,
        serial=serial,
        fingerprint=fingerprint,
        key=key,
        profile=profile,
        state=state,
        issuer=issuer,
        expires_within=expires_within,
        limit=limit,
        after=after,
    )
    if json_:
        click.echo(json.dumps(told))
        return
    for one in told["certificates"]:
        click.echo(f"{one['state']:8} {one['not_after']}  {one['profile']:10} {_who(one)}  serial {one['serial']}")
    if not told["certificates"]:
        click.echo("Nothing was found.")
    if told["after"]:
        click.echo(f"There is more: --after {told['after']}")


def _who(one: dict[str, Any]) -> str:
    return one["identity"] or ", ".join((*one["dns"], *one["ips"])) or one["subject"]


@cert.command()
@click.argument("which")
@click.option("--pem", "pem_", is_flag=True, help="Print the certificate itself.")
@as_json
@place
def show(which: str, pem_: bool, json_: bool, directory: Path, config_path: Path) -> None:
    """Show one certificate; WHICH is its serial, or at least 8 digits of its SHA-256 fingerprint."""
    told = ask(directory, config_path, "cert.show", which=which)
    if json_:
        click.echo(json.dumps(told))
    elif pem_:
        click.echo(told["pem"], nl=False)
    else:
        click.echo(_who(told))
        for label, field in _SHOWN:
            if told.get(field):
                value = told[field]
                click.echo(f"  {label:12} {', '.join(value) if isinstance(value, list) else value}")
        click.echo("\n  What happened to it:")
        for event in told["events"]:
            click.echo(f"  {event['at']}  {event['kind']} by {event['by']}")


_SHOWN = (
    ("state", "state"),
    ("reason", "reason"),
    ("since", "revoked_at"),
    ("profile", "profile"),
    ("subject", "subject"),
    ("DNS", "dns"),
    ("IP", "ips"),
    ("issued", "issued_at"),
    ("expires", "not_after"),
    ("issued by", "issuer"),
    ("serial", "serial"),
    ("fingerprint", "fingerprint"),
    ("key", "spki_sha256"),
)


@cert.command()
@click.argument("which")
@click.option("--csr", type=click.File("rb"), required=True, help="A request by the old key, or by a new one.")
@click.option("--lifetime", type=Duration(), help="90d, 12h, 30m.  [default: the profile's]")
@click.option("--supersede", is_flag=True, help="Revoke the old certificate once the new one is made.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default="-", help="The file of the chain.")
@place
def renew(
    which: str,
    csr: Any,
    lifetime: float | None,
    supersede: bool,
    out: Path,
    directory: Path,
    config_path: Path,
) -> None:
    """Issue the certificate WHICH anew, with the same names and profile."""
    told = ask(
        directory,
        config_path,
        "cert.renew",
        which=which,
        csr=csr.read().decode("latin-1"),
        seconds=lifetime,
        supersede=supersede,
    )
    write_public(out, told["chain"].encode())
    click.echo(f"Issued {_who(told)}, serial {told['serial']}, until {told['not_after']}.", err=True)


@cert.command()
@click.argument("which")
@click.option("--reason", type=click.Choice(_REASONS), default="unspecified", show_default=True, help="Why.")
@as_json
@place
def revoke(which: str, reason: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Revoke one certificate for good; WHICH as in `handclasp cert show`."""
    _say_changed(ask(directory, config_path, "cert.revoke", which=which, reason=reason), "Revoked", json_=json_)


@cert.command()
@click.argument("which")
@as_json
@place
def hold(which: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Refuse one certificate until it is released."""
    _say_changed(ask(directory, config_path, "cert.hold", which=which), "Put on hold", json_=json_)


@cert.command()
@click.argument("which")
@as_json
@place
def release(which: str, json_: bool, directory: Path, config_path: Path) -> None:
    """Accept a certificate again that is on hold."""
    _say_changed(ask(directory, config_path, "cert.release", which=which), "Released", json_=json_)


def _say_changed(told: dict[str, Any], verb: str, *, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(told))
        return
    done = verb if told["changed"] else f"Already {verb.lower()}"
    click.echo(f"{done}: {_who(told)}, serial {told['serial']}.")
    if told["gateway_seconds"] is not None:
        click.echo(f"The gateway has it, confirmed after {told['gateway_seconds'] * 1000:.0f} ms.")
    for serial in told.get("same_key", ()):
        click.echo(f"The same key is in another certificate that is still good: handclasp cert revoke {serial}")


@cert.command()
@click.option("--all", "all_", is_flag=True, help="Those that were decided too.")
@as_json
@place
def requests(all_: bool, json_: bool, directory: Path, config_path: Path) -> None:
    """List the requests that wait for approval."""
    told = ask(directory, config_path, "cert.requests", all=all_)
    if json_:
        click.echo(json.dumps(told))
        return
    for one in told["requests"]:
        click.echo(f"{one['id']}  {one['state']:8} {one['profile']:12} {_who(one)}  asked {one['at']}")
    if not told["requests"]:
        click.echo("No request waits.")


@cert.command()
@click.argument("id")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default="-", help="The file of the chain.")
@place
def approve(id: str, out: Path, directory: Path, config_path: Path) -> None:
    """Approve a request: its certificate is issued. Approved before: the same certificate again."""
    told = ask(directory, config_path, "cert.approve", id=id)
    write_public(out, told["chain"].encode())
    click.echo(f"Issued {_who(told)}, serial {told['serial']}, until {told['not_after']}.", err=True)


@cert.command()
@click.argument("id")
@place
def deny(id: str, directory: Path, config_path: Path) -> None:
    """Deny a request for good."""
    ask(directory, config_path, "cert.deny", id=id)
    click.echo(f"Denied {id}.")


@cert.command("import")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"))
@place
def import_(files: tuple[Any, ...], directory: Path, config_path: Path) -> None:
    """Take certificates that others issued into the inventory, to be found and watched (PEM, DER, PKCS#7)."""
    settings_of(config_path)
    told = ask(directory, config_path, "cert.import", files=[file.read().hex() for file in files])
    click.echo(f"Took {told['added']} certificates into the inventory; {told['known']} were there already.")
