"""With whom servers are verified: the system's authorities, our own, or those of files; and revocation lists."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import convert, roots
from handclasp.findings import Code, Refused
from handclasp.pki import containers
from handclasp.pki.pem import load_chain
from handclasp.probe.trust import Anchors

SYSTEM, OWN = "system", "own"
Lists = Iterable[x509.CertificateRevocationList]


def system(crls: Lists = ()) -> Anchors:
    """The system's authorities; none where it has no file of them."""
    return Anchors(SYSTEM, _of_system, crls)


def system_ders() -> tuple[bytes, ...]:
    """The same in DER. May raise ValueError and OSError."""
    return tuple(one.public_bytes(Encoding.DER) for one in _of_system())


def _of_system() -> tuple[x509.Certificate, ...]:
    path = roots.system_file()
    if path is None:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about a root that it will not read some day
        return tuple(load_chain(path.read_bytes()))


def own(bundle: str, crls: Lists = ()) -> Anchors:
    """The authority of a state directory, by its trust bundle (PEM)."""
    return Anchors(OWN, lambda: load_chain(bundle.encode()), crls)


def file(path: Path, crls: Lists = ()) -> Anchors:
    """The certificates of a file: PEM, DER, PKCS#7 or PKCS#12. Refused (FILE_UNRECOGNIZED, FILE_UNSUITABLE)."""
    found = tuple(one.certificate for one in _read(path).certificates)
    if not found:
        raise Refused(
            Code.FILE_UNSUITABLE,
            f"{path} cannot be used to verify with",
            "there is no certificate in it",
            "Name a file with the authority's certificate (-----BEGIN CERTIFICATE-----).",
        )
    return Anchors(str(path), lambda: found, crls)


def lists(paths: Sequence[Path]) -> tuple[x509.CertificateRevocationList, ...]:
    """The revocation lists of the files. Refused (FILE_UNRECOGNIZED, FILE_UNSUITABLE)."""
    found: list[x509.CertificateRevocationList] = []
    for path in paths:
        crls = _read(path).crls
        if not crls:
            raise Refused(
                Code.FILE_UNSUITABLE,
                f"{path} cannot be used",
                "there is no revocation list in it",
                "Name a file with a CRL (-----BEGIN X509 CRL-----, or its DER).",
            )
        found += crls
    return tuple(found)


def _read(path: Path) -> containers.Contents:
    return convert.read(str(path), convert.load(str(path)), lambda _: None, keys=False)
