"""The machine against a client: whatever happens on the way, the client ends with exactly the snapshot, and never
has a route to a cluster that it does not hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from handclasp.dataplane.machine import Request, Response, Stream
from handclasp.dataplane.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, TYPES, Resource, Snapshot

# What a service is at one moment: its listener, its upstream, its rules, its certificate.
SERVICE = st.tuples(*[st.integers(0, 1)] * 4)
WORLD = st.dictionaries(st.sampled_from("abc"), SERVICE, min_size=1)


def snapshot_of(services: Mapping[str, tuple[int, ...]]) -> Snapshot:
    listeners: dict[str, list[object]] = {}
    for name, (port, _, _, _) in services.items():
        chain = {"secret": {"name": f"server/{name}", "sds_config": {}}, "rds": {"route_config_name": name}}
        listeners.setdefault(f"[::]:{port}", []).append(chain)
    return Snapshot.of(
        {
            CLUSTER: {f"{name}/{s[1]}": {"n": name} for name, s in services.items()},
            SECRET: {f"server/{name}": {"key": s[3]} for name, s in services.items()},
            LISTENER: {name: {"chains": chains} for name, chains in listeners.items()},
            ROUTE: {name: {"rules": s[2], "route": {"cluster": f"{name}/{s[1]}"}} for name, s in services.items()},
        }
    )


class Client:
    """A client of delta xDS as Envoy is one: it applies responses in their order, whole or not at all."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Resource]] = {kind: {} for kind in TYPES}
        self.requests: deque[Request] = deque()
        self.rejected: set[str] = set()  # the types of which this stream's server cannot know what we hold
        self.given_up: set[tuple[str, str]] = set()  # and the names: what is subscribed to anew is sent anew

    def connect(self) -> None:
        self.requests.clear()
        self.rejected.clear()
        self.given_up.clear()
        for kind in TYPES:
            names = sorted(self.wanted(kind))
            versions = {r.name: r.version for r in self.held[kind].values()}
            if names or kind in (CLUSTER, LISTENER):
                self.requests.append(Request(kind, subscribe=names, initial_versions=versions))

    def wanted(self, kind: str) -> set[str]:
        chains = [chain for listener in self.held[LISTENER].values() for chain in listener.body["chains"]]
        if kind == SECRET:
            return {chain["secret"]["name"] for chain in chains}
        return {chain["rds"]["route_config_name"] for chain in chains} if kind == ROUTE else set()

    def take(self, response: Response, *, reject: bool) -> None:
        kind, held = response.type_url, self.held[response.type_url]
        for resource in response.resources:
            known = held.get(resource.name)
            may_repeat = kind in self.rejected or (kind, resource.name) in self.given_up
            assert known is None or known.version != resource.version or may_repeat, "sent twice"
        if reject:
            self.rejected.add(kind)
            self.requests.append(Request(kind, nonce=response.nonce, error="no"))
            return
        before = {k: self.wanted(k) for k in (SECRET, ROUTE)}
        for resource in response.resources:
            if kind in (CLUSTER, LISTENER) or resource.name in before[kind]:  # else we gave it up meanwhile
                held[resource.name] = resource
        for name in response.removed:
            held.pop(name, None)
        if kind == LISTENER:
            for other in (SECRET, ROUTE):
                self.change_subscriptions(other, before[other], self.wanted(other))
        self.requests.append(Request(kind, nonce=response.nonce))

    def change_subscriptions(self, kind: str, before: set[str], after: set[str]) -> None:
        for name in before - after:
            self.held[kind].pop(name, None)
            self.given_up.add((kind, name))
        if before != after:
            self.requests.append(Request(kind, subscribe=sorted(after - before), unsubscribe=sorted(before - after)))


class Exchange(RuleBasedStateMachine):
    """A server and a client with a wire in each direction."""

    @initialize(services=WORLD)
    def start(self, services: dict[str, tuple[int, ...]]) -> None:
        self.snapshot = snapshot_of(services)
        self.client = Client()
        self.connect()

    @rule()
    def connect(self) -> None:
        """The stream breaks, with what is on its way, and the client comes back."""
        self.stream = Stream(self.snapshot)
        self.responses: deque[Response] = deque()
        self.client.connect()

    @rule(services=WORLD)
    def publish(self, services: dict[str, tuple[int, ...]]) -> None:
        self.snapshot = snapshot_of(services)
        self.responses.extend(self.stream.publish(self.snapshot))

    @precondition(lambda self: self.client.requests)
    @rule()
    def request_arrives(self) -> None:
        self.responses.extend(self.stream.receive(self.client.requests.popleft()))

    @precondition(lambda self: self.responses)
    @rule()
    def response_arrives(self) -> None:
        self.client.take(self.responses.popleft(), reject=False)

    @precondition(lambda self: self.responses)
    @rule()
    def response_is_rejected(self) -> None:
        self.client.take(self.responses.popleft(), reject=True)

    @invariant()
    def every_route_has_its_cluster(self) -> None:
        for route in self.client.held[ROUTE].values():
            assert route.body["route"]["cluster"] in self.client.held[CLUSTER]

    @invariant()
    def confirmed_is_held(self) -> None:
        if self.stream.acknowledged is not None:
            assert self.stream.acknowledged == self.snapshot.version
            assert self.client.held == {kind: dict(self.snapshot.resources[kind]) for kind in TYPES}

    def teardown(self) -> None:
        """From wherever it is: one more snapshot that nothing rejects, and all wires run empty."""
        if not hasattr(self, "stream"):
            return
        self.settle()
        self.publish({"a": (0, 7, 7, 7), "z": (0, 7, 7, 7)})
        self.settle()
        assert self.stream.acknowledged == self.snapshot.version
        assert self.client.held == {kind: dict(self.snapshot.resources[kind]) for kind in TYPES}

    def settle(self) -> None:
        for _ in range(1000):
            if self.responses:
                self.response_arrives()
            elif self.client.requests:
                self.request_arrives()
            else:
                return
            self.every_route_has_its_cluster()
        raise AssertionError("it does not come to rest")


TestExchange = Exchange.TestCase
TestExchange.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, report_multiple_bugs=False)
