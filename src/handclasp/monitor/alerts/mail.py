"""Messages and digests as mail. Pure.

Headers are made by ``email.message``, which refuses line breaks in them, from texts that have none. Mails about one
monitor are one thread, and a mail that is sent twice has the same Message-ID.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from handclasp.monitor import digest as digests
from handclasp.monitor.alerts.message import Message, facts, line
from handclasp.monitor.alerts.receiver import Email
from handclasp.monitor.digest import Digest

_UNFIT: Final = re.compile(r"[^A-Za-z0-9.-]")


def alert(message: Message, to: Email, now: datetime) -> EmailMessage:
    """The mail about a change of state."""
    mail = _mail(to, f"[Handclasp] {message.subject}", message.id, message.origin, now)
    thread = hashlib.sha256(f"{message.origin}/{message.monitor}".encode()).hexdigest()[:32]
    mail["References"] = f"<monitor-{thread}@{_domain(message.origin)}>"
    width = max(len(name) for name, _ in facts(message))
    lines = [message.sentence, "", *(f"{name:{width}}  {value}" for name, value in facts(message))]
    mail.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    return mail


def digest(of: Digest, to: Email, id_: str, now: datetime) -> EmailMessage:
    """The mail that says what expires when, as text and as HTML."""
    mail = _mail(to, f"[Handclasp] {of.subject}", id_, of.origin, now)
    mail.set_content(digests.text(of), cte="quoted-printable")
    mail.add_alternative(digests.html(of), subtype="html", cte="quoted-printable")
    return mail


def _mail(to: Email, subject: str, id_: str, origin: str, now: datetime) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = to.sender
    mail["To"] = ", ".join(to.to)
    mail["Subject"] = line(subject, 200)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{_UNFIT.sub('-', id_)}@{_domain(origin)}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer of a machine is wanted
    return mail


def _domain(origin: str) -> str:
    return _UNFIT.sub("-", origin) or "handclasp.invalid"
