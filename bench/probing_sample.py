"""What the probers that are processes of our own share; nothing of Handclasp is imported."""

from __future__ import annotations

import time

OUTCOMES = "outcomes"
"""In an answer: what the probes have come to, and how often."""


def spent_us() -> float:
    """CPU of this process so far, with all its threads, in microseconds."""
    return time.process_time() * 1e6
