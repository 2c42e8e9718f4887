""".NET, Windows' Schannel, and IIS.

Texts: dotnet/runtime src/libraries/System.Net.Security/src/Resources/Strings.resx, ``SslPolicyErrors``,
``X509ChainStatusFlags``; Microsoft Learn: Schannel error codes (winerror.h SEC_E_*), IIS HTTP status codes.
"""

from __future__ import annotations

import re

from handclasp.doctor.words import answers
from handclasp.doctor.words.alerts import number_of, received
from handclasp.doctor.words.rule import CLIENT_CHECK, SERVER_CHECK, Rule, Speaker, Told, by_speaker, rule, said
from handclasp.findings import Code

c = Code
_CHAIN = ".NET X509ChainStatusFlags"
_RESX = "dotnet/runtime src/libraries/System.Net.Security/src/Resources/Strings.resx"
_WIN = "winerror.h, SEC_E_*"
_IIS = "Microsoft Learn: HTTP status codes in IIS"


def _alert(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = number_of(match[1])
    return None if number is None else received(number, speaker)


def _number(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = int(match[1])
    return received(number, speaker) if number <= 255 else None


_FAILED = said(
    "The handshake failed; this line does not say why.",
    "the inner exception; on Windows the System event log, source Schannel",
    (c.TLS_ALERT, "the inner exception has the reason"),
    (c.CLIENT_CERT_MISSING, "the server requires a certificate"),
    (c.TLS_VERSION_MISMATCH, "no version in common"),
    vague=True,
)


def _dated(word: str) -> tuple[Told, Told]:
    return (
        said(
            f"The server's certificate is {word}.",
            SERVER_CHECK,
            (c.SERVER_CERT_EXPIRED, "it is past its end"),
            (c.SERVER_CERT_NOT_YET_VALID, "or begins in the future"),
            (c.CLOCK_SKEW, "or the clock is wrong"),
        ),
        said(
            f"The client's certificate is {word}.",
            CLIENT_CHECK,
            (c.CLIENT_CERT_EXPIRED, "it is past its end"),
            (c.CLIENT_CERT_NOT_YET_VALID, "or begins in the future"),
            (c.CLOCK_SKEW, "or the clock is wrong"),
        ),
    )


RULES: tuple[Rule, ...] = (
    rule(
        "name mismatch",
        "remotecertificatenamemismatch",
        r"RemoteCertificateNameMismatch",
        answers.NAME,
        ".NET SslPolicyErrors",
    ),
    rule(
        "no certificate",
        "remotecertificatenotavailable",
        r"RemoteCertificateNotAvailable",
        answers.MISSING,
        ".NET SslPolicyErrors",
    ),
    rule(
        "partial chain",
        ("partialchain", "cert_e_chaining", "0x800b010a"),
        r"PartialChain|CERT_E_CHAINING|0x800B010A",
        by_speaker(
            said(
                "The client found no complete chain for the server's certificate.",
                SERVER_CHECK,
                (c.SERVER_CERT_UNKNOWN_CA, "the issuer is not known"),
                (c.SERVER_CHAIN_INCOMPLETE, "the server does not send an intermediate"),
            ),
            said(
                "The server found no complete chain for the client's certificate.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_UNKNOWN_CA, "the issuer is not known"),
                (c.CLIENT_CHAIN_INCOMPLETE, "the client does not send an intermediate"),
            ),
        ),
        _CHAIN,
    ),
    rule(
        "untrusted root",
        ("untrustedroot", "cert_e_untrustedroot", "0x800b0109", "0x80090325"),
        r"UntrustedRoot|0x800B0109|0x80090325|SEC_E_UNTRUSTED_ROOT",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _CHAIN,
    ),
    rule(
        "dates",
        ("nottimevalid", "cert_e_expired", "0x800b0101", "0x80090328"),
        r"NotTimeValid|CERT_E_EXPIRED|0x800B0101|0x80090328|SEC_E_CERT_EXPIRED",
        by_speaker(*_dated("outside its dates")),
        _CHAIN,
    ),
    rule(
        "revocation unknown",
        ("revocationstatusunknown", "offlinerevocation", "0x80092013", "0x80092012"),
        r"RevocationStatusUnknown|OfflineRevocation|0x8009201[23]",
        said(
            "Windows could not find out whether a certificate is revoked.",
            "certutil -urlfetch -verify client.cer",
            (c.REVOCATION_UNREACHABLE, "the CRL or OCSP responder did not answer"),
            (c.SERVER_CRL_EXPIRED, "the list is out of date"),
        ),
        _CHAIN,
    ),
    rule(
        "chain errors",
        "remotecertificatechainerrors",
        r"RemoteCertificateChainErrors",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        ".NET SslPolicyErrors",
    ),
    rule(
        "invalid by validation",
        "according to the validation procedure",
        r"The remote certificate (?:is invalid|was rejected)[^\n]{0,200}",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _RESX,
    ),
    rule(
        "0x80090326",
        ("0x80090326", "illegal_message", "unexpected or badly formatted"),
        r"0x80090326|SEC_E_ILLEGAL_MESSAGE|The message received was unexpected or badly formatted",
        said(
            "Windows got an alert, or something that is not TLS; most often the server refused the client.",
            CLIENT_CHECK,
            (c.CLIENT_CERT_MISSING, "the server requires a certificate, and none came"),
            (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
            (c.PROTO_TLS_TO_PLAIN, "the port does not speak TLS"),
            (c.CLIENT_CERT_UNKNOWN_CA, "the certificate was not accepted"),
        ),
        _WIN,
    ),
    rule(
        "0x80090331",
        ("0x80090331", "algorithm_mismatch", "do not possess a common algorithm"),
        r"0x80090331|SEC_E_ALGORITHM_MISMATCH|do not possess a common algorithm",
        said(
            "The two sides have no version or cipher suite in common.",
            CLIENT_CHECK,
            (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
            (c.TLS_VERSION_MISMATCH, "no version in common"),
        ),
        _WIN,
    ),
    rule(
        "0x80090322",
        ("0x80090322", "wrong_principal"),
        r"0x80090322|SEC_E_WRONG_PRINCIPAL|0x800B010F|CERT_E_CN_NO_MATCH",
        answers.NAME,
        _WIN,
    ),
    rule(
        "0x80090327",
        ("0x80090327", "cert_unknown"),
        r"0x80090327|SEC_E_CERT_UNKNOWN",
        lambda match, speaker: received(46, speaker),
        _WIN,
    ),
    rule(
        "0x80090308",
        ("0x80090308", "invalid_token"),
        r"0x80090308|SEC_E_INVALID_TOKEN|The token supplied to the function is invalid",
        answers.TLS_TO_PLAIN,
        _WIN,
    ),
    rule(
        "0x8009030e",
        ("0x8009030e", "no_credentials", "no credentials are available"),
        r"0x8009030E|SEC_E_NO_CREDENTIALS|No credentials are available in the security package",
        said(
            "Windows has no key that it may use for the certificate.",
            "certutil -store My",
            (c.CLIENT_KEY_MISMATCH, "the certificate has no private key in the store"),
            (c.CLIENT_FILE_UNREADABLE, "the account may not read the private key"),
        ),
        _WIN,
    ),
    rule(
        "alert from remote",
        "tls alert",
        r"(?:received|sent) a TLS alert[^\n]{0,20}: '?([A-Za-z]{4,40})'?",
        _alert,
        _RESX + ", net_auth_tls_alert",
    ),
    rule(
        "schannel event",
        ("fatal alert", "tls protocol defined"),
        r"TLS protocol defined fatal (?:alert|error) code is (\d{1,3})",
        _number,
        "Microsoft Learn: Schannel events 36887 and 36874",
    ),
    rule(
        "not TLS",
        ("frame size or a corrupted", "corrupted frame"),
        r"Cannot determine the frame size or a corrupted frame was received",
        answers.TLS_TO_PLAIN,
        _RESX,
    ),
    rule(
        "eof",
        ("unexpected eof or 0 bytes", "0 bytes from the transport"),
        r"Received an unexpected EOF or 0 bytes from the transport stream",
        answers.CLOSED,
        _RESX,
    ),
    rule("iis 403.7", "403.7", r"\b403\.7\b[^\n]{0,80}", answers.MISSING, _IIS),
    rule(
        "iis 403.13",
        "403.13",
        r"\b403\.13\b[^\n]{0,80}",
        said(
            "IIS takes the client's certificate for revoked, or could not ask.",
            "certutil -urlfetch -verify client.cer",
            (c.CLIENT_CERT_REVOKED, "it is revoked"),
            (c.REVOCATION_UNREACHABLE, "the revocation list could not be fetched"),
            (c.SERVER_CRL_EXPIRED, "the list is out of date"),
        ),
        _IIS,
    ),
    rule(
        "iis 403.16",
        "403.16",
        r"\b403\.16\b[^\n]{0,80}",
        said(
            "IIS does not trust the client's certificate.",
            "certutil -verify client.cer",
            (c.CLIENT_CERT_UNKNOWN_CA, "its root is not in the machine's store"),
            (c.CLIENT_CHAIN_INCOMPLETE, "an intermediate is missing"),
            (c.CLIENT_CERT_SELF_SIGNED, "a certificate that is no root lies among the roots"),
        ),
        _IIS,
    ),
    rule(
        "iis 403.17",
        "403.17",
        r"\b403\.17\b[^\n]{0,80}",
        said(
            "The client's certificate is outside its dates.",
            CLIENT_CHECK,
            (c.CLIENT_CERT_EXPIRED, "it is past its end"),
            (c.CLIENT_CERT_NOT_YET_VALID, "it begins in the future"),
            (c.CLOCK_SKEW, "the server's clock is wrong"),
        ),
        _IIS,
    ),
    rule(
        "iis 403.12",
        "403.12",
        r"\b403\.12\b[^\n]{0,80}",
        said(
            "The certificate is mapped to nobody who may do this.",
            "handclasp inspect client.pem",
            (c.CLIENT_IDENTITY_NOT_ALLOWED, "the mapping has no entry for it"),
        ),
        _IIS,
    ),
    rule(
        "ssl connection",
        ("ssl connection could not", "authentication failed", "authenticationexception"),
        r"The SSL connection could not be established"
        r"|AuthenticationException: Authentication failed[^\n]{0,60}|AuthenticationException",
        _FAILED,
        _RESX,
    ),
)
