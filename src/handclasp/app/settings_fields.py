"""How one setting of ``handclasp.yaml`` is declared: as text that a function reads, or as a list or mapping.

pydantic is used here and in the ``settings_`` modules of models alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo
from pydantic_core import core_schema

from handclasp.access.policy import ANYONE
from handclasp.app.yaml_source import Tree, kind
from handclasp.findings import InvalidSetting

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

T = TypeVar("T")


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Text:
    """Metadata of a model's field: text that ``parse`` reads. pydantic sees no more of the type than this."""

    parse: Callable[[str], object]
    allowed: str
    json: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})

    def __get_pydantic_core_schema__(self, _source: object, _: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, _: object, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.json)

    def validate(self, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            raise InvalidSetting("", f"{kind(value)} stands where one value belongs", self.allowed)
        return self.parse(value)


@dataclass(frozen=True)
class Several:
    """Metadata of a model's field: a list or a mapping, and what is said where it is none or empty."""

    of: type[list[object]] | type[dict[str, object]]
    allowed: str
    may_be_empty: bool = False
    may_be_one: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(core)
        if self.may_be_empty:
            return {"anyOf": [made, {"type": "null"}]}
        made |= {"minItems": 1} if self.of is list else {"minProperties": 1}
        return {"anyOf": [made["items"], made]} if self.may_be_one else made

    def _check(self, value: object) -> object:
        if self.may_be_empty and value is None:
            return self.of()
        if self.may_be_one and isinstance(value, str):
            return [ANYONE if value == str(ANYONE) else value]
        if not isinstance(value, self.of):
            what = "a list" if self.of is list else "a mapping"
            raise InvalidSetting("", f"{kind(value)} stands where {what} belongs", self.allowed)
        if not value and not self.may_be_empty:
            raise InvalidSetting("", "it is empty", self.allowed)
        return value


def choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            why = f"{text!r} is not one of the choices{did_you_mean(text, choices)}"
            raise InvalidSetting("", why, " or ".join(choices))
        return text

    return parse


def if_valid(parse: Callable[[str], T], value: Tree) -> T | None:
    """What the value means, or None where it is wrong by itself, which is said elsewhere."""
    try:
        return parse(value) if isinstance(value, str) else None
    except InvalidSetting:
        return None


def did_you_mean(text: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(text[:60].lower().replace("-", "_"), list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
