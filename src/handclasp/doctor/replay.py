"""A handshake played again in memory, with OpenSSL on both sides: what each says of the other, in OpenSSL's codes.

OpenSSL is what nginx, HAProxy, Apache, curl, Python and Node verify with, so these are the words of their logs. Nothing
is written, nothing is sent: two connections hand their records to each other through memory.

1. The client judges the server, which asks nothing of it.
2. The server demands a certificate and judges the client, which accepts whatever the server is.
3. If either refused, the same once more with a judge that forgives, to hear of all the faults and not the first.
4. If neither refused, both judge, and the handshake must complete.

So each side is heard even where the other would have broken off before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL, crypto

from handclasp.doctor.diagnosis import Side

USUAL_LEVEL: Final = 2
"""OpenSSL's from 3.2 on, and Debian's and Ubuntu's before: no RSA key below 2048 bits, no SHA-1."""
_ANY_LEVEL: Final = 0
_VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_ROUNDS: Final = 40  # flights handed over; a full handshake has three
_OCTETS: Final = 1 << 20  # read from a side at once
_MOST: Final = 100  # certificates sent, errors told
_TRUSTED: Final = 5000  # certificates trusted: a bundle of a system has 150
_WRITE_ALERT: Final = 0x4008  # SSL_CB_WRITE_ALERT: SSL_CB_ALERT | SSL_CB_WRITE
_FATAL: Final = 2  # the alert's level, RFC 5246 section 7.2
_SAN_ALONE: Final = 0x20 | 0x4  # X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NO_PARTIAL_WILDCARDS: as Python's clients check
_DEPTH: Final = 100  # OpenSSL's own default
_SUBJECT: Final = 300  # characters

_T = TypeVar("_T")
Certificates = tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Party:
    """One side. ``sent`` leaf first, as its program sends them; () for a client without a certificate. ``trust`` and
    ``crls`` are by which it judges the other; with any CRL, every certificate of a chain needs one (nginx ssl_crl).
    """

    sent: Certificates = ()
    key: PrivateKeyTypes | None = field(default=None, repr=False)
    trust: Certificates = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One verify error. ``code`` is of OpenSSL (X509_V_ERR), ``text`` OpenSSL's; ``depth`` 0 is the leaf."""

    code: int
    text: str
    depth: int
    subject: str


@dataclass(frozen=True, slots=True)
class Says:
    """What one side says of the other.

    ``errors`` in the order in which OpenSSL comes upon them: the first is the one that ends the handshake. ``alert`` is
    the number that this side sends, ``text`` how OpenSSL words its failure, "" if there is none. ``loading`` is what
    OpenSSL says of this side's OWN certificate and key when they are loaded at the usual security level, "" if it takes
    them; where they are only too weak the rest is played without that level, as a client in Java or Go would.
    """

    accepted: bool
    errors: tuple[Judged, ...] = ()
    alert: int | None = None
    text: str = ""
    loading: str = ""

    @property
    def code(self) -> int:
        """The verify code that the handshake ends with; 0 where no certificate was refused."""
        return self.errors[0].code if self.errors else 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """How it went. ``refused_by`` is the side that ends the handshake, the first if both would; None if it completes or
    could not begin."""

    version: str
    completed: bool
    client: Says
    server: Says
    cipher: str | None = None
    refused_by: Side | None = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a party brings, and at which security level OpenSSL takes it. ``unusable``: at none."""

    party: Party
    level: int = USUAL_LEVEL
    loading: str = ""
    unusable: bool = False


@dataclass(slots=True)
class _Seen:
    """One side of one run."""

    errors: list[Judged] = field(default_factory=list)
    alert: int | None = None
    done: bool = False
    failure: str = ""


def replay(
    client: Party,
    server: Party,
    at: datetime,
    *,
    name: str | None = None,
    version: str = "1.2",
    depth: int | None = None,
) -> Replayed:
    """Both sides' verdicts at the time ``at`` in TLS ``version`` ("1.2" or "1.3").

    ``name`` is the host name or address that the client asked for; None: it does not check. ``depth`` is the most
    intermediates that the server follows (nginx ssl_verify_depth); None: 100. In TLS 1.3 the server's refusal comes
    after the client has finished, and is heard all the same. Never raises: what OpenSSL refuses to load is told in
    ``Says.loading``, and what else goes wrong in ``Says.text``.
    """
    if version not in _VERSIONS:
        text = f"TLS {version[:20]} is not replayed, only 1.2 and 1.3"
        return Replayed(version, False, Says(False, text=text), Says(False, text=text))
    try:
        return _Play(_load(client), _load(server), at, name, version, depth).replayed()
    except Exception as error:
        text = _words(error)
        return Replayed(version, False, Says(False, text=text), Says(False, text=text))


class _Play:
    def __init__(
        self, client: _Loaded, server: _Loaded, at: datetime, name: str | None, version: str, depth: int | None
    ) -> None:
        self._client = client
        self._server = server
        self._at = at
        self._name = name
        self._version = version
        self._depth = _DEPTH if depth is None else max(depth, 0)
        self._cipher: str | None = None

    def replayed(self) -> Replayed:
        by_client, by_server = self._by_client(), self._by_server()
        refused_by = None
        if not by_client.accepted and not self._server.unusable:
            refused_by = Side.CLIENT
        elif not by_server.accepted and not self._client.unusable and not self._server.unusable:
            refused_by = Side.SERVER
        completed = False
        if by_client.accepted and by_server.accepted:
            client, server = self._run(judging=(True, True), forgiving=False, demanded=True)
            completed = client.done and server.done
            if not completed:
                by_client, by_server = self._broken(by_client, client), self._broken(by_server, server)
        cipher = self._cipher if completed else None
        return Replayed(self._version, completed, by_client, by_server, cipher, refused_by)

    def _by_client(self) -> Says:
        loading = self._client.loading
        if self._server.unusable:
            return Says(False, text="the server has no certificate and key that can be used", loading=loading)
        client, server = self._run(judging=(True, False), forgiving=False, demanded=False)
        if client.done and server.done:
            return Says(True, loading=loading)
        lenient, _ = self._run(judging=(True, False), forgiving=True, demanded=False)
        return Says(False, _union(client, lenient), client.alert, client.failure or server.failure, loading)

    def _by_server(self) -> Says:
        loading = self._server.loading
        if self._server.unusable:
            return Says(False, text=loading, loading=loading)
        if self._client.unusable:
            return Says(False, text="the client has no certificate and key that can be used", loading=loading)
        client, server = self._run(judging=(False, True), forgiving=False, demanded=True)
        if client.done and server.done:
            return Says(True, loading=loading)
        _, lenient = self._run(judging=(False, True), forgiving=True, demanded=True)
        return Says(False, _union(server, lenient), server.alert, server.failure or client.failure, loading)

    def _broken(self, says: Says, seen: _Seen) -> Says:
        """Each accepted the other by itself, and together they failed all the same."""
        return Says(False, tuple(seen.errors), seen.alert, seen.failure, says.loading) if seen.failure else says

    def _run(self, *, judging: tuple[bool, bool], forgiving: bool, demanded: bool) -> tuple[_Seen, _Seen]:
        """One handshake. ``judging``: whether the client verifies, and the server."""
        client, server = _Seen(), _Seen()
        # A client that is not asked needs no certificate, and keeps the usual level even if its own is weak.
        bare = _Loaded(Party(trust=self._client.party.trust, crls=self._client.party.crls))
        brings = self._client if demanded else bare
        ours = self._context(brings, client, None if not judging[0] else forgiving)
        if judging[0] and self._name is not None:
            _expect(ours, self._name)
        # A server that does not judge takes any level, so that its own chain is sent whatever it is.
        theirs = self._context(self._server, server, None if not judging[1] else forgiving, demanded=demanded)
        theirs.set_verify_depth(self._depth)
        one, other = SSL.Connection(ours, None), SSL.Connection(theirs, None)
        one.set_connect_state()
        other.set_accept_state()
        if self._name is not None and not _is_address(self._name):
            _quietly(lambda name: one.set_tlsext_host_name(name.encode("idna")), self._name)
        _converse((one, client), (other, server))
        if client.done and server.done:
            self._cipher = one.get_cipher_name()
        return client, server

    def _context(self, loaded: _Loaded, seen: _Seen, forgiving: bool | None, *, demanded: bool = False) -> SSL.Context:
        """``forgiving`` None: this side does not judge. ``demanded``: a server that wants a certificate."""
        context = _context(loaded.level if forgiving is not None else _ANY_LEVEL, self._version)
        party = loaded.party
        if party.sent and not loaded.unusable:
            _bring(context, party)
        if forgiving is None:
            context.set_verify(SSL.VERIFY_NONE)
        else:
            _trust(context, party, self._at)
            required = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if demanded else 0
            context.set_verify(SSL.VERIFY_PEER | required, _judge(seen, forgiving=forgiving))
        context.set_info_callback(_listen(seen))
        return context


def _load(party: Party) -> _Loaded:
    """At which level OpenSSL takes what the party brings."""
    party = Party(party.sent[:_MOST], party.key, party.trust[:_TRUSTED], party.crls[:_TRUSTED])
    if not party.sent:
        return _Loaded(party)
    if party.key is None:
        return _Loaded(party, loading="no private key", unusable=True)
    refused = _try(party, USUAL_LEVEL)
    if not refused:
        return _Loaded(party)
    unusable = bool(_try(party, _ANY_LEVEL))
    return _Loaded(party, _ANY_LEVEL, refused, unusable)


def _try(party: Party, level: int) -> str:
    """How OpenSSL refuses to load it, "" if it does not."""
    try:
        context = _context(level, "1.2")
        _bring(context, party)
        for one in party.sent[1:]:
            # OpenSSL looks at the strength of these when they are sent, too late for us: asked as if it were a leaf.
            _context(level, "1.2").use_certificate(one)
    except Exception as error:
        return _words(error)
    return ""


def _context(level: int, version: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(f"DEFAULT:@SECLEVEL={level}".encode())
    context.set_min_proto_version(_VERSIONS[version])
    context.set_max_proto_version(_VERSIONS[version])
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # A server that verifies needs one, or OpenSSL refuses to go on.
    context.set_session_id(b"replay")
    return context


def _bring(context: SSL.Context, party: Party) -> None:
    """Certificate, key and chain; raises whatever OpenSSL and its wrapper raise."""
    key: Any = party.key
    context.use_certificate(party.sent[0])
    context.use_privatekey(key)
    context.check_privatekey()
    for one in party.sent[1:]:
        context.add_extra_chain_cert(one)


def _trust(context: SSL.Context, party: Party, at: datetime) -> None:
    store = context.get_cert_store()
    if store is None:  # pragma: no cover - a context always has one
        return
    for one in party.trust:
        _quietly(lambda one: store.add_cert(crypto.X509.from_cryptography(one)), one)
    for crl in party.crls:
        _quietly(store.add_crl, crl)
    if party.crls:
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL)
    # It takes the fields as they stand for UTC, whatever the zone.
    store.set_time(at.astimezone(UTC) if at.tzinfo is not None else at)


def _expect(context: SSL.Context, name: str) -> None:
    """Have the client check the name, as X509_VERIFY_PARAM does for curl and Python. pyOpenSSL has no method for it,
    only the function; where a later one has not, the name is left to our own verifier."""
    lib: Any = getattr(SSL, "_lib", None)
    try:
        parameters = lib.SSL_CTX_get0_param(context._context)
        if _is_address(name):
            packed = ip_address(name.strip("[]")).packed
            lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
            return
        host = name.rstrip(".").encode("idna")
        lib.X509_VERIFY_PARAM_set_hostflags(parameters, _SAN_ALONE)
        lib.X509_VERIFY_PARAM_set1_host(parameters, host, len(host))
    except (AttributeError, UnicodeError, TypeError):
        return


def _judge(seen: _Seen, *, forgiving: bool) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    def callback(_: SSL.Connection, certificate: crypto.X509, code: int, depth: int, ok: int) -> bool:
        if not ok and len(seen.errors) < _MOST:
            seen.errors.append(Judged(code, verify_text(code), depth, _subject(certificate)))
        return bool(ok) or forgiving

    return callback


def _listen(seen: _Seen) -> Callable[[SSL.Connection, int, int], None]:
    def callback(_: SSL.Connection, where: int, value: int) -> None:
        if where & _WRITE_ALERT == _WRITE_ALERT and value >> 8 == _FATAL and seen.alert is None:
            seen.alert = value & 0xFF

    return callback


def _converse(client: tuple[SSL.Connection, _Seen], server: tuple[SSL.Connection, _Seen]) -> None:
    """Hand records over until neither has any to give. One that is done goes on reading: that is when the refusal comes
    in TLS 1.3."""
    for _ in range(_ROUNDS):
        moved = False
        for (connection, seen), (other, _unused) in ((client, server), (server, client)):
            _advance(connection, seen)
            for octets in _output(connection):
                moved = True
                _quietly(other.bio_write, octets)
        if not moved:
            break
    for _connection, seen in (client, server):
        seen.done = seen.done and not seen.failure


def _advance(connection: SSL.Connection, seen: _Seen) -> None:
    if seen.failure:
        return
    try:
        if not seen.done:
            connection.do_handshake()
            seen.done = True
        else:
            connection.recv(1)
    except (SSL.WantReadError, SSL.WantWriteError):
        return
    except Exception as error:
        seen.failure = _words(error)


def _output(connection: SSL.Connection) -> Iterator[bytes]:
    try:
        while octets := connection.bio_read(_OCTETS):
            yield octets
    except SSL.Error:
        return


def _union(strict: _Seen, lenient: _Seen) -> tuple[Judged, ...]:
    return tuple(dict.fromkeys([*strict.errors, *lenient.errors]))


def _words(error: Exception) -> str:
    """OpenSSL's reason, without anything of the material itself. Of several that of its TLS part: the last is its
    conclusion, and what stands before it came from the depth."""
    if isinstance(error, (SSL.Error, crypto.Error)) and error.args and isinstance(error.args[0], Sequence):
        told = [tuple(map(str, one)) for one in error.args[0] if isinstance(one, tuple) and one and one[-1]]
        reasons = [one[-1] for one in told if one[0] == "SSL routines"] or [one[-1] for one in told[:1]]
        if reasons:
            return reasons[-1][:_SUBJECT]
    if isinstance(error, SSL.ZeroReturnError):
        return "the other side closed the connection"
    if isinstance(error, TypeError):
        return "a key of this kind cannot be replayed"
    return f"{type(error).__name__} inside OpenSSL's wrapper"


def _subject(certificate: crypto.X509) -> str:
    try:
        return certificate.to_cryptography().subject.rfc4514_string()[:_SUBJECT] or "(no name)"
    except Exception:
        return "(unreadable)"


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _quietly(do: Callable[[_T], object], what: _T) -> None:
    """What one certificate or list of many does to OpenSSL must not stop the rest."""
    try:
        do(what)
    except Exception:
        return


def verify_text(code: int) -> str:
    """How OpenSSL words a verify code (X509_verify_cert_error_string)."""
    # pyOpenSSL has no method that words a code, only the function.
    lib: Any = getattr(SSL, "_lib", None)
    ffi: Any = getattr(SSL, "_ffi", None)
    try:
        return bytes(ffi.string(lib.X509_verify_cert_error_string(code))).decode("ascii", "replace")
    except AttributeError:
        return f"verify error {code}"
