"""A client certificate of an authority that nobody knows: to see that a server turns it away."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from handclasp.app import ambient
from handclasp.pki import issue, keys
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.names import Names
from handclasp.pki.profile import CLIENT, ROOT, Profile
from handclasp.pki.spiffe import SpiffeID
from handclasp.probe.credentials import Credential, Pattern

_NAME = "Handclasp check: an authority that is on nobody's list"
_IDENTITY = "spiffe://unlisted.invalid/handclasp-check"


def stranger() -> Credential:
    """Made anew, with keys that are kept nowhere. It proves nothing to anybody, so it may be shown to anybody."""
    root_key, key = keys.generate(KeyType.EC_P256), keys.generate(KeyType.EC_P256)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    root = _issued(ROOT, subject, Names(), root_key, root_key, None)
    identity = SpiffeID.parse(_IDENTITY)
    leaf = _issued(CLIENT, issue.subject_for(identity), Names(spiffe_id=identity), key, root_key, root)
    return Credential(
        name="an unlisted authority's",
        pattern=Pattern.parse("unlisted.invalid"),
        chain=(leaf.public_bytes(Encoding.DER),),
        not_after=leaf.not_valid_after_utc,
        key=key,
    )


def _issued(
    profile: Profile,
    subject: x509.Name,
    names: Names,
    key: PrivateKey,
    issuer_key: PrivateKey,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    prepared = issue.prepare(
        profile,
        subject=subject,
        names=names,
        public_key=key.public_key(),
        issuer=issuer,
        serial=ambient.new_serial(),
        now=ambient.now(),
        lifetime=timedelta(days=30) if profile is CLIENT else None,
    )
    return issue.assemble(prepared, keys.sign(issuer_key, prepared.tbs))
