"""Where a certificate says that its revocation list, its status and its issuer's certificate are found.

Everything is below one base URL, plain HTTP: ``<base>/crl/<issuer key id>.crl``, with shards
``<base>/crl/<issuer key id>/<shard>.crl``, ``<base>/ca/<issuer key id>.cer`` (DER) and ``<base>/ocsp``.
"""

from __future__ import annotations

from handclasp.pki.issue import Publication


def crl_url(base: str, issuer_key_id: str, shard: int, shards: int) -> str:
    """The URL of the list that would name a certificate of that shard; one list for all if ``shards`` is 1."""
    name = issuer_key_id if shards == 1 else f"{issuer_key_id}/{shard}"
    return f"{base.rstrip('/')}/crl/{name}.crl"


def issuer_url(base: str, issuer_key_id: str) -> str:
    """The URL of the issuer's own certificate."""
    return f"{base.rstrip('/')}/ca/{issuer_key_id}.cer"


def ocsp_url(base: str) -> str:
    """The URL of the OCSP responder."""
    return f"{base.rstrip('/')}/ocsp"


def for_leaf(base: str | None, issuer_key_id: str, shard: int, shards: int) -> Publication | None:
    """What a certificate of a caller or a service says; None if nothing is published."""
    if base is None:
        return None
    return Publication(
        crl=crl_url(base, issuer_key_id, shard, shards),
        ocsp=ocsp_url(base),
        issuer=issuer_url(base, issuer_key_id),
    )


def for_authority(base: str | None, issuer_key_id: str) -> Publication | None:
    """What an authority's certificate says: no OCSP, because the root's key, which would answer, may be away."""
    if base is None:
        return None
    return Publication(
        crl=crl_url(base, issuer_key_id, shard=0, shards=1), ocsp=None, issuer=issuer_url(base, issuer_key_id)
    )
