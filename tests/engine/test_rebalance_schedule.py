"""When rebalances begin, and what a process that was away at the time does about it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tests.engine.place import Place
from tests.engine.rebalancing import NINE, RELEASE, SECOND, due, keys, place_at, rebalances
from tradesaga.domain.cycle import CycleStatus, TriggeredBy

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def skipped(place: Place) -> list[object]:
    return [seen[2] for seen in place.metrics.seen if seen[:2] == ("cycle_skipped", "rebalance")]


async def run_until(place: Place, moment: datetime) -> None:
    """The scheduler's own loop on a running agent, until the clock is there."""
    async with place.running() as parts:
        task = asyncio.ensure_future(parts.scheduler.run())
        await place.clock.sleep_until(moment)
        task.cancel()
        await asyncio.wait([task])


async def test_a_rebalance_a_day_with_a_session() -> None:
    place = place_at(NINE - HOUR)  # a Monday; the calendar of these tests has no other session
    await run_until(place, RELEASE + 60 * SECOND)
    (cycle,) = rebalances(place)
    assert (cycle.scheduled_at, cycle.triggered_by) == (NINE, TriggeredBy.SCHEDULE)
    assert cycle.status is CycleStatus.COMPLETED
    holiday = place_at(NINE + DAY - SECOND)
    await run_until(holiday, NINE + DAY + HOUR)
    assert rebalances(holiday) == []
    assert skipped(holiday) == ["holiday"]


async def test_a_fire_that_was_missed_is_caught_up_once_for_two_hours() -> None:
    place = place_at(NINE + HOUR + 59 * SECOND)
    for _ in range(2):
        await run_until(place, place.clock.now() + 60 * SECOND)
    (cycle,) = rebalances(place)
    assert cycle.scheduled_at == NINE
    late = place_at(NINE + 2 * HOUR + SECOND)
    await run_until(late, late.clock.now() + HOUR)
    assert rebalances(late) == []


async def test_a_restart_during_the_hold_begins_anew_and_an_end_is_an_end() -> None:
    place = place_at(NINE - SECOND)
    await run_until(place, NINE + 60 * SECOND)
    assert [c.status for c in rebalances(place)] == [CycleStatus.CANCELLED]
    assert place.venue.submits == []
    await run_until(place, RELEASE + 60 * SECOND)
    await run_until(place, place.clock.now() + 60 * SECOND)
    assert [c.status for c in rebalances(place)] == [CycleStatus.CANCELLED, CycleStatus.COMPLETED]
    assert len(place.venue.submits) == 2


async def test_an_overlap_is_skipped_and_a_stopped_agent_is_not_rebalanced() -> None:
    place = place_at(NINE)
    async with place.running() as parts:
        for _ in range(2):
            due(place, parts)
        await parts.control.stop(reason="x", cancel_open_orders=False, actor="operator")
        due(place, parts)
    assert skipped(place) == ["overlap"]
    assert len(rebalances(place)) <= 1


async def test_without_targets_nothing_is_scheduled() -> None:
    place = place_at(NINE, None)
    async with place.running() as parts:
        assert keys(parts) == []
