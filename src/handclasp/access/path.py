r"""What Envoy makes of a request target before its rules see the path.

The model of Envoy 1.40 with ``normalize_path``, ``merge_slashes`` and ``path_with_escaped_slashes_action:
REJECT_REQUEST``, learnt by asking it. In this order:

1. The codec lets in visible ASCII. Absolute-form (RFC 9112 section 3.2.2) loses its scheme and authority.
2. What does not begin with a slash then (``OPTIONS *``, ``http://host?query``) is answered 404; a ``#`` anywhere,
   and ``%2F`` or ``%5C`` in the path, 400. The query is left as it is, and rules never see it.
3. A segment that begins with ``.;`` or ``..;`` becomes ``.`` or ``..``. Only a slash divides segments here, and
   only dots that are written out count: ``%2e;`` and ``\..;`` stay.
4. The path is made canonical as Chromium does it: a backslash is a slash; escapes of unreserved characters are
   decoded; every other escape stays as written, also its case, but ``%00`` is answered 400; ``"<>^`{|}`` are
   escaped; dot segments are resolved while slashes are not merged yet (``/a//../b`` is ``/a/b``). A percent sign
   that begins no escape stays, unless decoding what follows would make it begin one: then it becomes ``%25``.
5. Slashes are merged. A path of nothing but slashes becomes ``//``, not ``/``.

The domain: a target is what stands between the two spaces of a request line, so one with a space or a tab is
refused here, although Envoy takes a tab at its edge for a separator. HTTP/1.1 and HTTP/2 agree but for these: over
HTTP/2, raw bytes from 0x80 up pass and reach the rules percent-encoded, where HTTP/1.1 answers 400 (here: refused);
and what HTTP/1.1 answers 400 for its bytes or its form, HTTP/2 resets (here the same: refused; absolute-form, which
does not exist in HTTP/2, is read as in HTTP/1.1). ``https://`` is taken as over TLS, where the gateway stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from handclasp.findings import Code

AMBIGUOUS: Final = r".*/\.\.?;.*"
"""Normalised paths that the gateway answers 400: a segment ``.;x`` or ``..;x`` (written ``%2e%2e;x``, say).

Envoy passes them on as they are, and a server that drops ``;parameters`` before it resolves dots (RFC 3986 §3.3 leaves
it to each) would serve another path than the rules have seen. A full match, in the common part of RE2 and ``re``.
"""


@dataclass(frozen=True, slots=True)
class Normalised:
    """The path that the rules see: ASCII, without the query, beginning with a slash."""

    path: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The target never reaches the rules: answered with ``status`` (400 or 404); ``why`` is a clause."""

    status: int
    code: Code
    why: str


def normalise(target: str | bytes, *, method: str = "GET") -> Normalised | Rejected:
    """The path that the rules see for this raw request target, or why it never reaches them.

    A ``str`` stands for its UTF-8 bytes. ``method`` counts for CONNECT and for ``OPTIONS *`` alone.
    """
    raw = target.encode("utf-8", "surrogatepass") if isinstance(target, str) else target
    for byte in raw:
        if byte <= 0x20 or byte >= 0x7F:
            return Rejected(400, Code.GATEWAY_BAD_REQUEST, f"the byte 0x{byte:02X} cannot stand in a target")
    if method == "CONNECT":
        return Rejected(400, Code.GATEWAY_BAD_REQUEST, "CONNECT asks for a tunnel, and there is none here")
    origin = _origin_form(raw, method)
    if origin is None:
        why = "the target is neither a path that begins with a slash nor an http:// URL"
        return Rejected(400, Code.GATEWAY_BAD_REQUEST, why)
    if not origin.startswith(b"/"):
        return Rejected(404, Code.ROUTE_PATH_REJECTED, "the target has no path")
    if b"#" in origin:
        return Rejected(400, Code.ROUTE_PATH_REJECTED, "a fragment (#) is not part of a request target")
    path = origin.partition(b"?")[0]
    if _ESCAPED_SLASH.search(path):
        why = "an encoded slash (%2F or %5C) can be read in two ways"
        return Rejected(400, Code.ROUTE_PATH_REJECTED, why)
    path = _without_dot_parameters(path)
    canonical = _canonical(path)
    if canonical is None:
        return Rejected(400, Code.ROUTE_PATH_REJECTED, "an encoded NUL (%00) ends the path for some programs")
    return Normalised(_merge_slashes(canonical).decode("ascii"))


def _origin_form(raw: bytes, method: str) -> bytes | None:
    """The target from its path on (RFC 9112 section 3.2): absolute-form loses its scheme and authority."""
    if raw.startswith(b"/") or (method == "OPTIONS" and raw.startswith(b"*")):
        return raw
    url = _ABSOLUTE.fullmatch(raw)
    if url is None or not _is_port(url["port"] or b"0") or not _is_ip_address(url["ip"] or b"::"):
        return None
    return url["rest"] or b"/"


def _is_port(digits: bytes) -> bool:
    significant = digits.lstrip(b"0")
    return len(significant) <= 5 and int(significant or b"0") <= 65535


def _is_ip_address(text: bytes) -> bool:
    try:
        ip_address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def _merge_slashes(path: bytes) -> bytes:
    """Step 5."""
    # Envoy joins the segments that are not empty and puts the first and the last slash back: `//` has two.
    return b"//" if len(path) > 1 and not path.strip(b"/") else _SLASHES.sub(b"/", path)


_ABSOLUTE: Final = re.compile(
    rb"https?://(?:[A-Za-z0-9\-_.!~*'()%;:&=+$,]*@)?"
    rb"(?:[A-Za-z0-9.-]+|\[(?P<ip>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]+))?(?P<rest>[/?].*)?",
    re.IGNORECASE,
)
_ESCAPED_SLASH: Final = re.compile(rb"%(?:2[fF]|5[cC])")
_SLASHES: Final = re.compile(rb"//+")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED: Final = frozenset(b'"<>^`{|}')
_NOWHERE: Final = -3
_DOT: Final = re.compile(rb"\.|%2[eE]")
_DOT_SEGMENT: Final = re.compile(rb"(\.|%2[eE])(\.|%2[eE])?(?:[/\\]|\Z)")


def _without_dot_parameters(path: bytes) -> bytes:
    """Step 3."""
    if b".;" not in path:
        return path
    return b"/".join(_dot_segment(segment) for segment in path.split(b"/"))


def _dot_segment(segment: bytes) -> bytes:
    if segment.startswith(b"..;"):
        return b".."
    return b"." if segment.startswith(b".;") else segment


def _canonical(path: bytes) -> bytes | None:
    """Step 4. None for an encoded NUL."""
    out = bytearray()
    lone_percent = _NOWHERE  # where in `out` the last percent sign stands that begins no escape
    at = 0
    while at < len(path):
        byte = path[at]
        # A slash that begins the path is always in `out`, so dots at its very start cannot climb above it.
        if out.endswith(b"/") and (dots := _DOT_SEGMENT.match(path, at)):
            if dots[2]:
                del out[max(out.rfind(b"/", 0, len(out) - 1) + 1, 1) :]
                lone_percent = _NOWHERE
            at = dots.end()
        elif dot := _DOT.match(path, at):
            out += b"."
            at = dot.end()
        elif byte == 0x5C:
            out += b"/"
            at += 1
        elif byte == 0x25 and len(path) - at >= 3 and path[at + 1] in _HEX and path[at + 2] in _HEX:
            value = int(path[at + 1 : at + 3], 16)
            at += 3
            if value in _UNRESERVED:
                out.append(value)
                if _begins_escape(out, lone_percent, path[at : at + 1]):
                    out[lone_percent + 1 : lone_percent + 1] = b"25"
            elif value == 0:
                return None
            else:
                out += path[at - 3 : at]
        elif byte == 0x25:
            lone_percent = len(out)
            out += b"%"
            at += 1
        else:
            out += b"%%%02X" % byte if byte in _ENCODED else bytes((byte,))
            at += 1
    return bytes(out)


def _begins_escape(out: bytearray, percent: int, following: bytes) -> bool:
    """Whether the lone percent sign, with what was decoded last and the next raw byte, reads as an escape now."""
    if percent < 0 or percent < len(out) - 3:
        return False
    digits = (bytes(out[percent + 1 :]) + following)[:2]
    return len(digits) == 2 and all(digit in _HEX for digit in digits)
