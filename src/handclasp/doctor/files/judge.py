"""A certificate and its chain, judged by the files alone: completeness, purpose, names, dates, strength, revocation.

Which side a certificate is for is read from the certificate: ``clientAuth`` alone is a client's, ``serverAuth`` alone a
server's. With both, with neither or without the extension it is a server's if it has DNS names or addresses (a client
is seldom known by one), else a client's.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.gather import is_authority
from handclasp.doctor.files.load import Loaded
from handclasp.doctor.rules.client_chain import (
    client_ailments,
    issuer_known,
    issuer_of,
    may_be_incomplete,
    same_name,
    signed,
    subject_of,
    top_of,
)
from handclasp.findings import Code
from handclasp.pki.containers import UNREADABLE

_SERVERS: Final = {
    Code.CLIENT_CERT_EXPIRED: Code.SERVER_CERT_EXPIRED,
    Code.CLIENT_CHAIN_EXPIRED: Code.SERVER_CERT_EXPIRED,
    Code.CLIENT_CERT_NOT_YET_VALID: Code.SERVER_CERT_NOT_YET_VALID,
    Code.CLIENT_CERT_EXPIRES_SOON: Code.SERVER_CERT_EXPIRES_SOON,
    Code.CLIENT_CERT_WRONG_EKU: Code.SERVER_CERT_WRONG_EKU,
    Code.CLIENT_KEY_TOO_WEAK: Code.SERVER_CERT_WEAK,
    Code.CLIENT_SIGNATURE_TOO_WEAK: Code.SERVER_CERT_WEAK,
    Code.CLIENT_CERT_SELF_SIGNED: Code.SERVER_CERT_SELF_SIGNED,
    Code.CLIENT_CHAIN_INVALID: Code.SERVER_CHAIN_INVALID,
    Code.CLIENT_CHAIN_INCOMPLETE: Code.SERVER_CHAIN_INCOMPLETE,
    Code.CLIENT_CERT_CA_NAME_COLLISION: Code.SERVER_CHAIN_INVALID,
    Code.CLIENT_CERT_REVOKED: Code.SERVER_CERT_REVOKED,
}
_RENEWED: Final = {
    Code.CLIENT_CERT_EXPIRED,
    Code.CLIENT_CERT_EXPIRES_SOON,
    Code.CLIENT_KEY_TOO_WEAK,
    Code.CLIENT_SIGNATURE_TOO_WEAK,
    Code.CLIENT_CERT_WRONG_EKU,
    Code.CLIENT_CERT_SELF_SIGNED,
    Code.CLIENT_CERT_REVOKED,
}
_MAX_CRLS: Final = 50


@dataclass(frozen=True, slots=True)
class Chain:
    """What is judged: the certificates that a file sends, leaf first, and everything else that was found."""

    file: Loaded
    sent: tuple[x509.Certificate, ...]
    files: Sequence[Loaded]
    known: tuple[x509.Certificate, ...]
    trust: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The first."""
        return self.sent[0]


def side_of(leaf: x509.Certificate) -> Side:
    """Whose certificate it is."""
    usages = usages_of(leaf) or frozenset()
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH in usages, ExtendedKeyUsageOID.SERVER_AUTH in usages
    if client != server:
        return Side.CLIENT if client else Side.SERVER
    return Side.SERVER if _has_host(leaf) else Side.CLIENT


def usages_of(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier] | None:
    """Its extended key usages; None where the extension is missing or cannot be read."""
    try:
        return frozenset(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None


def judged(chain: Chain, at: datetime) -> tuple[Ailment, ...]:
    """All that is wrong with a chain, in the codes of its side."""
    side = side_of(chain.leaf)
    found = [*_completeness(chain), *_own(chain, side, at), *_usage(chain.leaf, side), *_revoked(chain)]
    if side is Side.SERVER and not _has_names(chain.leaf):
        what = "it has no subject alternative name, and the common name is not looked at"
        found.append(Ailment(Code.SERVER_CERT_NO_SAN, subject_of(chain.leaf), what))
    return tuple(_placed(one, chain, side) for one in found)


def judged_lists(files: Sequence[Loaded], known: Sequence[x509.Certificate], at: datetime) -> tuple[Ailment, ...]:
    """Revocation lists: out of date, or not signed by the authority that they name."""
    return tuple(one for file in files for crl in file.contents.crls[:_MAX_CRLS] for one in _list(file, crl, known, at))


def judged_bundle(file: Loaded, at: datetime) -> tuple[Ailment, ...]:
    """A file of authorities: those that have expired or soon will, as one warning each (ten at most)."""
    return tuple(
        Ailment(Code.CLIENT_CHAIN_EXPIRED, subject_of(one), what, Severity.WARNING, place=Place(file.source.name))
        for one, what in islice(_expired(file.certificates, at), 10)
    )


def _expired(certificates: Sequence[x509.Certificate], at: datetime) -> Iterator[tuple[x509.Certificate, str]]:
    for one in certificates:
        try:
            ends = one.not_valid_after_utc
        except UNREADABLE:
            continue
        if ends < at:
            yield one, f"the authority {subject_of(one)} has expired, on {ends:%Y-%m-%d %H:%M} UTC"


def _own(chain: Chain, side: Side, at: datetime) -> Iterator[Ailment]:
    """What the certificates say of themselves; the purpose is judged here by side, in ``_usage``."""
    path = _path(chain.sent)
    for one in client_ailments(path, chain.known, (), (), at):
        if one.code is Code.CLIENT_CERT_WRONG_EKU and side is Side.SERVER:
            continue
        yield one


def _path(certificates: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The leaf and its issuers among those that are sent; what has nothing to do with the leaf harms nobody."""
    path, left = [certificates[0]], list(certificates[1:])
    while left and (issuer := issuer_known(path[-1], left)) is not None:
        left.remove(issuer)
        path.append(issuer)
    return tuple(path)


def _usage(leaf: x509.Certificate, side: Side) -> Iterator[Ailment]:
    where = subject_of(leaf)
    usages = usages_of(leaf)
    code = Code.CLIENT_CERT_WRONG_EKU
    wanted, word = (
        (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth")
        if side is Side.SERVER
        else (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth")
    )
    if usages is None:
        what = f"it has no extended key usage: some programs ask for {word}"
        yield Ailment(code, where, what, Severity.WARNING)
    elif wanted not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages:
        what = f"its extended key usage is `any` and not {word}, which some programs ask for"
        yield Ailment(code, where, what, Severity.WARNING)
    elif wanted not in usages and side is Side.SERVER:
        yield Ailment(code, where, f"its extended key usage has no {word}")
    if is_authority(leaf):
        what = "the certificate is an authority's and is used as an end entity's: who gets its key can issue others"
        yield Ailment(code, where, what, Severity.WARNING)


def _completeness(chain: Chain) -> Iterator[Ailment]:
    top = top_of(chain.sent)
    where = subject_of(chain.leaf)
    if signed(top, top):
        return
    issuer = issuer_known(top, chain.known)
    code = Code.CLIENT_CHAIN_INCOMPLETE
    if issuer is not None and signed(issuer, issuer):
        return  # only the root is not sent, as it should be
    if issuer is not None:
        home = next((one for one in chain.files if issuer in one.certificates), chain.file)
        what = f"the intermediate {subject_of(issuer)} is not in it, but in {home.source.name}"
        yield Ailment(code, where, what, fixes=(_joined(chain, home),))
        return
    twin = same_name(top, chain.known)
    if twin is not None:
        what = f"another key than that of the authority {subject_of(twin)} signed it: two authorities have one name"
        yield Ailment(Code.CLIENT_CERT_CA_NAME_COLLISION, where, what)
        return
    if top != chain.leaf and not chain.trust:
        return  # an intermediate is sent, and its issuer is most likely the root
    what = f"the certificate of {issuer_of(top)}, which issued {subject_of(top)}, is in none of the files"
    severity = Severity.NOTE
    if chain.trust:
        severity = Severity.ERROR if may_be_incomplete(top, chain.trust) else Severity.WARNING
    else:
        what += "; unless the other side trusts it by itself, it has to be appended"
    yield Ailment(code, where, what, severity, (_append(chain),))


def _joined(chain: Chain, home: Loaded) -> Fix:
    names = " ".join(shlex.quote(one) for one in (chain.file.source.name, home.source.name))
    new = shlex.quote(_beside(chain.file.source.name, "chain.pem"))
    if chain.file.is_store or home.is_store or "PEM" not in (chain.file.contents.form, home.contents.form):
        command = f"handclasp convert {names} --to pem --chain --out {new}"
    else:
        command = f"cat {names} > {new}"
    return Fix(side_of(chain.leaf), f"Append it, and use the new file: {command}", "", (command,))


def _append(chain: Chain) -> Fix:
    name, new = shlex.quote(chain.file.source.name), shlex.quote(_beside(chain.file.source.name, "chain.pem"))
    command = f"cat {name} intermediate.pem > {new}"
    what = f"Get the certificate of the issuer and append it: {command}"
    return Fix(
        side_of(chain.leaf), what, "", (f"openssl x509 -in {name} -noout -issuer -ext authorityInfoAccess", command)
    )


def _revoked(chain: Chain) -> Iterator[Ailment]:
    for certificate in _path(chain.sent)[:10]:
        issuer = issuer_known(certificate, chain.known)
        if issuer is None:
            continue
        for crl in chain.crls[:_MAX_CRLS]:
            try:
                if crl.issuer != certificate.issuer or not _valid(crl, issuer):
                    continue
                entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
                if entry is None:
                    continue
                when = f"{entry.revocation_date_utc:%Y-%m-%d}"
            except UNREADABLE:
                continue
            what = f"{subject_of(certificate)} has been revoked, on {when}"
            yield Ailment(Code.CLIENT_CERT_REVOKED, subject_of(certificate), what)
            break


def _list(
    file: Loaded, crl: x509.CertificateRevocationList, known: Sequence[x509.Certificate], at: datetime
) -> Iterator[Ailment]:
    place = Place(file.source.name)
    name = shlex.quote(file.source.name)
    look = f"openssl crl -in {name} -noout -issuer -lastupdate -nextupdate"
    try:
        issuer = crl.issuer.rfc4514_string()[:300]
        begins, ends = crl.last_update_utc, crl.next_update_utc
        authorities = [one for one in known if one.subject == crl.issuer][:10]
        valid = any(_valid(crl, one) for one in authorities)
    except UNREADABLE:
        yield Ailment(Code.CHAIN_CRL_INVALID, file.source.name, "the revocation list cannot be read", place=place)
        return
    if ends is not None and ends < at:
        what = (
            f"the revocation list of {issuer} is out of date since {ends:%Y-%m-%d %H:%M} UTC: servers refuse everybody"
        )
        fix = Fix(Side.AUTHORITY, f"Fetch the authority's current list; see what is in it with: {look}", "", (look,))
        yield Ailment(Code.SERVER_CRL_EXPIRED, file.source.name, what, fixes=(fix,), place=place)
    if begins > at:
        what = f"the revocation list of {issuer} is not valid before {begins:%Y-%m-%d %H:%M} UTC"
        yield Ailment(Code.CHAIN_CRL_INVALID, file.source.name, what, place=place)
    if authorities and not valid:
        what = f"the revocation list names {issuer}, but the authority of that name did not sign it"
        yield Ailment(Code.CHAIN_CRL_INVALID, file.source.name, what, place=place)


def _valid(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        key: Any = issuer.public_key()  # one of a kind that signs nothing raises TypeError
        return crl.is_signature_valid(key)
    except UNREADABLE:
        return False


def _placed(one: Ailment, chain: Chain, side: Side) -> Ailment:
    """In the side's code, with its file, and with a command where the rule gave none."""
    code = _SERVERS.get(one.code, one.code) if side is Side.SERVER else one.code
    name = chain.file.source.name
    fixes = one.fixes
    new = "server" if side is Side.SERVER else "client"
    request = f"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout {new}.key -out {new}.csr"
    if not fixes and one.code is Code.SERVER_CERT_NO_SAN:
        command = f"{request} -addext subjectAltName=DNS:HOST"
        fixes = (Fix(side, f"Have one issued with the host's name, for a new key: {command}", "openssl", (command,)),)
    elif not fixes and one.code in _RENEWED:
        fixes = (Fix(side, f"Have a new certificate issued, for a new key: {request}", "openssl", (request,)),)
    elif not fixes and one.code is Code.CLIENT_CERT_CA_NAME_COLLISION:
        command = f"openssl x509 -in {shlex.quote(name)} -noout -issuer -ext authorityKeyIdentifier"
        what = f"Find the authority with the key identifier that the certificate names: {command}"
        fixes = (Fix(side, what, "openssl", (command,)),)
    return Ailment(code, one.where, one.what, one.severity, fixes, Place(name, chain.file.source.line), one.facts)


def _beside(name: str, new: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(new)) if path.name else new


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None


def _has_names(certificate: x509.Certificate) -> bool:
    names = _names(certificate)
    return names is not None and len(list(names)) > 0


def _has_host(certificate: x509.Certificate) -> bool:
    names = _names(certificate)
    return names is not None and any(isinstance(one, x509.DNSName | x509.IPAddress) for one in names)
