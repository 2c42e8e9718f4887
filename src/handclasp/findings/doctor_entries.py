"""Entries for what only the doctor tells apart: with the files of both sides, or a server's configuration, at hand."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.CLIENT_CERT_NOT_SENT_CA_FILTER: Entry(
            "The client has a certificate, and did not send it: its issuer is not among those that the server names.",
            "Use a certificate of one of those authorities, or have the server name the one that issued it.",
        ),
        c.CLIENT_CERT_CA_NAME_COLLISION: Entry(
            "The client's certificate names an authority that the server trusts, but another key signed it: two "
            "authorities have one name.",
            "Compare the key identifiers; give the server the authority that really issued the certificate.",
        ),
        c.CLIENT_CERT_EXPIRES_SOON: Entry(
            "The client's certificate, or one above it, expires soon.",
            "Renew it before it does.",
        ),
        c.CLIENT_CHAIN_INCOMPLETE: Entry(
            "The client does not send the intermediate certificate between its own and the server's trusted authority.",
            "Append the intermediate to the client's certificate file, behind the client's own.",
        ),
        c.CLIENT_CHAIN_EXPIRED: Entry(
            "An authority above the client's certificate has expired.",
            "Send the authority's renewed certificate, and have the server trust the renewed root.",
        ),
        c.CLIENT_KEY_TOO_WEAK: Entry(
            "A key of the client's chain is too weak for the server.",
            "Make a new key, P-256 or RSA of at least 2048 bits, and have a certificate issued for it.",
        ),
        c.CLIENT_SIGNATURE_TOO_WEAK: Entry(
            "A certificate of the client's chain is signed with a broken hash.",
            "Have it issued anew with SHA-256 or better.",
        ),
        c.CLIENT_KEY_MISMATCH: Entry(
            "The client's private key does not belong to its certificate.",
            "Give the key with which the certificate was requested, or the certificate of this key.",
        ),
        c.CLIENT_KEY_PASSPHRASE: Entry(
            "The client's private key is encrypted, and its passphrase was not given or is wrong.",
            "Give the passphrase with --password-file.",
        ),
        c.CLIENT_FILE_NOT_PEM: Entry(
            "A file of the client is not in the form that its program expects.",
            "Convert it: handclasp convert FILE --to pem.",
        ),
        c.CLIENT_FILE_UNREADABLE: Entry(
            "A file of the client cannot be read.",
            "Correct the path, or let the program's user read it.",
        ),
        c.SERVER_CERT_NO_SAN: Entry(
            "The server's certificate has no subject alternative name; its common name does not count.",
            "Issue one that has the host's name as a subject alternative name.",
        ),
        c.SERVER_KEY_MISMATCH: Entry(
            "The server's private key does not belong to its certificate.",
            "Give the server the key with which the certificate was requested.",
        ),
        c.TRUST_STORE_UNREADABLE: Entry(
            "The file of trusted authorities cannot be used.",
            "Give a PEM file with the certificates of the authorities.",
        ),
        c.CLOCK_SKEW: Entry(
            "The clocks of the two sides differ so much that certificates seem expired, or not valid yet.",
            "Set the clock right on the side that is wrong: timedatectl, chronyc tracking.",
        ),
        c.FILE_DAMAGED: Entry(
            "The file is damaged in a way that many programs cannot read past.",
            "Write it anew: handclasp convert FILE --to pem.",
        ),
        c.FILE_CHAIN_ORDER: Entry(
            "The certificates of the file are not in order: each should be followed by the one that issued it.",
            "Write it in order: handclasp convert FILE --to pem.",
        ),
        c.FILE_TWO_KEYS: Entry(
            "The file holds more than one private key, and programs take the first.",
            "Keep the one that belongs to the certificate.",
        ),
        c.FILE_KEY_UNPAIRED: Entry(
            "A private key belongs to none of the certificates.",
            "Find the certificate that was issued for it, or remove it.",
        ),
        c.FILE_KEY_EXPOSED: Entry(
            "Others than the owner can read a private key.",
            "Take the right away (chmod 600 FILE), and replace the key if anybody may have used it.",
        ),
        c.FILE_KEY_IN_CONFIG: Entry(
            "A private key stands in a configuration file.",
            "Move it to a file that its program alone can read, and name that file.",
        ),
        c.CONFIG_UNREADABLE: Entry(
            "The server's configuration cannot be read.",
            "Correct what the message names, and check it with the server's own test (nginx -t, haproxy -c).",
        ),
        c.CONFIG_FILE_MISSING: Entry(
            "The configuration names a file that is not there, or cannot be read.",
            "Correct the path, or put the file there.",
        ),
        c.CONFIG_DEPTH_TOO_SMALL: Entry(
            "The configuration allows fewer intermediates than the clients' chains have.",
            "Raise the depth (nginx: ssl_verify_depth).",
        ),
        c.CONFIG_NO_REVOCATION: Entry(
            "The server heeds no revocation list: a revoked client certificate is let in until it expires.",
            "Give the server the authority's CRL, and renew it before its next update.",
        ),
        c.CONFIG_PUBLIC_ROOTS: Entry(
            "The server trusts a public authority for client certificates: anybody can get one from it.",
            "Trust only the authority that issues your clients' certificates.",
        ),
        c.CONFIG_WEAK_PROTOCOL: Entry(
            "The server accepts a version of TLS below 1.2.",
            "Allow TLS 1.2 and 1.3 only.",
        ),
        c.CONFIG_RESUMPTION: Entry(
            "Sessions are resumed without looking at the certificate again: an expired or revoked client stays in.",
            "Turn resumption off where client certificates are required, or make sessions short.",
        ),
        c.CONFIG_IDENTITY_HEADER: Entry(
            "A header that carries the caller's identity is not overwritten: a caller can send it and be anybody.",
            "Set or remove the header on every path to the API.",
        ),
    }
