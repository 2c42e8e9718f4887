"""TLS 1.3 servers to talk to: OpenSSL's in memory, and one of our own that says whatever a test wants."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.tlswire.tls12_peer import ALWAYS, NAME, RANDOM, SESSION_ID, MemoryServer, authority, talk

from handclasp.testing.chains import Holder, make
from handclasp.tlswire import exchange, messages, names, offer
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.offer import ClientCredential, KeyShares, Offer
from handclasp.tlswire.protect13 import Protection13
from handclasp.tlswire.records import Messages, Records
from handclasp.tlswire.schedule import Schedule, Secret
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE

__all__ = ["MemoryServer", "talk"]

COMPATIBILITY = b"\x14\x03\x03\x00\x01\x01"
FLIGHT = (
    *(messages.ENCRYPTED_EXTENSIONS, messages.CERTIFICATE_REQUEST, messages.CERTIFICATE),
    *(messages.CERTIFICATE_VERIFY, messages.FINISHED),
)
SCHEMES: dict[str, tuple[int, ...]] = {
    "p256": (names.ECDSA_P256,),
    "p384": (names.ECDSA_P384,),
    "p521": (names.ECDSA_P521,),
    "ed25519": (names.ED25519,),
    "ed448": (names.ED448,),
    "rsa": (names.RSA_PSS_SHA256, names.RSA_PSS_SHA384, names.RSA_PSS_SHA512, names.RSA_PKCS1_SHA256),
    "ml-dsa-44": (names.ML_DSA_44,),
    "ml-dsa-65": (names.ML_DSA_65,),
    "ml-dsa-87": (names.ML_DSA_87,),
}
_MAKERS: dict[str, Callable[[], Any]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}
_HASHES: dict[int, Any] = {
    **dict.fromkeys((names.ECDSA_P256, names.RSA_PSS_SHA256, names.RSA_PKCS1_SHA256), hashes.SHA256()),
    **dict.fromkeys((names.ECDSA_P384, names.RSA_PSS_SHA384), hashes.SHA384()),
    **dict.fromkeys((names.ECDSA_P521, names.RSA_PSS_SHA512), hashes.SHA512()),
}


@cache
def holder(kind: str, name: str = NAME) -> Holder:
    """A certificate with a key of this kind, for servers and clients."""
    alternative = x509.DNSName(name)
    return make(name, authority(), key=_MAKERS[kind](), names=[alternative], hash_=hashes.SHA256(), **ALWAYS)


def sign(key: Any, data: bytes, scheme: int) -> bytes:
    """As the scheme says."""
    algorithm: Any = _HASHES.get(scheme)
    if isinstance(key, rsa.RSAPrivateKey):
        if scheme == names.RSA_PKCS1_SHA256:
            return key.sign(data, padding.PKCS1v15(), algorithm)
        return key.sign(data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(algorithm))
    return bytes(key.sign(data))


def credential(kind: str, schemes: tuple[int, ...] | None = None) -> ClientCredential:
    """A client certificate with a key of this kind."""
    own = holder(kind, "client.example.org")
    return ClientCredential(
        (own.der, authority().der), schemes or SCHEMES[kind], lambda data, scheme: sign(own.key, data, scheme)
    )


def context(
    directory: Path,
    kind: str = "p256",
    *,
    verify: ssl.VerifyMode = ssl.CERT_NONE,
    curve: str | None = None,
    alpn: tuple[str, ...] = (),
) -> ssl.SSLContext:
    """OpenSSL's server with TLS 1.3 alone."""
    path = directory / f"{kind}.pem"
    own = holder(kind)
    chain = [one.certificate.public_bytes(Encoding.PEM) for one in (own, authority())]
    path.write_bytes(b"".join(chain) + own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(path)
    made.verify_mode = verify
    if verify is not ssl.CERT_NONE:
        made.load_verify_locations(cadata=authority().certificate.public_bytes(Encoding.PEM).decode())
    if curve:
        made.set_ecdh_curve(curve)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


@cache
def shares() -> KeyShares:
    """The same keys for every client here, so that what a server said can be played again."""
    return exchange.make(sorted(exchange.SUPPORTED))


def client(offered: Offer | None = None, *, trace: bool = False) -> TLSClient:
    """A client with the same random, session id and keys each time."""
    return TLSClient(offered or Offer(NAME), random=RANDOM, session_id=SESSION_ID, shares=shares(), trace=trace)


def vector(size: int, content: bytes) -> bytes:
    """With its length before it."""
    return len(content).to_bytes(size, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    """One extension."""
    return kind.to_bytes(2, "big") + vector(2, content)


def plain(kind: int, payload: bytes) -> bytes:
    """A record in clear."""
    return bytes((kind, 3, 3)) + vector(2, payload)


def message(kind: int, body: bytes) -> bytes:
    """A handshake message."""
    return bytes((kind,)) + vector(3, body)


Change = Callable[[bytes], bytes | None]


class Script:
    """A server that keeps to TLS 1.3 except where a test changes a message; signature and Finished are over what was
    truly sent, so that the change is all that is wrong. A change that returns None leaves the message out.

    ``again`` is asked with the record of our hello (the second one after ``retry``).
    """

    def __init__(
        self,
        *,
        cipher: int = 0x1301,
        group: int = offer.X25519,
        kind: str = "p256",
        scheme: int | None = None,
        request: bytes | None = None,
        changes: dict[int, Change] | None = None,
    ) -> None:
        self.cipher, self.group, self.own = cipher, group, holder(kind)
        self.scheme = scheme or SCHEMES[kind][0]
        self.request = request
        self.changes = changes or {}
        self.transcript = b""
        self.opening: Protection13 | None = None
        self.sealing: Protection13 | None = None
        self.schedule: Schedule | None = None
        self.secret: Secret | None = None

    @property
    def digest(self) -> bytes:
        """Of the transcript so far."""
        return hashlib.new("sha384" if self.cipher == 0x1302 else "sha256", self.transcript).digest()

    def seal(self, kind: int, payload: bytes) -> bytes:
        """A record under the keys of now."""
        assert self.sealing is not None
        return self.sealing.seal(kind, payload)

    def retry(self, hello: bytes, extensions: bytes, *, session_id: bytes = SESSION_ID) -> bytes:
        """A HelloRetryRequest."""
        self.transcript = hello[5:]
        digest = self.digest
        extensions += extension(messages.SUPPORTED_VERSIONS, b"\x03\x04")
        body = b"\x03\x03" + messages.RETRY_RANDOM + vector(1, session_id) + self.cipher.to_bytes(2, "big") + b"\0"
        whole = message(messages.SERVER_HELLO, body + vector(2, extensions))
        self.transcript = message(messages.MESSAGE_HASH, digest) + whole
        return plain(HANDSHAKE, whole)

    def hello(self, hello: bytes) -> bytes:
        """The ServerHello, in clear. From here on all is sealed."""
        self.transcript += hello[5:]
        share, secret = self._answer_share(client_shares(hello)[self.group])
        extensions = extension(messages.SUPPORTED_VERSIONS, b"\x03\x04")
        extensions += extension(messages.KEY_SHARE, self.group.to_bytes(2, "big") + vector(2, share))
        body = b"\x03\x03" + b"Q" * 32 + vector(1, SESSION_ID) + self.cipher.to_bytes(2, "big") + b"\0"
        whole = self._message(messages.SERVER_HELLO, body + vector(2, extensions))
        self.schedule = Schedule(self.cipher, secret, self.digest)
        self.sealing = Protection13(self.cipher, *self.schedule.keys(self.schedule.server))
        self.opening = Protection13(self.cipher, *self.schedule.keys(self.schedule.client))
        return plain(HANDSHAKE, whole)

    def flight(self) -> list[bytes]:
        """What comes after the ServerHello, message by message, not sealed."""
        assert self.schedule is not None
        entries = b"".join(vector(3, one.der) + b"\0\0" for one in (self.own, authority()))
        sent = [self._message(messages.ENCRYPTED_EXTENSIONS, b"\0\0")]
        if self.request is not None:
            sent.append(self._message(messages.CERTIFICATE_REQUEST, self.request))
        sent.append(self._message(messages.CERTIFICATE, b"\0" + vector(3, entries)))
        data = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + self.digest
        signature = sign(self.own.key, data, self.scheme)
        sent.append(self._message(messages.CERTIFICATE_VERIFY, self.scheme.to_bytes(2, "big") + vector(2, signature)))
        sent.append(self._message(messages.FINISHED, self.schedule.finished(self.schedule.server, self.digest)))
        return [one for one in sent if one]

    def application(self) -> None:
        """From handshake keys to those of application data."""
        assert self.schedule is not None
        self.schedule.advance()
        self.secret = self.schedule.application_server(self.digest)
        self.sealing = Protection13(self.cipher, *self.schedule.keys(self.secret))

    def answer(self, hello: bytes) -> bytes:
        """All of the server's flight, one message a record."""
        out = self.hello(hello) + COMPATIBILITY
        out += b"".join(self.seal(HANDSHAKE, one) for one in self.flight())
        self.application()
        return out

    def read(self, data: bytes) -> list[tuple[int, bytes]]:
        """What the client sent: the types and the contents of its records, opened; keys change after its Finished."""
        assert self.schedule is not None
        found = []
        for kind, header, payload in Records().feed(data):
            if kind == CHANGE_CIPHER_SPEC:
                found.append((kind, payload))
                continue
            assert self.opening is not None
            found.append(self.opening.open(kind, header, payload))
            if found[-1][0] == HANDSHAKE and any(one[0] == messages.FINISHED for one in Messages().feed(found[-1][1])):
                secret = self.schedule.application_client(self.digest)
                self.opening = Protection13(self.cipher, *self.schedule.keys(secret))
        return found

    def _message(self, kind: int, body: bytes) -> bytes:
        change = self.changes.get(kind)
        changed = change(body) if change else body
        whole = b"" if changed is None else message(kind, changed)
        self.transcript += whole
        return whole

    def _answer_share(self, theirs: bytes) -> tuple[bytes, bytes]:
        if self.group == offer.X25519MLKEM768:
            secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(theirs[:1184]).encapsulate()
            share, classical = _x25519(theirs[1184:])
            return ciphertext + share, secret + classical
        if self.group == offer.X25519:
            return _x25519(theirs)
        curve: Any = {0x17: ec.SECP256R1(), 0x18: ec.SECP384R1(), 0x19: ec.SECP521R1()}[self.group]
        key = ec.generate_private_key(curve)
        share = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return share, key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, theirs))


def client_hello(record: bytes) -> tuple[bytes, dict[int, bytes]]:
    """The session id and the extensions of the first handshake message in a record."""
    reader = messages.Reader(record[9:], "the ClientHello")
    reader.take(34)
    session_id = reader.vector(1)
    reader.vector(2)
    reader.vector(1)
    found = messages.extensions(reader.vector(2), reader.what)
    reader.end()
    return session_id, found


def client_shares(record: bytes) -> dict[int, bytes]:
    """The key shares of a hello, by group."""
    reader = messages.Reader(client_hello(record)[1][messages.KEY_SHARE], "the key shares")
    entries = messages.Reader(reader.vector(2), reader.what)
    found = {}
    while entries.left:
        group = entries.number(2)
        found[group] = entries.vector(2)
    return found


def alerts(records: list[tuple[int, bytes]]) -> list[int]:
    """The numbers of the alerts among opened records."""
    return [payload[1] for kind, payload in records if kind == ALERT]


def data(records: list[tuple[int, bytes]]) -> bytes:
    """The application data among opened records."""
    return b"".join(payload for kind, payload in records if kind == APPLICATION_DATA)


def _x25519(theirs: bytes) -> tuple[bytes, bytes]:
    key = X25519PrivateKey.generate()
    return key.public_key().public_bytes_raw(), key.exchange(X25519PublicKey.from_public_bytes(theirs))


REQUEST = b"\0" + vector(2, extension(messages.SIGNATURE_ALGORITHMS, vector(2, b"\x04\x03\x08\x04")))
"""A CertificateRequest of two schemes."""
TICKET = b"\0\0\x0e\x10" + b"\0" * 4 + b"\x01\0" + vector(2, b"ticket") + b"\0\0"


def extensions(*pairs: tuple[int, bytes]) -> bytes:
    """A vector of them."""
    return vector(2, b"".join(extension(kind, content) for kind, content in pairs))


def meet(script: Script, ours: TLSClient | None = None) -> tuple[TLSClient, bytes]:
    """A client that has read the script's flight, and what it said then."""
    ours = ours or client()
    return ours, ours.receive(script.answer(ours.start()))


def ready() -> tuple[Script, TLSClient]:
    """Both after the server's flight."""
    script = Script(request=REQUEST)
    ours, _ = meet(script)
    assert ours.ready
    return script, ours


def established() -> tuple[Script, TLSClient]:
    """Both after the handshake."""
    script, ours = ready()
    script.read(ours.answer(None))
    return script, ours


def hello(
    *,
    version: bytes = b"\x03\x03",
    random: bytes = b"Q" * 32,
    session_id: bytes = SESSION_ID,
    cipher: bytes = b"\x13\x01",
    compression: bytes = b"\0",
    extensions: bytes = extensions((43, b"\x03\x04"), (51, b"\0\x1d\0\x20" + b"\x09" + b"\0" * 31)),
) -> bytes:
    """The body of a ServerHello, good if nothing is said."""
    return version + random + vector(1, session_id) + cipher + compression + extensions
