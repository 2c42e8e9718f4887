"""One value in a JSON document by its path: ``$.status``, ``$.items[0].id``, ``$['a key']``.

That is the part of RFC 9535 that names exactly one value (§2.3.5.1, singular queries), without negative places. The
document comes from a stranger.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from handclasp.findings import InvalidSetting

ALLOWED: Final = "a path to one value, as in $.status, $.items[0].id or $['a key'].name"
MAX_STEPS: Final = 32

Path = tuple[str | int, ...]

_STEP: Final = re.compile(
    r"\.(?P<name>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff-]*)|\[(?P<place>0|[1-9][0-9]{0,8})\]|"
    r"\[(?P<quote>['\"])(?P<key>(?:[^'\"\\]|\\['\"\\]|(?!(?P=quote))['\"])*)(?P=quote)\]"
)


class NotThere(Exception):
    """The document has no value at the path; the text says what is missing, and where."""


def parse(text: str) -> Path:
    """Read a path. Raises InvalidSetting."""
    steps: list[str | int] = []
    at = 1
    while at < len(text) and (found := _STEP.match(text, at)) is not None and len(steps) < MAX_STEPS:
        if found["place"] is not None:
            steps.append(int(found["place"]))
        else:
            steps.append(found["name"] or re.sub(r"\\(.)", r"\1", found["key"] or ""))
        at = found.end()
    if not text.startswith("$") or at < len(text):
        raise InvalidSetting("", f"{text[:80]!r} is no path of JSON", ALLOWED)
    return tuple(steps)


def load(body: bytes) -> Any:
    """The document. Raises ValueError, whatever is wrong with it."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError:
        raise ValueError("it has a number that nobody can read") from None


def value_at(document: Any, path: Path) -> Any:
    """The value. Raises NotThere."""
    value = document
    for number, step in enumerate(path):
        if not _has(value, step):
            raise NotThere(f"{text_of(path[: number + 1])} is not there")
        value = value[step]
    return value


def is_value(value: Any, expected: str) -> bool:
    """Whether a value is the one that a person wrote: the text of a string as it stands, or JSON. ``true`` is both the
    truth and a string that says so; ``1`` is ``1.0`` and never the truth."""
    if isinstance(value, str) and value == expected:
        return True
    try:
        wanted = json.loads(expected, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    return _alike(value, wanted)


def text_of(path: Path) -> str:
    """The path as it is written."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else _key(step) for step in path)


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, dict) and step in value


def _key(step: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
        return f".{step}"
    return "['" + step.replace("\\", "\\\\").replace("'", "\\'") + "']"


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, int | float):
        return type(one) is type(other) and bool(one == other)
    return isinstance(other, int | float) and one == other


def _no_number(text: str) -> Any:
    raise ValueError(text)
