"""Waiting for news or a moment, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from tradesaga.domain.errors import DeadlineExceeded, TradesagaError
from tradesaga.ports.clock import Clock

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
Work = Callable[[], Awaitable[T]]
"""Called when its turn has come: a task that is cancelled before leaves nothing unawaited."""


REAL_SECONDS_MIN = 2.0
"""Work that is bounded in market time is given this much real time at least."""


async def news_or_moment(
    clock: Clock, news: asyncio.Event, moment: datetime, *, patience_until: float = 0.0
) -> bool:
    """Return when `news` is set (True) or the clock is at `moment` (False).

    `patience_until`: the monotonic time that must be past besides, for a market time that runs
    fast or jumps, see `patience_from`.
    """
    if news.is_set():
        return True
    if moment <= clock.now() and patience_until <= clock.monotonic():
        return False
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(news.wait())
        passed = group.create_task(_both_pass(clock, moment, patience_until))
        await asyncio.wait([heard, passed], return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        passed.cancel()
    return news.is_set()


def patience_from(clock: Clock, time_max: timedelta) -> float:
    """Until when (monotonic) work that begins now and may take `time_max` is left alone."""
    return clock.monotonic() + min(REAL_SECONDS_MIN, time_max.total_seconds())


class Deadline:
    """Ends what is done under it when the clock is at `until` and real time at `patience_until`.

    One task watches for all the steps of a piece of work. The real time is fixed when the whole
    begins: market time may have jumped beyond `until` between two steps of it.
    """

    def __init__(self, clock: Clock, until: datetime, *, patience_until: float) -> None:
        self._clock = clock
        self._until = until
        self._patience_until = patience_until
        self._has_passed = False
        self._limits: list[asyncio.Timeout] = []

    async def over(self, work: Work[T]) -> T:
        """Watch while `work` goes on, which says by `within` what is to be ended.

        Raises:
            TradesagaError: whatever the work raised, as it is and not in a group.
        """
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            outcome = await caught(work)
            watching.cancel()
        return good(outcome)

    async def within(self, step: Work[T]) -> T:
        """Do `step`, cancelled at the deadline.

        Raises:
            DeadlineExceeded: it was not done in time.
        """
        if self._has_passed:
            raise self._exceeded()
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._limits.append(limit)
                return await step()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._exceeded() from error
        finally:
            self._limits.remove(limit)

    async def _watch(self) -> None:
        await _both_pass(self._clock, self._until, self._patience_until)
        self._has_passed = True
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time())

    def _exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"not done by {self._until.isoformat()}")


async def together(one: Work[A], two: Work[B], three: Work[C]) -> tuple[A, B, C]:
    """Do all three at once.

    Raises:
        TradesagaError: of the first that raised one, as it is, when all three are over.
    """
    async with asyncio.TaskGroup() as group:
        first = group.create_task(caught(one))
        second = group.create_task(caught(two))
        third = group.create_task(caught(three))
    return good(first.result()), good(second.result()), good(third.result())


def good(outcome: T | TradesagaError) -> T:
    """What `caught` returned. Raises the error that it may be."""
    if isinstance(outcome, TradesagaError):
        raise outcome
    return outcome


async def _both_pass(clock: Clock, moment: datetime, real_until: float) -> None:
    """Wait for the market's moment and for the monotonic one, whichever is later."""
    await clock.sleep_until(moment)
    while (left := real_until - clock.monotonic()) > 0:  # noqa: ASYNC110 -- no event tells
        await asyncio.sleep(left)  # noqa: TID251 -- real time is meant


async def caught(work: Work[T]) -> T | TradesagaError:
    """Do `work`, an error of ours as a value: a group would wrap it, and end its other tasks."""
    try:
        return await work()
    except TradesagaError as error:
        return error
