"""What is due when: one heap for all schedules, in which a new time makes the old one void."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from datetime import datetime

from tradesaga.domain.ids import ScheduleId


class Timetable:
    """Holds at most one time for each schedule; bounded by twice their number."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, ScheduleId]] = []
        self._due: dict[ScheduleId, tuple[datetime, int]] = {}
        self._numbers = itertools.count()

    def set(self, schedule_id: ScheduleId, due: datetime | None) -> None:
        """It is due then, or not at all."""
        known = self._due.pop(schedule_id, None)
        if due is not None:
            number = next(self._numbers) if known is None or known[0] != due else known[1]
            if known is None or known[0] != due:
                heapq.heappush(self._heap, (due, number, schedule_id))
            self._due[schedule_id] = (due, number)
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(at, number, key) for key, (at, number) in self._due.items()]
            heapq.heapify(self._heap)

    def earliest(self) -> datetime | None:
        """When something is due next."""
        self._drop_void()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime) -> Sequence[ScheduleId]:
        """What is due by `now`, in order; it has no time until the next `set`."""
        found = []
        while (earliest := self.earliest()) is not None and earliest <= now:
            _, _, schedule_id = heapq.heappop(self._heap)
            del self._due[schedule_id]
            found.append(schedule_id)
        return found

    def _drop_void(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
