"""What a person calls a caller, as an identity."""

from __future__ import annotations

from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import SpiffeID, TrustDomain


def identity_named(trust_domain: TrustDomain, name: str) -> SpiffeID:
    """The identity of a name, or of a whole SPIFFE ID of this trust domain (D12). Raises Refused and InvalidSetting."""
    if not name.startswith("spiffe://"):
        return SpiffeID.named(trust_domain, name)
    identity = SpiffeID.parse(name)
    if identity.trust_domain != trust_domain:
        raise Refused(
            Code.REQUEST_NAME_NOT_ALLOWED,
            f"{name} is no identity of this authority",
            f"its trust domain is {identity.trust_domain}, and this authority's is {trust_domain}",
            f"Use a name of this trust domain, such as spiffe://{trust_domain}/{identity.path}.",
        )
    return SpiffeID.named(trust_domain, identity.path)
