"""Targets and routes out of what a person wrote.

A target is ``HOST``, ``HOST:PORT``, ``[IPv6]:PORT``, a bare IPv6 address, a URL, or ``unix:/path``. A URL's scheme says
which protocol is spoken and so which port is usual: ``https://`` and ``imaps://`` are TLS at once, ``smtp://`` and
``postgres://`` begin in the clear and change over (STARTTLS).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from handclasp.findings import InvalidSetting
from handclasp.pki import names
from handclasp.probe.target import Proxy, Route, StartTLS, Target

HTTPS_PORT = 443
STARTTLS_PORTS = {
    StartTLS.SMTP: 25,
    StartTLS.IMAP: 143,
    StartTLS.POP3: 110,
    StartTLS.FTP: 21,
    StartTLS.LDAP: 389,
    StartTLS.POSTGRES: 5432,
    StartTLS.MYSQL: 3306,
    StartTLS.XMPP: 5222,
}

_CLEAR_SCHEMES = {one.value: one for one in StartTLS} | {"postgresql": StartTLS.POSTGRES}
_TLS_SCHEMES = {"https": HTTPS_PORT, "smtps": 465, "imaps": 993, "pop3s": 995, "ftps": 990, "ldaps": 636, "mqtts": 8883}
_PROXY_SCHEMES = {"http": "http", "socks5": "socks5", "socks5h": "socks5", "socks4a": "socks4a"}

_MAX_TEXT = 4096
_MAX_SOCKET_PATH = 107  # octets; sun_path with its final zero has 108
_MAX_LOGIN = 255  # octets; RFC 1929 §2

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")
_URL_SAFE = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_ALLOWED = (
    "HOST, HOST:PORT, [IPv6]:PORT, a URL such as https://api.example.org/health or smtp://mail.example.org, "
    "or unix:/path/of/a/socket"
)
_ALLOWED_SCHEMES = ", ".join(f"{one}://" for one in (*_TLS_SCHEMES, "tls", *_CLEAR_SCHEMES))
_ALLOWED_PORT = "a number from 1 to 65535"
_ALLOWED_PROXY = "http://[USER:PASSWORD@]HOST:PORT, socks5://HOST[:PORT] or socks4a://HOST[:PORT]"


def target(
    text: str, *, default_port: int = HTTPS_PORT, server_name: str | None = None, starttls: StartTLS | None = None
) -> Target:
    """The endpoint that ``text`` names. Raises InvalidSetting.

    ``default_port`` holds where neither the text nor its scheme names a port; with ``starttls`` that is the usual port
    of the protocol, unless another than 443 is given. ``server_name`` replaces the name of the text as SNI and as what
    the certificate must name.
    """
    written = text.strip()
    if not written:
        raise InvalidSetting("", "the target is empty", _ALLOWED)
    if len(written) > _MAX_TEXT:
        raise InvalidSetting("", f"the target is {len(written)} characters long", f"at most {_MAX_TEXT} characters")
    if not written.isprintable():
        raise InvalidSetting("", f"{_shown(written)} has characters that cannot be printed", _ALLOWED)
    asked = None if server_name is None else host(server_name)
    if written.startswith(("unix:/", "unix:.")):
        return _unix(written, asked, starttls)
    port, path = default_port, None
    if found := _SCHEME.fullmatch(written):
        scheme, rest = found[1].lower(), found[2]
        port, implied = _scheme(scheme, default_port)
        if implied is not None and starttls not in (None, implied):
            raise InvalidSetting(
                "",
                f"{_shown(written)} speaks {implied.value}, and --starttls says {starttls}",
                "the one or the other, or both alike",
            )
        starttls = implied or starttls
        place, path = _split_url(rest, written)
        if scheme != "https":
            path = None
    else:
        place = written
        if "@" in written:
            raise InvalidSetting("", "the target holds a login, which a probe does not use", "HOST:PORT without it")
        if "/" in written:
            raise InvalidSetting("", f"{_shown(written)} has a path but no scheme", _ALLOWED)
    if starttls is not None and port == HTTPS_PORT:
        port = STARTTLS_PORTS[starttls]
    name, given = _place(place, written)
    return Target(written, name, given or port, None, asked, starttls, path)


def route(*, proxy: str | None = None, proxy_protocol: int | None = None, address: str | None = None) -> Route:
    """The way to a target. ``proxy`` is a URL, ``proxy_protocol`` 1 or 2, ``address`` an IP address or a name that is
    connected to instead of the target's. Raises InvalidSetting, which never repeats a password."""
    if proxy_protocol not in (None, 1, 2):
        raise InvalidSetting("", f"there is no PROXY protocol version {proxy_protocol}", "1 or 2")
    return Route(
        None if proxy is None else _proxy(proxy.strip()),
        proxy_protocol,
        None if address is None else host(address.removeprefix("[").removesuffix("]")),
    )


def host(text: str) -> str:
    """A DNS name in lower case without its final dot, or an IP address in its usual form. Raises InvalidSetting.

    Names are those of ``pki.names.host``; underscores are let through, since internal names have them.
    """
    stripped = text.strip()
    plain = stripped[:-1] if len(stripped) > 1 and stripped.endswith(".") else stripped
    try:
        # An underscore is no letter of a host name (RFC 1123 §2.1), but resolvers and servers take it.
        found = names.host(plain.replace("_", "u"))
    except InvalidSetting:
        names.host(plain)
        raise
    return plain.lower() if isinstance(found, str) else str(found)


def _scheme(scheme: str, default_port: int) -> tuple[int, StartTLS | None]:
    if scheme in _CLEAR_SCHEMES:
        implied = _CLEAR_SCHEMES[scheme]
        return STARTTLS_PORTS[implied], implied
    if scheme in ("tls", "ssl"):
        return default_port, None
    if scheme in _TLS_SCHEMES:
        return _TLS_SCHEMES[scheme], None
    if scheme == "http":
        raise InvalidSetting("", "http:// has no TLS to look at", "https://, or HOST:PORT of a port that speaks TLS")
    raise InvalidSetting("", f"the scheme {_shown(scheme)} is not known", _ALLOWED_SCHEMES)


def _split_url(rest: str, written: str) -> tuple[str, str]:
    """The place and the path with the query, as a request has it; a fragment stays at home (RFC 9110 §7.1)."""
    at = min((rest.find(one) for one in "/?#" if one in rest), default=len(rest))
    place, path = rest[:at], rest[at:].split("#", 1)[0]
    if "@" in place:
        raise InvalidSetting("", "the URL holds a login, which a probe does not use", "the URL without USER:PASSWORD@")
    if not place:
        raise InvalidSetting("", f"{_shown(written)} names no host", _ALLOWED)
    if not path.startswith("/"):
        path = "/" + path
    return place, quote(path, safe=_URL_SAFE)


def _place(place: str, written: str) -> tuple[str, int | None]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[IPv6]``, ``[IPv6]:PORT`` or a bare IPv6 address."""
    if place.startswith("["):
        inside, closed, after = place[1:].partition("]")
        if not closed or ":" not in inside or (after and not after.startswith(":")):
            raise InvalidSetting("", f"{_shown(written)} has brackets that hold no IPv6 address", "[2001:db8::7]:443")
        return host(inside), _port(after[1:]) if after else None
    if place.count(":") > 1:
        return host(place), None
    name, colon, port = place.partition(":")
    return host(name), _port(port) if colon else None


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise InvalidSetting("", f"{_shown(text)} is no port", _ALLOWED_PORT)
    return int(text)


def _unix(written: str, server_name: str | None, starttls: StartTLS | None) -> Target:
    path = written.removeprefix("unix:")
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    if not path or path.endswith("/"):
        raise InvalidSetting("", f"{_shown(written)} names no socket", "unix:/path/of/a/socket")
    if (size := len(path.encode())) > _MAX_SOCKET_PATH:
        raise InvalidSetting("", f"the path of the socket has {size} octets", f"at most {_MAX_SOCKET_PATH} octets")
    return Target(written, "localhost", 0, path, server_name, starttls)


def _proxy(text: str) -> Proxy:
    found = _SCHEME.fullmatch(text)
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in _PROXY_SCHEMES:
        why = f"a proxy of the kind {_shown(scheme)} is not supported" if scheme else "the proxy is no URL"
        raise InvalidSetting("", why, _ALLOWED_PROXY)
    login, _, place = found[2].removesuffix("/").rpartition("@")
    user, colon, password = login.partition(":")
    for part in (user, password):
        if len(unquote(part).encode(errors="surrogatepass")) > _MAX_LOGIN or not unquote(part).isprintable():
            raise InvalidSetting("", "the proxy's login cannot be used", f"at most {_MAX_LOGIN} printable octets each")
    try:
        name, port = _place(place, "the proxy's address")
    except InvalidSetting as error:
        raise InvalidSetting("", f"the proxy's address: {error.why}", _ALLOWED_PROXY) from None
    if port is None and scheme == "http":
        raise InvalidSetting("", "the proxy's port is missing", "http://HOST:PORT")
    return Proxy(
        _PROXY_SCHEMES[scheme],
        name,
        port or 1080,
        unquote(user) if user else None,
        unquote(password) if colon else None,
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
