"""What is wrong with a file of certificates or keys."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.FILE_UNRECOGNIZED: Explanation(
            "The file is something else than its name says: an HTML page of a login, an empty file, a public key, a "
            "file of another program; or it is larger than is read.",
            "The command is refused with what was found at its beginning; openssl asn1parse fails as well.",
            "RFC 7468; X.690; RFC 7292; RFC 5652",
            "the file begins with <html>",
        ),
        c.FILE_PASSPHRASE_MISSING: Explanation(
            "The file is encrypted, as PKCS#12 nearly always is and a key often, and nobody is at the terminal who "
            "could be asked.",
            "The command is refused before anything is read of it.",
            "RFC 7292 §4 and §5; RFC 5958 §3",
            "handclasp convert client.p12 --to pem --password-file FILE",
        ),
        c.FILE_PASSPHRASE_WRONG: Explanation(
            "It is another file's passphrase, or the file that holds it has a space or a second line. PKCS#12 has one "
            "for the key and one for the whole, and Java lets them differ.",
            'OpenSSL: "mac verify failure" or "bad decrypt". Java: "keystore password was incorrect". The same '
            "message comes for a damaged file.",
            "RFC 7292 §5.1 (the MAC); RFC 8018 §6",
            "Mac verify error: invalid password?",
        ),
        c.FILE_UNSUITABLE: Explanation(
            "The form that was asked for cannot hold it: two keys in one PKCS#12 without names, a key in PKCS#7, no "
            "certificate where one is needed.",
            "Nothing is written, and the message says what stands in the way.",
            "RFC 7292; RFC 5652 §5",
            "Nothing was written: PKCS#7 holds no private key",
        ),
        c.FILE_DAMAGED: Explanation(
            "The file was pasted by way of a mail or a chat, edited on another system, or cut off: a byte order mark, "
            "broken lines, quotes around it, missing dashes, text between the parts. Some programs read past it and "
            "others do not, so it works here and fails there.",
            'OpenSSL: "bad base64 decode", "bad end line" or "no start line". Go: "failed to find any PEM '
            'data". Java: "Incomplete data" or "Illegal base64 character". The finding has the line.',
            "RFC 7468 §2 and §3",
            "error:04800064:PEM routines::bad base64 decode",
        ),
        c.FILE_CHAIN_ORDER: Explanation(
            "The files were joined in another order (root first), or a directory listing decided. Programs take the "
            "first certificate as their own.",
            'nginx and others: "key values mismatch" where the first one is an authority\'s. Where the leaf is '
            "first, TLS 1.2 clients that keep to the order fail, while most sort it out.",
            "RFC 5246 §7.4.2 (the order); RFC 8446 §4.4.2 (the leaf first, others should be tolerated)",
            "cat ca.pem server.pem > chain.pem",
        ),
        c.FILE_TWO_KEYS: Explanation(
            "A new key was appended to the old one, or the files of two services were joined. Programs take the first "
            "and do not tell.",
            '"key values mismatch" where the first does not fit, and no sign at all where it does.',
            "RFC 7468 §2 (one textual encoding after another is allowed); which one counts is each program's matter",
            'grep -c "PRIVATE KEY-----" client.pem prints 4',
        ),
        c.FILE_KEY_UNPAIRED: Explanation(
            "The certificate of the key is in another file, was renewed with a new key, or was never issued.",
            "Nothing among the files has the public key that belongs to it; the finding has the start of its hash.",
            "RFC 5280 §4.1.2.7 (a certificate is of one public key)",
            "openssl pkey -in a.key -pubout and openssl x509 -in a.pem -noout -pubkey print different keys",
        ),
        c.FILE_KEY_EXPOSED: Explanation(
            "The file was written with the usual mask (mode 644), copied with a tool that widens rights, or lies in a "
            "repository or an image. Whoever reads a key once has it for good.",
            "The mode in the finding lets a group or everybody read. OpenSSH and PostgreSQL refuse such keys; TLS "
            "programs do not.",
            "none: a rule of Handclasp (docs/security.md); NIST SP 800-57 Part 1 §6.2 asks that private keys be kept "
            "confidential",
            "-rw-r--r-- 1 orders orders 1704 Nov 21 09:00 client.key",
        ),
        c.FILE_KEY_IN_CONFIG: Explanation(
            "The key was put inline, for ease or because a template knew no file: Envoy's inline_string, a YAML "
            "value, an environment file. Configurations are copied, logged and put under version control.",
            "The words BEGIN PRIVATE KEY in a configuration file; the finding has the file and the line, never the "
            "key.",
            "none: a rule of Handclasp (docs/security.md); NIST SP 800-57 Part 1 §6.2 asks that private keys be kept "
            "confidential",
            "private_key: { inline_string: ... } in envoy.yaml",
        ),
        c.TRUST_STORE_UNREADABLE: Explanation(
            "The file of authorities is missing, empty, not PEM, or holds a key or a request instead of certificates; "
            "a Java trust store was given where PEM is wanted.",
            'nginx: "SSL_CTX_load_verify_locations() failed". curl: (77) error setting certificate verify '
            'locations. Java: "the trustAnchors parameter must be non-empty". Go takes an empty pool without a '
            "word, and then trusts nobody.",
            "RFC 7468 §5; RFC 5914 on what a trust anchor is",
            "curl: (77) error setting certificate verify locations: CAfile: ca.pem",
        ),
    }
