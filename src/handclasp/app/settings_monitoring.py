"""What ``handclasp.yaml`` may say under ``monitoring``: where results go, what may be probed, how long is kept."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field

from handclasp.app.duration import PATTERN, parse_duration
from handclasp.app.endpoints import LISTEN, Listen
from handclasp.app.monitoring_settings import STANDARD_OUTPUT, MonitoringSettings, ProbeSettings
from handclasp.app.settings_fields import Model, Several, Text, choice
from handclasp.findings import InvalidSetting
from handclasp.monitor.definition import Trust
from handclasp.monitor.outputs.destination import (
    BUILT_IN,
    PATH,
    CollectorAddress,
    Module,
    Prober,
    StatsdAddress,
)
from handclasp.monitor.outputs.targets import ALLOWED as TARGETS
from handclasp.monitor.outputs.targets import AllowedTargets
from handclasp.monitor.ports import Retention
from handclasp.probe import parse as endpoint

LOOPBACK: Final = "127.0.0.1"

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_NAME_ALLOWED: Final = "1 to 80 of: letters, digits, dots, dashes and underscores, as in http_partner"
_CREDENTIAL_ALLOWED: Final = "none, auto, or the name of a credential"
_STATSD: Final = "HOST:PORT, or unix:/path/of/a/socket"
_OTLP: Final = "http://HOST:PORT or https://HOST:PORT; without a path, /v1/metrics"
_TRUST: Final = "system, own, or a PEM file of authorities, relative to this file"
_JSONL: Final = "a file, relative to this file, or - for standard output"
_KEPT: Final = "1h to 3650d, as in 7d"
_PROBERS: Final = tuple(prober.value for prober in Prober)
_PORTS: Final = {"http": 80, "https": 443}
_LONGEST_SOCKET: Final = 107  # octets of sun_path, without the final zero


def _statsd(text: str) -> StatsdAddress:
    if text.startswith("unix:"):
        path = re.sub(r"^/+", "/", text.removeprefix("unix:"))
        if not path.startswith("/") or "\0" in path or len(path.encode()) > _LONGEST_SOCKET:
            raise InvalidSetting("", "this is not the path of a socket", _STATSD)
        return StatsdAddress(path=path)
    host, port = _host_and_port(text, _STATSD)
    return StatsdAddress(host, port)


def _otlp(text: str) -> CollectorAddress:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise InvalidSetting("", f"{text[:80]!r} is not a URL", _OTLP) from None
    if "@" in url.netloc:
        raise InvalidSetting("", "a login in the URL is not used", f"{_OTLP}; keys in OTEL_EXPORTER_OTLP_HEADERS")
    if url.scheme not in _PORTS or not url.hostname or url.query or url.fragment:
        raise InvalidSetting("", f"{text[:80]!r} is not the address of a collector", _OTLP)
    host = _host(url.hostname, _OTLP)
    if not re.fullmatch(r"[A-Za-z0-9/._~%-]*", url.path):
        raise InvalidSetting("", "the path cannot be used", _OTLP)
    path = url.path if url.path not in {"", "/"} else PATH
    return CollectorAddress(url.scheme, host, _PORTS[url.scheme] if port is None else port, path)


def _host_and_port(text: str, allowed: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([1-9][0-9]{0,4})", text)
    if found is None or int(found[3]) > 65535:
        raise InvalidSetting("", f"{text[:80]!r} is no host and port", allowed)
    return _host(found[1] or found[2], allowed), int(found[3])


def _host(text: str, allowed: str) -> str:
    try:
        return endpoint.host(text)
    except InvalidSetting as error:
        raise InvalidSetting("", error.why, allowed) from None


def _listen(text: str) -> Listen:
    found = Listen.parse(text)
    # Who stands in the metrics, and what a /probe may reach, is not for the whole network unless that is said.
    return found if found.address is not None else Listen(LOOPBACK, found.port)


def _target(text: str) -> str:
    AllowedTargets.parse([text])
    return text


def _word(pattern: re.Pattern[str], allowed: str) -> Text:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise InvalidSetting("", f"{text[:90]!r} is no name", allowed)
        return text

    return Text(parse, allowed)


def _trust(text: str) -> str:
    if text not in {"system", "own"} and ("\0" in text or not re.search(r"[./]", text)):
        raise InvalidSetting("", f"{text[:90]!r} is no trust", _TRUST)
    return text


def _file(text: str) -> str:
    if not text or "\0" in text or text.endswith("/"):
        raise InvalidSetting("", "this is not the name of a file", _JSONL)
    return text


def _kept(text: str) -> timedelta:
    length = parse_duration(text)
    if not timedelta(hours=1) <= length <= timedelta(days=3650):
        raise InvalidSetting("", f"{text} is outside the limits", _KEPT)
    return length


_KEPT_TEXT: Final = Text(_kept, _KEPT, {"type": "string", "pattern": f"^{PATTERN}$"})


class ModuleModel(Model):
    """A way to examine what is asked for at /probe."""

    prober: Annotated[str, Text(choice(*_PROBERS), " or ".join(_PROBERS), {"enum": list(_PROBERS)})] = Field(
        description="How it is examined: http_2xx and tcp_connect_tls as blackbox_exporter does; tls: the chain is "
        "trusted, whatever is demanded of callers; https: answered with 200 to 399; refused: a caller without a "
        "certificate is turned away.",
        examples=["http_2xx"],
    )
    trust: Annotated[str, Text(_trust, _TRUST)] = Field(
        default="system",
        description="With which authorities the server is verified: system, own, or a PEM file, relative to this file.",
        examples=["partner-ca.pem"],
    )
    server_name: Annotated[str | None, Text(endpoint.host, "a host name")] = Field(
        default=None,
        description="The name that is asked for and that the certificate must have, if it is not the target's.",
        examples=["api.example.org"],
    )
    credential: Annotated[str, _word(_NAME, _CREDENTIAL_ALLOWED)] = Field(
        default="none",
        description="The client certificate that is shown: none, auto (by the pattern of the host), or a name. Whoever "
        "reaches /probe may use it, for the targets that are allowed.",
        examples=["none", "partner"],
    )


class ProbeModel(Model):
    """What /probe may examine for others."""

    targets: Annotated[
        list[Annotated[str, Text(_target, TARGETS)]], Several(list, f"a list of {TARGETS}", may_be_one=True)
    ] = Field(
        default_factory=list,
        description="Whom it may examine: hosts, *. and a host (one label), addresses, each with or without a port, "
        "networks for targets that are addresses, or anything, which lets whoever reaches it look into your network.",
        examples=[["*.example.org", "mail.example.org:25", "10.20.0.0/16"]],
    )
    modules: Annotated[
        dict[Annotated[str, _word(_NAME, _NAME_ALLOWED)], ModuleModel],
        Several(dict, "a mapping of modules: a name, with prober below it"),
    ] = Field(
        default_factory=dict,
        description="Modules of your own by name, beside (or instead of) the built-in ones: " + ", ".join(_PROBERS),
        examples=[{"http_partner": {"prober": "http_2xx", "trust": "partner-ca.pem"}}],
        json_schema_extra={"propertyNames": {"pattern": f"^{_NAME.pattern}$"}},
    )


class RetentionModel(Model):
    """What is kept, and how long."""

    results: Annotated[timedelta, _KEPT_TEXT] = Field(
        default=timedelta(days=7),
        description="Single results.",
        examples=["7d"],
        json_schema_extra={"default": "7d"},
    )
    history: Annotated[timedelta, _KEPT_TEXT] = Field(
        default=timedelta(days=400),
        description="What they amount to hour by hour, and what changed.",
        examples=["400d"],
        json_schema_extra={"default": "400d"},
    )


class MonitoringModel(Model):
    """Where results go. Nothing is sent and nothing listens unless it is said here."""

    listen: Annotated[
        Listen | None,
        Text(_listen, LISTEN, {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]}),
    ] = Field(
        default=None,
        description="Where /metrics, /probe and /datadog.json are served, over plain HTTP and to whoever reaches it: "
        "a port, on 127.0.0.1, or ADDRESS:PORT.",
        examples=[9219, "10.0.0.5:9219"],
    )
    probe: ProbeModel = Field(
        default_factory=ProbeModel,
        description="What /probe may examine, in the manner of blackbox_exporter. Without targets, nothing.",
    )
    statsd: Annotated[StatsdAddress | None, Text(_statsd, _STATSD)] = Field(
        default=None,
        description="Where each result is sent as DogStatsD: the Datadog Agent's address, HOST:PORT or unix:/path.",
        examples=["127.0.0.1:8125", "unix:/var/run/datadog/dsd.socket"],
    )
    otlp: Annotated[CollectorAddress | None, Text(_otlp, _OTLP)] = Field(
        default=None,
        description="The OpenTelemetry collector that gets all metrics every minute (OTLP over HTTP, in JSON). Headers "
        "for it are taken from OTEL_EXPORTER_OTLP_HEADERS.",
        examples=["http://127.0.0.1:4318"],
    )
    jsonl: Annotated[str | None, Text(_file, _JSONL)] = Field(
        default=None,
        description="The file that gets a line of JSON for each result, change and transition; - is standard output. "
        "It is moved aside at 64 MB, and five of those are kept.",
        examples=["log/monitoring.jsonl", "-"],
    )
    retention: RetentionModel = Field(default_factory=RetentionModel, description="How long results are kept.")


def monitoring_settings(model: MonitoringModel, folder: Path) -> MonitoringSettings:
    """The values of the model; files are relative to ``folder``. Raises InvalidSetting for what does not go together,
    by the path below ``monitoring``."""
    if model.probe.model_fields_set and model.listen is None:
        raise InvalidSetting("listen", "it is missing, so nobody could ask for a probe", LISTEN)
    if model.probe.modules and not model.probe.targets:
        raise InvalidSetting("probe.targets", "it is missing, so the modules could examine nothing", TARGETS)
    if model.retention.history < model.retention.results:
        raise InvalidSetting("retention.history", "it is shorter than results", "at least as long as results")
    jsonl = None
    if model.jsonl is not None:
        jsonl = Path(STANDARD_OUTPUT) if model.jsonl == STANDARD_OUTPUT else folder / model.jsonl
    return MonitoringSettings(
        listen=model.listen,
        probe=_probe(model.probe, folder) if model.probe.targets else None,
        statsd=model.statsd,
        otlp=model.otlp,
        jsonl=jsonl,
        retention=Retention(model.retention.results, model.retention.history),
    )


def _probe(model: ProbeModel, folder: Path) -> ProbeSettings:
    modules = {module.name: module for module in BUILT_IN}
    modules |= {name: _module(name, one, folder) for name, one in model.modules.items()}
    return ProbeSettings(tuple(model.targets), tuple(modules.values()))


def _module(name: str, model: ModuleModel, folder: Path) -> Module:
    known = model.trust in {"system", "own"}
    return Module(
        name,
        Prober(model.prober),
        trust=Trust(model.trust) if known else Trust.FILE,
        ca_file=None if known else str(folder / model.trust),
        server_name=model.server_name,
        credential=None if model.credential == "none" else model.credential,
    )
