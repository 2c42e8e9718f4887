"""nginx: a required certificate is required by HTTP, which answers 400; TLS takes whatever comes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from handclasp.testing.servers.case import SETTINGS, Client, Command, Listener, Product, Site, Versions
from handclasp.testing.servers.running import HOST, program

_VERIFY = {Client.NONE: "off", Client.OPTIONAL: "optional", Client.REQUIRED: "on"}
_PROTOCOLS = {Versions.TLS12: "TLSv1.2", Versions.TLS13: "TLSv1.3", Versions.BOTH: "TLSv1.2 TLSv1.3"}


def _prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    user = "user root;" if os.geteuid() == 0 else ""  # its worker stays who may write here
    bodies = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {site.directory}/{kind};" for kind in bodies)
    servers = "\n".join(_server(listener) for listener in listeners)
    configuration = f"""
daemon off; {user} worker_processes 1; pid {site.directory}/nginx.pid; error_log {site.log} info;
events {{ worker_connections 512; }}
http {{
  access_log off;
  {paths}
  {servers}
}}
"""
    path = site.directory / "nginx.conf"
    path.write_text(configuration)
    return [Command([program("nginx"), "-c", path, "-p", site.directory, "-e", site.log], listeners)]


def _server(listener: Listener) -> str:
    case, credential = listener.case, listener.credential
    asking = f"ssl_verify_client {_VERIFY[case.client]};"
    if case.client is not Client.NONE:
        depth = 3 if case.depth is None else case.depth
        asking += f" ssl_client_certificate {listener.material.client_authorities}; ssl_verify_depth {depth};"
    if case.crl:
        asking += f" ssl_crl {case.crl};"
    if case.ciphers:
        asking += f" ssl_ciphers {case.ciphers};"
    if case.groups:
        asking += f" ssl_ecdh_curve {case.groups};"
    answer = "403" if case.forbidden else '200 "welcome\\n"'
    stapling = f"ssl_stapling on; ssl_stapling_file {listener.staple};" if listener.staple else ""
    return f"""server {{
    listen {HOST}:{listener.port} ssl;
    ssl_certificate {credential.chain}; ssl_certificate_key {credential.key};
    ssl_protocols {_PROTOCOLS[case.versions]};
    {asking} {stapling}
    location / {{ return {answer}; }}
  }}"""


NGINX = Product("nginx", ("nginx",), "nginx-light", _prepare, staples=True, settings=SETTINGS)
