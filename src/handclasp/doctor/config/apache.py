"""Apache httpd: the virtual hosts, and the paths in them, that ask for client certificates.

Source: the documentation of mod_ssl and mod_headers of httpd 2.4. mod_ssl counts SSLVerifyDepth in certificates above
the client's own, the trusted root among them: the default, 1, leaves no room for an intermediate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handclasp.doctor.config import apache_headers
from handclasp.doctor.config.apache_syntax import Directive, absolute, parse
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.config.nginx_tree import Find, matching
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.exposure import in_configuration
from handclasp.findings import Code

_MODES = {
    "require": Verify.REQUIRED,
    "optional": Verify.OPTIONAL,
    "optional_no_ca": Verify.OPTIONAL_UNVERIFIED,
}
_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_PATHS = frozenset({"location", "locationmatch", "directory", "directorymatch", "files", "filesmatch", "if", "proxy"})
_HEEDED = _PATHS | {"listen", "require", "rewritecond", "requestheader", "servername", "proxypass", "proxypassmatch"}
_HEEDED |= {f"ssl{name}" for name in (
    "engine", "options", "protocol", "require", "verifyclient", "verifydepth", "sessioncache", "sessiontickets",
    "certificatefile", "certificatekeyfile", "cacertificatefile", "cacertificatepath", "carevocationcheck",
    "carevocationfile", "carevocationpath")}  # fmt: skip
_MOST_LINKS = 200
_MOST_HOSTS = 1000
_MOST_SHARED = 1000
_MOST_PATHS = 100


def read(path: str, load: Load, find: Find = matching) -> Configuration:
    """The configuration that begins with the file at this absolute path; ``find`` lists what a pattern matches.

    Never raises. Relative paths count from ServerRoot, or the directory of the first file. A path (<Location>) that
    asks for what its host does not is a server of its own.
    """
    parsed = parse(path, load, find)
    hosts = [one for one in parsed.directives if one.name == "virtualhost" and one.section][:_MOST_HOSTS]
    shared = tuple(one for one in parsed.directives if one.name in _HEEDED)[:_MOST_SHARED]
    main = Scope(parsed.root, shared, ())
    secure = {
        one.first.rpartition(":")[2]
        for one in main.every("listen")
        if [word.lower() for word in one.arguments[1:]] == ["https"]
    }
    servers: list[MutualServer] = []
    if not hosts or main.last("sslengine") is not None:
        servers += _servers(main, Place(path, 1), "the main server", secure, find)
    for host in hosts:
        servers += _servers(
            Scope(parsed.root, tuple(one for one in host.inner if one.name in _HEEDED)[:_MOST_SHARED], shared, host),
            host.place,
            "",
            secure,
            find,
        )
    keys = tuple(one for file in parsed.files for one in in_configuration(load(file), Side.SERVER))
    return Configuration("apache", parsed.files or (path,), tuple(servers), (*parsed.ailments[:_MOST_LINKS], *keys))


@dataclass(frozen=True, slots=True)
class Scope:
    """What stands in one host (or the main server), and what it takes over from the main server."""

    root: str
    directives: tuple[Directive, ...]
    above: tuple[Directive, ...]
    host: Directive | None = None

    def every(self, name: str) -> tuple[Directive, ...]:
        """All of this name, of the host itself if it has any."""
        own = tuple(one for one in self.directives if one.name == name and not one.section)
        return own or tuple(one for one in self.above if one.name == name and not one.section)

    def last(self, name: str) -> Directive | None:
        found = [one for one in self.every(name) if one.arguments]
        return found[-1] if found else None

    def value(self, name: str) -> str:
        """The first argument, lower case; empty where it is not set."""
        found = self.last(name)
        return "" if found is None else found.first.lower()

    def own(self, name: str) -> bool:
        return any(one.name == name for one in self.directives)

    def within(self, section: Directive) -> Scope:
        """A path of this host: what stands there comes before what the host says."""
        return Scope(self.root, section.inner, (*self.above, *self.directives), self.host)

    def named(self, name: str) -> tuple[Named, ...]:
        return tuple(
            Named(absolute(self.root, one.first), one.place)
            for one in self.every(name)
            if one.first and one.first != "-"
        )

    def paths(self) -> Iterator[Directive]:
        """Every section for a path, however deep."""
        waiting = [one for one in reversed((*self.above, *self.directives)) if one.section]
        count = 0
        while waiting and count < _MOST_SHARED:
            section = waiting.pop()
            count += 1
            if section.name in _PATHS:
                yield section
            if section.name != "virtualhost":
                waiting.extend(one for one in reversed(section.inner) if one.section)


def _servers(scope: Scope, place: Place, name: str, secure: set[str], find: Find) -> Iterator[MutualServer]:
    name = name or _name(scope)
    ports = {word.rpartition(":")[2] for word in (scope.host.arguments if scope.host else ())}
    speaks = scope.value("sslengine") in {"on", "optional"} or (not scope.value("sslengine") and bool(ports & secure))
    verify = scope.last("sslverifyclient")
    if not speaks:
        if verify is not None and scope.own("sslverifyclient") and scope.value("sslverifyclient") in _MODES:
            yield _deaf(scope, place, name, verify, find)
        return
    mode = _MODES.get(scope.value("sslverifyclient"), Verify.NONE)
    asking = [one for one in scope.paths() if _asks(one)][:_MOST_PATHS]
    names = ("sslcacertificatefile", "sslcacertificatepath")
    if mode is not Verify.NONE or (not asking and verify is None and any(scope.own(one) for one in names)):
        checked, ailments = _checked(scope, mode, name)
        forgotten = () if mode is not Verify.NONE else (_forgotten(scope, place, name),)
        yield _server(scope, place, name, verify, checked, (*ailments, *forgotten), find)
    if mode is not Verify.REQUIRED:
        for section in asking:
            inner = scope.within(section)
            label = f"{name} {section.name.capitalize()} {' '.join(section.arguments)[:100]}".strip()
            own = inner.last("sslverifyclient")
            asked = _MODES.get(inner.value("sslverifyclient"), Verify.NONE)
            if asked is not mode and own is not None:
                checked, ailments = _checked(inner, asked, label)
                yield _server(inner, section.place, label, own, checked, (*ailments, _late(scope, own, label)), find)


def _asks(section: Directive) -> bool:
    return any(one.name == "sslverifyclient" and one.first.lower() in _MODES for one in section.inner)


def _server(
    scope: Scope,
    place: Place,
    name: str,
    verify: Directive | None,
    mode: Verify,
    ailments: Sequence[Ailment],
    find: Find,
) -> MutualServer:
    depth = scope.last("sslverifydepth")
    protocol = scope.last("sslprotocol")
    certificates = scope.named("sslcertificatefile")
    crls, unheeded = _crls(scope, name, find)
    headers, unsafe = apache_headers.judge(scope, name, mode)
    count = _number(depth.first) if depth is not None else 1
    return MutualServer(
        product="apache",
        name=name,
        place=place,
        verify=Setting("none (the default)", place) if verify is None else Setting(verify.first, verify.place),
        verifies=mode,
        certificates=certificates,
        keys=scope.named("sslcertificatekeyfile") or certificates,
        trust=(
            *scope.named("sslcacertificatefile"),
            *_hashed(scope.named("sslcacertificatepath"), find, "*.[0-9]"),
        ),
        crls=crls,
        depth=None if count is None else max(count - 1, 0),
        depth_place=None if depth is None else depth.place,
        protocols=_VERSIONS if protocol is None else _protocols(protocol.arguments),
        protocols_place=None if protocol is None else protocol.place,
        resumes=_resumes(scope, place),
        identity_headers=headers,
        ailments=(*ailments, *unheeded, *_shallow(depth, name), *_trustless(scope, mode, verify, name), *unsafe),
    )


def _deaf(scope: Scope, place: Place, name: str, verify: Directive, find: Find) -> MutualServer:
    what = (
        f"SSLVerifyClient {verify.first} stands here, but SSLEngine is not on: the host speaks no TLS, and asks nobody "
        "for a certificate"
    )
    fix = _fix("Turn TLS on for this host.", "SSLEngine on")
    ailment = Ailment(Code.MTLS_NOT_ENFORCED, name, what, Severity.ERROR, (fix,), verify.place)
    return _server(scope, place, name, verify, Verify.NONE, (ailment,), find)


def _forgotten(scope: Scope, place: Place, name: str) -> Ailment:
    trust = scope.last("sslcacertificatefile") or scope.last("sslcacertificatepath")
    what = "authorities for client certificates are named, but SSLVerifyClient is not set: nobody is asked for one"
    fix = _fix("Require a certificate.", "SSLVerifyClient require")
    return Ailment(Code.MTLS_NOT_ENFORCED, name, what, Severity.ERROR, (fix,), trust.place if trust else place)


def _late(scope: Scope, verify: Directive, name: str) -> Ailment:
    """A path's own demand comes after the request: TLS 1.3 asks again after the handshake, TLS 1.2 renegotiates."""
    what = (
        f"SSLVerifyClient {verify.first} stands at a path: the client is asked only after its request. TLS 1.3 clients "
        "without post-handshake authentication (browsers, Go, Node) and every HTTP/2 connection are refused with 403"
    )
    ports = " ".join(scope.host.arguments) if scope.host else "*:443"
    lines = (f"<VirtualHost {ports}>", "  ServerName mtls.example.com", "  SSLVerifyClient require", "</VirtualHost>")
    fix = _fix("Give these paths a host of their own that requires the certificate in the handshake.", *lines)
    return Ailment(Code.CLIENT_CERT_MISSING, name, what, Severity.WARNING, (fix,), verify.place)


def _checked(scope: Scope, mode: Verify, name: str) -> tuple[Verify, tuple[Ailment, ...]]:
    """What is really demanded: the result of an optional certificate may be looked at later."""
    if mode not in {Verify.OPTIONAL, Verify.OPTIONAL_UNVERIFIED}:
        return mode, ()
    verify = scope.last("sslverifyclient")
    place = verify.place if verify is not None else Place(name)
    whole, some = _checks(scope)
    value = verify.first if verify is not None else ""
    if whole is not None:
        what = f"SSLVerifyClient {value}, and callers without a valid certificate are refused at {whole.place}"
        return mode, (Ailment(Code.MTLS_OPTIONAL, name, what, Severity.NOTE, (_REQUIRE,), place),)
    if some:
        places = ", ".join(str(one.place) for one in some[:5])
        what = f"SSLVerifyClient {value}: only some paths look at the result ({places}); the others are open to anybody"
        return mode, (Ailment(Code.MTLS_OPTIONAL, name, what, Severity.WARNING, (_REQUIRE,), place),)
    if mode is Verify.OPTIONAL:
        what = (
            "SSLVerifyClient optional: callers without a certificate are served, and nothing here looks at the result"
        )
        return mode, (Ailment(Code.MTLS_OPTIONAL, name, what, Severity.WARNING, (_REQUIRE,), place),)
    what = "SSLVerifyClient optional_no_ca: any certificate at all is taken, and nothing here looks at the result"
    return mode, (Ailment(Code.MTLS_NOT_ENFORCED, name, what, Severity.ERROR, (_REQUIRE,), place),)


def _checks(scope: Scope) -> tuple[Directive | None, list[Directive]]:
    """The directive that looks at the result for all paths, and those that do for some."""
    some: list[Directive] = []
    for one in scope.directives:
        if _is_check(one):
            return one, some
    for section in scope.paths():
        everything = section.name in {"location", "directory"} and section.first in {"/", ""}
        waiting = list(section.inner)
        while waiting:
            one = waiting.pop()
            waiting.extend(one.inner)
            if _is_check(one):
                if everything:
                    return one, some
                some.append(one)
    return None, some


def _is_check(one: Directive) -> bool:
    text = " ".join(one.arguments).lower()
    if one.name == "require":
        return one.first.lower() == "ssl-verify-client" or "ssl_client_verify" in text
    return one.name in {"sslrequire", "rewritecond"} and "ssl_client_verify" in text


def _crls(scope: Scope, name: str, find: Find) -> tuple[tuple[Named, ...], tuple[Ailment, ...]]:
    """Those that mod_ssl heeds: none, unless SSLCARevocationCheck says so."""
    named = (
        *scope.named("sslcarevocationfile"),
        *_hashed(scope.named("sslcarevocationpath"), find, "*.r[0-9]"),
    )
    check = scope.last("sslcarevocationcheck")
    mode = scope.value("sslcarevocationcheck")
    if mode in {"chain", "leaf"}:
        if named:
            return named, ()
        what = f"SSLCARevocationCheck {mode} without a CRL: httpd refuses every client certificate"
        fix = _fix("Give the authority's CRL.", "SSLCARevocationFile /etc/ssl/clients.crl.pem")
        place = None if check is None else check.place
        return (), (Ailment(Code.SERVER_CRL_MISSING, name, what, Severity.ERROR, (fix,), place),)
    if not named:
        return (), ()
    what = (
        f"{named[0].path} is named as a CRL, but SSLCARevocationCheck is "
        f"{'none' if mode else 'not set, and is none'}: it is not heeded, and a revoked client certificate is let in"
    )
    fix = _fix("Have the CRL heeded.", "SSLCARevocationCheck chain")
    place = named[0].place if check is None else check.place
    return (), (Ailment(Code.CONFIG_NO_REVOCATION, name, what, Severity.ERROR, (fix,), place),)


def _shallow(depth: Directive | None, name: str) -> Iterator[Ailment]:
    if depth is None or depth.first != "0":
        return
    what = "SSLVerifyDepth 0 accepts only self-signed client certificates that are trusted themselves"
    fix = _fix("Count every certificate above the client's own, the root too.", "SSLVerifyDepth 2")
    yield Ailment(Code.CONFIG_DEPTH_TOO_SMALL, name, what, Severity.WARNING, (fix,), depth.place)


def _trustless(scope: Scope, mode: Verify, verify: Directive | None, name: str) -> Iterator[Ailment]:
    if mode not in {Verify.REQUIRED, Verify.OPTIONAL} or verify is None:
        return
    if scope.last("sslcacertificatefile") is not None or scope.last("sslcacertificatepath") is not None:
        return
    what = f"SSLVerifyClient {verify.first} without SSLCACertificateFile: no authority is trusted, and all are refused"
    fix = _fix("Name the authority of your clients.", "SSLCACertificateFile /etc/ssl/clients-ca.pem")
    yield Ailment(Code.TRUST_STORE_UNREADABLE, name, what, Severity.ERROR, (fix,), verify.place)


def _hashed(directories: Sequence[Named], find: Find, pattern: str) -> tuple[Named, ...]:
    """The links that OpenSSL looks for in a directory (openssl rehash)."""
    found: list[Named] = []
    for one in directories:
        plain = not any(sign in one.path for sign in "*?[")
        links = find(f"{one.path.rstrip('/')}/{pattern}")[:_MOST_LINKS] if plain else ()
        found += [Named(path, one.place) for path in links] or [one]
    return tuple(found)


def _resumes(scope: Scope, place: Place) -> Setting | None:
    tickets = scope.last("sslsessiontickets")
    if tickets is None:
        return Setting("SSLSessionTickets on (the default)", place)
    if tickets.first.lower() != "off":
        return Setting(f"SSLSessionTickets {tickets.first}", tickets.place)
    cache = scope.last("sslsessioncache")
    if cache is not None and cache.first.lower() not in {"none", "nonenotnull"}:
        return Setting(f"SSLSessionCache {cache.first}", cache.place)
    return None


def _protocols(words: Sequence[str]) -> tuple[str, ...]:
    """As mod_ssl reads SSLProtocol: from left to right, a bare name replaces all before it."""
    spelled = {one.lower(): one for one in _VERSIONS}
    accepted: set[str] = set()
    for word in words:
        sign, name = (word[:1], word[1:].lower()) if word[:1] in {"+", "-"} else ("", word.lower())
        meant = set(_VERSIONS) if name == "all" else {spelled[name]} if name in spelled else set()
        accepted = accepted - meant if sign == "-" else accepted | meant if sign == "+" else meant
    return tuple(one for one in _VERSIONS if one in accepted)


def _name(scope: Scope) -> str:
    if scope.host is None:
        return "the main server"
    address = " ".join(scope.host.arguments)[:200]
    names = [one.first for one in scope.directives if one.name == "servername" and one.first]
    return f"{address} ({names[-1][:200]})" if names else address


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _fix(what: str, *lines: str) -> Fix:
    return Fix(Side.SERVER, what, "apache", ("apachectl configtest && apachectl graceful",), lines)


_REQUIRE = _fix(
    "Require a certificate of everybody; or, where some paths are open, check the result on all of the others.",
    "SSLVerifyClient require",
    "# or: <Location />",
    "#       Require ssl-verify-client",
    "#     </Location>",
)
