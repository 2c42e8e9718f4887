"""Apache httpd with mod_ssl. Texts: httpd modules/ssl/ssl_engine_kernel.c, ssl_engine_io.c, ssl_engine_init.c, by their
AH numbers (docs/log-message-tags)."""

from __future__ import annotations

import re

from handclasp.doctor.words import answers, verify
from handclasp.doctor.words.rule import SERVER_FILES_CHECK, Rule, Speaker, Told, rule, said
from handclasp.findings import Code

c = Code
_KERNEL = "httpd modules/ssl/ssl_engine_kernel.c"
_IO = "httpd modules/ssl/ssl_engine_io.c"
_INIT = "httpd modules/ssl/ssl_engine_init.c"
_LOG = "httpd modules/ssl/ssl_engine_log.c"


def _verdict(match: re.Match[str], speaker: Speaker) -> Told | None:
    return verify.judged(int(match[1]), Speaker.SERVER)


_HANDSHAKE = said(
    "The handshake failed; the next line of the log (SSL Library Error) says why.",
    "LogLevel ssl:info, then the lines behind AH02008",
    (c.CLIENT_CERT_MISSING, "a certificate is required, and none came"),
    (c.CLIENT_CERT_UNKNOWN_CA, "the client's certificate was not accepted"),
    (c.SERVER_CERT_UNKNOWN_CA, "the client refuses the server's certificate"),
    (c.NET_CLOSED_DURING_HANDSHAKE, "the client hung up"),
    vague=True,
)
_AGAIN = said(
    "Apache asks for the certificate by a second handshake (SSLVerifyClient in a Location), and it failed.",
    "handclasp doctor HOST:PORT/PATH --cert client.pem --key client.key",
    (c.CLIENT_CERT_MISSING, "the client has no certificate, or does no second handshake"),
    (c.CLIENT_CERT_UNKNOWN_CA, "its certificate was not accepted"),
    (c.CLIENT_CERT_NOT_SENT_CA_FILTER, "the server does not name its issuer"),
    vague=True,
)

RULES: tuple[Rule, ...] = (
    rule(
        "verification error",
        "certificate verification: error",
        r"(?:AH02039: )?Certificate Verification: Error "
        r"\((\d{1,3})\)[^\n\[]{0,80}",
        _verdict,
        _KERNEL + ", ssl_callback_SSLVerify",
    ),
    rule(
        "chain too long",
        "certificate chain too long",
        r"(?:AH02040: )?Certificate Verification: Certificate Chain too long"
        r"[^\n]{0,100}",
        said(
            "The client's chain has more certificates than SSLVerifyDepth allows.",
            "grep -rn SSLVerifyDepth /etc/apache2 /etc/httpd",
            (c.CLIENT_CHAIN_TOO_DEEP, "SSLVerifyDepth is too small (its default is 1)"),
            (c.CONFIG_DEPTH_TOO_SMALL, "the same, seen in the configuration"),
        ),
        _KERNEL + ", ssl_callback_SSLVerify",
    ),
    rule(
        "renegotiation, no certificate",
        "client certificate missing",
        r"(?:AH02263: )?Re-?negotiation handshake failed: Client "
        r"certificate missing",
        answers.MISSING,
        _KERNEL + ", ssl_hook_Access_classic",
    ),
    rule(
        "renegotiation, refused",
        "client verification failed",
        r"(?:AH02262: )?Re-?negotiation handshake failed: Client "
        r"verification failed",
        answers.REFUSED,
        _KERNEL + ", ssl_hook_Access_classic",
    ),
    rule(
        "renegotiation failed",
        ("negotiation",),
        r"(?:AH0226[01]|AH02225|AH02226|AH10129)?:? ?Re-?negotiation (?:handshake |request )?"
        r"failed[^\n]{0,100}",
        _AGAIN,
        _KERNEL + ", ssl_hook_Access_classic",
    ),
    rule(
        "post-handshake",
        ("post-handshake",),
        r"(?:AH10158|AH10129|AH10228)?:? ?(?:cannot perform|verify) post-handshake authentication"
        r"[^\n]{0,100}",
        _AGAIN,
        _KERNEL + ", ssl_hook_Access_modern",
    ),
    rule(
        "renegotiation rejected",
        "ah02042",
        r"AH02042[^\n]{0,100}",
        said(
            "A client began a second handshake, which Apache does not allow.",
            "openssl s_client -connect HOST:PORT -tls1_3",
            (c.TLS_ALERT, "an old client, or a scanner; nothing is wrong with the certificates"),
        ),
        _IO + ", bio_filter_in_read",
    ),
    rule(
        "library error",
        "ssl library error",
        r"SSL Library Error: [^\n]{0,300}",
        answers.inner(Speaker.SERVER, _HANDSHAKE),
        _LOG + ", ssl_log_ssl_error",
    ),
    rule(
        "handshake failed",
        "ssl library error 1 in handshake",
        r"(?:AH02008: )?SSL library error 1 in handshake[^\n]{0,80}",
        _HANDSHAKE,
        _IO + ", ssl_io_filter_handshake",
    ),
    rule("handshake interrupted", "ah02007", r"AH02007[^\n]{0,100}", answers.GONE, _IO),
    rule(
        "plain request",
        ("http spoken", "speaking plain http"),
        r"(?:AH01996: )?SSL handshake failed: HTTP spoken on HTTPS port"
        r"|You're speaking plain HTTP to an SSL-enabled server port",
        answers.PLAIN_TO_TLS,
        _IO,
    ),
    rule(
        "no name",
        ("ah02033", "no hostname was provided via sni"),
        r"(?:AH02033: )?No hostname was provided via SNI[^\n]{0,80}",
        said(
            "The client named no server in the handshake.",
            "handclasp doctor HOST:PORT --sni NAME",
            (c.TLS_SNI_UNRECOGNIZED, "SSLStrictSNIVHostCheck refuses clients that name no server"),
        ),
        _KERNEL,
    ),
    rule(
        "names differ",
        ("ah02032", "ah02031", "provided via sni"),
        r"(?:AH0203[12]: )?Hostname [^\n]{0,120}provided via SNI"
        r"[^\n]{0,160}",
        said(
            "The request names another host than the handshake did.",
            "handclasp doctor HOST:PORT --sni NAME",
            (c.ROUTE_MISDIRECTED, "the two virtual hosts verify clients differently"),
        ),
        _KERNEL,
    ),
    rule(
        "access failed",
        ("ah02229", "ah02228", "ah02219"),
        r"AH022(?:29|28|19)[^\n]{0,160}",
        said(
            "The certificate was accepted, and its owner is not let in.",
            "grep -rn SSLRequire /etc/apache2 /etc/httpd",
            (c.CLIENT_IDENTITY_NOT_ALLOWED, "SSLRequire or Require ssl-verify-client says no"),
            (c.CLIENT_CERT_MISSING, "the rule looks at a certificate that was optional and did not come"),
        ),
        _KERNEL,
    ),
    rule(
        "forgotten pair",
        ("ah02565", "do not match"),
        r"(?:AH02565: )?Certificate and private key [^\n]{0,160}do not match",
        said(
            "Apache's key does not belong to its certificate.",
            SERVER_FILES_CHECK,
            (c.SERVER_KEY_MISMATCH, "the key is not the certificate's"),
        ),
        _INIT,
    ),
    rule("server name", "ah01909", r"AH01909[^\n]{0,160}", answers.NAME, _INIT),
    rule(
        "proxied server",
        ("ah02411", "ah02004", "ah02005", "ah02003", "ssl proxy"),
        r"(?:AH02(?:411|003|004|005)|SSL Proxy)"
        r"[^\n]{0,160}",
        answers.UPSTREAM,
        _IO,
    ),
    rule(
        "configured files",
        ("ah02572", "ah02561", "ah02562", "ah02312"),
        r"AH02(?:572|561|562|312)[^\n]{0,120}",
        said(
            "Apache cannot use the certificate or key that it is configured with.",
            "apachectl configtest",
            (c.CONFIG_FILE_MISSING, "the file is missing or cannot be read"),
            (c.FILE_DAMAGED, "the file is not PEM"),
        ),
        _INIT,
    ),
)
