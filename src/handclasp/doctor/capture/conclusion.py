"""What one connection of a capture allows to conclude."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from handclasp.doctor.diagnosis import Ailment, Candidate
from handclasp.findings import Code

SERVER_LOG: Final = (
    "The server's log of that moment says why: nginx error_log at level info, Apache LogLevel ssl:info, HAProxy "
    "error-log-format with %[ssl_fc_err_str], Envoy an access log of the listener. (SSLKEYLOGFILE is not read.)"
)
CLIENT_LOG: Final = "The client's own error message says why it refused the server."
SERVER_SETTINGS: Final = "What the server accepts decides: its configuration, or handclasp probe against it."


class Weight(IntEnum):
    """Which of several connections is the one to speak of: the highest."""

    SOUND = 0
    UNFINISHED = 1
    DOUBTFUL = 2
    """It went through, and may still have been refused where nobody can see it."""
    FAILED = 3
    REFUSED = 4
    """It failed, and somebody said why."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """``verdict`` is one sentence, ``where`` the step. ``beside`` is what else is wrong."""

    weight: Weight
    verdict: str
    where: str
    candidates: tuple[Candidate, ...]
    decider: str = ""
    beside: tuple[Ailment, ...] = ()

    @property
    def code(self) -> Code:
        return self.candidates[0].code


def candidates(pairs: Iterable[tuple[Code, str]]) -> tuple[Candidate, ...]:
    """Each code once, at its best place."""
    once: dict[Code, str] = {}
    for code, why in pairs:
        once.setdefault(code, why)
    return tuple(Candidate(code, why) for code, why in once.items())
