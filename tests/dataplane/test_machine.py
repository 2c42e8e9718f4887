"""The delta xDS machine: what is sent, when, and what counts as confirmed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from handclasp.dataplane.machine import Rejected, Request, Response, Stream
from handclasp.dataplane.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, TYPES, Snapshot

SDS: dict[str, object] = {"ads": {}}


def world(*services: str, cluster: str = "v1", rules: str = "r1", secret: str = "s1", hosts: str = "h1") -> Snapshot:
    """A snapshot of these services: one listener, and for each a route configuration, a cluster and a secret."""
    chains = [
        {"hosts": hosts, "tls": {"name": f"server/{s}", "sds_config": SDS}, "rds": {"route_config_name": s}}
        for s in services
    ]
    return Snapshot.of(
        {
            CLUSTER: {f"{s}/{cluster}": {"name": f"{s}/{cluster}"} for s in services},
            SECRET: {f"server/{s}": {"key": f"{s} {secret}"} for s in services},
            LISTENER: {"[::]:8443": {"chains": chains}},
            ROUTE: {s: {"rules": rules, "route": {"cluster": f"{s}/{cluster}"}} for s in services},
        }
    )


def ack(response: Response) -> Request:
    return Request(response.type_url, nonce=response.nonce)


def nack(response: Response, why: str = "no") -> Request:
    return Request(response.type_url, nonce=response.nonce, error=why)


def gist(responses: Iterable[Response]) -> list[tuple[str, list[str], list[str]]]:
    """Type, names sent, names removed."""
    return [(r.type_url, [x.name for x in r.resources], list(r.removed)) for r in responses]


def settle(stream: Stream, responses: Iterable[Response]) -> list[tuple[str, list[str], list[str]]]:
    """Acknowledge everything until nothing more comes; all that came."""
    queue, seen = list(responses), []
    while queue:
        response = queue.pop(0)
        seen += gist([response])
        queue += stream.receive(ack(response))
    return seen


def subscribe(stream: Stream, *services: str) -> list[tuple[str, list[str], list[str]]]:
    """What an Envoy asks for at its start, everything acknowledged; all that came."""
    seen = []
    for request in (
        Request(CLUSTER),
        Request(LISTENER),
        Request(SECRET, subscribe=[f"server/{s}" for s in services]),
        Request(ROUTE, subscribe=list(services)),
    ):
        seen += settle(stream, stream.receive(request))
    return seen


def connected(*services: str) -> Stream:
    """A stream whose client holds everything."""
    snapshot = world(*services)
    stream = Stream(snapshot)
    subscribe(stream, *services)
    assert stream.acknowledged == snapshot.version
    return stream


def test_a_first_request_that_names_nothing_is_for_everything() -> None:
    """Clusters and listeners are sent to a client that asks for the type."""
    snapshot = world("a", "b")
    stream = Stream(snapshot)
    (response,) = stream.receive(Request(CLUSTER))
    clusters = tuple(snapshot.resources[CLUSTER].values())
    assert response == Response(CLUSTER, response.nonce, snapshot.version, clusters, ())


@pytest.mark.parametrize("kind", [ROUTE, SECRET], ids=["route", "secret"])
def test_a_first_request_that_names_nothing_is_for_nothing_of_other_types(kind: str) -> None:
    """Routes and secrets are given by name only: a key goes to nobody who did not ask for it."""
    assert Stream(world("a")).receive(Request(kind)) == []


def test_a_subscription_by_name_gets_that_name() -> None:
    """Of two secrets, the one that was asked for."""
    stream = Stream(world("a", "b"))
    assert gist(stream.receive(Request(SECRET, subscribe=["server/b"]))) == [(SECRET, ["server/b"], [])]


def test_a_star_is_everything() -> None:
    """``*`` subscribes to all, for any type; unsubscribing from it ends that."""
    stream = Stream(world("a", "b"))
    assert gist(stream.receive(Request(ROUTE, subscribe=["*"]))) == [(ROUTE, ["a", "b"], [])]
    stream.receive(Request(ROUTE, unsubscribe=["*"], nonce="1"))
    assert stream.publish(world("a", "b", rules="r2")) == []


def test_start() -> None:
    """An Envoy that starts is given clusters first, then what it asks for; then all is confirmed."""
    snapshot = world("a", "b")
    stream = Stream(snapshot)
    assert stream.acknowledged is None
    assert subscribe(stream, "a", "b") == [
        (CLUSTER, ["a/v1", "b/v1"], []),
        (LISTENER, ["[::]:8443"], []),
        (SECRET, ["server/a", "server/b"], []),
        (ROUTE, ["a", "b"], []),
    ]
    assert stream.acknowledged == snapshot.version


def test_nothing_is_confirmed_before_its_ack() -> None:
    """The version counts as acknowledged with the last ACK and not before."""
    stream = connected("a")
    changed = world("a", rules="r2")
    (response,) = stream.publish(changed)
    assert stream.acknowledged is None
    assert stream.receive(ack(response)) == []
    assert stream.acknowledged == changed.version


def test_an_answer_to_nothing_confirms_nothing() -> None:
    """A nonce that was never sent, or was answered already, is passed over."""
    stream = connected("a")
    (response,) = stream.publish(world("a", rules="r2"))
    assert stream.receive(Request(ROUTE, nonce="77")) == []
    assert stream.acknowledged is None
    stream.receive(ack(response))
    stream.receive(nack(response))
    assert stream.rejected == {}


def test_equal_content_is_not_sent_again() -> None:
    """A snapshot with the same content sends nothing, and is confirmed at once."""
    stream = connected("a", "b")
    assert stream.publish(world("a", "b")) == []
    assert stream.acknowledged == world("a", "b").version


@pytest.mark.parametrize(
    ("changed", "sent"),
    [
        (world("a", "b", rules="r2"), [(ROUTE, ["a", "b"], [])]),
        (world("a", "b", secret="s2"), [(SECRET, ["server/a", "server/b"], [])]),
        (world("a", "b", hosts="h2"), [(LISTENER, ["[::]:8443"], [])]),
    ],
    ids=["rules", "certificates", "hosts"],
)
def test_only_what_changed_is_sent(changed: Snapshot, sent: list[tuple[str, list[str], list[str]]]) -> None:
    """A change is sent as the resources that it changes, and nothing beside them."""
    stream = connected("a", "b")
    assert settle(stream, stream.publish(changed)) == sent


def test_make_before_break() -> None:
    """A cluster that is replaced is removed when the new one and the routes to it are acknowledged."""
    stream = connected("a")
    changed = world("a", cluster="v2")
    assert settle(stream, stream.publish(changed)) == [
        (CLUSTER, ["a/v2"], []),
        (ROUTE, ["a"], []),
        (CLUSTER, [], ["a/v1"]),
    ]
    assert stream.acknowledged == changed.version


def test_nothing_is_broken_while_an_ack_is_out() -> None:
    """With the cluster acknowledged and the route not, the old cluster stays."""
    stream = connected("a")
    sent = stream.publish(world("a", cluster="v2"))
    while not any(response.type_url == ROUTE for response in sent):
        sent = stream.receive(ack(sent[0]))
    answered = [stream.receive(ack(response)) for response in sent if response.type_url == CLUSTER]
    assert [gist(responses) for responses in answered if responses] == []


def test_a_service_that_ends_is_removed_last() -> None:
    """Of a service that is gone, listener and route go before cluster and secret."""
    stream = connected("a", "b")
    seen = settle(stream, stream.publish(world("a")))
    assert [(kind, removed) for kind, _, removed in seen if removed] == [
        (ROUTE, ["b"]),
        (CLUSTER, ["b/v1"]),
        (SECRET, ["server/b"]),
    ]


def test_a_nack_is_reported() -> None:
    """What was rejected and why can be read; it is neither confirmed nor sent again by itself."""
    stream = connected("a")
    changed = world("a", rules="bad")
    (response,) = stream.publish(changed)
    assert stream.receive(nack(response, "no such field")) == []
    assert stream.rejected == {ROUTE: Rejected(ROUTE, changed.version, ("a",), "no such field")}
    assert stream.acknowledged is None


def test_a_nack_is_over_with_the_next_snapshot() -> None:
    """The good snapshot after a rejected one is sent, and confirmed."""
    stream = connected("a")
    (response,) = stream.publish(world("a", rules="bad"))
    stream.receive(nack(response))
    good = world("a", rules="r3")
    assert settle(stream, stream.publish(good)) == [(ROUTE, ["a"], [])]
    assert (stream.rejected, stream.acknowledged) == ({}, good.version)


def test_what_was_rejected_does_not_count_as_held() -> None:
    """The same snapshot again is sent again: the client kept what it had before."""
    stream = connected("a")
    bad = world("a", rules="bad")
    (response,) = stream.publish(bad)
    stream.receive(nack(response))
    assert gist(stream.publish(bad)) == [(ROUTE, ["a"], [])]
    assert stream.acknowledged is None


def test_a_rejected_route_keeps_its_cluster() -> None:
    """Where the new routes are rejected, the client goes on with the old ones, so the old cluster is not removed."""
    stream = connected("a")
    queue, seen = stream.publish(world("a", cluster="v2")), []
    while queue:
        response = queue.pop(0)
        seen += gist([response])
        queue += stream.receive(nack(response) if response.type_url == ROUTE else ack(response))
    assert seen == [(CLUSTER, ["a/v2"], []), (ROUTE, ["a"], [])]


def test_no_route_to_a_rejected_cluster() -> None:
    """Where the new cluster is rejected, no route to it is sent."""
    stream = connected("a")
    queue, seen = stream.publish(world("a", cluster="v2")), []
    while queue:
        response = queue.pop(0)
        seen += gist([response])
        queue += stream.receive(nack(response) if response.type_url == CLUSTER else ack(response))
    assert seen == [(CLUSTER, ["a/v2"], [])]


def test_a_nack_of_what_was_replaced_meanwhile_is_of_no_account() -> None:
    """A rejection that crosses with the next, good snapshot is not reported of that one."""
    stream = connected("a")
    (bad,) = stream.publish(world("a", rules="bad"))
    good = world("a", rules="r3")
    (fixed,) = stream.publish(good)
    stream.receive(nack(bad))
    stream.receive(ack(fixed))
    assert (stream.rejected, stream.acknowledged) == ({}, good.version)


def test_a_name_subscribed_to_anew_is_answered() -> None:
    """After unsubscribing and subscribing a client is sent the resource though it has not changed."""
    stream = connected("a")
    assert stream.receive(Request(ROUTE, unsubscribe=["a"])) == []
    assert gist(stream.receive(Request(ROUTE, subscribe=["a"]))) == [(ROUTE, ["a"], [])]


def test_what_was_unsubscribed_is_not_sent() -> None:
    """A change of a resource that the client gave up is not for it."""
    stream = connected("a", "b")
    stream.receive(Request(ROUTE, unsubscribe=["b"]))
    assert settle(stream, stream.publish(world("a", "b", rules="r2"))) == [(ROUTE, ["a"], [])]


def reconnect(stream: Stream, held: Snapshot, *services: str) -> list[tuple[str, list[str], list[str]]]:
    """What a client that holds this snapshot asks for on a new stream; all that came."""
    seen = []
    for kind in TYPES:
        names = {CLUSTER: [], LISTENER: [], SECRET: [f"server/{s}" for s in services], ROUTE: list(services)}[kind]
        versions = {r.name: r.version for r in held.resources[kind].values()}
        seen += settle(stream, stream.receive(Request(kind, subscribe=names, initial_versions=versions)))
    return seen


def test_a_client_that_comes_back_with_everything_is_sent_nothing() -> None:
    """Initial versions are believed: on a new stream nothing is sent twice."""
    stream = Stream(world("a"))
    assert reconnect(stream, world("a"), "a") == []
    assert stream.acknowledged == world("a").version


def test_a_client_that_comes_back_is_sent_what_changed() -> None:
    """What changed while the stream was down is sent, and what is gone is removed last."""
    stream = Stream(world("a", cluster="v2"))
    assert reconnect(stream, world("a"), "a") == [(CLUSTER, ["a/v2"], []), (ROUTE, ["a"], []), (CLUSTER, [], ["a/v1"])]


def test_a_client_that_comes_back_keeps_its_clusters_until_its_routes_are_known() -> None:
    """The first request of a new stream is for clusters: what routes still use is not removed then."""
    stream = Stream(world("a"))
    held = {r.name: r.version for r in world("a", "b").resources[CLUSTER].values()}
    assert gist(stream.receive(Request(CLUSTER, initial_versions=held))) == []


def test_an_unknown_type_is_passed_over() -> None:
    """A type that we do not serve is no error and gets no answer."""
    kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    assert Stream(world("a")).receive(Request(kind, subscribe=["x"])) == []
