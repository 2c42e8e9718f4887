"""The root and the issuing authority: made once, in this order, and loaded ever after.

1. The ledger remembers that an authority is planned, before there is any key.
2. The root's key, its self-signed certificate.
3. The issuing authority's key, its certificate, signed by the root.

Each step sees what is there already, so that a crash at any of them is continued the next time. From then on the
root's key is not needed and may be away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from handclasp.authority.pipeline import complete, intend
from handclasp.authority.ports import CertificateRecord, Event, KeyCustody, Ledger
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names, authority_subject, prepare
from handclasp.pki.keys import key_id, spki_sha256, supported
from handclasp.pki.profile import ISSUING, ROOT, Profile
from handclasp.pki.spiffe import TrustDomain

ROOT_KEY = "root"
ISSUING_KEY = "issuing"

_PLANNED = "authority.planned"
_PRINCIPAL = "handclasp"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The two authorities of a trust domain, as certificates."""

    root: x509.Certificate
    issuing: x509.Certificate
    trust_domain: TrustDomain

    @property
    def issuing_key_id(self) -> str:
        """What the ledger has as the issuer of everything that the issuing authority signed."""
        return key_id(supported(self.issuing.public_key()))


async def establish(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    *,
    now: datetime,
    serial: Callable[[], int],
) -> Hierarchy:
    """The authorities of this state, made if there are none; ``serial`` gives a fresh serial number at each call.

    Refused: CONFIG_CONFLICT if the state belongs to another trust domain, STATE_KEY_MISSING if a key that is
    needed is away, STATE_DAMAGED if a key does not belong to its certificate or the ledger to the keys.
    """
    known = await ledger.authorities()
    for record in known:
        _check_trust_domain(record, trust_domain)
    issuing = _newest(known, ISSUING)
    root = _newest(known, ROOT, None if issuing is None else issuing.issuer_key_id)
    if issuing is None:
        if root is None:
            await _plan(ledger, custody, trust_domain, now)
            root = await _certify(ledger, custody, ROOT, trust_domain, issuer=None, now=now, serial=serial())
        await _check_key(custody, ROOT_KEY, root, needed=True)
        issuing = await _certify(ledger, custody, ISSUING, trust_domain, issuer=root, now=now, serial=serial())
    elif root is None:
        raise Refused(
            Code.STATE_DAMAGED,
            "The certificate authority cannot be loaded",
            "the ledger has the issuing authority's certificate, but not that of the root above it",
            "Restore the ledger from a backup.",
        )
    await _check_key(custody, ISSUING_KEY, issuing, needed=True)
    await _check_key(custody, ROOT_KEY, root, needed=False)
    return Hierarchy(_certificate(root), _certificate(issuing), trust_domain)


async def _plan(ledger: Ledger, custody: KeyCustody, trust_domain: TrustDomain, now: datetime) -> None:
    """Step 1. With keys here and no plan, the ledger they belong to was lost, and with it what was revoked.

    A new root on the old key would make every revoked certificate good again.
    """
    if await ledger.events(kind=_PLANNED):
        return
    for name in (ROOT_KEY, ISSUING_KEY):
        if await custody.available(name):
            raise Refused(
                Code.STATE_DAMAGED,
                "There are authority keys here, but the ledger knows nothing of them",
                f"{custody.where(name)} is older than the ledger: what was issued and revoked with it is not known",
                "Restore the ledger from a backup; or, to begin anew, move the old keys away: "
                "every certificate they issued then becomes useless.",
            )
    await ledger.append(Event(now, _PLANNED, _uri(trust_domain), {"by": _PRINCIPAL}))


async def _certify(
    ledger: Ledger,
    custody: KeyCustody,
    profile: Profile,
    trust_domain: TrustDomain,
    *,
    issuer: CertificateRecord | None,
    now: datetime,
    serial: int,
) -> CertificateRecord:
    """Steps 2 and 3: a key and its certificate, signed by the root's key."""
    (kind,) = profile.key_types
    public = await custody.create(ROOT_KEY if issuer is None else ISSUING_KEY, kind)
    subject = authority_subject(profile, trust_domain, public)
    parent = None if issuer is None else _certificate(issuer)
    prepared = prepare(
        profile, subject=subject, names=Names(), public_key=public, issuer=parent, serial=serial, now=now
    )
    intent = await intend(
        ledger,
        prepared,
        issuer_key_id="" if parent is None else key_id(supported(parent.public_key())),
        key_name=ROOT_KEY,
        identity=_uri(trust_domain),
        names=Names(),
        subject=subject,
        public_key=public,
        principal=_PRINCIPAL,
        now=now,
    )
    _, record = await complete(ledger, custody, intent, now=now)
    return record


def _newest(
    known: tuple[CertificateRecord, ...], profile: Profile, subject_key_id: str | None = None
) -> CertificateRecord | None:
    for record in reversed(known):
        if record.profile != profile.name:
            continue
        if subject_key_id is None or key_id(supported(_certificate(record).public_key())) == subject_key_id:
            return record
    return None


def _certificate(record: CertificateRecord) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(record.der)
    except ValueError:
        raise Refused(
            Code.STATE_DAMAGED,
            "The certificate authority cannot be loaded",
            f"the {record.profile} certificate in the ledger is not readable",
            "Restore the ledger from a backup.",
        ) from None


async def _check_key(custody: KeyCustody, name: str, record: CertificateRecord, *, needed: bool) -> None:
    public = await custody.public_key(name)
    if public is None:
        if not needed:
            return
        raise Refused(
            Code.STATE_KEY_MISSING,
            f"The {name} key is not here",
            f"there is no file {custody.where(name)}",
            f"Put the file back as {custody.where(name)}.",
        )
    if spki_sha256(public) != record.spki_sha256:
        raise Refused(
            Code.STATE_DAMAGED,
            f"The {name} key does not belong to the {name} certificate",
            f"{custody.where(name)} holds another key than the one that the ledger's certificate names",
            "Restore the file from a backup.",
        )


def _check_trust_domain(record: CertificateRecord, trust_domain: TrustDomain) -> None:
    if record.identity != _uri(trust_domain):
        raise Refused(
            Code.CONFIG_CONFLICT,
            f"This state does not belong to the trust domain {trust_domain}",
            f"its authority is that of {record.identity}",
            "Set trust_domain back in handclasp.yaml, or choose another directory with --dir.",
        )


def _uri(trust_domain: TrustDomain) -> str:
    """The trust domain as the SPIFFE-ID specification §2 writes it: a URI with an empty path."""
    return f"spiffe://{trust_domain}"
