"""Runs one cycle: record it, take its steps in order, commit what each says, record the end.

The steps themselves are a `CycleWork`: what happens inside them is theirs, what is written about
the cycle is here. A step's rows and log lines are committed together with the step. An error of
ours ends the cycle as failed; being cancelled (stop) ends it as cancelled, between its commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from structlog import get_logger
from structlog.contextvars import bind_contextvars

from tradesaga.domain import cycle as machine
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.errors import Conflict, Fenced, TradesagaError, Unavailable
from tradesaga.domain.events import Event
from tradesaga.domain.ids import AgentId, CycleId
from tradesaga.engine.cycle_events import completed_event, failed_event, started_event
from tradesaga.engine.cycle_work import CycleWork, Plan, Step
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.shutdown import finish
from tradesaga.engine.waiting import Deadline, caught, good, patience_from
from tradesaga.ports.clock import Clock
from tradesaga.ports.identity import IdSource
from tradesaga.ports.journal import Add, Entry, Insert, Row, Update
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.tracing import UNTRACED, Tracer

log = get_logger()
END_TRIES_MAX = 10
"""How often the end of a cycle is offered to a journal that takes no more."""
END_RETRY_AFTER = timedelta(seconds=1)
STOPPED = "stopped"
INTERRUPTED = "interrupted by a restart"


@dataclass(slots=True)
class _Wish:
    """A person's word that a cycle shall end; `ended` is set when it has."""

    actor: str
    reason: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class CycleRunner:
    """Runs cycles of any type for one agent."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        clock: Clock,
        ids: IdSource,
        metrics: Metrics,
        agent_id: AgentId,
        on_ended: Callable[[Cycle], Awaitable[None]],
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._scribe = scribe
        self._clock = clock
        self._ids = ids
        self._metrics = metrics
        self._agent_id = agent_id
        self._on_ended = on_ended
        self.current: dict[CycleId, Cycle] = {}
        self._tasks: dict[CycleId, asyncio.Task[Any]] = {}
        self._wishes: dict[CycleId, _Wish] = {}

    def new_id(self, kind: CycleType, why: TriggeredBy | datetime) -> CycleId:
        """The id of a cycle that will begin, by the time of its schedule or what else began it."""
        return CycleId(self._ids.uuid7(f"{kind} {why}"))

    def new(
        self,
        kind: CycleType,
        triggered_by: TriggeredBy,
        scheduled_at: datetime,
        cycle_id: CycleId | None = None,
    ) -> Cycle:
        """A cycle that begins now, under `cycle_id` if one was promised."""
        on_time = triggered_by is TriggeredBy.SCHEDULE
        return Cycle(
            id=cycle_id or self.new_id(kind, scheduled_at if on_time else triggered_by),
            agent_id=self._agent_id,
            type=kind,
            triggered_by=triggered_by,
            scheduled_at=scheduled_at,
            started_at=self._clock.now(),
            epoch=self._scribe.epoch,
        )

    async def run(self, plan: Plan, *, time_max: timedelta) -> Cycle:
        """Run the cycle to its end and return its record.

        Raises:
            Fenced: the lease has passed on.
            Unavailable: the journal takes no more.
        """
        work = plan.work
        name, kind = str(work.cycle.id), work.cycle.type
        bind_contextvars(cycle_id=name, cycle_type=kind, correlation_id=name)
        with self._tracer.span("cycle", about=name, first=True) as span:
            cycle = await self._run(plan, time_max)
            span.note(status=cycle.outcome)
            return cycle

    async def _run(self, plan: Plan, time_max: timedelta) -> Cycle:
        work = plan.work
        self.current[work.cycle.id] = work.cycle
        try:
            await self._from_the_start(plan, time_max)
        except asyncio.CancelledError:
            work.as_written()
            why = self._why_cancelled(work)
            if work.committed is not None and work.cycle.status is CycleStatus.STARTED:
                await finish(self._give_up(work, CycleStatus.CANCELLED, why))
            if why == STOPPED or not _is_taken_back():
                raise
        except Fenced:
            raise
        except TradesagaError as error:
            if work.committed is None:
                raise  # not even its beginning was written
            work.as_written()
            if isinstance(error, Conflict):
                work.give_up_refused()
            await self._give_up(work, CycleStatus.FAILED, str(error))
        finally:
            if work.intents is not None:
                work.intents.withdraw()
            self.current.pop(work.cycle.id, None)
            wish = self._wishes.pop(work.cycle.id, None)
            if wish is not None:
                wish.ended.set()
        cycle = work.cycle
        self._metrics.cycle_ended(cycle.type, cycle.status, cycle.duration or timedelta())
        log.info(
            "cycle ended", status=cycle.outcome, decisions=cycle.decisions_generated,
            orders=cycle.orders_submitted, errors=len(cycle.errors),
        )  # fmt: skip
        await self._on_ended(cycle)
        return cycle

    def cancel(self, cycle_id: CycleId, *, actor: str, reason: str) -> asyncio.Event | None:
        """Have a cycle end between its commits; the event is set when it has.

        None when it takes no steps: it has ended, or does so now. Its sagas go on by themselves.
        """
        task, wish = self._tasks.get(cycle_id), self._wishes.get(cycle_id)
        if task is None or wish is not None:
            return None if wish is None else wish.ended
        wish = self._wishes[cycle_id] = _Wish(actor=actor, reason=reason)
        task.cancel()
        return wish.ended

    async def interrupt(self, cycle: Cycle) -> None:
        """End a cycle that a former process left unfinished."""
        work = CycleWork(cycle=cycle, committed=cycle)
        await self._end(work, CycleStatus.CANCELLED, INTERRUPTED)

    async def commit_now(self, work: CycleWork, kind: str) -> None:
        """Commit what waits in the middle of a step: questions must be durable to be sent."""
        work.cycle = machine.with_version(work.cycle, work.cycle.version + 1)
        self.current[work.cycle.id] = work.cycle
        await self._commit(work, Update(work.cycle), kind, None, {"step": work.cycle.step})

    async def _from_the_start(self, plan: Plan, time_max: timedelta) -> None:
        work, task = plan.work, asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._tasks[work.cycle.id] = task
        deadline = Deadline(
            self._clock,
            work.cycle.started_at + time_max,
            patience_until=patience_from(self._clock, time_max),
        )
        try:
            await deadline.over(lambda: self._begin_and_go_on(plan, deadline))
        finally:
            del self._tasks[work.cycle.id]

    async def _begin_and_go_on(self, plan: Plan, deadline: Deadline) -> None:
        """Record the cycle and take its steps; what is done ahead does not wait for the record."""
        work, ahead = plan.work, plan.ahead
        if ahead is None:
            await self._begin(work)
            await self._take_steps(plan, deadline)
            return
        async with asyncio.TaskGroup() as group:
            going = group.create_task(caught(lambda: self._go_ahead(ahead, plan, deadline)))
            written = await caught(lambda: self._begin(work))
            if written is not None:
                going.cancel()
        good(written)
        good(going.result())

    async def _go_ahead(self, ahead: Step, plan: Plan, deadline: Deadline) -> None:
        await deadline.within(ahead)
        await self._take_steps(plan, deadline)

    async def _begin(self, work: CycleWork) -> None:
        """Nothing else is in this commit: what the steps gather meanwhile waits for the next."""
        cycle = work.cycle
        said = Entry(
            kind="cycle.started",
            subject=str(cycle.id),
            actor=work.actor,
            body={"type": cycle.type, "status": cycle.status},
            event=started_event(cycle, work.strategies, work.symbols),
        )
        await finish(self._write_beginning(work, cycle, said))

    async def _write_beginning(self, work: CycleWork, cycle: Cycle, said: Entry) -> None:
        await self._scribe.fact((Insert(cycle),), (said,))
        work.committed = cycle
        work.begun.set()

    def _why_cancelled(self, work: CycleWork) -> str:
        """The reason a person gave, who is the actor of what is written now; else a stop."""
        wish = self._wishes.get(work.cycle.id)
        if wish is None:
            return STOPPED
        work.actor = wish.actor
        return f"cancelled: {wish.reason}"

    async def _take_steps(self, plan: Plan, deadline: Deadline) -> None:
        work, clock = plan.work, self._clock
        for name in work.cycle.steps:
            is_ahead = plan.ahead is not None and not work.cycle.cursor
            began_at = work.cycle.started_at if is_ahead else clock.now()
            with self._tracer.span("cycle.step", step=name):
                await deadline.within(plan.steps[name])
            after = machine.step_done(
                work.cycle, clock.now(), began_at=began_at, errors=tuple(work.errors),
                **work.figures,
            )  # fmt: skip
            work.figures.clear()
            self.current[after.id] = after
            if after.status is CycleStatus.COMPLETED:
                await self._complete(work, after)
            elif name in plan.commit_after:
                await self._step(work, after, name)
            else:
                work.cycle = machine.with_version(after, work.cycle.version)

    async def _step(self, work: CycleWork, after: Cycle, name: str) -> None:
        work.cycle = after
        body = {"step": name, "progress": after.progress}
        await self._commit(work, Update(after), "cycle.step", None, body)

    async def _complete(self, work: CycleWork, after: Cycle) -> None:
        work.cycle = after
        counts = Add(AgentCounts(cycles_completed=1, errors_count=len(after.errors)))
        await self._commit(
            work, Update(after), "cycle.completed", completed_event(work.cycle), counts=counts
        )

    async def _give_up(self, work: CycleWork, status: CycleStatus, why: str) -> None:
        try:
            await self._end(work, status, why)
        except Fenced:
            raise
        except Conflict:  # about what had waited since a commit that was not taken
            work.as_written()
            work.give_up_refused()
            await self._end(work, status, why)

    async def _end(self, work: CycleWork, status: CycleStatus, why: str) -> None:
        end = machine.failed if status is CycleStatus.FAILED else machine.cancelled
        work.cycle = end(work.cycle, why, self._clock.now())
        if status is CycleStatus.FAILED:
            self._metrics.error_occurred(ErrorType.CYCLE_FAILED)
            work.rows.append(Add(AgentCounts(errors_count=1)))
            work.entries.append(self._error_entry(work, why))
        work.note("error" if status is CycleStatus.FAILED else "warning", why, self._clock.now())
        kind = f"cycle.{status}"
        for tries_left in reversed(range(END_TRIES_MAX)):
            try:
                event, body = completed_event(work.cycle), {"reason": why}
                await self._commit(work, Update(work.cycle), kind, event, body)
            except Unavailable:  # unwritten, the cycle would count as running until a restart
                if not tries_left:
                    raise
                await self._clock.sleep_until(self._clock.now() + END_RETRY_AFTER)
            else:
                return

    def _error_entry(self, work: CycleWork, why: str) -> Entry:
        event = failed_event(work.cycle, why, self._clock.now())
        body = {"error": why}
        return Entry(
            kind="error", subject=str(work.cycle.id), actor="engine", body=body, event=event
        )

    async def _commit(
        self,
        work: CycleWork,
        row: Row,
        kind: str,
        event: Event | None,
        body: Mapping[str, Any] | None = None,
        counts: Add | None = None,
    ) -> None:
        """Commit `row` with all that waits, after the beginning.

        What waits is given up only once it is durable, and nothing comes in between: what is
        committed must not be committed again.
        """
        if work.committed is None:
            await work.begun.wait()
        said = Entry(
            kind=kind,
            subject=str(work.cycle.id),
            actor=work.actor,
            body=body or {"type": work.cycle.type, "status": work.cycle.status},
            event=event,
        )
        more = () if counts is None else (counts,)
        rows = (row, *work.rows, *more, *(Insert(line) for line in work.logs))
        await finish(self._write(work, rows, (said, *work.entries), work.cycle))

    async def _write(
        self, work: CycleWork, rows: Sequence[Row], entries: Sequence[Entry], cycle: Cycle
    ) -> None:
        if work.intents is not None and len(work.intents):
            await work.intents.commit(self._scribe, rows, entries)
        else:
            await self._scribe.fact(rows, entries)
        work.committed = cycle
        work.rows.clear()
        work.entries.clear()
        work.logs.clear()


def _is_taken_back() -> bool:
    """Whether the task goes on: the cancellation was of its cycle, and nobody else's came too."""
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    return task.uncancel() == 0
