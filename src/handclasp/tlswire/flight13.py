"""The handshake of TLS 1.3 after its ServerHello (RFC 8446 §4.3, §4.4), and the messages that come after it (§4.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from handclasp.tlswire import messages, names, verify
from handclasp.tlswire.messages import ServerHello, malformed
from handclasp.tlswire.offer import ClientCredential, KeyShare
from handclasp.tlswire.protect13 import LaterProtection, Protection13
from handclasp.tlswire.schedule import HASHES, Schedule, Secret
from handclasp.tlswire.seen import Answer, Step
from handclasp.tlswire.session import CHANGE_CIPHER_SPEC, HANDSHAKE, Session

_IN_SERVER_HELLO: Final = frozenset({messages.SUPPORTED_VERSIONS, messages.KEY_SHARE})
_IN_ENCRYPTED_EXTENSIONS: Final = frozenset({messages.SERVER_NAME, messages.SUPPORTED_GROUPS, messages.ALPN})
_BESIDE_CERTIFICATE: Final = frozenset({messages.STATUS_REQUEST})

_AFTER_HELLO: Final = frozenset({messages.ENCRYPTED_EXTENSIONS})
_AFTER_EXTENSIONS: Final = frozenset({messages.CERTIFICATE_REQUEST, messages.CERTIFICATE})
_AFTER_REQUEST: Final = frozenset({messages.CERTIFICATE})
_AFTER_CERTIFICATE: Final = frozenset({messages.CERTIFICATE_VERIFY})
_AFTER_VERIFY: Final = frozenset({messages.FINISHED})
_AFTER_HANDSHAKE: Final = frozenset({messages.NEW_SESSION_TICKET, messages.KEY_UPDATE})

_SERVER_CONTEXT: Final = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"
_CLIENT_CONTEXT: Final = b" " * 64 + b"TLS 1.3, client CertificateVerify\0"
_COMPATIBILITY: Final = bytes((CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1))
"""A ChangeCipherSpec that means nothing; boxes on the way expect one (RFC 8446 §D.4)."""
_NOT_REQUESTED, _REQUESTED = b"\0", b"\1"


class Flight13:
    """From the ServerHello on, which is in the transcript already. ``shares`` are those that our last hello sent."""

    __slots__ = (
        "_cipher",
        "_client_secret",
        "_context",
        "_finished_hash",
        "_hash",
        "_hashed",
        "_next",
        "_retried",
        "_schedule",
        "_server_secret",
        "_session",
        "_update_owed",
        "established",
        "ready",
    )

    def __init__(
        self, session: Session, hello: ServerHello, shares: Mapping[int, KeyShare], *, retried: bool = False
    ) -> None:
        self._session = session
        self._retried = retried
        self._cipher = hello.cipher
        self._hash = HASHES[hello.cipher]()
        self._hashed = 0
        self._next = _AFTER_HELLO
        self._context = b""
        self._finished_hash = b""
        self._update_owed = False
        self.ready = self.established = False
        _only(hello.extensions, _IN_SERVER_HELLO, "the ServerHello")
        if messages.KEY_SHARE not in hello.extensions:
            raise malformed("the ServerHello has no key share", 109)
        group, share = messages.server_key_share(hello.extensions[messages.KEY_SHARE])
        if group not in shares:
            raise malformed(f"the server chose the group {names.group_name(group)}, for which no share was sent", 47)
        session.seen.group = group
        self._schedule = schedule = Schedule(hello.cipher, shares[group].shared(share), self._digest())
        self._client_secret: Secret | None = schedule.client
        self._server_secret = schedule.server
        session.opening = _protection(schedule, hello.cipher, schedule.server)
        session.sealing = _protection(schedule, hello.cipher, schedule.client)
        session.step = Step.SERVER_FLIGHT

    def message(self, kind: int, body: bytes) -> bytes:
        """The server's next message."""
        if kind not in self._next:
            raise malformed(f"the server sent a handshake message of type {kind} where it does not belong", 10)
        return _HANDLERS[kind](self, body)

    def change_cipher_spec(self) -> None:
        """Means nothing before the server's Finished, and is an error after it (RFC 8446 §5)."""
        if self.ready or self.established:
            raise malformed("the server sent a ChangeCipherSpec after its Finished", 10)

    def answer(self, credential: ClientCredential | None) -> bytes:
        """Certificate and CertificateVerify, where the server asked; Finished. What ``credential.sign`` raises, passes
        through."""
        session, schedule = self._session, self._schedule
        pieces = []
        if session.seen.request is None:
            session.seen.answer = Answer.NOT_ASKED
        else:
            pieces = self._certificate_of_ours(credential, session.seen.request.signature_algorithms)
        digest = self._digest() if pieces else self._finished_hash
        pieces.append(session.message(messages.FINISHED, schedule.finished(schedule.client, digest)))
        if session.trace:
            session.note(True, "Finished", meaning="our check value over all messages so far")
        out = session.record(HANDSHAKE, b"".join(pieces))
        if session.session_id and not self._retried:
            out = _COMPATIBILITY + out
        session.sealing = LaterProtection(partial(_client_application, schedule, self._cipher, self._finished_hash))
        self._client_secret = None
        self.ready, self.established = False, True
        session.seen.complete = True
        session.step = Step.FIRST_READ
        if self._update_owed:
            out += self._answer_update()
        return out

    def _encrypted_extensions(self, body: bytes) -> bytes:
        session = self._session
        found = messages.encrypted_extensions(body)
        _only(found, _IN_ENCRYPTED_EXTENSIONS, "EncryptedExtensions")
        if session.offer.server_name is None and messages.SERVER_NAME in found:
            raise malformed("the server answers to a name that was not sent", 110)
        if found.get(messages.SERVER_NAME):
            raise malformed("the server sends a name of its own", 50)
        if (protocol := found.get(messages.ALPN)) is not None:
            session.seen.alpn = chosen_protocol(protocol, session.offer.alpn)
        self._next = _AFTER_EXTENSIONS
        if session.trace:
            told = ", ".join(map(names.extension_name, found)) or "none"
            session.note(False, "EncryptedExtensions", extensions=told, alpn=session.seen.alpn or "none")
        return b""

    def _certificate_request(self, body: bytes) -> bytes:
        session = self._session
        context, request = messages.certificate_request13(body)
        if context:
            raise malformed("the CertificateRequest of a handshake has a context", 47)
        session.seen.request = request
        self._context = context
        self._next = _AFTER_REQUEST
        if session.trace:
            session.note(
                False,
                "CertificateRequest",
                authorities=str(len(request.authorities)),
                signature_algorithms=", ".join(map(names.scheme_name, request.signature_algorithms)),
            )
        return b""

    def _certificate(self, body: bytes) -> bytes:
        session, seen = self._session, self._session.seen
        context, chain, beside = messages.certificate13(body)
        if context:
            raise malformed("the server's Certificate has a context", 47)
        if not chain:
            raise malformed("the server's Certificate is empty")
        seen.chain = chain
        for extensions in beside:
            if extensions:
                _only(extensions, _BESIDE_CERTIFICATE, "the Certificate")
        if (status := beside[0].get(messages.STATUS_REQUEST)) is not None:
            seen.staple = messages.certificate_status(status)
        self._next = _AFTER_CERTIFICATE
        if session.trace:
            stapled = "stapled" if seen.staple else "none"
            session.note(False, "Certificate", certificates=str(len(chain)), ocsp_response=stapled)
        return b""

    def _certificate_verify(self, body: bytes) -> bytes:
        session = self._session
        scheme, signature = messages.certificate_verify(body)
        session.seen.signature_scheme = scheme
        public = verify.public_key(session.seen.chain[0])
        verify.bound(public, scheme)
        verify.signature(public, scheme, signature, _SERVER_CONTEXT + self._digest(before=4 + len(body)))
        self._next = _AFTER_VERIFY
        if session.trace:
            meaning = "the server has the private key of its certificate"
            session.note(False, "CertificateVerify", scheme=names.scheme_name(scheme), meaning=meaning)
        return b""

    def _finished(self, body: bytes) -> bytes:
        session, schedule = self._session, self._schedule
        verify.same(schedule.finished(self._server_secret, self._digest(before=4 + len(body))), body)
        self._finished_hash = self._digest()
        schedule.advance()
        self._server_secret = schedule.application_server(self._finished_hash)
        session.opening = _protection(self._schedule, self._cipher, self._server_secret)
        session.seen.proved = self.ready = True
        self._next = _AFTER_HANDSHAKE
        if session.trace:
            session.note(False, "Finished", meaning="the server has seen the same messages as we have")
        return b""

    def _certificate_of_ours(self, credential: ClientCredential | None, schemes: tuple[int, ...]) -> list[bytes]:
        session, seen = self._session, self._session.seen
        scheme = None
        if credential is not None:
            scheme = verify.chosen_scheme(credential.schemes, schemes, lambda one: one not in verify.NOT_IN_TLS13)
        if credential is None or scheme is None:
            seen.answer = Answer.EMPTY if credential is None else Answer.NO_SCHEME
            if session.trace:
                session.note(True, "Certificate", certificates="0", why=seen.answer)
            return [session.message(messages.CERTIFICATE, messages.client_certificate13(self._context, ()))]
        shown = session.message(messages.CERTIFICATE, messages.client_certificate13(self._context, credential.chain))
        signature = credential.sign(_CLIENT_CONTEXT + self._digest(), scheme)
        proof = session.message(messages.CERTIFICATE_VERIFY, messages.client_certificate_verify(scheme, signature))
        seen.answer = Answer.SHOWN
        if session.trace:
            session.note(True, "Certificate", certificates=str(len(credential.chain)))
            meaning = "we have the private key of our certificate"
            session.note(True, "CertificateVerify", scheme=names.scheme_name(scheme), meaning=meaning)
        return [shown, proof]

    def _ticket(self, body: bytes) -> bytes:
        session = self._session
        self._forget(body)
        lifetime = messages.new_session_ticket13(body)
        if self.established:  # before our Certificate it says nothing of what the server thinks of that
            session.seen.tickets += 1
        if session.trace:
            meaning = "the server would take this session up again, so it has accepted us so far"
            session.note(False, "NewSessionTicket", lifetime=f"{lifetime} s", meaning=meaning)
        return b""

    def _key_update(self, body: bytes) -> bytes:
        if body not in {_NOT_REQUESTED, _REQUESTED}:
            raise malformed("a KeyUpdate is not in its form", 47)
        session = self._session
        self._forget(body)
        self._server_secret = self._schedule.update(self._server_secret)
        session.opening = _protection(self._schedule, self._cipher, self._server_secret)
        session.note(False, "KeyUpdate", meaning="the server goes on under its next key")
        if body == _NOT_REQUESTED:
            return b""
        if not self.established:
            self._update_owed = True
            return b""
        return self._answer_update()

    def _forget(self, body: bytes) -> None:
        """What comes after the handshake is no part of its transcript (RFC 8446 §4.4.1)."""
        del self._session.transcript[-4 - len(body) :]

    def _answer_update(self) -> bytes:
        session = self._session
        self._update_owed = False
        update = bytes((messages.KEY_UPDATE, 0, 0, 1)) + _NOT_REQUESTED
        out = session.record(HANDSHAKE, update)
        secret = self._client_secret or self._schedule.application_client(self._finished_hash)
        self._client_secret = secret = self._schedule.update(secret)
        session.sealing = _protection(self._schedule, self._cipher, secret)
        session.note(True, "KeyUpdate", meaning="we go on under our next key")
        return out

    def _digest(self, before: int = 0) -> bytes:
        """The transcript's hash, without its last ``before`` octets. Only ever later than the one before."""
        transcript = self._session.transcript
        end = len(transcript) - before
        self._hash.update(transcript[self._hashed : end])
        self._hashed = end
        return self._hash.copy().digest()


_HANDLERS: Final[dict[int, Callable[[Flight13, bytes], bytes]]] = {
    messages.ENCRYPTED_EXTENSIONS: Flight13._encrypted_extensions,
    messages.CERTIFICATE_REQUEST: Flight13._certificate_request,
    messages.CERTIFICATE: Flight13._certificate,
    messages.CERTIFICATE_VERIFY: Flight13._certificate_verify,
    messages.FINISHED: Flight13._finished,
    messages.NEW_SESSION_TICKET: Flight13._ticket,
    messages.KEY_UPDATE: Flight13._key_update,
}


def _protection(schedule: Schedule, cipher: int, secret: Secret) -> Protection13:
    return Protection13(cipher, *schedule.keys(secret))


def _client_application(schedule: Schedule, cipher: int, finished_hash: bytes) -> Protection13:
    return _protection(schedule, cipher, schedule.application_client(finished_hash))


def chosen_protocol(extension: bytes, offered: tuple[str, ...]) -> str:
    """The ALPN protocol that the server chose of ours (RFC 7301 §3.1). Raises Broken for another."""
    name = messages.alpn(extension)
    for protocol in offered:
        if protocol.encode() == name:
            return protocol
    raise malformed("the server chose an application protocol that was not offered", 47)


def _only(found: Mapping[int, bytes], allowed: frozenset[int], where: str) -> None:
    """A server answers only to extensions that our hello had, each at its place (RFC 8446 §4.2)."""
    for kind in found:
        if kind not in allowed:
            raise malformed(f"{where} has the extension {names.extension_name(kind)}, which does not belong there", 110)
