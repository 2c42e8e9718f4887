"""The extensions of a certificate (RFC 5280 §4.2), as its profile, names and issuer have it.

Those that many certificates share are made once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from handclasp.findings import InvalidSetting
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType, spki_identifier
from handclasp.pki.names import Names
from handclasp.pki.profile import Profile

Extension = x509.Extension[x509.ExtensionType]


@dataclass(frozen=True, slots=True)
class Publication:
    """Where an authority publishes, as URLs of plain HTTP: its revocation list (§4.2.1.13), its OCSP responder and
    its own certificate in DER (§4.2.2.1). Plain, because reading one over HTTPS could need the other first (§8).
    Raises InvalidSetting."""

    crl: str | None = None
    ocsp: str | None = None
    issuer: str | None = None

    def __post_init__(self) -> None:
        for url in (self.crl, self.ocsp, self.issuer):
            if url is not None and not (url.startswith("http://") and url.isascii() and url.isprintable()):
                allowed = "an address of plain HTTP, as in http://pki.example.org/ocsp"
                raise InvalidSetting("", f"{url!r} cannot stand in a certificate", allowed)


def extensions(
    profile: Profile,
    key: tuple[KeyType, bytes],
    *,
    names: Names,
    has_subject: bool,
    issuer: x509.Certificate | None,
    publication: Publication | None,
    constraints: NameConstraints | None,
) -> list[Extension]:
    """The extensions that the profile has, in the order in which people read them. ``key`` is the public key's
    kind, and the DER of its SubjectPublicKeyInfo."""
    kind, info = key
    found = list(_of_profile(profile, kind))
    if constraints is not None:
        # §4.2.1.10: critical, so that no verifier passes over what it does not understand.
        found.append(_extension(constraints.extension(), critical=True))
    if general_names := names.general_names():
        # §4.2.1.6: critical if, and only if, there is no subject that could say who it is.
        found.append(_extension(x509.SubjectAlternativeName(general_names), critical=not has_subject))
    own = x509.SubjectKeyIdentifier(spki_identifier(info))
    found.append(_extension(own, critical=False))
    if issuer is None:
        above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    else:
        above = authority_key_identifier(issuer)
    found.append(_extension(above, critical=False))
    if publication is not None:
        found.extend(_of_publication(publication))
    return found


@lru_cache(maxsize=64)
def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The issuer's subject key identifier (§4.2.1.1), or what it would be where an old root has none."""
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


@lru_cache(maxsize=256)
def _of_profile(profile: Profile, kind: KeyType) -> tuple[Extension, ...]:
    found = [
        _extension(x509.BasicConstraints(profile.is_ca, profile.path_length), critical=True),
        _extension(profile.key_usage(kind), critical=True),
    ]
    if profile.extended_key_usages:
        found.append(_extension(x509.ExtendedKeyUsage(profile.extended_key_usages), critical=False))
    if profile.ocsp_no_check:
        found.append(_extension(x509.OCSPNoCheck(), critical=False))
    return tuple(found)


@lru_cache(maxsize=4096)
def _of_publication(publication: Publication) -> tuple[Extension, ...]:
    found = []
    if publication.crl is not None:
        point = x509.DistributionPoint(
            full_name=[x509.UniformResourceIdentifier(publication.crl)],
            relative_name=None,
            reasons=None,
            crl_issuer=None,
        )
        found.append(_extension(x509.CRLDistributionPoints([point]), critical=False))
    access = (
        (AuthorityInformationAccessOID.OCSP, publication.ocsp),
        (AuthorityInformationAccessOID.CA_ISSUERS, publication.issuer),
    )
    descriptions = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in access if url is not None
    ]
    if descriptions:
        found.append(_extension(x509.AuthorityInformationAccess(descriptions), critical=False))
    return tuple(found)


def _extension(value: x509.ExtensionType, *, critical: bool) -> Extension:
    return x509.Extension(value.oid, critical, value)
