"""A clock that jumps instead of waiting."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import datetime, timedelta


class VirtualClock:
    """Time moves to the earliest sleeper whenever all else has come to rest.

    Rest is taken to be `idle_turns` turns of the event loop without anybody asking for a sleep.
    """

    def __init__(self, start: datetime, *, idle_turns: int = 50) -> None:
        self._now = start
        self._start = start
        self._idle_turns = idle_turns
        self._sleepers: list[tuple[datetime, int, asyncio.Event]] = []
        self._numbers = itertools.count()
        self._mover: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """The time as last moved."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start, of the same time."""
        return (self._now - self._start).total_seconds()

    def advance(self, by: timedelta) -> None:
        """Move by hand; wakes those whose time has come."""
        self._move_to(self._now + by)

    async def sleep_until(self, when: datetime) -> None:
        """Wait for time to be moved to `when`."""
        if when <= self._now:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (when, next(self._numbers), woken))
        if self._mover is None or self._mover.done():
            self._mover = asyncio.get_running_loop().create_task(self._move())
        try:
            await woken.wait()
        finally:
            woken.set()  # a cancelled sleeper no longer moves time

    async def _move(self) -> None:
        while self._sleepers:
            for _ in range(self._idle_turns):
                await asyncio.sleep(0)
            while self._sleepers and self._sleepers[0][2].is_set():
                heapq.heappop(self._sleepers)
            if self._sleepers:
                self._move_to(self._sleepers[0][0])

    def _move_to(self, when: datetime) -> None:
        self._now = max(self._now, when)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set()
