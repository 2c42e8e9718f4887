"""What a probe, a monitor and a scan find, and what their credentials are refused for."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.REVOCATION_UNREACHABLE: Explanation(
            "The address of the CRL or the responder does not answer from here: no way out of the network, a host "
            "that was retired, or an https or ldap address that is not fetched.",
            "The finding has the address and what came instead: a status, a timeout, a page that is no CRL. What it "
            "says of the certificate is: not known.",
            "RFC 5280 §4.2.1.13 (distribution points); RFC 6960 §3",
            "http://crl.example.org/issuing.crl: HTTP 404",
        ),
        c.PIN_MISMATCH: Explanation(
            "The certificate was renewed with a new key, and the pin is of the old one; the service moved to another "
            "provider; or somebody is in between.",
            "No SHA-256 of a public key in the chain is among the pins. The finding has the hashes that were seen. "
            "curl: (90) SSL public key does not match pinned public key.",
            "RFC 7469 §2.4 (how a pin is made)",
            "curl: (90) SSL: public key does not match pinned public key",
        ),
        c.CHECK_ISSUER_CHANGED: Explanation(
            "The service changed its provider of certificates, or a proxy that inspects TLS shows certificates of its "
            "own authority.",
            "The issuer in the finding is not the one that the monitor expects; the chain may verify well, by an "
            "authority that was installed for the proxy.",
            "none: a rule of Handclasp (docs/monitoring.md)",
            "the issuer is CN=Corporate Proxy CA instead of CN=Example Issuing CA",
        ),
        c.CHECK_CHAIN_CHANGED: Explanation(
            "The certificate was renewed with another key or by another issuer between two checks. Mostly it is a "
            "renewal; it is told, because an attack looks the same.",
            "Both keys and issuers, before and now, are in the finding. It ends with the next check.",
            "none: a rule of Handclasp (docs/monitoring.md)",
            "the key is 9f2c... instead of 41ab..., the issuer is the same",
        ),
        c.CHECK_TLS_VERSION: Explanation(
            "The server still takes an old version, after a change of its configuration, or on one of several "
            "machines behind the name.",
            "The version that was agreed is below the one that the monitor demands.",
            "RFC 8996 (TLS 1.0 and 1.1); RFC 9325 §3.1.1",
            "TLS 1.2 was agreed, and at least 1.3 is expected",
        ),
        c.CHECK_CLIENT_CERTIFICATE: Explanation(
            "Somebody changed the server to take callers without a certificate, or to demand one, and the monitor "
            "expects the other. A new server behind the same name without that setting is typical.",
            "The finding says which was seen: required, required at HTTP, optional, or not asked for. On TLS 1.3 the "
            "refusal comes as alert 116 after the handshake.",
            "RFC 8446 §4.3.2",
            "a client certificate is optional instead of required",
        ),
        c.CHECK_STATUS: Explanation(
            "The service answers with an error, redirects to a login, or the path of the monitor no longer exists.",
            "The status in the finding is not among the expected ones: 401 and 403 are about who asks, 404 about the "
            "path, 5xx about the service.",
            "RFC 9110 §15",
            "the status is 503 instead of 200",
        ),
        c.CHECK_HEADER: Explanation(
            "A header was removed or changed by a new version, a proxy or a cache in front.",
            "The finding names the header and what was expected of it.",
            "RFC 9110 §5",
            "strict-transport-security is missing",
        ),
        c.CHECK_BODY: Explanation(
            "The service answers with an error page under status 200, its answer has another form than before, or it "
            "is longer than is looked at.",
            "The finding names the pattern or the JSON path that does not fit. The body itself is not kept.",
            "none: a rule of Handclasp (docs/monitoring.md); RFC 8259 for JSON",
            'in the body, status is not "ok"',
        ),
        c.CHECK_LATENCY: Explanation(
            "The service or the way to it is slow: load, a cold start, a resolver that times out first, a longer "
            "route.",
            "The time of each step (resolve, connect, TLS, answer) is in the result, and shows which one grew.",
            "none: a rule of Handclasp (docs/monitoring.md)",
            "it took 2.310 s, and 1.000 s is the most",
        ),
        c.CHECK_FILE: Explanation(
            "The watched file was removed, is half written while it is replaced, is in another form, or this user may "
            "not read it.",
            "The finding has the file and the reason. The certificates that were known from it are still told of.",
            "none: a rule of Handclasp (docs/monitoring.md)",
            "/etc/nginx/tls/orders.pem: permission denied",
        ),
        c.CREDENTIAL_EXPIRED: Explanation(
            "The client certificate that the probe or monitor shows has ended; nobody renews it, since it belongs to "
            "no service.",
            "It is not shown at all, and the finding says when it ended. The server would send alert 45 or, as nginx, "
            "400.",
            "RFC 5280 §4.1.2.5",
            "the credential partner-a ended on 2026-11-20 12:00 UTC",
        ),
        c.CREDENTIAL_UNKNOWN: Explanation(
            "The name or pattern of a credential is mistyped, or it was removed while a monitor still names it.",
            "The command or the check is refused with this code; handclasp credential list has those that there are.",
            "none: a rule of Handclasp (docs/reference.md)",
            "monitors.orders.credential: partner-b",
        ),
        c.CREDENTIAL_UNUSABLE: Explanation(
            "The key does not belong to the certificate, the certificate is an authority's, or the kind of key cannot "
            "sign for what the server takes.",
            "The message says which. It is found when it is added, or when it should be shown.",
            "RFC 8446 §4.4.2.3 (what a client may send)",
            "the key is not that of the certificate",
        ),
        c.CREDENTIAL_WITHHELD: Explanation(
            "The server did not prove who it is: unknown authority, another name, no proof of its key. What a client "
            "certificate says is not told to strangers.",
            "No certificate of ours went over the wire, and the finding beside it says what is wrong with the server.",
            "none: a rule of Handclasp (docs/security.md); RFC 8446 §4.4.2.4 lets a client choose",
            "it was not shown, since the server's certificate is of an unknown authority",
        ),
        c.CREDENTIAL_REFUSED: Explanation(
            "The server does not take the certificate that was shown: not its authority, expired, revoked, or not the "
            "right purpose. Which one, only its log or the doctor with its trust file can say.",
            "A fatal alert after our Certificate (42, 43, 44, 45, 46, 48), on TLS 1.3 at the first read; or HTTP 400 "
            "from nginx, 403 from others.",
            "RFC 8446 §4.4.2.4 and §6.2",
            "the server sent alert 48 (unknown_ca) after our certificate",
        ),
        c.MONITOR_UNKNOWN: Explanation(
            "The name is mistyped, or the monitor was removed from handclasp.yaml.",
            "The command is refused with this code; handclasp monitor list has those that there are.",
            "none: a rule of Handclasp (docs/monitoring.md)",
            "handclasp monitor show order",
        ),
        c.ALERT_NOT_SENT: Explanation(
            "The receiver does not answer, refuses the token or the message, or its address is wrong. After a day it "
            "is given up.",
            "The log has the receiver and its answer (HTTP 401, 404, 429, an SMTP 5xx); it is tried again with "
            "growing pauses.",
            "none: a rule of Handclasp (docs/monitoring.md)",
            "The receiver chat could not be told: HTTP 404",
        ),
        c.SCAN_UNUSABLE: Explanation(
            "The file of results is another program's or damaged, another scan writes it, the disk is full, or the "
            "directory is not there.",
            "The scan ends with the file and the reason; what was written before stays.",
            "none: a rule of Handclasp (docs/how-to/scan.md)",
            "results.jsonl cannot be used: no space left on device",
        ),
    }
