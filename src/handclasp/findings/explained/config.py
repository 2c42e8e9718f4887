"""What is wrong with settings: our own, and those of a server that is looked at."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.CONFIG_INVALID: Explanation(
            "A key is mistyped, a value is of the wrong type (YAML reads no and 08 in its own way), or two settings "
            "exclude each other. On the command line: an option that cannot be read.",
            "The message has the file, the line and the path of the setting, with what may stand there. Nothing was "
            "changed, and a running gateway goes on with what it had.",
            "none: a rule of Handclasp (docs/reference.md, Settings)",
            "services.orders.listen: 99999 is no port",
        ),
        c.CONFIG_MISSING: Explanation(
            "The command runs in another directory than the gateway, no --dir was given, or nothing was ever set up.",
            "The message names the directory in which it looked.",
            "none: a rule of Handclasp (docs/tutorial.md)",
            "There is no log in state: no gateway ever ran there.",
        ),
        c.CONFIG_CONFLICT: Explanation(
            "An option says something else than handclasp.yaml or what the state directory was made with: another "
            "trust domain, another database, an address that is set in the file.",
            "The message names both. Nothing was changed.",
            "none: a rule of Handclasp (docs/reference.md)",
            "The trust domain cannot be changed: the authority here is of example.org.",
        ),
        c.CONFIG_NO_TRUST_ROOTS: Explanation(
            "The machine has no file of authorities (a minimal container image), or the file that upstream_ca names "
            "has no certificate.",
            "It fails at start, before anything is sent: an https upstream is never called without verifying it.",
            "none: a rule of Handclasp (docs/security.md); RFC 5280 §6.1.1 (d) on why an anchor is needed",
            "The https upstream of orders cannot be verified: no file of certificate authorities was found on this "
            "system",
        ),
        c.CONFIG_UNREADABLE: Explanation(
            "The configuration has a mistake of grammar, includes a file that is not there, is made by a template "
            "that was not filled in, or is of a product that is not known.",
            "The product's own test says it with the line: nginx -t, haproxy -c, apachectl configtest, envoy --mode "
            "validate, caddy validate.",
            "none: the grammar of each product's configuration",
            'nginx: [emerg] unexpected "}" in /etc/nginx/conf.d/orders.conf:14',
        ),
        c.CONFIG_FILE_MISSING: Explanation(
            "A path is mistyped, relative to another directory than one thinks (nginx: to the directory of its "
            "configuration), or the secret was not mounted.",
            'The server does not start, or keeps the old configuration: nginx "cannot load certificate ... No '
            'such file or directory", HAProxy "unable to stat SSL certificate", Apache AH00526 '
            '"SSLCertificateFile: file does not exist or is empty".',
            "none: a matter of the product and the operating system",
            'nginx: [emerg] cannot load certificate "/etc/nginx/tls/server.pem": BIO_new_file() failed (SSL: '
            "error:80000002:system library::No such file or directory)",
        ),
        c.CONFIG_DEPTH_TOO_SMALL: Explanation(
            "The depth is 1 if nothing is set, in nginx and Apache, and the clients' authority has two levels below "
            "its root. It shows when a new intermediate is put in.",
            "Clients of the longer chain get 400 from nginx and alert 80 from Apache, with verify code 22 "
            '("certificate chain too long"); others get in.',
            "none: a limit of the product (nginx ssl_verify_depth, Apache SSLVerifyDepth, Envoy max_verify_depth)",
            "ssl_verify_depth 1;",
        ),
        c.CONFIG_NO_REVOCATION: Explanation(
            "No CRL is configured (nginx ssl_crl, HAProxy crl-file, Apache SSLCARevocationFile with "
            "SSLCARevocationCheck, Envoy crl), so that revocation has no effect at this server. Caddy has no such "
            "setting, and Envoy's SPIFFE validator ignores it.",
            "A revoked certificate gets in. Nothing in a log tells of it.",
            "RFC 5280 §6.3 (revocation is checked only if the verifier does so)",
            "ssl_verify_client on; without ssl_crl",
        ),
        c.CONFIG_PUBLIC_ROOTS: Explanation(
            "The system's list of authorities was given for client certificates, as it is for servers. Everybody can "
            "get a certificate from one of those, so the certificate alone proves nothing.",
            "The trust file for clients has well-known roots, more than a hundred of them. In a handshake the server "
            "names them all, or the list is empty.",
            "RFC 5280 §6.1.1 (d) (the anchors are the verifier's choice); NIST SP 800-52 Rev. 2 §3.5 on the anchors "
            "for clients",
            "ssl_client_certificate /etc/ssl/certs/ca-certificates.crt;",
        ),
        c.CONFIG_WEAK_PROTOCOL: Explanation(
            "The list of versions was written years ago for old clients, or SSLv3 and TLS 1.0 are in it by a copied "
            "line.",
            "A client with TLS 1.0 or 1.1 gets in: openssl s_client -tls1_1 with a low security level. Other scanners "
            "mark it.",
            "RFC 8996; RFC 9325 §3.1.1",
            "ssl_protocols TLSv1 TLSv1.1 TLSv1.2;",
        ),
        c.CONFIG_RESUMPTION: Explanation(
            "Session tickets and caches are on if nothing is set, in nginx, HAProxy, Envoy and Apache. A resumed "
            "session skips the certificate, so one that expired or was revoked since then goes on.",
            "A client whose certificate has just expired still gets in on a resumed session, and is refused on a full "
            "handshake. nginx: $ssl_session_reused is r.",
            "RFC 8446 §4.6.1 and §2.2 (a resumed handshake has no certificate); RFC 5077 §5",
            "ssl_session_cache shared:SSL:10m; ssl_session_timeout 1d;",
        ),
        c.CONFIG_IDENTITY_HEADER: Explanation(
            "The proxy sets the header with the caller's name only where a certificate was shown, or on some paths, "
            "and passes the client's own header on elsewhere. A name with underscores, or a value that is empty, "
            "slips by.",
            "curl -H with that header and no certificate reaches the API with the invented name. In Envoy "
            "OVERWRITE_IF_EXISTS_OR_ADD leaves the caller's value where its own is empty.",
            "RFC 9440 §2.4 and §4 (a proxy must remove such fields of the client)",
            'curl -H "X-Client-DN: CN=admin" https://orders.example.org/',
        ),
    }
