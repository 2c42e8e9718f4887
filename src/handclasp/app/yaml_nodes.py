"""YAML with the line of every value, for the doctor: it reads Envoy's configuration, and may not read YAML itself."""

from __future__ import annotations

from typing import Final

import yaml

from handclasp.app import kubernetes_yaml
from handclasp.doctor.config.envoy import Malformed, Node

_SAFE: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LONGEST: Final = 40  # signs of an integer; Python reads longer ones in hexadecimal, and then cannot write them


def parse(data: bytes) -> Node:
    """The document, scalars as YAML reads them. Raises ValueError, for a person: also for aliases and for what is
    nested too deep."""
    text = data.decode(errors="strict")
    kubernetes_yaml.check(text)
    try:
        composed = yaml.compose(text, Loader=_SAFE)
    except yaml.MarkedYAMLError as error:
        raise Malformed(f"it is not YAML: {error.problem}", _line(error)) from None
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {error}") from None
    return Node({}, 1) if composed is None else _node(composed)


def _line(error: yaml.MarkedYAMLError) -> int:
    return 1 if error.problem_mark is None else int(error.problem_mark.line) + 1


def _node(composed: yaml.Node) -> Node:
    line = composed.start_mark.line + 1
    if isinstance(composed, yaml.MappingNode):
        return Node({str(key.value): _node(value) for key, value in composed.value}, line)
    if isinstance(composed, yaml.SequenceNode):
        return Node([_node(one) for one in composed.value], line)
    return Node(_scalar(composed), line)


def _scalar(composed: yaml.Node) -> str | int | float | bool | None:
    value = str(composed.value)
    kind = composed.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return value.lower() in {"true", "yes", "on"}
    try:
        if kind == "int" and len(value) <= _LONGEST:
            return int(value, 0)
        if kind == "float":
            return float(value)
    except ValueError:
        return value
    return value
