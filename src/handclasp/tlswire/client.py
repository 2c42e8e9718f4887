"""A TLS client without a socket: octets in, octets out, and what was seen (RFC 8446, RFC 5246).

It takes whatever a server sends: nothing raises, nothing is without bound, and what broke the protocol is in
``seen.fault``. It judges no certificate: that is done by who reads ``seen``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from handclasp.findings import Code
from handclasp.tlswire import exchange, messages, names
from handclasp.tlswire.flight12 import Flight12
from handclasp.tlswire.flight13 import Flight13
from handclasp.tlswire.hello import client_hello
from handclasp.tlswire.messages import ServerHello, malformed
from handclasp.tlswire.offer import TLS13, TLS13_CIPHERS, ClientCredential, KeyShare, KeyShares, Offer
from handclasp.tlswire.records import Messages, Records
from handclasp.tlswire.schedule import HASHES
from handclasp.tlswire.seen import Alert, Fault, Seen, Step
from handclasp.tlswire.session import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    MAX_PLAINTEXT,
    Broken,
    Flight,
    Session,
)

MAX_HANDSHAKE: Final = 512 * 1024
"""Octets of handshake messages on one connection."""
MAX_MESSAGES: Final = 200
MAX_RECORDS: Final = 400
"""Records on one connection that are not application data."""
MAX_QUIET: Final = 64
"""Warnings and records that carry nothing."""

_FATAL: Final = 2
_CLOSE_NOTIFY, _USER_CANCELED = 0, 90
_BEFORE_HELLO: Final = {
    40: Code.TLS_NO_SHARED_CIPHER,
    70: Code.TLS_VERSION_MISMATCH,
    86: Code.TLS_VERSION_MISMATCH,
    112: Code.TLS_SNI_UNRECOGNIZED,
}
_IN_RETRY: Final = frozenset({messages.SUPPORTED_VERSIONS, messages.KEY_SHARE, messages.COOKIE})
_COMPATIBILITY: Final = bytes((CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1))
_DOWNGRADED: Final = {b"DOWNGRD\x01": 0x0303, b"DOWNGRD\x00": 0x0302}
"""The end of a ServerHello's random, by which a server says that it knows a newer version than this one (§4.1.3)."""
_SILENT: Final = frozenset({Code.PROTO_NOT_TLS, Code.PROTO_TLS_TO_PLAIN})


class TLSClient:
    """One connection. ``random`` and ``session_id`` have 32 octets each; ``shares`` has a key for each group of
    ``offer.shares`` (``exchange.make``), and may have more.

    ``seen.fault`` is set where the server broke the protocol or ended the handshake by an alert before our flight.
    Alerts after that are in ``seen.alerts`` alone: what they mean is judged elsewhere.
    """

    def __init__(
        self, offer: Offer, *, random: bytes, session_id: bytes, shares: KeyShares, trace: bool = False
    ) -> None:
        # Without TLS 1.3 there is nothing to disguise, and an old server might look the session up.
        kept = session_id if TLS13 in offer.versions else b""
        self._session = Session(offer, random, shares, kept, trace)
        self._sent_shares: Mapping[int, KeyShare] = {group: shares[group] for group in offer.shares}
        self._flight: Flight | None = None
        self._retry: ServerHello | None = None
        self._records = Records()
        self._messages = Messages()
        self._received: list[bytes] = []
        self._octets = self._message_count = self._record_count = self._quiet = 0
        self.seen: Seen = self._session.seen
        self.over = False
        """A fault, a fatal alert or the end of the stream: nothing more is to come."""

    @property
    def ready(self) -> bool:
        """The server's flight is complete and proved: ``answer`` comes next."""
        return self._flight is not None and not self.over and self._flight.ready

    @property
    def established(self) -> bool:
        """Application data may be written."""
        return self._flight is not None and not self.over and self._flight.established

    def start(self) -> bytes:
        """The record of the ClientHello."""
        hello = self._hello(None)
        # 0x0301 in the first record: some old servers want it (RFC 8446 §5.1).
        return b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello

    def receive(self, data: bytes) -> bytes:
        """What came from the server, in pieces of any size; returns what to send."""
        if self.over:
            return b""
        try:
            return self._receive(data)
        except Broken as broken:
            return self._fail(broken)

    def end_of_stream(self) -> None:
        """The server has closed its side of the connection."""
        if not self.over:
            try:
                self._records.end()
            except Broken as broken:
                self._fail(broken)
        self.seen.closed = self.over = True

    def answer(self, credential: ClientCredential | None) -> bytes:
        """Our flight. Where the server asked for no certificate, the credential is not sent; ``seen.answer`` says
        what was. What ``credential.sign`` raises passes through."""
        if not self.ready:
            return b""
        assert self._flight is not None
        try:
            return self._flight.answer(credential)
        except Broken as broken:
            return self._fail(broken)

    def write(self, data: bytes) -> bytes:
        """The records of application data; nothing while it may not be written."""
        if not self.established:
            return b""
        self._session.step = Step.APPLICATION
        return self._session.record(APPLICATION_DATA, data)

    def take(self) -> bytes:
        """The application data that came since the last call."""
        taken, self._received = b"".join(self._received), []
        return taken

    def close(self) -> bytes:
        """close_notify, where the connection still stands."""
        if self._flight is None or self.over:
            return b""
        self._session.note(True, "Alert", alert=names.alert_name(_CLOSE_NOTIFY))
        return self._session.record(ALERT, bytes((1, _CLOSE_NOTIFY)))

    def _receive(self, data: bytes) -> bytes:
        session = self._session
        out = b""
        for kind, header, payload in self._records.feed(data):
            if kind == CHANGE_CIPHER_SPEC and (session.opening is None or self.seen.version == TLS13):
                self._change_cipher_spec(payload)
                continue
            if session.opening is not None:
                kind, payload = session.opening.open(kind, header, payload)
            elif len(payload) > MAX_PLAINTEXT:
                raise malformed("a record is longer than TLS allows", 22)
            if kind == APPLICATION_DATA:
                self._application_data(payload)
                continue
            self._record_count += 1
            if self._record_count > MAX_RECORDS:
                raise malformed(f"the server sent more than {MAX_RECORDS} records that are no application data", 10)
            if kind == HANDSHAKE:
                out += self._handshake(payload)
            elif kind == ALERT:
                self._alert(payload)
                if self.over:
                    break
            else:
                raise malformed(f"a record has the type {kind} inside", 10)
        return out

    def _handshake(self, payload: bytes) -> bytes:
        if not payload:
            raise malformed("a handshake record carries nothing", 10)
        self._octets += len(payload)
        if self._octets > MAX_HANDSHAKE:
            raise malformed(f"the server sent more than {MAX_HANDSHAKE} octets of handshake messages", 47)
        session = self._session
        wholes = self._messages.feed(payload)
        self._message_count += len(wholes)
        if self._message_count > MAX_MESSAGES:
            raise malformed(f"the server sent more than {MAX_MESSAGES} handshake messages", 10)
        out = b""
        for whole in wholes:
            before = session.opening
            out += self._message(whole)
            if session.opening is not before and not (whole is wholes[-1] and self._messages.empty):
                raise malformed("a handshake message goes on where the keys change", 10)
        return out

    def _message(self, whole: bytes) -> bytes:
        kind, body = whole[0], whole[4:]
        if self._flight is not None:
            # A HelloRequest is no part of the transcript (RFC 5246 §7.4.1.1).
            if kind != messages.HELLO_REQUEST:
                self._session.transcript += whole
            return self._flight.message(kind, body)
        if kind != messages.SERVER_HELLO:
            raise malformed(f"the server began with a handshake message of type {kind}", 10)
        hello = messages.server_hello(body)
        return self._retried(hello, whole) if hello.retry else self._chosen(hello, whole)

    def _chosen(self, hello: ServerHello, whole: bytes) -> bytes:
        session, seen = self._session, self.seen
        seen.version, seen.cipher = hello.version, hello.cipher
        if session.trace:
            self._note_hello("ServerHello", hello)
        self._check_cipher(hello)
        session.transcript += whole
        if self._retry is not None and (hello.version, hello.cipher) != (TLS13, self._retry.cipher):
            raise malformed("the server's second hello chooses otherwise than its first", 47)
        if hello.version == TLS13:
            self._check_disguise(hello)
            self._flight = Flight13(session, hello, self._sent_shares, retried=self._retry is not None)
            return b""
        self._check_downgrade(hello)
        session.step = Step.SERVER_FLIGHT
        self._flight = Flight12(session, hello)
        return b""

    def _retried(self, hello: ServerHello, whole: bytes) -> bytes:
        """A HelloRetryRequest: our second hello (RFC 8446 §4.1.4)."""
        session, offer = self._session, self._session.offer
        if session.trace:
            self._note_hello("HelloRetryRequest", hello)
        if self._retry is not None:
            raise malformed("the server asks for a new hello twice", 10)
        if hello.version != TLS13:
            raise malformed("a HelloRetryRequest is not of TLS 1.3", 47)
        self._check_cipher(hello)
        self._check_disguise(hello)
        if not hello.extensions.keys() <= _IN_RETRY:
            raise malformed("the HelloRetryRequest has an extension that does not belong there", 110)
        asked, cookie = hello.extensions.get(messages.KEY_SHARE), hello.extensions.get(messages.COOKIE)
        if asked is None and cookie is None:
            raise malformed("the HelloRetryRequest asks for nothing new", 47)
        if asked is not None:
            group = messages.retry_group(asked)
            if group not in offer.groups or group not in exchange.SUPPORTED or group in self._sent_shares:
                raise malformed(f"the HelloRetryRequest asks for the group {names.group_name(group)}", 47)
            share = session.shares.get(group) or exchange.make((group,))[group]
            self._sent_shares = {group: share}
        self._retry = hello
        self.seen.retried_hello = True
        # The first hello is in the transcript as its hash (RFC 8446 §4.4.1).
        first = HASHES[hello.cipher](session.transcript).digest()
        session.transcript[:] = bytes((messages.MESSAGE_HASH, 0, 0, len(first))) + first + whole
        again = session.record(HANDSHAKE, self._hello(None if cookie is None else messages.cookie(cookie)))
        return (_COMPATIBILITY if session.session_id else b"") + again

    def _hello(self, cookie: bytes | None) -> bytes:
        session, offer = self._session, self._session.offer
        body = client_hello(
            offer,
            random=session.client_random,
            session_id=session.session_id,
            shares=self._sent_shares,
            retry_cookie=cookie,
        )
        if session.trace:
            session.note(
                True,
                "ClientHello",
                server_name=offer.server_name or "none",
                versions=", ".join(map(names.version_name, offer.versions)),
                ciphers=str(len(offer.ciphers)),
                groups=", ".join(map(names.group_name, offer.groups)),
                key_shares=", ".join(map(names.group_name, self._sent_shares)),
                alpn=", ".join(offer.alpn) or "none",
            )
        return session.message(messages.CLIENT_HELLO, body)

    def _check_cipher(self, hello: ServerHello) -> None:
        offer, new = self._session.offer, hello.version >= TLS13
        if new and hello.version not in offer.versions:
            raise malformed(f"the server chose {names.version_name(hello.version)}, which was not offered", 47)
        if hello.cipher not in offer.ciphers or (hello.cipher in TLS13_CIPHERS) != new:
            raise malformed(f"the server chose the cipher {names.cipher_name(hello.cipher)}, which was not offered", 47)
        if hello.compression:
            raise malformed("the server chose compression, which was not offered", 47)

    def _check_disguise(self, hello: ServerHello) -> None:
        if hello.session_id != self._session.session_id:
            raise malformed("the server does not send our session id back", 47)

    def _check_downgrade(self, hello: ServerHello) -> None:
        newest = _DOWNGRADED.get(hello.random[-8:])
        if newest is not None and hello.version <= newest < max(self._session.offer.versions):
            raise malformed(
                f"the server chose {names.version_name(hello.version)} and marks that it knows a newer version which "
                "we offered: someone on the way has changed the hello",
                47,
            )

    def _note_hello(self, what: str, hello: ServerHello) -> None:
        facts = {"version": names.version_name(hello.version), "cipher": names.cipher_name(hello.cipher)}
        if hello.extensions:
            facts["extensions"] = ", ".join(map(names.extension_name, hello.extensions))
        self._session.note(False, what, **facts)

    def _change_cipher_spec(self, payload: bytes) -> None:
        self._count_quiet()
        if payload != b"\x01" or not self._messages.empty:
            raise malformed("a ChangeCipherSpec is not in its form or place", 10)
        if self._flight is not None:
            self._flight.change_cipher_spec()
        elif self._retry is None:
            raise malformed("the server began with a ChangeCipherSpec", 10)

    def _application_data(self, payload: bytes) -> None:
        flight = self._flight
        # TLS 1.3 servers may write as soon as their Finished is out, before ours.
        if flight is None or not (flight.established or (flight.ready and self.seen.version == TLS13)):
            raise malformed("application data came before the end of the handshake", 10)
        if not self._messages.empty:
            raise malformed("application data came in the middle of a handshake message", 10)
        if payload:
            self._received.append(payload)
        else:
            self._count_quiet()

    def _alert(self, payload: bytes) -> None:
        if len(payload) != 2:
            raise malformed("an alert is not in its form")
        session, seen = self._session, self.seen
        level, number = payload
        # TLS 1.3 knows no levels: all but two end the connection (RFC 8446 §6).
        fatal = number not in {_CLOSE_NOTIFY, _USER_CANCELED} if seen.version == TLS13 else level == _FATAL
        if number == _CLOSE_NOTIFY:
            fatal = False
            seen.closed = self.over = True
        seen.alerts.append(Alert(number, fatal, session.step))
        if session.trace:
            session.note(False, "Alert", alert=names.alert_name(number), number=str(number))
        if not fatal:
            self._count_quiet()
            return
        self.over = True
        if session.step in {Step.CLIENT_HELLO, Step.SERVER_FLIGHT}:
            first = session.step is Step.CLIENT_HELLO
            code = _BEFORE_HELLO.get(number, Code.TLS_ALERT) if first else Code.TLS_ALERT
            when = "answered our hello" if first else "ended the handshake"
            seen.fault = Fault(
                code, f"the server {when} with alert {number} ({names.alert_name(number)})", session.step
            )

    def _count_quiet(self) -> None:
        self._quiet += 1
        if self._quiet > MAX_QUIET:
            raise malformed(f"the server sent more than {MAX_QUIET} warnings and records that carry nothing", 10)

    def _fail(self, broken: Broken) -> bytes:
        session = self._session
        self.over = True
        self.seen.fault = Fault(broken.code, broken.what, session.step)
        if broken.code in _SILENT:
            return b""
        session.note(True, "Alert", alert=names.alert_name(broken.alert), number=str(broken.alert))
        return session.record(ALERT, bytes((_FATAL, broken.alert)))
