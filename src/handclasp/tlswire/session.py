"""What the parts of a TLS client share: the transcript, the protection of records, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from handclasp.findings import Code
from handclasp.tlswire.offer import ClientCredential, KeyShares, Offer
from handclasp.tlswire.seen import Event, Seen, Step

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
MAX_PLAINTEXT = 1 << 14


class Broken(Exception):
    """The server does not keep to the protocol, or asks for what was not offered: the code, and what was seen.

    ``alert`` is the number that is sent to the server (RFC 8446 §6), where one can be.
    """

    def __init__(self, code: Code, what: str, alert: int = 47) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.alert = alert


class Protection(Protocol):
    """The protection of records in one direction, with its sequence number."""

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        """A whole record, header included."""

    def open(self, kind: int, header: bytes, payload: bytes) -> tuple[int, bytes]:
        """The content type inside and the plaintext. Raises Broken (TLS_MALFORMED) where it was tampered with."""


class Flight(Protocol):
    """The handshake of one version after its ServerHello. Methods raise Broken; ``Session.step`` says where they
    are."""

    @property
    def ready(self) -> bool:
        """The server's flight is complete: ``answer`` comes next."""

    @property
    def established(self) -> bool:
        """Application data may be written."""

    def message(self, kind: int, body: bytes) -> bytes:
        """One whole handshake message (already in the transcript); returns what to send."""

    def answer(self, credential: ClientCredential | None) -> bytes:
        """Our flight, as records; the credential is shown only where the server asked: ``seen.answer``."""

    def change_cipher_spec(self) -> None:
        """The server's ChangeCipherSpec."""


@dataclass(slots=True)
class Session:
    """One connection. ``transcript`` has every handshake message with its header, in order, of both sides.

    ``session_id`` is what our hello had: a server that sends it back in TLS 1.2 wants to resume what there never was.
    """

    offer: Offer
    client_random: bytes
    shares: KeyShares
    session_id: bytes = b""
    trace: bool = False
    seen: Seen = field(default_factory=Seen)
    step: Step = Step.CLIENT_HELLO
    transcript: bytearray = field(default_factory=bytearray)
    opening: Protection | None = None
    sealing: Protection | None = None

    def note(self, sent: bool, what: str, **facts: str) -> None:
        """For --trace."""
        if self.trace:
            self.seen.events.append(Event(sent, what, facts))

    def record(self, kind: int, payload: bytes) -> bytes:
        """The payload as records in the protection of now."""
        pieces = []
        for at in range(0, len(payload) or 1, MAX_PLAINTEXT):
            piece = payload[at : at + MAX_PLAINTEXT]
            if self.sealing is None:
                pieces.append(bytes((kind, 3, 3)) + len(piece).to_bytes(2, "big") + piece)
            else:
                pieces.append(self.sealing.seal(kind, piece))
        return b"".join(pieces)

    def message(self, kind: int, body: bytes) -> bytes:
        """A handshake message with its header, now part of the transcript."""
        whole = bytes((kind,)) + len(body).to_bytes(3, "big") + body
        self.transcript += whole
        return whole
