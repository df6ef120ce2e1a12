"""The answers of the API about schedules, translated from domain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.ports.schedule_operations import ScheduleView, Triggered


class ScheduleAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One schedule; `strategyId` is missing for a cycle of the configuration."""

    id: str
    strategy_id: str | None
    strategy: str | None
    cycle_type: str
    type: str
    value: str
    description: str
    timezone: str
    enabled: bool
    priority: int
    catch_up: int
    overlap: str
    last_run_at: Timestamp | None
    next_run_at: Timestamp | None
    configured: bool


class SchedulesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of schedules, the configuration's first."""

    schedules: list[ScheduleAnswer]
    next_cursor: str | None


class FiresAnswer(Struct, frozen=True, kw_only=True):
    """When a schedule fires next."""

    schedule: ScheduleAnswer
    fires: list[Timestamp]


class TriggeredAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A cycle that was asked for; `queued` while it waits for room."""

    cycle_id: str
    status: Literal["started"]
    queued: bool


def schedule_answer(view: ScheduleView) -> ScheduleAnswer:
    """One schedule as the API shows it."""
    schedule = view.schedule
    return ScheduleAnswer(
        id=str(schedule.id),
        strategy_id=None if schedule.strategy_id is None else str(schedule.strategy_id),
        strategy=view.strategy,
        cycle_type=schedule.cycle_type,
        type=schedule.schedule_type,
        value=schedule.schedule_value,
        description=view.words,
        timezone=schedule.zone,
        enabled=schedule.enabled,
        priority=schedule.priority,
        catch_up=schedule.catch_up // timedelta(milliseconds=1),
        overlap=schedule.overlap,
        last_run_at=stamp_or_none(schedule.last_run_at),
        next_run_at=stamp_or_none(schedule.next_run_at),
        configured=schedule.is_configured,
    )


def fires_answer(view: ScheduleView, fires: Sequence[datetime]) -> FiresAnswer:
    """A schedule and its next fires."""
    return FiresAnswer(schedule=schedule_answer(view), fires=[stamp(at) for at in fires])


def triggered_answer(done: Triggered) -> TriggeredAnswer:
    """Which cycle it is."""
    return TriggeredAnswer(cycle_id=str(done.cycle_id), status="started", queued=not done.is_begun)
