"""What an operator asks of the schedules, done: implements `ports.schedule_operations`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta

from tradesaga.domain.as_read import AsRead
from tradesaga.domain.cycle import CycleType
from tradesaga.domain.errors import IllegalTransition, Invalid, NotFound, Unavailable
from tradesaga.domain.ids import CycleId, ScheduleId
from tradesaga.domain.schedule import (
    ANALYSIS_CATCH_UP,
    CATCH_UP_MAX,
    PRIORITY_MAX,
    Schedule,
    explain,
    next_fire,
    next_fires,
    read_value,
    read_zone,
)
from tradesaga.domain.strategies import Strategy, StrategyStatus
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.schedule_book import ScheduleBook
from tradesaga.engine.scheduler import Scheduler
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.ports.clock import Clock
from tradesaga.ports.identity import IdSource
from tradesaga.ports.journal import Entry
from tradesaga.ports.schedule_operations import (
    NewSchedule,
    ScheduleChanges,
    ScheduleView,
    Triggered,
)


class ScheduleControl:
    """Commands and views of one agent's schedules on the node that holds its lease."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        clock: Clock,
        ids: IdSource,
        state: AgentState,
        scribe: Scribe,
        strategies: StrategyBook,
        book: ScheduleBook,
        scheduler: Scheduler,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._state = state
        self._scribe = scribe
        self._strategies = strategies
        self._book = book
        self._scheduler = scheduler

    async def schedules(self) -> Sequence[ScheduleView]:
        """See `ports.schedule_operations`."""
        self._must_lead()
        found = sorted(self._book.all(), key=lambda s: not s.is_configured)
        return [self._view(schedule) for schedule in found]

    async def schedule(self, schedule_id: ScheduleId) -> ScheduleView:
        """See `ports.schedule_operations`."""
        self._must_lead()
        return self._view(self._book.get(schedule_id))

    async def add(self, new: NewSchedule, *, actor: str) -> ScheduleView:
        """See `ports.schedule_operations`."""
        self._must_lead()
        strategy = self._strategies.known_as(new.strategy)
        problems = [] if strategy else [f"strategyId: {new.strategy!r} is not known"]
        value = _read("value", problems, lambda: read_value(new.schedule_type, new.value))
        zone = _read("timezone", problems, lambda: read_zone(new.zone or self._settings.zone))
        problems += _ranges(new.priority, new.catch_up)
        if problems or strategy is None:
            raise Invalid(problems)
        now = self._clock.now()
        schedule = Schedule(
            id=ScheduleId(self._ids.uuid7("schedule")),
            agent_id=self._settings.agent_id,
            strategy_id=strategy.id,
            cycle_type=CycleType.ANALYSIS,
            schedule_type=new.schedule_type,
            schedule_value=value,
            zone=zone,
            created_at=now,
            updated_at=now,
            enabled=new.enabled,
            priority=new.priority,
            catch_up=ANALYSIS_CATCH_UP if new.catch_up is None else new.catch_up,
            overlap=new.overlap,
        )
        if new.enabled:
            schedule = replace(schedule, next_run_at=next_fire(schedule, now))
        return self._view(await self._book.add(schedule, actor=actor))

    async def change(
        self,
        schedule_id: ScheduleId,
        changes: ScheduleChanges,
        *,
        actor: str,
        as_read: AsRead = None,
    ) -> ScheduleView:
        """See `ports.schedule_operations`."""
        self._must_lead()
        before = self._book.get(schedule_id)
        problems = _ranges(changes.priority or 0, changes.catch_up)
        wanted: dict[str, object] = {
            field.name: value
            for field in fields(changes)
            if (value := getattr(changes, field.name)) is not None and field.name != "value"
        }
        if (text := changes.value) is not None:
            wanted["schedule_value"] = _read(
                "value", problems, lambda: read_value(before.schedule_type, text)
            )
        if (name := changes.zone) is not None:
            wanted["zone"] = _read("timezone", problems, lambda: read_zone(name))
        if problems:
            raise Invalid(problems)
        kind = "schedule.changed"
        if set(wanted) == {"enabled"}:
            kind = "schedule.enabled" if changes.enabled else "schedule.disabled"
        done = await self._book.change(schedule_id, kind, actor=actor, as_read=as_read, **wanted)
        return self._view(done)

    async def remove(self, schedule_id: ScheduleId, *, actor: str, as_read: AsRead = None) -> None:
        """See `ports.schedule_operations`."""
        self._must_lead()
        now = self._clock.now()
        await self._book.change(
            schedule_id, "schedule.removed", actor=actor, as_read=as_read, removed_at=now
        )

    async def next_fires(self, schedule_id: ScheduleId, count: int) -> Sequence[datetime]:
        """See `ports.schedule_operations`."""
        self._must_lead()
        return next_fires(self._book.get(schedule_id), self._clock.now(), count)

    async def trigger(self, schedule_id: ScheduleId, *, actor: str) -> Triggered:
        """See `ports.schedule_operations`."""
        self._must_lead()
        schedule = self._book.get(schedule_id)
        if schedule.cycle_type is CycleType.REBALANCE:
            cycle_id = self._scheduler.rebalance(actor=actor)
            await self._tell(cycle_id, (), str(schedule_id), "schedule.triggered", actor)
            return Triggered(cycle_id=cycle_id, is_begun=True)
        if schedule.cycle_type is not CycleType.ANALYSIS:
            raise IllegalTransition(f"a {schedule.cycle_type} cycle is not begun by hand")
        strategies = [
            s
            for s in self._strategies.active()
            if schedule.strategy_id is None or s.id == schedule.strategy_id
        ]
        if not strategies:
            raise IllegalTransition(
                "no strategy of this schedule is active: activate it first", allowed=("activate",)
            )
        return await self._begin(strategies, str(schedule_id), "schedule.triggered", actor)

    async def analyse(
        self, strategy: str, symbols: Sequence[str] | None, *, actor: str
    ) -> Triggered:
        """See `ports.schedule_operations`."""
        self._must_lead()
        found = self._strategies.known_as(strategy)
        if found is None:
            raise NotFound(f"no strategy {strategy}")
        if found.status is not StrategyStatus.ACTIVE:
            raise IllegalTransition(
                f"strategy {found.external_id} is {found.status}",
                state=found.status,
                allowed=("activate",),
            )
        if unknown := [s for s in symbols or () if s not in found.symbols]:
            known = ", ".join(found.symbols)
            raise Invalid(
                [f"symbols: {s!r} is not the strategy's; it has {known}" for s in unknown]
            )
        if symbols:
            found = replace(found, symbols=tuple(dict.fromkeys(symbols)))
        return await self._begin([found], str(found.id), "strategy.analysis.triggered", actor)

    async def _begin(
        self, strategies: Sequence[Strategy], subject: str, kind: str, actor: str
    ) -> Triggered:
        cycle_id, is_begun = self._scheduler.analyse(strategies)
        await self._tell(cycle_id, strategies, subject, kind, actor)
        return Triggered(cycle_id=cycle_id, is_begun=is_begun)

    async def _tell(
        self, cycle_id: CycleId, strategies: Sequence[Strategy], subject: str, kind: str, actor: str
    ) -> None:
        body = {"cycleId": cycle_id, "strategies": [s.external_id for s in strategies]}
        await self._scribe.fact((), [Entry(kind=kind, subject=subject, actor=actor, body=body)])

    def _view(self, schedule: Schedule) -> ScheduleView:
        strategy = None
        if schedule.strategy_id is not None:
            found = self._strategies.known_as(str(schedule.strategy_id))
            strategy = str(schedule.strategy_id) if found is None else found.external_id
        return ScheduleView(schedule=schedule, strategy=strategy, words=explain(schedule))

    def _must_lead(self) -> None:
        if not self._state.is_loaded:
            raise Unavailable("the orchestrator is starting, or another node holds the agent")


def _read(field: str, problems: list[str], read: Callable[[], str]) -> str:
    try:
        return read()
    except Invalid as error:
        problems += [f"{field}: {problem}" for problem in error.problems]
        return ""


def _ranges(priority: int, catch_up: timedelta | None) -> list[str]:
    problems = []
    if abs(priority) > PRIORITY_MAX:
        problems.append(f"priority: {priority} is not between -{PRIORITY_MAX} and {PRIORITY_MAX}")
    if catch_up is not None and not timedelta() <= catch_up <= CATCH_UP_MAX:
        problems.append("catchUp: it is not between 0 and a day")
    return problems
