"""stunnel: TLS refuses. Behind it is a shell script that answers one HTTP request."""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.testing.servers.case import Client, Command, Listener, Product, Site
from handclasp.testing.servers.running import HOST, program

_ANSWER = """#!/bin/sh
return=$(printf '\\r')
while read -r line && [ -n "$line" ] && [ "$line" != "$return" ]; do :; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 8\\r\\nConnection: close\\r\\n\\r\\nwelcome\\n'
"""
_VERIFY = {Client.OPTIONAL: 1, Client.REQUIRED: 2}


def _prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    script = site.directory / "answer.sh"
    script.write_text(_ANSWER)
    script.chmod(0o755)
    path = site.directory / "stunnel.conf"
    beginning = "foreground = yes\npid =\ndebug = info\nsyslog = no\n"
    path.write_text(beginning + "".join(_service(listener, str(script)) for listener in listeners))
    return [Command([program("stunnel4"), path], listeners)]


def _service(listener: Listener, script: str) -> str:
    case, credential = listener.case, listener.credential
    lines = [f"accept = {HOST}:{listener.port}", f"exec = {script}", "execArgs = answer"]
    lines += [f"cert = {credential.chain}", f"key = {credential.key}"]
    lines += [f"sslVersionMin = TLSv{case.versions.lowest}", f"sslVersionMax = TLSv{case.versions.highest}"]
    if case.client is not Client.NONE:
        lines += [f"CAfile = {listener.material.client_authorities}", f"verify = {_VERIFY[case.client]}"]
    return f"[{listener.port}]\n" + "".join(f"{line}\n" for line in lines)


STUNNEL = Product("stunnel", ("stunnel4",), "stunnel4", _prepare)
