"""A fake of the schedules' driving port: one of the configuration, one of a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.cycle import CycleType
from tradesaga.domain.errors import IllegalTransition, Invalid, NotFound
from tradesaga.domain.ids import DEFAULT_AGENT, CycleId, ScheduleId, StrategyId
from tradesaga.domain.schedule import Schedule, ScheduleType, explain, next_fires
from tradesaga.ports.schedule_operations import (
    NewSchedule,
    ScheduleChanges,
    ScheduleView,
    Triggered,
)

AT = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
CONFIGURED_ID = ScheduleId(UUID("01766713-2a80-7000-8000-0000000000a1"))
DAILY_ID = ScheduleId(UUID("01766713-2a80-7000-8000-0000000000a2"))
BEGUN = CycleId(UUID("01766713-2a80-7000-8000-0000000000a3"))
CONFIGURED = Schedule(
    id=CONFIGURED_ID,
    agent_id=DEFAULT_AGENT,
    strategy_id=None,
    cycle_type=CycleType.ANALYSIS,
    schedule_type=ScheduleType.INTERVAL,
    schedule_value="60000",
    zone="America/New_York",
    created_at=AT,
    updated_at=AT,
    next_run_at=AT + timedelta(minutes=1),
)
DAILY = replace(
    CONFIGURED,
    id=DAILY_ID,
    strategy_id=StrategyId(UUID("01766713-2a80-7000-8000-000000000003")),
    schedule_type=ScheduleType.CRON,
    schedule_value="0 10 * * 1-5",
    priority=5,
    last_run_at=AT - timedelta(hours=2),
    next_run_at=AT + timedelta(hours=22),
)


class FakeSchedules:
    """Implements `ports.schedule_operations.ScheduleOperations`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.known = {s.id: s for s in (CONFIGURED, DAILY)}

    async def schedules(self) -> Sequence[ScheduleView]:
        return [_view(schedule) for schedule in self.known.values()]

    async def schedule(self, schedule_id: ScheduleId) -> ScheduleView:
        if schedule_id not in self.known:
            raise NotFound(f"no schedule {schedule_id}")
        return _view(self.known[schedule_id])

    async def add(self, new: NewSchedule, *, actor: str) -> ScheduleView:
        self.calls.append(("add", (new, actor)))
        if new.value == "never":
            raise Invalid(["value: 'never' is not a cron expression"])
        return _view(DAILY)

    async def change(
        self,
        schedule_id: ScheduleId,
        changes: ScheduleChanges,
        *,
        actor: str,
        as_read: AsRead = None,
    ) -> ScheduleView:
        self.calls.append(("change", (schedule_id, changes, actor)))
        view = await self.schedule(schedule_id)
        must_be_as_read("the schedule", view.schedule.version, as_read)
        if view.schedule.is_configured:
            raise IllegalTransition(
                "schedule analysis is the configuration's",
                state="configured",
                allowed=("trigger",),
            )
        enabled = view.schedule.enabled if changes.enabled is None else changes.enabled
        return _view(replace(view.schedule, enabled=enabled))

    async def remove(self, schedule_id: ScheduleId, *, actor: str, as_read: AsRead = None) -> None:
        await self.change(schedule_id, ScheduleChanges(), actor=actor, as_read=as_read)

    async def next_fires(self, schedule_id: ScheduleId, count: int) -> Sequence[datetime]:
        return next_fires((await self.schedule(schedule_id)).schedule, AT, count)

    async def trigger(self, schedule_id: ScheduleId, *, actor: str) -> Triggered:
        self.calls.append(("trigger", (schedule_id, actor)))
        await self.schedule(schedule_id)
        return Triggered(cycle_id=BEGUN, is_begun=True)

    async def analyse(
        self, strategy: str, symbols: Sequence[str] | None, *, actor: str
    ) -> Triggered:
        self.calls.append(("analyse", (strategy, symbols, actor)))
        if strategy == "stopped":
            raise IllegalTransition(
                "strategy stopped is stopped", state="stopped", allowed=("activate",)
            )
        if strategy == "unknown":
            raise NotFound("no strategy unknown")
        return Triggered(cycle_id=BEGUN, is_begun=strategy != "busy")


def _view(schedule: Schedule) -> ScheduleView:
    name = None if schedule.is_configured else "sma-spy"
    return ScheduleView(schedule=schedule, strategy=name, words=explain(schedule))
