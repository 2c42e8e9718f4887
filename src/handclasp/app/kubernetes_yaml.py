"""YAML as Kubernetes has it, read for the certificates in secrets: several documents, every scalar as text.

Anybody may have written the file. Tags make nothing, aliases are refused (a few of them unfold to gigabytes), and so is
what is nested deeper than any secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import yaml
from yaml.events import AliasEvent, Event, MappingEndEvent, MappingStartEvent, SequenceEndEvent, SequenceStartEvent

MAX_DEPTH: Final = 40
MAX_EVENTS: Final = 200_000

_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml is much faster; both read alike


def documents(text: str) -> list[object]:
    """The documents of the text. Raises ValueError, for a person."""
    check(text)
    with _told():
        return list(yaml.load_all(text, Loader=_LOADER))


def check(text: str) -> None:
    """Raises ValueError, for a person, where it is not YAML, or holds more than it should."""
    with _told():
        if why := _too_much(yaml.parse(text, Loader=_LOADER)):
            raise ValueError(why)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ValueError(f"it is not YAML: {error.problem}{line}") from None
    except yaml.YAMLError:
        raise ValueError("it is not YAML: there are characters in it that cannot be printed") from None


def _too_much(events: Iterable[Event]) -> str | None:
    depth = 0
    for number, event in enumerate(events):
        if isinstance(event, AliasEvent):
            return "there is an alias in it, which no secret needs"
        depth += isinstance(event, (MappingStartEvent, SequenceStartEvent))
        depth -= isinstance(event, (MappingEndEvent, SequenceEndEvent))
        if depth > MAX_DEPTH:
            return f"it is nested more than {MAX_DEPTH} levels deep"
        if number >= MAX_EVENTS:
            return f"there are more than {MAX_EVENTS} values in it"
    return None
