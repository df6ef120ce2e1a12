"""What is due when: the schedules of each instant together, in a heap of instants.

A new time makes the old one void. However many are due at one instant, they are found by one look.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import datetime

from tradesaga.domain.ids import ScheduleId


class Timetable:
    """Holds at most one time for each schedule; bounded by twice the number of instants."""

    def __init__(self) -> None:
        self._instants: list[datetime] = []
        self._at: dict[datetime, dict[ScheduleId, None]] = {}
        self._due: dict[ScheduleId, datetime] = {}

    def set(self, schedule_id: ScheduleId, due: datetime | None) -> None:
        """It is due then, or not at all."""
        known = self._due.get(schedule_id)
        if known == due:
            return
        if known is not None:
            del self._due[schedule_id]
            there = self._at[known]
            del there[schedule_id]
            if not there:
                del self._at[known]
        if due is not None:
            there = self._at.setdefault(due, {})
            if not there:
                heapq.heappush(self._instants, due)
            there[schedule_id] = None
            self._due[schedule_id] = due
        if len(self._instants) > 2 * len(self._at) + 64:
            self._instants = list(self._at)
            heapq.heapify(self._instants)

    def earliest(self) -> datetime | None:
        """When something is due next."""
        while self._instants and self._instants[0] not in self._at:
            heapq.heappop(self._instants)
        return self._instants[0] if self._instants else None

    def take_due(self, now: datetime) -> Sequence[ScheduleId]:
        """What is due by `now`, in order; it has no time until the next `set`."""
        found: list[ScheduleId] = []
        while (earliest := self.earliest()) is not None and earliest <= now:
            found += self._at.pop(earliest)
        for schedule_id in found:
            del self._due[schedule_id]
        return found
