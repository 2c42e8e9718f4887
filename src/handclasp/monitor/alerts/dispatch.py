"""From an alert to the server of its receiver: the message in the receiver's form, with its secret, by its way out."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Final, assert_never

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.monitor.alerts import alertmanager, mail, message, pagerduty, post, slack, smtp, webhook
from handclasp.monitor.alerts.address import address
from handclasp.monitor.alerts.message import Message
from handclasp.monitor.alerts.receiver import Alertmanager, Email, Login, PagerDuty, Receiver, Slack, Webhook
from handclasp.monitor.alerts.wire import PATIENCE, NotSent
from handclasp.monitor.definition import State
from handclasp.monitor.digest import Digest
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import CheckResult, Transition

DIGEST: Final = "digest/"
"""The id of a transition that is none, but says that a digest is to be sent, begins with this."""

LATE: Final = timedelta(hours=12)
"""For so long a digest that nobody could send at its time is still made up for."""


@dataclass(frozen=True, slots=True)
class World:
    """What sending needs: the clock, secrets by place (Refused where there is none), the TLS of a receiver (Refused or
    InvalidSetting where its authorities cannot be read), threads, and what expires when. ``origin`` names the
    installation."""

    origin: str
    now: Callable[[], datetime]
    secret: Callable[[str, str], bytes]
    context: Callable[[Receiver], Awaitable[ssl.SSLContext]]
    digest: Callable[[], Awaitable[Digest]]
    threads: Executor
    patience: float = PATIENCE


class Dispatch:
    """Sends to receivers by name. All methods raise NotSent."""

    def __init__(self, receivers: Iterable[Receiver], world: World) -> None:
        self._world = world
        self.receivers: Mapping[str, Receiver] = {one.name: one for one in receivers}

    async def deliver(self, name: str, transition: Transition) -> None:
        """An alert, or the digest that the transition stands for."""
        receiver = self._receiver(name)
        if transition.id.startswith(DIGEST):
            await self._send_digest(receiver, transition.id)
        else:
            await self._send(receiver, message.of(transition, self._world.origin))

    async def test(self, name: str) -> None:
        """Something that says that it is a test; where a digest is asked for, that of now."""
        receiver, now = self._receiver(name), self._world.now()
        trial = message.trial(name, self._world.origin, now)
        if receiver.digest is not None:
            await self._send_digest(receiver, f"{DIGEST}{trial.id}")
            return
        await self._send(receiver, trial)
        if isinstance(receiver.way, PagerDuty):  # nobody should have to close the incident
            await self._send(receiver, replace(trial, after=State.OK))

    async def repeat(self, name: str, standings: Sequence[Standing]) -> None:
        """Say again to an Alertmanager what is firing, of the monitors that tell it."""
        receiver = self._receiver(name)
        assert isinstance(receiver.way, Alertmanager)
        for body in alertmanager.repetition(standings, self._world.now()):
            await self._alertmanager(receiver, receiver.way, body)

    def _receiver(self, name: str) -> Receiver:
        found = self.receivers.get(name)
        if found is None:
            raise NotSent(f"there is no receiver {message.line(name, 80)} in the settings")
        return found

    async def _send(self, receiver: Receiver, told: Message) -> None:
        now = self._world.now()
        match receiver.way:
            case Webhook() as way:
                await self._webhook(receiver, way, told.id, webhook.alert(told))
            case Slack() as way:
                await self._post(receiver, self._text(way.url, "URL of the webhook"), slack.alert(told), tls=True)
            case PagerDuty() as way:
                event = pagerduty.event(told, self._text(way.key, "routing key"))
                await self._post(receiver, way.url, event, tls=True)
            case Alertmanager() as way:
                await self._alertmanager(receiver, way, alertmanager.alerts(told, now))
            case Email() as way:
                await self._mail(receiver, way, partial(mail.alert, told, way, now))
            case _:
                assert_never(receiver.way)

    async def _send_digest(self, receiver: Receiver, id_: str) -> None:
        found, now = await self._world.digest(), self._world.now()
        match receiver.way:
            case Webhook() as way:
                await self._webhook(receiver, way, id_.replace("/", "-"), webhook.digest(found))
            case Slack() as way:
                await self._post(receiver, self._text(way.url, "URL of the webhook"), slack.digest(found), tls=True)
            case Email() as way:
                await self._mail(receiver, way, partial(mail.digest, found, way, id_, now))
            case PagerDuty() | Alertmanager():
                raise NotSent("such a receiver gets alerts, and no digest", final=True)
            case _:
                assert_never(receiver.way)

    async def _webhook(self, receiver: Receiver, way: Webhook, id_: str, body: bytes) -> None:
        hidden = not way.url.startswith(("https://", "http://"))
        url = self._text(way.url, "URL of the webhook") if hidden else way.url
        secret = self._secret(way.secret, "secret of the webhook")
        try:
            headers = webhook.headers(secret, id_, self._world.now(), body)
        except InvalidSetting as error:
            raise NotSent(f"the secret of the webhook cannot be used: {error.why}") from None
        await self._post(receiver, url, body, headers, tls=hidden)

    async def _alertmanager(self, receiver: Receiver, way: Alertmanager, body: bytes) -> None:
        url = f"{way.url.rstrip('/')}{alertmanager.PATH}"
        headers = {} if way.login is None else {"authorization": self._basic(way.login)}
        await self._post(receiver, url, body, headers, tls=way.login is not None)

    async def _post(
        self, receiver: Receiver, url: str, body: bytes, headers: Mapping[str, str] | None = None, *, tls: bool
    ) -> None:
        try:
            to = address(url, tls=tls)
        except InvalidSetting as error:
            raise NotSent(f"its URL cannot be used: {error.why}") from None
        world, context = self._world, await self._context(receiver)
        await self._in_thread(
            partial(post.post, to, body, headers or {}, context=context, now=world.now(), patience=world.patience)
        )

    async def _mail(self, receiver: Receiver, way: Email, make: Callable[[], EmailMessage]) -> None:
        password = None if way.login is None else self._secret(way.login.password, "password of the mail server")
        context = await self._context(receiver)
        await self._in_thread(lambda: smtp.send(make(), way, password, context=context, patience=self._world.patience))

    async def _context(self, receiver: Receiver) -> ssl.SSLContext:
        try:
            return await self._world.context(receiver)
        except Refused as refused:
            raise NotSent(f"{refused.what}: {refused.why}") from None
        except (InvalidSetting, OSError):
            raise NotSent("the authorities that its server is verified with cannot be read") from None

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._world.threads, work)

    def _secret(self, place: str, what: str) -> bytes:
        try:
            return self._world.secret(place, what)
        except Refused as refused:
            raise NotSent(f"{refused.what}: {refused.why}") from None

    def _text(self, place: str, what: str) -> str:
        try:
            return self._secret(place, what).decode("ascii").strip()
        except UnicodeDecodeError:
            raise NotSent(f"the {what} at {place} has characters that do not belong there") from None

    def _basic(self, login: Login) -> str:
        """RFC 7617."""
        password = self._secret(login.password, "password of the receiver")
        return f"Basic {b64encode(login.user.encode() + b':' + password).decode()}"


def digest_transition(receiver: str, at: datetime) -> Transition:
    """What stands in the outbox for the digest of that time."""
    result = CheckResult("", at, State.OK, Code.OK, "a digest")
    return Transition(f"{DIGEST}{receiver}/{at:%Y%m%dT%H%MZ}", "", at, State.OK, State.OK, None, result)
