"""The certificates that a server sends, read once each: what a report says of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from handclasp.pki import describe
from handclasp.pki.containers import UNREADABLE, FoundCertificate, explained
from handclasp.pki.described_extensions import MALFORMED, extensions, oid_name, value_of

_MEMORY = 4096  # certificates
_USUAL = 8 * 1024  # octets
_UNUSUAL_MEMORY = 64  # longer certificates: strangers choose how long theirs are
_TOLD = frozenset(
    {
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Served:
    """One certificate as served. ``fault`` says why it cannot be read; everything but the fingerprint is empty then.

    ``serial``, ``fingerprint`` (SHA-256 of the DER) and ``spki`` (SHA-256 of the SubjectPublicKeyInfo) are in
    lower-case hex; ``names`` are the subject alternative names without their kinds; ``key`` and ``signature`` in words.
    ``crls`` are the addresses of its revocation lists, ``issuer_urls`` those of its issuer's certificate.
    """

    der: bytes
    fingerprint: str
    certificate: x509.Certificate | None = None
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    serial: str = ""
    spki: str = ""
    not_before: datetime = _EPOCH
    not_after: datetime = _EPOCH
    key: str = ""
    signature: str = ""
    crls: tuple[str, ...] = ()
    issuer_urls: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def self_issued(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject == self.issuer

    def as_json(self, at: datetime) -> dict[str, Any]:
        """The object that ``--json`` shows."""
        left = (self.not_after - at).total_seconds()
        if self.fault is not None:
            return {"fingerprint": self.fingerprint, "fault": self.fault}
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "serial": self.serial,
            "fingerprint": self.fingerprint,
            "spki": self.spki,
            "not_before": stamp(self.not_before),
            "not_after": stamp(self.not_after),
            "days_left": round(left / 86400, 2),
            "seconds_left": int(left),
            "key": self.key,
            "signature": self.signature,
        }


def read(der: bytes) -> Served:
    """What is in the certificate; never raises."""
    return _remembered(der) if len(der) <= _USUAL else _remembered_long(der)


def _read(der: bytes) -> Served:
    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        found = _described(certificate)
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except UNREADABLE as error:
        return Served(der, fingerprint, fault=explained(error))
    key = found["key"]
    return Served(
        der,
        fingerprint,
        certificate,
        subject=_text(found["subject"]),
        issuer=_text(found["issuer"]),
        names=tuple(_text(name.get("value", "")) for name in found["names"] if isinstance(name, dict)),
        serial=_text(found["serial"]),
        spki=_text(key.get("spki_sha256", "")) if isinstance(key, dict) else "",
        not_before=not_before,
        not_after=not_after,
        key=_text(key.get("kind", "")) if isinstance(key, dict) else "unreadable",
        signature=_text(found["signature_algorithm"]),
        crls=_texts(found["crl_urls"]),
        issuer_urls=_texts(found["issuer_urls"]),
    )


def _described(certificate: x509.Certificate) -> dict[str, Any]:
    """What ``describe.certificate`` says of it, as far as it is wanted here, in half the time: thousands of servers
    have thousands of certificates. Where anything is out of the ordinary, that one is asked."""
    try:
        told = extensions(x509.Extensions([one for one in certificate.extensions if one.oid in _TOLD]))
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "names": value_of(told, "subjectAltName", []),
            "serial": f"{certificate.serial_number:x}",
            "key": describe.public_key(certificate.public_key()),
            "signature_algorithm": oid_name(certificate.signature_algorithm_oid),
            "crl_urls": value_of(told, "cRLDistributionPoints", []),
            "issuer_urls": value_of(told, "authorityInfoAccess", {}).get("issuers", []),
        }
    except MALFORMED:
        return describe.certificate(FoundCertificate(certificate), now=_EPOCH)


_remembered = lru_cache(maxsize=_MEMORY)(_read)
_remembered_long = lru_cache(maxsize=_UNUSUAL_MEMORY)(_read)


def stamp(moment: datetime) -> str:
    """``2026-11-21T09:30:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(values: object) -> tuple[str, ...]:
    return tuple(one for one in values if isinstance(one, str)) if isinstance(values, list) else ()
