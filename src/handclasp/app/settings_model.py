"""What ``handclasp.yaml`` may say, setting by setting. pydantic is used here alone.

The models drive both the validation and the JSON Schema for editors. What several settings say together is checked in
``settings_checks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails, core_schema

from handclasp.access.pattern import IdentityPattern, PathPattern
from handclasp.access.policy import ANYONE, Anyone, Rule, parse_method
from handclasp.app.duration import PATTERN, parse_duration
from handclasp.app.endpoints import LISTEN, UPSTREAM, IPAddress, Listen, Upstream
from handclasp.app.yaml_source import Path, Source, Tree, kind
from handclasp.findings import InvalidSetting
from handclasp.pki import names, profile
from handclasp.pki.spiffe import TrustDomain

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

T = TypeVar("T")


@dataclass(frozen=True)
class _Text:
    """Metadata of a model's field: text that ``parse`` reads. pydantic sees no more of the type than this."""

    parse: Callable[[str], object]
    allowed: str
    json: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})

    def __get_pydantic_core_schema__(self, _source: object, _: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, _: object, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.json)

    def _validate(self, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            raise InvalidSetting("", f"{kind(value)} stands where one value belongs", self.allowed)
        return self.parse(value)


class _CallerText(_Text):
    """The same for a caller, who belongs to the file's trust domain."""

    def _validate(self, value: object, info: ValidationInfo) -> object:
        if value is ANYONE:
            return value
        domain = (info.context or {}).get("trust_domain")
        return _Text(lambda text: _caller(text, domain), self.allowed)._validate(value, info)


@dataclass(frozen=True)
class _Several:
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


def _service_name(text: str) -> str:
    if not _SERVICE_NAME.fullmatch(text):
        raise InvalidSetting("", f"{text!r} cannot be the name of a service", _SERVICE_NAME_ALLOWED)
    return text


_SERVICE_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")
_SERVICE_NAME_ALLOWED: Final = "1 to 40 of: lower-case letters, digits and dashes, as in orders"


def parse_host(text: str) -> str | IPAddress:
    try:
        return names.host(text)
    except InvalidSetting as error:
        raise InvalidSetting("", error.why, "an exact host name or an IP address; no wildcards") from None


def _file_name(text: str) -> str:
    if not text or "\0" in text:
        raise InvalidSetting("", "this is not the name of a file", "a PEM file, relative to this file")
    return text


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            why = f"{text!r} is not one of the choices{_did_you_mean(text, choices)}"
            raise InvalidSetting("", why, " or ".join(choices))
        return text

    return parse


def _lifetime(limits: profile.Profile) -> Callable[[str], timedelta]:
    def parse(text: str) -> timedelta:
        lifetime = parse_duration(text)
        if not limits.min_lifetime <= lifetime <= limits.max_lifetime:
            raise InvalidSetting("", f"{text} is outside the limits", _LIFETIME)
        return lifetime

    return parse


_LIFETIME: Final = (
    f"{profile.CLIENT.min_lifetime.seconds}s to {profile.CLIENT.max_lifetime.days}d, as in 90d, 12h, 30m or 10s"
)


def _caller(text: str, trust_domain: TrustDomain | None) -> IdentityPattern | Anyone:
    if trust_domain is None:
        # The file's own is wrong or missing, which is said elsewhere: hold the identity to its own.
        domain = text.removeprefix("spiffe://").partition("/")[0]
        trust_domain = TrustDomain.parse(domain if text.startswith("spiffe://") else "example.org")
    # As a list of one: Rule knows that anyone cannot stand in a list.
    try:
        callers = Rule.parse(1, allow=[text], trust_domain=trust_domain).callers
    except InvalidSetting as error:
        raise InvalidSetting("", error.why, error.allowed) from None
    return callers if isinstance(callers, Anyone) else callers[0]


def if_valid(parse: Callable[[str], T], value: Tree) -> T | None:
    """What the value means, or None where it is wrong by itself, which is said elsewhere."""
    try:
        return parse(value) if isinstance(value, str) else None
    except InvalidSetting:
        return None


def _did_you_mean(text: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(text[:60].lower().replace("-", "_"), list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


_HOSTS: Final = "a list of exact host names and IP addresses (no wildcards), as in [api.example.org, localhost]"
_CALLERS: Final = (
    "a SPIFFE ID, a list of them (* is one whole segment, ** any number), or anyone without client certificates"
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleModel(_Model):
    """One rule: it allows these callers these methods on these paths. GET does not imply HEAD."""

    allow: Annotated[
        list[Annotated[IdentityPattern | Anyone, _CallerText(str, _CALLERS)]],
        _Several(list, _CALLERS, may_be_one=True),
    ] = Field(
        description="Who: a SPIFFE ID or a list of them. * is one whole segment, ** any number of segments. "
        "anyone (alone) where the service asks for no client certificates.",
        examples=["spiffe://example.org/checkout", ["spiffe://example.org/audit/*"], "anyone"],
    )
    # Empty means that the file does not say; an empty list in the file is a problem.
    methods: Annotated[
        list[Annotated[str, _Text(parse_method, "a method in capitals, as in GET")]],
        _Several(list, "a list of methods, as in [GET, POST]; leave methods out to allow any"),
    ] = Field(
        default_factory=list,
        description="The methods, in capitals; without it, any. GET does not imply HEAD.",
        examples=[["GET", "POST"]],
    )
    paths: Annotated[
        list[Annotated[PathPattern, _Text(PathPattern.parse, "a path, as in /v1/orders/**")]],
        _Several(list, "a list of paths, as in [/v1/orders/**]; leave paths out to allow any"),
    ] = Field(
        default_factory=list,
        description="The paths, without query; without it, any. * is one whole segment that is not empty, "
        "** any number of segments, none included.",
        examples=[["/v1/orders/**", "/v1/customers/*/address"]],
    )


class ServiceModel(_Model):
    """One API: where callers reach it, where it is, and who may call it."""

    listen: Annotated[
        Listen,
        _Text(
            Listen.parse,
            LISTEN,
            {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]},
        ),
    ] = Field(
        description="The port, on all addresses of the machine, or ADDRESS:PORT.",
        examples=[8443, "127.0.0.1:8443", "[::1]:8443"],
    )
    hosts: Annotated[
        list[Annotated[str | IPAddress, _Text(parse_host, "an exact host name or an IP address; no wildcards")]],
        _Several(list, _HOSTS),
    ] = Field(
        description="The names by which callers call this service: exact DNS names and IP addresses.",
        examples=[["orders.example.org", "localhost"]],
    )
    upstream: Annotated[Upstream, _Text(Upstream.parse, UPSTREAM)] = Field(
        description="The API behind the gateway. h2c is HTTP/2 without TLS, as gRPC servers speak it. "
        "The certificate of an https upstream is verified.",
        examples=["http://127.0.0.1:8000", "https://api.internal:8443", "h2c://127.0.0.1:50051"],
    )
    upstream_ca: Annotated[str | None, _Text(_file_name, "a PEM file, relative to this file")] = Field(
        default=None,
        description="The authority that an https upstream is verified with (a PEM file, relative to this file), "
        "instead of the system's.",
        examples=["internal-ca.pem"],
    )
    client_certificates: Annotated[
        Literal["required", "off"],
        _Text(_choice("required", "off"), "required or off", {"enum": ["required", "off"]}),
    ] = Field(
        default="required",
        description="off: plain TLS; callers have no identities, and rules say allow: anyone.",
        examples=["required"],
    )
    explain: Annotated[
        Literal["none", "full"], _Text(_choice("none", "full"), "none or full", {"enum": ["none", "full"]})
    ] = Field(
        default="none",
        description="full: the answer to a denied caller says which rules there are and why none allows. "
        "The operator asks `handclasp can`.",
        examples=["full"],
    )
    rules: Annotated[list[RuleModel], _Several(list, "a list of rules (allow, methods, paths)", True)] = Field(
        default_factory=list,
        description="Who may do what. What no rule allows is denied, so no rules deny everything.",
        examples=[[{"allow": "spiffe://example.org/checkout", "methods": ["GET"], "paths": ["/v1/orders/**"]}]],
    )


class LifetimesModel(_Model):
    """How long the certificates that are made from now on are valid: 90d, 12h, 30m, 10s."""

    client: Annotated[
        timedelta, _Text(_lifetime(profile.CLIENT), _LIFETIME, {"type": "string", "pattern": f"^{PATTERN}$"})
    ] = Field(
        default=profile.CLIENT.lifetime,
        description="The callers' certificates.",
        examples=["90d"],
        json_schema_extra={"default": "90d"},
    )
    gateway: Annotated[
        timedelta, _Text(_lifetime(profile.SERVER), _LIFETIME, {"type": "string", "pattern": f"^{PATTERN}$"})
    ] = Field(
        default=profile.SERVER.lifetime,
        description="The gateway's own, renewed while it runs.",
        examples=["7d"],
        json_schema_extra={"default": "7d"},
    )


class FileModel(_Model):
    """What Handclasp serves, and who may call it."""

    trust_domain: Annotated[
        TrustDomain,
        _Text(TrustDomain.parse, "a name in lower case, as in example.org", {"type": "string", "maxLength": 255}),
    ] = Field(
        description="The name under which all identities are given: spiffe://TRUST_DOMAIN/NAME. "
        "It cannot be changed once certificates are issued.",
        examples=["example.org"],
    )
    services: Annotated[
        dict[Annotated[str, _Text(_service_name, _SERVICE_NAME_ALLOWED)], ServiceModel],
        _Several(dict, "a mapping of services: a name, as in orders, with listen, hosts and upstream below it"),
    ] = Field(
        description="The services by name (lower-case letters, digits and dashes).",
        examples=[{"orders": {"listen": 8443, "hosts": ["orders.example.org"], "upstream": "http://127.0.0.1:8000"}}],
        json_schema_extra={"propertyNames": {"pattern": f"^{_SERVICE_NAME.pattern}$"}},
    )
    lifetimes: LifetimesModel = Field(default_factory=LifetimesModel, description="How long certificates are valid.")


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file."""
    made = FileModel.model_json_schema()
    for definition in (made, *made["$defs"].values()):
        definition.pop("title", None)
        for setting in definition.get("properties", {}).values():
            setting.pop("title", None)
            if setting.get("default", "") is None:
                del setting["default"]  # an absent setting, which null would not be
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "handclasp.yaml"}
    return head | made


def validate(source: Source) -> FileModel | None:
    """Check every setting by itself; problems go into the source. The result is None where there are any."""
    tree = source.tree
    if not isinstance(tree, dict):
        what = "the file is empty" if tree is None else f"the file holds {kind(tree)} instead of settings"
        source.add((), what, "the settings trust_domain, services and lifetimes, each with a colon")
        return None
    model = None
    try:
        context = {"trust_domain": if_valid(TrustDomain.parse, tree.get("trust_domain"))}
        model = FileModel.model_validate(tree, context=context)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _add(source, details)
    return model


def _add(source: Source, error: ErrorDetails) -> None:
    """One error of pydantic, in our words."""
    path: Path = error["loc"]
    if error["type"] == "value_error" and path[-1:] == ("[key]",):
        path = path[:-1]
        at = source.keys[path]
    else:
        at = source.keys[path] if error["type"] == "extra_forbidden" else source.position(path)
    if any(path[: len(alias)] == alias for alias in source.aliases):
        return
    cause = error.get("ctx", {}).get("error")
    model = _model_at(path[:-1])
    if isinstance(cause, InvalidSetting):
        source.add(path, cause.why, cause.allowed, at)
    elif error["type"] == "missing":
        why = f"{path[-1]} is missing"
        source.add(path, why, _allowed(model, str(path[-1])), at)
    elif error["type"] == "extra_forbidden":
        why = f"there is no setting of this name here{_did_you_mean(str(path[-1]), model.model_fields)}"
        source.add(path, why, ", ".join(model.model_fields), at)
    else:
        why = f"{kind(error['input'])} stands where a mapping belongs"
        source.add(path, why, f"a mapping with {', '.join(_model_at(path).model_fields)}", at)


def _model_at(path: Path) -> type[BaseModel]:
    if len(path) >= 4 and path[2] == "rules":
        return RuleModel
    if path[:1] == ("services",) and len(path) >= 2:
        return ServiceModel
    return LifetimesModel if path == ("lifetimes",) else FileModel


def _allowed(model: type[BaseModel], name: str) -> str:
    for metadata in model.model_fields[name].metadata:
        if isinstance(metadata, _Text | _Several):
            return metadata.allowed
    return name
