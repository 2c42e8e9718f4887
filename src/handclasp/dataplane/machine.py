"""The server's side of one delta xDS stream, as a pure state machine.

xDS protocol, "Incremental xDS", as Envoy 1.40 speaks it: the client subscribes by type to names or to everything
("*", which the first request of a wildcard type means by naming nothing); the server sends what changed and what was
removed; the client answers each response with its nonce, with an error if it rejected it.

A change goes out in the order of ``snapshot.TYPES`` (make), and resources that are no longer there are removed only
when everything sent before was acknowledged (break), so that no route ever points at a cluster that is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from handclasp.dataplane.snapshot import CLUSTER, LISTENER, SECRET, TYPES, Resource, Snapshot

_WILDCARD_TYPES = frozenset({CLUSTER, LISTENER})
_REMOVED_LAST = frozenset({CLUSTER, SECRET})
_UNKNOWN = ""  # the version of what a client has rejected, and of nothing else


@dataclass(frozen=True, slots=True)
class Request:
    """A DeltaDiscoveryRequest: the fields that carry meaning."""

    type_url: str
    subscribe: Sequence[str] = ()
    unsubscribe: Sequence[str] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A DeltaDiscoveryResponse."""

    type_url: str
    nonce: str
    version: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The client rejected a response (NACK): it keeps what it had, and says why."""

    type_url: str
    version: str
    resources: tuple[str, ...]
    why: str


@dataclass(slots=True)
class _Subscription:
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name -> version the client holds or is about to
    waiting: list[Response] = field(default_factory=list)

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class Stream:
    """The state of one stream: what the client subscribed to, what it was sent, and what it has confirmed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._subscriptions: dict[str, _Subscription] = {}
        self._nonces = 0
        self.rejected: dict[str, Rejected] = {}

    @property
    def acknowledged(self) -> str | None:
        """The version of the snapshot, once the client has confirmed all of it; None until then."""
        if self.rejected or any(s.waiting for s in self._subscriptions.values()):
            return None
        for kind in TYPES:
            subscription = self._subscriptions.get(kind)
            sent = subscription.sent if subscription else {}
            if sent != {r.name: r.version for r in self._snapshot.resources[kind].values()}:
                return None
        return self._snapshot.version

    def publish(self, snapshot: Snapshot) -> list[Response]:
        """Take the snapshot as the one to reach; return what must be sent for it now."""
        self._snapshot = snapshot
        self.rejected.clear()
        return self._advance()

    def receive(self, request: Request) -> list[Response]:
        """Take one request of the client; return what must be sent now. Rejections are kept in ``rejected``."""
        known = request.type_url in self._subscriptions
        subscription = self._subscriptions.setdefault(request.type_url, _Subscription())
        if not known:
            subscription.sent.update(request.initial_versions)
            if request.type_url in _WILDCARD_TYPES and not request.subscribe:
                subscription.wildcard = True
        for name in request.subscribe:
            if name == "*":
                subscription.wildcard = True
            else:
                subscription.names.add(name)
                if name not in request.initial_versions:
                    subscription.sent.pop(name, None)  # a fresh subscription is answered even if nothing changed
        for name in request.unsubscribe:
            if name == "*":
                subscription.wildcard = False
            subscription.names.discard(name)
            subscription.sent.pop(name, None)
        if request.nonce:
            self._answered(subscription, request)
        return self._advance()

    def _answered(self, subscription: _Subscription, request: Request) -> None:
        for response in subscription.waiting:
            if response.nonce == request.nonce:
                subscription.waiting.remove(response)
                break
        else:
            return
        if request.error is None:
            return
        # Whether the client holds these now is not known; but what a later response has replaced is of no account.
        sent = subscription.sent
        names = [r.name for r in response.resources if sent.get(r.name) == r.version]
        names += [name for name in response.removed if name not in sent and subscription.wants(name)]
        if names:
            sent.update(dict.fromkeys(names, _UNKNOWN))
            self.rejected[request.type_url] = Rejected(request.type_url, response.version, tuple(names), request.error)

    def _advance(self) -> list[Response]:
        if self.rejected:
            return []  # the client keeps what it had, whole, until there is another snapshot
        for kind in TYPES:
            response = self._changes(kind)
            if response is not None:
                return [response]
            if kind in self._subscriptions and self._subscriptions[kind].waiting:
                return []  # what refers to it goes out when it is acknowledged
        if not all(kind in self._subscriptions for kind in TYPES):
            return []  # a client that has just come back may hold routes that we do not know of yet
        return [r for kind in TYPES if (r := self._removals(kind)) is not None]

    def _changes(self, kind: str) -> Response | None:
        subscription = self._subscriptions.get(kind)
        if subscription is None:
            return None
        there = self._snapshot.resources[kind]
        changed = tuple(
            r for r in there.values() if subscription.wants(r.name) and subscription.sent.get(r.name) != r.version
        )
        gone = () if kind in _REMOVED_LAST else self._gone(kind)
        return self._send(kind, changed, gone) if changed or gone else None

    def _removals(self, kind: str) -> Response | None:
        gone = self._gone(kind)
        return self._send(kind, (), gone) if gone else None

    def _gone(self, kind: str) -> tuple[str, ...]:
        there = self._snapshot.resources[kind]
        return tuple(name for name in self._subscriptions[kind].sent if name not in there)

    def _send(self, kind: str, changed: tuple[Resource, ...], gone: tuple[str, ...]) -> Response:
        subscription = self._subscriptions[kind]
        self._nonces += 1
        response = Response(kind, str(self._nonces), self._snapshot.version, changed, gone)
        subscription.waiting.append(response)
        for resource in changed:
            subscription.sent[resource.name] = resource.version
        for name in gone:
            del subscription.sent[name]
        return response
