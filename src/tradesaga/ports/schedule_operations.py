"""What an operator can ask of the schedules: the driving port behind API and CLI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tradesaga.domain.as_read import AsRead
from tradesaga.domain.ids import CycleId, ScheduleId
from tradesaga.domain.schedule import Overlap, Schedule, ScheduleType


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule to be; `strategy` is an id or an external id, None takes the default."""

    strategy: str
    schedule_type: ScheduleType
    value: str
    zone: str | None = None
    priority: int = 0
    catch_up: timedelta | None = None
    overlap: Overlap = Overlap.SKIP
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChanges:
    """What is to be another; None stays as it is."""

    value: str | None = None
    zone: str | None = None
    priority: int | None = None
    catch_up: timedelta | None = None
    overlap: Overlap | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """A schedule, the external id of its strategy, and when it fires in words."""

    schedule: Schedule
    strategy: str | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggered:
    """A cycle that a person asked for; `is_begun` is False while it waits for room."""

    cycle_id: CycleId
    is_begun: bool


class ScheduleOperations(Protocol):
    """Every command is durable and audited under `actor`; all raise Unavailable, as the journal."""

    async def schedules(self) -> Sequence[ScheduleView]:
        """All, the configuration's first."""
        ...

    async def schedule(self, schedule_id: ScheduleId) -> ScheduleView:
        """One. Raises NotFound."""
        ...

    async def add(self, new: NewSchedule, *, actor: str) -> ScheduleView:
        """Store a new one. Raises Invalid, every problem named."""
        ...

    async def change(
        self,
        schedule_id: ScheduleId,
        changes: ScheduleChanges,
        *,
        actor: str,
        as_read: AsRead = None,
    ) -> ScheduleView:
        """Change one; its next fire is found anew.

        Raises:
            NotFound: there is none.
            Invalid: every problem named.
            IllegalTransition: it is the configuration's.
            Stale: it is not at one of the versions `as_read`.
        """
        ...

    async def remove(self, schedule_id: ScheduleId, *, actor: str, as_read: AsRead = None) -> None:
        """Remove one. Raises NotFound, IllegalTransition, Stale."""
        ...

    async def next_fires(self, schedule_id: ScheduleId, count: int) -> Sequence[datetime]:
        """Its next fires from now; none of an event. Raises NotFound."""
        ...

    async def trigger(self, schedule_id: ScheduleId, *, actor: str) -> Triggered:
        """Run its cycle now. Raises NotFound, IllegalTransition."""
        ...

    async def analyse(
        self, strategy: str, symbols: Sequence[str] | None, *, actor: str
    ) -> Triggered:
        """Analyse one strategy now, all its symbols or some of them.

        Raises:
            NotFound: no such strategy.
            Invalid: symbols that are not the strategy's.
            IllegalTransition: strategy or agent do not run, or another analysis waits.
        """
        ...
