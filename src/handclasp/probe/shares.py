"""Key shares that serve many hellos, where nothing secret is ever sent."""

from __future__ import annotations

from handclasp.tlswire import exchange
from handclasp.tlswire.offer import CLASSICAL, KeyShares

RENEWED_AFTER = 600.0
"""Seconds."""
RENEWED_AFTER_USES = 10_000

_CLASSICAL = frozenset(CLASSICAL)


class ShareCache:
    """Shares by the groups they are for.

    Making one costs as much as all the rest of a hello. A share that was used twice gives away no more than the
    traffic of both connections to whoever gets hold of it, so it is used again only where that traffic holds nothing
    but a server's certificate. ML-KEM shares are never kept.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], tuple[KeyShares, float, int]] = {}

    def get(self, groups: tuple[int, ...], *, fresh: bool, now: float) -> KeyShares:
        """Shares for these groups; ``fresh`` ones are used by nobody else."""
        if fresh or not _CLASSICAL.issuperset(groups):
            return exchange.make(groups)
        kept = self._kept.get(groups)
        if kept is None or now - kept[1] > RENEWED_AFTER or kept[2] >= RENEWED_AFTER_USES:
            kept = (exchange.make(groups), now, 0)
            if len(self._kept) > 64:
                self._kept.clear()
        self._kept[groups] = (kept[0], kept[1], kept[2] + 1)
        return kept[0]
