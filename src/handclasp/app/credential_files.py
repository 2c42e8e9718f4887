"""Files that a person has, read as one credential: the key, its certificate, and the issuers above that."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.app import convert
from handclasp.findings import Code, Refused
from handclasp.pki import containers, describe, sequence
from handclasp.pki.names import rfc4514
from handclasp.probe.credentials import SigningKey, signature_schemes

MAX_CHAIN = 10
"""Certificates: servers follow few, and each costs a handshake its octets."""

MAX_ANCHORS = 1000

_FOR_CLIENTS = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_WEAK_RSA = 2048  # bits; what has fewer is refused by OpenSSL at its usual level
_WHAT = "The credential was not added"


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its chain, the leaf first and without its root; ``warnings`` say what a person should know of them."""

    key: SigningKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]
    warnings: tuple[str, ...] = ()


def pair(files: Sequence[tuple[str, bytes]], passphrase: bytes | None, *, now: datetime) -> Pair:
    """The credential in these files (name, content), whatever is in which: PEM, DER, PKCS#7 or PKCS#12.

    Refused: FILE_UNRECOGNIZED, FILE_PASSPHRASE_MISSING, FILE_PASSPHRASE_WRONG; CREDENTIAL_UNUSABLE where key and
    certificate are not both there, do not belong together, or cannot be used by a TLS client; CREDENTIAL_EXPIRED.
    """
    found = [convert.read(name, data, lambda _: None, passphrase) for name, data in files]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        key = _key(found, files)
        heap = list(dict.fromkeys(one.certificate for contents in found for one in contents.certificates))
        if not heap:
            _unusable("there is no certificate in the files", "Give the certificate of the key with --cert.")
        public = sequence.spki_of(key)
        leaves = [index for index, one in enumerate(heap) if sequence.certified(one) == public]
        if not leaves:
            _unusable(
                "the private key belongs to none of the certificates",
                "Give the certificate that was issued for this key; handclasp inspect FILE shows what is in a file.",
            )
        # Of several for one key, such as the old one and its renewal, the one that lasts longest.
        leaf = max(leaves, key=lambda index: heap[index].not_valid_after_utc)
        order = sequence.chain(heap, leaf)
        chain = [heap[index] for index in order]
        notes = [fault for contents in found for fault in contents.faults]
        if strangers := len(heap) - len(order) - len(leaves) + 1:
            notes.append(f"{strangers} of the certificates are not in the chain of the key, and were left out")
        if len(chain) > 1 and sequence.is_self_signed(chain[-1]):
            chain.pop()  # the server has its own, or does not trust it: RFC 8446 §4.4.2
        if len(chain) > MAX_CHAIN:
            _unusable(f"its chain has {len(chain)} certificates", f"Give at most {MAX_CHAIN}.")
        if not signature_schemes(key, chain[0]):
            _unusable(
                f"TLS clients do not sign with a key of the kind {describe.kind(key)}",
                "Use RSA, EC on P-256, P-384 or P-521, Ed25519, Ed448 or ML-DSA.",
            )
        return Pair(cast("SigningKey", key), tuple(chain), (*notes, *_remarks(chain, now)))


def anchors(name: str, data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a file of authorities. Refused: FILE_UNRECOGNIZED; CREDENTIAL_UNUSABLE if it has none."""
    found = convert.read(name, data, lambda _: None, keys=False)
    certificates = tuple(dict.fromkeys(one.certificate for one in found.certificates))
    if not 0 < len(certificates) <= MAX_ANCHORS:
        _unusable(
            f"{name} has {len(certificates) or 'no'} certificates",
            f"Give with --cacert the authorities of the server, at most {MAX_ANCHORS}.",
        )
    return certificates


def _key(found: Sequence[containers.Contents], files: Sequence[tuple[str, bytes]]) -> PrivateKeyTypes:
    keys = [key for contents in found for key in contents.keys]
    if any(one.key is None for one in keys):
        names = ", ".join(name for (name, _), contents in zip(files, found, strict=True) if contents.keys)
        raise Refused(
            Code.FILE_PASSPHRASE_MISSING,
            _WHAT,
            f"the private key in {names} is encrypted, and no passphrase was given",
            "Give it with --password-file.",
        )
    once = {sequence.spki_of(one.key): one.key for one in keys if one.key is not None}
    if not once:
        _unusable("there is no private key in the files", "Give it with --key, or both in one file with --p12.")
    if len(once) > 1:
        _unusable(
            f"there are {len(once)} private keys in the files",
            "Take one of them out first: handclasp convert FILE --to pem --entry NAME --out FILE.",
        )
    return next(iter(once.values()))


def _remarks(chain: Sequence[x509.Certificate], now: datetime) -> list[str]:
    """What servers may not like about it. Refused(CREDENTIAL_EXPIRED) if none would take it."""
    leaf = chain[0]
    ends = leaf.not_valid_after_utc
    if ends <= now:
        raise Refused(
            Code.CREDENTIAL_EXPIRED,
            _WHAT,
            f"the certificate has expired, on {ends.isoformat(timespec='seconds')}",
            "Have it renewed, and add the new one.",
        )
    said = []
    if leaf.not_valid_before_utc > now:
        said.append(f"the certificate is not valid before {leaf.not_valid_before_utc.isoformat(timespec='seconds')}")
    late = [one for one in chain[1:] if one.not_valid_after_utc <= now]
    said += [f"the authority {rfc4514(one.subject)} above it has expired" for one in late]
    try:
        said += _about_use(leaf)
    except ValueError:
        said.append("its extensions cannot be read, so servers may refuse it")
    public = leaf.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _WEAK_RSA:
        said.append(f"its RSA key has {public.key_size} bits: many servers refuse less than {_WEAK_RSA}")
    if any(_by_sha1(one) for one in chain):
        said.append("it is signed with SHA-1, which most servers refuse")
    return said


def _about_use(leaf: x509.Certificate) -> list[str]:
    said = []
    try:
        usages = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = set()
    if usages and not usages & _FOR_CLIENTS:
        only = " (it is for servers)" if ExtendedKeyUsageOID.SERVER_AUTH in usages else ""
        said.append(f"the certificate is not meant for clients{only}: most servers refuse it")
    try:
        signs = leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        signs = True
    if not signs:
        said.append("its key usage does not allow signatures, so servers refuse it")
    return said


def _by_sha1(certificate: x509.Certificate) -> bool:
    try:
        return isinstance(certificate.signature_hash_algorithm, SHA1)
    except UnsupportedAlgorithm:
        return False


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 in hex."""
    return certificate.fingerprint(SHA256()).hex()


def _unusable(why: str, fix: str) -> NoReturn:
    raise Refused(Code.CREDENTIAL_UNUSABLE, _WHAT, why, fix)
