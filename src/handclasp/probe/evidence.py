"""What one connection to an endpoint has shown: the result of the driver, before anything is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from handclasp.findings import Code
from handclasp.probe.target import DIRECT, Route, Target
from handclasp.tlswire.offer import ClientCredential, Offer
from handclasp.tlswire.seen import Seen


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP/1.1 request. Header values never hold CR or LF. ``read`` is the most octets of the body that are
    kept."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    read: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. ``headers`` in order, names in lower case. ``body`` may be cut (``whole`` is False then)."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection to be made.

    ``deadline`` is the most seconds that all of it may take. After the handshake (TLS 1.3: after our Finished) the
    driver reads for ``listen`` seconds without writing, or for ``listen_trips`` times the round trip if that is longer
    (that of connecting, or from our hello to the end of the server's flight); an alert, a session ticket or the end of
    the stream ends it early. Then ``request`` is sent, if there is one and the connection still stands; with
    ``request_if_asked`` only where the server asked for a client certificate and has not refused its absence.
    ``credential`` is asked with what was seen so far, before anything of ours but the hello is sent; what it returns is
    shown to the server, None shows an empty Certificate. Attempts with a credential use fresh key shares.
    """

    target: Target
    offer: Offer
    route: Route = DIRECT
    deadline: float = 10.0
    listen: float = 0.3
    listen_trips: float = 4.0
    request: Request | None = None
    request_if_asked: bool = False
    patience: float | None = None
    """Seconds to wait for the response's first octet; None: until the deadline. Running out of it is no failure."""
    credential: Callable[[Seen], ClientCredential | None] | None = None
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds since the attempt began, None for what was not reached."""

    resolved: float | None = None
    connected: float | None = None
    secured: float | None = None
    """The server's flight was complete."""
    first_byte: float | None = None
    """Of the HTTP response."""
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the attempt ended early, where it did: a code of the catalogue, what happened, and in which ``phase``
    (resolve, connect, proxy, starttls, handshake, listen, http)."""

    code: Code
    what: str
    phase: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one attempt has shown. ``address`` is the peer that was reached; ``begun`` in the clear says what a
    server said that does not speak TLS (its first octets, at most 512)."""

    target: Target
    seen: Seen
    address: str | None = None
    failure: Failure | None = None
    response: Response | None = None
    timings: Timings = field(default_factory=Timings)
    clear_text: bytes = b""
