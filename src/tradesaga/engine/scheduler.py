"""When cycles begin: as the schedules say, while the agent runs and may trade.

    timetable ──due──► fires of one instant ──marked──► waiting ──room──► one cycle over all of them

What is due at one instant is one cycle over the strategies of all its schedules, those of higher
priority first. A fire that meets its own cycle still running is dropped and counted, or kept if its
schedule says so; one that finds no room waits, a person's before all others, as long as it could
be made up after an absence. The heartbeat waits for nobody and beats whenever the lease is held.
The scheduler owns the tasks of its cycles: a stop cancels them between their commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from structlog import get_logger

from tradesaga.domain.cycle import CycleType, TriggeredBy
from tradesaga.domain.errors import IllegalTransition, Unavailable
from tradesaga.domain.ids import CycleId, ScheduleId, StrategyId
from tradesaga.domain.schedule import (
    REBALANCE_CATCH_UP,
    Missed,
    Overlap,
    Schedule,
    ScheduleType,
    Wake,
    interval_value,
    next_fire,
    next_multiple,
    wake,
)
from tradesaga.domain.strategies import Strategy, standing
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.answered_fires import answered_until
from tradesaga.engine.fires_at_once import FiresAtOnce
from tradesaga.engine.heartbeat_cycle import HeartbeatCycle
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.running_cycles import CycleKind, RunningCycles
from tradesaga.engine.schedule_book import ScheduleBook
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.unsolicited import Unsolicited
from tradesaga.engine.waiting import news_or_moment
from tradesaga.engine.waiting_fires import WaitingFires
from tradesaga.ports.clock import Clock
from tradesaga.ports.metrics import Metrics
from tradesaga.ports.records import Records

log = get_logger()
IDLE_MAX = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manual:
    """An analysis that a person asked for and that waits for room."""

    cycle_id: CycleId
    strategies: Sequence[Strategy]


class Scheduler:
    """Begins the cycles of one agent."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        clock: Clock,
        state: AgentState,
        market: MarketGate,
        analysis: AnalysisCycle,
        heartbeat: HeartbeatCycle,
        active: Callable[[], Mapping[StrategyId, Strategy]],
        book: ScheduleBook,
        records: Records,
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
        self._book = book
        self._records = records
        self._metrics = metrics
        self.running = RunningCycles(  # one that ends makes room: the loop lets in what waits
            clock=clock, metrics=metrics, group=group, on_ended=book.changed.set
        )
        self._room = asyncio.Semaphore(settings.analysis_concurrent_max)
        self.unsolicited = Unsolicited(
            clock=clock, state=state, analysis=analysis, active=active, room=self._room
        )
        self._waiting = WaitingFires()
        self._at_once = FiresAtOnce(
            book=book, waiting=self._waiting, running=self.running, active=active,
            allows=self._market_allows, miss=self._miss, group=group,
        )  # fmt: skip
        self._manual: _Manual | None = None
        self._kinds: dict[CycleType, CycleKind] = {}
        interval = settings.analysis_interval
        value = interval_value(interval, settings.later(interval))
        self._configured = book.configure(
            CycleType.ANALYSIS, ScheduleType.INTERVAL, value, zone=settings.zone
        )

    def register_rebalance(self, run: CycleKind) -> None:
        """Run rebalance cycles by their schedule of the configuration, on days with a session.

        Until this is called there is no such schedule. It is due before the open: what must wait
        for that asks `MarketGate.release_at`.
        """
        self._kinds[CycleType.REBALANCE] = run
        self._book.configure(
            CycleType.REBALANCE,
            ScheduleType.CRON,
            self._settings.rebalance_schedule,
            zone=self._settings.zone,
            catch_up=REBALANCE_CATCH_UP,
        )

    def next_analysis_at(self) -> datetime | None:
        """When the next analysis is due; None while the agent does not run."""
        if not self._state.runs():
            return None
        interval = self._settings.analysis_interval
        later = self._settings.later(interval)
        tick = next_multiple(self._clock.now(), interval, later=later)
        opens = self._market.next_open(tick)
        if opens is None or (opens <= tick and not self._market.opens_at(tick - later)):
            return None if opens is None else tick
        return next_multiple(max(tick, opens + later), interval, later=later)

    async def run(self) -> None:
        """Make up what was missed, then run what is due, for ever."""
        await self._arrive()
        while True:
            now = self._clock.now()
            due = self._book.timetable.earliest() or now + IDLE_MAX
            await news_or_moment(self._clock, self._book.changed, due)
            self._book.changed.clear()
            await self.run_once(self._clock.now())

    async def run_once(self, now: datetime) -> int:
        """Begin what is due by `now`; how many fires that were."""
        due = [s for s in map(self._book.find, self._book.timetable.take_due(now)) if s]
        others, taken = await self._at_once.take(due, now)
        found = [(s, wake(s, now, absent=False)) for s in others]
        fires = await self._marked(found, now)
        self.offer(fires, TriggeredBy.SCHEDULE)
        return len(fires) + taken

    def heard(self, *names: str) -> None:
        """An event was told: what waits for it, under any of these names, is due now."""
        now = self._clock.now()
        fires = {
            s.id: now
            for s in self._book.all()
            if s.schedule_type is ScheduleType.EVENT and s.enabled and s.schedule_value in names
        }
        self.offer(fires, TriggeredBy.EVENT)

    def offer(self, fires: Mapping[ScheduleId, datetime], triggered_by: TriggeredBy) -> None:
        """Begin a cycle over what may begin, let wait what finds no room."""
        busy = self.running.busy()
        for key, at in fires.items():
            schedule = self._book.find(key)
            if schedule is None or not self._may_begin(schedule, at):
                continue
            most = self._settings.analysis_concurrent_max if schedule.is_configured else 1
            if busy[key] >= most and schedule.overlap is Overlap.SKIP:
                self._miss(schedule, Missed.OVERLAP)
                log.warning("fire skipped: its cycle before still runs", due=at.isoformat())
            elif schedule.cycle_type is CycleType.REBALANCE:
                self._begin_kind(schedule, triggered_by, at)
            else:
                self._miss(
                    schedule, Missed.COALESCED, int(self._waiting.add(schedule, at, triggered_by))
                )
        self._let_in()

    def tick_analysis(self, tick: datetime) -> bool:
        """Begin the configured analysis of `tick` if it is to be; whether it was."""
        before = self.running.number(CycleType.ANALYSIS)
        self.offer({self._configured: tick}, TriggeredBy.SCHEDULE)
        return self.running.number(CycleType.ANALYSIS) > before

    def analyse(self, strategies: Sequence[Strategy]) -> tuple[CycleId, bool]:
        """Begin an analysis that a person asks for; its id, and False when it waits for room.

        Raises:
            IllegalTransition: the agent does not run, or another one waits already.
        """
        self._must_run()
        if self._manual is not None:
            if list(self._manual.strategies) == list(strategies):
                return self._manual.cycle_id, False
            raise IllegalTransition(
                "an analysis waits already: ask again when it has begun", allowed=("repeat",)
            )
        cycle_id = self._analysis.runner.new_id(CycleType.ANALYSIS, TriggeredBy.MANUAL)
        self._manual = _Manual(cycle_id=cycle_id, strategies=strategies)
        self._let_in()
        return cycle_id, self._manual is None

    def rebalance(self, *, actor: str) -> CycleId:
        """Begin a rebalance that a person asks for; its orders are held for the open as always.

        Raises:
            IllegalTransition: the agent does not run, nothing is configured, or one runs already.
        """
        run = self._kinds.get(CycleType.REBALANCE)
        self._must_run()
        if run is None:
            raise IllegalTransition("there is nothing to rebalance to: configure rebalance.targets")
        if self.running.number(CycleType.REBALANCE):
            raise IllegalTransition(
                "a rebalance runs already: wait for its end, or cancel it",
                allowed=("cancel", "repeat"),
            )
        runner, now = self._analysis.runner, self._clock.now()
        cycle_id = runner.new_id(CycleType.REBALANCE, TriggeredBy.MANUAL)
        cycle = partial(
            run, TriggeredBy.MANUAL, now, actor=actor, reason="by hand", cycle_id=cycle_id
        )
        self.running.begin(CycleType.REBALANCE, cycle, now)
        return cycle_id

    def _must_run(self) -> None:
        if not self._state.runs():
            status = self._state.agent.status
            raise IllegalTransition(
                f"agent is {status}: start it first", state=status, allowed=("start",)
            )

    async def run_heartbeats(self) -> None:
        """Beat for ever."""
        while True:
            interval = self._settings.heartbeat_interval
            later = self._settings.later(interval)
            tick = next_multiple(self._clock.now(), interval, later=later)
            await self._clock.sleep_until(tick)
            self._metrics.cycle_began(CycleType.HEARTBEAT, self._clock.now() - tick)
            try:
                await self._heartbeat.run(TriggeredBy.SCHEDULE, tick)
            except Unavailable as error:
                self._metrics.cycle_skipped(CycleType.HEARTBEAT, Missed.JOURNAL)
                log.warning("heartbeat skipped", error=str(error))

    async def cancel_all(self) -> None:
        """End the running cycles between their commits, wait for that, forget what waits."""
        self._waiting.take_all()
        self._manual = None
        await self.running.cancel_all()

    async def _arrive(self) -> None:
        """Read what is stored, and make up what was missed while nobody watched."""
        await self._book.load()
        now = self._clock.now()
        has = CycleType.REBALANCE in self._kinds
        last = await answered_until(self._records, self._settings.agent_id, now, rebalances=has)
        found: list[tuple[Schedule, Wake]] = []
        for schedule in self._book.all():
            known = schedule
            if schedule.is_configured:
                before = last.get(schedule.cycle_type, now)
                known = replace(schedule, next_run_at=next_fire(schedule, before))
                self._book.stand(known)
            if not known.enabled or known.schedule_type is ScheduleType.EVENT:
                continue
            missed = wake(known, now, absent=True)
            if schedule.is_configured:
                missed = replace(missed, coalesced=0, late=0)
            found.append((known, missed))
        fires = await self._marked([(s, w) for s, w in found if _is_due(s, now)], now)
        self.offer(fires, TriggeredBy.SCHEDULE)

    async def _marked(
        self, found: Sequence[tuple[Schedule, Wake]], now: datetime
    ) -> dict[ScheduleId, datetime]:
        """The fires to run, once they are marked as run; none of them without the journal."""
        fires = {schedule.id: woken.at for schedule, woken in found if woken.at is not None}
        nexts = {s.id: next_fire(s, now) for s, _ in found}
        for schedule, woken in found:
            self._miss(schedule, Missed.COALESCED, woken.coalesced)
            self._miss(schedule, Missed.LATE, woken.late)
        try:
            await self._book.mark(fires, nexts)
        except Unavailable as error:
            for schedule, _ in found:
                self._miss(schedule, Missed.JOURNAL)
                self._book.timetable.set(schedule.id, nexts[schedule.id])
            log.warning("fires given up", error=str(error))
            return {}
        return fires

    def _may_begin(self, schedule: Schedule, at: datetime) -> bool:
        if not self._state.runs():
            return False
        if schedule.cycle_type is CycleType.REBALANCE:
            if self._market.hours_only and self._market.session_of_today(at) is None:
                self._miss(schedule, Missed.HOLIDAY)
                return False
            return True
        if not self._market_allows(schedule, at):
            return False
        if not self._has_strategy(schedule):
            self._miss(schedule, Missed.NO_STRATEGY)
            return False
        return True

    def _market_allows(self, schedule: Schedule, at: datetime) -> bool:
        if not self._state.runs() or not self._market.is_open(at):
            return False
        # At the open no minute of the session is over yet: there is nothing to analyse.
        is_interval = schedule.schedule_type is ScheduleType.INTERVAL
        return not (is_interval and self._market.opens_at(at - schedule.later))

    def _has_strategy(self, schedule: Schedule) -> bool:
        if schedule.strategy_id is not None:
            return schedule.strategy_id in self._active()
        return not self._active().keys() <= self._book.own_timetable()

    def _strategies_of(self, schedules: Sequence[Schedule]) -> Sequence[Strategy]:
        """Theirs that are active, by the schedule's priority and then their own."""
        active, ranks = self._active(), dict[StrategyId, int]()
        for schedule in schedules:
            if schedule.strategy_id is not None:
                theirs: Iterable[StrategyId] = (schedule.strategy_id,)
            else:
                theirs = active.keys() - self._book.own_timetable()
            for key in theirs:
                if key in active:
                    ranks[key] = max(schedule.priority, ranks.get(key, schedule.priority))
        chosen = [(-rank, *standing(active[key]), active[key]) for key, rank in ranks.items()]
        return [strategy for *_, strategy in sorted(chosen, key=itemgetter(0, 1, 2))]

    def _let_in(self) -> None:
        """Begin what waits as far as there is room: a person's first, then all others as one."""
        now = self._clock.now()
        if self._manual is not None and not self._is_full():
            asked, self._manual = self._manual, None
            self._begin(asked.strategies, TriggeredBy.MANUAL, now, cycle_id=asked.cycle_id)
        if self._is_full():
            for key in self._waiting.take_stale(now):
                if (schedule := self._book.find(key)) is not None:
                    self._miss(schedule, Missed.NO_ROOM)
            return
        fires = self._waiting.take_all()
        schedules = [s for key in fires if (s := self._book.find(key)) is not None]
        strategies = self._strategies_of(schedules)
        if strategies and self._state.runs():
            causes = {fire.cause for fire in fires.values()}
            cause = TriggeredBy.SCHEDULE if TriggeredBy.SCHEDULE in causes else TriggeredBy.EVENT
            due = min(fire.at for fire in fires.values())
            self._begin(strategies, cause, due, keys=frozenset(fires))

    def _is_full(self) -> bool:
        running = self.running.number(CycleType.ANALYSIS)
        return self._room.locked() or running >= self._settings.analysis_concurrent_max

    def _begin(
        self,
        strategies: Sequence[Strategy],
        triggered_by: TriggeredBy,
        due: datetime,
        *,
        keys: frozenset[ScheduleId] = frozenset(),
        cycle_id: CycleId | None = None,
    ) -> None:
        async def analyse() -> None:
            async with self._room:
                await self._analysis.run(strategies, triggered_by, due, cycle_id=cycle_id)

        self.running.begin(CycleType.ANALYSIS, analyse, due, keys)

    def _begin_kind(self, schedule: Schedule, triggered_by: TriggeredBy, due: datetime) -> None:
        run = self._kinds.get(schedule.cycle_type)
        if run is None:
            self._miss(schedule, Missed.NO_RUNNER)
            return
        cycle = partial(run, triggered_by, due)
        self.running.begin(schedule.cycle_type, cycle, due, frozenset({schedule.id}))

    def _miss(self, schedule: Schedule, why: Missed, number: int = 1) -> None:
        if number:
            self._metrics.cycle_skipped(schedule.cycle_type, why, number)


def _is_due(schedule: Schedule, now: datetime) -> bool:
    return schedule.next_run_at is None or schedule.next_run_at <= now
