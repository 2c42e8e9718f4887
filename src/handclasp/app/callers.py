"""Callers: granting, showing, renewing and revoking their certificates. Each verb is one operation of ``control``."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509

from handclasp.app import ambient
from handclasp.app.naming import identity_named
from handclasp.app.site import Site
from handclasp.authority.issue import Issued, issue
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import CertificateRecord, CertificateState
from handclasp.authority.renew import renew as renew_certificate
from handclasp.authority.revoke import revoke as revoke_certificates
from handclasp.findings import Code, Refused
from handclasp.pki import pem, request
from handclasp.pki.issue import Names
from handclasp.pki.names import dns_name
from handclasp.pki.profile import CLIENT
from handclasp.pki.spiffe import SpiffeID

Json = dict[str, object]

_REASONS = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "affiliation_changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation_of_operation": x509.ReasonFlags.cessation_of_operation,
}
"""The reasons a person may give (RFC 5280 §5.3.1), as the command line spells them."""


async def add(site: Site, *, name: str, csr: str, dns: list[str], seconds: float | None) -> Json:
    """A certificate for a caller's key. Further ones for the same name are further copies of one identity."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    names = Names(spiffe_id=identity, dns=tuple(dns_name(text) for text in dns), ips=())
    issued = await issue(
        site.authority,
        request.parse(csr.encode()),
        names,
        CLIENT,
        OPERATOR,
        now=ambient.now(),
        serial=ambient.new_serial(),
        lifetime=_lifetime(site, seconds),
    )
    return _granted(site, issued)


async def renew(site: Site, *, name: str, csr: str, seconds: float | None) -> Json:
    """A new certificate with the names of the newest one that is neither revoked nor expired."""
    issued = await renew_certificate(
        site.authority,
        identity_named(site.authority.hierarchy.trust_domain, name),
        request=request.parse(csr.encode()),
        now=ambient.now(),
        serial=ambient.new_serial(),
        lifetime=_lifetime(site, seconds),
    )
    return _granted(site, issued)


async def revoke(site: Site, *, name: str, reason: str) -> Json:
    """Revoke every unexpired certificate of the identity, and tell the gateway before answering."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    held = await site.authority.ledger.certificates(identity=str(identity), profile=CLIENT.name)
    if not held:
        raise _unknown(identity)
    revoked = await revoke_certificates(site.authority, identity, now=ambient.now(), reason=_REASONS[reason])
    # Told again even when nothing is new: an earlier push may have failed after its commit.
    seconds = await site.apply()
    return {
        "identity": str(identity),
        "revoked": [_summary(record) for record in revoked],
        "gateway_seconds": seconds,
    }


async def listing(site: Site) -> Json:
    """Every certificate of every caller, newest identity first within its name."""
    records = await site.authority.ledger.certificates(profile=CLIENT.name)
    shown = [r for r in records if r.state is not CertificateState.INTENDED]
    return {"clients": [_summary(r) for r in sorted(shown, key=lambda r: (r.identity or "", r.issued_at))]}


async def show(site: Site, *, name: str) -> Json:
    """The certificates of one caller."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    records = await site.authority.ledger.certificates(identity=str(identity), profile=CLIENT.name)
    shown = [_summary(r) for r in records if r.state is not CertificateState.INTENDED]
    if not shown:
        raise _unknown(identity)
    return {"identity": str(identity), "certificates": shown}


def _granted(site: Site, issued: Issued) -> Json:
    """What the holder of the key needs: its chain, the trust bundle, and until when they hold."""
    return {
        **_summary(issued.record),
        "chain": pem.pem(*issued.chain).decode(),
        "bundle": pem.pem(site.authority.hierarchy.root).decode(),
    }


def state_of(record: CertificateRecord, now: datetime) -> str:
    """In one word, as a person asks: valid, expired or revoked."""
    if record.state is CertificateState.REVOKED:
        return "revoked"
    return "valid" if record.not_after > now else "expired"


def _summary(record: CertificateRecord) -> Json:
    now = ambient.now()
    return {
        "identity": record.identity,
        "dns": list(record.dns),
        "state": state_of(record, now),
        "serial": f"{record.serial:x}",
        "fingerprint": record.fingerprint,
        "issued_at": record.issued_at.isoformat(timespec="seconds"),
        "not_after": record.not_after.isoformat(timespec="seconds"),
        "days_left": round((record.not_after - now) / timedelta(days=1), 2),
        **({"reason": record.reason} if record.reason else {}),
        **({"revoked_at": record.revoked_at.isoformat(timespec="seconds")} if record.revoked_at else {}),
    }


def _lifetime(site: Site, seconds: float | None) -> timedelta:
    return site.settings.lifetimes.client if seconds is None else timedelta(seconds=seconds)


def _unknown(identity: SpiffeID) -> Refused:
    return Refused(
        Code.REQUEST_IDENTITY_UNKNOWN,
        f"There is no caller {identity.path}",
        f"no certificate was ever issued to {identity}",
        "See the callers: handclasp client list.",
    )
