"""Which targets there were already, in little memory."""

from __future__ import annotations

from array import array
from typing import Final

MOST: Final = 3_000_000
"""Targets that are remembered; the table then has 32 MiB. Those after them are taken for new ones."""


class Remembered:
    """A set of texts, of which 64 bits each are kept (open addressing, linear probing).

    Two different texts are taken for one with a chance below one in a million, for a full table; which ones, nobody can
    arrange: the hash is keyed anew for every process.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        mark = _mark(text)
        return self._slots[self._place(self._slots, mark)] == mark

    def add(self, text: str) -> bool:
        """Remember it; False if it was there already."""
        mark = _mark(text)
        place = self._place(self._slots, mark)
        if self._slots[place] == mark:
            return False
        if self._count < MOST:
            self._slots[place] = mark
            self._count += 1
            if self._count * 4 > len(self._slots) * 3:
                self._grow()
        return True

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._slots)))
        for mark in self._slots:
            if mark:
                larger[self._place(larger, mark)] = mark
        self._slots = larger

    @staticmethod
    def _place(slots: array[int], mark: int) -> int:
        mask = len(slots) - 1
        place = mark & mask
        while slots[place] not in (0, mark):
            place = (place + 1) & mask
        return place


def _mark(text: str) -> int:
    return hash(text) & 0xFFFF_FFFF_FFFF_FFFF or 1
