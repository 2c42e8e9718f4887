"""What ``handclasp.yaml`` may say under ``monitors``: what is watched, how often, and what has to hold."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from handclasp.app import passphrase
from handclasp.app.duration import PATTERN, parse_duration
from handclasp.app.settings_fields import Model, Several, Text, choice
from handclasp.findings import InvalidSetting
from handclasp.monitor import json_path, regular, regular_syntax, schedule
from handclasp.monitor.definition import Expectation, Kind, Monitor, Stranger, Trust, Window
from handclasp.monitor.maintenance import ALLOWED as WINDOW_ALLOWED
from handclasp.monitor.maintenance import PATTERN as WINDOW_PATTERN
from handclasp.monitor.maintenance import parse as parse_window
from handclasp.monitor.material import is_file_name
from handclasp.probe import parse as endpoint

LEDGER: Final = "ledger"
LONGEST: Final = timedelta(minutes=15)
"""The longest that a check with its retries may take: so long waits what a worker had in hand when it died."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_NAME_ALLOWED: Final = "1 to 80 of: letters, digits, dots, dashes and underscores, as in partner-api"
_TARGET: Final = (
    "HOST:PORT for the certificates there, https://... for a request, a file or directory (/..., ./..., *.pem), "
    "or ledger for those of our own authority"
)
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_LABEL_ALLOWED: Final = "1 to 40 of: letters, digits and underscores, as in team"
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")
_STATUS: Final = re.compile(r"[1-5]([0-9][0-9]|xx)")
_STATUS_ALLOWED: Final = "statuses of HTTP, as in 200 or 2xx"
_PIN_ALLOWED: Final = "the SHA-256 of a public key (SubjectPublicKeyInfo): sha256/BASE64, or 64 hexadecimal digits"
_LATENCY: Final = re.compile(r"([1-9][0-9]{0,5})(ms|s)")
_LATENCY_ALLOWED: Final = "a number and ms or s, as in 500ms"
_TRUST_ALLOWED: Final = "system, own, or a PEM file of authorities, relative to this file"
_PLACE: Final = "env:NAME, file:PATH or keyring:SERVICE"
_ENFORCEMENTS: Final = ("required", "required_at_http", "optional", "not_requested")
_VERSIONS: Final[Mapping[str, int]] = {"1.2": 0x0303, "1.3": 0x0304}
_DURATION: Final = {"type": "string", "pattern": f"^{PATTERN}$"}
_STRANGERS: Final = tuple(one.value for one in Stranger)
_FOR_REQUESTS: Final = ("status", "headers", "body", "json_values")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidSetting("", f"{text[:90]!r} cannot be the name of a monitor", _NAME_ALLOWED)
    return text


def _target(text: str) -> str:
    if text == LEDGER:
        return text
    if "\0" in text:
        raise InvalidSetting("", "this is not the name of a file", _TARGET)
    if not is_file_name(text):
        endpoint.target(text)
    return text


def _length(least: timedelta, most: timedelta, allowed: str) -> Text:
    def parse(text: str) -> timedelta:
        length = parse_duration(text)
        if not least <= length <= most:
            raise InvalidSetting("", f"{text} is outside the limits", allowed)
        return length

    return Text(parse, allowed, _DURATION)


def _retries(text: str) -> int:
    if not re.fullmatch(r"[0-9]|10", text):
        raise InvalidSetting("", f"{text!r} is no such number", "0 to 10")
    return int(text)


def _statuses(text: str) -> range:
    if not _STATUS.fullmatch(text):
        raise InvalidSetting("", f"{text!r} is no status", _STATUS_ALLOWED)
    if text.endswith("xx"):
        return range(int(text[0]) * 100, int(text[0]) * 100 + 100)
    return range(int(text), int(text) + 1)


def _pin(text: str) -> str:
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return text.lower()
    try:
        digest = base64.b64decode(text.removeprefix("sha256/"), validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 32 or not text.startswith("sha256/"):
        raise InvalidSetting("", f"{text[:80]!r} is no pin", _PIN_ALLOWED)
    return digest.hex()


def _issuer(text: str) -> str:
    """In the form of RFC 4514, which has no spaces after commas."""
    if "=" not in text:
        raise InvalidSetting("", f"{text[:80]!r} is no name of an issuer", "the name as in CN=R3,O=Example,C=US")
    return re.sub(r"(?<!\\), +(?=[A-Za-z0-9.]+=)", ",", text)


def _expression(text: str) -> str:
    return regular.expression(text).text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise InvalidSetting("", f"{text[:90]!r} is no name of a header", "a name, as in content-type")
    return text.lower()


def _path(text: str) -> str:
    return json_path.text_of(json_path.parse(text))


def _value(text: str) -> str:
    return text


def _latency(text: str) -> float:
    found = _LATENCY.fullmatch(text)
    if found is None:
        raise InvalidSetting("", f"{text!r} is no such time", _LATENCY_ALLOWED)
    return int(found[1]) / (1000 if found[2] == "ms" else 1)


def _trust(text: str) -> str:
    if text not in {"system", "own"} and (not text or "\0" in text or not re.search(r"[./]", text)):
        raise InvalidSetting("", f"{text!r} is no trust", _TRUST_ALLOWED)
    return text


def _word(what: str, pattern: re.Pattern[str], allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise InvalidSetting("", f"{text[:90]!r} is no {what}", allowed)
        return text

    return parse


def _secret(text: str) -> str:
    if passphrase.parse(text).kind == "prompt":
        raise InvalidSetting("", "nobody sits there to be asked", _PLACE)
    return text


def _enum(*values: str) -> Text:
    return Text(choice(*values), " or ".join(values), {"enum": list(values)})


class ExpectModel(Model):
    """What has to hold. What is not said is not looked at, except that a request must be answered with 200 to 399."""

    client_certificate: Annotated[str | None, _enum(*_ENFORCEMENTS)] = Field(
        default=None,
        description="What the server demands of a caller without a certificate: required (at TLS or by HTTP), "
        "required_at_http, optional or not_requested.",
        examples=["required"],
    )
    tls: Annotated[str | None, _enum(*_VERSIONS)] = Field(
        default=None, description="The lowest version of TLS that the server may choose.", examples=["1.3"]
    )
    issuer: Annotated[str | None, Text(_issuer, "the name of the issuer, as in CN=R3,O=Example,C=US")] = Field(
        default=None,
        description="Who must have issued the server's certificate (RFC 4514).",
        examples=["CN=R3,O=Let's Encrypt,C=US"],
    )
    pins: Annotated[
        list[Annotated[str, Text(_pin, _PIN_ALLOWED)]],
        Several(list, f"a list of pins: {_PIN_ALLOWED}", may_be_one=True),
    ] = Field(
        default_factory=list,
        description="Public keys, one of which must be in the chain: sha256/BASE64 or hexadecimal.",
        examples=[["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]],
    )
    chain: Annotated[Literal["unchanged"] | None, _enum("unchanged")] = Field(
        default=None,
        description="unchanged: the issuer and the key are those of the check before.",
        examples=["unchanged"],
    )
    status: Annotated[
        list[Annotated[range, Text(_statuses, _STATUS_ALLOWED, {"type": ["integer", "string"]})]],
        Several(list, _STATUS_ALLOWED, may_be_one=True),
    ] = Field(
        default_factory=list,
        description="The statuses of HTTP that are good, as in 200 or 2xx.",
        examples=[[200, "3xx"]],
    )
    headers: Annotated[
        dict[
            Annotated[str, Text(_header, "a name, as in content-type")],
            Annotated[str, Text(_expression, regular_syntax.ALLOWED)],
        ],
        Several(dict, "a mapping: the name of a header, and a regular expression"),
    ] = Field(
        default_factory=dict,
        description="Headers of the response by name, each with a regular expression that must match.",
        examples=[{"content-type": "^application/json"}],
    )
    body: Annotated[str | None, Text(_expression, regular_syntax.ALLOWED)] = Field(
        default=None,
        description="A regular expression (RE2) that must match in the first 64 kB of the body.",
        examples=['"status": ?"ok"'],
    )
    json_values: Annotated[
        dict[Annotated[str, Text(_path, json_path.ALLOWED)], Annotated[str, Text(_value, "a value")]],
        Several(dict, "a mapping: a path, as in $.status, and the value there"),
    ] = Field(
        alias="json",
        default_factory=dict,
        description="Values in a JSON body by path.",
        examples=[{"$.status": "ok", "$.checks[0].healthy": "true"}],
    )
    latency: Annotated[
        float | None, Text(_latency, _LATENCY_ALLOWED, {"type": "string", "pattern": "^[0-9]+(ms|s)$"})
    ] = Field(
        default=None,
        description="The longest time until the first octet of the response (or the end of the handshake).",
        examples=["500ms"],
    )


class MonitorModel(Model):
    """One thing that is watched."""

    target: Annotated[str, Text(_target, _TARGET)] = Field(
        description="What: HOST:PORT for the certificates there, https://... for a request, a file or directory "
        "(relative to this file), or ledger for those that our own authority has issued.",
        examples=["https://api.partner.example/health", "smtp://mail.example.org", "/etc/nginx/tls", "ledger"],
    )
    refuses: Annotated[str | None, _enum(*_STRANGERS)] = Field(
        default=None,
        description="Who must be turned away there: anonymous (a caller without a certificate) or unlisted_ca "
        "(one with a certificate of an unknown authority). That is all that is looked at then.",
        examples=["anonymous"],
    )
    every: Annotated[timedelta, _length(timedelta(seconds=1), timedelta(days=31), "1s to 31d, as in 5m")] = Field(
        default=timedelta(minutes=5),
        description="How often.",
        examples=["5m"],
        json_schema_extra={"default": "5m"},
    )
    timeout: Annotated[timedelta, _length(timedelta(seconds=1), timedelta(minutes=5), "1s to 5m, as in 10s")] = Field(
        default=timedelta(seconds=10),
        description="How long one try may take.",
        examples=["10s"],
        json_schema_extra={"default": "10s"},
    )
    retries: Annotated[int, Text(_retries, "0 to 10", {"type": "integer", "minimum": 0, "maximum": 10})] = Field(
        default=2, description="How often it is tried again before a failure counts.", examples=[2]
    )
    retry_after: Annotated[timedelta, _length(timedelta(seconds=1), timedelta(minutes=5), "1s to 5m, as in 10s")] = (
        Field(
            default=timedelta(seconds=10),
            description="How long after a failure it is tried again.",
            examples=["10s"],
            json_schema_extra={"default": "10s"},
        )
    )
    warning: Annotated[timedelta, _length(timedelta(seconds=1), timedelta(days=3650), "1s to 3650d, as in 21d")] = (
        Field(
            default=timedelta(days=21),
            description="How long before its end a certificate is a warning. For certificates that live less than "
            "twice as long, a quarter of their life.",
            examples=["21d"],
            json_schema_extra={"default": "21d"},
        )
    )
    critical: Annotated[timedelta, _length(timedelta(seconds=1), timedelta(days=3650), "1s to 3650d, as in 7d")] = (
        Field(
            default=timedelta(days=7),
            description="How long before its end it is critical; likewise, a tenth. With a short warning alone, a "
            "third of that.",
            examples=["7d"],
            json_schema_extra={"default": "7d"},
        )
    )
    expect: ExpectModel = Field(default_factory=ExpectModel, description="What has to hold.")
    trust: Annotated[str, Text(_trust, _TRUST_ALLOWED)] = Field(
        default="system",
        description="With which authorities the server is verified: system, own, or a PEM file, relative to this file.",
        examples=["system", "own", "partner-ca.pem"],
    )
    credential: Annotated[str, Text(_word("credential", _NAME, _NAME_ALLOWED), "auto, none, or a name")] = Field(
        default="auto",
        description="The client certificate for a request: auto (by the pattern of the host), none, or a name.",
        examples=["auto", "none", "partner"],
    )
    server_name: Annotated[str | None, Text(endpoint.host, "a host name")] = Field(
        default=None,
        description="The name that is asked for and that the certificate must have, if it is not the target's.",
        examples=["api.example.org"],
    )
    passphrase: Annotated[str | None, Text(_secret, _PLACE)] = Field(
        default=None,
        description="Where the passphrase of PKCS#12 files is found: env:NAME, file:PATH or keyring:SERVICE.",
        examples=["env:KEYSTORE_PASSPHRASE"],
    )
    maintenance: Annotated[
        list[
            Annotated[
                Window,
                Text(parse_window, WINDOW_ALLOWED, {"type": "string", "pattern": f"^{WINDOW_PATTERN}$"}),
            ]
        ],
        Several(list, f"a list of {WINDOW_ALLOWED}", may_be_one=True),
    ] = Field(
        default_factory=list,
        description="When, every week and in UTC, a failure is expected and nobody is told.",
        examples=[["sun 02:00-04:00", "mon-fri 23:30-00:15"]],
    )
    labels: Annotated[
        dict[
            Annotated[str, Text(_word("name of a label", _LABEL, _LABEL_ALLOWED), _LABEL_ALLOWED)],
            Annotated[str, Text(_value, "text")],
        ],
        Several(dict, "a mapping of names and text, as in {team: payments}"),
    ] = Field(
        default_factory=dict, description="Words of your own, for metrics and alerts.", examples=[{"team": "payments"}]
    )
    alerts: Annotated[
        list[Annotated[str, Text(_word("name of an alert", _NAME, _NAME_ALLOWED), _NAME_ALLOWED)]],
        Several(list, "a list of names of alerts; leave alerts out for all of them", may_be_one=True),
    ] = Field(default_factory=list, description="Who is told, by name; without it, all.", examples=[["oncall"]])
    paused: Annotated[str, _enum("true", "false")] = Field(
        default="false", description="true: kept, and not checked.", examples=["false"]
    )


MONITOR_NAME: Final = Text(_name, _NAME_ALLOWED)
MONITOR_NAME_PATTERN: Final = f"^{_NAME.pattern}$"


def monitor(name: str, model: MonitorModel, folder: Path, *, origin: str = "file") -> Monitor:
    """The monitor that the model describes; files are relative to ``folder``. Raises InvalidSetting for what does not
    go together, by the path below the monitor's name."""
    kind = _kind(model)
    _check_together(kind, model)
    warning, critical = _thresholds(model)
    made = Monitor(
        name=name,
        kind=kind,
        target=str(folder / model.target) if kind is Kind.FILES else model.target,
        origin=origin,
        every=model.every,
        timeout=model.timeout,
        warning=warning,
        critical=critical,
        retries=model.retries,
        retry_after=model.retry_after,
        trust=Trust(model.trust) if model.trust in {"system", "own"} else Trust.FILE,
        ca_file=None if model.trust in {"system", "own"} else str(folder / model.trust),
        server_name=model.server_name,
        credential=None if model.credential == "none" else model.credential,
        stranger=Stranger(model.refuses or Stranger.ANONYMOUS),
        passphrase=model.passphrase,
        expect=_expectation(model.expect),
        maintenance=tuple(model.maintenance),
        alerts=tuple(dict.fromkeys(model.alerts)),
        labels=tuple(sorted(model.labels.items())),
        paused=model.paused == "true",
    )
    if schedule.patience(made) > LONGEST:
        why = "a check with all its retries takes too long"
        raise InvalidSetting("retries", why, "timeout and retry_after so that all of it takes at most 15m")
    return made


def _kind(model: MonitorModel) -> Kind:
    if model.target == LEDGER:
        return Kind.LEDGER
    if is_file_name(model.target):
        return Kind.FILES
    if model.refuses is not None:
        return Kind.REFUSED
    return Kind.HTTPS if model.target.lower().startswith("https://") else Kind.TLS


def _check_together(kind: Kind, model: MonitorModel) -> None:
    said = model.model_fields_set
    if {"warning", "critical"} <= said and model.critical > model.warning:
        raise InvalidSetting("critical", "critical comes before warning", "critical at most as long as warning")
    if kind in {Kind.FILES, Kind.LEDGER}:
        _only(
            said & {"refuses", "expect", "trust", "credential", "server_name"},
            "an endpoint",
            "HOST:PORT or https://...",
        )
    if kind is not Kind.FILES:
        _only(said & {"passphrase"}, "files", "a file or a directory as target")
    if kind is not Kind.HTTPS:
        _only(said & {"credential"}, "a request", "https://... as target, and no refuses")
        wanted = model.expect.model_fields_set & set(_FOR_REQUESTS)
        below = {f"expect.{name.removesuffix('_values')}" for name in wanted}
        _only(below, "a request", "https://... as target, and no refuses")
    if kind is Kind.REFUSED:
        _only(said & {"expect"}, "a check without refuses", "a second monitor for what else has to hold")


def _thresholds(model: MonitorModel) -> tuple[timedelta, timedelta]:
    """Where only one is said, the other follows where its default would not fit."""
    if "critical" in model.model_fields_set:
        return max(model.warning, model.critical), model.critical
    return model.warning, min(model.critical, model.warning / 3)


def _only(wrong: set[str], what: str, allowed: str) -> None:
    for name in sorted(wrong):
        raise InvalidSetting(name, f"this belongs to {what}", allowed)


def _expectation(model: ExpectModel) -> Expectation:
    return Expectation(
        client_certificate=model.client_certificate,
        issuer=model.issuer,
        pins=tuple(dict.fromkeys(model.pins)),
        tls=None if model.tls is None else _VERSIONS[model.tls],
        chain_unchanged=model.chain is not None,
        status=frozenset(status for statuses in model.status for status in statuses),
        headers=tuple(model.headers.items()),
        body=model.body,
        json=tuple(model.json_values.items()),
        latency=model.latency,
    )
