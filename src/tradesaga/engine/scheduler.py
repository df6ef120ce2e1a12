"""When cycles begin: on the multiples of their interval, while the agent runs and may trade.

A tick that meets a running cycle of its type is skipped and counted (`concurrent_max`); ticks that
were slept over are one. The heartbeat never waits for the analysis, and beats whenever the lease
is held. The scheduler owns the tasks of its cycles: a stop cancels them between their commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from structlog import get_logger

from tradesaga.domain.cycle import CycleType, TriggeredBy
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.decision_requests import Answer, Question
from tradesaga.engine.heartbeat_cycle import HeartbeatCycle
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.ports.clock import Clock
from tradesaga.ports.metrics import Metrics

log = get_logger()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_tick(after: datetime, interval: timedelta) -> datetime:
    """The first multiple of `interval` since the Unix epoch that is later than `after`."""
    return EPOCH + ((after - EPOCH) // interval + 1) * interval


class Scheduler:
    """Begins analysis and heartbeat cycles of one agent."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        clock: Clock,
        state: AgentState,
        market: MarketGate,
        analysis: AnalysisCycle,
        heartbeat: HeartbeatCycle,
        active: Callable[[], Sequence[Strategy]],
        metrics: Metrics,
        group: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._state = state
        self._market = market
        self._analysis = analysis
        self._heartbeat = heartbeat
        self._active = active
        self._metrics = metrics
        self._group = group
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(settings.analysis_concurrent_max)

    def next_analysis_at(self) -> datetime | None:
        """When the next analysis is due; None while the agent does not run."""
        if not self._state.runs():
            return None
        tick = next_tick(self._clock.now(), self._settings.analysis_interval)
        opens = self._market.next_open(tick)
        if opens is None or (opens <= tick and not self._market.opens_at(tick)):
            return None if opens is None else tick
        return next_tick(max(tick, opens), self._settings.analysis_interval)

    async def run_analyses(self) -> None:
        """Tick for ever."""
        while True:
            tick = next_tick(self._clock.now(), self._settings.analysis_interval)
            await self._clock.sleep_until(tick)
            self.tick_analysis(tick)

    def tick_analysis(self, tick: datetime) -> bool:
        """Begin the analysis of `tick` if it is to be; whether it was."""
        kind = CycleType.ANALYSIS
        if not self._state.runs() or not self._market.is_open(tick):
            return False
        if self._market.opens_at(tick):
            return False  # no minute of the session is over yet: there is nothing to analyse
        strategies = self._active()
        if not strategies:
            self._metrics.cycle_skipped(kind, "no_strategy")
            return False
        if self._room.locked():
            self._metrics.cycle_skipped(kind, "overlap")
            log.warning("tick skipped: the cycle before still runs", tick=tick.isoformat())
            return False
        self._begin(strategies, TriggeredBy.SCHEDULE, tick)
        return True

    async def run_heartbeats(self) -> None:
        """Beat for ever."""
        while True:
            tick = next_tick(self._clock.now(), self._settings.heartbeat_interval)
            await self._clock.sleep_until(tick)
            try:
                await self._heartbeat.run(TriggeredBy.SCHEDULE, tick)
            except Unavailable as error:
                self._metrics.cycle_skipped(CycleType.HEARTBEAT, "journal")
                log.warning("heartbeat skipped", error=str(error))

    async def analyse_unsolicited(self, answer: Answer) -> bool:
        """An analysis of its own for a decision that nobody asked for."""
        if not self._state.runs():
            return False
        said, incoming = answer.proposal, answer.delivery.incoming
        assert incoming is not None, "the coordinator buries unreadable messages"
        names = {s.external_id: s for s in self._active()}
        question = Question(
            request_id=incoming.event_id,
            strategy=names.get(said.strategy_id or ""),
            symbol=said.symbol,
            asked_at=incoming.at,
            answer=answer,
        )
        async with self._room:  # it waits its turn: analyses overlap no more than configured
            await self._analysis.run(
                tuple(names.values()),
                TriggeredBy.EVENT,
                self._clock.now(),
                unsolicited=(question,),
            )
        return True

    async def cancel_all(self) -> None:
        """End the running analyses between their commits, and wait for that."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(
        self, strategies: Sequence[Strategy], triggered_by: TriggeredBy, tick: datetime
    ) -> None:
        task = self._group.create_task(
            self._analyse(strategies, triggered_by, tick), name=f"analysis {tick.isoformat()}"
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _analyse(
        self, strategies: Sequence[Strategy], triggered_by: TriggeredBy, tick: datetime
    ) -> None:
        try:
            async with self._room:
                await self._analysis.run(strategies, triggered_by, tick)
        except Unavailable as error:
            self._metrics.cycle_skipped(CycleType.ANALYSIS, "journal")
            log.warning("cycle given up", error=str(error))
