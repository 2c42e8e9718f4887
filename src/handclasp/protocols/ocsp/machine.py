"""From the octets of a request to what must be looked up: pure, and total over all octets.

1. The request is read; what is no request is answered malformedRequest (RFC 6960 §4.2.1).
2. The authority is found by the hashes of its name and key. An answer is signed for one authority, so all that is
   asked in one request must be of the same; otherwise, and for strangers' certificates: unauthorized.
3. The status of each certificate is looked up (by the responder), and the answer signed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from handclasp.authority.lineage import SigningAuthority
from handclasp.pki.ocsp import Failure, MalformedRequest, OCSPRequest, issuer_hashes, parse_request

Issuers = Mapping[tuple[str | None, bytes, bytes], str]
"""The key id of the authority by hash name, name hash and key hash."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of which authority."""

    issuer_key_id: str
    request: OCSPRequest

    @property
    def may_be_shared(self) -> bool:
        """Whether one answer may serve everybody who asks the same: one certificate, no nonce."""
        return self.request.nonce is None and len(self.request.certificates) == 1


def issuers_of(authorities: Iterable[SigningAuthority]) -> Issuers:
    """How the certificates of these authorities may be asked for."""
    return {found: one.key_id for one in authorities for found in issuer_hashes(one.certificate)}


def question(data: bytes, issuers: Issuers) -> Question | Failure:
    """Steps 1 and 2."""
    try:
        request = parse_request(data)
    except MalformedRequest:
        return Failure.MALFORMED_REQUEST
    found = {issuers.get((one.hash_name, one.name_hash, one.key_hash)) for one in request.certificates}
    key_id = found.pop()
    if found or key_id is None:
        return Failure.UNAUTHORIZED
    return Question(key_id, request)


def from_path(raw: bytes) -> bytes:
    """The request in a path (RFC 6960 appendix A.1): base64, percent-encoded or not; b"" where it is none.

    Many clients leave ``/`` and ``+`` as they are, some leave the padding away.
    """
    text = unquote_to_bytes(raw)
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""
