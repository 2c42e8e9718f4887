"""What the lint rules look at: a certificate read back from its DER, once, and its issuer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, cast

from cryptography import x509
from cryptography.x509.oid import NameOID

from handclasp.findings import Refused
from handclasp.pki import der
from handclasp.pki.keys import ALGORITHMS, KeyType, SignatureAlgorithm, key_type, spki_identifier
from handclasp.pki.profile import Profile

_E = TypeVar("_E", bound=x509.ExtensionType)

# The places of these fields in a TBSCertificate of version 3 (RFC 5280 §4.1).
SERIAL, SIGNATURE, ISSUER, VALIDITY, SUBJECT, KEY = 1, 2, 3, 4, 5, 6


class Reading:
    """One certificate, decoded. ``meant`` is the key that it should have, if that is known, as its kind and the DER
    of its SubjectPublicKeyInfo: what has the very bytes of a key that was read before need not be read again.

    ``tbs`` is what is signed, ``fields`` are its fields (version 1 writes no version, which is then empty); ``kind`` is
    that of its key, or why it has none that is in use here. Raises what ``cryptography`` raises where it cannot read.
    """

    def __init__(self, certificate: x509.Certificate, meant: tuple[KeyType, bytes] | None = None) -> None:
        self.certificate = certificate
        self.extensions = certificate.extensions
        self._by_kind = {type(extension.value): extension for extension in self.extensions}
        san = self.extension(x509.SubjectAlternativeName)
        self.alternative_names: tuple[x509.GeneralName, ...] = () if san is None else tuple(san.value)
        self.subject = tuple(certificate.subject)
        self.common_names = [name.value for name in self.subject if name.oid == NameOID.COMMON_NAME]
        self.not_before = certificate.not_valid_before_utc
        self.not_after = certificate.not_valid_after_utc

        self.tbs = certificate.tbs_certificate_bytes
        (tbs,) = der.elements(self.tbs)
        fields = tuple(der.elements(tbs.content))
        explicit_version = fields[0].tag == 0xA0
        self.fields = fields if explicit_version else (der.Element(0xA0, b""), *fields)
        key = der.encode(der.SEQUENCE, self.fields[KEY].content)
        self.key_identifier = spki_identifier(key)

        self.has_key_meant = meant is None or meant[1] == key
        self.kind: KeyType | Refused
        try:
            self.kind = meant[0] if meant and self.has_key_meant else key_type(certificate.public_key())
        except Refused as refused:
            self.kind = refused

    def extension(self, kind: type[_E]) -> x509.Extension[_E] | None:
        """The extension of this kind, with whether it is critical."""
        return cast("x509.Extension[_E] | None", self._by_kind.get(kind))

    @property
    def algorithm(self) -> SignatureAlgorithm | Refused:
        """How its key signs."""
        return self.kind if isinstance(self.kind, Refused) else ALGORITHMS[self.kind]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule gets. ``issuer`` is the certificate itself where it is self-signed."""

    reading: Reading
    profile: Profile
    issuer: Reading

    @property
    def is_self_signed(self) -> bool:
        return self.issuer is self.reading


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: ``check`` yields a sentence for each way in which it is broken."""

    name: str
    section: str
    check: Callable[[Subject], Iterator[str]]


# An authority issues many certificates: it is read once.
read_issuer = lru_cache(maxsize=64)(Reading)
