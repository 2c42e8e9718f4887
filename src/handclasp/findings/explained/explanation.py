"""What is said at length of a code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a code happens and how it looks. All four are text in English, and none is empty.

    ``cause``: the usual mistakes, in one to three sentences. ``evidence``: what is seen of it, by alert, log line and
    status, per product where they differ. ``standard``: the sections that rule it, or "none" and whose rule it is.
    ``example``: one line as it stands in a log, an output or a configuration.
    """

    cause: str
    evidence: str
    standard: str
    example: str
