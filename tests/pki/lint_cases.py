"""For every rule of the linter, certificates that break it: a good one with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    SubjectInformationAccessOID,
)

from handclasp.pki import der
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType
from handclasp.pki.profile import CLIENT, ISSUING, SERVER

if TYPE_CHECKING:
    pass
from tests.pki.lint_drafts import (
    ID,
    LEAF,
    NOW,
    OTHER,
    Draft,
    access,
    authority,
    client_that_issues,
    cn,
    issued_by,
    point,
    twice,
    validity,
)

Change = Callable[[Draft], Draft]
CASES: tuple[tuple[str, str, Change, str], ...] = (
    (
        "version",
        "version 1",
        lambda d: replace(d, fields=((0, None),)),
        "its version is v1, not v3",
    ),
    (
        "serial-number",
        "zero",
        lambda d: replace(d, fields=((1, b"\x02\x01\x00"),)),
        "its serial number is not positive",
    ),
    (
        "serial-number",
        "too few bits",
        lambda d: replace(d, serial=1),
        "its serial number has 1 bits, not 64 to 159",
    ),
    (
        "serial-number",
        "too many bits",
        lambda d: replace(d, fields=((1, der.encode(2, b"\x00\xff" + bytes(19))),)),
        "its serial number has 160 bits, not 64 to 159",
    ),
    (
        "signature-algorithm",
        "the hash of another kind of key",
        lambda d: replace(d, hash=hashes.SHA384()),
        "its signature algorithm is not ecdsa-with-SHA256, which follows from its issuer's key",
    ),
    (
        "issuer-name",
        "another authority's name",
        lambda d: replace(d, issuer_name=cn("another CA")),
        "its issuer's name is not the subject of the authority that is to sign it",
    ),
    (
        "validity-encoding",
        "GeneralizedTime before 2050",
        lambda d: replace(d, fields=((4, validity((23, b"261121120000Z"), (24, b"20261221120000Z"))),)),
        "its validity has the GeneralizedTime 20261221120000Z, which up to 2049 must be a UTCTime",
    ),
    (
        "validity-order",
        "ends before it begins",
        lambda d: replace(d, fields=((4, validity((23, b"261221120000Z"), (23, b"261121120000Z"))),)),
        "it ends before it begins",
    ),
    (
        "validity-length",
        "longer than the profile",
        lambda d: replace(d, not_after=NOW + timedelta(days=398, seconds=61)),
        "it is valid for 398 days, 0:01:01, and the profile client allows 398 days, 0:00:00",
    ),
    (
        "validity-within-issuer",
        "begins before its issuer",
        lambda d: replace(d, not_before=NOW - timedelta(seconds=61)),
        "it begins before its issuer's certificate does",
    ),
    (
        "validity-within-issuer",
        "ends after its issuer",
        lambda d: replace(
            d,
            not_before=d.issuer.not_valid_after_utc - timedelta(days=1),
            not_after=d.issuer.not_valid_after_utc + timedelta(seconds=1),
        ),
        "it ends after its issuer's certificate does",
    ),
    (
        "subject",
        "two common names",
        lambda d: replace(d, subject=cn("checkout", "checkout")),
        "its subject has more than one common name",
    ),
    (
        "common-name",
        "not among the alternative names",
        lambda d: replace(d, subject=cn("admin")),
        "its common name 'admin' is none of its subject alternative names",
    ),
    (
        "public-key",
        "a kind of key that the profile does not have",
        lambda d: replace(d, profile=replace(CLIENT, key_types=frozenset())),
        "its key is of the kind ec-p256, which the profile client does not allow",
    ),
    (
        "public-key",
        "a kind of key that is not in use",
        lambda d: replace(d, public_key=ec.generate_private_key(ec.SECP521R1()).public_key()),
        "its key cannot be used: it is an elliptic-curve key on secp521r1",
    ),
    (
        "known-extensions",
        "an extension that no profile has",
        lambda d: d.having(x509.InhibitAnyPolicy(0)),
        "it has the extension 2.5.29.54, which no profile has",
    ),
    (
        "basic-constraints",
        "missing",
        lambda d: d.without(x509.BasicConstraints),
        "it has no basic constraints",
    ),
    (
        "basic-constraints",
        "not critical",
        lambda d: d.having(x509.BasicConstraints(ca=False, path_length=None)),
        "its basic constraints are not critical",
    ),
    (
        "basic-constraints",
        "a client that is an authority",
        lambda d: d.having(x509.BasicConstraints(ca=True, path_length=None), critical=True),
        "it says that it is an authority",
    ),
    (
        "basic-constraints",
        "a longer path than the profile's",
        lambda d: replace(
            d.having(x509.BasicConstraints(ca=True, path_length=1), critical=True),
            profile=replace(CLIENT, is_ca=False, path_length=1),
        ).having(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        "its path length is None, not 1",
    ),
    (
        "key-usage",
        "missing",
        lambda d: d.without(x509.KeyUsage),
        "it has no key usage",
    ),
    (
        "key-usage",
        "not critical",
        lambda d: d.having(CLIENT.key_usage(KeyType.EC_P256)),
        "its key usage is not critical",
    ),
    (
        "key-usage",
        "a client's key that signs certificates",
        lambda d: d.having(ISSUING.key_usage(KeyType.EC_P256), critical=True),
        "its key usage is not the one of the profile client for keys of the kind ec-p256",
    ),
    (
        "extended-key-usage",
        "missing",
        lambda d: d.without(x509.ExtendedKeyUsage),
        "its extended key usages are not those of the profile client",
    ),
    (
        "extended-key-usage",
        "a client that is a server too",
        lambda d: d.having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])),
        "its extended key usages are not those of the profile client",
    ),
    (
        "extended-key-usage",
        "critical",
        lambda d: d.having(x509.ExtendedKeyUsage(CLIENT.extended_key_usages), critical=True),
        "its extended key usage is critical, which excludes readers that know no better",
    ),
    (
        "alternative-name",
        "critical with a subject",
        lambda d: d.having(x509.SubjectAlternativeName([ID]), critical=True),
        "its subject alternative name is critical although it has a subject",
    ),
    (
        "alternative-name",
        "not critical without a subject",
        lambda d: replace(d, subject=x509.Name([])),
        "its subject alternative name is not critical although it has no subject",
    ),
    (
        "alternative-name-kinds",
        "an address in a client certificate",
        lambda d: d.named(ID, x509.IPAddress(ip_address("192.0.2.1"))),
        "it has a name of the kind IPAddress, which the profile client does not allow",
    ),
    (
        "alternative-name-kinds",
        "an e-mail address",
        lambda d: d.named(ID, x509.RFC822Name("a@example.org")),
        "it has a name of the kind RFC822Name, which the profile client does not allow",
    ),
    (
        "alternative-name-kinds",
        "the same name twice",
        lambda d: d.named(ID, x509.DNSName("a.example"), x509.DNSName("a.example")),
        "it has the same name twice",
    ),
    (
        "spiffe-id",
        "no identity",
        lambda d: d.named(x509.DNSName("checkout")),
        "it has no SPIFFE ID, which the profile client requires",
    ),
    (
        "spiffe-id",
        "two identities",
        lambda d: d.named(ID, x509.UniformResourceIdentifier("spiffe://example.org/admin")),
        "it has more than one URI, and an X.509-SVID has exactly one",
    ),
    (
        "spiffe-id",
        "a URI that is no identity",
        lambda d: (
            replace(d, profile=SERVER, subject=cn("https://example.org/checkout"))
            .named(x509.UniformResourceIdentifier("https://example.org/checkout"))
            .having(x509.ExtendedKeyUsage(SERVER.extended_key_usages))
        ),
        "its URI is no SPIFFE ID: 'https://example.org/checkout' does not begin with spiffe://",
    ),
    (
        "dns-names",
        "upper case",
        lambda d: d.named(ID, x509.DNSName("Orders.example.org")),
        "its DNS name 'Orders.example.org' is not in lower case",
    ),
    (
        "dns-names",
        "an address as a DNS name",
        lambda d: d.named(ID, x509.DNSName("192.0.2.1")),
        "its DNS name is none: '192.0.2.1' ends in a number, so it is an IP address and not a DNS name",
    ),
    (
        "subject-key-identifier",
        "missing",
        lambda d: d.without(x509.SubjectKeyIdentifier),
        "it has no subject key identifier",
    ),
    (
        "subject-key-identifier",
        "critical",
        lambda d: d.having(x509.SubjectKeyIdentifier.from_public_key(LEAF), critical=True),
        "its subject key identifier is critical",
    ),
    (
        "subject-key-identifier",
        "of another key",
        lambda d: d.having(x509.SubjectKeyIdentifier.from_public_key(OTHER)),
        "its subject key identifier is not that of its key",
    ),
    (
        "authority-key-identifier",
        "missing",
        lambda d: d.without(x509.AuthorityKeyIdentifier),
        "it has no authority key identifier",
    ),
    (
        "authority-key-identifier",
        "of another key",
        lambda d: d.having(x509.AuthorityKeyIdentifier.from_issuer_public_key(OTHER)),
        "its authority key identifier is not its issuer's subject key identifier",
    ),
    (
        "path-length",
        "an authority below a path length of 0",
        lambda d: authority(d, ISSUING),
        "its issuer may not certify other authorities (its path length is 0)",
    ),
    (
        "issuer-is-authority",
        "issued by a client",
        client_that_issues,
        "its issuer is no authority",
    ),
    (
        "public-key",
        "another key than the one meant",
        lambda d: replace(d, meant=OTHER),
        "its key is not the one that it was to be made for",
    ),
    (
        "ocsp-no-check",
        "a client that could not be revoked",
        lambda d: d.having(x509.OCSPNoCheck()),
        "it has ocsp-nocheck, which the profile client does not: it could not be revoked",
    ),
    (
        "ocsp-no-check",
        "missing",
        lambda d: replace(d, profile=replace(CLIENT, ocsp_no_check=True)),
        "it has no ocsp-nocheck, so that its own revocation would be asked of itself",
    ),
    (
        "ocsp-no-check",
        "critical",
        lambda d: d.having(x509.OCSPNoCheck(), critical=True),
        "its ocsp-nocheck is critical",
    ),
    (
        "name-constraints",
        "a client with constraints",
        lambda d: d.having(NameConstraints(uris=("example.org",)).extension(), critical=True),
        "it has name constraints and is no authority",
    ),
    (
        "name-constraints",
        "not critical",
        lambda d: authority(d, ISSUING).having(NameConstraints(uris=("example.org",)).extension()),
        "its name constraints are not critical",
    ),
    (
        "name-constraints",
        "silent about addresses",
        lambda d: authority(d, ISSUING).having(
            x509.NameConstraints([x509.DNSName("example.org")], None), critical=True
        ),
        "its name constraints do not speak of names of the kind IPAddress, which allows them all",
    ),
    (
        "within-name-constraints",
        "another trust domain than the issuer's",
        lambda d: issued_by(d, NameConstraints(uris=("example.com",)).extension()),
        "spiffe://example.org/checkout is outside of what its issuer's name constraints permit",
    ),
    (
        "within-name-constraints",
        "a subject that the issuer may not give",
        lambda d: issued_by(d, x509.NameConstraints([x509.DirectoryName(cn("someone"))], None)),
        "CN=checkout is outside of what its issuer's name constraints permit",
    ),
    (
        "issuer-usages",
        "a client below an authority for servers",
        lambda d: issued_by(d, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
        "its issuer's certificate is for other uses than 1.3.6.1.5.5.7.3.2 (extended key usage)",
    ),
    (
        "path-length",
        "as long as that of its issuer",
        lambda d: authority(
            issued_by(d, x509.BasicConstraints(ca=True, path_length=1)), replace(ISSUING, path_length=1)
        ),
        "its path length is 1, and that of its issuer is 1",
    ),
    (
        "distribution-points",
        "critical",
        lambda d: d.having(x509.CRLDistributionPoints([point("http://a.example/x.crl")]), critical=True),
        "its CRL distribution points are critical",
    ),
    (
        "distribution-points",
        "over HTTPS",
        lambda d: d.having(x509.CRLDistributionPoints([point("https://a.example/x.crl")])),
        "a CRL distribution point of it is no address of plain HTTP",
    ),
    (
        "distribution-points",
        "of another issuer",
        lambda d: d.having(x509.CRLDistributionPoints([point("http://a.example/x.crl", crl_issuer=cn("another"))])),
        "a CRL distribution point of it is more than the address of the list of its issuer",
    ),
    (
        "information-access",
        "critical",
        lambda d: d.having(access(AuthorityInformationAccessOID.OCSP, "http://a.example/"), critical=True),
        "its authority information access is critical",
    ),
    (
        "information-access",
        "another method",
        lambda d: d.having(access(SubjectInformationAccessOID.CA_REPOSITORY, "http://a.example/")),
        "its authority information access has the method 1.3.6.1.5.5.7.48.5",
    ),
    (
        "information-access",
        "over LDAP",
        lambda d: d.having(access(AuthorityInformationAccessOID.CA_ISSUERS, "ldap://a.example/")),
        "its authority information access has a location that is no address of plain HTTP",
    ),
    (
        "readable",
        "the same extension twice",
        lambda d: replace(d, fields=((7, twice(d)),)),
        "it cannot be read: Duplicate 2.5.29.14 extension found",
    ),
)
