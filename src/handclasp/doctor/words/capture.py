"""Alert lines of tshark, Wireshark and tcpdump, and of ssldump.

Texts: wireshark epan/dissectors/packet-tls-utils.c, ``ssl_31_alert_description``; ssldump ssl/ssl.enums.
A capture does not say whose line it is: the usual case, the server's alert to the client, comes first.
"""

from __future__ import annotations

import re

from handclasp.doctor.words.alerts import number_of, received
from handclasp.doctor.words.rule import Rule, Speaker, Told, rule

_WIRESHARK = "wireshark epan/dissectors/packet-tls-utils.c, ssl_31_alert_description"


def _named(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = number_of(match[1])
    return None if number is None else received(number, speaker)


def _numbered(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = int(match[1])
    return received(number, speaker) if number <= 255 else None


def _octets(match: re.Match[str], speaker: Speaker) -> Told | None:
    return received(int(match[1], 16), speaker)


RULES: tuple[Rule, ...] = (
    rule(
        "alert",
        "description:",
        r"Alert \(Level: (?:Fatal|Warning), Description: ([A-Za-z_ ]{2,60})\)",
        _named,
        _WIRESHARK,
    ),
    rule(
        "alert field",
        ("alert_message.desc", "description:"),
        r"(?:tls\.alert_message\.desc[^\d\n]{0,40}|Description: [A-Za-z_ ]{2,60}"
        r"\()(\d{1,3})\b",
        _numbered,
        _WIRESHARK,
    ),
    rule(
        "alert octets",
        "0002 02",
        r"\b15(?:03 ?0[0-4]|030[0-4]) ?0002 ?02 ?([0-9a-f]{2})\b",
        _octets,
        "RFC 8446 §5.1 and §6",
    ),
    rule(
        "ssldump",
        "alert",
        r"\bAlert\s{1,20}(?:level\s{1,20})?fatal\s{1,20}(?:value\s{1,20})?([a-z_]{5,40})",
        _named,
        "ssldump ssl/ssl.enums",
    ),
)
