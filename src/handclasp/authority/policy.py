"""Who may be given which names. What a profile allows is checked where the certificate is prepared."""

from __future__ import annotations

from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names
from handclasp.pki.keys import PublicKey
from handclasp.pki.profile import Profile
from handclasp.pki.spiffe import RESERVED, TrustDomain
from handclasp.pki.weak import weakness

OPERATOR = "operator"
"""Whoever may use the state directory of this machine."""
GATEWAY = "gateway"
"""Handclasp itself, for its own certificates."""


def check(names: Names, profile: Profile, principal: str, trust_domain: TrustDomain) -> None:
    """Returns if ``principal`` may have these names; raises Refused(REQUEST_NAME_NOT_ALLOWED).

    An identity belongs to this trust domain, and those under ``handclasp/`` are for the principal ``gateway``.
    """
    if profile.is_ca:
        raise ValueError("certificates of authorities are made in hierarchy.py")
    identity = names.spiffe_id
    if identity is None:
        return
    if identity.trust_domain != trust_domain:
        raise Refused(
            Code.REQUEST_NAME_NOT_ALLOWED,
            f"{identity} cannot have a certificate from here",
            f"it belongs to the trust domain {identity.trust_domain}, and this authority is that of {trust_domain}",
            f"Ask the authority of {identity.trust_domain}, or use a name in {trust_domain}.",
        )
    if identity.is_reserved and principal != GATEWAY:
        raise Refused(
            Code.REQUEST_NAME_NOT_ALLOWED,
            f"{identity} cannot be given to a caller",
            f"names that begin with {RESERVED}/ belong to Handclasp itself",
            "Use another name.",
        )


def check_key(public_key: PublicKey) -> None:
    """Returns if the key is as strong as its kind promises; raises Refused(REQUEST_KEY_WEAK).

    For keys that came another way than in a request: ``pki.request.parse`` has asked that already.
    """
    if (why := weakness(public_key)) is not None:
        raise Refused(
            Code.REQUEST_KEY_WEAK,
            "The key cannot be used",
            why,
            "Make a new key, with a current version of OpenSSL or with Handclasp.",
        )


def key_barred(why: str) -> Refused:
    """What the ledger knows against certifying this key, or against this authority: ``why`` as in KeyBarred."""
    if why in ("retiring", "retired"):
        return Refused(
            Code.ROTATION_UNDER_WAY,
            "The certificate was not issued",
            f"the authority that this process signs with is {why} since a moment ago",
            "Ask again: in about a second this process knows the one that signs now.",
        )
    reasons = {
        "authority": "it is an authority's own key",
        "revoked": "a certificate for it was revoked",
        "held": "a certificate for it is on hold",
    }
    return Refused(Code.REQUEST_KEY_BARRED, "The key cannot be used", reasons[why], "Make a new key.")
