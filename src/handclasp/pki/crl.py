"""Certificate revocation lists (RFC 5280 §5), made like certificates: prepared, signed elsewhere, assembled.

The list is written here and not by ``cryptography``, which makes three objects of each entry: a list of 100,000 takes
it seconds. That the bytes are the same is tested; that they may be signed is read back from them (``crl_lint``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from handclasp.findings import Code, Refused
from handclasp.pki import der
from handclasp.pki.crl_lint import lint_crl
from handclasp.pki.keys import PublicKey, signature_algorithm, supported, verify
from handclasp.pki.profile import BACKDATE, MAX_SERIAL_BITS

# X.690 tags that der.py has no name for.
_BOOLEAN_TRUE = bytes.fromhex("0101ff")
_OCTET_STRING = 0x04
_EXPLICIT_0 = 0xA0

_VERSION_2 = bytes.fromhex("020101")
# The OIDs of §5.2.1, §5.2.3 and §5.2.5.
_AUTHORITY_KEY_IDENTIFIER = bytes.fromhex("0603551d23")
_CRL_NUMBER = bytes.fromhex("0603551d14")
_ISSUING_DISTRIBUTION_POINT = bytes.fromhex("0603551d1c")

# CRLReason (§5.3.1); what is not here is not said (unspecified) or belongs to delta lists (removeFromCRL).
REASON_NUMBERS = {
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.privilege_withdrawn: 9,
    x509.ReasonFlags.aa_compromise: 10,
}
# crlEntryExtensions { reasonCode { ENUMERATED } }
_REASONS = {
    reason: bytes.fromhex("300c300a0603551d1504030a01") + bytes((number,)) for reason, number in REASON_NUMBERS.items()
} | {x509.ReasonFlags.unspecified: b""}

# What makes the times of 100,000 entries quick: only the day is worked out, once.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES = tuple(b"%02d%02d" % divmod(minute, 60) for minute in range(24 * 60))
_SECONDS = tuple(b"%02dZ" % second for second in range(60))


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revoked (or held: certificate_hold) certificate of the issuer: since when, and why (§5.3.1)."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified


@dataclass(frozen=True, slots=True)
class PreparedCRL:
    """A revocation list that lacks only its signature, which is to be made over exactly ``tbs``."""

    tbs: bytes
    signature_algorithm: bytes
    number: int
    this_update: datetime
    next_update: datetime
    issuer_public_key: PublicKey


def encoded(entries: Iterable[Revoked]) -> dict[int, bytes]:
    """Each entry's DER by serial number, to be kept and used again. Raises ValueError as ``prepare_crl`` does."""
    found: dict[int, bytes] = {}
    days: dict[int, bytes] = {}
    reason, extension = x509.ReasonFlags.unspecified, b""
    for entry in entries:
        serial = entry.serial
        if serial in found:
            raise ValueError(f"serial number {serial:x} comes twice")
        if serial <= 0 or serial.bit_length() > MAX_SERIAL_BITS:
            raise ValueError("a serial number is positive and fits 20 octets")
        if entry.reason is not reason:
            reason, extension = entry.reason, _reason(entry.reason)
        since = entry.at - _EPOCH
        day = days.get(since.days)
        if day is None:
            day = days[since.days] = _time(entry.at.astimezone(UTC))[:-7]
        time = day + _MINUTES[since.seconds // 60] + _SECONDS[since.seconds % 60]
        size = serial.bit_length() // 8 + 1
        # No entry is longer than 127 octets, so every length is one octet.
        length = 2 + size + len(time) + len(extension)
        found[serial] = b"\x30%c\x02%c%b%b%b" % (length, size, serial.to_bytes(size, "big"), time, extension)
    return found


def prepare_crl(
    issuer: x509.Certificate,
    entries: Iterable[Revoked] | Mapping[int, bytes],
    number: int,
    now: datetime,
    lifetime: timedelta,
    *,
    url: str | None = None,
) -> PreparedCRL:
    """The list of ``entries``, valid from a minute before ``now`` for ``lifetime``, linted, unsigned.

    ``entries`` may also be what ``encoded`` made of them. With ``url`` it is the shard that this distribution point
    names (§5.2.5), and holds for the certificates that name the same; without, it is the list of everything that
    ``issuer`` revoked. ``number`` must be greater than that of every earlier list of the issuer (§5.2.3).

    Raises ValueError for a clock without time zone, a number that does not fit 20 octets, a lifetime that is not
    positive, a serial number that comes twice, or the reason removeFromCRL, which only delta lists have;
    Refused(REQUEST_LINT).
    """
    if now.tzinfo is None:
        raise ValueError("now= has no time zone")
    if number < 0 or number.bit_length() > 159:
        raise ValueError("number= must fit 20 octets and not be negative")
    if lifetime < timedelta(seconds=1):
        raise ValueError("lifetime= must be at least a second")
    issuer_public_key = supported(issuer.public_key())
    algorithm = signature_algorithm(issuer_public_key)
    this_update = (now.astimezone(UTC) - BACKDATE).replace(microsecond=0)
    next_update = (now.astimezone(UTC) + lifetime).replace(microsecond=0)

    by_serial = entries if isinstance(entries, Mapping) else encoded(entries)
    revoked = b"".join([by_serial[serial] for serial in sorted(by_serial)])
    tbs = der.encode(
        der.SEQUENCE,
        b"".join(
            (
                _VERSION_2,
                algorithm.identifier,
                issuer.subject.public_bytes(),
                _time(this_update),
                _time(next_update),
                # §5.1.2.6: with nothing revoked, the list must be absent.
                der.encode(der.SEQUENCE, revoked) if revoked else b"",
                der.encode(_EXPLICIT_0, der.encode(der.SEQUENCE, b"".join(_extensions(issuer, number, url)))),
            )
        ),
    )
    if findings := lint_crl(tbs, issuer, url=url):
        raise Refused(
            Code.REQUEST_LINT,
            "The revocation list was not signed",
            "; ".join(finding.what for finding in findings),
            "Please report this: it is a fault of Handclasp.",
        )
    return PreparedCRL(
        tbs=tbs,
        signature_algorithm=algorithm.identifier,
        number=number,
        this_update=this_update,
        next_update=next_update,
        issuer_public_key=issuer_public_key,
    )


def assemble_crl(prepared: PreparedCRL, signature: bytes) -> x509.CertificateRevocationList:
    """The list, once ``prepared.tbs`` is signed. Raises WrongSignature, as ``issue.assemble`` does."""
    return x509.load_der_x509_crl(assemble_der(prepared, signature))


def assemble_der(prepared: PreparedCRL, signature: bytes) -> bytes:
    """The same as octets; ``cryptography`` would write every entry again."""
    verify(prepared.issuer_public_key, signature, prepared.tbs)
    return der.signed(prepared.tbs, prepared.signature_algorithm, signature)


def _reason(reason: x509.ReasonFlags) -> bytes:
    try:
        return _REASONS[reason]
    except KeyError:
        raise ValueError(f"{reason.value} is a reason of delta lists only (RFC 5280 §5.3.1)") from None


def _time(at: datetime) -> bytes:
    """A time in UTC, cut to the second: UTCTime up to 2049, GeneralizedTime after (§5.1.2.4 to §5.1.2.6)."""
    if at.year < 2050:
        return b"\x17\x0d" + at.strftime("%y%m%d%H%M%SZ").encode()
    return b"\x18\x0f" + at.strftime("%Y%m%d%H%M%SZ").encode()


def _extensions(issuer: x509.Certificate, number: int, url: str | None) -> Iterator[bytes]:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    yield _extension(_AUTHORITY_KEY_IDENTIFIER, authority.public_bytes(), critical=False)
    yield _extension(_CRL_NUMBER, x509.CRLNumber(number).public_bytes(), critical=False)
    if url is not None:
        point = x509.IssuingDistributionPoint(
            full_name=[x509.UniformResourceIdentifier(url)],
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        yield _extension(_ISSUING_DISTRIBUTION_POINT, point.public_bytes(), critical=True)


def _extension(oid: bytes, value: bytes, *, critical: bool) -> bytes:
    flag = _BOOLEAN_TRUE if critical else b""
    return der.encode(der.SEQUENCE, oid + flag + der.encode(_OCTET_STRING, value))
