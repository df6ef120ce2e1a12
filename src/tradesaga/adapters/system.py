"""The one real clock and the one source of entropy; and market time read from the player's file.

`SystemClock` is real time. `ScaledClock` follows the mapping that the player of a recording writes
(`domain/market_clock.py`); it never answers an earlier time than before, and never one beyond the
limit that the player set. Both count real seconds by CLOCK_BOOTTIME where the system has it, so
that leases notice a suspend.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import mmap
import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from tradesaga.domain.access import PREFIX
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.market_clock import EPOCH, FILE_BYTES, MarketClock, datetime_of, unpack

RECHECK_SECONDS_MAX = 0.02
"""How long a sleeper on market time trusts one reading: time may be held or jump meanwhile."""
SLEEP_SECONDS_MAX = 60.0
COLLECTOR_THRESHOLDS = (20_000, 20, 50)
"""Objects to the young collection, young ones to a middle one, middle ones to a full one."""
FILE_TIME_MAX = 10.0
_READS_MAX = 1000
_COUNTING_SUSPEND = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def host_now() -> datetime:
    """The host's clock as it is set, aware UTC; may go backwards."""
    return datetime.now(UTC)


def real_ns() -> int:
    """Nanoseconds of the monotonic clock that counts suspend; the same in all processes."""
    return time.clock_gettime_ns(_COUNTING_SUSPEND)


def calm_collector() -> None:
    """Leave what lives as long as the process out of every collection, and collect less often.

    Sagas make no cycles worth a collection; a full one stopped all of them for 40 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


class SystemClock:
    """Real time; implements `ports.clock.Clock`."""

    def __init__(self) -> None:
        self._last = EPOCH

    def now(self) -> datetime:
        """Aware UTC, never earlier than the answer before, even when the host's clock is set."""
        if (now := datetime.now(UTC)) > self._last:
            self._last = now
        return self._last

    def monotonic(self) -> float:
        """Real seconds since boot, counting suspend."""
        return time.clock_gettime(_COUNTING_SUSPEND)

    async def sleep_until(self, when: datetime) -> None:
        """Return when `now()` is at `when` or later."""
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - no event tells
            # Woken now and then, since the host's clock may be set meanwhile.
            await asyncio.sleep(min(left, SLEEP_SECONDS_MAX))


class ScaledClock:
    """Market time as the player of a recording lets it run; implements `ports.clock.Clock`."""

    def __init__(self, path: Path) -> None:
        """Map the file at `path`, waiting up to ten seconds for the player to make it.

        Raises Unavailable when there is no whole mapping by then.
        """
        self._data = b""
        self._mapping = MarketClock(anchor_real_ns=0, anchor_market_us=0, rate_milli=0, limit_us=0)
        self._last_us = 0
        self._shared = _open(path)
        self._sleepers = _Sleepers(self.now, self._real_seconds_until)
        if not self._read():
            raise Unavailable(f"{path} holds no market time: is the player of the recording up?")

    def now(self) -> datetime:
        """Market time, aware UTC, never earlier than the answer before."""
        self._read()
        self._last_us = max(self._last_us, self._mapping.micros(real_ns()))
        return datetime_of(self._last_us)

    def monotonic(self) -> float:
        """Real seconds since boot, counting suspend."""
        return time.clock_gettime(_COUNTING_SUSPEND)

    @property
    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        self._read()
        return bool(self._mapping.ended)

    async def sleep_until(self, when: datetime) -> None:
        """Return when market time is at `when` or later; waits on while time is held."""
        while self.now() < when:
            await self._sleepers.until(when)

    def close(self) -> None:
        """Let go of the shared file; `now()` may not be called any more."""
        self._shared.close()

    def _real_seconds_until(self, when: datetime) -> float:
        left = self._mapping.real_seconds_until(when, real_ns())
        return RECHECK_SECONDS_MAX if left is None else min(left, RECHECK_SECONDS_MAX)

    def _read(self) -> bool:
        """Take over the newest whole mapping; False when none was ever read."""
        for _ in range(_READS_MAX):
            data = self._shared[:FILE_BYTES]
            if data == self._data:
                break
            mapping = unpack(data)
            if mapping is not None:
                self._data, self._mapping = data, mapping
                break
        # A file that stays torn was left by a player killed in mid-write: hold to the last mapping.
        return bool(self._data)


class _Sleepers:
    """Those who wait for moments of a time that may be held or jump: one timer looks for all."""

    def __init__(self, now: Callable[[], datetime], seconds: Callable[[datetime], float]) -> None:
        self._now = now
        self._seconds_to_look = seconds
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._number = count()
        self._room = 64
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def until(self, when: datetime) -> None:
        """Return when the time has been seen at `when`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # what waited in a loop that has ended was cancelled with it
            self._loop, self._timer, self._waiting = loop, None, []
        if len(self._waiting) >= self._room:  # those that were cancelled are forgotten
            self._waiting = [one for one in self._waiting if not one[2].done()]
            heapq.heapify(self._waiting)
            self._room = 64 + 2 * len(self._waiting)
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (when, next(self._number), woken))
        if self._timer is None or self._waiting[0][2] is woken:
            self._set_timer(loop)
        await woken

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        seconds = self._seconds_to_look(self._waiting[0][0])
        self._timer = loop.call_later(seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now, self._timer = self._now(), None
        while self._waiting and (self._waiting[0][0] <= now or self._waiting[0][2].done()):
            woken = heapq.heappop(self._waiting)[2]
            if not woken.done():  # else its sleeper was cancelled
                woken.set_result(None)
        if self._waiting:
            self._set_timer(loop)


class SystemIds:
    """New identities: UUIDv7, ordered by creation as far as the clock is."""

    def uuid7(self, what: str = "") -> UUID:
        """A fresh UUIDv7."""
        return uuid7()


def new_api_secret() -> str:
    """A fresh token of the API: 256 random bits behind the prefix."""
    return PREFIX + secrets.token_urlsafe(32)


class SystemRandom:
    """Draws for jitter."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)

    def uniform(self) -> float:
        """A draw from [0, 1)."""
        return self._random.random()


def _open(path: Path) -> mmap.mmap:
    deadline = time.monotonic() + FILE_TIME_MAX
    while True:
        try:
            with path.open("rb") as file:
                shared = mmap.mmap(file.fileno(), FILE_BYTES, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError) as error:  # ValueError: made, but still empty
            if time.monotonic() > deadline:
                raise Unavailable(f"{path} does not appear: start `tradesaga paper`") from error
            time.sleep(0.01)
            continue
        if unpack(shared[:FILE_BYTES]) is not None or time.monotonic() > deadline:
            return shared
        shared.close()
        time.sleep(0.01)
