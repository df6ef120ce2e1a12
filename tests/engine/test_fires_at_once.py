"""Very many schedules due at one instant: one mark, all handed over, rows after, none repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from typing_extensions import override

from tests.domain.trades import START
from tests.engine.place import STRATEGY, Place
from tests.engine.test_scheduler import at, cycles
from tests.engine.test_schedules import QUICK, new
from tests.engine.test_timetables import schedule
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId, derived
from tradesaga.domain.schedule import FiresMark, Schedule, as_taken
from tradesaga.engine.assembly import Parts
from tradesaga.engine.fires_at_once import AT_ONCE_MIN
from tradesaga.ports.journal import Change
from tradesaga.testing.journal import MemoryJournal

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NUMBER = AT_ONCE_MIN + 20
DUE = START + 5 * MINUTE
STRATEGIES = [
    replace(
        STRATEGY, id=StrategyId(derived("many", n)), external_id=f"many-{n}", name=f"Many-{n}",
        symbols=(f"S{n}",),
    )
    for n in range(NUMBER)
]  # fmt: skip


class Refusing(MemoryJournal):
    """Takes no Change of the kinds in `refused`."""

    refused: frozenset[str] = frozenset()

    @override
    async def commit(self, change: Change) -> int:
        if self.refused & {entry.kind for entry in change.entries}:
            raise Unavailable("the journal takes nothing")
        return await super().commit(change)


@asynccontextmanager
async def many(place: Place, journal: MemoryJournal | None = None) -> AsyncIterator[Parts]:
    """A running agent with a schedule of five minutes for each of many strategies."""
    async with place.node(journal) as parts:
        await parts.book.load(STRATEGIES)
        await parts.control.start(strategies=None, mode=None, actor="operator")
        if not place.store.of(Schedule, DEFAULT_AGENT):
            for strategy in STRATEGIES:
                await parts.control.schedules.add(
                    new(strategy.external_id, "*/5 * * * *"), actor="o"
                )
        yield parts


def rows(place: Place) -> Sequence[Schedule]:
    found: list[Schedule] = place.store.of(Schedule, DEFAULT_AGENT)
    return found


async def ended(place: Place, parts: Parts) -> None:
    """Until no cycle runs and all rows are written."""
    while parts.scheduler.running.tasks:
        await asyncio.wait(parts.scheduler.running.tasks, timeout=0)
        await place.clock.sleep_until(place.clock.now() + SECOND)


async def fired(place: Place, parts: Parts, now: datetime = DUE) -> int:
    place.clock.advance(now - place.clock.now())
    number = await parts.scheduler.run_once(now)
    await ended(place, parts)
    return number


async def test_one_mark_one_cycle_and_the_rows_after_it() -> None:
    place = at(START + SECOND, **QUICK)
    async with many(place) as parts:
        assert await fired(place, parts) == NUMBER
        kinds = place.kinds()
    [ran] = cycles(place)
    assert (ran.scheduled_at, ran.strategies_processed) == (DUE, NUMBER)
    assert kinds.count("schedules.fired") == 1
    assert kinds.index("schedules.fired") < kinds.index("cycle.started")
    [mark] = place.store.of(FiresMark, DEFAULT_AGENT)
    assert mark.fired_until == DUE
    assert {(s.last_run_at, s.next_run_at) for s in rows(place)} == {(DUE, DUE + 5 * MINUTE)}


async def test_they_are_due_again_in_time() -> None:
    place = at(START + SECOND, **QUICK)
    async with many(place) as parts:
        await fired(place, parts)
        assert await fired(place, parts, DUE + 5 * MINUTE) == NUMBER
    assert [c.scheduled_at for c in cycles(place)] == [DUE, DUE + 5 * MINUTE]
    assert place.store.of(FiresMark, DEFAULT_AGENT)[0].version == 2


async def test_rows_that_the_journal_does_not_take_are_due_again_all_the_same() -> None:
    place = at(START + SECOND, **QUICK)
    journal = Refusing(place.store)
    async with many(place, journal) as parts:
        journal.refused = frozenset({"schedules.settled"})
        await fired(place, parts)
        journal.refused = frozenset()
        assert await fired(place, parts, DUE + 5 * MINUTE) == NUMBER
    assert [c.scheduled_at for c in cycles(place)] == [DUE, DUE + 5 * MINUTE]
    assert {s.next_run_at for s in rows(place)} == {DUE + 10 * MINUTE}


async def test_a_crash_between_mark_and_rows_repeats_none_of_them() -> None:
    place = at(START + SECOND, **QUICK)
    journal = Refusing(place.store)
    async with many(place, journal) as parts:
        journal.refused = frozenset({"schedules.settled"})
        await fired(place, parts)
        before = len(cycles(place))
    assert {s.next_run_at for s in rows(place)} == {DUE}, "no row says that it has fired"
    async with many(place) as parts:
        await parts.scheduler._arrive()
        await ended(place, parts)
        assert len(cycles(place)) == before, "the mark says it"
        assert {s.next_run_at for s in parts.schedules.all() if s.strategy_id} == {DUE + 5 * MINUTE}
        assert await fired(place, parts, DUE + 5 * MINUTE) >= NUMBER


async def test_without_the_journal_none_is_begun_and_the_next_ones_are_due() -> None:
    place = at(START + SECOND, **QUICK)
    journal = Refusing(place.store)
    async with many(place, journal) as parts:
        journal.refused = frozenset({"schedules.fired"})
        assert await fired(place, parts) == 0
        assert parts.schedules.timetable.earliest() == DUE + 5 * MINUTE
    assert cycles(place) == []
    assert place.metrics.seen.count(("cycle_skipped", "analysis", "journal", 1)) == NUMBER


async def test_a_strategy_that_is_stopped_is_left_out_and_counted() -> None:
    place = at(START + SECOND, **QUICK)
    async with many(place) as parts:
        await parts.control.strategy_control.deactivate("many-3", close_positions=False, actor="o")
        await fired(place, parts)
    [ran] = cycles(place)
    assert ran.strategies_processed == NUMBER - 1
    assert ("cycle_skipped", "analysis", "no_strategy", 1) in place.metrics.seen


async def test_in_a_closed_market_all_are_taken_and_none_begins() -> None:
    place = at(START + SECOND, **QUICK)
    async with many(place) as parts:
        late = START + timedelta(hours=9)  # after the close
        for one in rows(place):
            parts.schedules._put(replace(one, next_run_at=late))
        assert await fired(place, parts, late) == NUMBER
    assert cycles(place) == []


@pytest.mark.parametrize(
    ("due", "last", "following"),
    [
        (DUE, DUE, DUE + 5 * MINUTE),
        (DUE - 5 * MINUTE, DUE - 5 * MINUTE, DUE + 5 * MINUTE),
        (DUE + MINUTE, None, DUE + MINUTE),
        (None, None, None),
    ],
)
def test_what_a_mark_says_of_a_row(
    due: datetime | None, last: datetime | None, following: datetime | None
) -> None:
    row = replace(schedule(1), schedule_value="300000", next_run_at=due)
    taken = as_taken(row, DUE)
    assert (taken.last_run_at, taken.next_run_at) == (last, following)
