"""What a cycle does ahead of its first step: beside its beginning, never without it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from tests.engine.place import Place
from tests.engine.test_cycle_runner import NAMES, Steps, logged, runner_of, stored
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.engine.cycle_work import Plan
from tradesaga.ports.journal import Change
from tradesaga.testing.journal import MemoryJournal

MINUTE = timedelta(minutes=1)


class SlowJournal(MemoryJournal):
    """Holds the beginning of cycles back until it is told to go on; then it `refuses` it or not."""

    def __init__(self, place: Place, *, refuses: bool = False) -> None:
        super().__init__(place.store)
        self.go_on = asyncio.Event()
        self._refuses = refuses

    @override
    async def commit(self, change: Change) -> int:
        if any(entry.kind == "cycle.started" for entry in change.entries):
            await self.go_on.wait()
            if self._refuses:
                raise Unavailable("too many changes wait")
        return await super().commit(change)


class Ahead:
    """Notes that it was begun, ended or cancelled; ends when it is let."""

    def __init__(self) -> None:
        self.begun, self.let = asyncio.Event(), asyncio.Event()
        self.ends: list[str] = []

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        self.ends.append("done")


def with_ahead(steps: Steps, ahead: Callable[[], Awaitable[None]]) -> Plan:
    return replace(steps.plan, ahead=ahead)


UNTIL_A_COMMIT = NAMES[: NAMES.index("validate_decisions") + 1]


@pytest.mark.parametrize("is_written_first", [True, False])
async def test_the_steps_follow_it_but_commit_nothing_before_the_beginning_is_written(
    is_written_first: bool,
) -> None:
    place = Place()
    journal, ahead = SlowJournal(place), Ahead()
    async with place.running(journal) as parts:
        steps = Steps(place, runner_of(parts))
        plan = with_ahead(steps, ahead)
        running = asyncio.ensure_future(runner_of(parts).run(plan, time_max=MINUTE))
        await ahead.begun.wait()
        assert place.store.of(Cycle, DEFAULT_AGENT) == []
        (journal.go_on if is_written_first else ahead.let).set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert tuple(steps.taken) == (() if is_written_first else UNTIL_A_COMMIT)
        assert len(place.store.of(Cycle, DEFAULT_AGENT)) == is_written_first
        assert logged(place) == []
        (ahead.let if is_written_first else journal.go_on).set()
        assert (await running).outcome == "success"
    assert (ahead.ends, tuple(steps.taken)) == (["done"], NAMES)
    assert logged(place) == list(NAMES), "what they said meanwhile is not lost"
    versions = [row.value.version for change in journal.changes for row in cycles_in(change)]
    assert versions == [1, 2, 3]


def cycles_in(change: Change) -> list[Any]:
    return [row for row in change.rows if isinstance(getattr(row, "value", None), Cycle)]


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_beginning_that_is_refused_while_steps_are_taken_takes_all_back(turns: int) -> None:
    place = Place()
    journal, ahead = SlowJournal(place, refuses=True), Ahead()
    ahead.let.set()
    async with place.running(journal) as parts:
        steps = Steps(place, runner_of(parts))
        running = asyncio.ensure_future(
            runner_of(parts).run(with_ahead(steps, ahead), time_max=MINUTE)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        journal.go_on.set()
        with pytest.raises(Unavailable):
            await running
    assert (place.store.of(Cycle, DEFAULT_AGENT), logged(place)) == ([], [])


async def test_a_beginning_that_is_not_written_ends_it() -> None:
    place = Place()
    journal, ahead = SlowJournal(place, refuses=True), Ahead()
    async with place.running(journal) as parts:
        steps = Steps(place, runner_of(parts))
        plan = with_ahead(steps, ahead)
        running = asyncio.ensure_future(runner_of(parts).run(plan, time_max=MINUTE))
        await ahead.begun.wait()
        journal.go_on.set()
        with pytest.raises(Unavailable):
            await running
    assert (ahead.ends, steps.taken) == (["cancelled"], [])
    assert place.store.of(Cycle, DEFAULT_AGENT) == []


async def test_it_has_the_time_of_the_cycle() -> None:
    place, ahead = Place(), Ahead()
    start = place.clock.now()
    async with place.running() as parts:
        steps = Steps(place, runner_of(parts))
        cycle = await runner_of(parts).run(with_ahead(steps, ahead), time_max=MINUTE)
    assert (ahead.ends, steps.taken) == (["cancelled"], [])
    assert stored(place) == cycle
    assert (cycle.status, cycle.completed_at) == (CycleStatus.FAILED, start + MINUTE)


async def test_being_cancelled_beside_it_ends_a_cycle_once() -> None:
    """At every turn of the event loop, as without it."""
    for turns in range(60):
        place, ahead = Place(), Ahead()
        ahead.let.set()
        async with place.running() as parts:
            steps = Steps(place, runner_of(parts))
            plan = with_ahead(steps, ahead)
            running = asyncio.ensure_future(runner_of(parts).run(plan, time_max=MINUTE))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait([running])
        cycles = place.store.of(Cycle, DEFAULT_AGENT)
        ended = [kind for kind in place.kinds() if kind in ("cycle.completed", "cycle.cancelled")]
        assert len(ended) == len(cycles), turns
        assert [c for c in cycles if c.status is CycleStatus.STARTED] == [], turns
        assert len(logged(place)) == len(set(logged(place)))
