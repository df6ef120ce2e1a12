"""The agent's schedules in memory, and the commits that change them.

Those of strategies are stored; the configuration's cycles stand beside them under ids of their own
and cannot be changed here. What is due is marked before its cycle begins, all of one instant in one
commit: a crash between the two loses a fire and never repeats one. Cycles of the configuration
are not marked: their own rows say when the last one was due.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.cycle import CycleType
from tradesaga.domain.errors import IllegalTransition, NotFound, Unavailable
from tradesaga.domain.ids import AgentId, ScheduleId, StrategyId, derived
from tradesaga.domain.schedule import (
    ANALYSIS_CATCH_UP,
    FiresMark,
    Schedule,
    ScheduleType,
    as_taken,
    next_fire,
)
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.timetable import Timetable
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Row, Update
from tradesaga.ports.records import Records

ROWS_AT_ONCE: Final = 250
"""Rows of one commit that follows a mark at once: others wait for no more."""


class ScheduleBook:
    """Loaded once the lease is held; `changed` is set by every change that moves a fire."""

    def __init__(
        self, *, scribe: Scribe, records: Records, clock: Clock, agent_id: AgentId
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._agent_id = agent_id
        self._turn = asyncio.Lock()
        self._schedules: dict[ScheduleId, Schedule] = {}
        self._own = Counter[StrategyId]()
        self._mark: FiresMark | None = None
        self.timetable = Timetable()
        self.changed = asyncio.Event()

    async def load(self) -> None:
        """Read what is stored; what stands for the configuration stays."""
        found = await self._records.schedules(self._agent_id)
        self._mark = await self._records.fires_mark(self._agent_id)
        if (mark := self._mark) is not None:  # their own rows may be behind
            found = [as_taken(schedule, mark.fired_until) for schedule in found]
        configured = [s for s in self._schedules.values() if s.is_configured]
        self._schedules, self._own = {}, Counter()
        for schedule in (*configured, *found):
            self._put(schedule)

    def all(self) -> Sequence[Schedule]:
        """The configuration's first, then by creation."""
        return list(self._schedules.values())

    def get(self, schedule_id: ScheduleId) -> Schedule:
        """Raises NotFound."""
        try:
            return self._schedules[schedule_id]
        except KeyError as error:
            raise NotFound(f"no schedule {schedule_id}") from error

    def find(self, schedule_id: ScheduleId) -> Schedule | None:
        """The schedule, if there is one still."""
        return self._schedules.get(schedule_id)

    def own_timetable(self) -> Set[StrategyId]:
        """The strategies that the configured analysis leaves to their own schedules."""
        return self._own.keys()

    def configure(
        self,
        kind: CycleType,
        schedule_type: ScheduleType,
        value: str,
        *,
        zone: str,
        catch_up: timedelta = ANALYSIS_CATCH_UP,
    ) -> ScheduleId:
        """Put a cycle of the configuration in; its id is always the same."""
        now = self._clock.now()
        schedule = Schedule(
            id=ScheduleId(derived(self._agent_id, "schedule", kind)),
            agent_id=self._agent_id,
            strategy_id=None,
            cycle_type=kind,
            schedule_type=schedule_type,
            schedule_value=value,
            zone=zone,
            created_at=now,
            updated_at=now,
            catch_up=catch_up,
        )
        self.stand(schedule)
        return schedule.id

    def stand(self, schedule: Schedule) -> None:
        """Put one of the configuration's in, or its new state."""
        assert schedule.is_configured, "others are stored"
        self._put(schedule)

    async def add(self, schedule: Schedule, *, actor: str) -> Schedule:
        """Store a new one. Raises Fenced, Unavailable."""
        async with self._turn:
            await self._commit([Insert(schedule)], [schedule], "schedule.created", actor)
        self.changed.set()
        return schedule

    async def change(
        self,
        schedule_id: ScheduleId,
        kind: str,
        *,
        actor: str,
        as_read: AsRead = None,
        **changes: object,
    ) -> Schedule:
        """Store it with `changes`; its next fire is found anew.

        Raises:
            NotFound: there is none.
            IllegalTransition: it is the configuration's.
            Stale: it is not at one of the versions `as_read`.
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            before = self.get(schedule_id)
            if before.is_configured:
                raise IllegalTransition(
                    f"schedule {before.cycle_type} is the configuration's: change cycles."
                    f"{before.cycle_type} there",
                    state="configured",
                    allowed=() if before.cycle_type is CycleType.HEARTBEAT else ("trigger",),
                )
            must_be_as_read(f"schedule {schedule_id}", before.version, as_read)
            now = self._clock.now()
            after = replace(before, **changes, updated_at=now, version=before.version + 1)  # type: ignore[arg-type]  # checked by replace
            live = after.enabled and after.removed_at is None
            after = replace(after, next_run_at=next_fire(after, now) if live else None)
            await self._commit([Update(after)], [after], kind, actor)
        self.changed.set()
        return after

    async def mark(
        self,
        fires: Mapping[ScheduleId, datetime],
        nexts: Mapping[ScheduleId, datetime | None],
    ) -> None:
        """Store what has fired and when each is due next; only of those that still stand.

        Raises:
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            rows: list[Schedule] = []
            for key, following in nexts.items():
                current = self._schedules.get(key)
                if current is None:
                    continue
                after = replace(
                    current,
                    last_run_at=fires.get(key, current.last_run_at),
                    next_run_at=following if current.enabled else None,
                    version=current.version + (not current.is_configured),
                )
                if current.is_configured:
                    self.stand(after)
                else:
                    rows.append(after)
            if rows:
                fired = Entry(
                    kind="schedules.fired",
                    subject=str(self._agent_id),
                    actor="engine",
                    body={"schedules": {str(i): at for i, at in fires.items()}},
                )
                await self._scribe.fact([Update(row) for row in rows], [fired])
                self._take(rows)

    async def mark_at_once(self, number: int, until: datetime) -> None:
        """Store that every fire due by `until` is taken, so many; their rows are for `settle`.

        Raises:
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            before, agent_id = self._mark, self._agent_id
            mark = FiresMark(
                id=agent_id, agent_id=agent_id, fired_until=until,
                version=1 if before is None else before.version + 1,
            )  # fmt: skip
            body = {"until": until, "number": number}
            said = Entry(kind="schedules.fired", subject=str(agent_id), actor="engine", body=body)
            await self._scribe.fact([Insert(mark) if before is None else Update(mark)], [said])
            self._mark = mark

    async def settle(self, keys: Sequence[ScheduleId], until: datetime) -> None:
        """Know the next fires of what was marked at once, and have the rows say so, in parts.

        Raises:
            Fenced: as the journal.
            Unavailable: some rows are not written; the mark stands for them.
        """
        behind: Unavailable | None = None
        for first in range(0, len(keys), ROWS_AT_ONCE):
            async with self._turn:
                known = (self._schedules.get(key) for key in keys[first : first + ROWS_AT_ONCE])
                fired = [as_taken(s, until) for s in known if s is not None and _is_due(s, until)]
                self._take(fired)  # due again in time, whatever the journal does
                try:
                    await self._write_fired(fired)
                except Unavailable as error:
                    behind = error
        if behind is not None:
            raise behind

    async def _write_fired(self, fired: Sequence[Schedule]) -> None:
        if not fired:
            return
        body = {"schedules": {str(schedule.id): schedule.last_run_at for schedule in fired}}
        subject = str(self._agent_id)
        said = Entry(kind="schedules.settled", subject=subject, actor="engine", body=body)
        after = [replace(schedule, version=schedule.version + 1) for schedule in fired]
        await self._scribe.fact([Update(schedule) for schedule in after], [said])
        self._take(after)

    async def _commit(
        self, rows: Sequence[Row], after: Sequence[Schedule], kind: str, actor: str
    ) -> None:
        await self._scribe.fact(rows, [_entry(schedule, kind, actor) for schedule in after])
        self._take(after)

    def _take(self, after: Iterable[Schedule]) -> None:
        for schedule in after:
            self._put(schedule)

    def _put(self, schedule: Schedule) -> None:
        """Have it in this state, or not at all once it is removed; and its next fire."""
        self._count_own(self._schedules.get(schedule.id), -1)
        live = schedule.removed_at is None
        if live:
            self._schedules[schedule.id] = schedule
            self._count_own(schedule, 1)
        else:
            self._schedules.pop(schedule.id, None)
        due = schedule.next_run_at if live and schedule.enabled else None
        self.timetable.set(schedule.id, due)

    def _count_own(self, schedule: Schedule | None, number: int) -> None:
        if schedule is None or schedule.strategy_id is None or not schedule.enabled:
            return
        self._own[schedule.strategy_id] += number
        if not self._own[schedule.strategy_id]:
            del self._own[schedule.strategy_id]


def _entry(schedule: Schedule, kind: str, actor: str) -> Entry:
    body = {
        "strategyId": schedule.strategy_id,
        "type": schedule.schedule_type,
        "value": schedule.schedule_value,
        "zone": schedule.zone,
        "enabled": schedule.enabled,
        "lastRunAt": schedule.last_run_at,
        "nextRunAt": schedule.next_run_at,
    }
    return Entry(kind=kind, subject=str(schedule.id), actor=actor, body=body)


def _is_due(schedule: Schedule, until: datetime) -> bool:
    return schedule.next_run_at is not None and schedule.next_run_at <= until
