"""nginx's request headers that carry the caller's identity, and the ways inside that leave them to the caller.

``proxy_set_header`` in a location replaces all that are inherited (ngx_http_proxy_module), so that one header more in a
location lets the identity header through as the caller sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handclasp.doctor.config.model import Setting
from handclasp.doctor.config.nginx_tree import Statement
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Side
from handclasp.findings import Code

_PAIRS = {"proxy_pass": "proxy_set_header", "grpc_pass": "grpc_set_header"}
_PREFIXES = ("x-ssl-", "x-client-", "ssl-client-", "x-forwarded-client-cert", "x-forwarded-tls-client")

Above = Sequence[Sequence[Statement]]


@dataclass(frozen=True, slots=True)
class _Way:
    """One ``proxy_pass`` and the headers in force there."""

    target: str
    place: Place
    name: str
    directive: str
    headers: tuple[Statement, ...]


def judge(
    server: Statement, above: Above, everyone: Sequence[tuple[Statement, Above]]
) -> tuple[tuple[Setting, ...], tuple[Ailment, ...]]:
    """The identity headers that ``server`` sets, and the findings: its own ways that do not set them, and the ways of
    other servers to the same place that do not."""
    ways = tuple(_ways(server.inner, above, "the server"))
    carried = {
        header.args[0].lower(): header for way in reversed(ways) for header in way.headers if _is_identity(header)
    }
    settings = tuple(Setting(" ".join(header.args[:2])[:200], header.place) for _, header in sorted(carried.items()))
    found: dict[tuple[Place, str], Ailment] = {}
    targets = {way.target for way in ways if any(_is_identity(header) for header in way.headers)}
    others = [
        way for other, levels in everyone if other is not server for way in _ways(other.inner, levels, "another server")
    ]
    for way in (*ways, *(way for way in others if way.target in targets)):
        for name, header in carried.items():
            own = next((one for one in way.headers if one.args and one.args[0].lower() == name), None)
            if own is None or (own is not header and _passes_on(own)):
                found.setdefault((way.place, name), _ailment(way, header, own))
    for way in ways:
        for header in way.headers:
            if _passes_on(header) and header.args[0].lower().startswith(_PREFIXES):
                found.setdefault((way.place, header.args[0].lower()), _ailment(way, header, header))
    return settings, tuple(found.values())


def _is_identity(header: Statement) -> bool:
    return len(header.args) > 1 and "$ssl_client_" in header.args[1]


def _passes_on(header: Statement) -> bool:
    """Whether it sets the header to what the caller sent in it."""
    if len(header.args) < 2:
        return False
    return f"$http_{header.args[0].lower().replace('-', '_')}" in header.args[1].lower()


def _ways(statements: Sequence[Statement], above: Above, name: str) -> Iterator[_Way]:
    levels = (*above, statements)
    for one in statements:
        if one.name in _PAIRS and one.args:
            directive = _PAIRS[one.name]
            yield _Way(_host(one.args[0]), one.place, name, directive, _in_force(levels, directive))
        elif one.name in {"location", "if", "limit_except"}:
            here = f"location {' '.join(one.args)}" if one.name == "location" else name
            yield from _ways(one.inner, levels, here[:100])


def _in_force(levels: Above, directive: str) -> tuple[Statement, ...]:
    for level in reversed(levels):
        found = tuple(one for one in level if one.name == directive and one.args)
        if found:
            return found
    return ()


def _host(url: str) -> str:
    """The scheme and host of a ``proxy_pass``, without the path."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}" if separator else url


def _ailment(way: _Way, header: Statement, own: Statement | None) -> Ailment:
    name, value = header.args[0], header.args[1]
    if own is not None:
        what = f"{way.name} hands {name} on as the caller sent it: anybody can send it and be anybody"
    elif way.headers:
        what = (
            f"{way.name} has its own {way.directive}, which replaces those above it, and does not set {name}: a caller "
            "can send it and be anybody"
        )
    else:
        what = f"{way.name} does not set {name}: a caller can send it and be anybody"
    line = f'{way.directive} {name} "";' if _passes_on(header) else f"{way.directive} {name} {_quoted(value)};"
    fix = Fix(Side.SERVER, f"Set {name} on this path too.", "nginx", configuration=(line,))
    place = own.place if own is not None else way.place
    return Ailment(Code.CONFIG_IDENTITY_HEADER, way.name, what, fixes=(fix,), place=place)


def _quoted(value: str) -> str:
    return f'"{value}"' if any(char.isspace() for char in value) or not value else value
