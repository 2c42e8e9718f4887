"""The handshake of TLS 1.2 after the ServerHello (RFC 5246 §7.3), and as much of TLS 1.0 and 1.1 as it takes to see
the server's certificate.

The server's flight, in this order: Certificate, [CertificateStatus], [ServerKeyExchange], [CertificateRequest],
ServerHelloDone. Then ours: [Certificate], ClientKeyExchange, [CertificateVerify], ChangeCipherSpec, Finished. Then
theirs again: ChangeCipherSpec, Finished. Nothing is ever resumed: no ticket is asked for, and none is taken.
"""

from __future__ import annotations

from typing import Final

from handclasp.findings import Code
from handclasp.tlswire import messages, names, verify
from handclasp.tlswire.exchange12 import (
    SUITES,
    CurveShare,
    Exchange,
    FieldShare,
    Suite,
    agree,
    encrypt_premaster,
    server_key_exchange,
)
from handclasp.tlswire.messages import ServerHello, malformed
from handclasp.tlswire.offer import SAFE_CIPHERS, TLS12, ClientCredential
from handclasp.tlswire.prf12 import Secrets, extended_secrets_of, secrets_of
from handclasp.tlswire.seen import Answer, CertificateRequest, Step
from handclasp.tlswire.session import ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Broken, Protection, Session

_ORDER: Final = {
    messages.CERTIFICATE: 1,
    messages.CERTIFICATE_STATUS: 2,
    messages.SERVER_KEY_EXCHANGE: 3,
    messages.CERTIFICATE_REQUEST: 4,
    messages.SERVER_HELLO_DONE: 5,
}
"""The messages of the server's flight; each may only follow a lower one."""
_DONE: Final = 5

_ANSWERABLE: Final = frozenset(
    {
        messages.SERVER_NAME,
        messages.STATUS_REQUEST,
        messages.EC_POINT_FORMATS,
        messages.ALPN,
        messages.EXTENDED_MASTER_SECRET,
        messages.RENEGOTIATION_INFO,
        # Never answered in TLS 1.2 by the RFC, but known of balancers in the field; it says nothing.
        messages.SUPPORTED_GROUPS,
    }
)

_RSA_SIGN, _ECDSA_SIGN = 1, 64
_CURVE_SCHEMES: Final = frozenset(
    {names.ECDSA_P256, names.ECDSA_P384, names.ECDSA_P521, names.ED25519, names.ED448},
)
_RSA_SCHEMES: Final = verify.OFFERED - _CURVE_SCHEMES - {names.ML_DSA_44, names.ML_DSA_65, names.ML_DSA_87}
"""By the kind of key. ML-DSA is not for TLS 1.2."""
_NO_RENEGOTIATION: Final = b"\x01\x64"
_MAX_HELLO_REQUESTS: Final = 8
_UNEXPECTED, _HANDSHAKE_FAILURE, _ILLEGAL, _UNSUPPORTED_EXTENSION = 10, 40, 47, 110


class Flight12:
    """One handshake, from the ServerHello on. Made for every version up to TLS 1.2; raises Broken for a hello that
    chooses what was not offered.

    With a credential only ECDHE with an AEAD will do, whatever was offered: in all other suites the handshake or what
    follows it is weaker than what the credential protects.
    """

    __slots__ = (
        "_answered",
        "_established",
        "_extended",
        "_hello",
        "_opening",
        "_rank",
        "_requests",
        "_secrets",
        "_session",
        "_share",
        "_suite",
    )

    def __init__(self, session: Session, hello: ServerHello) -> None:
        self._session = session
        self._hello = hello
        self._rank = 0
        self._requests = 0
        self._share: CurveShare | FieldShare | None = None
        self._secrets: Secrets | None = None
        self._opening: Protection | None = None
        self._answered = False
        self._established = False
        self._extended = messages.EXTENDED_MASTER_SECRET in hello.extensions
        self._suite = self._chosen() if hello.version == TLS12 else None

    @property
    def ready(self) -> bool:
        """The server's flight is complete: ``answer`` comes next."""
        return self._rank == _DONE and not self._answered

    @property
    def established(self) -> bool:
        """The server's Finished was right: application data may be written."""
        return self._established

    def message(self, kind: int, body: bytes) -> bytes:
        """One message of the server, already in the transcript (but no HelloRequest); returns what to send. Raises
        Broken."""
        if self._suite is None:
            self._old(kind, body)
            return b""
        if kind == messages.HELLO_REQUEST:
            return self._hello_request(body)
        if self._answered:
            self._close(kind, body)
        else:
            self._open(self._suite, kind, body)
        return b""

    def change_cipher_spec(self) -> None:
        """From now on the server's records are protected (RFC 5246 §7.1). Raises Broken if it is not the time."""
        if self._opening is None:
            what = "before the server has finished its flight" if not self._answered else "a second time"
            raise malformed(f"a ChangeCipherSpec {what}", _UNEXPECTED)
        self._session.opening, self._opening = self._opening, None

    def answer(self, credential: ClientCredential | None) -> bytes:
        """Our flight, as records. The credential is shown only where the server asked; ``seen.answer`` says what was.

        Raises Broken: TLS_NO_SHARED_CIPHER for a credential in a suite that is not safe enough, TLS_SERVER_NOT_PROVED
        for one to a server that has proved nothing, CREDENTIAL_WITHHELD for one to a server that does not know RFC
        5746; nothing is sent then.
        """
        session, suite = self._session, self._suite
        assert suite is not None
        assert self.ready
        if credential is not None:
            self._check_safe()
        answer, scheme = self._certificate(credential)
        chain = credential.chain if credential is not None and answer is Answer.SHOWN else ()
        premaster, exchange = self._agree(suite)
        flight = b""
        if answer is not Answer.NOT_ASKED:
            flight = session.message(messages.CERTIFICATE, messages.client_certificate12(chain))
            session.note(True, "Certificate", certificates=str(len(chain)))
        flight += session.message(messages.CLIENT_KEY_EXCHANGE, exchange)
        session.note(True, "ClientKeyExchange")
        secrets = self._derive(suite, premaster)
        if credential is not None and chain:
            signature = credential.sign(bytes(session.transcript), scheme)
            proof = messages.client_certificate_verify(scheme, signature)
            flight += session.message(messages.CERTIFICATE_VERIFY, proof)
            session.note(True, "CertificateVerify", signature_scheme=names.scheme_name(scheme))
        bulk = suite.bulk
        keys = secrets.keys(session.client_random, self._hello.random, bulk.mac, bulk.key, bulk.iv)
        records = session.record(HANDSHAKE, flight) + session.record(CHANGE_CIPHER_SPEC, b"\x01")
        session.sealing, self._opening = bulk.client(keys), bulk.server(keys)
        finished = session.message(messages.FINISHED, secrets.client_finished(session.transcript))
        session.note(True, "Finished")
        self._secrets = secrets
        self._answered = True
        session.step = Step.CLIENT_FLIGHT
        session.seen.answer = answer
        return records + session.record(HANDSHAKE, finished)

    # The ServerHello

    def _chosen(self) -> Suite:
        session, hello = self._session, self._hello
        suite = SUITES.get(hello.cipher)
        if suite is None or hello.cipher not in session.offer.ciphers:
            raise malformed(f"the server chose {names.cipher_name(hello.cipher)}, which was not offered", _ILLEGAL)
        if TLS12 not in session.offer.versions:
            raise Broken(Code.TLS_VERSION_MISMATCH, "the server chose TLS 1.2, which was not offered", 70)
        found = hello.extensions
        if unknown := found.keys() - _ANSWERABLE:
            what = f"the server answers an extension that was not sent: {names.extension_name(min(unknown))}"
            raise malformed(what, _UNSUPPORTED_EXTENSION)
        if (renegotiation := found.get(messages.RENEGOTIATION_INFO)) is not None and renegotiation != b"\0":
            # RFC 5746 §3.4.
            raise malformed("the server takes a first handshake for a renegotiation", _HANDSHAKE_FAILURE)
        if found.get(messages.EXTENDED_MASTER_SECRET) or found.get(messages.STATUS_REQUEST):
            raise malformed("the server puts something into an extension that is empty in its hello", 50)
        if (protocols := found.get(messages.ALPN)) is not None:
            name = messages.alpn(protocols).decode("ascii", "replace")
            if name not in session.offer.alpn:
                raise malformed("the server chose an application protocol that was not offered", _ILLEGAL)
            session.seen.alpn = name
        return suite

    # The server's flight

    def _open(self, suite: Suite, kind: int, body: bytes) -> None:
        """A message of the server's first flight."""
        rank = _ORDER.get(kind, 0)
        if rank <= self._rank or (rank > 1 and not self._session.seen.chain):
            raise self._out_of_order(kind)
        self._rank = rank
        if kind == messages.CERTIFICATE:
            self._read_chain(body)
        elif kind == messages.CERTIFICATE_STATUS:
            if messages.STATUS_REQUEST not in self._hello.extensions:
                raise self._out_of_order(kind)
            self._session.seen.staple = messages.certificate_status(body)
            self._session.note(False, "CertificateStatus", octets=str(len(body)))
        elif kind == messages.SERVER_KEY_EXCHANGE:
            if suite.exchange is Exchange.RSA:
                raise self._out_of_order(kind)
            self._read_share(suite, body)
        elif self._share is None and suite.exchange is not Exchange.RSA:
            raise self._out_of_order(kind)
        elif kind == messages.CERTIFICATE_REQUEST:
            self._read_request(messages.certificate_request12(body))
        else:
            if body:
                raise malformed("the ServerHelloDone is not empty")
            self._session.note(False, "ServerHelloDone")

    def _read_chain(self, body: bytes) -> None:
        chain = messages.certificate12(body)
        if not chain:
            raise malformed("the server sends no certificate")
        self._session.seen.chain = chain
        self._session.note(False, "Certificate", certificates=str(len(chain)))

    def _read_request(self, request: CertificateRequest) -> None:
        self._session.seen.request = request
        self._session.note(False, "CertificateRequest", authorities=str(len(request.authorities)))

    def _read_share(self, suite: Suite, body: bytes) -> None:
        """The ServerKeyExchange: a share of a group that we offered, signed with the key of the leaf."""
        session = self._session
        read = server_key_exchange(suite.exchange, body)
        if isinstance(read.share, CurveShare) and read.share.group not in session.offer.groups:
            raise malformed(f"the server takes {names.group_name(read.share.group)}, which was not offered", _ILLEGAL)
        if read.scheme not in (_CURVE_SCHEMES if suite.ecdsa else _RSA_SCHEMES):
            what = f"the server signed with {names.scheme_name(read.scheme)}, which does not fit its cipher suite"
            raise malformed(what, _ILLEGAL)
        signed = session.client_random + self._hello.random + read.parameters
        verify.signature(verify.public_key(session.seen.chain[0]), read.scheme, read.signature, signed)
        self._share = read.share
        session.seen.signature_scheme = read.scheme
        session.seen.proved = True
        if isinstance(read.share, CurveShare):
            session.seen.group = read.share.group
            session.note(False, "ServerKeyExchange", group=names.group_name(read.share.group))
        else:
            session.note(False, "ServerKeyExchange", prime_bits=str(read.share.prime.bit_length()))

    def _old(self, kind: int, body: bytes) -> None:
        """A message of a version that is not spoken here: what it shows is taken, and the end of the flight is that of
        the exchange. Nothing of it is proved."""
        seen = self._session.seen
        try:
            if kind == messages.CERTIFICATE and not seen.chain:
                self._read_chain(body)
                return
            if kind == messages.CERTIFICATE_REQUEST and seen.chain and seen.request is None:
                self._read_request(messages.certificate_request12(body, with_schemes=False))
                return
            if kind in {messages.CERTIFICATE_STATUS, messages.SERVER_KEY_EXCHANGE} and seen.chain:
                return
        except Broken:
            pass  # it would not have been spoken with anyway: the version is what is wrong
        chosen = names.version_name(self._hello.version)
        raise Broken(Code.TLS_VERSION_MISMATCH, f"the server chose {chosen}: too old, TLS 1.2 is the least", 70)

    # Our flight

    def _check_safe(self) -> None:
        if self._hello.cipher not in SAFE_CIPHERS:
            what = f"no credential is shown under {names.cipher_name(self._hello.cipher)}, which the server chose"
            raise Broken(Code.TLS_NO_SHARED_CIPHER, what, _HANDSHAKE_FAILURE)
        if not self._session.seen.proved:
            what = "no credential is shown to a server that has not proved who it is"
            raise Broken(Code.TLS_SERVER_NOT_PROVED, what, _HANDSHAKE_FAILURE)
        if messages.RENEGOTIATION_INFO not in self._hello.extensions:
            # Someone between could have begun a connection of their own, and have the server take what they said on it
            # as said by the holder of our certificate (RFC 5746 §1, §4.1).
            what = "no credential is shown to a server that does not know of secure renegotiation (RFC 5746)"
            raise Broken(Code.CREDENTIAL_WITHHELD, what, _HANDSHAKE_FAILURE)

    def _certificate(self, credential: ClientCredential | None) -> tuple[Answer, int]:
        """What is answered to the question for a certificate, and the scheme to sign with where one is shown."""
        request = self._session.seen.request
        if request is None:
            return Answer.NOT_ASKED, 0
        if credential is None:
            return Answer.EMPTY, 0
        scheme = _scheme(credential, request)
        # RFC 5246 §7.4.6: without a suitable certificate, an empty message.
        return (Answer.NO_SCHEME, 0) if scheme is None else (Answer.SHOWN, scheme)

    def _agree(self, suite: Suite) -> tuple[bytes, bytes]:
        if self._share is None:
            assert suite.exchange is Exchange.RSA
            return encrypt_premaster(verify.public_key(self._session.seen.chain[0]))
        return agree(self._share, self._session.shares)

    def _derive(self, suite: Suite, premaster: bytes) -> Secrets:
        session = self._session
        if self._extended:
            return extended_secrets_of(suite.hash_name, premaster, session.transcript)
        return secrets_of(suite.hash_name, premaster, session.client_random, self._hello.random)

    # The server's last flight, and after it

    def _close(self, kind: int, body: bytes) -> None:
        """After our flight and the server's ChangeCipherSpec: its Finished, and no other message."""
        session = self._session
        if kind != messages.FINISHED or self._opening is not None or self._established:
            raise self._out_of_order(kind)
        assert self._secrets is not None
        before = bytes(session.transcript[: -4 - len(body)])
        verify.same(self._secrets.server_finished(before), body)
        session.note(False, "Finished")
        session.seen.proved = True
        session.seen.complete = True
        self._established = True

    def _hello_request(self, body: bytes) -> bytes:
        """The server wants to negotiate anew (RFC 5246 §7.4.1.1): Apache and others do, to ask for a certificate for
        one path. It is noted and declined; within a handshake the RFC has it ignored."""
        session = self._session
        if body:
            raise malformed("the HelloRequest is not empty")
        self._requests += 1
        if self._requests > _MAX_HELLO_REQUESTS:
            raise malformed("the server will not stop asking for a renegotiation", _UNEXPECTED)
        session.note(False, "HelloRequest")
        if not self._established:
            return b""
        session.seen.renegotiations += 1
        session.note(True, "Alert", number="100", name="no_renegotiation")
        return session.record(ALERT, _NO_RENEGOTIATION)

    def _out_of_order(self, kind: int) -> Broken:
        where = "after its first flight" if self._answered else "in its first flight"
        return malformed(f"a handshake message that is not expected {where} (type {kind})", _UNEXPECTED)


def _scheme(credential: ClientCredential, request: CertificateRequest) -> int | None:
    """The best scheme of the credential that the server takes, by scheme and by certificate type; Ed25519 and Ed448 go
    by ecdsa_sign (RFC 8422 §5.5)."""
    allowed: frozenset[int] = frozenset()
    if _RSA_SIGN in request.certificate_types:
        allowed |= _RSA_SCHEMES
    if _ECDSA_SIGN in request.certificate_types:
        allowed |= _CURVE_SCHEMES
    return verify.chosen_scheme(credential.schemes, request.signature_algorithms, allowed.__contains__)
