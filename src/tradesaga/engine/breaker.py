"""Puts the agent into its error state when going on does no good; a person starts it again.

    crash loop       as many deaths in a day as `restartsPerDay`, counted from the checkpoints, so
                     that no restart forgets them; a start after an orderly hand-over is none
    slow start       not ready in `start_time_max` after the lease was taken
    failed cycles    `failed_cycles_max` of a type in a row; a cancelled one counts neither way

What happened before a person started the agent does not count again.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from structlog import get_logger

from tradesaga.domain.agent import Fail
from tradesaga.domain.checkpoint import Occasion, death_times
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.records import Records

log = get_logger()
DAY = timedelta(days=1)
LOOKED_AT = 1000
"""Checkpoints: two a start at most, so more than any limit on restarts needs."""


class Breaker:
    """Watches starts and cycles of one agent."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        records: Records,
        state: AgentState,
        scribe: Scribe,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._records = records
        self._state = state
        self._scribe = scribe
        self._clock = clock
        self._metrics = metrics
        self._failed: Counter[CycleType] = Counter()
        self._deaths: tuple[datetime, ...] | None = None

    def deaths(self) -> int | None:
        """Those of the last day that count now; None before they were counted."""
        if self._deaths is None:
            return None
        since, started_at = self._clock.now() - DAY, self._state.agent.started_at
        if started_at is not None:
            since = max(since, started_at)
        return sum(1 for found_at in self._deaths if found_at > since)

    async def load(self) -> None:
        """Count before this process has taken its own checkpoint. Raises Unavailable."""
        taken = await self._records.checkpoints(self._settings.agent_id, limit=LOOKED_AT)
        self._deaths = death_times(taken)
        if taken and taken[0].occasion is Occasion.RECOVERED:
            self._deaths = (
                self._clock.now(),
                *self._deaths,
            )  # the one before us has just been found

    async def started(self) -> None:
        """Look at the deaths so far, as they were counted before this process' own checkpoint.

        Raises:
            Fenced, Unavailable: as the journal.
        """
        if not self._state.runs():
            return
        agent = self._state.agent
        number = self.deaths() or 0
        limit = self._settings.limits[agent.mode].restarts_per_day
        if number >= limit:
            await self._break(
                ErrorType.CRASH_LOOP, f"crash loop: {number} deaths in a day, limit {limit}"
            )

    async def start_is_late(self) -> None:
        """Not ready in time: what was waited for may have changed. Raises as `started`."""
        seconds = self._settings.start_time_max.total_seconds()
        why = f"not ready {seconds:g} s after the lease was taken"
        if self._state.is_loaded and self._state.runs():
            await self._break(ErrorType.START_LATE, why)
        else:
            log.error("the start takes long", reason=why)

    async def ended(self, cycle: Cycle) -> None:
        """Count the end of a cycle. Raises as `started`."""
        if cycle.status is CycleStatus.COMPLETED:
            self._failed[cycle.type] = 0
        if cycle.status is not CycleStatus.FAILED:
            return
        self._failed[cycle.type] += 1
        most = self._settings.failed_cycles_max
        if self._failed[cycle.type] >= most and self._state.runs():
            self._failed[cycle.type] = 0
            why = f"{most} {cycle.type} cycles failed in a row"
            await self._break(ErrorType.CYCLES_FAILED, why)

    async def _break(self, kind: ErrorType, why: str) -> None:
        self._metrics.error_occurred(kind)
        log.error("the agent goes on no more by itself", reason=why)
        body = {"alert": "the agent is in its error state", "reason": why}
        subject = str(self._settings.agent_id)
        await self._scribe.fact(
            (), [Entry(kind="alert", subject=subject, actor="engine", body=body)]
        )
        await self._state.order(Fail(error=why), actor="engine", kind="agent.failed", reason=why)
