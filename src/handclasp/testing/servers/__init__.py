"""Real servers with TLS for tests: the products that people run, each in the ways that it can ask for a client's
certificate.

    with serving(NGINX, material, [Case(Client.REQUIRED)]) as servers:
        servers[Case(Client.REQUIRED)].port

``PRODUCTS`` is all of them.
"""

from __future__ import annotations

from handclasp.testing.servers.apache import APACHE
from handclasp.testing.servers.caddy import CADDY
from handclasp.testing.servers.case import Case, Client, Product, ServerAt, Versions
from handclasp.testing.servers.compiled import GO, JAVA, JAVA_HTTPSERVER
from handclasp.testing.servers.envoy import ENVOY
from handclasp.testing.servers.haproxy import HAPROXY
from handclasp.testing.servers.material import Credential, Material, make_material
from handclasp.testing.servers.nginx import NGINX
from handclasp.testing.servers.openssl import OPENSSL
from handclasp.testing.servers.running import DidNotStart, missing, one, serving
from handclasp.testing.servers.stunnel import STUNNEL

PRODUCTS = (NGINX, HAPROXY, ENVOY, APACHE, CADDY, STUNNEL, OPENSSL, GO, JAVA, JAVA_HTTPSERVER)

__all__ = [
    "APACHE",
    "CADDY",
    "ENVOY",
    "GO",
    "HAPROXY",
    "JAVA",
    "JAVA_HTTPSERVER",
    "NGINX",
    "OPENSSL",
    "PRODUCTS",
    "STUNNEL",
    "Case",
    "Client",
    "Credential",
    "DidNotStart",
    "Material",
    "Product",
    "ServerAt",
    "Versions",
    "make_material",
    "missing",
    "one",
    "serving",
]
