"""`handclasp convert` and `handclasp inspect` below their faces: files in, one file out.

The inputs are one heap: certificates are put in order, keys are matched to them, and what comes twice is kept once.
"""

from __future__ import annotations

import base64
import secrets
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from handclasp.app import ambient
from handclasp.app.hardening import no_core_dumps
from handclasp.findings import Code, Refused
from handclasp.pki import containers, describe, pkcs7, pkcs8, pkcs12, sequence
from handclasp.pki.containers import Contents, FoundCertificate, FoundKey
from handclasp.store import files

Form = Literal["pem", "der", "p12", "p7b"]
Part = Literal["all", "certificate", "key", "chain"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to write. ``part`` is what of the heap; ``java`` asks for a PKCS#12 that Java takes; ``name`` is the alias
    to write, ``entry`` that of the key to take where a file has several."""

    form: Form
    part: Part = "all"
    java: bool = False
    name: str | None = None
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class Picked:
    """The heap as it is written: the key's certificate or the leaf first. ``notes`` say what a person should know."""

    key: PrivateKeyTypes | None
    certificates: tuple[FoundCertificate, ...]
    requests: tuple[x509.CertificateSigningRequest, ...]
    crls: tuple[x509.CertificateRevocationList, ...]
    name: str
    notes: tuple[str, ...] = ()


def read(
    name: str, data: bytes, ask: Callable[[str], bytes | None], passphrase: bytes | None = None, *, keys: bool = True
) -> Contents:
    """What a file holds. ``ask`` is called with the file's name where a passphrase is needed and none was given; it
    returns None where there is nobody to ask. ``keys=False`` lets encrypted keys stay closed where the rest can be
    read without. Raises Refused, naming the file."""
    try:
        try:
            found = containers.read(data, passphrase)
        except Refused as refused:
            if refused.code is not Code.FILE_PASSPHRASE_MISSING or (answer := ask(name)) is None:
                raise
            return containers.read(data, answer)
        closed = keys and any(key.key is None for key in found.keys)
        if passphrase is None and closed and (answer := ask(name)) is not None:
            return containers.read(data, answer)
    except Refused as refused:
        what = refused.what.replace("The file", name, 1)
        raise Refused(refused.code, what, refused.why, refused.fix) from None
    return found


def load(name: str) -> bytes:
    """The bytes of a file, no more than can be read anyway. Raises Refused (FILE_UNRECOGNIZED)."""
    no_core_dumps()  # there may be a key in it
    try:
        with Path(name).open("rb") as file:
            return file.read(containers.MAX_SIZE + 1)
    except FileNotFoundError:
        why = "there is no such file"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except ValueError:  # a NUL in the name
        why = "this is no name of a file"
    fix = "Give the name of a file, or - for standard input."
    raise Refused(Code.FILE_UNRECOGNIZED, f"{name} cannot be read", why, fix)


def pick(heap: Sequence[Contents], wanted: Wanted) -> Picked:
    """Choose and order what is written. Raises Refused (FILE_UNSUITABLE, FILE_PASSPHRASE_MISSING)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        return _picked(heap, wanted)


def encode(picked: Picked, wanted: Wanted, passphrase: bytes | None) -> bytes:
    """The bytes of the file. ``passphrase`` encrypts the key in PEM and DER (None: it is written in clear), and is
    needed for PKCS#12. Raises Refused (FILE_UNSUITABLE, FILE_PASSPHRASE_MISSING)."""
    match wanted.form:
        case "pem":
            key = b"" if picked.key is None else _key_pem(picked.key, passphrase)
            return key + b"".join(one.public_bytes(Encoding.PEM) for one in _public(picked))
        case "der":
            return _one_der(picked, passphrase)
        case "p7b":
            if not picked.certificates and not picked.crls:
                _unsuitable("there is no certificate to write", "PKCS#7 holds certificates and CRLs only.")
            certificates = [one.certificate.public_bytes(Encoding.DER) for one in picked.certificates]
            data = pkcs7.encode(certificates, [one.public_bytes(Encoding.DER) for one in picked.crls])
            return _pem("PKCS7", data)
        case "p12":
            return _p12(picked, wanted, passphrase)


def save(path: Path, data: bytes, *, secret: bool, force: bool) -> None:
    """Write the file whole, 0600 if there is a key in it and 0644 if not. Raises Refused: STATE_FILE_EXISTS unless
    ``force``, STATE_UNWRITABLE."""
    if path.exists() or path.is_symlink():
        if not path.is_file():
            raise Refused(
                Code.STATE_UNWRITABLE, f"{path} cannot be written", "it is no file", "Choose another with --out."
            )
        if not force:
            raise Refused(
                Code.STATE_FILE_EXISTS,
                f"{path} was not written",
                "it is there already",
                "Choose another name with --out, or replace it with --force.",
            )
    try:
        files.write(path, data, 0o600 if secret else 0o644)
    except OSError as error:
        raise Refused(
            Code.STATE_UNWRITABLE,
            f"{path} cannot be written",
            (error.strerror or str(error)).lower(),
            "Choose another place with --out, or correct the rights of the directory.",
        ) from None


def told(picked: Picked, wanted: Wanted, *, encrypted: bool) -> str:
    """What was written, in words."""
    count = len(picked.certificates)
    parts = []
    if picked.key is not None:
        parts.append(f"the private key ({describe.kind(picked.key)}, {'encrypted' if encrypted else 'not encrypted'})")
    if count:
        parts.append(f"{count} certificate{'' if count == 1 else 's'}")
    if picked.requests:
        parts.append(f"{len(picked.requests)} certificate request{'' if len(picked.requests) == 1 else 's'}")
    if picked.crls:
        parts.append(f"{len(picked.crls)} CRL{'' if len(picked.crls) == 1 else 's'}")
    return ", ".join(parts) + (
        f", as {picked.name.lower() if wanted.java else picked.name}" if wanted.form == "p12" and picked.key else ""
    )


def described(found: Contents, *, whole: bool) -> describe.Described:
    """What the file holds, as of now."""
    return describe.contents(found, now=ambient.now(), whole=whole)


def _certificates(found: Iterable[FoundCertificate]) -> list[FoundCertificate]:
    """Each once; a name that any of its copies has is kept."""
    once: dict[x509.Certificate, FoundCertificate] = {}
    for one in found:
        before = once.get(one.certificate)
        if before is None:
            once[one.certificate] = one
        else:
            once[one.certificate] = replace(before, name=before.name or one.name, trusted=before.trusted or one.trusted)
    return list(once.values())


def _key(found: Sequence[FoundKey], wanted: Wanted) -> FoundKey | None:
    """The one key of the heap that is to be written."""
    if wanted.part in ("certificate", "chain") or wanted.form == "p7b":
        # Which certificate is the leaf is still told by the key, if there is but one and it is open.
        keys = [one for one in found if one.key is not None and wanted.entry in (None, one.name)]
        return keys[0] if len(keys) == 1 else None
    if wanted.entry is not None:
        found = [one for one in found if one.name == wanted.entry]
        if not found:
            _unsuitable(f"no key is named {wanted.entry}", "See the names: handclasp inspect FILE.")
    if any(one.key is None for one in found):
        raise Refused(
            Code.FILE_PASSPHRASE_MISSING,
            "The private key does not open",
            "it is encrypted, and no passphrase was given",
            "Give it with --password-file, or take the certificates alone with --chain.",
        )
    once = {sequence.spki_of(one.key): one for one in found if one.key is not None}
    if len(once) > 1:
        names = ", ".join(one.name or "(no name)" for one in once.values())
        _unsuitable(f"there are {len(once)} private keys: {names}", "Take one of them with --entry NAME.")
    return next(iter(once.values()), None)


def _picked(heap: Sequence[Contents], wanted: Wanted) -> Picked:
    found = _certificates(one for contents in heap for one in contents.certificates)
    certificates = [one.certificate for one in found]
    key = _key([key for contents in heap for key in contents.keys], wanted)
    notes = [fault for contents in heap for fault in contents.faults]
    leaf: int | None = None
    if key is not None and key.key is not None and certificates:
        public = sequence.spki_of(key.key)
        leaf = next((n for n, one in enumerate(certificates) if sequence.certified(one) == public), None)
        if leaf is None and wanted.part == "all" and wanted.form != "p7b":
            _unsuitable(
                "the private key belongs to none of the certificates",
                "Give the certificate of this key, or take one of the two alone: --key-only, --chain.",
            )
    # An entry of a store with several is taken with its own chain, and without the others'.
    order = (
        sequence.chain(certificates, leaf)
        if wanted.entry and leaf is not None
        else sequence.ordered(certificates, leaf)
    )
    picked = tuple(found[index] for index in order)
    if leaf is not None and (strangers := len(picked) - len(sequence.chain(certificates, leaf))):
        notes.append(f"{strangers} certificates are not in the chain of the key; they come last")
    name = wanted.name or (key.name if key else None) or (picked[0].name if picked else None)
    name = name or (_common_name(picked[0].certificate) if picked else None) or "key"
    requests = {one.public_bytes(Encoding.DER): one for contents in heap for one in contents.requests}
    crls = {one.public_bytes(Encoding.DER): one for contents in heap for one in contents.crls}
    whole = Picked(key.key if key else None, picked, tuple(requests.values()), tuple(crls.values()), name, tuple(notes))
    return _part(whole, wanted)


def _part(whole: Picked, wanted: Wanted) -> Picked:
    match wanted.part:
        case "certificate":
            if not whole.certificates:
                _unsuitable("there is no certificate", "See what there is: handclasp inspect FILE.")
            return replace(whole, key=None, certificates=whole.certificates[:1], requests=(), crls=())
        case "chain":
            if not whole.certificates:
                _unsuitable("there is no certificate", "See what there is: handclasp inspect FILE.")
            return replace(whole, key=None, requests=(), crls=())
        case "key":
            if whole.key is None:
                _unsuitable("there is no private key", "See what there is: handclasp inspect FILE.")
            return replace(whole, certificates=(), requests=(), crls=())
        case "all":
            pass
    notes = list(whole.notes)
    if wanted.form == "p7b" and whole.key is not None:
        notes.append("the private key is left out: PKCS#7 holds none")
        whole = replace(whole, key=None)
    if wanted.form in ("p7b", "p12") and whole.requests:
        notes.append("certificate requests are left out: the format holds none")
        whole = replace(whole, requests=())
    if wanted.form == "p12" and whole.crls:
        notes.append("CRLs are left out: programs do not look for them in PKCS#12")
        whole = replace(whole, crls=())
    whole = replace(whole, notes=tuple(notes))
    if whole.key is None and not (whole.certificates or whole.requests or whole.crls):
        _unsuitable("there is nothing that could be written", "See what there is: handclasp inspect FILE.")
    return whole


def _one_der(picked: Picked, passphrase: bytes | None) -> bytes:
    others = _public(picked)
    if len(others) + (picked.key is not None) != 1:
        _unsuitable(
            f"DER holds one thing, and there are {len(others) + (picked.key is not None)}",
            "Take one with --cert-only or --key-only, or write PEM, PKCS#7 or PKCS#12.",
        )
    if picked.key is None:
        return others[0].public_bytes(Encoding.DER)
    plain = _pkcs8(picked.key)
    return plain if passphrase is None else pkcs8.encrypted_der(plain, _encryption(passphrase))


def _p12(picked: Picked, wanted: Wanted, passphrase: bytes | None) -> bytes:
    if not passphrase:
        raise Refused(
            Code.FILE_PASSPHRASE_MISSING,
            "The PKCS#12 file was not written",
            "it needs a passphrase",
            "Give it with --out-password-file.",
        )
    if not picked.certificates:
        _unsuitable("there is no certificate for the PKCS#12 file", "Give the certificate of the key as well.")
    if picked.key is not None and describe.is_post_quantum(picked.key):
        _unsuitable("ML-DSA keys cannot be put into PKCS#12 yet", "Keep key and chain as PEM: --to pem.")
    try:
        if wanted.java and picked.key is None:
            return pkcs12.encode_trust_store(_aliases(picked, wanted.name), passphrase)
        # Java looks for aliases in small letters, whatever was asked for.
        name = picked.name.lower() if wanted.java else picked.name
        return pkcs12.encode(name, picked.key, [one.certificate for one in picked.certificates], passphrase)
    except TypeError:
        assert picked.key is not None
        _unsuitable(f"a key of the kind {describe.kind(picked.key)} cannot be put into PKCS#12", "Write PEM: --to pem.")


def _public(
    picked: Picked,
) -> list[x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList]:
    return [*(one.certificate for one in picked.certificates), *picked.requests, *picked.crls]


def _aliases(picked: Picked, name: str | None) -> list[tuple[str, x509.Certificate]]:
    """Each certificate under an alias of its own: the name asked for, its own, or that of its subject."""
    taken: dict[str, x509.Certificate] = {}
    for one in picked.certificates:
        wish = (name or one.name or _common_name(one.certificate) or "certificate").lower()
        alias, number = wish, 1
        while alias in taken:
            number += 1
            alias = f"{wish}-{number}"
        taken[alias] = one.certificate
    return list(taken.items())


def _key_pem(key: PrivateKeyTypes, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pkcs8.encrypted_pem(_pkcs8(key), _encryption(passphrase))


def _pkcs8(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _encryption(passphrase: bytes) -> pkcs8.Encryption:
    return pkcs8.Encryption(passphrase, secrets.token_bytes(pkcs8.SALT_BYTES), secrets.token_bytes(pkcs8.IV_BYTES))


def _pem(label: str, data: bytes) -> bytes:
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


def _common_name(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except ValueError:
        return None
    return str(names[0].value) if names else None


def _unsuitable(why: str, fix: str) -> NoReturn:
    raise Refused(Code.FILE_UNSUITABLE, "Nothing was written", why, fix)
