"""Entries for endpoints: what a probe, a scan or a monitor finds when it reaches for one."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.MTLS_NOT_ENFORCED: Entry(
            "The server takes callers without a certificate, although it should refuse them.",
            "Make the server require client certificates (nginx: ssl_verify_client on; HAProxy: verify required).",
        ),
        c.MTLS_OPTIONAL: Entry(
            "The server asks for a client certificate, and goes on without one.",
            "Require it, or see that every path behind it checks who the caller is.",
        ),
        c.NET_DNS_FAILURE: Entry(
            "The name of the endpoint cannot be resolved to an address.",
            "Check the spelling and the resolver: dig NAME; or name the address with --address.",
        ),
        c.NET_CONNECTION_REFUSED: Entry(
            "Nothing listens on this port, or a firewall says so.",
            "Check the port, and on the server that it runs: ss -ltn.",
        ),
        c.NET_UNREACHABLE: Entry(
            "There is no way to this address.",
            "Check the network, the route and the address.",
        ),
        c.NET_CONNECT_TIMEOUT: Entry(
            "The address did not answer in time.",
            "A firewall drops packets, or the host is down: try from another network.",
        ),
        c.NET_RESET_DURING_HANDSHAKE: Entry(
            "The connection was reset in the middle of the handshake.",
            "Look at the server's log, and for a firewall or proxy that inspects TLS.",
        ),
        c.NET_PROXY_REFUSED: Entry(
            "The proxy on the way did not make the connection.",
            "Check the proxy's address, its credentials, and that it allows this target.",
        ),
        c.PROTO_TLS_TO_PLAIN: Entry(
            "The port speaks plain HTTP, not TLS.",
            "Use the TLS port (often 443 or 8443), or enable TLS on this one.",
        ),
        c.PROTO_STARTTLS_REFUSED: Entry(
            "The server does not change over to TLS.",
            "Enable STARTTLS on the server, or leave --starttls away for a port that speaks TLS at once.",
        ),
        c.PROTO_HTTP_MALFORMED: Entry(
            "What came back over TLS is not HTTP.",
            "Check that the port speaks HTTP/1.1.",
        ),
        c.TLS_ALERT: Entry(
            "The server ended the handshake with an alert.",
            "Its number and step are beside it; the server's log says why.",
        ),
        c.TLS_MALFORMED: Entry(
            "The server does not keep to the TLS protocol.",
            "Update the server, or look for a device on the way that changes what is sent.",
        ),
        c.TLS_SERVER_NOT_PROVED: Entry(
            "The server could not show that it has the private key of its certificate.",
            "Someone may be between: compare the fingerprint by another way. Or its key does not fit: check its files.",
        ),
        c.SERVER_CERT_EXPIRED: Entry(
            "The server's certificate, or one above it, has expired.",
            "Renew the certificate that is named, and reload the server.",
        ),
        c.SERVER_CERT_EXPIRES_SOON: Entry(
            "A certificate ends within the time that was set for a warning.",
            "Renew it, and reload the server.",
        ),
        c.SERVER_CERT_NOT_YET_VALID: Entry(
            "The server's certificate is not valid yet.",
            "Compare the clocks; the certificate begins later.",
        ),
        c.SERVER_CERT_HOSTNAME_MISMATCH: Entry(
            "The server's certificate does not name the host that was asked for.",
            "Use a name of the certificate, or issue one that names this host.",
        ),
        c.SERVER_CERT_SELF_SIGNED: Entry(
            "The server's certificate is self-signed, and not trusted itself.",
            "Trust it with --cacert if it is the one you expect, or issue it from an authority.",
        ),
        c.SERVER_CHAIN_INCOMPLETE: Entry(
            "The server does not send the intermediate certificate that leads to a trusted authority.",
            "Put the intermediate behind the server's certificate in its chain file.",
        ),
        c.SERVER_CHAIN_INVALID: Entry(
            "The server's chain breaks a rule of path validation.",
            "The findings name each certificate and rule.",
        ),
        c.SERVER_CERT_WRONG_EKU: Entry(
            "The server's certificate is not meant for servers (extended key usage).",
            "Issue one with serverAuth.",
        ),
        c.SERVER_CERT_REVOKED: Entry(
            "The server's certificate, or one above it, is revoked.",
            "Replace the certificate.",
        ),
        c.SERVER_CERT_WEAK: Entry(
            "A key or a signature of the server's chain is too weak.",
            "Issue it anew with P-256 or RSA of at least 2048 bits, and SHA-256.",
        ),
        c.SERVER_STAPLE_EXPIRED: Entry(
            "The stapled OCSP response is out of date, or not for this certificate.",
            "Check that the server can reach its OCSP responder.",
        ),
        c.REVOCATION_UNREACHABLE: Entry(
            "Whether a certificate is revoked could not be found out.",
            "Check that the address of the CRL or the OCSP responder can be reached.",
        ),
        c.PIN_MISMATCH: Entry(
            "None of the pinned keys is in the chain.",
            "If the key was changed on purpose, pin the new one too; otherwise find out who answers there.",
        ),
        c.CHECK_ISSUER_CHANGED: Entry(
            "The certificate comes from another issuer than expected.",
            "If that is on purpose, change the monitor; otherwise find out who answers there.",
        ),
        c.CHECK_CHAIN_CHANGED: Entry(
            "The certificate's issuer or key is not that of the check before.",
            "If it was replaced on purpose, nothing: the new one is compared with from now on.",
        ),
        c.CHECK_TLS_VERSION: Entry(
            "The server took a TLS version below the one that is demanded.",
            "Allow only newer versions on the server.",
        ),
        c.CHECK_CLIENT_CERTIFICATE: Entry(
            "The server does not ask for client certificates as the monitor expects.",
            "Correct the server's setting, or the monitor's.",
        ),
        c.CHECK_STATUS: Entry(
            "The status of the HTTP response is not one that is expected.",
            "Look at the response and the service's log.",
        ),
        c.CHECK_HEADER: Entry(
            "A header of the HTTP response is missing or not as expected.",
            "Look at the response and the service's configuration.",
        ),
        c.CHECK_BODY: Entry(
            "The body of the HTTP response is not as expected.",
            "Look at the response and the service's log.",
        ),
        c.CHECK_LATENCY: Entry(
            "The answer took longer than the monitor allows.",
            "Look at the load of the service and the way to it.",
        ),
        c.CHECK_FILE: Entry(
            "A file that is watched cannot be read as certificates.",
            "The message names the file and the reason.",
        ),
        c.CREDENTIAL_EXPIRED: Entry(
            "The client certificate that should be shown has expired.",
            "Replace it: handclasp credential add with the same pattern and --replace.",
        ),
        c.CREDENTIAL_UNKNOWN: Entry(
            "There is no credential of this name.",
            "See which there are: handclasp credential list.",
        ),
        c.CREDENTIAL_UNUSABLE: Entry(
            "The certificate and the key cannot be used as a credential.",
            "The message says why; a credential is a certificate with its private key, and the chain above it.",
        ),
        c.CREDENTIAL_WITHHELD: Entry(
            "The credential was not shown, since the server did not prove who it is.",
            "Correct what is wrong with the server's certificate, or name its authority with --cacert.",
        ),
        c.CREDENTIAL_REFUSED: Entry(
            "The server refused the client certificate that was shown.",
            "Compare its issuer with the authorities that the server names, and look at the server's log.",
        ),
        c.MONITOR_UNKNOWN: Entry(
            "There is no monitor of this name.",
            "See which there are: handclasp monitor list.",
        ),
        c.ALERT_NOT_SENT: Entry(
            "An alert could not be sent.",
            "The message says why; it is tried again for a day.",
        ),
        c.SCAN_UNUSABLE: Entry(
            "The results of a scan cannot be read or written.",
            "The message names the file and the reason.",
        ),
        c.UNKNOWN: Entry(
            "What was seen does not decide what is wrong.",
            "Look at the evidence beside it, and at the server's log.",
        ),
    }
