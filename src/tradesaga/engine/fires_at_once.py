"""Very many schedules due at one look: one small mark, the hand-over, and then their own rows.

A row for each of ten thousand fires would keep all of them waiting. So one row says up to when the
fires are taken, which is durable before any cycle begins; the fires are handed to those that wait
for room, and the schedules' rows follow in parts while the cycles run. A process that dies between
the two repeats none of them: who loads the schedules reads the mark too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from structlog import get_logger

from tradesaga.domain.cycle import CycleType, TriggeredBy
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import ScheduleId, StrategyId
from tradesaga.domain.schedule import Missed, Overlap, Schedule, ScheduleType, next_fire
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.running_cycles import RunningCycles
from tradesaga.engine.schedule_book import ScheduleBook
from tradesaga.engine.waiting_fires import WaitingFires

log = get_logger()
AT_ONCE_MIN: Final = 100
"""More than so many fires of one look are marked together, not each in its row."""
PROMPT: Final = timedelta(milliseconds=100)
"""So soon no schedule can be due twice."""


class FiresAtOnce:
    """Of one scheduler. `allows` is asked whether analyses of a schedule's kind may begin then."""

    def __init__(
        self,
        *,
        book: ScheduleBook,
        waiting: WaitingFires,
        running: RunningCycles,
        active: Callable[[], Mapping[StrategyId, Strategy]],
        allows: Callable[[Schedule, datetime], bool],
        miss: Callable[[Schedule, Missed, int], None],
        group: asyncio.TaskGroup,
    ) -> None:
        self._book = book
        self._waiting = waiting
        self._running = running
        self._active = active
        self._allows = allows
        self._miss = miss
        self._group = group

    async def take(self, due: Sequence[Schedule], now: datetime) -> tuple[Sequence[Schedule], int]:
        """Mark those that are alike and let them wait; the others, and how many were taken.

        Raises Fenced.
        """
        if len(due) <= AT_ONCE_MIN:
            return due, 0
        alike, others = _parted(due, now)
        try:
            await self._book.mark_at_once(len(alike), now)
        except Unavailable as error:
            for schedule in alike:
                self._miss(schedule, Missed.JOURNAL, 1)
                self._book.timetable.set(schedule.id, next_fire(schedule, now))
            log.warning("fires given up", error=str(error), number=len(alike))
            return others, 0
        if chosen := self._chosen(alike):
            replaced = self._waiting.add_all(chosen, TriggeredBy.SCHEDULE)
            self._miss(chosen[0], Missed.COALESCED, replaced)
        self._group.create_task(self._settle([s.id for s in alike], now), name="fires settled")
        return others, len(alike)

    async def _settle(self, keys: Sequence[ScheduleId], now: datetime) -> None:
        try:
            await self._book.settle(keys, now)
        except Unavailable as error:  # the mark says that they have fired
            log.warning("rows of fires are behind", error=str(error))
        self._book.changed.set()

    def _chosen(self, alike: Sequence[Schedule]) -> Sequence[Schedule]:
        """Those that may begin: what they have in common is asked once for each instant."""
        verdicts: dict[tuple[datetime | None, ScheduleType], bool] = {}
        active, busy = self._active(), self._running.busy()
        found = list[Schedule]()
        for schedule in alike:
            at = schedule.next_run_at
            common = at, schedule.schedule_type
            if common not in verdicts:
                verdicts[common] = at is not None and self._allows(schedule, at)
            if not verdicts[common]:
                continue
            if schedule.strategy_id not in active:
                self._miss(schedule, Missed.NO_STRATEGY, 1)
            elif busy and schedule.overlap is Overlap.SKIP and busy[schedule.id]:
                self._miss(schedule, Missed.OVERLAP, 1)
            else:
                found.append(schedule)
        return found


def _parted(due: Sequence[Schedule], now: datetime) -> tuple[list[Schedule], list[Schedule]]:
    """What can be marked at once: stored, an analysis, due once; and the others."""
    alike: list[Schedule] = []
    others: list[Schedule] = []
    for schedule in due:
        at = schedule.next_run_at
        stored = schedule.strategy_id is not None and schedule.cycle_type is CycleType.ANALYSIS
        prompt = at is not None and at <= now < at + PROMPT
        (alike if stored and prompt else others).append(schedule)
    return alike, others
