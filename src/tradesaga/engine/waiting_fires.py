"""Fires that are due and have not found room: one for each schedule, each for a time only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

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
