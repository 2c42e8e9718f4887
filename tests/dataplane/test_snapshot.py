"""Snapshots: consistent, versioned by content, and silent about keys."""

from __future__ import annotations

from typing import Any

import pytest

from handclasp.dataplane.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, Inconsistent, Resource, Snapshot

CHAIN = {
    "tls": [{"name": "server/a", "sds_config": {"ads": {}}}],
    "rds": {"route_config_name": "a", "config_source": {"ads": {}}},
}
BODIES: dict[str, dict[str, Any]] = {
    CLUSTER: {"a/1": {"name": "a/1"}},
    SECRET: {"server/a": {"tls_certificate": {"private_key": {"inline_string": "KEY"}}}},
    LISTENER: {":8443": {"filter_chains": [CHAIN]}},
    ROUTE: {"a": {"virtual_hosts": [{"routes": [{"route": {"cluster": "a/1"}}]}]}},
}


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (CLUSTER, "routes a refer to a/1, which is not in the snapshot"),
        (SECRET, "listener :8443 refers to server/a, which is not in the snapshot"),
        (ROUTE, "listener :8443 refers to a, which is not in the snapshot"),
    ],
    ids=["cluster", "secret", "route"],
)
def test_a_dangling_reference_raises(missing: str, said: str) -> None:
    """A snapshot in which something refers to nothing cannot be made; the message names both."""
    with pytest.raises(Inconsistent) as caught:
        Snapshot.of({kind: bodies for kind, bodies in BODIES.items() if kind != missing})
    assert str(caught.value) == said


def test_the_version_is_the_content() -> None:
    """Equal content in another order has the same versions."""
    shuffled = {
        kind: {name: dict(reversed(body.items())) for name, body in reversed(bodies.items())}
        for kind, bodies in reversed(BODIES.items())
    }
    assert Snapshot.of(shuffled) == Snapshot.of(BODIES)


def test_other_content_is_another_version() -> None:
    """A change of one body changes its version and the snapshot's, and no other resource's."""
    changed = Snapshot.of({**BODIES, CLUSTER: {"a/1": {"name": "a/1", "connect_timeout": "5s"}}})
    before = Snapshot.of(BODIES)
    assert changed.version != before.version
    differing = [kind for kind in BODIES if changed.resources[kind] != before.resources[kind]]
    assert differing == [CLUSTER]


def test_a_renamed_resource_is_another_version() -> None:
    """The snapshot's version covers names too."""
    assert Snapshot.of({CLUSTER: {"a": {}}}).version != Snapshot.of({CLUSTER: {"b": {}}}).version


def test_repr_shows_no_key() -> None:
    """Neither a resource's repr nor a snapshot's holds anything of a body."""
    resource = Resource.of("server/a", BODIES[SECRET]["server/a"])
    assert repr(resource) == f"Resource(name='server/a', version='{resource.version}')"
    assert "KEY" not in repr(Snapshot.of(BODIES))
