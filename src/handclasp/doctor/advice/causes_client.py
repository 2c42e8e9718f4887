"""What to do where the client's certificate is the cause. Best first: the first lets the handshake pass."""

from __future__ import annotations

from handclasp.doctor.advice import openssl_commands as run
from handclasp.doctor.advice.vocabulary import Draft, Setting, Use
from handclasp.doctor.diagnosis import Side
from handclasp.findings import Code

_ANOTHER = Draft(
    Side.CLIENT,
    "Else have the caller show a certificate of an authority that the server trusts already.",
    (run.NAMED, run.WHO),
    use=Use.PRESENT,
)
_TRUST = Draft(
    Side.SERVER,
    "Add {issuer}, with its root, to the authorities by which the server judges its clients.",
    (run.ADD,),
    Setting.TRUST,
)
_RENEW = Draft(
    Side.CLIENT,
    "Renew the caller's certificate: have its authority sign this request, put the result into {cert}, and show that.",
    (run.DATES, run.AGAIN),
    use=Use.PRESENT,
)
_CRL = Draft(
    Side.SERVER,
    "Fetch the current revocation list of every authority above the clients, and have the server read it.",
    (run.CRL_FROM, run.CRL_FETCH, run.CRL_LOOK),
    Setting.CRL,
)
_FILE = "Else look at what the file really is."


def causes() -> dict[Code, tuple[Draft, ...]]:
    """Code by code."""
    c, client, server = Code, Side.CLIENT, Side.SERVER
    return {
        c.CLIENT_CERT_MISSING: (
            Draft(client, "Give the client its certificate and its key.", use=Use.PRESENT),
            run.ISSUE_HERE,
        ),
        c.CLIENT_CERT_NOT_SENT_CA_FILTER: (
            Draft(
                server,
                "Have the server trust and name {issuer}.",
                (run.ADD,),
                Setting.NAMES,
            ),
            Draft(
                client,
                "Else show a certificate of an authority that the server names, with its intermediates.",
                (run.NAMED, run.JOIN),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_CERT_UNKNOWN_CA: (_TRUST, _ANOTHER, run.ISSUE_HERE),
        c.CLIENT_CERT_CA_NAME_COLLISION: (
            Draft(
                server,
                "Give the server the authority whose key really signed the caller's certificate, compared by the "
                "key identifiers and not by the name.",
                (
                    "openssl x509 -in {cert} -noout -ext authorityKeyIdentifier",
                    "openssl x509 -in {issuing} -noout -ext subjectKeyIdentifier",
                    run.ADD,
                ),
                Setting.TRUST,
            ),
            _ANOTHER,
        ),
        c.CLIENT_CERT_SELF_SIGNED: (
            Draft(
                client,
                "Have an authority that the server trusts sign a request for the caller, and show what it issues.",
                (run.REQUEST_CLIENT,),
                use=Use.PRESENT,
            ),
            Draft(
                server,
                "Else have the server trust this one certificate.",
                ("cat {cert} >> {bundle}",),
                Setting.TRUST,
            ),
            run.ISSUE_HERE,
        ),
        c.CLIENT_CERT_EXPIRED: (_RENEW, run.RENEW_HERE),
        c.CLIENT_CERT_EXPIRES_SOON: (_RENEW, run.RENEW_HERE),
        c.CLIENT_CERT_NOT_YET_VALID: (
            Draft(
                server,
                "Set the server's clock: a certificate that is not valid yet mostly means that it is slow.",
                (run.DATES, *run.CLOCK),
                Setting.START,
            ),
            Draft(
                client,
                "Where the clocks are right, wait for the certificate's first day, or have it issued from today.",
                (run.DATES, run.AGAIN),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_CERT_WRONG_EKU: (
            Draft(
                client,
                "Have a certificate issued with extendedKeyUsage = clientAuth, and show that.",
                (run.WHO, run.REQUEST_CLIENT),
                use=Use.PRESENT,
            ),
            run.ISSUE_HERE,
        ),
        c.CLIENT_CERT_REVOKED: (
            Draft(
                client,
                "Make a new key, have a certificate issued for it into {new_cert}, and show that.",
                (run.NEW_KEY, run.NEW_REQUEST_CLIENT),
                use=Use.PRESENT,
            ),
            run.ISSUE_HERE,
        ),
        c.CLIENT_CHAIN_INCOMPLETE: (
            Draft(
                client,
                "Have the client send the intermediate behind its own certificate: both in one file, its own first.",
                (run.JOIN, run.LISTED),
                use=Use.PRESENT,
            ),
            Draft(
                server,
                "Else give the intermediate to the server, which then needs not be sent it.",
                ("cat {intermediate} >> {bundle}",),
                Setting.TRUST,
            ),
        ),
        c.CLIENT_CHAIN_INVALID: (
            Draft(
                client,
                "Have the chain issued anew as the reason demands, and show that; this names the reason.",
                (
                    "openssl verify -show_chain -purpose sslclient -CAfile {bundle} -untrusted {chain} {cert}",
                    run.AGAIN,
                ),
                use=Use.PRESENT,
            ),
            _ANOTHER,
        ),
        c.CLIENT_CHAIN_TOO_DEEP: (
            Draft(server, "Allow chains of {depth} certificates above the caller's.", setting=Setting.DEPTH),
            Draft(
                client,
                "Else have a certificate issued by an authority nearer to the root.",
                (run.LISTED,),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_CHAIN_EXPIRED: (
            Draft(
                client,
                "Send the renewed certificate of the intermediate in the place of the expired one.",
                ("openssl x509 -in {intermediate} -noout -subject -dates", run.JOIN),
                use=Use.PRESENT,
            ),
            Draft(
                server,
                "Where the root has expired, have the server trust the renewed root.",
                ("openssl x509 -in {issuing} -noout -subject -dates", run.ADD),
                Setting.TRUST,
            ),
        ),
        c.CLIENT_KEY_TOO_WEAK: (
            Draft(
                client,
                "Make a P-256 key, have a certificate issued for it into {new_cert}, and show that.",
                (run.NEW_KEY, run.NEW_REQUEST_CLIENT),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_SIGNATURE_TOO_WEAK: (
            Draft(
                client,
                "Have the certificate issued anew with SHA-256, by an authority that signs with it, and show that.",
                ("openssl x509 -in {cert} -noout -text | grep 'Signature Algorithm'", run.REQUEST_CLIENT),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_KEY_MISMATCH: (
            Draft(
                client,
                "Give the certificate with the key for which it was issued: only of that pair are both digests equal.",
                (run.KEY_OF_CERTIFICATE, run.KEY_OF_KEY),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_KEY_PASSPHRASE: (
            Draft(client, "Give the key's passphrase to the client.", use=Use.PASSPHRASE),
            Draft(
                client,
                "Else write the key without a passphrase, for its owner alone.",
                ("(umask 077; openssl pkey -in {key} -out client-open.key)",),
            ),
        ),
        c.CLIENT_FILE_NOT_PEM: (
            Draft(
                client,
                "Write the file as PEM, and give that to the client.",
                ("handclasp convert {file} --to pem --out {chain}",),
                use=Use.PRESENT,
            ),
            Draft(client, _FILE, ("handclasp inspect {file}",), product="handclasp"),
        ),
        c.CLIENT_FILE_UNREADABLE: (
            Draft(
                client,
                "Correct the path, or let the user that the client runs as read the file.",
                ("namei -l {file}", "chmod u+r {file}"),
                use=Use.PRESENT,
            ),
        ),
        c.CLIENT_IDENTITY_NOT_ALLOWED: (
            Draft(server, "Let this caller in by a name that its certificate has.", setting=Setting.IDENTITY),
            Draft(
                client,
                "Else show the certificate of a caller that is let in.",
                (run.WHO,),
                use=Use.PRESENT,
            ),
        ),
        c.SERVER_CRL_EXPIRED: (_CRL,),
        c.SERVER_CRL_MISSING: (_CRL,),
    }
