"""The clock and the dice: read here and handed down as arguments."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def new_serial() -> int:
    """A certificate serial: 159 random bits, positive, at most 20 octets (RFC 5280 §4.1.2.2)."""
    return secrets.randbits(158) | 1 << 158


def new_id() -> str:
    """An id for a request that nobody named: 80 random bits in hex."""
    return secrets.token_hex(10)
