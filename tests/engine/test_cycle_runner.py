"""One cycle: steps in order, what they say committed with them, three ways to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.engine.place import Crash, CrashingJournal, Place
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.cycle import STEPS, Cycle, CycleError, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.errors import Fenced, IllegalTransition, NotFound, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.engine.assembly import Parts
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.cycle_work import CycleWork, Plan
from tradesaga.ports.journal import Change, Entry
from tradesaga.testing.journal import MemoryJournal

NAMES = STEPS[CycleType.ANALYSIS]
MINUTE = timedelta(minutes=1)
Act = Callable[[CycleWork], Awaitable[None]]


class Steps:
    """A cycle whose steps note their name, but for those that do something else."""

    def __init__(self, place: Place, runner: CycleRunner, **acts: Act) -> None:
        cycle = runner.new(CycleType.ANALYSIS, TriggeredBy.MANUAL, place.clock.now())
        self.work = CycleWork(cycle=cycle, strategies=("sma",))
        self.taken: list[str] = []
        self._place = place
        self._acts = acts
        self.plan = Plan(
            work=self.work,
            steps={name: self._step(name) for name in NAMES},
            commit_after=frozenset({"validate_decisions"}),
        )

    def _step(self, name: str) -> Callable[[], Awaitable[None]]:
        async def step() -> None:
            self.taken.append(name)
            self.work.note("info", name, self._place.clock.now())
            if name in self._acts:
                await self._acts[name](self.work)

        return step


def runner_of(parts: Parts) -> CycleRunner:
    return parts.recovery.runner


def stored(place: Place) -> Cycle:
    (cycle,) = place.store.of(Cycle, DEFAULT_AGENT)
    assert isinstance(cycle, Cycle)
    return cycle


def logged(place: Place) -> list[str]:
    return [line.message for _, line in place.store.logs]


def events(place: Place) -> list[str]:
    found = [line.entry.event for line in place.store.log_of(DEFAULT_AGENT)]
    return [event.type for event in found if event is not None and "saga" not in event.type]


async def test_all_steps_in_order_and_all_they_said() -> None:
    place = Place()
    async with place.running() as parts:
        steps = Steps(place, runner_of(parts))
        cycle = await runner_of(parts).run(steps.plan, time_max=MINUTE)
        assert runner_of(parts).current == {}
    assert tuple(steps.taken) == NAMES
    assert tuple(logged(place)) == NAMES
    assert (cycle.status, cycle.progress, cycle.outcome) == (CycleStatus.COMPLETED, 100, "success")
    assert stored(place) == cycle
    assert events(place)[-2:] == ["orchestrator.cycle.started", "orchestrator.cycle.completed"]
    assert await place.records.counts(DEFAULT_AGENT) == AgentCounts(cycles_completed=1)


async def test_a_step_whose_findings_must_last_is_committed_before_the_next() -> None:
    place = Place()
    seen: list[tuple[int, list[str]]] = []

    async def look(work: CycleWork) -> None:
        seen.append((stored(place).cursor, logged(place)))

    async with place.running() as parts:
        steps = Steps(place, runner_of(parts), execute_orders=look, generate_decisions=look)
        await runner_of(parts).run(steps.plan, time_max=MINUTE)
    (before, nothing), (after, four) = seen
    assert (before, nothing) == (0, [])
    assert (after, tuple(four)) == (4, NAMES[:4])


async def test_a_failed_step_fails_the_cycle_and_no_later_one_is_taken() -> None:
    place = Place()

    async def fail(work: CycleWork) -> None:
        raise Unavailable("the venue gave no answer")

    async with place.running() as parts:
        steps = Steps(place, runner_of(parts), evaluate_positions=fail)
        cycle = await runner_of(parts).run(steps.plan, time_max=MINUTE)
        again = Steps(place, runner_of(parts))
        assert (await runner_of(parts).run(again.plan, time_max=MINUTE)).outcome == "success"
    assert tuple(steps.taken) == NAMES[:2]
    assert (cycle.status, cycle.outcome) == (CycleStatus.FAILED, "failed")
    assert cycle.errors == (CycleError(strategy_id=None, error="the venue gave no answer"),)
    assert "orchestrator.error.occurred" in events(place)
    assert ("cycle_ended", "analysis", "failed") in place.metrics.seen
    counts = await place.records.counts(DEFAULT_AGENT)
    assert (counts.cycles_completed, counts.errors_count) == (1, 1)


async def test_a_failed_strategy_is_recorded_and_the_cycle_goes_on() -> None:
    place = Place()

    async def one_fails(work: CycleWork) -> None:
        work.fail("sma", "no decision in time", place.clock.now())

    async with place.running() as parts:
        steps = Steps(place, runner_of(parts), generate_decisions=one_fails)
        cycle = await runner_of(parts).run(steps.plan, time_max=MINUTE)
    assert (cycle.status, cycle.outcome) == (CycleStatus.COMPLETED, "partial")
    assert cycle.errors == (CycleError(strategy_id="sma", error="no decision in time"),)
    assert tuple(steps.taken) == NAMES


async def test_a_cycle_that_takes_too_long_fails_at_its_deadline() -> None:
    place = Place()
    start = place.clock.now()

    async def forever(work: CycleWork) -> None:
        await asyncio.Event().wait()

    async with place.running() as parts:
        steps = Steps(place, runner_of(parts), generate_decisions=forever)
        cycle = await runner_of(parts).run(steps.plan, time_max=MINUTE)
    assert cycle.status is CycleStatus.FAILED
    assert cycle.completed_at == start + MINUTE
    assert tuple(steps.taken) == NAMES[:3]


@pytest.mark.parametrize("name", NAMES)
async def test_being_cancelled_ends_the_cycle_between_its_commits(name: str) -> None:
    place = Place()
    reached = asyncio.Event()

    async def wait(work: CycleWork) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with place.running() as parts:
        steps = Steps(place, runner_of(parts), **{name: wait})
        task = asyncio.ensure_future(runner_of(parts).run(steps.plan, time_max=60 * MINUTE))
        await reached.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert runner_of(parts).current == {}
    cycle = stored(place)
    assert (cycle.status, cycle.errors[-1].error) == (CycleStatus.CANCELLED, "stopped")
    assert logged(place).count(name) == 1, "what it had said is kept, once"
    assert events(place)[-1] == "orchestrator.cycle.completed"


async def test_being_cancelled_in_the_middle_of_a_commit_writes_it_once() -> None:
    """At every turn of the event loop: the cycle ends in one way and says each thing once."""
    for turns in range(60):
        place = Place()
        async with place.running() as parts:
            steps = Steps(place, runner_of(parts))
            task = asyncio.ensure_future(runner_of(parts).run(steps.plan, time_max=MINUTE))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        cycles = place.store.of(Cycle, DEFAULT_AGENT)
        ended = [kind for kind in place.kinds() if kind in ("cycle.completed", "cycle.cancelled")]
        if not cycles:
            assert ended == []
            continue
        assert cycles[0].status in (CycleStatus.COMPLETED, CycleStatus.CANCELLED), turns
        assert len(ended) == 1
        assert len(logged(place)) == len(set(logged(place)))


async def test_an_interrupted_cycle_is_ended_by_the_next_process() -> None:
    place = Place()
    journal = CrashingJournal(
        place.store, at=5, durable=True
    )  # agent, strategy, start, cycle, step
    with pytest.raises(BaseExceptionGroup) as caught:
        async with place.running(journal) as parts:
            await runner_of(parts).run(Steps(place, runner_of(parts)).plan, time_max=MINUTE)
    assert caught.group_contains(Crash)
    assert stored(place).status is CycleStatus.STARTED
    async with place.node():
        pass
    cycle = stored(place)
    assert (cycle.status, cycle.errors[-1].error) == (
        CycleStatus.CANCELLED,
        "interrupted by a restart",
    )


async def test_a_lost_lease_is_not_a_failed_cycle() -> None:
    place = Place()

    async def lose(work: CycleWork) -> None:
        await place.lease.take(DEFAULT_AGENT)

    async with place.running() as parts:
        steps = Steps(place, runner_of(parts), evaluate_positions=lose)
        with pytest.raises(Fenced):
            await runner_of(parts).run(steps.plan, time_max=MINUTE)
    assert stored(place).status is CycleStatus.STARTED, "the next leader ends it"


async def test_questions_are_durable_in_the_middle_of_a_step() -> None:
    place = Place()

    async with place.running() as parts:
        runner = runner_of(parts)

        async def ask(work: CycleWork) -> None:
            work.entries.append(Entry(kind="asked", subject="q", actor="engine", body={}))
            await runner.commit_now(work, "analysis.requested")
            assert "asked" in place.kinds()

        steps = Steps(place, runner, generate_decisions=ask)
        assert (await runner.run(steps.plan, time_max=MINUTE)).outcome == "success"
    assert place.kinds().count("asked") == 1


def journal_refusing(place: Place, kind: str, times: int) -> MemoryJournal:
    """A journal that does not take the first `times` changes with such an entry."""
    journal, left = MemoryJournal(place.store), times

    def refuse(change: Change) -> Exception | None:
        nonlocal left
        if left == 0 or all(entry.kind != kind for entry in change.entries):
            return None
        left -= 1
        return Unavailable("too many changes wait")

    journal.refuse_next = refuse
    return journal


@pytest.mark.parametrize("kind", ["cycle.step", "cycle.completed"])
async def test_a_commit_that_is_not_taken_fails_the_cycle(kind: str) -> None:
    place = Place()
    async with place.running(journal_refusing(place, kind, 1)) as parts:
        steps = Steps(place, runner_of(parts))
        cycle = await runner_of(parts).run(steps.plan, time_max=MINUTE)
    assert stored(place) == cycle
    assert cycle.status is CycleStatus.FAILED
    counts = await place.records.counts(DEFAULT_AGENT)
    assert (counts.cycles_completed, counts.errors_count) == (0, 1)


async def test_a_cycle_whose_beginning_is_not_taken_never_was() -> None:
    place = Place()
    async with place.running(journal_refusing(place, "cycle.started", 1)) as parts:
        steps = Steps(place, runner_of(parts))
        with pytest.raises(Unavailable):
            await runner_of(parts).run(steps.plan, time_max=MINUTE)
        assert runner_of(parts).current == {}
    assert place.store.of(Cycle, DEFAULT_AGENT) == []
    assert steps.taken == []


async def test_the_end_of_a_failed_cycle_is_offered_again() -> None:
    place = Place()

    async def fail(work: CycleWork) -> None:
        raise Unavailable("the venue gave no answer")

    async with place.running(journal_refusing(place, "cycle.failed", 3)) as parts:
        steps = Steps(place, runner_of(parts), evaluate_positions=fail)
        await runner_of(parts).run(steps.plan, time_max=MINUTE)
    assert stored(place).status is CycleStatus.FAILED
    assert events(place).count("orchestrator.error.occurred") == 1


async def test_a_person_cancels_a_cycle_and_the_task_that_ran_it_goes_on() -> None:
    place = Place()
    async with place.running() as parts:
        runner, reached = runner_of(parts), asyncio.Event()

        async def wait(work: CycleWork) -> None:
            reached.set()
            await asyncio.Event().wait()

        steps = Steps(place, runner, generate_decisions=wait)

        async def loop() -> str:
            await runner.run(steps.plan, time_max=MINUTE)
            return "next"

        task = asyncio.ensure_future(loop())
        await reached.wait()
        control, cycle_id = parts.control, steps.work.cycle.id
        record = await control.cancel_cycle(cycle_id, reason="too slow", actor="ann")
        assert await task == "next"
        assert record.cycle.status is CycleStatus.CANCELLED
        assert record.cycle.errors[-1].error == "cancelled: too slow"
        again = await control.cancel_cycle(cycle_id, reason="once more", actor="bob")
        assert again.cycle == record.cycle
        ended = Steps(place, runner)
        await runner.run(ended.plan, time_max=MINUTE)
        with pytest.raises(IllegalTransition, match="is completed, it cannot be cancelled"):
            await control.cancel_cycle(ended.work.cycle.id, reason="late", actor="ann")
        with pytest.raises(NotFound):
            await control.cancel_cycle(
                runner.new_id(CycleType.ANALYSIS, TriggeredBy.MANUAL), reason="which", actor="ann"
            )
    (entry,) = [
        line.entry
        for line in place.store.log_of(DEFAULT_AGENT)
        if line.entry.kind == "cycle.cancelled"
    ]
    assert (entry.actor, entry.body["reason"]) == ("ann", "cancelled: too slow")


async def test_a_stop_beside_a_person_s_cancel_is_a_stop() -> None:
    place = Place()
    async with place.running() as parts:
        runner, reached = runner_of(parts), asyncio.Event()

        async def wait(work: CycleWork) -> None:
            reached.set()
            await asyncio.Event().wait()

        steps = Steps(place, runner, generate_decisions=wait)
        task = asyncio.ensure_future(runner.run(steps.plan, time_max=MINUTE))
        await reached.wait()
        assert runner.cancel(steps.work.cycle.id, actor="ann", reason="x") is not None
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert stored(place).status is CycleStatus.CANCELLED
