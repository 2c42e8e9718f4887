"""Client certificates chosen by host pattern: which one is shown to whom, and how it signs.

A pattern is an exact host or ``*.`` and a host, with or without a port. ``*`` is exactly one label, the leftmost, as in
certificates (RFC 9525 §6.3): ``*.acme.com`` is neither ``acme.com`` nor ``a.b.acme.com``. So four patterns at most can
match an endpoint, and the first of these that there is decides:

1. the host with its port    ``api.acme.com:8443``
2. the host                  ``api.acme.com``
3. the wildcard with a port  ``*.acme.com:8443``
4. the wildcard              ``*.acme.com``

An address matches itself alone, however it is spelled. What no pattern matches gets no credential.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from handclasp.findings import InvalidSetting
from handclasp.pki import names
from handclasp.probe import parse
from handclasp.tlswire.offer import ClientCredential

SigningKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
"""A private key that a TLS client can sign with; which curves is for ``signature_schemes`` to say."""

ALLOWED: Final = (
    "a host, *. and a host, or an address, with or without a port, as in api.acme.com, *.acme.com:8443 or [2001:db8::7]"
)

_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\](?::(.*))?", re.DOTALL)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_WILDCARD: Final = "*."
_LONGEST: Final = names.MAX_DNS_NAME + len(_WILDCARD) + len(":65535")

# SignatureScheme (RFC 8446 §4.2.3): the hash, or None where the algorithm hashes by itself.
_PSS: Final = {0x0804: hashes.SHA256(), 0x0805: hashes.SHA384(), 0x0806: hashes.SHA512()}
_PSS_KEY: Final = {0x0809: hashes.SHA256(), 0x080A: hashes.SHA384(), 0x080B: hashes.SHA512()}
_PKCS1: Final = {0x0401: hashes.SHA256(), 0x0501: hashes.SHA384(), 0x0601: hashes.SHA512()}
_ECDSA: Final = {0x0403: hashes.SHA256(), 0x0503: hashes.SHA384(), 0x0603: hashes.SHA512()}
_BY_ITSELF: Final = frozenset({0x0807, 0x0808, 0x0904, 0x0905, 0x0906})
_OF_CURVES: Final[Mapping[str, int]] = MappingProxyType(
    {ec.SECP256R1.name: 0x0403, ec.SECP384R1.name: 0x0503, ec.SECP521R1.name: 0x0603}
)
_OF_KINDS: Final[tuple[tuple[type, int], ...]] = (
    (ed25519.Ed25519PrivateKey, 0x0807),
    (ed448.Ed448PrivateKey, 0x0808),
    (mldsa.MLDSA44PrivateKey, 0x0904),
    (mldsa.MLDSA65PrivateKey, 0x0905),
    (mldsa.MLDSA87PrivateKey, 0x0906),
)
_RSASSA_PSS: Final = x509.ObjectIdentifier("1.2.840.113549.1.1.10")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which endpoints a credential is for; made by ``parse``.

    ``host`` is an A-label name in lower case or an address in its shortest form; with ``wildcard`` what follows
    ``*.``. ``port`` None means every port. ``str`` of it is its one spelling.
    """

    host: str
    port: int | None = None
    wildcard: bool = False

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """The pattern that a person wrote. Raises InvalidSetting."""
        host, port = _split(text)
        if "*" in host.removeprefix(_WILDCARD):
            raise InvalidSetting("", f"{host!r} has * elsewhere than as its whole first label", ALLOWED)
        wildcard = host.startswith(_WILDCARD)
        name = _host(host.removeprefix(_WILDCARD))
        if wildcard and _is_address(name):
            raise InvalidSetting("", f"{host!r} has * before an address", ALLOWED)
        if wildcard and "." not in name:
            raise InvalidSetting("", f"{host!r} is a wildcard for a whole top-level domain", ALLOWED)
        return cls(name, port, wildcard)

    def __str__(self) -> str:
        if self.port is None:
            return f"{_WILDCARD if self.wildcard else ''}{self.host}"
        if ":" in self.host:
            return f"[{self.host}]:{self.port}"
        return f"{_WILDCARD if self.wildcard else ''}{self.host}:{self.port}"

    @property
    def says(self) -> str:
        """What kind of match it is, in words."""
        what = f"any host directly below {self.host}" if self.wildcard else "exactly this host"
        return f"{what}, on {'every port' if self.port is None else f'port {self.port}'}"

    def matches(self, host: str, port: int) -> bool:
        """Whether the endpoint is one of these."""
        return self in candidates(host, port)


class ForHosts(Protocol):
    """What has a pattern."""

    @property
    def pattern(self) -> Pattern:
        """The endpoints it is for."""


T = TypeVar("T", bound=ForHosts)


def candidates(host: str, port: int) -> tuple[Pattern, ...]:
    """All patterns that match an endpoint, the one that decides first; none match what is no host."""
    try:
        exact = parse.host(host)
    except InvalidSetting:
        return ()
    first = (Pattern(exact, port), Pattern(exact))
    if _is_address(exact):
        return first
    _, _, above = exact.partition(".")
    if "." not in above:
        return first  # a wildcard for a whole top-level domain is no pattern
    return *first, Pattern(above, port, wildcard=True), Pattern(above, wildcard=True)


def choose(credentials: Iterable[T], host: str, port: int) -> T | None:
    """The one of these that is shown to the endpoint, None if none is for it. A pattern belongs to one of them."""
    by_pattern = {one.pattern: one for one in credentials}
    return next((by_pattern[one] for one in candidates(host, port) if one in by_pattern), None)


@dataclass(frozen=True, slots=True)
class Credential:
    """A client certificate with its key, opened: for use in this process, and for no answer, log or file.

    ``chain`` is DER, the leaf first, without its root. ``anchors`` (DER) are the authorities with which the server is
    to be verified before anything is shown to it; none: as it would be verified otherwise. ``identity`` is that of our
    own authority which the certificate is for, where it is one of ours: those are renewed before ``not_after``.
    """

    name: str
    pattern: Pattern
    chain: tuple[bytes, ...]
    not_after: datetime
    key: SigningKey = field(repr=False, compare=False)
    anchors: tuple[bytes, ...] = ()
    identity: str | None = None

    def client(self) -> ClientCredential:
        """What a handshake needs of it. Raises ValueError for a key that no TLS client can sign with."""
        schemes = signature_schemes(self.key, x509.load_der_x509_certificate(self.chain[0]))
        if not schemes:
            raise ValueError(f"the key of the credential {self.name} is of a kind that TLS clients do not sign with")
        return ClientCredential(self.chain, schemes, partial(sign, self.key))


def signature_schemes(key: object, certificate: x509.Certificate) -> tuple[int, ...]:
    """The SignatureScheme code points (RFC 8446 §4.2.3, draft-ietf-tls-mldsa) that a key can make, best first; none
    for a key of another kind.

    PKCS#1 is for TLS 1.2 alone: 1.3 has it in certificates only. ECDSA is bound to the curve, as 1.3 wants it. A key
    whose certificate says RSASSA-PSS makes nothing else (RFC 4055 §1.2).
    """
    if isinstance(key, rsa.RSAPrivateKey):
        octets = (key.key_size + 6) // 8  # of what is signed, RFC 8017 §9.1.1
        bound_to_pss = certificate.public_key_algorithm_oid == _RSASSA_PSS
        pss = tuple(
            scheme
            for scheme, hash_ in (_PSS_KEY if bound_to_pss else _PSS).items()
            if octets >= 2 * hash_.digest_size + 2
        )
        return pss if bound_to_pss else (*pss, *_PKCS1)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        scheme = _OF_CURVES.get(key.curve.name)
        return () if scheme is None else (scheme,)
    return tuple(scheme for kind, scheme in _OF_KINDS if isinstance(key, kind))


def sign(key: SigningKey, data: bytes, scheme: int) -> bytes:
    """The signature of ``data`` in the form that TLS has it. Raises ValueError for a scheme that is not the key's."""
    if isinstance(key, rsa.RSAPrivateKey):
        if (hash_ := _PSS.get(scheme) or _PSS_KEY.get(scheme)) is not None:
            return key.sign(data, padding.PSS(padding.MGF1(hash_), hash_.digest_size), hash_)
        if (hash_ := _PKCS1.get(scheme)) is not None:
            return key.sign(data, padding.PKCS1v15(), hash_)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        if scheme in _ECDSA and _OF_CURVES.get(key.curve.name) == scheme:
            return key.sign(data, ec.ECDSA(_ECDSA[scheme]))
    elif scheme in _BY_ITSELF and any(isinstance(key, kind) and scheme == its for kind, its in _OF_KINDS):
        return key.sign(data)
    raise ValueError(f"the key does not sign by the scheme {scheme:#06x}")


def _split(text: str) -> tuple[str, int | None]:
    """The host as it was written, and the port."""
    shown = repr(text if len(text) <= 60 else f"{text[:57]}...")
    if len(text) > _LONGEST:
        raise InvalidSetting("", f"{shown} is longer than a host and a port can be", ALLOWED)
    if "/" in text:
        raise InvalidSetting("", f"{shown} has a slash: a pattern is a host, and no URL", ALLOWED)
    if (brackets := _BRACKETS.fullmatch(text)) is not None:
        host, port = brackets[1], brackets[2]
        if ":" not in host:
            raise InvalidSetting("", f"{shown} has brackets, which are for IPv6 addresses", ALLOWED)
    elif text.count(":") == 1:
        host, port = text.split(":")
    else:
        host, port = text, None  # with more colons it is an IPv6 address or nothing
    if port is None:
        return host, None
    if not _PORT.fullmatch(port) or int(port) > 0xFFFF:
        raise InvalidSetting("", f"{shown} has no port after the colon", "a number from 1 to 65535")
    return host, int(port)


def _host(text: str) -> str:
    try:
        found = parse.host(text)
    except InvalidSetting as invalid:
        raise InvalidSetting("", invalid.why, ALLOWED) from None
    if (mapped := IPv6Address(found).ipv4_mapped if ":" in found else None) is not None:
        raise InvalidSetting("", f"{text!r} is an IPv4 address in IPv6: write {mapped}", ALLOWED)
    return found


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
