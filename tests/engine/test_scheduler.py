"""When cycles begin, and when they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.domain.limits import SESSION
from tests.domain.trades import START
from tests.engine.place import SETTINGS, Place
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.schedule import next_fire
from tradesaga.engine.assembly import Parts
from tradesaga.testing.clock import VirtualClock

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def cycles(place: Place, kind: CycleType = CycleType.ANALYSIS) -> list[Cycle]:
    return [c for c in place.store.of(Cycle, DEFAULT_AGENT) if c.type is kind]


def at(moment: datetime, **changes: object) -> Place:
    place = Place(clock=VirtualClock(moment), settings=replace(SETTINGS, **changes))  # type: ignore[arg-type]  # checked by replace
    place.market_data.show("ACME", 100)
    return place


def skipped(place: Place) -> dict[tuple[object, object], int]:
    counts: dict[tuple[object, object], int] = {}
    for name, *seen in place.metrics.seen:
        if name == "cycle_skipped":
            kind, why, number = seen
            counts[kind, why] = counts.get((kind, why), 0) + int(str(number))
    return counts


@asynccontextmanager
async def ticking(parts: Parts) -> AsyncIterator[None]:
    """The scheduler's loop runs inside the block."""
    task = asyncio.ensure_future(parts.scheduler.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_tick_begins_a_cycle_that_says_when_it_was_due() -> None:
    place = at(START, decision_time_max=SECOND)
    async with place.running() as parts:
        assert parts.scheduler.tick_analysis(START)
        while not cycles(place) or cycles(place)[0].status is CycleStatus.STARTED:
            await place.clock.sleep_until(place.clock.now() + SECOND)
    (cycle,) = cycles(place)
    assert (cycle.scheduled_at, cycle.triggered_by) == (START, TriggeredBy.SCHEDULE)


async def test_a_tick_that_meets_a_running_cycle_is_skipped_and_counted() -> None:
    place = at(START)
    async with place.running() as parts:
        assert parts.scheduler.tick_analysis(START)
        await asyncio.sleep(0)
        assert not parts.scheduler.tick_analysis(START + MINUTE)
        assert not parts.scheduler.tick_analysis(START + 2 * MINUTE)
    assert skipped(place) == {("analysis", "overlap"): 2}
    assert len(cycles(place)) == 1


async def test_ticks_that_were_slept_over_are_one() -> None:
    place = at(START + SECOND, decision_time_max=SECOND, heartbeat_interval=timedelta(days=1))
    async with place.running() as parts, ticking(parts):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        place.clock.advance(10 * MINUTE + 30 * SECOND)  # a stall over ten ticks
        while len(cycles(place)) < 2:
            await place.clock.sleep_until(place.clock.now() + SECOND)
    first, second = cycles(place)
    assert first.scheduled_at == START + 10 * MINUTE
    assert first.started_at == START + 10 * MINUTE + 31 * SECOND
    assert second.scheduled_at == START + 11 * MINUTE
    assert skipped(place) == {("analysis", "coalesced"): 9}


@pytest.mark.parametrize(
    ("tick", "begins"),
    [
        (SESSION.open - MINUTE, False),
        (SESSION.open, False),  # no minute of the session is over yet
        (SESSION.open + MINUTE, True),
        (SESSION.close - MINUTE, True),
        (SESSION.close, False),
    ],
)
async def test_a_closed_market_begins_nothing(tick: datetime, begins: bool) -> None:
    place = at(tick)
    async with place.running() as parts:
        assert parts.scheduler.tick_analysis(tick) is begins


async def test_without_market_hours_every_tick_counts() -> None:
    place = at(SESSION.close, market_hours_only=False)
    async with place.running() as parts:
        assert parts.scheduler.tick_analysis(SESSION.close)


async def test_only_an_agent_that_runs_or_is_paused_analyses() -> None:
    place = at(START)
    async with place.running() as parts:
        await parts.control.pause(duration=None, reason="", actor="operator")
        assert parts.scheduler.tick_analysis(START), "exits go on"
        await parts.control.stop(reason="", cancel_open_orders=False, actor="operator")
        assert not parts.scheduler.tick_analysis(START)
        assert parts.scheduler.next_analysis_at() is None


async def test_without_an_active_strategy_nothing_is_begun() -> None:
    place = at(START)
    async with place.running() as parts:
        await parts.book.select([], actor="operator")
        assert not parts.scheduler.tick_analysis(START)
    assert skipped(place) == {("analysis", "no_strategy"): 1}


async def test_the_next_analysis_is_at_the_next_tick_or_the_next_open() -> None:
    place = at(START + SECOND)
    async with place.running() as parts:
        assert parts.scheduler.next_analysis_at() == START + MINUTE
    before = at(SESSION.pre_open)
    async with before.running() as parts:
        assert parts.scheduler.next_analysis_at() == SESSION.open + MINUTE


async def test_cycles_of_one_agent_of_many_are_later_by_its_part_of_the_interval() -> None:
    place = at(START + SECOND, phase=0.5)
    async with place.running() as parts:
        assert parts.scheduler.next_analysis_at() == START + MINUTE / 2
        configured = next(s for s in parts.schedules.all() if s.is_configured)
        assert next_fire(configured, START) == START + MINUTE / 2
    before = at(SESSION.pre_open, phase=0.5)
    async with before.running() as parts:
        first = parts.scheduler.next_analysis_at()
        assert first == SESSION.open + MINUTE * 1.5, "half a minute after the open is too early"
        assert not parts.scheduler.tick_analysis(SESSION.open + MINUTE / 2)


async def test_heartbeats_go_on_whatever_the_agent_does() -> None:
    place = at(SESSION.pre_open)
    async with place.node() as parts:
        task = asyncio.ensure_future(parts.scheduler.run_heartbeats())
        while len(cycles(place, CycleType.HEARTBEAT)) < 3:
            await place.clock.sleep_until(place.clock.now() + SECOND)
        task.cancel()
        await asyncio.wait([task])
    beats = [cycle.scheduled_at for cycle in cycles(place, CycleType.HEARTBEAT)]
    assert [beat - SESSION.pre_open for beat in beats] == [30 * SECOND, 60 * SECOND, 90 * SECOND]
    began = [seen for seen in place.metrics.seen if seen[0] == "cycle_began"]
    assert began[:3] == [("cycle_began", "heartbeat", timedelta())] * 3
