"""What the C library says where no connection came about, whatever program passes it on: the last that is tried."""

from __future__ import annotations

from handclasp.doctor.words import answers
from handclasp.doctor.words.rule import Rule, rule, said
from handclasp.findings import Code

c = Code
_NEXT = "nc -vz HOST PORT, and on the server: ss -ltn"
_SLOW = said(
    "The other side did not answer in time.",
    _NEXT,
    (c.NET_CONNECT_TIMEOUT, "a firewall drops the packets, or the host is down"),
    (c.NET_HANDSHAKE_TIMEOUT, "if the connection stood: the other side did not finish the handshake"),
    vague=True,
)
_NO_WAY = said(
    "There is no way to the address.", _NEXT, (c.NET_UNREACHABLE, "the network or the host is not reachable")
)

RULES: tuple[Rule, ...] = (
    rule("refused", "connection refused", r"connection refused", answers.NO_ANSWER, "errno(3) ECONNREFUSED"),
    rule(
        "no way",
        ("no route to host", "network is unreachable"),
        r"(?:no route to host|network is unreachable)",
        _NO_WAY,
        "errno(3) EHOSTUNREACH, ENETUNREACH",
    ),
    rule(
        "not in time",
        ("timed out", "etimedout"),
        r"(?:connection|operation|connect) timed out|ETIMEDOUT",
        _SLOW,
        "errno(3) ETIMEDOUT",
    ),
    rule("unknown host", "unknownhostexception", r"UnknownHostException", answers.NOT_RESOLVED, "java.net"),
)
