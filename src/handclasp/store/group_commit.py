"""Group commit (D7): one thread that writes, and whatever was asked for meanwhile goes into its next transaction.

So many writers share one wait for the disk. Each piece of work can fail alone; nobody is answered before the
COMMIT has returned.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
Work = Callable[[sa.Connection], T]
"""What is done with the database. It runs in a thread and may be run again after a rollback, so it is quick and
touches nothing but the connection and its own arguments."""

_LARGEST_BATCH = 256  # pieces of work, or what one event loop asked for at once, if that is more
_IDLE_AFTER = 0.25  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A piece of work, and who waits for it."""

    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its result, or the error to raise where it was asked for."""

    job: Job
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """The thread and its queue.

    ``commit`` takes a batch, in the order of asking, and returns an outcome for each job once they are durable.
    ``idle`` does some work that can wait when nobody has asked for anything, and returns whether there is more.
    """

    def __init__(self, commit: Callable[[list[Job]], list[Outcome]], idle: Callable[[], bool] | None = None) -> None:
        self._commit = commit
        self._idle = idle
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._asked: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        self._open = True
        self._gate = threading.Lock()
        # A daemon: a program that ends without close() must not hang; what is lost was not answered.
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """What ``work`` returns, once it is on the disk; what it raises, with nothing of it written.

        Cancelling the wait does not undo the work.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._gate:
            if not self._open:
                raise RuntimeError("the database is closed")
            asked = self._asked.get(loop)
            if asked is None:
                # After everybody who is ready now: one transaction for all of them. And the thread would get its turn
                # with the interpreter only now and then, for as long as somebody here still computes.
                asked = self._asked[loop] = []
                loop.call_soon(self._hand_over, loop)
            asked.append(Job(work, loop, answer))
        return await answer

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._gate:
            if asked := self._asked.pop(loop, None):
                self._jobs.put(asked)

    def close(self) -> bool:
        """Finish what was asked for and end the thread. False if that was done before."""
        with self._gate:
            if not self._open:
                return False
            self._open = False
            for asked in self._asked.values():
                self._jobs.put(asked)
            self._asked.clear()
            self._jobs.put(None)
        self._thread.join()
        return True

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._next_batch()
            if batch:
                _answer(self._commit(batch))

    def _next_batch(self) -> tuple[list[Job], bool]:
        """Waits for work, then takes all that is there; the second value is whether more may come."""
        batch: list[Job] = []
        asked = self._first()
        while asked is not None:
            batch += asked
            if len(batch) >= _LARGEST_BATCH:
                return batch, True
            try:
                asked = self._jobs.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _first(self) -> list[Job] | None:
        more = self._idle is not None
        while more and self._idle is not None:
            try:
                return self._jobs.get(timeout=_IDLE_AFTER)
            except queue.Empty:
                more = self._idle()
        return self._jobs.get()


def _answer(outcomes: list[Outcome]) -> None:
    """Wakes the callers: one call into each event loop, not one per outcome."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.job.loop, []).append(outcome)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(partial(_resolve, theirs))
        except RuntimeError:
            # The loop was closed: nobody waits any more.
            continue


def _resolve(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        answer = outcome.job.answer
        if answer.done():
            continue
        if outcome.error is not None:
            answer.set_exception(outcome.error)
        else:
            answer.set_result(outcome.result)
