"""Slack's incoming webhooks, in the form that Mattermost and Rocket.Chat read too. Pure.

All text is plain: markup is switched off, and what would still be read (``<!channel>``, entities) is escaped.
"""

from __future__ import annotations

import json
from typing import Final

from handclasp.monitor.alerts.message import Message, facts, line
from handclasp.monitor.definition import State
from handclasp.monitor.digest import Digest
from handclasp.monitor.digest import text as digest_text

_COLOURS: Final = {State.CRITICAL: "#a30200", State.WARNING: "#daa038", State.OK: "#2eb886"}
_LONGEST: Final = 3_000  # characters of a digest
_WIDE: Final = 40  # characters of a value that shares its line with another


def escape(text: str) -> str:
    """The three characters that Slack reads in any text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def alert(message: Message) -> bytes:
    """The body of the POST."""
    attached = {
        "fallback": escape(message.subject),
        "color": _COLOURS.get(message.after, _COLOURS[State.WARNING]),
        "fields": [
            {"title": name, "value": escape(value), "short": len(value) <= _WIDE} for name, value in facts(message)
        ],
        "footer": escape(f"Handclasp, {message.origin}"),
        "ts": int(message.at.timestamp()),
        "mrkdwn_in": [],
    }
    return _body(line(f"{message.word} {message.monitor}: {message.sentence}", 700), [attached])


def digest(of: Digest) -> bytes:
    """The body of the POST, with as much of the digest as fits."""
    whole = digest_text(of)
    if len(whole) > _LONGEST:
        whole = f"{whole[:_LONGEST].rpartition(chr(10))[0]}\n... all of it: handclasp monitor digest"
    return _body(whole, [])


def _body(text: str, attachments: list[dict[str, object]]) -> bytes:
    whole: dict[str, object] = {"text": escape(text), "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    if attachments:
        whole["attachments"] = attachments
    return json.dumps(whole).encode()
