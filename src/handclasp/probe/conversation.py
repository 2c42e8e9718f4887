"""What is said on one connection, octets in and octets out:

    proxy > proxy_protocol > starttls > handshake > listen > http

1. After our flight nothing is written before listening is over: a server that refuses closes the connection, and what
   we wrote would come back as a reset that destroys its alert on the way.
2. Nothing that a stranger sends, and no fault of our own, raises: it ends this conversation, with a code.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Protocol

from handclasp import __version__
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.probe.evidence import Attempt, Failure, Response
from handclasp.probe.http import MalformedResponse, ResponseReader, encode
from handclasp.probe.prelude import Prelude, PreludeFailed, preludes
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.offer import FALLBACK_SCSV, SAFE_CIPHERS, TLS13, TLS13_CIPHERS, Offer
from handclasp.tlswire.seen import Seen

MAX_RECEIVED = 1 << 20
"""Octets that one attempt reads at most, beside the body of the response."""
USER_AGENT = f"handclasp/{__version__}"

_CLEAR_TEXT = 512
_SAFE = frozenset((*TLS13_CIPHERS, *SAFE_CIPHERS, FALLBACK_SCSV))
_IN_THE_CLEAR = frozenset({Code.PROTO_NOT_TLS, Code.PROTO_TLS_TO_PLAIN})

_log = logging.getLogger("handclasp.probe")


class NewClient(Protocol):
    """Makes a TLS client with its randomness and key shares; ``fresh`` ones are used by nobody else."""

    def __call__(self, offer: Offer, *, fresh: bool, trace: bool) -> TLSClient: ...


class Conversation:
    """One connection's. ``begin``, ``receive`` and ``tick`` return what to send (also when it is over).

    ``over`` is True when nothing more is wanted, ``failure`` says why if that came early. ``wake_at`` is when ``tick``
    is due. ``secured`` and ``first_byte`` are moments, as ``now`` is.
    """

    __slots__ = (
        "_answered",
        "_attempt",
        "_clear_text",
        "_client",
        "_hello_sent",
        "_new_client",
        "_reader",
        "_received",
        "_stages",
        "_trip",
        "failure",
        "first_byte",
        "over",
        "phase",
        "secured",
        "seen",
        "wake_at",
    )

    def __init__(self, attempt: Attempt, new_client: NewClient, trip: float) -> None:
        """``trip`` is the round trip in seconds, as far as it is known."""
        self.phase = "handshake"
        self.over = False
        self.failure: Failure | None = None
        self.seen: Seen | None = None
        self.wake_at: float | None = None
        self.secured: float | None = None
        self.first_byte: float | None = None
        self._attempt = attempt
        self._new_client = new_client
        self._trip = trip
        self._stages: list[tuple[str, Prelude]] = []
        self._client: TLSClient | None = None
        self._reader: ResponseReader | None = None
        self._answered = False
        self._received = 0
        self._hello_sent = 0.0
        self._clear_text = b""

    @property
    def response(self) -> Response | None:
        """What has come over HTTP."""
        return None if self._reader is None else self._reader.response

    @property
    def clear_text(self) -> bytes:
        """The first octets of a server that does not speak TLS."""
        if self._client is not None and (self.seen is None or self.seen.fault is None):
            return b""
        if self.seen is not None and self.seen.fault is not None and self.seen.fault.code not in _IN_THE_CLEAR:
            return b""
        return self._clear_text

    @property
    def awaited(self) -> str:
        """What is to come before TLS, in words."""
        return self._stages[0][1].waiting_for if self._stages else ""

    def begin(self, now: float) -> bytes:
        """Connected: what is to be said before TLS, or the hello."""
        attempt = self._attempt
        if attempt.target.starttls is None and attempt.route.proxy is None and attempt.route.proxy_protocol is None:
            return self._guarded(self._hello, now)
        return self._guarded(self._prelude, now)

    def receive(self, now: float, data: bytes) -> bytes:
        """What came from the other side."""
        return b"" if self.over else self._guarded(self._receive, now, data)

    def tick(self, now: float) -> bytes:
        """Time has passed."""
        if self.over or self.wake_at is None or now < self.wake_at:
            return b""
        self.wake_at = None
        if self.phase == "listen":
            return self._guarded(self._speak, now)
        if self.first_byte is None:
            self._end()
        return b""

    def end_of_stream(self, *, reset: bool) -> None:
        """The other side has ended the connection."""
        if not self.over:
            self._guarded(self._cut_off, reset)

    def _guarded(self, step: Callable[..., bytes], *arguments: object) -> bytes:
        try:
            return step(*arguments)
        except PreludeFailed as error:
            self._end(error.code, error.what)
        except MalformedResponse as error:
            self._end(Code.PROTO_HTTP_MALFORMED, str(error))
        except InvalidSetting as error:
            self._end(Code.CONFIG_INVALID, str(error))
        except Exception as error:
            _log.warning("an attempt in the phase %s failed: %s", self.phase, type(error).__name__)
            _log.debug("where it failed", exc_info=True)
            self._end(Code.UNKNOWN, f"a fault of our own ({type(error).__name__})")
        return b""

    def _end(self, code: Code | None = None, what: str = "") -> bytes:
        self.over = True
        if code is not None:
            self.failure = Failure(code, what, self.phase)
        return b""

    # -- before TLS ------------------------------------------------------------------------------------------------

    def _prelude(self, now: float) -> bytes:
        self._stages = list(preludes(self._attempt.target, self._attempt.route))
        return self._next_stage(now, b"")

    def _next_stage(self, now: float, rest: bytes) -> bytes:
        """Start what comes next, with what the one before has left over."""
        out = b""
        while self._stages:
            self.phase, stage = self._stages[0]
            out += stage.start()
            if rest and not stage.done:
                out += stage.receive(rest)
                rest = b""
            if not stage.done:
                return out
            rest = rest or stage.rest
            del self._stages[0]
        if rest:
            self._clear_text = rest[:_CLEAR_TEXT]
            return self._end(Code.PROTO_NOT_TLS, "the server speaks in the clear before TLS begins")
        return out + self._hello(now)

    def _in_the_clear(self, now: float, data: bytes) -> bytes:
        _, stage = self._stages[0]
        out = stage.receive(data)
        if stage.done:
            del self._stages[0]
            out += self._next_stage(now, stage.rest)
        return out

    # -- TLS -------------------------------------------------------------------------------------------------------

    def _hello(self, now: float) -> bytes:
        attempt = self._attempt
        self.phase = "handshake"
        self._hello_sent = now
        self._client = client = self._new_client(_offer(attempt), fresh=_secret(attempt), trace=attempt.trace)
        self.seen = client.seen
        return client.start()

    def _receive(self, now: float, data: bytes) -> bytes:
        request = self._attempt.request
        self._received += len(data)
        if self._received > MAX_RECEIVED + (request.read if request is not None else 0):
            code = Code.PROTO_HTTP_MALFORMED if self.phase == "http" else Code.TLS_MALFORMED
            return self._end(code, f"the server sent more than {MAX_RECEIVED} octets")
        client = self._client
        if client is None:
            return self._in_the_clear(now, data)
        if len(self._clear_text) < _CLEAR_TEXT:
            self._clear_text += data[: _CLEAR_TEXT - len(self._clear_text)]
        out = client.receive(data)
        if self._reader is not None:
            out += self._read_response(now, client, self._reader)
            if self.over:
                return out
        if client.over:
            self._tls_over(client)
        elif not self._answered:
            if client.ready:
                out += self._answer(now, client)
        elif self.phase == "handshake":
            if client.established:
                out += self._finished(now, client)
        elif self.phase == "listen" and client.seen.tickets:
            # A server that gives out a ticket has taken what we showed.
            out += self._speak(now)
        return out

    def _answer(self, now: float, client: TLSClient) -> bytes:
        """The server's flight is complete."""
        self.secured = now
        # A server that is slow to begin with is slow to refuse, too.
        self._trip = max(self._trip, now - self._hello_sent)
        self._answered = True
        if self._attempt.credential is None:
            out = client.answer(None)
        else:
            try:
                out = client.answer(self._attempt.credential(client.seen))
            except Refused as error:
                return self._end(error.code, str(error))
            except Exception as error:
                _log.debug("a credential failed", exc_info=True)
                return self._end(Code.CREDENTIAL_UNUSABLE, f"the credential could not be used ({type(error).__name__})")
        if client.over:
            self._tls_over(client)
        elif client.established:
            out += self._finished(now, client)
        return out

    def _finished(self, now: float, client: TLSClient) -> bytes:
        """Both sides are done as far as TLS tells. In TLS 1.3 the server has not yet said what it thinks of our
        Certificate."""
        seen, attempt = client.seen, self._attempt
        if seen.request is None or seen.version != TLS13 or seen.tickets:
            return self._speak(now)
        self.phase = "listen"
        self.wake_at = now + max(attempt.listen, attempt.listen_trips * self._trip)
        return b""

    def _tls_over(self, client: TLSClient) -> None:
        """A fault, a fatal alert, or the server has ended it by close_notify."""
        seen = client.seen
        if seen.fault is not None:
            self._end(seen.fault.code, seen.fault.what)
            return
        alert = next((one for one in seen.alerts if one.fatal), None)
        if alert is not None:
            self._end(Code.TLS_ALERT, f"the server sent alert {alert.number}")
        else:
            self._cut_off(reset=False)

    # -- what comes after ------------------------------------------------------------------------------------------

    def _speak(self, now: float) -> bytes:
        """Listening is over, or was not needed."""
        client, attempt = self._client, self._attempt
        assert client is not None
        request = attempt.request
        if request is None or (attempt.request_if_asked and client.seen.request is None):
            self._end()
            return client.close()
        self.phase = "http"
        self.wake_at = None if attempt.patience is None else now + attempt.patience
        if client.seen.alpn not in (None, "http/1.1", "http/1.0"):
            chosen = client.seen.alpn[:20]
            self._end(Code.PROTO_HTTP_MALFORMED, f"the server chose {chosen!r}, which is not spoken here")
            return client.close()
        self._reader = ResponseReader(request.method, request.read)
        out = client.write(encode(request, attempt.target, USER_AGENT))
        return out + self._read_response(now, client, self._reader)

    def _read_response(self, now: float, client: TLSClient, reader: ResponseReader) -> bytes:
        data = client.take()
        if data:
            if self.first_byte is None:
                self.first_byte = now
            reader.receive(data)
        if not reader.done:
            return b""
        self._end()
        return client.close()

    def _cut_off(self, reset: bool) -> bytes:
        """The stream has ended. What that means depends on where."""
        client, phase = self._client, self.phase
        if client is None:
            code = Code.NET_PROXY_REFUSED if phase.startswith("proxy") else Code.NET_CLOSED_DURING_HANDSHAKE
            return self._end(
                code, "the connection was closed" + (f" instead of {self.awaited}" if self.awaited else "")
            )
        client.end_of_stream()
        if self._reader is not None and self.first_byte is not None:
            self._reader.end()
            return self._end()
        how = "reset" if reset else "closed"
        if phase == "http":
            return self._end(Code.UPSTREAM_RESET, f"the server {how} the connection instead of answering")
        code = Code.NET_RESET_DURING_HANDSHAKE if reset else Code.NET_CLOSED_DURING_HANDSHAKE
        when = "after our Finished" if phase == "listen" else "in the handshake"
        return self._end(code, f"the server {how} the connection {when}")


def _secret(attempt: Attempt) -> bool:
    """Whether something is said that has to stay secret for ever: then no key is used twice."""
    if attempt.credential is not None:
        return True
    request = attempt.request
    if request is None:
        return False
    return bool(request.body) or any(name.lower() not in ("user-agent", "accept") for name, _ in request.headers)


def _offer(attempt: Attempt) -> Offer:
    """Without the old cipher suites where a credential may be shown."""
    offer = attempt.offer
    if attempt.credential is None or all(one in _SAFE for one in offer.ciphers):
        return offer
    return dataclasses.replace(offer, ciphers=tuple(one for one in offer.ciphers if one in _SAFE))
