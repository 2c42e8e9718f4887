"""What each kind of certificate may be: data, not code.

A profile says what is allowed; a request says what is wanted; only ``issue`` makes a certificate of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from cryptography.x509 import KeyUsage, ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.pki.keys import KeyType

# What is made now is valid from a minute ago: the clocks of those who read it differ.
BACKDATE = timedelta(seconds=60)

MIN_SERIAL_BITS = 64
MAX_SERIAL_BITS = 159  # so that it fits 20 octets as a positive INTEGER, RFC 5280 §4.1.2.2


class Presence(StrEnum):
    """Whether a certificate of the profile has a thing."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of certificate.

    ``path_length`` is the limit on certificates of authorities below this one (RFC 5280 §4.2.1.9), None for
    no limit; ``extended_key_usages`` are all that it has, none meaning no such extension; ``lifetime`` is
    what is given when none is asked for, and what is asked for must lie between the other two.
    """

    name: str
    is_ca: bool
    path_length: int | None
    key_types: frozenset[KeyType]
    extended_key_usages: tuple[ObjectIdentifier, ...]
    lifetime: timedelta
    min_lifetime: timedelta
    max_lifetime: timedelta
    spiffe_id: Presence
    dns_names: bool
    ip_addresses: bool

    @property
    def key_usage(self) -> KeyUsage:
        """What the key may do (RFC 5280 §4.2.1.3): an authority signs certificates and CRLs, all others
        sign handshakes. EC keys do not encipher, and TLS 1.3 asks nothing else of any key."""
        return KeyUsage(
            digital_signature=not self.is_ca,
            key_cert_sign=self.is_ca,
            crl_sign=self.is_ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )

    def __str__(self) -> str:
        return self.name


_LEAF_KEYS = frozenset({KeyType.EC_P256, KeyType.EC_P384})
# The CA/Browser Forum's limit from 2020 to 2026, and what Apple's clients go on enforcing for private roots.
_LEAF_MAX = timedelta(days=398)
_LEAF_MIN = timedelta(seconds=10)

ROOT = Profile(
    name="root",
    is_ca=True,
    path_length=None,
    key_types=frozenset({KeyType.EC_P384}),
    extended_key_usages=(),
    lifetime=timedelta(days=3650),
    min_lifetime=timedelta(hours=1),
    max_lifetime=timedelta(days=9125),
    spiffe_id=Presence.NONE,
    dns_names=False,
    ip_addresses=False,
)
ISSUING = Profile(
    name="issuing",
    is_ca=True,
    path_length=0,
    key_types=frozenset({KeyType.EC_P256}),
    extended_key_usages=(),
    lifetime=timedelta(days=1825),
    min_lifetime=timedelta(hours=1),
    max_lifetime=timedelta(days=3650),
    spiffe_id=Presence.NONE,
    dns_names=False,
    ip_addresses=False,
)
SERVER = Profile(
    name="server",
    is_ca=False,
    path_length=None,
    key_types=_LEAF_KEYS,
    extended_key_usages=(ExtendedKeyUsageOID.SERVER_AUTH,),
    lifetime=timedelta(days=7),
    min_lifetime=_LEAF_MIN,
    max_lifetime=_LEAF_MAX,
    spiffe_id=Presence.OPTIONAL,
    dns_names=True,
    ip_addresses=True,
)
CLIENT = Profile(
    name="client",
    is_ca=False,
    path_length=None,
    key_types=_LEAF_KEYS,
    extended_key_usages=(ExtendedKeyUsageOID.CLIENT_AUTH,),
    lifetime=timedelta(days=90),
    min_lifetime=_LEAF_MIN,
    max_lifetime=_LEAF_MAX,
    spiffe_id=Presence.REQUIRED,
    dns_names=True,
    ip_addresses=False,
)

PROFILES: Mapping[str, Profile] = MappingProxyType({p.name: p for p in (ROOT, ISSUING, SERVER, CLIENT)})
