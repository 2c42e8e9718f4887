"""The files of one side of a handshake, put together as its program would: the key, the chain that it sends, and
the authorities by which it judges the other side.
"""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.damage import mended
from handclasp.doctor.files.load import Loaded, load
from handclasp.doctor.sources import Credentials, Source
from handclasp.findings import Code
from handclasp.pki import sequence
from handclasp.pki.containers import UNREADABLE

MAX_FILES: Final = 500
MAX_CERTIFICATES: Final = 5_000
MAX_SENT: Final = 100
T = TypeVar("T")
Places = dict[bytes, list[tuple[Loaded, int]]]
"""A SubjectPublicKeyInfo, and the certificates for it: each a file and a position in it."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found. ``sent`` is what a TLS program sends: the certificates of the file that has the leaf, in the
    file's order (a PKCS#12 or Java store: the leaf of its key first). ``known`` are all, wherever they stood.
    ``ailments`` are those of loading: of files, passphrases, pairing, order and permissions.
    """

    key: PrivateKeyTypes | None = field(default=None, repr=False)
    sent: tuple[x509.Certificate, ...] = ()
    known: tuple[x509.Certificate, ...] = ()
    trust: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    ailments: tuple[Ailment, ...] = ()


@dataclass(frozen=True, slots=True)
class Paired:
    """A key, the leaf that it belongs to, and the file whose certificates are sent; what is wrong with that."""

    key: PrivateKeyTypes | None = field(default=None, repr=False)
    leaf: x509.Certificate | None = None
    file: Loaded | None = None
    ailments: tuple[Ailment, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A private key, the file that holds it, and its SubjectPublicKeyInfo."""

    file: Loaded
    key: PrivateKeyTypes = field(repr=False)
    public: bytes = field(repr=False)


def gather(credentials: Credentials, side: Side, at: datetime) -> Gathered:
    """Everything in the files of one side. Never raises; what is beyond the limits on number is left out.

    Without ``credentials.trust`` the authorities are those of the files that hold nothing but authorities, a root
    among them. ``at`` chooses between several certificates of one key: one in date comes first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        return _gather(credentials, side, at)


def _gather(credentials: Credentials, side: Side, at: datetime) -> Gathered:
    files = loaded(credentials.files, side, credentials.passphrase)
    trusted = loaded(credentials.trust, side, credentials.passphrase, trust=True)
    lists = loaded(credentials.crls, side, credentials.passphrase)
    paired = pair(files, side, at)
    everything = (*files, *trusted, *lists)
    trust = certificates_of(trusted) if credentials.trust else authorities(files, paired.file)
    ailments = [one for file in everything for one in file.ailments]
    for file in lists:
        if not file.contents.crls and not file.ailments:
            what = "there is no revocation list in it"
            ailments.append(Ailment(Code.TRUST_STORE_UNREADABLE, file.source.name, what, place=Place(file.source.name)))
    crls = tuple({one.public_bytes(Encoding.DER): one for file in everything for one in file.contents.crls}.values())
    known = certificates_of(everything)
    return Gathered(paired.key, sent(paired), known, trust, crls, (*ailments, *paired.ailments))


def loaded(
    sources: Sequence[Source], side: Side, passphrase: bytes | None, *, trust: bool = False
) -> tuple[Loaded, ...]:
    """Each file read; the first ``MAX_FILES`` of them."""
    return tuple(load(one, side, passphrase, trust=trust) for one in sources[:MAX_FILES])


def certificates_of(files: Iterable[Loaded]) -> tuple[x509.Certificate, ...]:
    """All of them once, in the order of the files; the first ``MAX_CERTIFICATES``."""
    return _unique(one for file in files for one in file.certificates)[:MAX_CERTIFICATES]


def authorities(files: Sequence[Loaded], leafs: Loaded | None = None) -> tuple[x509.Certificate, ...]:
    """The certificates of the files that hold nothing but authorities, a root among them: bundles to trust.

    The file with the leaf is none of them: that a root is sent does not mean that it is trusted.
    """
    bundles = [
        file
        for file in files
        if file is not leafs
        and file.certificates
        and not file.keys
        and all(is_authority(one) for one in file.certificates)
        and any(sequence.is_self_signed(one) for one in file.certificates[:MAX_SENT])
    ]
    return certificates_of(bundles)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says that it may issue others: basic constraints, or a root of version 1."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and sequence.is_self_signed(certificate)
    except UNREADABLE:
        return False


def pair(files: Sequence[Loaded], side: Side, at: datetime) -> Paired:
    """Which key and which certificate go together, and whether a program finds them so.

    The first key that has a certificate counts. Of several certificates for it, one in date comes before others, and
    the first file that begins with it before those that have it further down.
    """
    keys = keys_of(files)
    places = by_key(files)
    for one in keys:
        matched = match(places, one, side, at)
        if matched is not None:
            spare = [each for each in keys if each.public not in places and each.file is not one.file]
            return replace(matched, ailments=(*matched.ailments, *(unpaired(each, side) for each in spare)))
    first = _first_leaf(files)
    if first is None:
        return Paired(keys[0].key if keys else None)
    file, index = first
    leaf = file.certificates[index]
    if not keys:
        return Paired(None, leaf, file, _order(file, index, side))
    # Where the file is damaged, the certificate of the key may be what cannot be read.
    wrong = () if _is_damaged(file) else (mismatch(keys[0], file, index, side),)
    return Paired(keys[0].key, leaf, file, wrong)


def by_key(files: Sequence[Loaded]) -> Places:
    """Where the certificates of each key stand; read once, since there may be many of both."""
    found: Places = {}
    for file in files:
        for index, one in enumerate(file.certificates[:MAX_CERTIFICATES]):
            if (public := sequence.certified(one)) is not None:
                found.setdefault(public, []).append((file, index))
    return found


def match(places: Places, held: Held, side: Side, at: datetime) -> Paired | None:
    """The certificate of one key, and the file to send it from; None where the key has none."""
    mine = places.get(held.public, [])
    if not mine:
        return None
    file, index = min(mine, key=lambda one: (not _in_date(one[0].certificates[one[1]], at), one[1] > 0))
    return Paired(held.key, file.certificates[index], file, _order(file, index, side))


def sent(paired: Paired) -> tuple[x509.Certificate, ...]:
    """What a program sends of the file: all, in its order; of a store the leaf and its issuers."""
    if paired.file is None or paired.leaf is None:
        return ()
    certificates = paired.file.certificates
    if paired.file.is_store:
        order = sequence.chain(certificates, certificates.index(paired.leaf))
        certificates = tuple(certificates[one] for one in order)
    return certificates[:MAX_SENT]


def keys_of(files: Sequence[Loaded]) -> tuple[Held, ...]:
    """The private keys that opened, each once, in the order of the files."""
    found: dict[bytes, Held] = {}
    for file in files:
        for one in file.keys[:MAX_SENT]:
            if one.key is None:
                continue
            try:
                public = sequence.spki_of(one.key)
            except UNREADABLE:
                continue
            found.setdefault(public, Held(file, one.key, public))
    return tuple(found.values())


def _first_leaf(files: Sequence[Loaded]) -> tuple[Loaded, int] | None:
    """Where no key decides: the first certificate that is no authority's; else the first of a file not of roots."""
    held = [(file, index) for file in files for index in range(len(file.certificates[:MAX_CERTIFICATES]))]
    leaves = [one for one in held if not is_authority(one[0].certificates[one[1]])]
    return next(iter(leaves or held), None)


def _order(file: Loaded, leaf: int, side: Side) -> tuple[Ailment, ...]:
    """FILE_CHAIN_ORDER: an error where the leaf is not first, since the first is what programs pair with the key."""
    certificates = file.certificates[:MAX_SENT]
    if file.is_store or leaf >= len(certificates) or len(certificates) < 2:
        return ()
    right = [certificates[one] for one in sequence.chain(certificates, leaf)]
    if leaf > 0 and not (is_authority(certificates[0]) or certificates[0] in right):
        return ()  # a heap of unrelated certificates, such as an inventory, is in no wrong order
    if leaf > 0:
        what, severity = (
            "the certificate of the key is not the first in it, and programs take the first",
            Severity.ERROR,
        )
    elif list(certificates[: len(right)]) != right and set(right) - {certificates[0]}:
        what, severity = "its certificates are not each followed by their issuer", Severity.WARNING
    else:
        return ()
    name, new = shlex.quote(file.source.name), shlex.quote(mended(file.source.name, ".ordered.pem"))
    command = f"handclasp convert {name} --to pem --chain --out {new}"
    fix = Fix(side, f"Write it in order, the leaf first: {command}", "handclasp", (command,))
    return (Ailment(Code.FILE_CHAIN_ORDER, file.source.name, what, severity, (fix,), Place(file.source.name)),)


def mismatch(held: Held, file: Loaded, index: int, side: Side) -> Ailment:
    """The key does not belong to the certificate: CLIENT_KEY_MISMATCH or SERVER_KEY_MISMATCH."""
    key = held.file
    code = Code.SERVER_KEY_MISMATCH if side is Side.SERVER else Code.CLIENT_KEY_MISMATCH
    certificate, private = shlex.quote(file.source.name), shlex.quote(key.source.name)
    commands = (
        f"openssl x509 -in {certificate} -noout -pubkey",
        f"openssl pkey -in {private} -pubout",
    )
    fix = Fix(
        side,
        "Give the key with which the certificate was requested; the two commands print the same where they belong "
        "together. Where that key is lost, request a new certificate with this one.",
        "openssl",
        (*commands, f"openssl req -new -key {private} -out request.csr"),
    )
    what = f"the private key in {key.source.name} does not belong to the certificate in {file.source.name}"
    if index:
        what += f" (its certificate {index + 1})"
    return Ailment(code, key.source.name, what, Severity.ERROR, (fix,), Place(key.source.name))


def unpaired(held: Held, side: Side) -> Ailment:
    """FILE_KEY_UNPAIRED: the key belongs to none of the certificates."""
    key = held.file
    command = f"handclasp inspect {shlex.quote(key.source.name)}"
    fix = Fix(side, f"Find the certificate that was issued for it, or remove it: {command}", "handclasp", (command,))
    what = "the private key in it belongs to none of the certificates"
    return Ailment(Code.FILE_KEY_UNPAIRED, key.source.name, what, Severity.WARNING, (fix,), Place(key.source.name))


def _is_damaged(file: Loaded) -> bool:
    return any(one.code is Code.FILE_DAMAGED and one.severity is Severity.ERROR for one in file.ailments)


def _in_date(certificate: x509.Certificate, at: datetime) -> bool:
    try:
        return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
    except UNREADABLE:
        return False


def _unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
