"""Market time on the virtual loop: the clock that the engine and the simulated neighbours share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from tradesaga.adapters.virtual_time import VirtualLoop
from tradesaga.domain.market_clock import datetime_of, micros_of
from tradesaga.replay.timeline import Timeline


class PlayedClock:
    """Implements `ports.clock.Clock`; real time is the loop's virtual time."""

    def __init__(self, loop: VirtualLoop, timeline: Timeline) -> None:
        self._loop = loop
        self._timeline = timeline
        self._read_at = -1.0
        self._micros = 0
        self._now = timeline.first

    def now(self) -> datetime:
        """Market time, aware UTC, never earlier than the answer before."""
        seconds = self._loop.time()
        if seconds != self._read_at:
            self._read_at = seconds
            self._set(self._timeline.micros_at(seconds))
        return self._now

    def monotonic(self) -> float:
        """Virtual seconds since the replay began."""
        return self._loop.time()

    @property
    def ended(self) -> bool:
        """Whether everything has been played."""
        return self._loop.time() >= self._timeline.seconds_end

    @property
    def share(self) -> float:
        """How much has been played, 0 to 1."""
        return self._timeline.share_at(self._loop.time())

    async def sleep_until(self, when: datetime) -> None:
        """Return when `now()` is at `when` or later; never for a time beyond the recording."""
        if when <= self.now():
            await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop, no time
            return
        woken = self._loop.create_future()
        timer = self.call_at(when, _wake, woken)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()

    async def until_end(self) -> None:
        """Return when everything has been played."""
        left = self._timeline.seconds_end - self._loop.time()
        await asyncio.sleep(max(0.0, left))  # noqa: TID251 -- virtual time

    def call_at(
        self, when: datetime, callback: Callable[..., object], *values: object
    ) -> asyncio.TimerHandle | None:
        """Have `callback` called when `now()` is at `when`; None if that never comes."""
        micros = micros_of(when)
        seconds = self._timeline.seconds_at(micros)
        if seconds is None:
            return None
        return self._loop.call_at(seconds, self._called, micros, callback, values)

    def call_later(
        self, seconds: float, callback: Callable[..., object], *values: object
    ) -> asyncio.TimerHandle:
        """Have `callback` called after so many virtual seconds, also beyond the recording."""
        return self._loop.call_later(seconds, callback, *values)

    def _called(
        self, micros: int, callback: Callable[..., object], values: tuple[object, ...]
    ) -> None:
        self.now()
        self._set(micros)  # the loop may be a rounding before its timer
        callback(*values)

    def _set(self, micros: int) -> None:
        if micros > self._micros:
            self._micros = micros
            self._now = datetime_of(micros)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
