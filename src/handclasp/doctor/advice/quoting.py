"""Strangers' text made safe for where it is written: a shell, or the configuration of one product.

A value that a place cannot hold is None: the standing placeholder is written instead. Nothing here ever raises.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from collections.abc import Callable, Mapping

_LONGEST = 1_000  # characters; longer than any path or name that is meant
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"))

Quote = Callable[[str], str | None]


def printable(text: str) -> str:
    """One line of it: without control characters, marks of direction, and ends of lines of any kind."""
    kept = (one for one in text[:_LONGEST] if unicodedata.category(one) not in _UNSEEN)
    return "".join(" " if unicodedata.category(one) == "Zs" else one for one in kept).strip()


def shell(value: str) -> str | None:
    """A POSIX shell, and HAProxy: its single quotes are the same."""
    return shlex.quote(value)


def powershell(value: str) -> str | None:
    """PowerShell takes typographic quotes for its own, so a value with one of those cannot be written."""
    if set("\u2018\u2019\u201a\u201b") & set(value):
        return None
    return "'" + value.replace("'", "''") + "'"


def programming(value: str) -> str | None:
    """A string of Python, JavaScript, Go and YAML: JSON's is one of each."""
    return json.dumps(value, ensure_ascii=False)


def nginx(value: str) -> str | None:
    """nginx has no way to write a dollar sign where variables count."""
    if "$" in value:
        return None
    return _plain(value) or '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def apache(value: str) -> str | None:
    """``$`` and ``%`` stand for variables, in an expression even between quotes."""
    if set('$%"\\') & set(value):
        return None
    return f'"{value}"'


def caddy(value: str) -> str | None:
    """Braces stand for placeholders, and a backslash cannot end a quoted word."""
    if set('{}"\\`') & set(value):
        return None
    return f'"{value}"'


def properties(value: str) -> str | None:
    """A file of Java properties, in which Spring expands ``${}``."""
    if "$" in value or "#{" in value:
        return None
    return value.replace("\\", "\\\\")


def plain(value: str) -> str | None:
    """A sentence."""
    return value


def _plain(value: str) -> str:
    """The value itself, where it needs no quotes anywhere; else nothing."""
    return value if shlex.quote(value) == value and not set("=%@+") & set(value) else ""


CONFIGURATION: Mapping[str, Quote] = {
    "nginx": nginx,
    "apache": apache,
    "haproxy": shell,
    "envoy": programming,
    "caddy": caddy,
    "iis": powershell,
    "java": properties,
    "go": programming,
    "python": programming,
    "node": programming,
}
"""How a product's configuration quotes; the shell's way for everybody else."""
