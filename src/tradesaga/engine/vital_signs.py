"""Looks at what carries the agent: bus, database, lease; what is damaged is told by `former`.

    EVENT_BUS_DOWN   no connection, or nothing taken of what waits, for `bus_lost_max`
    DATABASE_SLOW    one commit has waited for `commit_time_max`; or in `SLOW_LOOKS` looks in a row
                     that saw commits, none was quicker than `commit_time_slow`
    LEASE_STALL      the lease leaves no time to send, for `lease_stall_max` (at once by default)

It looks each second of real time, and what it finds is in force at once. That a cause is gone is
told by the heartbeat alone: two of them in a row, however often was looked between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from tradesaga.domain.ladder import Cause
from tradesaga.engine.commit_times import CommitTimes
from tradesaga.engine.former_books import FormerBooks
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.settings import Tolerances
from tradesaga.ports.bus import Bus
from tradesaga.ports.clock import Clock

LOOK_SECONDS: Final = 1.0
"""Real time from one look to the next."""
SLOW_LOOKS: Final = 3


class VitalSigns:
    """Of one agent; `stuck_since` tells since when the relay gets nothing out, None: it does."""

    def __init__(
        self,
        *,
        ladder: LadderState,
        former: FormerBooks,
        leadership: Leadership,
        bus: Bus,
        stuck_since: Callable[[], float | None],
        commits: CommitTimes,
        clock: Clock,
        tolerances: Tolerances,
    ) -> None:
        self._ladder = ladder
        self._former = former
        self._leadership = leadership
        self._bus = bus
        self._stuck_since = stuck_since
        self._commits = commits
        self._clock = clock
        self._tolerances = tolerances
        self._lost_since: float | None = None
        self._stalled_since: float | None = None
        self._slow_looks = 0
        self._saw_commits = False

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)  # noqa: TID251 -- real time, not market time
            self.look()

    def look(self) -> None:
        """Enter what is there; nothing is left by it."""
        self._former.look()
        for cause, why in self._found().items():
            if why:
                self._ladder.enter(cause, why)

    def check(self) -> None:
        """The heartbeat's look: what is not there any more may go. No commit seen is no news."""
        for cause, why in self._found().items():
            if cause is Cause.DATABASE_SLOW and not why and not self._saw_commits:
                continue
            self._ladder.observe(cause, why)
        self._saw_commits = False

    def _found(self) -> Mapping[Cause, str]:
        return {
            Cause.EVENT_BUS_DOWN: self._bus_down(),
            Cause.DATABASE_SLOW: self._database_slow(),
            Cause.LEASE_STALL: self._lease_stalls(),
        }

    def _lease_stalls(self) -> str:
        now = self._clock.monotonic()
        if self._leadership.may_send(opening=False):
            self._stalled_since = None
            return ""
        if self._stalled_since is None:
            self._stalled_since = now
        longest = self._tolerances.lease_stall_max.total_seconds()
        return "no time is left to send in" if now - self._stalled_since >= longest else ""

    def _bus_down(self) -> str:
        now, longest = self._clock.monotonic(), self._tolerances.bus_lost_max
        if self._bus.is_connected():
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        stuck = self._stuck_since()
        if self._lost_since is not None and now - self._lost_since >= longest.total_seconds():
            return f"no connection for {now - self._lost_since:.1f} s"
        if stuck is not None and now - stuck >= longest.total_seconds():
            return f"nothing of what waits was taken for {now - stuck:.1f} s"
        return ""

    def _database_slow(self) -> str:
        quickest, slow = self._commits.take_quickest(), self._tolerances.commit_time_slow
        if quickest is not None:
            self._saw_commits = True
            self._slow_looks = self._slow_looks + 1 if quickest > slow else 0
        waited = self._commits.longest_wait()
        if waited >= self._tolerances.commit_time_max:
            return f"a commit has waited for {_seconds(waited)}"
        if self._slow_looks >= SLOW_LOOKS:
            return f"{SLOW_LOOKS} looks in a row saw no commit quicker than {_seconds(slow)}"
        return ""


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():.1f} s"
