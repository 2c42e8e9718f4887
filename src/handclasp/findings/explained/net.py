"""What the way to an endpoint can fail in, and what stays undecided."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.NET_DNS_FAILURE: Explanation(
            "The name is mistyped, not published yet, or known only to a resolver of another network (split DNS, a "
            "cluster's own). In containers the search domain or the resolver is often missing.",
            "It fails before anything is sent. curl: (6) Could not resolve host. Node: ENOTFOUND or EAI_AGAIN. "
            'Java: UnknownHostException. Go: "no such host". Python: gaierror -2.',
            "RFC 1035 §4.1.1 (NXDOMAIN, SERVFAIL)",
            "curl: (6) Could not resolve host: orders.internal.example.org",
        ),
        c.NET_CONNECTION_REFUSED: Explanation(
            "The program does not run, listens on another port or only on 127.0.0.1, or a firewall answers with a "
            "reset. In a cluster the service may have no ready endpoint.",
            "At once, at connect. curl: (7) Failed to connect: Connection refused. errno ECONNREFUSED in Node, Java "
            'ConnectException, Go "connect: connection refused".',
            "RFC 9293 §3.5.2 (a reset in answer to SYN)",
            "dial tcp 192.0.2.10:8443: connect: connection refused",
        ),
        c.NET_UNREACHABLE: Explanation(
            "There is no route: the wrong network, a VPN that is down, an IPv6 address on a machine without IPv6, or "
            "a router that forbids it.",
            'At connect: "No route to host" (EHOSTUNREACH) or "Network is unreachable" (ENETUNREACH), at once or '
            "after some seconds.",
            "RFC 792 and RFC 4443 §3.1 (destination unreachable)",
            "connect to 2001:db8::10 port 8443 failed: Network is unreachable",
        ),
        c.NET_CONNECT_TIMEOUT: Explanation(
            "A firewall or security group drops the packets, the host is down, or its queue of new connections is "
            "full. A wrong address that belongs to nobody looks the same.",
            'Nothing comes back until the client gives up. curl: (28) Connection timed out. Go: "i/o timeout". '
            'Java: "connect timed out". Node: ETIMEDOUT. ss -tn shows SYN-SENT.',
            "RFC 9293 §3.8.3 (retransmission); RFC 6298",
            "curl: (28) Failed to connect to orders.example.org port 8443 after 10002 ms: Connection timed out",
        ),
        c.NET_HANDSHAKE_TIMEOUT: Explanation(
            "The connection is open and the other side says nothing or stops midway: it waits for a protocol to begin "
            "otherwise (STARTTLS, a PROXY header), is overloaded, or large packets are lost on the way (MTU).",
            'TCP connects at once and no ServerHello comes, or nothing after it. Go: "net/http: TLS handshake '
            'timeout". HAProxy: "Timeout during SSL handshake". Envoy: transport_socket_timeout. A loss of large '
            "packets shows as a handshake that stops at the certificate.",
            "none: a limit of each program; RFC 8446 sets no time",
            "net/http: TLS handshake timeout",
        ),
        c.NET_CLOSED_DURING_HANDSHAKE: Explanation(
            "A port scan or a TCP health check opens and closes the connection. Otherwise the other side had no "
            "configuration for the name, ran into a fault of its own, or does not send alerts (Envoy and HAProxy for "
            "plain HTTP).",
            "The end of the stream without an alert. curl: (35) unexpected eof while reading. Python: "
            'SSLEOFError. Node: "Client network socket disconnected before secure TLS connection was '
            'established". HAProxy: "Connection closed during SSL handshake".',
            "RFC 8446 §6.1 (an end without close_notify)",
            "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to orders.example.org:8443",
        ),
        c.NET_RESET_DURING_HANDSHAKE: Explanation(
            "Something broke the connection by force: Envoy where no filter chain fits the SNI, a firewall that "
            "inspects TLS and dislikes the name, a balancer without a healthy server, or a server process that died. "
            "A TLS 1.3 server that refused the client may also reset before its alert was read.",
            'ECONNRESET. curl: (35) Recv failure: Connection reset by peer. Go: "read: connection reset by peer". '
            "Java: SocketException: Connection reset. The alert is lost where the client was writing: read first.",
            "RFC 9293 §3.5.3 (reset processing)",
            "curl: (35) Recv failure: Connection reset by peer",
        ),
        c.NET_PROXY_REFUSED: Explanation(
            "The proxy wants credentials, does not allow the target or its port (many allow CONNECT to 443 only), or "
            "cannot reach it. Or a PROXY header was sent to a port that does not take it.",
            "The proxy's answer is with the finding: HTTP 403, 407 or 502 to CONNECT, a SOCKS5 reply other than 0. "
            "curl: (56) CONNECT tunnel failed, response 407.",
            "RFC 9110 §9.3.6 (CONNECT) and §15.5.8 (407); RFC 1928 §6 (SOCKS5); the PROXY protocol of HAProxy",
            "curl: (56) CONNECT tunnel failed, response 403",
        ),
        c.CLOCK_SKEW: Explanation(
            "One machine has a wrong time: a virtual machine that slept, a container host without NTP, a board "
            "without a battery, a time zone taken for UTC. Short-lived certificates show it first.",
            "A certificate that is valid by every other clock is refused as expired (alert 45) or not yet valid "
            "(alert 42 or 45). The Date header of the other side, or its log, is minutes or hours off.",
            "RFC 5280 §4.1.2.5 (times are UTC); RFC 5905 (NTP)",
            "timedatectl says: System clock synchronized: no",
        ),
        c.UNKNOWN: Explanation(
            "Several causes fit what was seen equally well: nginx's one text for every bad certificate, alert 48 or "
            "40, an end without a word; or the examination itself did not come to an end. It is said so rather than "
            "guessed.",
            "Whatever was seen is printed beside it, with the step at which it ended. What decides is nearly always "
            "on the server: nginx error_log at level info, HAProxy error-log-format with ssl_c_err, Envoy's listener "
            "access log, Caddy's debug log, Apache LogLevel ssl:info.",
            "none: a rule of Handclasp (docs/reference.md): nothing is guessed",
            "400 The SSL certificate error",
        ),
    }
