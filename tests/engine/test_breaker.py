"""When the agent stops going on by itself: deaths in a day, and cycles that fail in a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.trades import START
from tests.engine.place import SETTINGS, Place
from tradesaga.domain.agent import Agent, AgentStatus
from tradesaga.domain.checkpoint import Occasion
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.engine.assembly import Parts

S = AgentStatus
LIMIT = 10
MINUTE = timedelta(minutes=1)


async def life(place: Place, *, hands_over: bool = False, start: bool = False) -> Agent:
    """One process: it takes over, looks back, and dies unless it hands over."""
    place.clock.advance(MINUTE)
    async with place.node() as parts:
        await parts.recovery.settle(place.found)
        await parts.breaker.started()
        if start:
            place.clock.advance(MINUTE)
            await parts.control.start(strategies=None, mode=None, actor="operator")
        if hands_over:
            await parts.checkpoints.take(Occasion.HANDED_OVER, {})
        return parts.recovery.state.agent


def alerts(place: Place) -> int:
    return place.kinds().count("alert")


async def test_ten_deaths_in_a_day_are_an_error_and_nine_are_not() -> None:
    place = Place()
    await life(place, start=True)
    for _ in range(LIMIT - 1):
        assert (await life(place)).status is S.RUNNING
    agent = await life(place)
    assert agent.status is S.ERROR
    assert agent.last_error == "crash loop: 10 deaths in a day, limit 10"
    assert alerts(place) == 1
    assert (await life(place)).status is S.ERROR
    assert alerts(place) == 1, "once"


async def test_a_person_starts_again_and_the_count_begins_anew() -> None:
    place = Place()
    await life(place, start=True)
    for _ in range(LIMIT):
        await life(place)
    assert (await life(place, start=True)).status is S.RUNNING
    assert (await life(place)).status is S.RUNNING


async def test_orderly_restarts_are_no_deaths() -> None:
    place = Place()
    await life(place, start=True, hands_over=True)
    for _ in range(2 * LIMIT):
        assert (await life(place, hands_over=True)).status is S.RUNNING


async def test_deaths_of_more_than_a_day_ago_are_forgotten() -> None:
    place = Place()
    await life(place, start=True)
    for _ in range(2 * LIMIT):
        place.clock.advance(timedelta(hours=3))
        assert (await life(place)).status is S.RUNNING


async def test_a_stopped_agent_stays_stopped_however_often_the_process_dies() -> None:
    place = Place()
    for _ in range(2 * LIMIT):
        assert (await life(place)).status is S.STOPPED


def ended(parts: Parts, status: CycleStatus, kind: CycleType = CycleType.ANALYSIS) -> Cycle:
    new = parts.recovery.runner.new(kind, TriggeredBy.SCHEDULE, START)
    return replace(new, status=status)


@pytest.mark.parametrize(
    "between",
    [(CycleType.HEARTBEAT, CycleStatus.COMPLETED), (CycleType.ANALYSIS, CycleStatus.CANCELLED)],
)
async def test_ten_failed_cycles_in_a_row_are_an_error(
    between: tuple[CycleType, CycleStatus],
) -> None:
    place = Place()
    async with place.running() as parts:
        for _ in range(SETTINGS.failed_cycles_max - 1):
            await parts.breaker.ended(ended(parts, CycleStatus.FAILED))
            await parts.breaker.ended(ended(parts, between[1], between[0]))
        assert parts.recovery.state.agent.status is S.RUNNING
        await parts.breaker.ended(ended(parts, CycleStatus.FAILED))
        agent = parts.recovery.state.agent
    assert (agent.status, agent.last_error) == (S.ERROR, "10 analysis cycles failed in a row")


async def test_one_good_cycle_ends_the_row() -> None:
    place = Place()
    async with place.running() as parts:
        for _ in range(3):
            for _ in range(SETTINGS.failed_cycles_max - 1):
                await parts.breaker.ended(ended(parts, CycleStatus.FAILED))
            await parts.breaker.ended(ended(parts, CycleStatus.COMPLETED))
        assert parts.recovery.state.agent.status is S.RUNNING


async def test_the_runner_tells_of_cycles_that_fail() -> None:
    place = Place()
    place.market_data.down = True
    async with place.running() as parts:
        for _ in range(SETTINGS.failed_cycles_max):
            await parts.scheduler._analysis.run(
                parts.book.active(), TriggeredBy.SCHEDULE, place.clock.now()
            )
        cycles = place.store.of(Cycle, DEFAULT_AGENT)
        assert {cycle.status for cycle in cycles} == {CycleStatus.FAILED}
        assert parts.recovery.state.agent.status is S.ERROR
