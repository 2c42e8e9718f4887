"""`handclasp up`."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click

from handclasp.cli.options import place, state_of


@click.command()
@place
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="[NAME=]URL",
    help="Your API, on the first run; repeatable with a NAME each. http://, https:// or h2c:// (gRPC without TLS).",
)
@click.option("--demo", is_flag=True, help="Put a small orders API of our own behind the gateway.")
@click.option("--trust-domain", metavar="NAME", help="On the first run. [default: handclasp.internal]")
@click.option("--listen", metavar="[ADDRESS:]PORT", help="On the first run. [default: 8443]")
def up(
    directory: Path,
    config_path: Path,
    upstreams: tuple[str, ...],
    demo: bool,
    trust_domain: str | None,
    listen: str | None,
) -> None:
    """Put an API behind mutual TLS: authority, gateway and all, until Ctrl-C.

    The first run makes an authority, writes handclasp.yaml and a first caller's certificate. Later runs take what is
    there. Changes of handclasp.yaml are live in under a second.
    """
    import asyncio
    import logging
    import os

    from handclasp.app.serve import UpOptions
    from handclasp.app.serve import up as run

    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("handclasp").setLevel(logging.INFO)
    os.umask(0o077)  # what is written without a mode of its own, such as logs, is for its owner alone
    options = UpOptions(
        state=state_of(directory),
        config=config_path,
        upstreams=tuple(_named(upstreams)),
        demo=demo,
        trust_domain=trust_domain,
        listen=listen,
        command=command_name(),
    )
    asyncio.run(run(options, click.echo))


def command_name() -> str:
    """How this program is called from where the user is: by name if it is on the PATH, else by its path."""
    ours = Path(sys.argv[0]).absolute()
    if ours.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m handclasp"
    found = shutil.which("handclasp")
    return "handclasp" if found and Path(found).absolute() == ours else shlex.quote(str(ours))


def _named(upstreams: tuple[str, ...]) -> list[tuple[str, str]]:
    named = []
    for text in upstreams:
        name, equals, url = text.partition("=")
        if not equals or "/" in name or ":" in name:
            name, url = "api", text
        named.append((name, url))
    names = [name for name, _ in named]
    if len(set(names)) < len(names):
        raise click.UsageError(
            "Several upstreams need a name each: --upstream orders=http://... --upstream users=http://..."
        )
    return named
