"""Certificate requests as somebody may send them."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from handclasp.pki import keys
from handclasp.pki.keys import KeyType


def a_request(
    *names: x509.GeneralName,
    kind: KeyType = KeyType.EC_P256,
    key: keys.PrivateKey | None = None,
    common_name: str | None = None,
    extensions: Iterable[x509.ExtensionType] = (),
) -> str:
    """A certificate request in PEM, of a new key if none is given."""
    own = key or keys.generate(kind)
    common = [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(common))
    for extension in (*extensions, *([x509.SubjectAlternativeName(names)] if names else [])):
        builder = builder.add_extension(extension, critical=False)
    algorithm = keys.signature_algorithm(own.public_key()).hash
    return builder.sign(own, algorithm).public_bytes(Encoding.PEM).decode()
