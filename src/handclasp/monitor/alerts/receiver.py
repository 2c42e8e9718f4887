"""Who is told, as values. They say where secrets are, never what they are, so that any of them may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

from handclasp.monitor.definition import Trust


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and where the password is."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed POST. ``url`` is an address, or the place of one that is a secret; ``secret`` is where the key of the
    signature is."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook of Slack (or Mattermost). Who knows its URL may write there: ``url`` is where it is."""

    url: str


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """A service there (Events API v2). ``key`` is where its routing key is."""

    key: str
    url: str = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """An Alertmanager by the address of its first page."""

    url: str
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """Mail, given to a server: over TLS from the start (``implicit``), after STARTTLS, or on this machine without."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    login: Login | None = None


Way = Webhook | Slack | PagerDuty | Alertmanager | Email


@dataclass(frozen=True, slots=True)
class Times:
    """When a digest is sent, in UTC: days 0 (Monday) to 6."""

    days: frozenset[int]
    at: time

    def latest(self, now: datetime) -> datetime:
        """The last such time, now included."""
        today = now.astimezone(UTC).date()
        candidates = (
            datetime.combine(today - timedelta(days=back), self.at, UTC)
            for back in range(8)
            if (today.weekday() - back) % 7 in self.days
        )
        return next(one for one in candidates if one <= now)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A name of ``alerts:`` in the settings. With ``digest`` it gets what expires when, and no alerts. ``trust`` says
    with which authorities its server is verified."""

    name: str
    way: Way
    trust: Trust = Trust.SYSTEM
    ca_file: str | None = None
    digest: Times | None = None
