"""The cycles that run, as tasks: begun here, counted here, cancelled between their commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from structlog import get_logger

from tradesaga.domain.cycle import CycleType, TriggeredBy
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import CycleId, ScheduleId
from tradesaga.domain.schedule import Missed
from tradesaga.ports.clock import Clock
from tradesaga.ports.metrics import Metrics

log = get_logger()


class CycleKind(Protocol):
    """Runs one cycle."""

    def __call__(
        self,
        triggered_by: TriggeredBy,
        scheduled_at: datetime,
        /,
        *,
        actor: str = ...,
        reason: str = ...,
        cycle_id: CycleId | None = None,
    ) -> Awaitable[object]:
        """The one that was due at that time. Raises Fenced, Unavailable."""
        ...


class RunningCycles:
    """Owns the tasks of one agent's cycles; they belong to `group`."""

    def __init__(
        self,
        *,
        clock: Clock,
        metrics: Metrics,
        group: asyncio.TaskGroup,
        on_ended: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._group = group
        self._on_ended = on_ended
        self._tasks: dict[asyncio.Task[None], tuple[CycleType, frozenset[ScheduleId]]] = {}

    def begin(
        self,
        kind: CycleType,
        cycle: Callable[[], Awaitable[object]],
        due: datetime,
        keys: frozenset[ScheduleId] = frozenset(),
    ) -> None:
        """Run `cycle`, for the fires of `keys`, the oldest of them due at `due`."""

        async def guarded() -> None:
            try:
                await cycle()
            except Unavailable as error:
                self._metrics.cycle_skipped(kind, Missed.JOURNAL)
                log.warning("cycle given up", error=str(error))

        if keys:
            self._metrics.cycle_began(kind, self._clock.now() - due)
        task = self._group.create_task(guarded(), name=f"{kind} {due.isoformat()}")
        self._tasks[task] = (kind, keys)
        task.add_done_callback(self._ended)

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """One of each cycle, to be waited for."""
        return tuple(self._tasks)

    def number(self, kind: CycleType) -> int:
        """How many of that type run."""
        return sum(1 for running, _ in self._tasks.values() if running is kind)

    def busy(self) -> Counter[ScheduleId]:
        """How many cycles of each schedule run."""
        return Counter(key for _, keys in self._tasks.values() for key in keys)

    async def cancel_all(self) -> None:
        """End all of them and wait for that."""
        tasks = self.tasks
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._on_ended()
