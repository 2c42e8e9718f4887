"""How things stand: the authority, its certificates, the gateway and the services, for `handclasp status`."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509

from handclasp.app import ambient
from handclasp.app.callers import Json, state_of
from handclasp.app.site import Site
from handclasp.authority.ports import CertificateState
from handclasp.pki.names import rfc4514
from handclasp.pki.profile import CLIENT


async def of_site(site: Site) -> Json:
    """The whole status. ``gateway`` is null where none runs."""
    now = ambient.now()
    hierarchy, custody = site.authority.hierarchy, site.authority.custody
    clients = await site.authority.ledger.certificates(profile=CLIENT.name)
    states = [state_of(r, now) for r in clients if r.state is not CertificateState.INTENDED]
    soon = [r for r in clients if state_of(r, now) == "valid" and r.not_after - now < (r.not_after - r.not_before) / 3]
    return {
        "state": str(site.state.path),
        "trust_domain": str(site.settings.trust_domain),
        "root": {
            **_certificate(hierarchy.root, now),
            "key_online": await custody.available("root"),
            "key": custody.where("root"),
        },
        "issuing": {
            **_certificate(hierarchy.issuing, now),
            "key_online": await custody.available("issuing"),
            "key": custody.where("issuing"),
        },
        "clients": {name: states.count(name) for name in ("valid", "expired", "revoked")},
        "clients_to_renew": sorted({r.identity for r in soon if r.identity}),
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


def _certificate(certificate: x509.Certificate, now: datetime) -> Json:
    return {
        "subject": rfc4514(certificate.subject),
        "not_after": certificate.not_valid_after_utc.isoformat(timespec="seconds"),
        "days_left": round((certificate.not_valid_after_utc - now) / timedelta(days=1), 1),
    }
