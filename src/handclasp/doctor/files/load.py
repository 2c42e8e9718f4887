"""One file as the doctor reads it: what is in it, and everything about its form that its program will stumble over."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from cryptography import x509

from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files import exposure
from handclasp.doctor.files.damage import Damage, anew, damages, is_markup, mended, rewritten
from handclasp.doctor.sources import Source
from handclasp.findings import Code, Refused
from handclasp.pki import containers
from handclasp.pki.containers import Contents, FoundKey

_BINARY_NAMES: Final = frozenset(
    {".der", ".p12", ".pfx", ".jks", ".jceks", ".ks", ".keystore", ".truststore", ".p7b", ".p7c", ".p7", ".crl"}
)
_EITHER_NAMES: Final = frozenset({".cer", ".crt", ".key", ""})
_STORES: Final = frozenset({"PKCS#12", "JKS", "JCEKS"})
_PASSPHRASES: Final = frozenset({Code.FILE_PASSPHRASE_MISSING, Code.FILE_PASSPHRASE_WRONG})
_EMPTY: Final = Contents("")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file, its contents (empty where nothing could be read), and what is wrong with it as a file."""

    source: Source
    contents: Contents = field(default=_EMPTY, repr=False)
    ailments: tuple[Ailment, ...] = ()

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Those in it, in the order of the file."""
        return tuple(one.certificate for one in self.contents.certificates)

    @property
    def keys(self) -> tuple[FoundKey, ...]:
        """The keys in it, also those that did not open."""
        return self.contents.keys

    @property
    def is_store(self) -> bool:
        """Whether programs find the leaf by its key and not by its place: PKCS#12 and Java's stores."""
        return self.contents.form in _STORES


def load(source: Source, side: Side, passphrase: bytes | None = None, *, trust: bool = False) -> Loaded:
    """Read one file. ``trust`` says that it is a file of authorities. Never raises, whatever the octets are."""
    try:
        return _load(source, side, passphrase, trust)
    except Exception:  # the last resort: the octets are a stranger's, and the library is large
        return Loaded(source, ailments=(_not_pem(source, side, "it cannot be read", trust),))


def _load(source: Source, side: Side, passphrase: bytes | None, trust: bool) -> Loaded:
    name = source.name
    if source.unreadable is not None:
        what = f"it cannot be read: {source.unreadable}"
        command = f"ls -l {shlex.quote(name)}"
        fix = Fix(side, f"Correct the path, or let the program's user read it: {command}", "", (command,))
        return Loaded(source, ailments=(_told(_unreadable(side, trust), source, what, (fix,)),))
    guest = exposure.is_configuration(source)
    found: list[Ailment] = list(exposure.in_configuration(source, side)) if guest else []
    data = source.data.replace(b"\\n", b"\n") if b"-----\\n" in source.data else source.data
    whole, refused = _contents(data, passphrase)
    contents = _nameable(whole)
    if guest and refused is not None and refused.code not in _PASSPHRASES:
        return Loaded(source, ailments=tuple(found))  # a configuration without certificates is nothing bad
    if refused is not None and refused.code in _PASSPHRASES:
        found.append(_closed(source, side, refused))
    elif refused is not None:
        found.append(_refused(source, side, refused, trust))
    if not guest:
        physical = damages(name, source.data, side)
        if refused is None or not physical:
            found += [_damaged(source, one) for one in physical]
        else:
            found = [_damaged(source, one) for one in physical] + [one for one in found if one.code in _PASSPHRASES]
            if trust:
                found.insert(0, _told(Code.TRUST_STORE_UNREADABLE, source, physical[0].what, (physical[0].fix,)))
        found += _forms(source, side, contents, trust)
    if contents.faults and not any(one.severity is Severity.ERROR for one in found):
        found += [_fault(source, side, fault) for fault in contents.faults[:10]]
    if len(contents.certificates) < len(whole.certificates):
        found.append(_nameless(source, side, contents, trust))
    locked = [one for one in contents.keys if one.key is None]
    if locked and refused is None:
        found.append(_closed(source, side, None))
    if contents.keys:
        encrypted = all(one.encrypted for one in contents.keys)
        found += exposure.exposed(source, side, encrypted=encrypted)
    if len(contents.keys) > 1 and not _is_java(contents):
        what = f"it holds {len(contents.keys)} private keys, and programs take the first"
        command = f"handclasp convert {shlex.quote(name)} --to pem --key-only --out {shlex.quote(mended(name, '.key'))}"
        told = f"Keep the one that belongs to the certificate: handclasp inspect {shlex.quote(name)} shows which it is."
        fix = Fix(side, told, "handclasp", (f"handclasp inspect {shlex.quote(name)}", command))
        found.append(_told(Code.FILE_TWO_KEYS, source, what, (fix,)))
    if trust and not contents.certificates and not found:
        found.append(_not_pem(source, side, "there is no certificate in it", True))
    return Loaded(source, contents, tuple(found))


def _contents(data: bytes, passphrase: bytes | None) -> tuple[Contents, Refused | None]:
    try:
        return containers.read(data, passphrase), None
    except Refused as refused:
        if refused.code is not Code.FILE_PASSPHRASE_WRONG:
            return _EMPTY, refused
        try:  # the certificates beside the key that does not open
            return containers.read(data), refused
        except Refused:
            return _EMPTY, refused


def _nameable(contents: Contents) -> Contents:
    """Without the certificates whose subject or issuer cannot be decoded (text that is not UTF-8, for one): the library
    reads names late, and raises wherever they are asked for."""
    return replace(contents, certificates=tuple(one for one in contents.certificates if _has_names(one.certificate)))


def _has_names(certificate: x509.Certificate) -> bool:
    try:
        _ = certificate.subject, certificate.issuer
    except containers.UNREADABLE:
        return False
    return True


def _nameless(source: Source, side: Side, left: Contents, trust: bool) -> Ailment:
    what = "a name in a certificate of it cannot be read"
    if left.certificates and not trust:
        return _told(Code.FILE_DAMAGED, source, what, (anew(source.name, side),))
    severity = Severity.WARNING if left.certificates else Severity.ERROR
    return _not_pem(source, side, what, trust, anew(source.name, side), severity)


def _refused(source: Source, side: Side, refused: Refused, trust: bool) -> Ailment:
    name = shlex.quote(source.name)
    if is_markup(source.data):
        fix = Fix(
            side,
            "Download it anew with curl -fL, which follows redirects: what came is a web page, often of a login.",
            "",
            (f"head -c 300 {name}", f"curl -fL -o {name} ADDRESS"),
        )
        return _not_pem(source, side, "it is a web page (HTML) and not a certificate or key", trust, fix)
    if source.data[:1] == b"\x30":
        fix = Fix(
            side, f"Copy the file anew, in binary mode and whole: ls -l {name} on both sides.", "", (f"ls -l {name}",)
        )
        code = Code.TRUST_STORE_UNREADABLE if trust else Code.FILE_DAMAGED
        return _told(code, source, refused.why, (fix,))
    return _not_pem(source, side, refused.why, trust, anew(source.name, side))


def _forms(source: Source, side: Side, contents: Contents, trust: bool) -> list[Ailment]:
    """The form against what the name promises: programs that read PEM are told a file by its name only."""
    suffix = PurePosixPath(source.name).suffix.lower()
    form = contents.form
    if not form or form == "PEM" or suffix in _BINARY_NAMES:
        return _blocks_of_pkcs7(source, side, contents, trust)
    promised = suffix not in _EITHER_NAMES
    what = f"it is {form} and not PEM, which most programs expect" + (f" of a file {suffix}" if promised else "")
    severity = Severity.ERROR if promised or form in _STORES or "base64" in form else Severity.WARNING
    return [_not_pem(source, side, what, trust, severity=severity, readable=True)]


def _blocks_of_pkcs7(source: Source, side: Side, contents: Contents, trust: bool) -> list[Ailment]:
    suffix = PurePosixPath(source.name).suffix.lower()
    if contents.form == "PEM" and suffix not in _BINARY_NAMES and b"-----BEGIN PKCS7-----" in source.data:
        return [
            _not_pem(
                source,
                side,
                "its certificates are in a block PKCS7, which TLS programs do not read",
                trust,
                readable=True,
            )
        ]
    return []


def _not_pem(
    source: Source,
    side: Side,
    what: str,
    trust: bool,
    fix: Fix | None = None,
    severity: Severity = Severity.ERROR,
    *,
    readable: bool = False,
) -> Ailment:
    if trust:
        code = Code.TRUST_STORE_UNREADABLE
    else:
        # A server's file has no code of its own for this: one that is read here is told as damaged, to be written anew.
        code = Code.CLIENT_FILE_NOT_PEM
        if side is Side.SERVER:
            code = Code.FILE_DAMAGED if readable else Code.FILE_UNRECOGNIZED
    return _told(code, source, what, (fix or rewritten(source.name, side),), severity)


def _closed(source: Source, side: Side, refused: Refused | None) -> Ailment:
    wrong = refused is not None and refused.code is Code.FILE_PASSPHRASE_WRONG
    what = "the passphrase does not open it" if wrong else "it is encrypted, and no passphrase was given"
    if side is Side.SERVER:
        code = Code.FILE_PASSPHRASE_WRONG if wrong else Code.FILE_PASSPHRASE_MISSING
    else:
        code = Code.CLIENT_KEY_PASSPHRASE
    name = shlex.quote(source.name)
    command = f"handclasp inspect {name} --password-file FILE"
    fix = Fix(side, f"Give its passphrase with --password-file; try it first: {command}", "handclasp", (command,))
    return _told(code, source, what, (fix,))


def _damaged(source: Source, one: Damage) -> Ailment:
    line = None if one.line is None else one.line + (source.line or 1) - 1
    place = Place(source.name, line)
    return Ailment(Code.FILE_DAMAGED, source.name, one.what, one.severity, (one.fix,), place)


def _fault(source: Source, side: Side, fault: str) -> Ailment:
    # A label that is not what the block holds stops OpenSSL; the rest may be beside what is needed.
    wrong = "labelled" in fault or "cannot be read" in fault
    severity = Severity.ERROR if wrong else Severity.WARNING
    return _told(Code.FILE_DAMAGED, source, fault, (rewritten(source.name, side),), severity)


def _told(
    code: Code, source: Source, what: str, fixes: tuple[Fix, ...], severity: Severity = Severity.ERROR
) -> Ailment:
    return Ailment(code, source.name, what, severity, fixes, Place(source.name, source.line))


def _unreadable(side: Side, trust: bool) -> Code:
    if trust:
        return Code.TRUST_STORE_UNREADABLE
    return Code.CONFIG_FILE_MISSING if side is Side.SERVER else Code.CLIENT_FILE_UNREADABLE


def _is_java(contents: Contents) -> bool:
    return contents.form in {"JKS", "JCEKS"}
