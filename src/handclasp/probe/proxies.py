"""The way through a proxy: HTTP CONNECT (RFC 9110 §9.3.6), SOCKS5 (RFC 1928, 1929), SOCKS4a; and the header of the
PROXY protocol (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt) for a server that stands behind one.

Names are resolved by the proxy. An error is PreludeFailed(NET_PROXY_REFUSED).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from handclasp.findings import Code
from handclasp.probe.dialogue import Octets, PreludeFailed, Script, Until, printable, stranger
from handclasp.probe.target import Proxy

MAX_HEAD = 16 * 1024
"""Octets of the status lines and headers of a proxy's answer, those before it (1xx) included."""

_HOST = re.compile(r"[!-~]{1,255}")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_CHALLENGE = re.compile(rb"proxy-authenticate:([^\r\n]*)", re.IGNORECASE)

# RFC 1928 §6
_SOCKS5_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}
_SOCKS4_REPLIES = {
    91: "request rejected or failed",
    92: "it cannot reach identd on this host",
    93: "identd names another user",
}

_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_LOCAL = b"\x20\x00\x00\x00"  # version 2, command LOCAL, family unspecified, no addresses


def through(proxy: Proxy, host: str, port: int) -> Script:
    """What makes the proxy connect to ``host:port``; the host is empty for a Unix socket, which none connects to."""
    if not host:
        raise _refused("no proxy connects to a Unix socket")
    if not _HOST.fullmatch(host):
        raise _refused(f'no proxy connects to "{printable(_octets(host))}"')
    if proxy.kind not in _KINDS:
        raise _refused(f"a proxy of the kind {proxy.kind!r} is not known; there are {', '.join(KINDS)}")
    yield from _KINDS[proxy.kind](proxy, host, port)


def proxy_protocol(version: int) -> Script:
    """The header that says: this connection is the sender's own, not one that it passes on. It is what load balancers
    send for their health checks, and the server takes the addresses of the connection itself: LOCAL in version 2,
    UNKNOWN in version 1."""
    if version not in (1, 2):
        raise _refused(f"there is no version {version} of the PROXY protocol, only 1 and 2")
    yield b"PROXY UNKNOWN\r\n" if version == 1 else _V2_SIGNATURE + _V2_LOCAL


def _connect(proxy: Proxy, host: str, port: int) -> Script:
    """RFC 9110 §9.3.6; credentials are Basic (RFC 7617), sent at once: a proxy may close after a 407."""
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = [f"CONNECT {to} HTTP/1.1".encode(), f"Host: {to}".encode()]
    if proxy.user is not None:
        if ":" in proxy.user:
            raise _refused("a user's name for an HTTP proxy cannot have a colon (RFC 7617)")
        pair = _octets(f"{proxy.user}:{proxy.password or ''}")
        head.append(b"Proxy-Authorization: Basic " + b64encode(pair))
    yield b"\r\n".join(head) + b"\r\n\r\n"
    what = "the HTTP proxy's answer"
    left, status, reason, asks = MAX_HEAD, 100, b"", ""
    while status < 200:
        first = yield Until(b"\n", MAX_HEAD, what, b"H")
        line = _STATUS.fullmatch(first)
        if line is None:
            raise _refused(stranger(what, first))
        status, reason = int(line[1]), line[2] or b""
        header = first
        while header not in (b"\r\n", b"\n"):
            left -= len(header)
            if left <= 0:
                raise _refused(f"the head of the proxy's answer is longer than {MAX_HEAD} octets")
            header = yield Until(b"\n", MAX_HEAD, what)
            if status == 407 and (challenge := _CHALLENGE.match(header)):
                asks = f'; it asks for "{printable(challenge[1])}"'
    if status >= 300:
        raise _refused(f"the proxy answered {status} {printable(reason)}".rstrip() + asks)


def _socks5(proxy: Proxy, host: str, port: int) -> Script:
    """RFC 1928; user and password by RFC 1929, offered only where there are some."""
    user, password = _octets(proxy.user or ""), _octets(proxy.password or "")
    if max(len(user), len(password)) > 255:
        raise _refused("a user's name and password for SOCKS5 have at most 255 octets (RFC 1929)")
    address = _socks5_address(host)
    yield b"\x05\x02\x00\x02" if user else b"\x05\x01\x00"
    _, method = yield Octets(2, "the SOCKS5 proxy's choice of a method", b"\x05")
    if method == 2 and user:
        yield b"\x01" + bytes((len(user),)) + user + bytes((len(password),)) + password
        _, status = yield Octets(2, "the SOCKS5 proxy's answer to the password")
        if status != 0:
            raise _refused("the proxy refused the user's name or password")
    elif method != 0:
        wants = "with a password or without" if user else "without a password"
        raise _refused(f"the proxy takes nobody {wants} (method {method:#04x})")
    yield b"\x05\x01\x00" + address + port.to_bytes(2, "big")
    what = "the SOCKS5 proxy's answer"
    _, reply, _, kind = yield Octets(4, what, b"\x05")
    if reply != 0:
        meaning = _SOCKS5_REPLIES.get(reply, "a reply that RFC 1928 does not have")
        raise _refused(f"the proxy answered {reply}: {meaning}")
    # The address that the proxy connects from is of no use here, but has to be read.
    if kind == 3:
        (size,) = yield Octets(1, what)
    elif kind in (1, 4):
        size = 4 if kind == 1 else 16
    else:
        raise _refused(f"the proxy's answer has an address of the unknown type {kind}")
    yield Octets(size + 2, what)


def _socks5_address(host: str) -> bytes:
    address = _ip(host)
    if address is not None:
        return (b"\x01" if address.version == 4 else b"\x04") + address.packed
    return b"\x03" + bytes((len(host),)) + host.encode()


def _socks4a(proxy: Proxy, host: str, port: int) -> Script:
    """The name stands behind the impossible address 0.0.0.1; a proxy that knows only SOCKS4 refuses that."""
    user, address = _octets(proxy.user or ""), _ip(host)
    if proxy.password is not None:
        raise _refused("SOCKS4a has no passwords: use socks5, or leave the password away")
    if b"\x00" in user or len(user) > 255:
        raise _refused("a user's name for SOCKS4a has at most 255 octets, and none is NUL")
    if isinstance(address, IPv6Address):
        raise _refused("SOCKS4a has no IPv6 addresses: use socks5, or a name")
    name = b"" if address is not None else host.encode() + b"\x00"
    packed = b"\x00\x00\x00\x01" if address is None else address.packed
    yield b"\x04\x01" + port.to_bytes(2, "big") + packed + user + b"\x00" + name
    answer = yield Octets(8, "the SOCKS4 proxy's answer", b"\x00")
    if answer[1] != 90:
        meaning = _SOCKS4_REPLIES.get(answer[1], "a reply that SOCKS4 does not have")
        raise _refused(f"the proxy answered {answer[1]}: {meaning}")


def _octets(text: str) -> bytes:
    """As it stood on the command line, whatever its encoding."""
    return text.encode("utf-8", "surrogateescape")


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refused(what: str) -> PreludeFailed:
    return PreludeFailed(Code.NET_PROXY_REFUSED, what)


_KINDS: dict[str, Callable[[Proxy, str, int], Script]] = {"http": _connect, "socks5": _socks5, "socks4a": _socks4a}
KINDS = tuple(_KINDS)
"""What ``Proxy.kind`` may be."""
