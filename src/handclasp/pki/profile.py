"""What each kind of certificate may be: data, not code.

A profile says what is allowed; a request says what is wanted; only ``issue`` makes a certificate of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from cryptography.x509 import KeyUsage, ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.pki.keys import CLASSICAL, RSA, KeyType
from handclasp.pki.name_rules import ANY_NAME, NameRules

# Part of what a profile is, so that those who make profiles need no other module.
__all__ = [
    "ANY_NAME",
    "BACKDATE",
    "CLIENT",
    "INTERMEDIATE",
    "ISSUING",
    "MAX_SERIAL_BITS",
    "MIN_SERIAL_BITS",
    "OCSP_SIGNER",
    "PROFILES",
    "ROOT",
    "SERVER",
    "WORKLOAD",
    "NameRules",
    "Presence",
    "Profile",
]

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
    ``spiffe_id``, ``dns_names`` and ``ip_addresses`` say which kinds of names there may be, ``names`` which of
    them. With ``approval`` somebody has to agree before one is made. ``ocsp_no_check`` says of an OCSP signer
    that its own revocation is not looked up (RFC 6960 §4.2.2.2.1).
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
    names: NameRules = ANY_NAME
    approval: bool = False
    ocsp_no_check: bool = False
    default_key: KeyType = KeyType.EC_P256

    def key_usage(self, kind: KeyType) -> KeyUsage:
        """What a key of this kind may do (RFC 5280 §4.2.1.3): an authority signs certificates and CRLs, all others
        sign handshakes. An RSA key may also decipher what TLS 1.2 clients encipher with it; no other kind of key
        can (RFC 8410 §5, RFC 9881 §5)."""
        deciphers = kind in RSA and bool(_TLS.intersection(self.extended_key_usages))
        return _key_usage(is_ca=self.is_ca, deciphers=deciphers)

    def __hash__(self) -> int:
        # What is made once for a profile is looked up for each certificate: the name says enough.
        return hash(self.name)

    def __str__(self) -> str:
        return self.name


_TLS = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})


@cache
def _key_usage(*, is_ca: bool, deciphers: bool) -> KeyUsage:
    return KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=deciphers,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


# The CA/Browser Forum's limit from 2020 to 2026, and what Apple's clients go on enforcing for private roots.
_LEAF_MAX = timedelta(days=398)
_LEAF_MIN = timedelta(seconds=10)

ROOT = Profile(
    name="root",
    is_ca=True,
    path_length=None,
    key_types=frozenset(KeyType),
    default_key=KeyType.EC_P384,
    extended_key_usages=(),
    lifetime=timedelta(days=3650),
    min_lifetime=timedelta(hours=1),
    max_lifetime=timedelta(days=9125),
    spiffe_id=Presence.NONE,
    dns_names=False,
    ip_addresses=False,
)
INTERMEDIATE = Profile(
    name="intermediate",
    is_ca=True,
    path_length=1,
    key_types=frozenset(KeyType),
    default_key=KeyType.EC_P384,
    extended_key_usages=(),
    lifetime=timedelta(days=2555),
    min_lifetime=timedelta(hours=1),
    max_lifetime=timedelta(days=5475),
    spiffe_id=Presence.NONE,
    dns_names=False,
    ip_addresses=False,
)
ISSUING = Profile(
    name="issuing",
    is_ca=True,
    path_length=0,
    key_types=frozenset(KeyType),
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
    key_types=CLASSICAL,
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
    key_types=CLASSICAL,
    extended_key_usages=(ExtendedKeyUsageOID.CLIENT_AUTH,),
    lifetime=timedelta(days=90),
    min_lifetime=_LEAF_MIN,
    max_lifetime=_LEAF_MAX,
    spiffe_id=Presence.REQUIRED,
    dns_names=True,
    ip_addresses=False,
)
# Both ends of mutual TLS with one certificate, as X509-SVID §4.4 wants it.
WORKLOAD = Profile(
    name="workload",
    is_ca=False,
    path_length=None,
    key_types=CLASSICAL,
    extended_key_usages=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    lifetime=timedelta(days=1),
    min_lifetime=_LEAF_MIN,
    max_lifetime=_LEAF_MAX,
    spiffe_id=Presence.REQUIRED,
    dns_names=True,
    ip_addresses=False,
)
# It speaks for its issuer and has no names of a host or caller; clients trust it for as long as it lives, so it is
# short-lived (RFC 6960 §4.2.2.2.1).
OCSP_SIGNER = Profile(
    name="ocsp-signer",
    is_ca=False,
    path_length=None,
    key_types=CLASSICAL,
    extended_key_usages=(ExtendedKeyUsageOID.OCSP_SIGNING,),
    lifetime=timedelta(days=7),
    min_lifetime=timedelta(hours=1),
    max_lifetime=timedelta(days=90),
    spiffe_id=Presence.NONE,
    dns_names=False,
    ip_addresses=False,
    ocsp_no_check=True,
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {p.name: p for p in (ROOT, INTERMEDIATE, ISSUING, SERVER, CLIENT, WORKLOAD, OCSP_SIGNER)}
)
