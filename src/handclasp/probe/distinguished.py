"""The names of authorities in a CertificateRequest, as text (RFC 8446 §4.2.4: DER of Name; RFC 4514)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography import x509

from handclasp.pki import names
from handclasp.pki.containers import UNREADABLE
from handclasp.pki.der import SEQUENCE, encode, signed

# The library reads a Name only inside of something: here a certificate request with nothing else of meaning in it.
_VERSION: Final = bytes.fromhex("020100")
_KEY: Final = bytes.fromhex("302a300506032b6570032100") + bytes(32)
_NO_ATTRIBUTES: Final = bytes.fromhex("a000")
_ALGORITHM: Final = bytes.fromhex("300506032b6570")
_LONGEST: Final = 1024


@lru_cache(maxsize=1024)
def text(der: bytes) -> str:
    """``CN=Partner CA,O=Example``; what cannot be read is shown in hex. Safe to print; never raises."""
    try:
        request = x509.load_der_x509_csr(
            signed(encode(SEQUENCE, _VERSION + der + _KEY + _NO_ATTRIBUTES), _ALGORITHM, bytes(64))
        )
        found = names.rfc4514(request.subject)
    except UNREADABLE:
        found = f"#{der.hex()}"
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 3]}..."
