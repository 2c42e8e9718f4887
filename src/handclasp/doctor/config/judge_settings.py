"""What a server's settings make of mutual TLS: how strict, whom it trusts, and what slips past."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID, NameOID

from handclasp.doctor.config.judge_files import Certificates, Material, intermediates, path_above
from handclasp.doctor.config.judge_fixes import fix
from handclasp.doctor.config.model import MutualServer, Verify
from handclasp.doctor.diagnosis import Ailment, Place, Severity
from handclasp.findings import Code
from handclasp.pki.containers import UNREADABLE

_MANY: Final = 20  # authorities; a bundle of one's own has few
_WEAK: Final = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"})
_PUBLIC: Final = (
    "let's encrypt",
    "internet security research group",
    "digicert",
    "globalsign",
    "sectigo",
    "comodo",
    "google trust services",
    "amazon",
    "godaddy",
    "starfield",
    "entrust",
    "microsoft corporation",
    "verisign",
    "identrust",
    "usertrust",
    "quovadis",
    "certum",
    "buypass",
    "swisssign",
)


def settings(server: MutualServer, found: Material, public: Collection[bytes]) -> Iterator[Ailment]:
    """The findings of one server. Where the product's own reader has told of a code, the general word is left out."""
    told = {one.code for one in server.ailments}
    yield from server.ailments
    yield from (one for one in _general(server, found, public) if one.code not in told)


def _general(server: MutualServer, found: Material, public: Collection[bytes]) -> Iterator[Ailment]:
    yield from _strictness(server)
    if server.verifies is Verify.NONE:
        return
    if not server.trust and server.verifies is not Verify.OPTIONAL_UNVERIFIED:
        what = "client certificates are verified, and no authority to verify them by is named"
        fixes = fix(server.product, "trust", "Name the file of your authority.", file="clients-ca.pem")
        yield Ailment(Code.TRUST_STORE_UNREADABLE, server.name, what, fixes=fixes, place=server.verify.place)
    yield from _publics(server, found.trust, public)
    yield from _depth(server, found.trust)
    yield from _protocols(server)
    if not server.crls and server.verifies is not Verify.OPTIONAL_UNVERIFIED:
        yield _unrevoked(server, found)
    if server.resumes is not None:
        what = (
            f"{server.resumes.value}: a session is resumed without looking at the certificate again, so that an "
            "expired or revoked client stays in until the session ends"
        )
        fixes = fix(server.product, "resumption", "Turn resumption off, or keep sessions short.")
        yield Ailment(Code.CONFIG_RESUMPTION, server.name, what, Severity.NOTE, fixes, server.resumes.place)
    if server.identity_headers and server.verifies is not Verify.REQUIRED:
        first = server.identity_headers[0]
        what = f"{first.value} carries an identity that not every caller has proved: verify is {server.verify.value}"
        fixes = fix(server.product, "require", "Require a certificate of everybody who reaches what is behind.")
        yield Ailment(Code.CONFIG_IDENTITY_HEADER, server.name, what, Severity.WARNING, fixes, first.place)


def _strictness(server: MutualServer) -> Iterator[Ailment]:
    fixes = fix(server.product, "require", "Require a certificate of every caller.")
    value, place = server.verify.value, server.verify.place
    told = {one.code for one in server.ailments}
    if server.verifies is Verify.NONE:
        what = f"authorities for client certificates are named, but nobody is asked for one: verify is {value}"
        yield Ailment(Code.MTLS_NOT_ENFORCED, server.name, what, fixes=fixes, place=place)
    elif server.verifies is Verify.OPTIONAL_UNVERIFIED and Code.MTLS_OPTIONAL not in told:
        what = f"any certificate is taken, whoever issued it: verify is {value}"
        yield Ailment(Code.MTLS_NOT_ENFORCED, server.name, what, fixes=fixes, place=place)
    elif server.verifies is Verify.OPTIONAL:
        what = f"a caller without a certificate is served too: verify is {value}, and no rule looks at the result"
        yield Ailment(Code.MTLS_OPTIONAL, server.name, what, Severity.WARNING, fixes, place)


def _publics(server: MutualServer, trust: Certificates, public: Collection[bytes]) -> Iterator[Ailment]:
    known = [one for one in trust if _fingerprint(one) in public]
    named = [one for one in trust if _organization(one).casefold().startswith(_PUBLIC)]
    suspects = list(dict.fromkeys([*known, *named]))
    if not suspects and len(trust) <= _MANY:
        return
    place = server.trust[0].place if server.trust else server.place
    if suspects:
        names = ", ".join(dict.fromkeys(_organization(one) or "a public authority" for one in suspects[:5]))
        what = (
            f"{len(suspects)} of the trusted authorities are public ({names}): anybody can get a certificate from them"
        )
        severity = Severity.ERROR if known else Severity.WARNING
    else:
        what = f"{len(trust)} authorities are trusted, as in a public bundle: who has a certificate of any comes in"
        severity = Severity.WARNING
    fixes = fix(server.product, "trust", "Trust only the authority that issues your clients.", file="clients-ca.pem")
    yield Ailment(Code.CONFIG_PUBLIC_ROOTS, server.name, what, severity, fixes, place)


def _depth(server: MutualServer, trust: Certificates) -> Iterator[Ailment]:
    if server.depth is None or len(trust) > _MANY * 5:
        return
    needed, lowest = 0, None
    for one in trust:
        count = intermediates((one, *path_above(one, trust)))
        if count > needed:
            needed, lowest = count, one
    if lowest is not None and needed > server.depth:
        yield too_shallow(server, needed, f"the trusted authorities have {needed} intermediates one below the other")


def too_shallow(server: MutualServer, needed: int, why: str) -> Ailment:
    """CONFIG_DEPTH_TOO_SMALL with the line that allows ``needed`` intermediates."""
    default = "" if server.depth_place else ", the default"
    what = f"{why}, and the server follows {server.depth}{default}"
    # mod_ssl counts the root too (measured: depth 1 refuses a chain of one intermediate).
    counted = needed + 1 if server.product == "apache" else needed
    fixes = fix(server.product, "depth", f"Allow {needed} intermediates.", depth=str(counted))
    place = server.depth_place or server.place
    return Ailment(Code.CONFIG_DEPTH_TOO_SMALL, server.name, what, fixes=fixes, place=place)


def _protocols(server: MutualServer) -> Iterator[Ailment]:
    weak = [one for one in server.protocols if one in _WEAK]
    if weak:
        place: Place = server.protocols_place or server.place
        what = f"{', '.join(weak)} is accepted; client certificates travel in clear there, and it is broken"
        fixes = fix(server.product, "protocols", "Allow TLS 1.2 and 1.3 only.")
        yield Ailment(Code.CONFIG_WEAK_PROTOCOL, server.name, what, Severity.WARNING, fixes, place)


def _unrevoked(server: MutualServer, found: Material) -> Ailment:
    published = any(_has_points(one) for one in found.trust)
    severity = Severity.WARNING if published else Severity.NOTE
    what = "no CRL is given: a revoked client is let in until its certificate expires"
    fixes = fix(
        server.product, "crl", "Give the server the authority's CRL, or issue short-lived ones.", file="crl.pem"
    )
    return Ailment(Code.CONFIG_NO_REVOCATION, server.name, what, severity, fixes, server.verify.place)


def _fingerprint(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())


def _organization(certificate: x509.Certificate) -> str:
    try:
        found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except UNREADABLE:
        return ""
    return str(found[0].value)[:100] if found else ""


def _has_points(certificate: x509.Certificate) -> bool:
    try:
        certificate.extensions.get_extension_for_oid(ExtensionOID.CRL_DISTRIBUTION_POINTS)
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False
    return True
