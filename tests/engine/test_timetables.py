"""What the scheduler keeps of many schedules: own timetables, fires that wait, one look a fire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from tests.domain.trades import START
from tests.engine.place import Place
from tests.engine.test_scheduler import at, cycles
from tests.engine.test_schedules import QUICK, new, two
from tradesaga.domain.cycle import CycleType, TriggeredBy
from tradesaga.domain.ids import DEFAULT_AGENT, ScheduleId, StrategyId
from tradesaga.domain.schedule import Schedule, ScheduleType
from tradesaga.engine.assembly import Parts
from tradesaga.engine.waiting_fires import WaitingFires
from tradesaga.ports.schedule_operations import ScheduleChanges

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def schedule(number: int, catch_up: timedelta = MINUTE) -> Schedule:
    return Schedule(
        id=ScheduleId(UUID(int=number)),
        agent_id=DEFAULT_AGENT,
        strategy_id=StrategyId(UUID(int=number)),
        cycle_type=CycleType.ANALYSIS,
        schedule_type=ScheduleType.INTERVAL,
        schedule_value="60000",
        zone="UTC",
        created_at=START,
        updated_at=START,
        catch_up=catch_up,
    )


def test_what_waits_gives_up_after_its_catch_up_and_a_newer_fire_takes_the_place() -> None:
    waiting = WaitingFires()
    assert not waiting.add(schedule(1), START, TriggeredBy.SCHEDULE)
    assert not waiting.add(schedule(2, timedelta()), START, TriggeredBy.SCHEDULE)  # then 5 s
    assert waiting.take_stale(START + 5 * SECOND) == ()
    assert waiting.take_stale(START + 6 * SECOND) == [UUID(int=2)]
    assert waiting.add(schedule(1), START + MINUTE, TriggeredBy.EVENT)
    assert waiting.take_stale(START + 2 * MINUTE) == []
    [(key, fire)] = waiting.take_all().items()
    assert (key, fire.at, fire.cause) == (UUID(int=1), START + MINUTE, TriggeredBy.EVENT)
    assert waiting.take_stale(START + 9 * MINUTE) == ()


@pytest.mark.parametrize("seed", range(20))
async def test_strategies_with_an_own_timetable_are_known_after_any_changes(seed: int) -> None:
    """Counted as it changes, not looked for among all schedules at every fire."""
    draw, place = Random(seed), at(START)
    async with two(place) as parts:
        schedules, known = parts.control.schedules, list[ScheduleId]()
        for _ in range(12):
            what = draw.choice(("add", "enable", "disable", "remove", "load"))
            if what == "add" or not known:
                view = await schedules.add(new(draw.choice(("sma", "bands")), "@daily"), actor="o")
                known.append(view.schedule.id)
            elif what == "load":
                await parts.schedules.load()
            elif what == "remove":
                await schedules.remove(known.pop(draw.randrange(len(known))), actor="o")
            else:
                changes = ScheduleChanges(enabled=what == "enable")
                await schedules.change(draw.choice(known), changes, actor="o")
            expected = {s.strategy_id for s in parts.schedules.all() if s.enabled} - {None}
            assert parts.schedules.own_timetable() == expected


async def test_a_fire_looks_at_no_schedule_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    place = at(START + SECOND, **QUICK)
    async with two(place) as parts:
        await parts.control.schedules.add(new("bands", "*/5 * * * *"), actor="operator")
        await parts.control.schedules.add(new("sma", "@daily"), actor="operator")

        def refuse() -> Sequence[Schedule]:
            raise AssertionError("a fire looked at all schedules")

        monkeypatch.setattr(parts.schedules, "all", refuse)
        await fire(place, parts)
    [ran] = cycles(place)
    assert ran.scheduled_at == START + 5 * MINUTE
    [began] = [seen for seen in place.metrics.seen if seen[0] == "cycle_began"]
    assert began == ("cycle_began", "analysis", timedelta())


async def fire(place: Place, parts: Parts) -> None:
    place.clock.advance(5 * MINUTE - SECOND)
    assert await parts.scheduler.run_once(place.clock.now()) == 1
    while parts.scheduler.running.tasks:
        await asyncio.wait(parts.scheduler.running.tasks, timeout=0)
        await place.clock.sleep_until(place.clock.now() + SECOND)
