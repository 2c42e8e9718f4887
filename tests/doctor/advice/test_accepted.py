"""The real programs accept what is advised, with files in a directory whose name needs quotes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.dataplane.envoy import binary
from handclasp.doctor.advice import fixes
from handclasp.doctor.diagnosis import Fix, Side
from handclasp.findings import Code
from handclasp.testing import chains
from handclasp.testing.servers import Material, make_material

PORT = "18443"
CODES = {
    "trust": Code.CLIENT_CERT_UNKNOWN_CA,
    "names": Code.CLIENT_CERT_NOT_SENT_CA_FILTER,
    "certificate": Code.SERVER_CHAIN_INCOMPLETE,
    "depth": Code.CLIENT_CHAIN_TOO_DEEP,
    "crl": Code.SERVER_CRL_EXPIRED,
    "require": Code.MTLS_OPTIONAL,
    "versions": Code.TLS_VERSION_MISMATCH,
    "ciphers": Code.TLS_NO_SHARED_CIPHER,
    "groups": Code.TLS_NO_SHARED_GROUP,
    "host": Code.TLS_SNI_UNRECOGNIZED,
    "identity": Code.CLIENT_IDENTITY_NOT_ALLOWED,
    "tls": Code.PROTO_TLS_TO_PLAIN,
    "log": Code.NET_CLOSED_DURING_HANDSHAKE,
    "sessions": Code.CONFIG_RESUMPTION,
    "header": Code.CONFIG_IDENTITY_HEADER,
    "staple": Code.SERVER_STAPLE_EXPIRED,
}
EXTENSION = "type.googleapis.com/envoy.extensions."
MODULES = ("mpm_event", "authz_core", "alias", "socache_shmcb", "headers", "ssl")
pytestmark = pytest.mark.parametrize("setting", CODES)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Files whose names have what quoting is for."""
    directory = tmp_path_factory.mktemp("advice") / "o'clock #1; a b"
    directory.mkdir()
    return make_material(directory)


@pytest.fixture
def facts(material: Material) -> dict[str, str]:
    server = material.server
    crl = material.directory / "clients.crl.pem"
    if not crl.exists():
        crl.write_bytes(chains.make_crl(material.root).public_bytes(Encoding.PEM))
    files = {"cert": server.chain, "key": server.key, "chain": server.chain, "bundle": material.client_authorities}
    names = {key: str(path) for key, path in (files | {"crl": crl}).items()}
    return names | {
        "port": PORT,
        "subject": "CN=client,O=It's Acme",
        "name": "spiffe://a.test/it's #1",
        "side": "server",
    }


def _advised(setting: str, product: str, facts: dict[str, str], directory: Path, material: Material) -> Fix:
    """What is advised to the server; the files that its commands would make are in the directory."""
    code = CODES[setting]
    if code.startswith("CLIENT_") or setting == "crl":  # here cert would be the client's: the server's stand by
        facts = {key: value for key, value in facts.items() if key not in ("cert", "key", "chain")}
    for name in ("server.pem", "server-chain.pem"):
        shutil.copy(material.server.chain, directory / name)
    shutil.copy(material.server.key, directory / "server.key")
    shutil.copy(material.client.leaf, directory / "client.pem")
    for name in ("haproxy.pem", "api.example.com.pem"):
        shutil.copy(material.server.both, directory / name)
    assert material.server.staple is not None
    shutil.copy(material.server.staple, directory / "staple.der")
    found = [
        one for one in fixes(code, server=product, facts=facts) if (one.side, one.product) == (Side.SERVER, product)
    ]
    assert found[0].configuration
    return found[0]


def _accepts(arguments: list[str | Path], directory: Path) -> None:
    environment = os.environ | {"XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    done = subprocess.run(
        arguments, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _split(lines: tuple[str, ...], *marks: str) -> tuple[list[str], list[str]]:
    """The lines that are for here, and those under a comment that says that they are for elsewhere."""
    here: list[str] = []
    elsewhere: list[str] = []
    into = here
    for line in lines:
        if line.startswith("# "):
            into = elsewhere if line in marks else here
        else:
            into.append(line)
    return here, elsewhere


def test_nginx(setting: str, facts: dict[str, str], tmp_path: Path, material: Material) -> None:
    """nginx -t."""
    here, beside = _split(_advised(setting, "nginx", facts, tmp_path, material).configuration, "# beside the server")
    given = " ".join(line.split()[0] for line in here)
    listen = "" if "listen" in given else f"listen {PORT} ssl;"
    pair = "" if "ssl_certificate " in given + " " else "ssl_certificate server.pem; ssl_certificate_key server.key;"
    crl = "ssl_client_certificate client.pem;" if setting == "crl" else ""
    here = [line.replace("/var/log/nginx/error.log", "error.log") for line in here]
    (tmp_path / "nginx.conf").write_text(
        f"pid nginx.pid; events {{}}\nhttp {{ access_log off; {chr(10).join(beside)}\nserver {{ {listen} {pair} {crl}\n"
        + "\n".join(here)
        + "\n} }\n"
    )
    _accepts(["nginx", "-t", "-q", "-p", tmp_path, "-e", "stderr", "-c", tmp_path / "nginx.conf"], tmp_path)


def test_apache(setting: str, facts: dict[str, str], tmp_path: Path, material: Material) -> None:
    """apache2 -t."""
    advised = _advised(setting, "apache", facts, tmp_path, material)
    here, outside = _split(advised.configuration, "# outside every VirtualHost")
    text = "\n".join(here)
    pair = "" if "SSLCertificateFile" in text else "SSLCertificateFile server.pem\nSSLCertificateKeyFile server.key"
    on = "" if "SSLEngine" in text else "SSLEngine on"
    modules = "\n".join(f"LoadModule {one}_module /usr/lib/apache2/modules/mod_{one}.so" for one in MODULES)
    (tmp_path / "apache.conf").write_text(
        f"ServerRoot {tmp_path}\nDefaultRuntimeDir {tmp_path}\nPidFile pid\nServerName localhost\nErrorLog log\n"
        f"{modules}\n"
        + "\n".join(outside)
        + f"\nListen {PORT}\n<VirtualHost *:{PORT}>\n{on}\n{pair}\n{text}\n</VirtualHost>\n"
    )
    _accepts(["apache2", "-t", "-f", tmp_path / "apache.conf"], tmp_path)


def test_haproxy(setting: str, facts: dict[str, str], tmp_path: Path, material: Material) -> None:
    """haproxy -c."""
    advised = _advised(setting, "haproxy", facts, tmp_path, material)
    here, global_ = _split(advised.configuration, "# in global")
    bind = "" if any(line.startswith("bind") for line in here) else f"bind :{PORT} ssl crt haproxy.pem"
    (tmp_path / "haproxy.cfg").write_text(
        "global\n"
        + "\n".join(global_)
        + "\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
        + f"frontend everyone\n {bind}\n "
        + "\n ".join(here)
        + "\n http-request return status 200\n"
    )
    _accepts(["haproxy", "-c", "-f", tmp_path / "haproxy.cfg"], tmp_path)


def test_caddy(setting: str, facts: dict[str, str], tmp_path: Path, material: Material) -> None:
    """caddy validate."""
    lines = _advised(setting, "caddy", facts, tmp_path, material).configuration
    text = "\n".join(lines)
    name = "Caddyfile"
    if lines[0].startswith("{ "):
        name = "caddy.json"
    elif "site" not in lines[0] and "global" not in lines[0]:
        scheme = "https" if "tls " in text else "http"
        text = f"{scheme}://api.example.com:{PORT} {{\n{text}\n}}"
    (tmp_path / name).write_text(text + "\n")
    adapter: list[str | Path] = ["--adapter", "caddyfile"] if name == "Caddyfile" else []
    _accepts(["caddy", "validate", "--config", tmp_path / name, *adapter], tmp_path)


def test_envoy(setting: str, facts: dict[str, str], tmp_path: Path, material: Material) -> None:
    """envoy --mode validate."""
    lines = _advised(setting, "envoy", facts, tmp_path, material).configuration
    advised = yaml.safe_load("\n".join(lines))
    tls: dict[str, Any] = {
        "@type": EXTENSION + "transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {},
    }
    manager: dict[str, Any] = {
        "@type": EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": []},
    }
    chain: dict[str, Any] = {"filters": [{"name": "manager", "typed_config": manager}]}
    listener: dict[str, Any] = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": int(PORT)}},
        "filter_chains": [chain],
        "listener_filters": [
            {"name": "tls", "typed_config": {"@type": EXTENSION + "filters.listener.tls_inspector.v3.TlsInspector"}}
        ],
    }
    places = {"# in the filter chain": chain, "# in the listener": listener, "# in the HttpConnectionManager": manager}
    common = advised.pop("common_tls_context", {}) if lines[0] not in places else {}
    pair = {"certificate_chain": {"filename": "server.pem"}, "private_key": {"filename": "server.key"}}
    tls["common_tls_context"] = {"tls_certificates": [pair]} | common
    chain["transport_socket"] = {"name": "tls", "typed_config": tls}
    places.get(lines[0], tls).update(advised)
    (tmp_path / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    _accepts([binary(), "--mode", "validate", "-c", tmp_path / "envoy.json", "--log-level", "error"], tmp_path)
