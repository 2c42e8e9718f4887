"""What ``handclasp.yaml`` may say under ``alerts``: who is told of what monitors find, and where its secrets are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from handclasp.app import passphrase
from handclasp.app.settings_fields import Model, Several, Text, choice, did_you_mean
from handclasp.findings import InvalidSetting
from handclasp.monitor.alerts.address import ALLOWED as URL_ALLOWED
from handclasp.monitor.alerts.address import address
from handclasp.monitor.alerts.receiver import (
    Alertmanager,
    Email,
    Login,
    PagerDuty,
    Receiver,
    Slack,
    Times,
    Way,
    Webhook,
)
from handclasp.monitor.definition import Monitor, Trust
from handclasp.monitor.maintenance import parse as parse_window

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_NAME_ALLOWED: Final = "1 to 80 of: letters, digits, dots, dashes and underscores, as in oncall"
_PLACE: Final = "env:NAME, file:PATH or keyring:SERVICE"
_MAILBOX: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
)
_MAILBOX_ALLOWED: Final = "an address, as in ops@example.org"
_SERVER: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[1-9][0-9]{0,4})")
_SERVER_ALLOWED: Final = "HOST:PORT, as in mail.example.org:587"
_USER: Final = re.compile(r"[!-~]{1,200}")
_DIGEST: Final = re.compile(
    r"(daily|(mon|tue|wed|thu|fri|sat|sun)([,-](mon|tue|wed|thu|fri|sat|sun))*) ([01][0-9]|2[0-3]):[0-5][0-9]"
)
_DIGEST_ALLOWED: Final = "days and a time in UTC, as in mon 08:00, mon-fri 07:30 or daily 06:00"
_TRUST_ALLOWED: Final = "system, own, or a PEM file of authorities, relative to this file"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TLS: Final = ("starttls", "implicit", "none")
_MOST: Final = 100  # recipients

_WAYS: Final = {
    "email": ("smtp", "sender", "user", "password", "tls", "trust", "digest"),
    "slack": ("trust", "digest"),
    "pagerduty": ("url", "trust"),
    "alertmanager": ("user", "password", "trust"),
    "webhook": ("secret", "trust", "digest"),
}
"""The ways to be told, and what may stand beside each."""


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidSetting("", f"{text[:90]!r} cannot be the name of an alert", _NAME_ALLOWED)
    return text


def _place(text: str) -> str:
    """Where a secret is. What is said of a wrong one does not quote it: it may be the secret itself."""
    try:
        if passphrase.parse(text).kind != "prompt":
            return text
    except InvalidSetting:
        raise InvalidSetting("", "it does not say where the secret is", _PLACE) from None
    raise InvalidSetting("", "nobody sits there to be asked", _PLACE)


def _mailbox(text: str) -> str:
    if not _MAILBOX.fullmatch(text) or len(text) > 254:
        raise InvalidSetting("", f"{text[:90]!r} is no address for mail", _MAILBOX_ALLOWED)
    return text


def _server(text: str) -> tuple[str, int]:
    found = _SERVER.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise InvalidSetting("", f"{text[:90]!r} is no mail server", _SERVER_ALLOWED)
    return found["host"].strip("[]").lower(), int(found["port"])


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise InvalidSetting("", "this is no user", "letters, digits and signs, without spaces")
    return text


def _url(text: str) -> str:
    address(text)
    return text


def _hook(text: str) -> str:
    """An address, or the place of one."""
    return _url(text) if text.startswith(("https://", "http://")) else _place(text)


def _digest(text: str) -> Times:
    wrong = InvalidSetting("", f"{text[:90]!r} is no time for a digest", _DIGEST_ALLOWED)
    if not _DIGEST.fullmatch(text):
        raise wrong
    try:
        window = parse_window(f"{text}-24:00")
    except InvalidSetting:
        raise wrong from None
    return Times(window.days, window.start)


def _trust(text: str) -> str:
    if text not in {"system", "own"} and (not text or "\0" in text or not re.search(r"[./]", text)):
        raise InvalidSetting("", f"{text!r} is no trust", _TRUST_ALLOWED)
    return text


_DIGEST_JSON: Final = {"type": "string", "pattern": f"^{_DIGEST.pattern}$"}
ALERT_NAME: Final = Text(_name, _NAME_ALLOWED)
ALERT_NAME_PATTERN: Final = f"^{_NAME.pattern}$"


class AlertModel(Model):
    """Somebody who is told when the state of a monitor changes: by one of email, slack, pagerduty, alertmanager and
    webhook. Secrets are elsewhere: the file says where."""

    email: Annotated[
        list[Annotated[str, Text(_mailbox, _MAILBOX_ALLOWED)]],
        Several(list, f"a list of addresses: {_MAILBOX_ALLOWED}", may_be_one=True),
    ] = Field(
        default_factory=list,
        description="Told by mail, at these addresses; with smtp and from beside it.",
        examples=["ops@example.org", ["ops@example.org", "security@example.org"]],
    )
    smtp: Annotated[tuple[str, int] | None, Text(_server, _SERVER_ALLOWED)] = Field(
        default=None,
        description="The server that takes the mail. Port 465 has TLS from the start, any other must offer STARTTLS.",
        examples=["mail.example.org:587"],
    )
    sender: Annotated[str | None, Text(_mailbox, _MAILBOX_ALLOWED)] = Field(
        alias="from", default=None, description="From whom the mail is.", examples=["handclasp@example.org"]
    )
    user: Annotated[str | None, Text(_user, "a user")] = Field(
        default=None, description="The user at the mail server or the Alertmanager.", examples=["handclasp"]
    )
    password: Annotated[str | None, Text(_place, _PLACE)] = Field(
        default=None,
        description="Where that user's password is: env:NAME, file:PATH or keyring:SERVICE.",
        examples=["env:SMTP_PASSWORD"],
    )
    tls: Annotated[str | None, Text(choice(*_TLS), " or ".join(_TLS), {"enum": list(_TLS)})] = Field(
        default=None,
        description="How mail is protected: starttls, implicit (TLS from the start), or none, for a server on this "
        "machine only.",
        examples=["starttls"],
    )
    slack: Annotated[str | None, Text(_place, _PLACE)] = Field(
        default=None,
        description="Told in Slack or Mattermost: where the URL of the incoming webhook is, which is a secret.",
        examples=["env:SLACK_WEBHOOK"],
    )
    pagerduty: Annotated[str | None, Text(_place, _PLACE)] = Field(
        default=None,
        description="Told by PagerDuty: where the routing key (Events API v2) is.",
        examples=["env:PAGERDUTY_KEY"],
    )
    url: Annotated[str | None, Text(_url, URL_ALLOWED)] = Field(
        default=None,
        description="PagerDuty's address, where it is not that of its region in the United States.",
        examples=["https://events.eu.pagerduty.com/v2/enqueue"],
    )
    alertmanager: Annotated[str | None, Text(_url, URL_ALLOWED)] = Field(
        default=None,
        description="Told to an Alertmanager, by the address of its first page. One setting for each of a cluster.",
        examples=["http://alertmanager:9093"],
    )
    webhook: Annotated[str | None, Text(_hook, f"{URL_ALLOWED}; or {_PLACE}")] = Field(
        default=None,
        description="Told by a signed POST (Standard Webhooks) to this URL, or to the one that is found at env:NAME, "
        "file:PATH or keyring:SERVICE.",
        examples=["https://hooks.example.org/handclasp", "env:HOOK_URL"],
    )
    secret: Annotated[str | None, Text(_place, _PLACE)] = Field(
        default=None,
        description="Where the secret is that the webhook is signed with: at least 24 octets, or whsec_ and base64.",
        examples=["file:/run/secrets/hook"],
    )
    trust: Annotated[str, Text(_trust, _TRUST_ALLOWED)] = Field(
        default="system",
        description="With which authorities the receiver's server is verified: system, own, or a PEM file, relative "
        "to this file.",
        examples=["own", "internal-ca.pem"],
    )
    digest: Annotated[
        Times | None, Text(_digest, _DIGEST_ALLOWED, {"type": "string", "pattern": f"^{_DIGEST.pattern}$"})
    ] = Field(
        default=None,
        description="When, in UTC, this receiver is told what expires in the next 90 days. It gets no alerts then.",
        examples=["mon 08:00"],
    )


def receiver(name: str, model: AlertModel, folder: Path) -> Receiver:
    """The receiver that the model describes; files are relative to ``folder``. Raises InvalidSetting for what does not
    go together, by the path below the name."""
    _check_together(model)
    trust, ca_file = Trust.FILE, None
    if model.trust in {"system", "own"}:
        trust = Trust(model.trust)
    else:
        ca_file = str(folder / model.trust)
    return Receiver(name, _way(model), trust, ca_file, model.digest)


def check_names(monitors: Iterable[Monitor], receivers: Iterable[Receiver]) -> Iterator[tuple[str, InvalidSetting]]:
    """Monitors whose ``alerts`` name nobody who gets alerts: the monitor's name, and what is wrong."""
    known = {one.name: one for one in receivers}
    told = [name for name, one in known.items() if one.digest is None]
    allowed = f"names of alerts: {', '.join(told)}" if told else "no names: there is nobody below alerts:"
    for monitor in monitors:
        for name in monitor.alerts:
            if name not in known:
                why = f"there is no {name} below alerts:{did_you_mean(name, told)}"
                yield monitor.name, InvalidSetting("alerts", why, allowed)
            elif known[name].digest is not None:
                yield monitor.name, InvalidSetting("alerts", f"{name} gets a digest, and no alerts", allowed)


def _check_together(model: AlertModel) -> None:
    said = model.model_fields_set
    ways = [way for way in _WAYS if way in said]
    if len(ways) != 1:
        why = f"{' and '.join(ways)} exclude each other" if ways else "it does not say how anybody is told"
        raise InvalidSetting(ways[1] if ways else "", why, f"one of {', '.join(_WAYS)}")
    (way,) = ways
    for name in sorted(said - {way, *_WAYS[way]}):
        shown = "from" if name == "sender" else name
        allowed = ", ".join("from" if one == "sender" else one for one in _WAYS[way])
        raise InvalidSetting(shown, f"this does not belong to {way}", f"with {way}: {allowed}")
    for one, other in (("user", "password"), ("password", "user")):
        if one in said and other not in said:
            raise InvalidSetting(one, f"{one} needs {other} beside it", "user and password, or neither")


def _way(model: AlertModel) -> Way:
    login = None if model.user is None or model.password is None else Login(model.user, model.password)
    if model.slack is not None:
        return Slack(model.slack)
    if model.pagerduty is not None:
        return _pagerduty(model.pagerduty, model.url)
    if model.alertmanager is not None:
        _bare(model.alertmanager, login)
        return Alertmanager(model.alertmanager, login)
    if model.webhook is not None:
        if model.secret is None:
            raise InvalidSetting("secret", "secret is missing", _PLACE)
        return Webhook(model.webhook, model.secret)
    return _email(model, login)


def _pagerduty(key: str, url: str | None) -> PagerDuty:
    if url is None:
        return PagerDuty(key)
    if not url.startswith("https://"):
        raise InvalidSetting("url", "the routing key is a secret, and this is not https://", "https://...")
    return PagerDuty(key, url)


def _bare(url: str, login: Login | None) -> None:
    if "?" in url:
        raise InvalidSetting(
            "alertmanager", "this is not the address of a first page", "as in http://alertmanager:9093"
        )
    if login is not None and not url.startswith("https://"):
        raise InvalidSetting("password", "it would be sent in the clear", "a password with https:// only")


def _email(model: AlertModel, login: Login | None) -> Email:
    for name, value, allowed in (
        ("smtp", model.smtp, _SERVER_ALLOWED),
        ("from", model.sender, _MAILBOX_ALLOWED),
    ):
        if value is None:
            raise InvalidSetting(name, f"{name} is missing", allowed)
    assert model.smtp is not None
    assert model.sender is not None
    host, port = model.smtp
    to = tuple(dict.fromkeys(model.email))
    if len(to) > _MOST:
        raise InvalidSetting("email", f"these are more than {_MOST} addresses", "a mailing list")
    if model.tls == "none" and host not in _LOCAL:
        raise InvalidSetting("tls", "mail to another machine is not sent in the clear", "starttls or implicit")
    match model.tls:
        case "none":
            return Email(to, model.sender, host, port, "none", login)
        case "implicit":
            return Email(to, model.sender, host, port, "implicit", login)
        case "starttls":
            return Email(to, model.sender, host, port, "starttls", login)
    return Email(to, model.sender, host, port, "implicit" if port == 465 else "starttls", login)
