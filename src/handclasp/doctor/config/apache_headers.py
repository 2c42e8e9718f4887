"""httpd's request headers that carry the caller's identity (mod_headers), and where a caller's own may pass.

``RequestHeader set`` replaces what the caller sent; the other actions, and one with a condition, may leave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from handclasp.doctor.config.apache_syntax import Directive
from handclasp.doctor.config.model import Setting, Verify
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.findings import Code

_ACTIONS = frozenset({"set", "add", "append", "merge", "setifempty"})
_PROXIES = frozenset({"proxypass", "proxypassmatch"})


class Within(Protocol):
    """What is needed of a host: what stands in it, above it, and in its paths."""

    @property
    def directives(self) -> tuple[Directive, ...]: ...

    @property
    def above(self) -> tuple[Directive, ...]: ...

    def paths(self) -> Iterator[Directive]:
        """Every section for a path."""


def judge(scope: Within, name: str, mode: Verify) -> tuple[tuple[Setting, ...], tuple[Ailment, ...]]:
    """The identity headers of one host or path, and what is wrong with them."""
    everywhere = _request_headers((*scope.above, *scope.directives))
    ways = [one for one in scope.directives if one.name in _PROXIES]
    options = {word.lower().lstrip("+") for word in _options(scope)}
    settings: dict[str, Setting] = {}
    found: list[Ailment] = []
    headers: list[tuple[Directive | None, Directive]] = [(None, one) for one in everywhere if _is_identity(one)]
    for part in scope.paths():
        headers += [(part, one) for one in _request_headers(part.inner) if _is_identity(one)]
    for section, header in headers:
        key = header.arguments[1].rstrip(":")[:100]
        settings.setdefault(key.lower(), Setting(f"{key} {header.arguments[2]}"[:200], header.place))
        siblings = everywhere if section is None else [*everywhere, *_request_headers(section.inner)]
        if not any(_clears(one, key) for one in siblings):
            found.append(_ailment(name, _kept(header, key), key, header))
        elif section is not None and ways and not any(_clears(one, key) for one in everywhere):
            where = f"<{section.name.capitalize()} {' '.join(section.arguments)[:100]}>"
            what = (
                f"{key} is set inside {where} only; on the way of {ways[0].place} a caller can send it and be anybody"
            )
            found.append(_ailment(name, what, key, header))
        if "}e" in header.arguments[2] and "stdenvvars" not in options:
            found.append(_empty(name, header))
    if "fakebasicauth" in options:
        found.append(_basic(scope, name, mode))
    return tuple(settings.values()), tuple(found)


def _request_headers(directives: Iterable[Directive]) -> list[Directive]:
    return [one for one in directives if one.name == "requestheader" and len(one.arguments) > 1]


def _options(scope: Within) -> Iterator[str]:
    for one in (*scope.above, *scope.directives, *(one for section in scope.paths() for one in section.inner)):
        if one.name == "ssloptions":
            yield from one.arguments


def _is_identity(one: Directive) -> bool:
    return len(one.arguments) > 2 and one.first.lower() in _ACTIONS and "SSL_CLIENT_" in one.arguments[2].upper()


def _clears(one: Directive, key: str) -> bool:
    """Whether this replaces or removes what a caller sends as ``key``, for every request."""
    action = one.first.lower()
    if one.arguments[1].rstrip(":").lower() != key.lower() or action not in {"set", "unset"}:
        return False
    return not any(word.lower().startswith(("env=", "expr=")) for word in one.arguments[3 if action == "set" else 2 :])


def _kept(header: Directive, key: str) -> str:
    action = header.first.lower()
    how = "under a condition only" if action == "set" else f"with {action}, which keeps what is there already"
    return f"{key} is set {how}: a caller can send it and be anybody"


def _ailment(name: str, what: str, key: str, header: Directive) -> Ailment:
    lines = (f"RequestHeader unset {key}", f'RequestHeader set {key} "{header.arguments[2][:200]}"')
    fix = Fix(Side.SERVER, f"Remove what the caller sends as {key}, for the whole host.", "apache", configuration=lines)
    return Ailment(Code.CONFIG_IDENTITY_HEADER, name, what, Severity.ERROR, (fix,), header.place)


def _empty(name: str, header: Directive) -> Ailment:
    value = header.arguments[2][:200]
    what = (
        f"{value} reads the environment, where TLS is told of only with SSLOptions +StdEnvVars: the header says (null)"
    )
    lines = (f'RequestHeader set {header.arguments[1][:100]} "{value.replace("}e", "}s")}"',)
    fix = Fix(Side.SERVER, "Read the variable of mod_ssl itself.", "apache", configuration=lines)
    return Ailment(Code.CONFIG_IDENTITY_HEADER, name, what, Severity.WARNING, (fix,), header.place)


def _basic(scope: Within, name: str, mode: Verify) -> Ailment:
    """mod_ssl makes a user name of the subject, whose password is the word ``password`` for everybody."""
    place = next(
        (
            one.place
            for one in (*scope.directives, *(one for part in scope.paths() for one in part.inner), *scope.above)
            if one.name == "ssloptions" and "fakebasicauth" in " ".join(one.arguments).lower()
        ),
        Place(name),
    )
    what = "SSLOptions +FakeBasicAuth makes a user of the certificate's subject, with one password for everybody"
    if mode is not Verify.REQUIRED:
        what += "; a certificate is not required here"
    lines = ("SSLOptions -FakeBasicAuth", "SSLUserName SSL_CLIENT_S_DN_CN", "Require ssl-verify-client")
    fix = Fix(Side.SERVER, "Take the user name from the verified certificate.", "apache", configuration=lines)
    severity = Severity.NOTE if mode is Verify.REQUIRED else Severity.WARNING
    return Ailment(Code.CONFIG_IDENTITY_HEADER, name, what, severity, (fix,), place)
