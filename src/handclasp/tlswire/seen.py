"""What a TLS client has seen of a server: plain values, filled in message by message, complete or not.

A handshake that failed has shown as much as one that succeeded: the chain, the request for a certificate and the
alert are here whatever came after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from handclasp.findings import Code


class Step(StrEnum):
    """Where in the exchange something was seen. The order is that of time."""

    CLIENT_HELLO = "client_hello"
    """After our ClientHello, before the server said which version it takes."""
    SERVER_FLIGHT = "server_flight"
    """After the ServerHello, before the server had finished its flight."""
    CLIENT_FLIGHT = "client_flight"
    """After our Certificate and Finished; TLS 1.2 has the server's Finished still to come."""
    FIRST_READ = "first_read"
    """TLS 1.3: after our Finished, while nothing was written. Here a missing certificate is refused."""
    APPLICATION = "application"
    """After we wrote application data."""


class Answer(StrEnum):
    """What our flight said to the question for a client certificate."""

    NOT_ASKED = "not_asked"
    """The server sent no CertificateRequest, so that no Certificate of ours was sent."""
    EMPTY = "empty"
    """It asked, there was no credential to show: an empty Certificate."""
    NO_SCHEME = "no_scheme"
    """It asked, but takes no signature scheme that the credential can make: an empty Certificate."""
    SHOWN = "shown"
    """It asked; the certificate was sent, and its key has signed this handshake."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that the server sent (RFC 8446 §6). ``number`` is what counts: names and texts differ between
    libraries."""

    number: int
    fatal: bool
    step: Step


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What the server asks of a client certificate. It may name no authority: that is a request all the same.

    ``authorities`` are DER names (RFC 8446 §4.2.4, RFC 5246 §7.4.4), ``signature_algorithms`` code points of
    SignatureScheme, ``certificate_types`` those of TLS 1.2 (empty in 1.3).
    """

    authorities: tuple[bytes, ...]
    signature_algorithms: tuple[int, ...]
    certificate_types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One message of the handshake, for a person who wants to understand it (``--trace``).

    ``sent`` says by whom (True: by us), ``what`` is the message as RFC 8446 names it, ``facts`` what is in it, in
    words.
    """

    sent: bool
    what: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the exchange ended before its time: a code of the catalogue, and what was seen, in words."""

    code: Code
    what: str
    step: Step


@dataclass(slots=True)
class Seen:
    """All that was seen on one connection. Code points are numbers; ``tlswire.names`` has their names.

    ``version`` is 0x0303 or 0x0304 (or what an old server chose: 0x0300 to 0x0302). ``group`` is None where the key
    exchange has none (RSA, finite field of TLS 1.2). ``chain`` is DER as served, leaf first. ``staple`` is the DER of
    the stapled OCSP response for the leaf. ``proved`` is True when the server has shown that it has the leaf's key:
    its signature over this handshake and its Finished were right. ``complete`` is True when the handshake is finished
    on both sides as far as TLS tells (never proof of acceptance in TLS 1.3).
    """

    version: int | None = None
    cipher: int | None = None
    group: int | None = None
    signature_scheme: int | None = None
    alpn: str | None = None
    chain: tuple[bytes, ...] = ()
    staple: bytes | None = None
    request: CertificateRequest | None = None
    retried_hello: bool = False
    tickets: int = 0
    renegotiations: int = 0
    """HelloRequests of TLS 1.2 that came after the handshake (RFC 5246 §7.4.1.1)."""
    proved: bool = False
    answer: Answer | None = None
    """None until our flight is sent."""
    complete: bool = False
    closed: bool = False
    """The server has ended the connection: close_notify, or the end of the stream."""
    alerts: list[Alert] = field(default_factory=list)
    fault: Fault | None = None
    events: list[Event] = field(default_factory=list)
