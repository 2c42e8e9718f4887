"""``openssl s_server``: one process for each port, one connection at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handclasp.testing.servers.case import SETTINGS, Client, Command, Listener, Product, Site, Versions
from handclasp.testing.servers.running import HOST, program

_ASKING = {Client.NONE: (), Client.OPTIONAL: ("-verify", "3"), Client.REQUIRED: ("-Verify", "3")}
_VERSIONS = {Versions.TLS12: ("-tls1_2",), Versions.TLS13: ("-tls1_3",), Versions.BOTH: ()}


def _prepare(_: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    return [Command(_arguments(listener), [listener]) for listener in listeners]


def _arguments(listener: Listener) -> list[str | Path]:
    case, credential = listener.case, listener.credential
    arguments: list[str | Path] = [program("openssl"), "s_server", "-accept", f"{HOST}:{listener.port}", "-www"]
    arguments += ["-cert", credential.leaf, "-key", credential.key]
    arguments += ["-cert_chain", credential.issuers] if credential.above else []
    arguments += [*_VERSIONS[case.versions], *_ASKING[case.client]]
    if case.client is not Client.NONE:
        arguments += ["-CAfile", listener.material.client_authorities, "-verify_return_error"]
    if case.depth is not None:
        arguments += ["-verify_depth", str(case.depth)]
    if case.ciphers:
        arguments += ["-cipher", case.ciphers]
    if case.groups:
        arguments += ["-groups", case.groups]
    if listener.staple:
        arguments += ["-status_file", listener.staple]
    return arguments


OPENSSL = Product("openssl", ("openssl",), "openssl", _prepare, staples=True, settings=SETTINGS - {"forbidden", "crl"})
