"""When rebalances begin, and what a process that was away at the time does about it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.engine.place import Place
from tests.engine.rebalancing import NINE, RELEASE, SECOND, D, done, due, keys, place_at, rebalances
from tradesaga.domain.approval import Approval, ApprovalState, ExecutionMode
from tradesaga.domain.cycle import CycleStatus, TriggeredBy
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import DEFAULT_AGENT

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


async def test_a_rebalance_by_hand_names_who_asked_and_waits_for_the_open() -> None:
    place = place_at(NINE)
    async with place.running() as parts:
        (key,) = keys(parts)
        begun = await parts.control.schedules.trigger(key, actor="ann")
        with pytest.raises(IllegalTransition, match="runs already"):
            await parts.control.schedules.trigger(key, actor="ann")
        await done(parts)
    (cycle,) = rebalances(place)
    assert (cycle.id, cycle.triggered_by) == (begun.cycle_id, TriggeredBy.MANUAL)
    assert cycle.status is CycleStatus.COMPLETED
    assert len(place.venue.submits) == 2
    assert place.clock.now() >= RELEASE
    told = [line.entry for line in place.store.log_of(DEFAULT_AGENT)]
    [said] = [entry for entry in told if entry.kind == "schedule.triggered"]
    assert (said.actor, said.body["cycleId"]) == ("ann", cycle.id)


async def test_in_semi_auto_a_rebalance_sells_and_asks_for_its_buys() -> None:
    place = place_at(NINE)
    place.settings = replace(place.settings, execution_mode=ExecutionMode.SEMI_AUTO)
    async with place.running() as parts:
        due(place, parts)
        await done(parts)
        waiting = place.store.of(Approval, DEFAULT_AGENT)
        assert [(a.symbol, a.state) for a in sorted(waiting, key=lambda a: a.symbol)] == [
            ("ACME", ApprovalState.PENDING),
            ("BOLT", ApprovalState.PENDING),
        ]
        assert place.venue.submits == []
        for one in waiting:
            await parts.approvals.approve(one.id, by="ann", reason="as planned", actor="api")
        for trade in parts.recovery.desk.trades:
            await trade.ended.wait()
    (cycle,) = rebalances(place)
    assert (cycle.outcome, cycle.errors) == ("success", ())
    # 10 % of 100,000 at 100, of which the limit leaves 99 %; 5 % at 50
    assert [await place.position(symbol) for symbol in ("ACME", "BOLT")] == [D(99), D(100)]
    assert await place.broken() == []


async def test_in_manual_mode_a_rebalance_is_a_plan() -> None:
    place = place_at(NINE)
    place.settings = replace(place.settings, execution_mode=ExecutionMode.MANUAL)
    async with place.running() as parts:
        due(place, parts)
        await done(parts)
    (cycle,) = rebalances(place)
    assert (cycle.outcome, place.venue.submits) == ("success", [])
    assert place.store.of(Approval, DEFAULT_AGENT) == []
