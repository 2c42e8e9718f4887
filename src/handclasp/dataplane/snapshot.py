"""One immutable, consistent set of Envoy resources, versioned by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Body = Mapping[str, Any]
"""An Envoy resource in the JSON form of its protobuf message, without the type."""

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

TYPES = (CLUSTER, SECRET, LISTENER, ROUTE)
"""In the order in which changes are sent: what is referred to comes before what refers to it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource and its version: the SHA-256 of its content, so that equal content is never sent twice."""

    name: str
    version: str
    body: Body = field(repr=False)  # a secret's body holds a private key

    @classmethod
    def of(cls, name: str, body: Body) -> Resource:
        """The resource of this name and content."""
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        return cls(name, hashlib.sha256(text.encode()).hexdigest()[:16], body)


class Inconsistent(Exception):
    """A resource refers to one that is not there. A fault of the compiler, never of a setting."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources, by type and name; ``version`` is the digest of all of theirs."""

    resources: Mapping[str, Mapping[str, Resource]]
    version: str

    @classmethod
    def of(cls, bodies: Mapping[str, Mapping[str, Body]]) -> Snapshot:
        """Build a snapshot from bodies by type and name; raises Inconsistent on a dangling reference."""
        resources = {
            kind: {name: Resource.of(name, body) for name, body in sorted(bodies.get(kind, {}).items())}
            for kind in TYPES
        }
        versions = [(kind, r.name, r.version) for kind in TYPES for r in resources[kind].values()]
        digest = hashlib.sha256(json.dumps(versions).encode()).hexdigest()[:16]
        snapshot = cls(resources, digest)
        snapshot._check()
        return snapshot

    def _check(self) -> None:
        for listener in self.resources[LISTENER].values():
            for kind, name in _references(listener.body):
                if name not in self.resources[kind]:
                    raise Inconsistent(f"listener {listener.name} refers to {name}, which is not in the snapshot")
        for route in self.resources[ROUTE].values():
            for kind, name in _references(route.body):
                if name not in self.resources[kind]:
                    raise Inconsistent(f"routes {route.name} refer to {name}, which is not in the snapshot")


def _references(body: object) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if isinstance(body, Mapping):
        if "sds_config" in body:
            found.append((SECRET, body["name"]))
        if "route_config_name" in body:
            found.append((ROUTE, body["route_config_name"]))
        if isinstance(body.get("cluster"), str):
            found.append((CLUSTER, body["cluster"]))
        for value in body.values():
            found += _references(value)
    elif isinstance(body, list | tuple):
        for value in body:
            found += _references(value)
    return found
