"""Fires that are due and have not found room: one for each schedule, each for a time only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tradesaga.domain.cycle import TriggeredBy
from tradesaga.domain.ids import ScheduleId
from tradesaga.domain.schedule import PUNCTUAL, Schedule

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fire:
    """When it was due, what caused it, and how long it may wait."""

    at: datetime
    cause: TriggeredBy
    until: datetime


class WaitingFires:
    """At most as many as there are schedules; looking for stale ones costs nothing until one is."""

    def __init__(self) -> None:
        self._fires: dict[ScheduleId, Fire] = {}
        self._stale_first = _NEVER

    def add(self, schedule: Schedule, at: datetime, cause: TriggeredBy) -> bool:
        """Let it wait; whether it takes the place of an older one of its schedule."""
        until = at + max(schedule.catch_up, PUNCTUAL)
        is_again = schedule.id in self._fires
        self._fires[schedule.id] = Fire(at, cause, until)
        self._stale_first = min(self._stale_first, until)
        return is_again

    def add_all(self, schedules: Sequence[Schedule], cause: TriggeredBy) -> int:
        """Let each wait since its next run; how many take the place of an older one."""
        before = len(self._fires)
        fire, catch_up = Fire(_NEVER, cause, _NEVER), timedelta(-1)
        for schedule in schedules:
            at = schedule.next_run_at
            assert at is not None, "it is due"
            if at != fire.at or schedule.catch_up != catch_up:  # many are alike
                catch_up = schedule.catch_up
                fire = Fire(at, cause, at + max(catch_up, PUNCTUAL))
                self._stale_first = min(self._stale_first, fire.until)
            self._fires[schedule.id] = fire
        return before + len(schedules) - len(self._fires)

    def take_stale(self, now: datetime) -> Sequence[ScheduleId]:
        """Those that have waited too long."""
        if now <= self._stale_first:
            return ()
        stale = [key for key, fire in self._fires.items() if now > fire.until]
        for key in stale:
            del self._fires[key]
        self._stale_first = min((fire.until for fire in self._fires.values()), default=_NEVER)
        return stale

    def take_all(self) -> Mapping[ScheduleId, Fire]:
        """All of them; nothing waits any more."""
        taken, self._fires, self._stale_first = self._fires, {}, _NEVER
        return taken
