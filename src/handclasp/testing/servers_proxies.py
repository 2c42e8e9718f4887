"""Real proxies, which let through whoever knows the password; and real servers that stand behind a load balancer and
take nobody without the header of the PROXY protocol.

    with one(TINYPROXY, material, Case()) as proxy: ...
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from handclasp.testing.servers.case import Client, Command, Listener, Product, Site
from handclasp.testing.servers.running import HOST, program

USER, PASSWORD = "porter", "open-sesame"
"""Whom the proxies let through."""


def _microsocks(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    (listener,) = listeners
    call = [program("microsocks"), "-i", HOST, "-p", str(listener.port), "-u", USER, "-P", PASSWORD]
    return [Command(call, listeners)]


def _tinyproxy(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    """Without ``ConnectPort`` it connects to every port."""
    (listener,) = listeners
    path = site.directory / "tinyproxy.conf"
    path.write_text(f"Port {listener.port}\nListen {HOST}\nAllow {HOST}\nBasicAuth {USER} {PASSWORD}\n")
    return [Command([program("tinyproxy"), "-d", "-c", path], listeners)]


def _haproxy(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    (listener,) = listeners
    path = site.directory / "haproxy.cfg"
    path.write_text(f"""
defaults
  mode http
  timeout client 10s
  timeout connect 10s
  timeout server 10s
frontend behind
  bind {HOST}:{listener.port} accept-proxy ssl crt {listener.credential.both}
  http-request return status 200 content-type text/plain lf-string "%[src]"
""")
    return [Command([program("haproxy"), "-db", "-f", path], listeners)]


def _nginx(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    (listener,) = listeners
    user = "user root;" if os.geteuid() == 0 else ""  # its worker stays who may write here
    bodies = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    path = site.directory / "nginx.conf"
    path.write_text(f"""
daemon off; {user} worker_processes 1; pid {site.directory}/nginx.pid; error_log {site.log} info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  {" ".join(f"{kind}_temp_path {site.directory}/{kind};" for kind in bodies)}
  server {{
    listen {HOST}:{listener.port} ssl proxy_protocol;
    ssl_certificate {listener.credential.chain}; ssl_certificate_key {listener.credential.key};
    location / {{ return 200 "$remote_addr"; }}
  }}
}}
""")
    return [Command([program("nginx"), "-c", path, "-p", site.directory, "-e", site.log], listeners)]


_NOBODY = frozenset({Client.NONE})

MICROSOCKS = Product("microsocks", ("microsocks",), "microsocks", _microsocks, clients=_NOBODY)
"""SOCKS5 with a password."""
TINYPROXY = Product("tinyproxy", ("tinyproxy",), "tinyproxy-bin", _tinyproxy, clients=_NOBODY)
"""HTTP CONNECT with a password."""

BEHIND_A_BALANCER = (
    Product("haproxy", ("haproxy",), "haproxy", _haproxy, clients=_NOBODY),
    Product("nginx", ("nginx",), "nginx-light", _nginx, clients=_NOBODY),
)
"""HTTPS servers that want the PROXY protocol, and answer with the caller's address."""
