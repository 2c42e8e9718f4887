"""The only builder of certificates.

1. ``prepare`` refuses what the profile does not allow, builds the certificate (RFC 5280 §4.1, §4.2) with
   a null signer, and lints it. Nobody has signed anything yet.
2. Whoever holds the issuer's key signs exactly ``Prepared.tbs``.
3. ``assemble`` puts the signature in its place and verifies it with the issuer's public key.

Clock and serial number are arguments; the same arguments give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from handclasp.findings import Code, Refused
from handclasp.pki import der
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.extensions import Publication, authority_key_identifier, extensions
from handclasp.pki.keys import KeyType, PublicKey, key_id, key_type, signature_algorithm, spki, supported, verify
from handclasp.pki.lint import lint_reading
from handclasp.pki.lint_subject import Reading
from handclasp.pki.names import Names
from handclasp.pki.profile import BACKDATE, MAX_SERIAL_BITS, MIN_SERIAL_BITS, Profile
from handclasp.pki.signer import null_signer
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.pki.wishes import check_names

# What its arguments are made of, so that those who issue need no other module.
__all__ = [
    "MAX_COMMON_NAME",
    "NameConstraints",
    "Names",
    "Prepared",
    "Publication",
    "assemble",
    "authority_key_identifier",
    "authority_subject",
    "prepare",
    "subject_for",
]

MAX_COMMON_NAME = 64  # characters: ub-common-name of RFC 5280 appendix A.1

_ORGANIZATION = "Handclasp"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A certificate that lacks only its signature.

    ``tbs`` is to be signed with the private half of ``issuer_public_key`` (the certificate's own key if it
    is a root's), by the algorithm of its kind, whose AlgorithmIdentifier in DER is ``signature_algorithm``.
    """

    profile: Profile
    tbs: bytes
    signature_algorithm: bytes
    serial: int
    not_before: datetime
    not_after: datetime
    issuer_public_key: PublicKey


def prepare(
    profile: Profile,
    *,
    subject: x509.Name,
    names: Names,
    public_key: PublicKey,
    issuer: x509.Certificate | None,
    serial: int,
    now: datetime,
    lifetime: timedelta | None = None,
    publication: Publication | None = None,
    constraints: NameConstraints | None = None,
    path_length: int | None = None,
) -> Prepared:
    """The certificate that would be issued at ``now``, linted, unsigned. Without ``issuer``: self-signed.

    ``publication`` says where its issuer publishes; ``constraints`` and ``path_length`` (the profile's, if None) are
    for authorities. It is valid from a minute before ``now`` until ``now`` + ``lifetime`` (the profile's, if None),
    both cut to whole seconds and to the issuer's validity. Raises Refused (REQUEST_KEY_NOT_ALLOWED,
    REQUEST_NAME_NOT_ALLOWED, REQUEST_LIFETIME_NOT_ALLOWED, REQUEST_LINT), and ValueError for a clock without
    time zone or a serial number of fewer than 64 or more than 159 bits.
    """
    if now.tzinfo is None:
        raise ValueError("now= has no time zone")
    if serial < 0 or not MIN_SERIAL_BITS <= serial.bit_length() <= MAX_SERIAL_BITS:
        raise ValueError(f"serial= must be positive and have {MIN_SERIAL_BITS} to {MAX_SERIAL_BITS} bits")
    if path_length is not None:
        profile = replace(profile, path_length=path_length)
    key = _check_key(profile, public_key), spki(public_key)
    check_names(profile, names)
    not_before, not_after = _validity(profile, issuer, now.astimezone(UTC), lifetime)
    issuer_public_key = public_key if issuer is None else supported(issuer.public_key())
    algorithm = signature_algorithm(issuer_public_key)

    builder = x509.CertificateBuilder(
        issuer_name=subject if issuer is None else issuer.subject,
        subject_name=subject,
        public_key=public_key,
        serial_number=serial,
        not_valid_before=not_before,
        not_valid_after=not_after,
        extensions=extensions(
            profile,
            key,
            names=names,
            has_subject=bool(subject.rdns),
            issuer=issuer,
            publication=publication,
            constraints=constraints,
        ),
    )
    certificate = builder.sign(null_signer(issuer_public_key), algorithm.hash)
    reading = Reading(certificate, key)
    if findings := lint_reading(reading, profile, issuer):
        raise Refused(
            Code.REQUEST_LINT,
            f"The {profile} certificate was not signed",
            "; ".join(finding.what for finding in findings),
            "Correct what is named here; if nothing you gave causes it, please report it: a fault of Handclasp.",
        )
    return Prepared(
        profile=profile,
        tbs=reading.tbs,
        signature_algorithm=algorithm.identifier,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        issuer_public_key=issuer_public_key,
    )


def assemble(prepared: Prepared, signature: bytes) -> x509.Certificate:
    """The certificate, once ``prepared.tbs`` is signed. Raises WrongSignature (a ValueError): a signature by
    another key or over other bytes is a fault of the program or of the key's keeper, never the user's."""
    verify(prepared.issuer_public_key, signature, prepared.tbs)
    return x509.load_der_x509_certificate(der.signed(prepared.tbs, prepared.signature_algorithm, signature))


def subject_for(spiffe_id: SpiffeID) -> x509.Name:
    """``CN=<name>`` for whoever reads logs, or the empty name where the name is too long for that."""
    if len(spiffe_id.name) > MAX_COMMON_NAME:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, spiffe_id.name)])


def authority_subject(profile: Profile, trust_domain: TrustDomain, public_key: PublicKey) -> x509.Name:
    """``CN=example.org root CA 1a2b3c4d,O=Handclasp``: the start of the key's identifier is in the name, so
    that two authorities never share one and a verifier never tries the wrong key."""
    tail = f" {profile} CA {key_id(public_key)[:8]}"
    room = MAX_COMMON_NAME - len(tail)
    domain = str(trust_domain)
    if len(domain) > room:
        domain = f"{domain[: room - 3]}..."
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, domain + tail),
        ]
    )


def _check_key(profile: Profile, public_key: PublicKey) -> KeyType:
    kind = key_type(public_key)
    if kind not in profile.key_types:
        raise Refused(
            Code.REQUEST_KEY_NOT_ALLOWED,
            "The key cannot be used",
            f"the profile {profile} does not allow keys of the kind {kind}",
            f"Make a key of one of these kinds: {_listed(profile.key_types)}.",
        )
    return kind


def _listed(kinds: frozenset[KeyType]) -> str:
    return ", ".join(sorted(kinds))


def _validity(
    profile: Profile, issuer: x509.Certificate | None, now: datetime, lifetime: timedelta | None
) -> tuple[datetime, datetime]:
    wanted = profile.lifetime if lifetime is None else lifetime
    if not profile.min_lifetime <= wanted <= profile.max_lifetime:
        limits = f"{_span(profile.min_lifetime)} to {_span(profile.max_lifetime)}"
        raise _lifetime_refused(f"the profile {profile} allows {limits}, not {_span(wanted)}", f"Ask for {limits}.")
    not_before = (now - BACKDATE).replace(microsecond=0)
    not_after = (now + wanted).replace(microsecond=0)
    if issuer is None:
        return not_before, not_after
    if now < issuer.not_valid_before_utc:
        raise _lifetime_refused(
            f"it is {now:%Y-%m-%d %H:%M:%S} UTC by this clock, and the authority's own certificate begins "
            f"at {issuer.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC",
            "Set the clock of this machine right.",
        )
    if issuer.not_valid_after_utc - now < profile.min_lifetime:
        raise _lifetime_refused(
            f"the authority's own certificate ends at {issuer.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC, "
            f"which leaves less than {_span(profile.min_lifetime)}",
            "Make a new authority; this one cannot issue any more.",
        )
    return max(not_before, issuer.not_valid_before_utc), min(not_after, issuer.not_valid_after_utc)


def _lifetime_refused(why: str, fix: str) -> Refused:
    return Refused(Code.REQUEST_LIFETIME_NOT_ALLOWED, "The lifetime was refused", why, fix)


def _span(span: timedelta) -> str:
    """A length of time in the largest unit that shows it exactly: ``398 days``, ``10 seconds``."""
    seconds = span / timedelta(seconds=1)
    units = (("day", 86400), ("hour", 3600), ("minute", 60))
    unit, size = next((u for u in units if seconds and seconds % u[1] == 0), ("second", 1))
    count = seconds / size
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
