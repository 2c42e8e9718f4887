"""The files that a server's configuration names: whether they are there, and fit together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handclasp.doctor.config.judge_fixes import fix
from handclasp.doctor.config.model import Load, MutualServer, Named
from handclasp.doctor.diagnosis import Ailment, Place, Severity, Side
from handclasp.doctor.files.load import Loaded
from handclasp.doctor.files.load import load as read_file
from handclasp.doctor.rules.client_chain import server_ailments, signed, subject_of
from handclasp.findings import Code
from handclasp.pki.containers import UNREADABLE

_STRICT: Final = frozenset({"nginx", "haproxy"})  # X509_V_FLAG_CRL_CHECK_ALL, and no X509_V_FLAG_PARTIAL_CHAIN
_MOST: Final = 200  # files of one kind

Certificates = tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What the files of one server hold. ``sent`` is its first chain, ``key`` the key of that leaf, if it was found."""

    sent: Certificates = ()
    key: PrivateKeyTypes | None = field(default=None, repr=False)
    trust: Certificates = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    ailments: tuple[Ailment, ...] = ()


def material(server: MutualServer, load: Load, at: datetime) -> Material:
    """Every file of the server, read and judged. Never raises."""
    ailments: list[Ailment] = []
    leaves = _read(server, "certificate", server.certificates, load, ailments)
    keys = _read(server, "key", server.keys, load, ailments)
    if not server.keys:
        keys = [*leaves, *_beside(server, leaves, load)]
    trusted = _read(server, "trust", server.trust, load, ailments)
    lists = _read(server, "crl", server.crls, load, ailments)
    trust = tuple(dict.fromkeys(one for _, file in trusted for one in file.certificates))
    crls = tuple(one for _, file in lists for one in file.contents.crls)
    if server.verifies != "none":
        ailments += _trust(server, trusted)
        ailments += _crls(server, trust, lists, at)
    chains = [file.certificates for _, file in leaves if file.certificates]
    for named, file in leaves:
        ailments += _certificate(server, named, file, keys, at)
    key = _key_of(chains[0][0], keys) if chains else None
    return Material(chains[0] if chains else (), key, trust, crls, tuple(distinct(ailments)))


def distinct(ailments: Iterable[Ailment]) -> Iterator[Ailment]:
    """Each finding once."""
    seen: set[tuple[Code, str, str, Place | None]] = set()
    for one in ailments:
        mark = (one.code, one.where, one.what, one.place)
        if mark not in seen:
            seen.add(mark)
            yield one


def path_above(leaf: x509.Certificate, known: Sequence[x509.Certificate]) -> Certificates:
    """The certificates above the leaf, as far as they are known; the last may be a root."""
    path: list[x509.Certificate] = []
    top = leaf
    while len(path) < 16 and not _self_issued(top):
        above = next((one for one in known if one not in path and _issued(top, one)), None)
        if above is None:
            break
        path.append(above)
        top = above
    return tuple(path)


def intermediates(path: Sequence[x509.Certificate]) -> int:
    """How many of a path count against the depth of verification."""
    return sum(1 for one in path if not _self_issued(one))


def rootless(trust: Sequence[x509.Certificate]) -> Certificates:
    """The authorities of a bundle from which no root of the bundle is reached."""
    return tuple(one for one in trust if not _self_issued((one, *path_above(one, trust))[-1]))


def _read(
    server: MutualServer, kind: str, names: Sequence[Named], load: Load, ailments: list[Ailment]
) -> list[tuple[Named, Loaded]]:
    found = []
    for named in names[:_MOST]:
        source = named.embedded or load(named.path)
        if source.unreadable is not None:
            ailments.append(_missing(server, kind, named, source.unreadable))
            continue
        file = read_file(replace(source, name=source.name or named.path), Side.SERVER, trust=kind == "trust")
        ailments.extend(file.ailments)
        found.append((named, file))
        if kind == "crl" and not file.contents.crls:
            what = f"there is no revocation list in {named.path}"
            fixes = fix(server.product, "crl", "Name a file with the authority's CRL in PEM.", file=named.path)
            ailments.append(Ailment(Code.SERVER_CRL_MISSING, server.name, what, fixes=fixes, place=named.place))
        if kind == "trust" and not file.certificates and not file.ailments:
            what = f"there is no certificate in {named.path}"
            fixes = fix(server.product, "trust", "Name a file with the authority's certificate.", file=named.path)
            ailments.append(Ailment(Code.TRUST_STORE_UNREADABLE, server.name, what, fixes=fixes, place=named.place))
    return found


def _missing(server: MutualServer, kind: str, named: Named, why: str) -> Ailment:
    denied = "ermission" in why
    what = f"{named.path} cannot be read: {why}"
    advice = "Run this as the server's user." if denied else "Correct the path, or put the file there."
    severity = Severity.NOTE if denied else Severity.ERROR
    fixes = fix(server.product, kind, advice, file=named.path)
    return Ailment(Code.CONFIG_FILE_MISSING, server.name, what, severity, fixes, named.place)


def _beside(server: MutualServer, leaves: Sequence[tuple[Named, Loaded]], load: Load) -> Iterator[tuple[Named, Loaded]]:
    """HAProxy looks for a key in the certificate's file, then in FILE.key."""
    for named, file in leaves:
        if server.product == "haproxy" and not file.keys:
            source = load(f"{named.path}.key")
            if source.unreadable is None:
                yield named, read_file(source, Side.SERVER)


def _certificate(
    server: MutualServer, named: Named, file: Loaded, keys: Sequence[tuple[Named, Loaded]], at: datetime
) -> Iterator[Ailment]:
    if not file.certificates:
        return
    leaf = file.certificates[0]
    available = [each.key for _, one in keys for each in one.keys if each.key is not None]
    if available and _key_of(leaf, keys) is None:
        place = next((one.place for one, each in keys if each.keys), named.place)
        what = f"no private key that is named belongs to the certificate in {named.path}"
        fixes = fix(server.product, "key", "Name the key of this certificate.", file="server.key")
        yield Ailment(Code.SERVER_KEY_MISMATCH, server.name, what, fixes=fixes, place=place)
    fixes = fix(server.product, "certificate", "Issue a new certificate and put it there.", file=named.path)
    try:
        begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    except UNREADABLE:
        return
    if ends < at:
        what = f"the certificate in {named.path} expired on {ends:%Y-%m-%d %H:%M} UTC"
        yield Ailment(Code.SERVER_CERT_EXPIRED, server.name, what, fixes=fixes, place=named.place)
    elif begins > at:
        what = f"the certificate in {named.path} is not valid before {begins:%Y-%m-%d %H:%M} UTC"
        yield Ailment(Code.SERVER_CERT_NOT_YET_VALID, server.name, what, fixes=fixes, place=named.place)
    for one in server_ailments(file.certificates, (), (), at, None):
        yield replace(one, place=one.place or named.place, fixes=one.fixes or fixes)


def _key_of(leaf: x509.Certificate, keys: Sequence[tuple[Named, Loaded]]) -> PrivateKeyTypes | None:
    for _, file in keys:
        for each in file.keys:
            if each.key is not None and _belongs(each.key, leaf):
                return each.key
    return None


def _belongs(key: PrivateKeyTypes, leaf: x509.Certificate) -> bool:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return key.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)
    except UNREADABLE:
        return False


def _trust(server: MutualServer, trusted: Sequence[tuple[Named, Loaded]]) -> Iterator[Ailment]:
    """nginx and HAProxy end a path at a root only (measured: verify error 2), whatever else the file holds."""
    everything = tuple(dict.fromkeys(one for _, file in trusted for one in file.certificates))
    if server.product not in _STRICT:
        return
    lost = rootless(everything)
    for named, file in trusted:
        for one in file.certificates:
            if one in lost:
                what = (
                    f"{subject_of(one)} is trusted without its root, and {server.product} accepts no path that does "
                    "not end at a root: every client below it is refused (unable to get issuer certificate)"
                )
                severity = Severity.ERROR if len(lost) == len(everything) else Severity.WARNING
                advice = f"Append the root above it to {named.path}."
                fixes = fix(server.product, "trust", advice, file=named.path)
                yield Ailment(Code.TRUST_STORE_UNREADABLE, server.name, what, severity, fixes, named.place)


def _crls(
    server: MutualServer, trust: Certificates, lists: Sequence[tuple[Named, Loaded]], at: datetime
) -> Iterator[Ailment]:
    crls = [(named, crl) for named, file in lists for crl in file.contents.crls]
    if not crls:
        return
    for named, crl in crls:
        ends = _next_update(crl)
        if ends is not None and ends < at:
            what = f"the CRL of {_issuer(crl)} is out of date since {ends:%Y-%m-%d %H:%M} UTC: every client is refused"
            fixes = fix(server.product, "crl", "Fetch the authority's current CRL, and reload.", file=named.path)
            yield Ailment(Code.SERVER_CRL_EXPIRED, server.name, what, fixes=fixes, place=named.place)
    place = server.crls[0].place
    severity = Severity.ERROR if server.product in _STRICT else Severity.WARNING
    for authority in trust:
        if not any(_lists(crl, authority) for _, crl in crls):
            what = f"no CRL of {subject_of(authority)} is given, and every client below it is refused for that"
            advice = f"Append the CRL of {subject_of(authority)} to {server.crls[0].path}."
            fixes = fix(server.product, "crl", advice, file=server.crls[0].path)
            yield Ailment(Code.SERVER_CRL_MISSING, server.name, what, severity, fixes, place)


def _lists(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return crl.issuer == authority.subject and crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # what cannot sign raises
    except UNREADABLE:
        return False


def _next_update(crl: x509.CertificateRevocationList) -> datetime | None:
    try:
        return crl.next_update_utc
    except UNREADABLE:
        return None


def _issuer(crl: x509.CertificateRevocationList) -> str:
    try:
        return crl.issuer.rfc4514_string()[:300]
    except UNREADABLE:
        return "(unreadable)"


def _self_issued(certificate: x509.Certificate) -> bool:
    return _issued(certificate, certificate)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        return certificate.issuer == issuer.subject and signed(certificate, issuer)
    except UNREADABLE:
        return False
