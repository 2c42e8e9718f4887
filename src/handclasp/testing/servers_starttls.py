"""Real servers that change over to TLS: the products that people run for each protocol, with TLS and without it.

    with one(SPEAKING[StartTLS.SMTP], material, Case()) as server: ...

None of them serves anybody: no mailbox, no account, no table.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from handclasp.probe.target import StartTLS
from handclasp.testing.servers.case import Client, Command, Listener, Product, Site
from handclasp.testing.servers.running import HOST, program

DOMAIN = "localhost"
"""The name of the XMPP server, and of every other."""

_POSTGRES = Path("/usr/lib/postgresql")
Prepare = Callable[[Site, Sequence[Listener]], Sequence[Command]]


def _exim(tls: bool) -> Prepare:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        (listener,) = listeners
        chain, key = _files(site, listener, "Debian-exim")
        spool = _directory(site, "spool", "Debian-exim")
        files = f"tls_certificate = {chain}\ntls_privatekey = {key}\ntls_advertise_hosts = *"
        path = _write(
            site,
            "exim.conf",
            f"""
primary_hostname = {DOMAIN}
spool_directory = {spool}
log_file_path = {spool}/%slog
pid_file_path = {site.directory}/exim.pid
local_interfaces = {HOST}
daemon_smtp_ports = {listener.port}
keep_environment =
host_lookup =
rfc1413_hosts =
{files if tls else "tls_advertise_hosts ="}
""",
        )
        return [Command([program("exim4"), "-bdf", "-C", path], listeners)]

    return prepare


def _dovecot(protocol: str, tls: bool) -> Prepare:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        (listener,) = listeners
        chain, key = _files(site, listener, None)
        path = _write(
            site,
            "dovecot.conf",
            f"""
base_dir = {site.directory}/run
state_dir = {site.directory}/state
log_path = {site.log}
protocols = {protocol}
listen = {HOST}
ssl = {"yes" if tls else "no"}
{f"ssl_cert = <{chain}" if tls else ""}
{f"ssl_key = <{key}" if tls else ""}
service {protocol}-login {{
  inet_listener {protocol} {{
    port = {listener.port}
  }}
  inet_listener {protocol}s {{
    port = 0
  }}
}}
passdb {{
  driver = static
  args = nopassword=n
}}
""",
        )
        return [Command([program("dovecot"), "-F", "-c", path], listeners)]

    return prepare


def _vsftpd(tls: bool) -> Prepare:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        (listener,) = listeners
        chain, key = _files(site, listener, None)
        empty = _directory(site, "empty", None)
        settings = {
            "listen": "YES",
            "listen_address": HOST,
            "listen_port": str(listener.port),
            "background": "NO",
            "secure_chroot_dir": str(empty),
            "vsftpd_log_file": str(site.log),
            "ssl_enable": "YES" if tls else "NO",
            "rsa_cert_file": str(chain),
            "rsa_private_key_file": str(key),
        }
        path = _write(site, "vsftpd.conf", "\n".join(f"{name}={value}" for name, value in settings.items()) + "\n")
        return [Command([program("vsftpd"), path], listeners)]

    return prepare


def _slapd(tls: bool) -> Prepare:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        (listener,) = listeners
        chain, key = _files(site, listener, None)
        files = f"TLSCertificateFile {chain}\nTLSCertificateKeyFile {key}\n"
        path = _write(site, "slapd.conf", f"pidfile {site.directory}/slapd.pid\n{files if tls else ''}")
        return [Command([program("slapd"), "-h", f"ldap://{HOST}:{listener.port}", "-f", path, "-d", "0"], listeners)]

    return prepare


def _postgres(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    """With TLS. On its Unix socket (in the directory of its log) it has none, and says so."""
    (listener,) = listeners
    user = "postgres" if os.geteuid() == 0 else None
    chain, key = _files(site, listener, user)
    binaries = max(_POSTGRES.glob("*/bin"), key=lambda path: int(path.parent.name))
    data, sockets = site.directory / "data", site.directory
    if user is not None:
        shutil.chown(sockets, user)
    made: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "handclasp",
        "-A",
        "trust",
        "--no-sync",
        "--no-instructions",
    ]
    shutil.rmtree(data, ignore_errors=True)  # of an attempt before
    with site.log.open("ab") as output:
        subprocess.run([*_as(user), *made], check=True, cwd="/", stdout=output, stderr=output)
    settings = (
        f"listen_addresses={HOST}",
        f"port={listener.port}",
        f"unix_socket_directories={sockets}",
        "ssl=on",
        f"ssl_cert_file={chain}",
        f"ssl_key_file={key}",
        "fsync=off",
        "shared_buffers=4MB",
    )
    options = [word for setting in settings for word in ("-c", setting)]
    return [Command([*_as(user), binaries / "postgres", "-D", data, *options], listeners)]


def _mariadb(tls: bool) -> Prepare:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        """Without tables of any kind, which spares some seconds: nobody gets as far as asking for them."""
        (listener,) = listeners
        chain, key = _files(site, listener, "nobody")
        data = _directory(site, "data", "nobody")
        options = [
            *("--no-defaults", "--skip-grant-tables", "--skip-innodb", "--default-storage-engine=MyISAM"),
            *("--skip-name-resolve", f"--bind-address={HOST}", f"--port={listener.port}"),
            *(f"--datadir={data}", f"--socket={data}/socket", f"--pid-file={data}/pid"),
            *(["--user=nobody"] if os.geteuid() == 0 else []),
            *([f"--ssl-cert={chain}", f"--ssl-key={key}"] if tls else ["--skip-ssl"]),
        ]
        return [Command([program("mariadbd"), *options], listeners)]

    return prepare


def _prosody(tls: bool) -> Prepare:
    def prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
        (listener,) = listeners
        chain, key = _files(site, listener, None)
        path = _write(
            site,
            "prosody.cfg.lua",
            f"""
daemonize = false
run_as_root = true
pidfile = "{site.directory}/prosody.pid"
data_path = "{site.directory}"
log = {{ info = "{site.log}" }}
interfaces = {{ "{HOST}" }}
c2s_ports = {{ {listener.port} }}
c2s_require_encryption = false
c2s_close_timeout = 0.1
modules_enabled = {{ {'"tls", ' if tls else ""}"saslauth" }}
modules_disabled = {{ "s2s" }}
VirtualHost "{DOMAIN}"
{f'ssl = {{ certificate = "{chain}", key = "{key}" }}' if tls else ""}
""",
        )
        return [Command([program("prosody"), "--config", path], listeners)]

    return prepare


def _files(site: Site, listener: Listener, user: str | None) -> tuple[Path, Path]:
    """The chain and the key where ``user`` may read them, as most servers do after they have given up root's rights."""
    credential = listener.credential
    chain = _write(site, "chain.pem", credential.chain.read_text())
    key = _write(site, "key.pem", credential.key.read_text(), mode=0o600)
    if user is not None and os.geteuid() == 0:
        shutil.chown(key, user)
    return chain, key


def _directory(site: Site, name: str, user: str | None) -> Path:
    path = site.directory / name
    path.mkdir(exist_ok=True)
    if user is not None and os.geteuid() == 0:
        shutil.chown(path, user)
    return path


def _write(site: Site, name: str, text: str, *, mode: int = 0o644) -> Path:
    path = site.directory / name
    path.write_text(text)
    path.chmod(mode)
    return path


def _as(user: str | None) -> list[str]:
    """What comes before a program that is to be run by the user."""
    if user is None:
        return []
    group = pwd.getpwnam(user).pw_gid
    return [program("setpriv"), f"--reuid={user}", f"--regid={group}", "--clear-groups"]


def _product(name: str, programs: tuple[str, ...], package: str, prepare: Prepare) -> Product:
    return Product(name, programs, package, prepare, clients=frozenset({Client.NONE}))


SPEAKING: Mapping[StartTLS, Product] = MappingProxyType(
    {
        StartTLS.SMTP: _product("exim", ("exim4",), "exim4-daemon-light", _exim(True)),
        StartTLS.IMAP: _product(
            "dovecot", ("dovecot", "/usr/lib/dovecot/imap-login"), "dovecot-imapd", _dovecot("imap", True)
        ),
        StartTLS.POP3: _product(
            "dovecot", ("dovecot", "/usr/lib/dovecot/pop3-login"), "dovecot-pop3d", _dovecot("pop3", True)
        ),
        StartTLS.FTP: _product("vsftpd", ("vsftpd",), "vsftpd", _vsftpd(True)),
        StartTLS.LDAP: _product("slapd", ("slapd",), "slapd", _slapd(True)),
        StartTLS.POSTGRES: _product("postgres", ("setpriv", "pg_ctlcluster"), "postgresql", _postgres),
        StartTLS.MYSQL: _product("mariadb", ("mariadbd",), "mariadb-server-core", _mariadb(True)),
        StartTLS.XMPP: _product("prosody", ("prosody",), "prosody", _prosody(True)),
    }
)
"""A server of each protocol that changes over to TLS."""

REFUSING: Mapping[StartTLS, Product] = MappingProxyType(
    {
        StartTLS.SMTP: _product("exim", ("exim4",), "exim4-daemon-light", _exim(False)),
        StartTLS.IMAP: _product(
            "dovecot", ("dovecot", "/usr/lib/dovecot/imap-login"), "dovecot-imapd", _dovecot("imap", False)
        ),
        StartTLS.POP3: _product(
            "dovecot", ("dovecot", "/usr/lib/dovecot/pop3-login"), "dovecot-pop3d", _dovecot("pop3", False)
        ),
        StartTLS.FTP: _product("vsftpd", ("vsftpd",), "vsftpd", _vsftpd(False)),
        StartTLS.LDAP: _product("slapd", ("slapd",), "slapd", _slapd(False)),
        StartTLS.MYSQL: _product("mariadb", ("mariadbd",), "mariadb-server-core", _mariadb(False)),
        StartTLS.XMPP: _product("prosody", ("prosody",), "prosody", _prosody(False)),
    }
)
"""The same without TLS; of PostgreSQL it is the Unix socket of the other."""
