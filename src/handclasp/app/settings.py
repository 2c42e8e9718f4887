"""``handclasp.yaml`` read into values that cannot be wrong. No other module opens it.

``yaml_source`` turns the text into a tree with places, ``settings_model`` checks every value by itself,
``settings_checks`` what several say together, and only a file without any problem becomes ``Settings``: a person sees
all problems of a file at once, each with line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from handclasp.access.policy import ANYONE, Anyone, Policy, Rule
from handclasp.app.authority_settings import AuthoritySettings
from handclasp.app.endpoints import IPAddress, Listen, Upstream
from handclasp.app.monitoring_settings import MonitoringSettings
from handclasp.app.yaml_source import (
    MAX_SIZE,
    Position,
    Problem,
    SettingsError,
    Source,
    decode,
    path_text,
    read,
)
from handclasp.findings import CATALOGUE, Code, InvalidSetting, Refused
from handclasp.monitor.alerts.receiver import Receiver
from handclasp.monitor.definition import Monitor
from handclasp.pki import profile
from handclasp.pki.pem import load_chain
from handclasp.pki.spiffe import TrustDomain

if TYPE_CHECKING:
    # pydantic takes longer to import than a file takes to be read: parse() imports it, the types do not need it.
    from handclasp.app.settings_model import FileModel, RuleModel, ServiceModel

__all__ = [
    "Lifetimes",
    "Listen",
    "Problem",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "Upstream",
    "first_file",
    "load",
    "parse",
    "schema",
]


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One service: the names that callers call, where, what is behind it, and who may."""

    name: str
    listen: Listen
    hosts: tuple[str | IPAddress, ...]
    upstream: Upstream
    client_certificates: Literal["required", "off"]
    policy: Policy
    explain: Literal["none", "full"]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long certificates are valid that are made from now on; those that exist keep their end."""

    client: timedelta = profile.CLIENT.lifetime
    gateway: timedelta = profile.SERVER.lifetime


@dataclass(frozen=True, slots=True)
class Settings:
    """All that ``handclasp.yaml`` says. Two are equal when they mean the same, wherever and however it is written."""

    trust_domain: TrustDomain
    services: tuple[ServiceSettings, ...]
    lifetimes: Lifetimes
    source: str = field(compare=False)
    positions: Mapping[str, Position] = field(compare=False, repr=False)
    authority: AuthoritySettings = field(default_factory=AuthoritySettings)
    profiles: Mapping[str, profile.Profile] = field(default_factory=lambda: profile.PROFILES)
    database: str | None = None
    monitors: tuple[Monitor, ...] = ()
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)
    alerts: tuple[Receiver, ...] = ()

    def position(self, path: str) -> Position:
        """Line and column, from 1, of a setting (``services.orders.rules[0].allow``) or of what is around it."""
        while path and path not in self.positions:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.positions.get(path, (1, 1))

    def where(self, path: str) -> str:
        """The place of a setting as editors and terminals read it: ``handclasp.yaml:4``."""
        return f"{self.source}:{self.position(path)[0]}"

    def problem(self, path: str, why: str, allowed: str) -> Problem:
        """A problem of this file that could only be seen elsewhere, with its place."""
        return Problem(self.source, *self.position(path), path, why, allowed)


def load(path: Path) -> Settings:
    """Read the file, and see that the files that it names can be read.

    Raises SettingsError for what is in it, and Refused (CONFIG_MISSING, CONFIG_INVALID) where it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        code = Code.CONFIG_MISSING
        raise Refused(code, f"{path} cannot be read", "there is no such file", CATALOGUE[code].remedy) from None
    except OSError as error:
        why = error.strerror or str(error)
        fix = "Name a file that this user may read: --config FILE."
        raise Refused(Code.CONFIG_INVALID, f"{path} cannot be read", why, fix) from None
    settings = parse(decode(data, str(path)), str(path))
    problems = tuple(p for service in settings.services if (p := _authority_problem(settings, service)))
    if problems:
        raise SettingsError(problems)
    return settings


def parse(text: str, filename: str) -> Settings:
    """Read the text of a file. Files that it names are relative to the folder of ``filename``; none is opened.

    Raises SettingsError, with every problem of the text.
    """
    from handclasp.app.settings_checks import check
    from handclasp.app.settings_model import validate

    source = read(text, filename)
    model = None
    if source.complete:
        model = validate(source)
        check(source)
    if model is None or source.problems:
        raise source.error()
    settings = _settings(model, source)
    if source.problems:
        raise source.error()
    return settings


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file, for editors."""
    from handclasp.app import settings_model

    return settings_model.schema()


def first_file(
    trust_domain: TrustDomain,
    services: Sequence[tuple[str, int | str, Sequence[str], str]],
    allow: str | Mapping[str, str],
    *,
    demo: bool = False,
) -> str:
    """The file that the first ``handclasp up`` writes (D11), with comments that say what to change.

    A service is its name, ``listen``, ``hosts`` and ``upstream``; ``allow`` is the one identity that may call it
    (by the service's name where they differ). Raises InvalidSetting, by the path in the file, for a value that the file
    cannot have.
    """
    lines = [
        "# What Handclasp serves, and who may call it. While handclasp up runs, a change of this file is live at once;",
        "# a file with a mistake changes nothing and is reported. To check it: handclasp config validate",
        "",
        f"trust_domain: {_scalar(str(trust_domain))}    # every identity begins with spiffe://{trust_domain}/",
        "",
        "services:",
    ]
    for name, listen, hosts, upstream in services:
        one = allow if isinstance(allow, str) else allow[name]
        behind = "the demo API of handclasp up --demo; put your own here" if demo else "the API behind the gateway"
        lines += [
            f"  {_scalar(name)}:",
            f"    listen: {_scalar(str(listen))}    # the port, or ADDRESS:PORT",
            f"    hosts: [{', '.join(_scalar(host) for host in hosts)}]    # the names by which callers call it",
            f"    upstream: {_scalar(upstream)}    # {behind}",
            "    rules:    # what no rule allows is denied",
            f"      - allow: {_scalar(one)}    # a caller more: handclasp client add NAME, then a rule for it",
            "        # methods: [GET, POST]    # without this line: any method",
            "        # paths: [/v1/orders/**]    # without this line: any path",
        ]
    text = "\n".join(lines) + "\n"
    try:
        parse(text, "handclasp.yaml")
    except SettingsError as error:
        first = error.problems[0]
        raise InvalidSetting(first.path, first.why, first.allowed) from None
    return text


_PLAIN_SCALAR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*(?:://?[A-Za-z0-9._/-]+)?(?::[0-9]+)?/?")


def _scalar(text: str) -> str:
    """The text as it stands in YAML: in quotes where it could mean something else."""
    if _PLAIN_SCALAR.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _settings(model: FileModel, source: Source) -> Settings:
    from handclasp.app.settings_alerts import check_names, receiver
    from handclasp.app.settings_authority import authority_settings, profile_settings
    from handclasp.app.settings_monitoring import monitoring_settings
    from handclasp.app.settings_monitors import monitor

    own = {}
    for name, described in model.profiles.items():
        with _told(source, "profiles", name):
            own[name] = profile_settings(name, described)
    authority = AuthoritySettings()
    with _told(source, "authority"):
        authority = authority_settings(model.authority, str(model.trust_domain))
    monitors = []
    for name, watched in model.monitors.items():
        with _told(source, "monitors", name):
            monitors.append(monitor(name, watched, Path(source.file).parent))
    monitoring = MonitoringSettings()
    with _told(source, "monitoring"):
        monitoring = monitoring_settings(model.monitoring, Path(source.file).parent)
        _check_free(monitoring.listen, model)
    alerts = []
    for name, told in model.alerts.items():
        with _told(source, "alerts", name):
            alerts.append(receiver(name, told, Path(source.file).parent))
    if len(alerts) == len(model.alerts):
        for name, error in check_names(monitors, alerts):
            source.add(("monitors", name, error.path), error.why, error.allowed)
    return Settings(
        trust_domain=model.trust_domain,
        services=tuple(_service(name, service, source) for name, service in model.services.items()),
        lifetimes=Lifetimes(model.lifetimes.client, model.lifetimes.gateway),
        source=source.file,
        positions={path_text(path): place for path, place in source.positions.items()},
        authority=authority,
        profiles=MappingProxyType({**profile.PROFILES, **own}),
        database=model.database,
        monitors=tuple(monitors),
        monitoring=monitoring,
        alerts=tuple(alerts),
    )


@contextmanager
def _told(source: Source, *path: str) -> Iterator[None]:
    """What is wrong in the context is a problem of the setting at ``path``, or of one below it."""
    try:
        yield
    except InvalidSetting as error:
        source.add((*path, *filter(None, error.path.split("."))), error.why, error.allowed)


def _check_free(listen: Listen | None, model: FileModel) -> None:
    """Raises InvalidSetting where a service listens there."""
    for name, service in model.services.items():
        if listen is not None and (listen == service.listen or listen.overlaps(service.listen)):
            raise InvalidSetting("listen", f"the service {name} listens on {service.listen}", "another port")


def _service(name: str, model: ServiceModel, source: Source) -> ServiceSettings:
    upstream = model.upstream
    if model.upstream_ca is not None:
        upstream = replace(upstream, ca_file=Path(source.file).parent / model.upstream_ca)
    certificates = model.client_certificates == "required"
    rules = tuple(_rule(number, rule) for number, rule in enumerate(model.rules, 1))
    try:
        policy = Policy(name, certificates, rules)
    except InvalidSetting as error:
        source.add(("services", name, "rules"), error.why, error.allowed)
        policy = Policy(name, certificates, ())  # never seen: the problem ends the reading
    return ServiceSettings(
        name=name,
        listen=model.listen,
        hosts=tuple(model.hosts),
        upstream=upstream,
        client_certificates=model.client_certificates,
        policy=policy,
        explain=model.explain,
    )


def _rule(number: int, model: RuleModel) -> Rule:
    callers = tuple(caller for caller in model.allow if not isinstance(caller, Anyone))
    return Rule(
        number=number,
        callers=callers or ANYONE,
        methods=frozenset(model.methods) or None,
        paths=tuple(model.paths) or None,
    )


def _authority_problem(settings: Settings, service: ServiceSettings) -> Problem | None:
    file = service.upstream.ca_file
    if file is None:
        return None
    try:
        load_chain(file.read_bytes())
    except OSError as error:
        why, allowed = f"{file} cannot be read: {error.strerror or error}", "a PEM file, relative to this file"
    except InvalidSetting as error:
        why, allowed = f"{file}: {error.why}", error.allowed
    else:
        return None
    return settings.problem(f"services.{service.name}.upstream_ca", why, allowed)
