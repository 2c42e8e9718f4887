"""HAProxy: TLS refuses. It answers by itself, without a server behind it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from handclasp.testing.servers.case import SETTINGS, Client, Command, Listener, Product, Site
from handclasp.testing.servers.running import HOST, program

_VERIFY = {Client.OPTIONAL: "optional", Client.REQUIRED: "required"}

_CONFIGURATION = """
global
  log stdout format raw daemon
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  log global
  error-log-format "%ci:%cp %b ssl_c_err=%[ssl_c_err] ssl_c_ca_err=%[ssl_c_ca_err] %[ssl_fc_err_str]"
frontend everyone
{forbidden}  http-request return status 200 content-type text/plain string welcome
"""


def _prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    path = site.directory / "haproxy.cfg"
    shut = " ".join(str(one.port) for one in listeners if one.case.forbidden)
    forbidden = f"  http-request return status 403 if {{ dst_port {shut} }}\n" if shut else ""
    path.write_text(
        _CONFIGURATION.replace("{forbidden}", forbidden) + "".join(_bind(site, listener) for listener in listeners)
    )
    return [Command([program("haproxy"), "-db", "-f", path], listeners)]


def _bind(site: Site, listener: Listener) -> str:
    case = listener.case
    words = ["  bind", f"{HOST}:{listener.port}", "ssl crt", str(_certificate(site, listener)), "alpn h2,http/1.1"]
    words += [f"ssl-min-ver TLSv{case.versions.lowest}", f"ssl-max-ver TLSv{case.versions.highest}"]
    if case.client is not Client.NONE:
        words += [f"ca-file {listener.material.client_authorities} verify {_VERIFY[case.client]}"]
    if case.crl:
        words += [f"crl-file {case.crl}"]
    if case.ciphers:
        words += [f"ciphers {case.ciphers}"]
    if case.groups:
        words += [f"curves {case.groups}"]
    return " ".join(words) + "\n"


def _certificate(site: Site, listener: Listener) -> Path:
    """It staples what lies beside the certificate, so a certificate with a staple is a copy."""
    if listener.staple is None:
        return listener.credential.both
    copy = site.directory / f"{listener.port}.pem"
    shutil.copy(listener.credential.both, copy)
    shutil.copy(listener.staple, copy.with_suffix(".pem.ocsp"))
    return copy


HAPROXY = Product("haproxy", ("haproxy",), "haproxy", _prepare, staples=True, settings=SETTINGS - {"depth"})
