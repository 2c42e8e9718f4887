"""OpenSSL's verdicts on a chain (X509_V_ERR), by number and by text.

Texts: OpenSSL crypto/x509/x509_txt.c, ``X509_verify_cert_error_string`` (1.1, 3 and 4), LibreSSL's and BoringSSL's
file of the same name. Who writes a verdict judged the other side: a client the server's chain, a server the client's.
"""

from __future__ import annotations

import re
from typing import Final

from handclasp.doctor.diagnosis import Candidate
from handclasp.doctor.words.rule import CLIENT_CHECK, SERVER_CHECK, Speaker, Told, either, ranked
from handclasp.findings import Code

c = Code

_FAMILY: Final = (20, 21, 2, 27)
"""No path to a trusted authority. nginx logs 21 where others log 20: 21 is what remains of 20 when nothing but the
leaf came."""

_CLIENT_UNKNOWN = ranked(
    (c.CLIENT_CERT_UNKNOWN_CA, "the server does not trust the authority that issued the client's certificate"),
    (c.CLIENT_CHAIN_INCOMPLETE, "the client did not send the intermediate between its own and the trusted one"),
    (c.CLIENT_CERT_CA_NAME_COLLISION, "the server trusts an authority of that name, but with another key"),
)
_SERVER_UNKNOWN = ranked(
    (c.SERVER_CERT_UNKNOWN_CA, "the client does not trust the authority that issued the server's certificate"),
    (c.SERVER_CHAIN_INCOMPLETE, "the server does not send the intermediate between its own and the trusted one"),
)
_CLOCK = (c.CLOCK_SKEW, "the clock of the side that judges is wrong")

_TEXTS: Final[tuple[tuple[int, str], ...]] = (
    (19, "self-signed certificate in certificate chain"),
    (18, "self-signed certificate"),
    (20, "unable to get local issuer certificate"),
    (21, "unable to verify the first certificate"),
    (2, "unable to get issuer certificate"),
    (33, "unable to get CRL issuer certificate"),
    (3, "unable to get certificate CRL"),
    (10, "certificate has expired"),
    (9, "certificate is not yet valid"),
    (12, "CRL has expired"),
    (11, "CRL is not yet valid"),
    (8, "CRL signature failure"),
    (7, "certificate signature failure"),
    (4, "unable to decrypt certificate's signature"),
    (22, "certificate chain too long"),
    (23, "certificate revoked"),
    (79, "invalid CA certificate"),
    (25, "path length constraint exceeded"),
    (26, "unsuitable certificate purpose"),
    (26, "unsupported certificate purpose"),
    (27, "certificate not trusted"),
    (28, "certificate rejected"),
    (29, "subject issuer mismatch"),
    (30, "authority and subject key identifier mismatch"),
    (32, "key usage does not include certificate signing"),
    (35, "key usage does not include CRL signing"),
    (39, "key usage does not include digital signature"),
    (34, "unhandled critical extension"),
    (36, "unhandled critical CRL extension"),
    (37, "invalid non-CA certificate"),
    (41, "invalid or inconsistent certificate extension"),
    (43, "no explicit policy"),
    (44, "different CRL scope"),
    (47, "permitted subtree violation"),
    (48, "excluded subtree violation"),
    (50, "application verification failure"),
    (54, "CRL path validation error"),
    (62, "hostname mismatch"),
    (63, "email address mismatch"),
    (64, "IP address mismatch"),
    (66, "EE certificate key too weak"),
    (67, "CA certificate key too weak"),
    (68, "CA signature digest algorithm too weak"),
    (73, "OCSP verification needed"),
    (74, "OCSP verification failed"),
    (75, "OCSP unknown cert"),
    (85, "Missing Authority Key Identifier"),
    (86, "Missing Subject Key Identifier"),
    (92, "CA cert does not include key usage extension"),
    (99, "OCSP response has expired"),
)
# Envoy writes underscores for spaces; 1.1 wrote "self signed", 3 writes "self-signed".
_PATTERNS: Final = tuple(
    (number, re.compile(text.replace("-", " ").replace(" ", "[- _]"), re.IGNORECASE)) for number, text in _TEXTS
)
_NAMES: Final = dict(reversed(_TEXTS))
ANY: Final = "|".join(text.replace("-", " ").replace(" ", "[- _]") for _, text in _TEXTS)
"""Any of the texts, as one pattern."""
NEEDLES: Final = (
    "self-signed_certificate",
    *(text.lower() for _, text in _TEXTS),
    *(text.lower().replace("-", " ") for _, text in _TEXTS),
    *(re.sub("[ -]", "_", text.lower()) for _, text in _TEXTS),
)


def number_in(text: str) -> tuple[int, int, int] | None:
    """The verdict that ``text`` words, with where it begins and ends; the most telling where there are more."""
    for number, pattern in _PATTERNS:
        match = pattern.search(text)
        if match is not None:
            return number, match.start(), match.end()
    return None


def judged(number: int, speaker: Speaker) -> Told | None:
    """The verdict ``number`` as ``speaker`` gave it of the other side; None for 0 (accepted)."""
    if number == 0:
        return None
    client, server = _causes(number)
    name = _NAMES.get(number, "see X509_STORE_CTX_get_error(3)")
    detail = "verify 20" if number in _FAMILY else f"verify {number}"
    by_server = Told(
        ranked(*client), f"The server did not accept the client's chain: verify code {number}, {name}.",
        CLIENT_CHECK, detail,
    )  # fmt: skip
    by_client = Told(
        ranked(*server), f"The client did not accept the server's chain: verify code {number}, {name}.",
        SERVER_CHECK, detail,
    )  # fmt: skip
    return either(by_client, by_server, speaker)


_Causes = tuple[tuple[Code, str], ...]


def _causes(number: int) -> tuple[_Causes, _Causes]:
    """Of the client's certificate, and of the server's."""
    if number in _FAMILY:
        return _pairs(_CLIENT_UNKNOWN), _pairs(_SERVER_UNKNOWN)
    return _CAUSES.get(number) or (
        ((c.CLIENT_CHAIN_INVALID, "a rule of the chain is broken"),),
        ((c.SERVER_CHAIN_INVALID, "a rule of the chain is broken"),),
    )


def _pairs(candidates: tuple[Candidate, ...]) -> _Causes:
    return tuple((one.code, one.why) for one in candidates)


_UNREVOKED = "the list of revoked certificates is missing for one authority of the chain"
_STALE = "the list of revoked certificates is past its next update: then everybody is refused at once"
_BAD_LIST = "the list of revoked certificates does not fit the authority"
_WEAK_KEY = "a key is below the security level"
_SIGNATURE = "a signature does not fit the key of the certificate named as issuer"
_CAUSES: Final[dict[int, tuple[_Causes, _Causes]]] = {
    3: (((c.SERVER_CRL_MISSING, _UNREVOKED),), ((c.REVOCATION_UNREACHABLE, _UNREVOKED),)),
    7: (
        ((c.CLIENT_CERT_CA_NAME_COLLISION, _SIGNATURE), (c.CLIENT_CHAIN_INVALID, "the certificate was changed")),
        ((c.SERVER_CHAIN_INVALID, _SIGNATURE), (c.SERVER_CERT_UNKNOWN_CA, "two authorities have one name")),
    ),
    8: (((c.SERVER_CRL_MISSING, _BAD_LIST),), ((c.REVOCATION_UNREACHABLE, _BAD_LIST),)),
    9: (
        ((c.CLIENT_CERT_NOT_YET_VALID, "its beginning lies ahead"), _CLOCK),
        ((c.SERVER_CERT_NOT_YET_VALID, "its beginning lies ahead"), _CLOCK),
    ),
    10: (
        (
            (c.CLIENT_CERT_EXPIRED, "the client's certificate is past its end"),
            (c.CLIENT_CHAIN_EXPIRED, "an authority above it is past its end (depth 1 or more)"),
            _CLOCK,
        ),
        (
            (c.SERVER_CERT_EXPIRED, "the server's certificate is past its end"),
            (c.SERVER_CHAIN_INVALID, "an authority above it is past its end (depth 1 or more)"),
            _CLOCK,
        ),
    ),
    11: (
        ((c.SERVER_CRL_EXPIRED, "the list is not valid yet"), _CLOCK),
        ((c.REVOCATION_UNREACHABLE, _BAD_LIST), _CLOCK),
    ),
    12: (((c.SERVER_CRL_EXPIRED, _STALE), _CLOCK), ((c.REVOCATION_UNREACHABLE, _STALE), _CLOCK)),
    18: (
        ((c.CLIENT_CERT_SELF_SIGNED, "the client's certificate signed itself, and the server does not know it"),),
        ((c.SERVER_CERT_SELF_SIGNED, "the server's certificate signed itself, and the client does not know it"),),
    ),
    19: (
        (
            (c.CLIENT_CERT_UNKNOWN_CA, "the chain ends in a root that the server does not trust"),
            (c.CLIENT_CERT_CA_NAME_COLLISION, "the server trusts a root of that name, but with another key"),
        ),
        (
            (c.SERVER_CERT_UNKNOWN_CA, "the chain ends in a root that the client does not trust"),
            (c.SERVER_CERT_SELF_SIGNED, "the server's authority is its own, or an inspecting proxy's"),
        ),
    ),
    22: (
        ((c.CLIENT_CHAIN_TOO_DEEP, "more intermediates than the server allows"),),
        ((c.SERVER_CHAIN_INVALID, "more intermediates than the client allows"),),
    ),
    23: (((c.CLIENT_CERT_REVOKED, "its issuer revoked it"),), ((c.SERVER_CERT_REVOKED, "its issuer revoked it"),)),
    26: (
        ((c.CLIENT_CERT_WRONG_EKU, "the certificate is not for TLS clients (extended key usage)"),),
        ((c.SERVER_CERT_WRONG_EKU, "the certificate is not for TLS servers (extended key usage)"),),
    ),
    28: (
        ((c.CLIENT_CERT_UNKNOWN_CA, "the server's store marks the authority as not for clients"),),
        ((c.SERVER_CERT_UNKNOWN_CA, "the client's store marks the authority as not for servers"),),
    ),
    30: (
        ((c.CLIENT_CERT_CA_NAME_COLLISION, "two authorities have one name, and different keys"),),
        ((c.SERVER_CERT_UNKNOWN_CA, "two authorities have one name, and different keys"),),
    ),
    33: (((c.SERVER_CRL_MISSING, _BAD_LIST),), ((c.REVOCATION_UNREACHABLE, _BAD_LIST),)),
    35: (((c.SERVER_CRL_MISSING, _BAD_LIST),), ((c.REVOCATION_UNREACHABLE, _BAD_LIST),)),
    36: (((c.SERVER_CRL_MISSING, _BAD_LIST),), ((c.REVOCATION_UNREACHABLE, _BAD_LIST),)),
    44: (((c.SERVER_CRL_MISSING, _BAD_LIST),), ((c.REVOCATION_UNREACHABLE, _BAD_LIST),)),
    50: (
        ((c.CLIENT_IDENTITY_NOT_ALLOWED, "the server's own check said no"),),
        ((c.SERVER_CHAIN_INVALID, "the client's own check said no"),),
    ),
    54: (((c.SERVER_CRL_MISSING, _BAD_LIST),), ((c.REVOCATION_UNREACHABLE, _BAD_LIST),)),
    62: (
        ((c.CLIENT_IDENTITY_NOT_ALLOWED, "the certificate's name is not the one expected"),),
        (
            (c.SERVER_CERT_HOSTNAME_MISMATCH, "the certificate is not for that name"),
            (c.SERVER_CERT_NO_SAN, "it has no subject alternative name"),
        ),
    ),
    63: (
        ((c.CLIENT_IDENTITY_NOT_ALLOWED, "another address is expected"),),
        ((c.SERVER_CERT_HOSTNAME_MISMATCH, "name"),),
    ),
    64: (
        ((c.CLIENT_IDENTITY_NOT_ALLOWED, "the certificate is not for that address"),),
        (
            (c.SERVER_CERT_HOSTNAME_MISMATCH, "the certificate is not for that IP address"),
            (c.SERVER_CERT_NO_SAN, "it has no subject alternative name"),
        ),
    ),
    66: (((c.CLIENT_KEY_TOO_WEAK, _WEAK_KEY),), ((c.SERVER_CERT_WEAK, _WEAK_KEY),)),
    67: (((c.CLIENT_KEY_TOO_WEAK, _WEAK_KEY),), ((c.SERVER_CERT_WEAK, _WEAK_KEY),)),
    68: (
        ((c.CLIENT_SIGNATURE_TOO_WEAK, "a certificate is signed with a broken hash such as SHA-1"),),
        ((c.SERVER_CERT_WEAK, "a certificate is signed with a broken hash such as SHA-1"),),
    ),
    73: (((c.REVOCATION_UNREACHABLE, "no OCSP response"),), ((c.REVOCATION_UNREACHABLE, "no OCSP response"),)),
    74: (((c.REVOCATION_UNREACHABLE, "OCSP failed"),), ((c.REVOCATION_UNREACHABLE, "OCSP failed"),)),
    75: (
        ((c.REVOCATION_UNREACHABLE, "the responder knows no such certificate"),),
        ((c.REVOCATION_UNREACHABLE, "the responder knows no such certificate"),),
    ),
    99: (
        ((c.SERVER_STAPLE_EXPIRED, "the response is too old"),),
        ((c.SERVER_STAPLE_EXPIRED, "the response is too old"),),
    ),
}
