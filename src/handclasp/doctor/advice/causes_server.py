"""What to do where the server's certificate or its configuration is the cause. The first lets the handshake pass."""

from __future__ import annotations

from handclasp.doctor.advice import openssl_commands as run
from handclasp.doctor.advice.vocabulary import Draft, Setting, Use
from handclasp.doctor.diagnosis import Side
from handclasp.findings import Code

_TRUST = Draft(Side.CLIENT, "Have the client trust the authority that issued the server's certificate.", use=Use.TRUST)
_RENEW = Draft(
    Side.SERVER,
    "Renew the server's certificate: have its authority sign this request, put the result into {chain}, and serve it.",
    (run.DATES, run.AGAIN),
    Setting.CERTIFICATE,
)
_NAMED = Draft(
    Side.SERVER,
    "Have a certificate issued with {host} as a subject alternative name, and serve that.",
    (run.WHO, run.REQUEST_SERVER),
    Setting.CERTIFICATE,
)
_BY_NAME = Draft(Side.CLIENT, "Else call the server by a name that its certificate has.", use=Use.NAME)
_NEW_KEY = Draft(
    Side.SERVER,
    "Make a new key, have a certificate issued for it into {new_cert}, and serve that.",
    (run.NEW_KEY, run.NEW_REQUEST_SERVER),
    Setting.CERTIFICATE,
)
_PAIR = Draft(
    Side.SERVER,
    "Serve the certificate with the key for which it was issued: only of that pair are both digests equal.",
    (run.KEY_OF_CERTIFICATE, run.KEY_OF_KEY),
    Setting.CERTIFICATE,
)
_REQUIRE = Draft(Side.SERVER, "Require a client certificate.", setting=Setting.REQUIRE)


def causes() -> dict[Code, tuple[Draft, ...]]:
    """Code by code."""
    c, client, server = Code, Side.CLIENT, Side.SERVER
    return {
        c.SERVER_CERT_UNKNOWN_CA: (
            _TRUST,
            Draft(
                server,
                "Else serve a certificate of an authority that the callers trust already.",
                (run.REQUEST_SERVER,),
                Setting.CERTIFICATE,
            ),
        ),
        c.SERVER_CERT_SELF_SIGNED: (
            Draft(
                server,
                "Serve a certificate of an authority: have it sign this request, and put the result into {chain}.",
                (run.REQUEST_SERVER,),
                Setting.CERTIFICATE,
            ),
            Draft(
                client,
                "Else have the client trust this one certificate, once its fingerprint is compared with the server's.",
                (
                    f"{run.SHOWN} | openssl x509 -out {{cacert}}",
                    "openssl x509 -in {cacert} -noout -fingerprint -sha256",
                ),
                use=Use.TRUST,
            ),
        ),
        c.SERVER_CERT_EXPIRED: (_RENEW,),
        c.SERVER_CERT_EXPIRES_SOON: (_RENEW,),
        c.SERVER_CERT_NOT_YET_VALID: (
            Draft(
                client,
                "Set the client's clock: a certificate that is not valid yet mostly means that it is slow.",
                run.CLOCK,
            ),
            Draft(
                server,
                "Where the clocks are right, serve a certificate that is valid from today.",
                (run.DATES, run.AGAIN),
                Setting.CERTIFICATE,
            ),
        ),
        c.SERVER_CERT_HOSTNAME_MISMATCH: (_NAMED, _BY_NAME),
        c.SERVER_CERT_NO_SAN: (_NAMED,),
        c.SERVER_CHAIN_INCOMPLETE: (
            Draft(
                server,
                "Have the server send the intermediate behind its own certificate: both in one file, its own first.",
                (run.JOIN, run.LISTED),
                Setting.CERTIFICATE,
            ),
            Draft(
                client,
                "Until then, give the intermediate to the client with the authority.",
                ("cat {intermediate} >> {cacert}",),
                use=Use.TRUST,
            ),
        ),
        c.SERVER_CHAIN_INVALID: (
            Draft(
                server,
                "Have the chain issued anew as the reason demands, and serve that; this names the reason.",
                (
                    "openssl verify -show_chain -purpose sslserver -CAfile {cacert} -untrusted {chain} {cert}",
                    run.AGAIN,
                ),
                Setting.CERTIFICATE,
            ),
        ),
        c.SERVER_CERT_WRONG_EKU: (
            Draft(
                server,
                "Have a certificate issued with extendedKeyUsage = serverAuth, and serve that.",
                (run.WHO, run.REQUEST_SERVER),
                Setting.CERTIFICATE,
            ),
        ),
        c.SERVER_CERT_REVOKED: (_NEW_KEY,),
        c.SERVER_CERT_WEAK: (_NEW_KEY,),
        c.SERVER_STAPLE_EXPIRED: (
            Draft(
                server,
                "Have the server fetch and staple a current OCSP response.",
                (
                    "openssl ocsp -issuer {issuing} -cert {cert} -no_nonce -respout staple.der "
                    '-url "$(openssl x509 -in {cert} -noout -ocsp_uri)"',
                ),
                Setting.STAPLE,
            ),
        ),
        c.SERVER_KEY_MISMATCH: (_PAIR,),
        c.TLS_SERVER_NOT_PROVED: (_PAIR,),
        c.TLS_SNI_UNRECOGNIZED: (
            Draft(server, "Have the server answer to the name {host}.", setting=Setting.HOST),
            Draft(client, "Else call the server by a name that it answers to.", use=Use.NAME),
        ),
        c.MTLS_NOT_ENFORCED: (_REQUIRE,),
        c.MTLS_OPTIONAL: (_REQUIRE,),
        c.TLS_VERSION_MISMATCH: (
            Draft(server, "Have the server allow TLS 1.2 and 1.3.", setting=Setting.VERSIONS),
            Draft(client, "Let the client speak the version that the server speaks.", use=Use.VERSIONS),
        ),
        c.TLS_NO_SHARED_CIPHER: (
            Draft(
                server,
                "Have the server allow cipher suites that everybody has, for RSA and for ECDSA certificates.",
                setting=Setting.CIPHERS,
            ),
            Draft(client, "Let the client offer cipher suites that everybody has.", use=Use.CIPHERS),
        ),
        c.TLS_NO_SHARED_GROUP: (
            Draft(server, "Have the server allow the groups X25519 and P-256.", setting=Setting.GROUPS),
            Draft(client, "Let the client offer the groups X25519 and P-256.", use=Use.GROUPS),
        ),
        c.CONFIG_UNREADABLE: (
            Draft(server, "Correct what the server's own test of its configuration names.", setting=Setting.CHECK),
        ),
        c.CONFIG_FILE_MISSING: (
            Draft(
                server,
                "Put the file there, or correct its path; every directory on the way must let the server through.",
                ("namei -l {file}",),
                Setting.CHECK,
            ),
        ),
        c.CONFIG_DEPTH_TOO_SMALL: (
            Draft(server, "Allow chains of {depth} certificates above the caller's.", setting=Setting.DEPTH),
        ),
        c.CONFIG_NO_REVOCATION: (
            Draft(
                server,
                "Give the server the authority's revocation list, and renew it before its next update.",
                (run.CRL_FROM, run.CRL_FETCH, run.CRL_LOOK),
                Setting.CRL,
            ),
        ),
        c.CONFIG_PUBLIC_ROOTS: (
            Draft(
                server,
                "Have the server trust the authority alone that issues your clients' certificates.",
                ("cp {issuing} {bundle}",),
                Setting.TRUST,
            ),
        ),
        c.CONFIG_WEAK_PROTOCOL: (Draft(server, "Allow TLS 1.2 and 1.3 only.", setting=Setting.VERSIONS),),
        c.CONFIG_RESUMPTION: (Draft(server, "Turn the resumption of sessions off.", setting=Setting.SESSIONS),),
        c.CONFIG_IDENTITY_HEADER: (
            Draft(
                server,
                "Overwrite the header that carries the caller's identity on every path to the API.",
                setting=Setting.HEADER,
            ),
        ),
    }
