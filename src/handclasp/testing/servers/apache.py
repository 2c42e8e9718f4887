"""Apache httpd: TLS refuses; or HTTP does, where only a location requires a certificate.

Such a location has the client renegotiate (TLS 1.2) or asks it once more after the handshake (TLS 1.3). The client
that will do neither gets 403.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from handclasp.testing.servers.case import SETTINGS, Client, Command, Listener, Product, Site, Versions
from handclasp.testing.servers.running import HOST, program

_VERIFY = {Client.NONE: "none", Client.OPTIONAL: "optional", Client.REQUIRED: "require", Client.LOCATION: "none"}
_PROTOCOLS = {Versions.TLS12: "+TLSv1.2", Versions.TLS13: "+TLSv1.3", Versions.BOTH: "+TLSv1.2 +TLSv1.3"}
_MODULES = Path("/usr/lib/apache2/modules")
_LOADED = ("mpm_event", "authz_core", "alias", "ssl")


def _prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    document = site.directory / "welcome.txt"
    document.write_text("welcome\n")
    modules = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _LOADED)
    servers = "\n".join(_server(listener) for listener in listeners)
    configuration = f"""
ServerRoot {site.directory}
DefaultRuntimeDir {site.directory}
PidFile {site.directory}/pid
ServerName localhost
ErrorLog {site.log}
{modules}
{_who()}
LogLevel info ssl:info
StartServers 1
SSLSessionCache none
AliasMatch ^ {document}
{servers}
"""
    path = site.directory / "apache.conf"
    path.write_text(configuration)
    return [Command([program("apache2"), "-DFOREGROUND", "-f", path], listeners)]


def _who() -> str:
    """Its children may not be root."""
    if os.geteuid() != 0:
        return ""
    nobody = pwd.getpwnam("nobody")
    return f"User nobody\nGroup {grp.getgrgid(nobody.pw_gid).gr_name}"


def _server(listener: Listener) -> str:
    case, credential = listener.case, listener.credential
    authorities, location = "", ""
    if case.client is not Client.NONE:
        authorities = f"SSLCACertificateFile {listener.material.client_authorities}\n  SSLVerifyDepth {case.depth or 3}"
    if case.crl:
        authorities += f"\n  SSLCARevocationFile {case.crl}\n  SSLCARevocationCheck chain"
    if case.ciphers:
        authorities += f"\n  SSLCipherSuite {case.ciphers}"
    if case.groups:
        authorities += f"\n  SSLOpenSSLConfCmd Groups {case.groups}"
    if case.forbidden:
        location = '<Location "/">\n    Require all denied\n  </Location>'
    if case.client is Client.LOCATION:
        location = '<Location "/">\n    SSLVerifyClient require\n  </Location>'
    return f"""Listen {HOST}:{listener.port}
<VirtualHost {HOST}:{listener.port}>
  SSLEngine on
  SSLProtocol -all {_PROTOCOLS[case.versions]}
  SSLCertificateFile {credential.chain}
  SSLCertificateKeyFile {credential.key}
  SSLVerifyClient {_VERIFY[case.client]}
  {authorities}
  {location}
</VirtualHost>"""


APACHE = Product("apache", ("apache2",), "apache2-bin", _prepare, clients=frozenset(Client), settings=SETTINGS)
