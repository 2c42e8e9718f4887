"""Durations as people write them: ``90d``, ``12h``, ``30m``, ``10s``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from handclasp.findings import InvalidSetting

PATTERN: Final = r"([1-9][0-9]{0,8})([dhms])"

_DURATION: Final = re.compile(PATTERN)
_LONGEST: Final = 36500 * 86400  # seconds; what is added to now must still be a date
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}  # seconds


def parse_duration(text: str) -> timedelta:
    """Read a duration. Raises InvalidSetting."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidSetting("", f"{text!r} is not a duration", "a number and d, h, m or s, as in 90d, 12h, 30m or 10s")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST:
        raise InvalidSetting("", f"{text!r} is longer than a hundred years", "at most 36500d")
    return timedelta(seconds=seconds)
