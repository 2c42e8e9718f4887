"""Java: JSSE, its certificate path checks and its keystores, and the clients and servers built on them.

Texts: jdk src/java.base/share/classes/sun/security/ssl (Alert.java, TransportContext.java), sun/security/validator,
sun/security/provider/JavaKeyStore.java, sun/security/util/HostnameChecker.java.
"""

from __future__ import annotations

import re

from handclasp.doctor.words import answers
from handclasp.doctor.words.alerts import number_of, received
from handclasp.doctor.words.rule import (
    CLIENT_CHECK,
    SERVER_CHECK,
    Rule,
    Speaker,
    Told,
    by_speaker,
    rule,
    said,
)
from handclasp.findings import Code

c = Code
_SSL = "jdk sun/security/ssl/TransportContext.java"
_VALIDATOR = "jdk sun/security/validator/PKIXValidator.java"
_STORE_CHECK = "keytool -list -v -keystore client.p12 -storetype PKCS12"


def _alert(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = number_of(match[1])
    return None if number is None else received(number, speaker)


_STORE = said(
    "The keystore could not be opened.",
    _STORE_CHECK,
    (c.CLIENT_KEY_PASSPHRASE, "the password is wrong"),
    (c.TRUST_STORE_UNREADABLE, "the file is the truststore, and its password is wrong"),
    (c.FILE_DAMAGED, "the file was changed or cut"),
    (c.CLIENT_FILE_NOT_PEM, "the type is another than the program expects (JKS, PKCS12)"),
)
_NO_SCHEME = by_speaker(
    said(
        "The server found no certificate of its own for what the client offered.",
        SERVER_CHECK,
        (c.TLS_NO_SHARED_CIPHER, "the keystore has no key of a kind that the client takes"),
        (c.SERVER_KEY_MISMATCH, "the keystore holds no private key at all, only certificates"),
        (
            c.CLIENT_CERT_NOT_SENT_CA_FILTER,
            "if a client says this: it has no certificate of an issuer that the server names",
        ),
    ),
    said(
        "The server found no certificate of its own for what the client offered.",
        "keytool -list -keystore server.p12",
        (c.TLS_NO_SHARED_CIPHER, "the keystore has no key of a kind that the client takes"),
        (c.SERVER_KEY_MISMATCH, "the keystore holds no private key at all, only certificates"),
    ),
)

RULES: tuple[Rule, ...] = (
    rule(
        "alert received", "received fatal alert", r"Received fatal alert: ([a-z_]{3,40})", _alert, _SSL + ", Alert.java"
    ),
    rule(
        "no path",
        ("pkix path building failed", "unable to find valid certification path"),
        r"PKIX path building failed|unable to find valid "
        r"certification path to requested target",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _VALIDATOR,
    ),
    rule(
        "expired",
        ("notafter", "certificateexpired"),
        r"(?:CertificateExpiredException|NotAfter): ?[^\n]{0,80}",
        by_speaker(
            said(
                "The server's certificate, or one above it, has expired.",
                SERVER_CHECK,
                (c.SERVER_CERT_EXPIRED, "it is past its end"),
                (c.SERVER_CHAIN_INVALID, "an authority above it is"),
                (c.CLIENT_CERT_EXPIRED, "if a server says this: the client's is"),
            ),
            said(
                "The client's certificate, or one above it, has expired.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_EXPIRED, "it is past its end"),
                (c.CLIENT_CHAIN_EXPIRED, "an authority above it is"),
            ),
        ),
        "jdk sun/security/x509/CertificateValidity.java",
    ),
    rule(
        "not yet valid",
        ("notbefore", "notyetvalid"),
        r"(?:CertificateNotYetValidException|NotBefore): ?[^\n]{0,80}",
        by_speaker(
            said(
                "The server's certificate is not valid yet.",
                SERVER_CHECK,
                (c.SERVER_CERT_NOT_YET_VALID, "it begins in the future"),
                (c.CLOCK_SKEW, "the client's clock is behind"),
            ),
            said(
                "The client's certificate is not valid yet.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_NOT_YET_VALID, "it begins in the future"),
                (c.CLOCK_SKEW, "the server's clock is behind"),
            ),
        ),
        "jdk sun/security/x509/CertificateValidity.java",
    ),
    rule(
        "revoked",
        ("has been revoked", "certificaterevoked"),
        r"CertificateRevokedException|Certificate has been revoked[^\n]{0,80}",
        by_speaker(
            said(
                "The server's certificate is revoked.", SERVER_CHECK, (c.SERVER_CERT_REVOKED, "its issuer revoked it")
            ),
            said(
                "The client's certificate is revoked.", CLIENT_CHECK, (c.CLIENT_CERT_REVOKED, "its issuer revoked it")
            ),
        ),
        "jdk java/security/cert/CertificateRevokedException.java",
    ),
    rule(
        "revocation unknown",
        "revocation status",
        r"(?:Unable to determine|Could not determine) revocation status[^\n]{0,80}",
        said(
            "Java could not find out whether a certificate is revoked.",
            SERVER_CHECK,
            (c.REVOCATION_UNREACHABLE, "the CRL or OCSP responder did not answer"),
        ),
        "jdk sun/security/provider/certpath/RevocationChecker.java",
    ),
    rule(
        "usage",
        "extended key usage",
        r"Extended key usage does not permit use for TLS (?:client|server) authentication",
        by_speaker(
            said(
                "The server's certificate is not for TLS servers.",
                SERVER_CHECK,
                (c.SERVER_CERT_WRONG_EKU, "its usage lacks serverAuth"),
                (c.CLIENT_CERT_WRONG_EKU, '"TLS client authentication": the client\'s lacks clientAuth'),
            ),
            said(
                "The client's certificate is not for TLS clients.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_WRONG_EKU, "its usage lacks clientAuth"),
            ),
        ),
        "jdk sun/security/validator/EndEntityChecker.java",
    ),
    rule(
        "no certificate",
        ("empty client certificate", "null cert chain", "client_cert"),
        r"Empty client certificate chain|null cert chain",
        answers.MISSING,
        "jdk sun/security/ssl/CertificateMessage.java",
    ),
    rule(
        "no name",
        ("no subject alternative", "no name matching"),
        r"No subject alternative (?:DNS name|names?|IP)[^\n]{0,120}|No name matching "
        r"[^\n]{1,120} found",
        said(
            "The server's certificate is not for the name that the client asked for.",
            SERVER_CHECK,
            (c.SERVER_CERT_HOSTNAME_MISMATCH, "the name in the URL is not among the certificate's"),
            (c.SERVER_CERT_NO_SAN, "it has no subject alternative name at all"),
        ),
        "jdk sun/security/util/HostnameChecker.java",
    ),
    rule(
        "name of Apache HttpClient",
        ("doesn't match", "hostname"),
        r"Certificate for <[^>\n]{1,120}> doesn't match[^\n]{0,160}|Hostname [^\n ]{1,120} "
        r"not verified",
        answers.NAME,
        "Apache HttpClient DefaultHostnameVerifier.java, OkHttp RealConnection.kt",
    ),
    rule(
        "no scheme",
        "no available authentication scheme",
        r"No available authentication scheme",
        _NO_SCHEME,
        "jdk sun/security/ssl/CertificateMessage.java",
    ),
    rule(
        "no trust",
        "trustanchors",
        r"(?:the )?trustAnchors parameter must be non-empty",
        said(
            "Java's truststore is empty or was not found.",
            "keytool -list -keystore truststore.p12",
            (
                c.TRUST_STORE_UNREADABLE,
                "the path in javax.net.ssl.trustStore is wrong, or the store holds no trusted certificate",
            ),
        ),
        "jdk java/security/cert/PKIXParameters.java",
    ),
    rule(
        "store password",
        (
            "keystore was tampered",
            "keystore password was incorrect",
            "cannot recover key",
            "failed to decrypt safe",
            "given final block",
        ),
        r"Keystore was tampered with, or password was incorrect|keystore password was incorrect"
        r"|Cannot recover key|failed to decrypt safe contents entry|Given final block not properly padded",
        _STORE,
        "jdk sun/security/provider/JavaKeyStore.java, sun/security/pkcs12/PKCS12KeyStore.java",
    ),
    rule(
        "store format",
        ("invalid keystore format", "derinputstream"),
        r"Invalid keystore format|DerInputStream\.getLength\(\)[^\n]{0,60}"
        r"|toDerInputStream rejects tag type[^\n]{0,20}",
        said(
            "The file is not the kind of keystore that the program was told to expect.",
            "handclasp inspect FILE",
            (c.CLIENT_FILE_NOT_PEM, "it is PEM or another type of keystore: handclasp convert FILE --to p12"),
            (c.TRUST_STORE_UNREADABLE, "if it is the truststore"),
            (c.FILE_DAMAGED, "the file is cut"),
        ),
        "jdk sun/security/provider/JavaKeyStore.java",
    ),
    rule(
        "plain text",
        ("plaintext connection", "unsupported or unrecognized ssl message", "not an ssl/tls record"),
        r"Unrecognized SSL message, plaintext "
        r"connection\?|Unsupported or unrecognized SSL message|not an SSL/TLS record(?:: [0-9a-f]{0,40})?",
        by_speaker(answers.TLS_TO_PLAIN, answers.PLAIN_TO_TLS),
        "jdk sun/security/ssl/SSLSocketInputRecord.java, netty SslHandler.java",
    ),
    rule(
        "hung up",
        ("remote host closed", "remote host terminated"),
        r"Remote host (?:closed connection during|terminated the) handshake",
        by_speaker(answers.CLOSED, answers.GONE),
        "jdk sun/security/ssl/SSLSocketImpl.java",
    ),
    rule(
        "versions",
        (
            "no appropriate protocol",
            "not supported by server",
            "client requested protocol",
            "server chose",
            "client version",
        ),
        r"No appropriate protocol|Client requested protocol [^\n]{1,20} (?:is )?not (?:enabled|supported)[^\n]{0,30}"
        r"|The server selected protocol version "
        r"[^\n]{1,60}|Server chose [^\n]{1,40}, but that protocol",
        said(
            "The two sides have no version of TLS in common.",
            CLIENT_CHECK,
            (c.TLS_VERSION_MISMATCH, "one side disables what the other needs (jdk.tls.disabledAlgorithms)"),
        ),
        "jdk sun/security/ssl/HandshakeContext.java",
    ),
    rule(
        "ciphers",
        ("cipher suites in common", "no cipher suites"),
        r"no cipher suites in common",
        said(
            "The two sides have no cipher suite in common.",
            CLIENT_CHECK,
            (c.TLS_NO_SHARED_CIPHER, "none is allowed by both, or the server's keystore has no fitting key"),
            (c.SERVER_KEY_MISMATCH, "the server's keystore holds no private key"),
        ),
        "jdk sun/security/ssl/ServerHello.java",
    ),
    rule(
        "constraints",
        ("algorithm constraints", "algorithmconstraints"),
        r"(?:does not conform to|Certificates do(?:es)? not conform to) algorithm constraints"
        r"|Algorithm constraints check failed[^\n]{0,80}",
        by_speaker(
            said(
                "A certificate of the server uses an algorithm that Java disables.",
                SERVER_CHECK,
                (c.SERVER_CERT_WEAK, "a short key or SHA-1 (jdk.certpath.disabledAlgorithms)"),
            ),
            said(
                "A certificate of the client uses an algorithm that Java disables.",
                CLIENT_CHECK,
                (c.CLIENT_SIGNATURE_TOO_WEAK, "signed with SHA-1"),
                (c.CLIENT_KEY_TOO_WEAK, "a short key"),
            ),
        ),
        "jdk sun/security/provider/certpath/AlgorithmChecker.java",
    ),
    rule(
        "chain",
        ("path does not chain", "signature check failed", "validation failed", "pathlen", "path len"),
        r"Path does not chain with any of the trust "
        r"anchors|signature check failed|PKIX path validation failed",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _VALIDATOR,
    ),
    rule(
        "unverified peer",
        "peer not authenticated",
        r"peer not authenticated",
        by_speaker(answers.UNTRUSTED_SERVER, answers.MISSING),
        "jdk sun/security/ssl/SSLSessionImpl.java",
    ),
    rule(
        "handshake",
        "sslhandshakeexception",
        r"SSLHandshakeException: (?:Received fatal alert)?[^\n]{0,120}",
        said(
            "Java's handshake failed; this line does not say why.",
            "java -Djavax.net.debug=ssl,handshake ...",
            (c.TLS_ALERT, "the reason is in the Caused by line below"),
            (c.SERVER_CERT_UNKNOWN_CA, "often: no path to a trusted authority"),
            (c.CLIENT_CERT_MISSING, "often: no certificate was sent"),
            vague=True,
        ),
        _SSL,
    ),
)
