"""`handclasp convert`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from handclasp.cli.inspect import asked, only_one_reads_it, standard_input
from handclasp.cli.options import passphrase_of

_PASSWORD = "HANDCLASP_P12_PASSWORD"  # noqa: S105 - the name of a variable


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True)
@click.option("--to", "form", type=click.Choice(["pem", "der", "p12", "p7b"]), required=True, help="What to write.")
@click.option(
    "--java", is_flag=True, help="With --to p12: as Java reads it; without a key, a trust store of the certificates."
)
@click.option("--out", help="The file to write, - for standard output; needed where there is a key or binary data.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option(
    "--password-file", type=click.File("rb"), help="Read the inputs' passphrase from a file, - for standard input."
)
@click.option(
    "--out-password-file",
    type=click.File("rb"),
    help=f"Encrypt the key with the passphrase of this file. [p12: else {_PASSWORD}, else asked]",
)
@click.option("--name", help="The alias of the entry in PKCS#12.  [default: as it was, else the common name]")
@click.option("--entry", metavar="NAME", help="The alias of the key to take, where a file has several.")
@click.option("--cert-only", "part", flag_value="certificate", help="Only the certificate: the key's, else the leaf.")
@click.option("--key-only", "part", flag_value="key", help="Only the private key.")
@click.option("--chain", "part", flag_value="chain", help="Only the certificates, the leaf first.")
def convert(
    inputs: tuple[str, ...],
    form: Literal["pem", "der", "p12", "p7b"],
    java: bool,
    out: str | None,
    force: bool,
    password_file: Any,
    out_password_file: Any,
    name: str | None,
    entry: str | None,
    part: Literal["certificate", "key", "chain"] | None,
) -> None:
    """Write certificates and keys in another form: PEM, DER, PKCS#12 or PKCS#7.

    The inputs (- is standard input) may be of any form, also old PKCS#12 files. Several are joined: the key first, its
    certificate, then the issuers. Files with a key in them are written for their owner alone (0600).
    """
    from handclasp.app import convert as work

    if java and form != "p12":
        raise click.UsageError("--java goes with --to p12.")
    if part == "key" and form in ("p12", "p7b"):
        raise click.UsageError("A key alone is written with --to pem or --to der.")
    only_one_reads_it(inputs, password_file, out_password_file)
    wanted = work.Wanted(form, part or "all", java, name, entry)
    passphrase = None if password_file is None else passphrase_of(password_file, "")
    needs_key = part in (None, "key") and form != "p7b"
    ask = asked if "-" not in inputs else lambda _: None
    heap = []
    for one in inputs:
        data = standard_input() if one == "-" else work.load(one)
        shown = "Standard input" if one == "-" else one
        heap.append(work.read(shown, data, ask, passphrase, keys=needs_key))
    picked = work.pick(heap, wanted)
    secret = picked.key is not None
    if out is None and (secret or (form in ("der", "p12") and sys.stdout.isatty())):
        what = "The private key" if secret else "Binary data"
        raise click.UsageError(f"{what} is written to a file: name it with --out (--out - is standard output).")
    new = None
    if out_password_file is not None or form == "p12":
        variable = _PASSWORD if form == "p12" else None
        new = passphrase_of(out_password_file, f"New passphrase of {out or 'the file'}", variable, confirm=True)
        if new is not None and not new:
            raise click.UsageError("The passphrase is empty, and the file would protect nothing.")
    data = work.encode(picked, wanted, new)
    for note in picked.notes:
        click.echo(f"Note: {note}.", err=True)
    if out is None or out == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    work.save(Path(out), data, secret=secret, force=force)
    click.echo(f"Wrote {out}: {work.told(picked, wanted, encrypted=new is not None)}.", err=True)
