"""What ``handclasp.yaml`` may say, setting by setting. pydantic is used here alone.

The models drive both the validation and the JSON Schema for editors. What several settings say together is checked in
``settings_checks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from handclasp.access.pattern import IdentityPattern, PathPattern
from handclasp.access.policy import ANYONE, Anyone, Rule, parse_method
from handclasp.app.duration import PATTERN, parse_duration
from handclasp.app.endpoints import LISTEN, UPSTREAM, IPAddress, Listen, Upstream
from handclasp.app.settings_alerts import ALERT_NAME, ALERT_NAME_PATTERN, AlertModel
from handclasp.app.settings_authority import PROFILE_NAME, PROFILE_NAME_PATTERN, AuthorityModel, ProfileModel
from handclasp.app.settings_fields import Model, Several, Text, choice, did_you_mean, if_valid
from handclasp.app.settings_monitoring import MonitoringModel
from handclasp.app.settings_monitors import MONITOR_NAME, MONITOR_NAME_PATTERN, MonitorModel
from handclasp.app.yaml_source import Path, Source, kind
from handclasp.findings import InvalidSetting
from handclasp.pki import names, profile
from handclasp.pki.spiffe import TrustDomain


class _CallerText(Text):
    """The same for a caller, who belongs to the file's trust domain."""

    def validate(self, value: object, info: ValidationInfo) -> object:
        if value is ANYONE:
            return value
        domain = (info.context or {}).get("trust_domain")
        return Text(lambda text: _caller(text, domain), self.allowed).validate(value, info)


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


_HOSTS: Final = "a list of exact host names and IP addresses (no wildcards), as in [api.example.org, localhost]"
_CALLERS: Final = (
    "a SPIFFE ID, a list of them (* is one whole segment, ** any number), or anyone without client certificates"
)


def _database(text: str) -> str:
    if not _DATABASE.match(text):
        raise InvalidSetting("", f"{text.partition(':')[0]!r} is no database that is known here", _DATABASE_ALLOWED)
    if _WITH_PASSWORD.search(text):
        raise InvalidSetting("", "there is a password in it", "the address without it, and the password in ~/.pgpass")
    return text


_DATABASE: Final = re.compile(r"postgres(ql)?://")
_WITH_PASSWORD: Final = re.compile(r"^[a-z]+://[^/@]*:[^/@]*@|[?&](ssl)?password=")
_DATABASE_ALLOWED: Final = "postgresql://USER@HOST:PORT/NAME"


class RuleModel(Model):
    """One rule: it allows these callers these methods on these paths. GET does not imply HEAD."""

    allow: Annotated[
        list[Annotated[IdentityPattern | Anyone, _CallerText(str, _CALLERS)]],
        Several(list, _CALLERS, may_be_one=True),
    ] = Field(
        description="Who: a SPIFFE ID or a list of them. * is one whole segment, ** any number of segments. "
        "anyone (alone) where the service asks for no client certificates.",
        examples=["spiffe://example.org/checkout", ["spiffe://example.org/audit/*"], "anyone"],
    )
    # Empty means that the file does not say; an empty list in the file is a problem.
    methods: Annotated[
        list[Annotated[str, Text(parse_method, "a method in capitals, as in GET")]],
        Several(list, "a list of methods, as in [GET, POST]; leave methods out to allow any"),
    ] = Field(
        default_factory=list,
        description="The methods, in capitals; without it, any. GET does not imply HEAD.",
        examples=[["GET", "POST"]],
    )
    paths: Annotated[
        list[Annotated[PathPattern, Text(PathPattern.parse, "a path, as in /v1/orders/**")]],
        Several(list, "a list of paths, as in [/v1/orders/**]; leave paths out to allow any"),
    ] = Field(
        default_factory=list,
        description="The paths, without query; without it, any. * is one whole segment that is not empty, "
        "** any number of segments, none included.",
        examples=[["/v1/orders/**", "/v1/customers/*/address"]],
    )


class ServiceModel(Model):
    """One API: where callers reach it, where it is, and who may call it."""

    listen: Annotated[
        Listen,
        Text(
            Listen.parse,
            LISTEN,
            {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]},
        ),
    ] = Field(
        description="The port, on all addresses of the machine, or ADDRESS:PORT.",
        examples=[8443, "127.0.0.1:8443", "[::1]:8443"],
    )
    hosts: Annotated[
        list[Annotated[str | IPAddress, Text(parse_host, "an exact host name or an IP address; no wildcards")]],
        Several(list, _HOSTS),
    ] = Field(
        description="The names by which callers call this service: exact DNS names and IP addresses.",
        examples=[["orders.example.org", "localhost"]],
    )
    upstream: Annotated[Upstream, Text(Upstream.parse, UPSTREAM)] = Field(
        description="The API behind the gateway. h2c is HTTP/2 without TLS, as gRPC servers speak it. "
        "The certificate of an https upstream is verified.",
        examples=["http://127.0.0.1:8000", "https://api.internal:8443", "h2c://127.0.0.1:50051"],
    )
    upstream_ca: Annotated[str | None, Text(_file_name, "a PEM file, relative to this file")] = Field(
        default=None,
        description="The authority that an https upstream is verified with (a PEM file, relative to this file), "
        "instead of the system's.",
        examples=["internal-ca.pem"],
    )
    client_certificates: Annotated[
        Literal["required", "off"],
        Text(choice("required", "off"), "required or off", {"enum": ["required", "off"]}),
    ] = Field(
        default="required",
        description="off: plain TLS; callers have no identities, and rules say allow: anyone.",
        examples=["required"],
    )
    explain: Annotated[
        Literal["none", "full"], Text(choice("none", "full"), "none or full", {"enum": ["none", "full"]})
    ] = Field(
        default="none",
        description="full: the answer to a denied caller says which rules there are and why none allows. "
        "The operator asks `handclasp can`.",
        examples=["full"],
    )
    rules: Annotated[list[RuleModel], Several(list, "a list of rules (allow, methods, paths)", True)] = Field(
        default_factory=list,
        description="Who may do what. What no rule allows is denied, so no rules deny everything.",
        examples=[[{"allow": "spiffe://example.org/checkout", "methods": ["GET"], "paths": ["/v1/orders/**"]}]],
    )


class LifetimesModel(Model):
    """How long the certificates that are made from now on are valid: 90d, 12h, 30m, 10s."""

    client: Annotated[
        timedelta, Text(_lifetime(profile.CLIENT), _LIFETIME, {"type": "string", "pattern": f"^{PATTERN}$"})
    ] = Field(
        default=profile.CLIENT.lifetime,
        description="The callers' certificates.",
        examples=["90d"],
        json_schema_extra={"default": "90d"},
    )
    gateway: Annotated[
        timedelta, Text(_lifetime(profile.SERVER), _LIFETIME, {"type": "string", "pattern": f"^{PATTERN}$"})
    ] = Field(
        default=profile.SERVER.lifetime,
        description="The gateway's own, renewed while it runs.",
        examples=["7d"],
        json_schema_extra={"default": "7d"},
    )


class FileModel(Model):
    """What Handclasp serves, and who may call it."""

    trust_domain: Annotated[
        TrustDomain,
        Text(TrustDomain.parse, "a name in lower case, as in example.org", {"type": "string", "maxLength": 255}),
    ] = Field(
        description="The name under which all identities are given: spiffe://TRUST_DOMAIN/NAME. "
        "It cannot be changed once certificates are issued.",
        examples=["example.org"],
    )
    services: Annotated[
        dict[Annotated[str, Text(_service_name, _SERVICE_NAME_ALLOWED)], ServiceModel],
        Several(dict, "a mapping of services: a name, as in orders, with listen, hosts and upstream below it"),
    ] = Field(
        default_factory=dict,
        description="The services by name (lower-case letters, digits and dashes). Only a file with monitors may be "
        "without any.",
        examples=[{"orders": {"listen": 8443, "hosts": ["orders.example.org"], "upstream": "http://127.0.0.1:8000"}}],
        json_schema_extra={"propertyNames": {"pattern": f"^{_SERVICE_NAME.pattern}$"}},
    )
    lifetimes: LifetimesModel = Field(default_factory=LifetimesModel, description="How long certificates are valid.")
    database: Annotated[str | None, Text(_database, _DATABASE_ALLOWED)] = Field(
        default=None,
        description="Where the ledger is: postgresql://USER@HOST/NAME, for several processes on one ledger. "
        "Without it, SQLite in the state directory. The password belongs into ~/.pgpass or PGPASSWORD.",
        examples=["postgresql://handclasp@db.example.org/handclasp"],
    )
    authority: AuthorityModel = Field(default_factory=AuthorityModel, description="The certificate authority.")
    profiles: Annotated[
        dict[Annotated[str, PROFILE_NAME], ProfileModel],
        Several(dict, "a mapping of profiles: a name, with extends and what differs below it"),
    ] = Field(
        default_factory=dict,
        description="Kinds of certificates of your own, by name, beside the built-in ones.",
        examples=[{"partner": {"extends": "client", "lifetime": "30d", "approval": "required"}}],
        json_schema_extra={"propertyNames": {"pattern": PROFILE_NAME_PATTERN}},
    )
    monitors: Annotated[
        dict[Annotated[str, MONITOR_NAME], MonitorModel],
        Several(dict, "a mapping of monitors: a name, as in partner-api, with target below it", may_be_empty=True),
    ] = Field(
        default_factory=dict,
        description="What is watched, by name.",
        examples=[{"partner-api": {"target": "https://api.partner.example/health", "every": "1m"}}],
        json_schema_extra={"propertyNames": {"pattern": MONITOR_NAME_PATTERN}},
    )
    monitoring: MonitoringModel = Field(
        default_factory=MonitoringModel, description="Where the results of the monitors go, and how long they are kept."
    )
    alerts: Annotated[
        dict[Annotated[str, ALERT_NAME], AlertModel],
        Several(dict, "a mapping of alerts: a name, as in oncall, with email, slack, pagerduty... below it"),
    ] = Field(
        default_factory=dict,
        description="Who is told when the state of a monitor changes, by name.",
        examples=[{"oncall": {"pagerduty": "env:PAGERDUTY_KEY"}}],
        json_schema_extra={"propertyNames": {"pattern": ALERT_NAME_PATTERN}},
    )


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
        source.add((), what, "the settings trust_domain, services and so on, each with a colon")
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
        names = _names(model)
        why = f"there is no setting of this name here{did_you_mean(str(path[-1]), names)}"
        source.add(path, why, ", ".join(names), at)
    else:
        why = f"{kind(error['input'])} stands where a mapping belongs"
        source.add(path, why, f"a mapping with {', '.join(_names(_model_at(path)))}", at)


def _names(model: type[BaseModel]) -> list[str]:
    """The settings of a model, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(path: Path) -> type[BaseModel]:
    """The model that has the setting at ``path``, or the last one on the way to it."""
    model: type[BaseModel] = FileModel
    into_container = False
    for step in path:
        if into_container:  # the step is a name in a mapping or a place in a list
            into_container = False
            continue
        inner = _inner(model.model_fields[step].annotation) if step in model.model_fields else None
        if inner is None:
            return model
        into_container = inner is not model.model_fields[str(step)].annotation
        model = inner
    return model


def _inner(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner(part)) is not None), None)


def _allowed(model: type[BaseModel], name: str) -> str:
    for metadata in model.model_fields[name].metadata:
        if isinstance(metadata, Text | Several):
            return metadata.allowed
    return name
