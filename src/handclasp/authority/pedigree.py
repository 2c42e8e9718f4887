"""Whether a certificate that somebody else made can be that of an authority here, and what leads from it to its root.

Everything that is wrong is said at once. The checks are those of RFC 5280 §6.1 that concern authorities; what a
verifier makes of the whole chain, names included, is the business of ``pki.chain``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.authority.lineage import FOR_CLIENTS, FOR_SERVERS
from handclasp.authority.records import Role
from handclasp.findings import Code, Refused
from handclasp.pki.keys import spki_sha256, supported
from handclasp.pki.names import rfc4514
from handclasp.pki.weak import weakness

_MOST = 8  # certificates; more than any chain that works in practice
_BROKEN_HASHES = (hashes.MD5, hashes.SHA1)


def path(
    own_spki: str, certificates: Sequence[x509.Certificate], role: Role, now: datetime
) -> tuple[x509.Certificate, ...]:
    """From the certificate of the key with this SHA-256 to its root, itself included; ``certificates`` in any order.

    Refused(AUTHORITY_UNUSABLE) if a link is missing, or with everything that is wrong with a certificate of the path.
    """
    certificates = [one for one in certificates if spki_of(one) is not None]
    own = next((one for one in certificates if spki_of(one) == own_spki), None)
    if own is None:
        raise unusable("no certificate in it is for the key", "Give the certificate that belongs to the key.")
    found = [own]
    while not is_self_signed(found[-1]):
        issuer = next((one for one in certificates if one not in found and _issued(one, found[-1])), None)
        if issuer is None or len(found) == _MOST:
            raise unusable(
                f"the certificate of {rfc4514(found[-1].issuer)} is missing, which signed {rfc4514(found[-1].subject)}",
                "Give all certificates up to the root's, the root's too.",
            )
        found.append(issuer)
    if faults := [fault for at, one in enumerate(found) for fault in _faults(one, at, found, role, now)]:
        raise unusable("; ".join(faults), "Have the certificate made anew as the message says.")
    return tuple(found)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether its own key signed it."""
    return _issued(certificate, certificate)


def unusable(why: str, fix: str) -> Refused:
    """A certificate or key that cannot be an authority's here."""
    return Refused(Code.AUTHORITY_UNUSABLE, "The authority was not taken over", why, fix)


def _faults(
    certificate: x509.Certificate, at: int, path: Sequence[x509.Certificate], role: Role, now: datetime
) -> Iterator[str]:
    name = rfc4514(certificate.subject) or "the certificate without a name"
    if not certificate.subject.rdns:
        yield "it has no subject, and what it signs could not say who signed it"
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        yield (
            f"{name} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, and not now"
        )
    try:
        extensions = certificate.extensions
        algorithm = certificate.signature_hash_algorithm
        fault = weakness(supported(certificate.public_key()))
    except Refused as refused:
        yield f"the key of {name} cannot be used: {refused.why}"
        return
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        yield f"{name} cannot be read: {error}"
        return
    if fault is not None:
        yield f"the key of {name} is weak: {fault}"
    if isinstance(algorithm, _BROKEN_HASHES) and not is_self_signed(certificate):
        yield f"{name} is signed with {algorithm.name}, which can be forged"
    yield from _extension_faults(name, extensions, at, role)


def _extension_faults(name: str, extensions: x509.Extensions, at: int, role: Role) -> Iterator[str]:
    values = {extension.oid: extension.value for extension in extensions}
    constraints = values.get(x509.BasicConstraints.oid)
    if not isinstance(constraints, x509.BasicConstraints) or not constraints.ca:
        yield f"{name} is no authority (its basic constraints do not say CA)"
    elif constraints.path_length is not None and constraints.path_length < at + (role is Role.ROOT):
        yield f"{name} allows {constraints.path_length} authorities below it, and there would be more"
    usage = values.get(x509.KeyUsage.oid)
    if isinstance(usage, x509.KeyUsage):
        if not usage.key_cert_sign:
            yield f"{name} may not sign certificates (its key usage has no keyCertSign)"
        if at == 0 and not usage.crl_sign:
            yield f"{name} may not sign revocation lists (its key usage has no cRLSign)"
    elif at == 0:
        yield f"{name} has no key usage"
    if x509.SubjectKeyIdentifier.oid not in values:
        yield f"{name} has no subject key identifier"
    extended = values.get(x509.ExtendedKeyUsage.oid)
    if isinstance(extended, x509.ExtendedKeyUsage) and not _needed(role) <= {*extended}:
        yield f"{name} is limited to extended key usages that exclude what it is for"


def _needed(role: Role) -> frozenset[x509.ObjectIdentifier]:
    every = role is Role.ROOT
    return frozenset(
        usage
        for usage, roles in (
            (ExtendedKeyUsageOID.CLIENT_AUTH, FOR_CLIENTS),
            (ExtendedKeyUsageOID.SERVER_AUTH, FOR_SERVERS),
        )
        if every or role in roles
    )


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def spki_of(certificate: x509.Certificate) -> str | None:
    """The SHA-256 of its key; None for a key of a kind that is not used here, or if it or a name cannot be read."""
    try:
        rfc4514(certificate.subject), rfc4514(certificate.issuer)
        return spki_sha256(supported(certificate.public_key()))
    except (Refused, ValueError, UnsupportedAlgorithm):
        return None
