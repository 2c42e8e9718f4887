"""Caddy: TLS refuses. Nothing of it leaves its directory: no ACME, no admin interface, no HTTP/3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from handclasp.testing.servers.case import Client, Command, Listener, Product, Site
from handclasp.testing.servers.running import HOST, program

_MODE = {Client.OPTIONAL: "verify_if_given", Client.REQUIRED: "require_and_verify"}


def _prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    # A certificate is loaded once, whatever its tags: a second time would be passed over with them.
    tags: dict[tuple[str, str], list[str]] = {}
    for one in listeners:
        tags.setdefault((str(one.credential.chain), str(one.credential.key)), []).append(str(one.port))
    configuration = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "DEBUG"}}},
        "apps": {
            "http": {"servers": {str(listener.port): _server(listener) for listener in listeners}},
            "tls": {
                "certificates": {
                    "load_files": [
                        {"certificate": chain, "key": key, "tags": ports} for (chain, key), ports in tags.items()
                    ]
                }
            },
        },
    }
    path = site.directory / "caddy.json"
    path.write_text(json.dumps(configuration))
    own = {name: str(site.directory) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return [Command([program("caddy"), "run", "--config", path], listeners, own)]


def _server(listener: Listener) -> dict[str, Any]:
    case = listener.case
    policy: dict[str, Any] = {
        "protocol_min": f"tls{case.versions.lowest}",
        "protocol_max": f"tls{case.versions.highest}",
        "certificate_selection": {"any_tag": [str(listener.port)]},
    }
    if case.client is not Client.NONE:
        files = [str(listener.material.client_authorities)]
        policy["client_authentication"] = {"trusted_ca_certs_pem_files": files, "mode": _MODE[case.client]}
    status = 403 if case.forbidden else 200
    return {
        "listen": [f"{HOST}:{listener.port}"],
        "protocols": ["h1", "h2"],
        "automatic_https": {"disable": True},
        "tls_connection_policies": [policy],
        "routes": [{"handle": [{"handler": "static_response", "body": "welcome\n", "status_code": status}]}],
    }


CADDY = Product("caddy", ("caddy",), "caddy", _prepare, settings=frozenset({"forbidden"}))
