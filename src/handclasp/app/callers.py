"""Callers: granting, showing, renewing and revoking their certificates. Each verb is one operation of ``control``."""

from __future__ import annotations

from datetime import datetime, timedelta

from handclasp.app import ambient
from handclasp.app.certificates import REASONS, check_verifiable
from handclasp.app.naming import identity_named
from handclasp.app.site import Site
from handclasp.authority.issue import Issued, issue
from handclasp.authority.policy import OPERATOR
from handclasp.authority.records import CertificateRecord, CertificateState, Confirmation, Search
from handclasp.authority.renew import renew as renew_certificate
from handclasp.authority.revoke import revoke as revoke_certificates
from handclasp.findings import Code, Refused
from handclasp.pki import pem, request
from handclasp.pki.issue import Names
from handclasp.pki.names import dns_name
from handclasp.pki.profile import CLIENT
from handclasp.pki.spiffe import SpiffeID

Json = dict[str, object]

_PIECE = 1000  # certificates an answer


async def add(site: Site, *, name: str, csr: str, dns: list[str], seconds: float | None) -> Json:
    """A certificate for a caller's key. Further ones for the same name are further copies of one identity."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    names = Names(spiffe_id=identity, dns=tuple(dns_name(text) for text in dns), ips=())
    asked = request.parse(csr.encode())
    check_verifiable(site, asked, identity)
    issued = await issue(
        site.authority,
        asked,
        names,
        CLIENT,
        OPERATOR,
        now=ambient.now(),
        serial=ambient.new_serial(),
        lifetime=_lifetime(site, seconds),
    )
    return await _granted(site, issued)


async def renew(site: Site, *, name: str, csr: str, seconds: float | None) -> Json:
    """A new certificate with the names of the newest one that is neither revoked nor expired."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    asked = request.parse(csr.encode())
    check_verifiable(site, asked, identity)
    issued = await renew_certificate(
        site.authority,
        identity,
        request=asked,
        now=ambient.now(),
        serial=ambient.new_serial(),
        lifetime=_lifetime(site, seconds),
    )
    return await _granted(site, issued)


async def revoke(site: Site, *, name: str, reason: str) -> Json:
    """Revoke every unexpired certificate of the identity, and tell the gateway before answering."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    held = await site.authority.ledger.certificates(identity=str(identity), profile=CLIENT.name)
    if not held:
        raise _unknown(identity)
    revoked = await revoke_certificates(site.authority, identity, now=ambient.now(), reason=REASONS[reason])
    # Told again even when nothing is new: an earlier push may have failed after its commit.
    seconds = await site.apply()
    return {
        "identity": str(identity),
        "revoked": [_summary(record) for record in revoked],
        "gateway_seconds": seconds,
    }


async def listing(site: Site, *, after: str | None = None) -> Json:
    """The callers' certificates, newest first; piece by piece: ``after`` in the answer asks for what follows."""
    page = await site.authority.ledger.search(Search(profile=CLIENT.name, after=after, limit=_PIECE))
    shown = [_summary(record) for record in page.records if record.state is not CertificateState.INTENDED]
    return {"clients": shown, **({"after": page.cursor} if page.cursor else {})}


async def show(site: Site, *, name: str) -> Json:
    """The certificates of one caller."""
    identity = identity_named(site.authority.hierarchy.trust_domain, name)
    records = await site.authority.ledger.certificates(identity=str(identity), profile=CLIENT.name)
    shown = [_summary(r) for r in records if r.state is not CertificateState.INTENDED]
    if not shown:
        raise _unknown(identity)
    return {"identity": str(identity), "certificates": shown}


async def _granted(site: Site, issued: Issued) -> Json:
    """What the holder of the key needs. Having the trust bundle now, it confirms what is in it."""
    names = site.authority.hierarchy.names()
    await site.authority.ledger.confirm(Confirmation(str(issued.record.identity), names, ambient.now()))
    return {
        **_summary(issued.record),
        "chain": pem.pem(*issued.chain).decode(),
        "bundle": pem.pem(*site.authority.hierarchy.roots).decode(),
    }


def state_of(record: CertificateRecord, now: datetime) -> str:
    """In one word, as a person asks: valid, expired, on hold or revoked."""
    if record.state is CertificateState.REVOKED:
        return "revoked"
    if record.state is CertificateState.HELD:
        return "held"
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
