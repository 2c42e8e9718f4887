"""nginx: the servers of ``http``, ``stream`` and ``mail`` that ask for client certificates, settings inherited as nginx
inherits them (a level that sets a directive replaces what is above it; for ``proxy_set_header``, all of them).

Source: the documentation of ngx_http_ssl_module, ngx_stream_ssl_module and ngx_http_proxy_module. Paths are relative to
the directory of the first file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handclasp.doctor.config import nginx_headers
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.config.nginx_tree import Find, Statement, matching, read_tree
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.findings import Code

_MODES = {"on": Verify.REQUIRED, "optional": Verify.OPTIONAL, "optional_no_ca": Verify.OPTIONAL_UNVERIFIED}
_MODULES = {"http", "stream", "mail"}
_DEFAULT_PROTOCOLS = ("TLSv1.2", "TLSv1.3")  # since 1.27.3; before, TLSv1 and TLSv1.1 too
_MOST = 300  # servers that are looked at; each is compared with every other
_BRIEF = 300  # seconds; ssl_session_timeout's default
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}


def read(path: str, load: Load, find: Find = matching) -> Configuration:
    """The configuration that begins with the file at this absolute path; ``find`` lists what an include matches.

    Never raises. Servers that speak TLS and ask nobody for a certificate are told of as notes.
    """
    tree = read_tree(path, load, find)
    blocks = tuple(_blocks(tree.statements))
    secure = {address for block in blocks for address, tls in block.listens() if tls}
    servers = [_server(block, tree.base, secure, blocks[:_MOST]) for block in blocks[:_MOST]]
    plain = (_plain(block) for block in blocks[:_MOST] if block.speaks(secure) and not block.asks())
    return Configuration(
        "nginx",
        tree.files or (path,),
        tuple(server for server in servers if server is not None),
        (*tree.ailments, *plain, *_too_many(path, len(blocks))),
    )


@dataclass(frozen=True, slots=True)
class Block:
    """One ``server`` and the levels above it, the nearest last."""

    server: Statement
    above: tuple[Sequence[Statement], ...]

    @property
    def levels(self) -> tuple[Sequence[Statement], ...]:
        return (*self.above, self.server.inner)

    def every(self, name: str) -> tuple[Statement, ...]:
        """All of this directive on the nearest level that has any."""
        for level in reversed(self.levels):
            found = tuple(one for one in level if one.name == name)
            if found:
                return found
        return ()

    def value(self, name: str) -> Setting | None:
        """Its first argument."""
        found = [one for one in self.every(name) if one.args]
        return Setting(found[-1].args[0], found[-1].place) if found else None

    def listens(self) -> Iterator[tuple[str, bool]]:
        """Each address, and whether TLS is spoken there."""
        for one in self.server.inner:
            if one.name == "listen" and one.args:
                yield one.args[0], bool({"ssl", "quic"} & set(one.args[1:]))

    def speaks(self, secure: set[str]) -> bool:
        """Whether it speaks TLS: by its own word, or because another server made a socket of it that does."""
        old = self.value("ssl")
        rejects = self.value("ssl_reject_handshake")
        if rejects is not None and rejects.value == "on":
            return False
        return (old is not None and old.value == "on") or any(tls or at in secure for at, tls in self.listens())

    def asks(self) -> bool:
        """Whether it asks for client certificates, or names authorities to judge them by."""
        verify = self.value("ssl_verify_client")
        if verify is not None and verify.value != "off":
            return True
        own = {one.name for one in self.server.inner}
        if verify is not None and "ssl_verify_client" in own and "ssl_client_certificate" not in own:
            return False  # turned off here on purpose, where others of the same http block ask
        stapling = self.value("ssl_stapling")
        trusted = self.value("ssl_trusted_certificate") is not None and (stapling is None or stapling.value != "on")
        return self.value("ssl_client_certificate") is not None or trusted

    @property
    def name(self) -> str:
        addresses = " ".join(address for address, _ in self.listens())
        names = " ".join(arg for one in self.server.inner if one.name == "server_name" for arg in one.args if arg)
        return f"{addresses or '*:80'} ({names})" if names else addresses or "*:80"


def _blocks(statements: Sequence[Statement]) -> Iterator[Block]:
    for one in statements:
        if one.name == "server" and one.block is not None:  # a file of its own, made to be included
            yield Block(one, (statements,))
        if one.name in _MODULES and one.block is not None:
            yield from (
                Block(server, (one.inner,))
                for server in one.inner
                if server.name == "server" and server.block is not None
            )


def _server(block: Block, base: str, secure: set[str], blocks: Sequence[Block]) -> MutualServer | None:
    if not block.speaks(secure) or not block.asks():
        return None
    place = block.server.place
    verify = block.value("ssl_verify_client") or Setting("off (the default)", place)
    mode = _MODES.get(verify.value, Verify.NONE)
    depth = block.value("ssl_verify_depth")
    protocols = block.every("ssl_protocols")
    guard = _guard(block, mode)
    headers, unset = nginx_headers.judge(block.server, block.above, [(one.server, one.above) for one in blocks])
    return MutualServer(
        product="nginx",
        name=block.name,
        place=place,
        verify=verify,
        verifies=mode,
        certificates=_named(block, "ssl_certificate", base),
        keys=_named(block, "ssl_certificate_key", base),
        trust=(
            *_named(block, "ssl_client_certificate", base),
            *_named(block, "ssl_trusted_certificate", base),
        ),
        crls=_named(block, "ssl_crl", base),
        depth=_number(depth.value) if depth is not None else 1,
        depth_place=None if depth is None else depth.place,
        protocols=protocols[-1].args if protocols else _DEFAULT_PROTOCOLS,
        protocols_place=protocols[-1].place if protocols else None,
        resumes=_resumes(block),
        identity_headers=headers,
        ailments=(*guard, *_lasting(block), *_old_default(block), *unset),
    )


def _named(block: Block, directive: str, base: str) -> tuple[Named, ...]:
    """Paths with variables, and keys that are not in files, are nobody's to look at here."""
    found = []
    for one in block.every(directive):
        path = one.args[0] if one.args else ""
        if path and "$" not in path and not path.startswith(("engine:", "store:", "data:")):
            found.append(Named(path if path.startswith("/") else f"{base}/{path}", one.place))
    return tuple(found)


def _resumes(block: Block) -> Setting | None:
    tickets = block.value("ssl_session_tickets")
    if tickets is None:
        return Setting("ssl_session_tickets on (the default)", block.server.place)
    if tickets.value != "off":
        return Setting(f"ssl_session_tickets {tickets.value}", tickets.place)
    for one in block.every("ssl_session_cache"):
        if set(one.args) - {"off", "none"}:
            return Setting(f"ssl_session_cache {' '.join(one.args)}", one.place)
    return None


def _lasting(block: Block) -> Iterator[Ailment]:
    timeout = block.value("ssl_session_timeout")
    if timeout is None or _resumes(block) is None or _seconds(timeout.value) <= _BRIEF:
        return
    what = (
        f"sessions are resumed for {timeout.value} (ssl_session_timeout) without looking at the certificate again: so "
        "long does an expired or revoked client stay in"
    )
    fix = Fix(
        Side.SERVER,
        "Turn resumption off, or make sessions short.",
        "nginx",
        configuration=("ssl_session_tickets off;", "ssl_session_cache off;"),
    )
    yield Ailment(Code.CONFIG_RESUMPTION, block.name, what, Severity.WARNING, (fix,), timeout.place)


def _old_default(block: Block) -> Iterator[Ailment]:
    if block.every("ssl_protocols"):
        return
    what = "ssl_protocols is not set, and until nginx 1.27.3 its default has TLSv1 and TLSv1.1"
    fix = Fix(Side.SERVER, "Set the versions.", "nginx", configuration=("ssl_protocols TLSv1.2 TLSv1.3;",))
    yield Ailment(Code.CONFIG_WEAK_PROTOCOL, block.name, what, Severity.NOTE, (fix,), block.server.place)


def _guard(block: Block, mode: Verify) -> Iterator[Ailment]:
    """For a certificate that is optional: where the configuration itself looks at what came of it."""
    if mode not in {Verify.OPTIONAL, Verify.OPTIONAL_UNVERIFIED}:
        return
    words = ["$ssl_client_verify", "$ssl_client_fingerprint"]
    if mode is Verify.OPTIONAL:
        words += ["$ssl_client_s_dn", "$ssl_client_serial"]
    mapped = {
        one.args[1]: one.place
        for level in block.above
        for one in level
        if one.name == "map" and len(one.args) == 2 and any(word in one.args[0] for word in words)
    }
    checks = [
        (one, whole)
        for one, whole in _conditions(block.server.inner, whole=True)
        if any(word in arg for arg in one.args for word in (*words, *mapped))
    ]
    if not checks:
        return
    everywhere = next((one for one, whole in checks if whole), None)
    setting = block.value("ssl_verify_client")
    value = setting.value if setting else ""
    if everywhere is not None:
        what = f"ssl_verify_client {value}: callers without a valid certificate are told apart at {everywhere.place}"
    else:
        places = ", ".join(str(one.place) for one, _ in checks[:5])
        what = (
            f"ssl_verify_client {value}: only some paths look at the result ({places}); the others are open to anybody"
        )
    severity = Severity.WARNING if everywhere is None else Severity.NOTE
    place = setting.place if setting else block.server.place
    fix = Fix(
        Side.SERVER,
        "Require a certificate of everybody, or check $ssl_client_verify for the whole server.",
        "nginx",
        configuration=("ssl_verify_client on;", "# or: if ($ssl_client_verify != SUCCESS) { return 403; }"),
    )
    yield Ailment(Code.MTLS_OPTIONAL, block.name, what, severity, (fix,), place)


def _conditions(statements: Sequence[Statement], *, whole: bool) -> Iterator[tuple[Statement, bool]]:
    """Every ``if``, and whether it stands for the whole server."""
    for one in statements:
        if one.name == "if" and any(inner.name in {"return", "rewrite", "deny", "set"} for inner in one.inner):
            yield one, whole
        elif one.name == "location":
            yield from _conditions(one.inner, whole=False)


def _too_many(path: str, count: int) -> Iterator[Ailment]:
    if count > _MOST:
        what = f"it has {count} servers; the first {_MOST} are looked at"
        yield Ailment(Code.CONFIG_UNREADABLE, path, what, Severity.WARNING, place=Place(path))


def _plain(block: Block) -> Ailment:
    what = f"{block.name} speaks TLS and asks nobody for a certificate"
    return Ailment(Code.MTLS_NOT_ENFORCED, block.name, what, Severity.NOTE, place=block.server.place)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _seconds(text: str) -> float:
    """A time of nginx as ``1h 30m`` or ``1d``; what is not one is none."""
    total, digits, unit = 0.0, "", ""
    for char in f"{text[:40]} ":
        if char.isascii() and char.isdigit() and not unit:
            digits += char
        elif char.isalpha() and digits:
            unit += char
        elif digits:
            total += int(digits) * _UNITS.get(unit or "s", 0)
            digits, unit = char if char.isascii() and char.isdigit() else "", ""
    return total
