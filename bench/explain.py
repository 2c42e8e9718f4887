"""What each part of our data path costs: the same load on Handclasp's resources with one part taken out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from handclasp.dataplane.routes import CLIENT_CERT, REVOCATION, RULES
from handclasp.dataplane.snapshot import LISTENER, ROUTE, TYPES, Snapshot

Bodies = dict[str, dict[str, Any]]


def edited(snapshot: Snapshot, change: Callable[[Bodies], None]) -> Snapshot:
    """The snapshot after a change to copies of its bodies."""
    bodies: Bodies = {
        kind: {name: copy.deepcopy(dict(resource.body)) for name, resource in snapshot.resources[kind].items()}
        for kind in TYPES
    }
    change(bodies)
    return Snapshot.of(bodies)


def _chain(bodies: Bodies) -> dict[str, Any]:
    (listener,) = bodies[LISTENER].values()
    chain: dict[str, Any] = listener["filter_chains"][0]
    return chain


def _manager(bodies: Bodies) -> dict[str, Any]:
    manager: dict[str, Any] = _chain(bodies)["filters"][-1]["typed_config"]
    return manager


def _own_host(bodies: Bodies) -> dict[str, Any]:
    (routes,) = bodies[ROUTE].values()
    host: dict[str, Any] = routes["virtual_hosts"][0]
    return host


def _without_filter(bodies: Bodies, *names: str) -> None:
    manager = _manager(bodies)
    manager["http_filters"] = [f for f in manager["http_filters"] if f["name"] not in names]
    for host in next(iter(bodies[ROUTE].values()))["virtual_hosts"]:
        for name in names:
            host.get("typed_per_filter_config", {}).pop(name, None)


def _without_rules(bodies: Bodies) -> None:
    _without_filter(bodies, RULES)


def _without_revocation(bodies: Bodies) -> None:
    _without_filter(bodies, REVOCATION)
    _chain(bodies)["filters"].pop(0)


def _without_either(bodies: Bodies) -> None:
    _without_rules(bodies)
    _without_revocation(bodies)


def _without_client_cert(bodies: Bodies) -> None:
    _without_filter(bodies, CLIENT_CERT)


def _without_retries(bodies: Bodies) -> None:
    del _own_host(bodies)["routes"][-1]["route"]["retry_policy"]


def _without_other_routes(bodies: Bodies) -> None:
    del _own_host(bodies)["routes"][:-1]


def _without_connection_age(bodies: Bodies) -> None:
    del _manager(bodies)["common_http_protocol_options"]["max_connection_duration"]


def _without_problem_json(bodies: Bodies) -> None:
    del _manager(bodies)["local_reply_config"]


def _without_logs(bodies: Bodies) -> None:
    del _manager(bodies)["access_log"]
    (listener,) = bodies[LISTENER].values()
    del listener["access_log"]


def _without_identity_headers(bodies: Bodies) -> None:
    host = _own_host(bodies)
    del host["request_headers_to_add"], host["request_headers_to_remove"]


CHANGES: Mapping[str, Callable[[Bodies], None]] = {
    "no rules": _without_rules,
    "no revocation filter": _without_revocation,
    "neither of the two": _without_either,
    "no Client-Cert (Lua)": _without_client_cert,
    "no other identity headers": _without_identity_headers,
    "no logs": _without_logs,
    "no route for ambiguous paths": _without_other_routes,
    "no retries": _without_retries,
    "no connection age": _without_connection_age,
    "no problem+json": _without_problem_json,
}
