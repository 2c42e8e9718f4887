"""`handclasp doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.options import Duration, as_json, passphrase_of, settings_of, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handclasp.doctor.diagnosis import Diagnosis

_MOST = 10 << 20  # octets of a log
_CLIENTS = ("curl", "python", "java", "go", "node")
_SERVERS = ("nginx", "apache", "haproxy", "envoy", "caddy", "iis", "java", "go", "openssl")
_HEEDED = {
    "--files": {"--password-file"},
    "--pair": {"--password-file", "--cacert", "--server-ca-bundle", "--crl", "--sni"},
    "--message": set[str](),
    "--pcap": set[str](),
    "--config": {"--cert", "--key", "--password-file", "--server"},
}
"""Which options go with which mode; with an endpoint, all of them."""
_STARTTLS = ("smtp", "imap", "pop3", "ftp", "ldap", "postgres", "mysql", "xmpp")


@click.command()
@click.argument("subjects", nargs=-1, metavar="[URL|HOST:PORT|PATH...]")
@click.option("--files", is_flag=True, help="Examine files: certificates, keys, CRLs, stores, directories, secrets.")
@click.option("--pair", is_flag=True, help="Replay the handshake in memory: CLIENT_FILES SERVER_FILES, two PATHs.")
@click.option("--message", "messages", multiple=True, help="Explain an error text or a log line; repeatable.")
@click.option("--pcap", metavar="FILE", help="Read the handshakes of a capture.")
@click.option("--config", "configuration", metavar="FILE", help="Judge a server's configuration.")
@click.option("--cert", metavar="FILE", help="The client's certificate: PEM or PKCS#12, with the chain above it.")
@click.option("--key", metavar="FILE", help="Its private key, where it is not in the same file.")
@click.option("--cacert", "cacerts", multiple=True, metavar="FILE", help="By whom the client verifies servers.")
@click.option(
    "--server-ca-bundle", "bundles", multiple=True, metavar="FILE", help="By whom the server verifies clients."
)
@click.option("--crl", "crls", multiple=True, metavar="FILE", help="A revocation list to heed; repeatable.")
@click.option("--sni", "server_name", metavar="NAME", help="Ask for this name, instead of the target's.")
@click.option("--password-file", type=click.File("rb"), help="The passphrase of the files; - is standard input.")
@click.option("--log", metavar="FILE", help="The server's log of the failure; it decides where an alert cannot.")
@click.option("--server", "product", type=click.Choice(_SERVERS), help="The server's software, where you know it.")
@click.option("--client", type=click.Choice(_CLIENTS), default="curl", show_default=True, help="Whose fix to show.")
@click.option("--tls", "version", type=click.Choice(["1.2", "1.3"]), help="The client speaks this version only.")
@click.option("--address", metavar="HOST", help="Connect there, whatever the name resolves to.")
@click.option("--starttls", type=click.Choice(_STARTTLS), help="Begin in the clear with this protocol.")
@click.option("--timeout", type=Duration(), default="10s", show_default=True, help="For each connection.")
@click.option("--sarif", "form", flag_value="sarif", default=None, help="Print SARIF 2.1.0.")
@click.option("--markdown", "form", flag_value="markdown", help="Print a report for a ticket.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".handclasp"),
    show_default=True,
    envvar="HANDCLASP_DIR",
    help="The state directory, whose authority is trusted as well.",
)
@as_json
def doctor(
    subjects: tuple[str, ...],
    files: bool,
    pair: bool,
    messages: tuple[str, ...],
    pcap: str | None,
    configuration: str | None,
    cert: str | None,
    key: str | None,
    cacerts: tuple[str, ...],
    bundles: tuple[str, ...],
    crls: tuple[str, ...],
    server_name: str | None,
    password_file: Any,
    log: str | None,
    product: str | None,
    client: str,
    version: str | None,
    address: str | None,
    starttls: str | None,
    timeout: float,
    form: str | None,
    directory: Path,
    json_: bool,
) -> None:
    """Say why a mutual-TLS handshake fails, with the proof and the fix.

    Examines a server (URL or HOST:PORT), files, both sides' files together, an error text, a log on standard input, a
    capture, or a server's configuration. Exits 0 where all is well, 1 with findings, 2 where it could not examine.
    """
    from handclasp.app import doctoring
    from handclasp.cli.inspect import only_one_reads_it

    chosen = [files, pair, bool(messages), pcap is not None, configuration is not None]
    if sum(chosen) > 1:
        raise click.UsageError("Choose one of --files, --pair, --message, --pcap and --config.")
    mode = next((name for name, is_it in zip(_HEEDED, chosen, strict=True) if is_it), "")
    if not mode and subjects in {(), ("-",)}:
        mode = "--message"
    _heeded(
        mode,
        {
            "--cert": cert,
            "--key": key,
            "--cacert": cacerts,
            "--server-ca-bundle": bundles,
            "--crl": crls,
            "--sni": server_name,
            "--password-file": password_file,
            "--log": log,
            "--server": product,
            "--tls": version,
            "--address": address,
            "--starttls": starttls,
        },
    )
    given = tuple(one for one in (*subjects, cert, key, log, *cacerts, *bundles, *crls) if one is not None)
    only_one_reads_it(given, password_file)
    passphrase = None if password_file is None else passphrase_of(password_file, "")
    if files:
        if not subjects:
            raise click.UsageError("Name the files: handclasp doctor --files PATH...")
        diagnosis = doctoring.of_files(subjects, passphrase)
    elif pair:
        if len(subjects) != 2:
            raise click.UsageError("Name two: handclasp doctor --pair CLIENT_FILES SERVER_FILES.")
        both = doctoring.Asked(
            target="", cacerts=cacerts, bundles=bundles, crls=crls, passphrase=passphrase, server_name=server_name
        )
        diagnosis = doctoring.of_pair(*subjects, both)
    elif messages:
        diagnosis = doctoring.of_words("\n".join(messages), "the message")
    elif pcap is not None:
        diagnosis = doctoring.of_capture(pcap)
    elif configuration is not None:
        named = [one for one in (cert, key) if one is not None]
        diagnosis = doctoring.of_config(configuration, product or "", named, passphrase)
    elif subjects in {(), ("-",)}:
        diagnosis = _of_log(typed=subjects == ("-",))
    else:
        if len(subjects) > 1:
            raise click.UsageError("Name one server. Files are examined with --files.")
        if key is not None and cert is None:
            raise click.UsageError("--key belongs to a --cert.")
        diagnosis = _of_endpoint(
            directory,
            doctoring.Asked(
                target=subjects[0],
                cert=cert,
                key=key,
                cacerts=cacerts,
                bundles=bundles,
                crls=crls,
                passphrase=passphrase,
                server_name=server_name,
                address=address,
                starttls=starttls,
                version=version,
                timeout=timeout,
                product=product or "",
                log=log,
            ),
        )
    _print(diagnosis, "json" if json_ else form, client)
    sys.exit(diagnosis.exit_code)


def _heeded(mode: str, options: Mapping[str, object]) -> None:
    """An option that would be passed over in silence is a mistake."""
    if not mode:
        return
    for name, value in options.items():
        if value and name not in _HEEDED[mode]:
            raise click.UsageError(f"{name} has no meaning with {mode}.")


def _of_endpoint(directory: Path, asked: Any) -> Diagnosis:
    import asyncio

    from handclasp.app import doctoring

    def settings() -> Any:
        return settings_of(Path("handclasp.yaml"))

    return asyncio.run(doctoring.endpoint_of(asked, state_of(directory), settings))


def _of_log(*, typed: bool) -> Diagnosis:
    from handclasp.app import doctoring

    if not typed and sys.stdin.isatty():
        raise click.UsageError(
            "Name a server (handclasp doctor HOST:PORT), give --message TEXT, or send a log to standard input."
        )
    text = sys.stdin.buffer.read(_MOST).decode(errors="replace")
    return doctoring.of_words(text, "standard input")


def _print(diagnosis: Diagnosis, form: str | None, client: str) -> None:
    from handclasp import __version__
    from handclasp.doctor import report_text, sarif

    told = diagnosis.as_json()
    if form == "json":
        click.echo(json.dumps(told))
    elif form == "sarif":
        click.echo(json.dumps(sarif.sarif(told, __version__)))
    elif form == "markdown":
        click.echo(report_text.markdown(told), nl=False)
    else:
        for line in report_text.lines(told, client=client):
            click.echo(line)
