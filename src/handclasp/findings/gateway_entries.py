"""Entries for what happens at the gateway: the handshake and the request."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.OK: Entry("Accepted.", "Nothing."),
        c.CLIENT_CERT_MISSING: Entry(
            "The caller sent no certificate, and this service requires one.",
            "Give the caller a certificate: handclasp client add NAME, then curl --cert and --key.",
        ),
        c.CLIENT_CERT_UNKNOWN_CA: Entry(
            "The caller's certificate was not issued by an authority that the server trusts.",
            "Use a certificate of one that it trusts (here: handclasp client add NAME), or have it trust this issuer.",
        ),
        c.CLIENT_CERT_SELF_SIGNED: Entry(
            "The caller's certificate is self-signed.",
            "Issue the caller a certificate here: handclasp client add NAME.",
        ),
        c.CLIENT_CERT_EXPIRED: Entry(
            "The caller's certificate has expired.",
            "Renew it: handclasp client renew NAME, and give the caller the new chain.",
        ),
        c.CLIENT_CERT_NOT_YET_VALID: Entry(
            "The caller's certificate is not valid yet.",
            "Compare the clocks of the gateway and of the machine that issued the certificate.",
        ),
        c.CLIENT_CERT_WRONG_EKU: Entry(
            "The caller's certificate is not meant for clients (its extended key usage lacks clientAuth).",
            "A server certificate was sent. Use one made by: handclasp client add NAME.",
        ),
        c.CLIENT_CERT_REVOKED: Entry(
            "The caller's certificate was revoked.",
            "If the caller should have access again: handclasp client add NAME.",
        ),
        c.CLIENT_CHAIN_INVALID: Entry(
            "The caller's certificate chain does not verify.",
            "Send the chain that handclasp wrote (chain.pem), unchanged.",
        ),
        c.CLIENT_CHAIN_TOO_DEEP: Entry(
            "The caller's certificate chain is too long.",
            "Send only the caller's certificate and its issuing authority (chain.pem).",
        ),
        c.CLIENT_IDENTITY_NOT_ALLOWED: Entry(
            "The caller's certificate names no identity of this trust domain.",
            "Issue a certificate with a SPIFFE ID here: handclasp client add NAME.",
        ),
        c.SERVER_CERT_UNKNOWN_CA: Entry(
            "The server's certificate does not lead to an authority that the client trusts.",
            "Give the client the authority that issued it (--cacert FILE); that of this gateway is in bundle.pem.",
        ),
        c.SERVER_CRL_EXPIRED: Entry(
            "The revocation list that counts has expired; a gateway then refuses every caller.",
            "At this gateway, start handclasp up: it signs a fresh list. Elsewhere, fetch the issuer's current one.",
        ),
        c.SERVER_CRL_MISSING: Entry(
            "There is no revocation list of the authority that issued this certificate.",
            "At this gateway, start handclasp up: it signs one. Elsewhere, fetch the issuer's.",
        ),
        c.TLS_VERSION_MISMATCH: Entry(
            "Client and server have no TLS version in common, or only one that is too old.",
            "Allow TLS 1.2 or 1.3 on both sides.",
        ),
        c.TLS_NO_SHARED_CIPHER: Entry(
            "Client and server have no cipher in common (this gateway takes ECDHE with AEAD only).",
            "Allow ECDHE with AES-GCM or ChaCha20-Poly1305 on both sides.",
        ),
        c.TLS_NO_SHARED_GROUP: Entry(
            "Client and server have no key-exchange group in common.",
            "Allow X25519 or P-256 on both sides.",
        ),
        c.TLS_SNI_UNRECOGNIZED: Entry(
            "The server does not know the host name that was asked for (SNI), or none was asked for.",
            "Call it by a name that it has; at this gateway, add the name to the hosts of a service.",
        ),
        c.PROTO_PLAIN_HTTP_TO_TLS: Entry(
            "The caller spoke plain HTTP to a TLS port.",
            "Call https:// instead of http://.",
        ),
        c.PROTO_NOT_TLS: Entry(
            "What came over the connection is not TLS.",
            "Check the port, and which program is at the other end.",
        ),
        c.NET_CLOSED_DURING_HANDSHAKE: Entry(
            "The other side closed the connection before the handshake was done.",
            "At a gateway, a port scan or a TCP health check does this. Otherwise look at the other side's log.",
        ),
        c.NET_HANDSHAKE_TIMEOUT: Entry(
            "The other side did not finish the handshake in time.",
            "Look for a slow or blocked network in between, and at the load of the other side.",
        ),
        c.POLICY_NO_RULE_ALLOWS: Entry(
            "The caller is known, but no rule of the service allows this request.",
            "Ask: handclasp can CALLER METHOD PATH. To allow it, add a rule in handclasp.yaml.",
        ),
        c.ROUTE_MISDIRECTED: Entry(
            "The Host of the request does not belong to the service that the connection was made for.",
            "Open a connection of its own for that host, or add the name to the service's hosts.",
        ),
        c.ROUTE_PATH_REJECTED: Entry(
            "The path can be read in two ways (an encoded slash, a NUL, a fragment, a dot segment with parameters).",
            "Send the path without %2F, %5C, %00, # and segments such as ..;x.",
        ),
        c.UPSTREAM_UNREACHABLE: Entry(
            "The API behind the gateway could not be reached.",
            "Start the API, or correct the service's upstream in handclasp.yaml.",
        ),
        c.UPSTREAM_UNTRUSTED: Entry(
            "The API's own certificate did not verify, so the gateway did not talk to it.",
            "Name the API's authority with upstream_ca, or correct the host in upstream.",
        ),
        c.UPSTREAM_RESET: Entry(
            "The API broke off the connection before it answered.",
            "Look at the API's own log at this time.",
        ),
        c.UPSTREAM_TIMEOUT: Entry(
            "The API did not answer in time.",
            "Look at the API's own log at this time.",
        ),
        c.GATEWAY_BAD_REQUEST: Entry(
            "The request is not valid HTTP, or larger than the gateway accepts.",
            "Look at what the caller sends.",
        ),
        c.GATEWAY_CLIENT_GONE: Entry(
            "The caller went away before the answer was complete.",
            "Nothing here; the caller may have a timeout of its own.",
        ),
        c.GATEWAY_OTHER: Entry(
            "The gateway answered by itself, for a reason that has no code yet.",
            "Read the reason beside it, and please report it.",
        ),
    }
