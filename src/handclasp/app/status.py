"""How things stand: the authority, its certificates, the gateway and the services, for `handclasp status`."""

from __future__ import annotations

from datetime import datetime

from handclasp.app import ambient
from handclasp.app.authorities import facts
from handclasp.app.callers import Json
from handclasp.app.site import Site
from handclasp.authority.ports import Ledger
from handclasp.authority.records import AuthorityState, CertificateState, RequestState, Search
from handclasp.pki.profile import CLIENT
from handclasp.store.keyfiles import KeyFiles

_SHOWN = 100


async def of_site(site: Site) -> Json:
    """The whole status. ``gateway`` is null where none runs."""
    now = ambient.now()
    custody = site.authority.custody
    ledger = site.authority.ledger
    return {
        "state": str(site.state.path),
        "trust_domain": str(site.settings.trust_domain),
        "authorities": [
            await facts(site.vault, record)
            for record in await ledger.authorities()
            if record.state is not AuthorityState.RETIRED
        ],
        "keys_unencrypted": list(custody.unencrypted()) if isinstance(custody, KeyFiles) else [],
        "pending_requests": len(await ledger.pending_requests(RequestState.PENDING)),
        "clients": await _counted(ledger, now),
        "clients_to_renew": await _to_renew(site, now),
        "gateway": await site.report() if site.report is not None else None,
        "services": [
            {
                "name": service.name,
                "listen": str(service.listen),
                "hosts": [str(host) for host in service.hosts],
                "upstream": str(service.upstream),
                "client_certificates": service.client_certificates,
                "rules": len(service.policy.rules),
            }
            for service in site.settings.services
        ],
    }


async def _counted(ledger: Ledger, now: datetime) -> dict[str, int]:
    """The callers' certificates, counted and not read: there may be a hundred thousand."""
    counts = {"valid": 0, "expired": 0, "held": 0, "revoked": 0}
    for (state, expired), count in (await ledger.tally(CLIENT.name, now)).items():
        match state:
            case CertificateState.ISSUED:
                counts["expired" if expired else "valid"] += count
            case CertificateState.HELD | CertificateState.REVOKED:
                counts[state.value] += count
    return counts


async def _to_renew(site: Site, now: datetime) -> list[str]:
    """Whose certificate is in the last third of its life, found among the newest 100 that end soon."""
    page = await site.authority.ledger.search(
        Search(
            profile=CLIENT.name,
            state=CertificateState.ISSUED,
            expires_after=now,
            expires_before=now + site.settings.lifetimes.client / 3,
            limit=_SHOWN,
        )
    )
    soon = (r for r in page.records if r.not_after - now < (r.not_after - r.not_before) / 3)
    return sorted({r.identity for r in soon if r.identity})
