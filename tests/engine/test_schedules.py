"""Schedules of strategies in the engine: what fires, waits and survives, and whole weeks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.domain.trades import START
from tests.engine.place import SETTINGS, STRATEGY, Place
from tests.engine.test_scheduler import at, cycles, skipped, ticking
from tradesaga.adapters.calendar import Hours, build_calendar
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.errors import IllegalTransition, Invalid, NotFound
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId
from tradesaga.domain.schedule import Overlap, Schedule, ScheduleType
from tradesaga.engine.assembly import Parts
from tradesaga.ports.schedule_operations import NewSchedule, ScheduleChanges
from tradesaga.testing.clock import VirtualClock

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
OTHER = replace(STRATEGY, id=StrategyId(UUID(int=4)), external_id="bands", name="Bands", priority=7)
QUICK = {"decision_time_max": SECOND, "heartbeat_interval": timedelta(days=1)}


@asynccontextmanager
async def two(place: Place) -> AsyncIterator[Parts]:
    """A running node with two strategies."""
    async with place.node() as parts:
        await parts.book.load([STRATEGY, OTHER])
        await parts.control.start(strategies=None, mode=None, actor="operator")
        yield parts


def new(
    strategy: str, value: str, kind: ScheduleType = ScheduleType.CRON, **more: object
) -> NewSchedule:
    return NewSchedule(strategy=strategy, schedule_type=kind, value=value, **more)  # type: ignore[arg-type]  # checked by the dataclass


async def until(place: Place, moment: datetime) -> None:
    while place.clock.now() < moment:
        await place.clock.sleep_until(min(moment, place.clock.now() + SECOND))


def names_of(place: Place, cycle: Cycle) -> list[str]:
    for line in place.store.log_of(DEFAULT_AGENT):
        event = line.entry.event
        if line.entry.kind == "cycle.started" and line.entry.subject == str(cycle.id):
            assert event is not None
            return list(event.payload["strategies"])
    raise AssertionError("every cycle is told")


async def test_a_strategy_with_a_schedule_runs_by_it_and_not_with_the_rest() -> None:
    place = at(START + SECOND, **QUICK)
    async with two(place) as parts:
        schedules = parts.control.schedules
        view = await schedules.add(new("bands", "*/5 * * * *"), actor="operator")
        assert view.schedule.next_run_at == START + 5 * MINUTE
        async with ticking(parts):
            await until(place, START + 6 * MINUTE + 30 * SECOND)
    ran = [(c.scheduled_at - START, names_of(place, c)) for c in cycles(place)]
    alone = [(number * MINUTE, ["sma"]) for number in (1, 2, 3, 4)]
    assert ran == [*alone, (5 * MINUTE, ["bands", "sma"]), (6 * MINUTE, ["sma"])]
    [stored] = place.store.of(Schedule, DEFAULT_AGENT)
    assert stored.last_run_at == START + 5 * MINUTE
    assert stored.next_run_at == START + 10 * MINUTE


async def test_what_was_missed_while_away_is_made_up_once_if_it_is_young() -> None:
    place = at(START, **QUICK)
    async with two(place) as parts:
        await parts.control.schedules.add(
            new("bands", "*/10 * * * *", catch_up=5 * MINUTE), actor="operator"
        )
        await parts.control.schedules.add(
            new("sma", "*/10 * * * *", catch_up=MINUTE), actor="operator"
        )
    place.clock.advance(33 * MINUTE)  # no process: 10, 20 and 30 are missed
    async with place.node() as parts:
        await parts.book.load([STRATEGY, OTHER])
        async with ticking(parts):
            await until(place, START + 34 * MINUTE)
    [made_up] = cycles(place)
    assert (made_up.scheduled_at, names_of(place, made_up)) == (START + 30 * MINUTE, ["bands"])
    assert skipped(place) == {("analysis", "coalesced"): 2, ("analysis", "late"): 3}
    nexts = [s.next_run_at for s in place.store.of(Schedule, DEFAULT_AGENT)]
    assert nexts == [START + 40 * MINUTE] * 2


async def test_a_fire_is_marked_before_its_cycle_begins() -> None:
    """A crash between the two loses the fire and never repeats it."""
    place = at(START + SECOND, **QUICK)
    async with two(place) as parts:
        await parts.control.schedules.add(new("bands", "*/5 * * * *"), actor="operator")
        async with ticking(parts):
            await until(place, START + 5 * MINUTE + 30 * SECOND)
    kinds = place.kinds()
    marked = kinds.index("schedules.fired")
    begun = [i for i, kind in enumerate(kinds) if kind == "cycle.started"]
    assert marked < begun[-1]


async def test_a_fire_that_finds_no_room_waits_and_higher_priority_goes_first() -> None:
    place = at(START)
    async with two(place) as parts:
        schedules = parts.control.schedules
        low = await schedules.add(new("bands", "1d", ScheduleType.INTERVAL), actor="operator")
        high = await schedules.add(
            new("sma", "1d", ScheduleType.INTERVAL, priority=9), actor="operator"
        )
        cycle_id, begun = parts.scheduler.analyse([STRATEGY])
        assert begun
        due = place.clock.now()
        fires = {low.schedule.id: due, high.schedule.id: due}
        parts.scheduler.offer(fires, TriggeredBy.SCHEDULE)
        async with ticking(parts):
            await until(place, START + MINUTE)
    first, second = cycles(place)
    assert (first.id, first.triggered_by) == (cycle_id, TriggeredBy.MANUAL)
    assert names_of(place, second) == ["sma", "bands"]
    assert not skipped(place)


@pytest.mark.parametrize(("overlap", "ran", "missed"), [("skip", 1, 1), ("buffer", 2, 0)])
async def test_a_fire_that_meets_its_own_cycle(overlap: str, ran: int, missed: int) -> None:
    place = at(START)
    async with two(place) as parts:
        view = await parts.control.schedules.add(
            new("bands", "1d", ScheduleType.INTERVAL, overlap=Overlap(overlap)), actor="operator"
        )
        parts.scheduler.offer({view.schedule.id: START}, TriggeredBy.SCHEDULE)
        await asyncio.sleep(0)
        parts.scheduler.offer({view.schedule.id: START + SECOND}, TriggeredBy.SCHEDULE)
        async with ticking(parts):
            await until(place, START + 50 * SECOND)
    assert len(cycles(place)) == ran
    assert skipped(place).get(("analysis", "overlap"), 0) == missed


async def test_an_event_runs_what_waits_for_it() -> None:
    place = at(START, **QUICK)
    async with two(place) as parts:
        schedules = parts.control.schedules
        for value in ("market.session.changed=regular", "market.session.changed=closed"):
            await schedules.add(new("bands", value, ScheduleType.EVENT), actor="operator")
        parts.scheduler.heard("market.session.changed", "market.session.changed=regular")
        async with ticking(parts):
            await until(place, START + 30 * SECOND)
    [cycle] = cycles(place)
    assert (cycle.triggered_by, names_of(place, cycle)) == (TriggeredBy.EVENT, ["bands"])


async def test_by_hand_one_waits_and_no_more() -> None:
    place = at(START)
    async with two(place) as parts:
        schedules = parts.control.schedules
        first = await schedules.analyse("sma", None, actor="operator")
        waits = await schedules.analyse("bands", ["ACME"], actor="operator")
        again = await schedules.analyse("bands", ["ACME"], actor="operator")
        assert (first.is_begun, waits.is_begun, again) == (True, False, waits)
        with pytest.raises(IllegalTransition, match="waits already"):
            await schedules.analyse("sma", None, actor="operator")
        async with ticking(parts):
            await until(place, START + 50 * SECOND)
    assert [c.id for c in cycles(place)] == [first.cycle_id, waits.cycle_id]
    assert place.kinds().count("strategy.analysis.triggered") == 3


async def test_what_cannot_be_analysed_is_refused() -> None:
    place = at(START)
    async with two(place) as parts:
        schedules = parts.control.schedules
        with pytest.raises(NotFound):
            await schedules.analyse("unknown", None, actor="operator")
        with pytest.raises(Invalid, match="ZZZ"):
            await schedules.analyse("sma", ["ACME", "ZZZ"], actor="operator")
        await parts.book.select(["bands"], actor="operator")
        with pytest.raises(IllegalTransition, match="stopped"):
            await schedules.analyse("sma", None, actor="operator")
        await parts.control.stop(reason="", cancel_open_orders=False, actor="operator")
        with pytest.raises(IllegalTransition, match="start it"):
            await schedules.analyse("bands", None, actor="operator")


async def test_commands_are_durable_and_audited() -> None:
    place = at(START)
    async with two(place) as parts:
        schedules = parts.control.schedules
        view = await schedules.add(new("bands", "@hourly", zone="Asia/Tokyo"), actor="anna")
        key = view.schedule.id
        off = await schedules.change(key, ScheduleChanges(enabled=False), actor="anna")
        assert off.schedule.next_run_at is None
        changed = await schedules.change(
            key, ScheduleChanges(enabled=True, value="0 10 * * *"), actor="bert"
        )
        assert changed.words == "At 10:00 every day (Asia/Tokyo)"
        configured = (await schedules.schedules())[0].schedule.id
        with pytest.raises(IllegalTransition, match="configuration"):
            await schedules.change(configured, ScheduleChanges(enabled=False), actor="anna")
        with pytest.raises(Invalid) as refused:
            await schedules.add(new("nobody", "61 * * * *", zone="Mars", priority=5000), actor="a")
        assert [p.partition(":")[0] for p in refused.value.problems] == [
            "strategyId", "value", "timezone", "priority",
        ]  # fmt: skip
    async with place.node() as parts:
        await parts.schedules.load()
        assert parts.schedules.get(key) == changed.schedule
        await parts.control.schedules.remove(key, actor="bert")
        with pytest.raises(NotFound):
            await parts.control.schedules.schedule(key)
    log = [(line.entry.kind, line.entry.actor) for line in place.store.log_of(DEFAULT_AGENT)]
    assert [said for said in log if said[0].startswith("schedule.")] == [
        ("schedule.created", "anna"),
        ("schedule.disabled", "anna"),
        ("schedule.changed", "bert"),
        ("schedule.removed", "bert"),
    ]


NEW_YORK = ZoneInfo("America/New_York")


def _wall(cycle: Cycle) -> time:
    return cycle.scheduled_at.astimezone(NEW_YORK).time()


def _day(cycle: Cycle, first: date) -> int:
    return (cycle.scheduled_at.astimezone(NEW_YORK).date() - first).days


WEEKS = [
    # Thanksgiving on the 26th, a half day on the 27th
    (date(2026, 11, 23), {0: 12, 1: 12, 2: 12, 4: 6}, {0: 14, 4: 14}),
    # the clocks go back on Sunday the 1st
    (date(2026, 10, 30), {0: 12, 3: 12, 4: 12, 5: 12, 6: 12}, {0: 13, 3: 14}),
]


@pytest.mark.parametrize(("first", "counts", "nine"), WEEKS)
async def test_a_week_has_exactly_the_expected_cycles(
    first: date, counts: dict[int, int], nine: dict[int, int]
) -> None:
    """Every half hour instead of every minute, so that the week passes quickly."""
    start = datetime(first.year, first.month, first.day, tzinfo=NEW_YORK).astimezone(UTC)
    settings = replace(
        SETTINGS, analysis_interval=30 * MINUTE, decision_time_max=SECOND,
        heartbeat_interval=timedelta(hours=1), lease_renew_every=timedelta(days=30),
    )  # fmt: skip
    place = Place(clock=VirtualClock(start, idle_turns=60), settings=settings)
    place.market_data.show("ACME", 100)
    calendar = build_calendar(first, first + timedelta(days=7), Hours())
    rebalanced: list[datetime] = []

    async def rebalance(_: TriggeredBy, due: datetime, /, **_more: object) -> None:
        rebalanced.append(due)

    place.calendar = calendar
    async with place.node() as parts:
        parts.scheduler.register_rebalance(rebalance)
        await parts.book.load([STRATEGY, OTHER])
        await parts.control.start(strategies=None, mode=None, actor="operator")
        await parts.control.schedules.add(new("bands", "0 12 * * 1-5"), actor="operator")
        beating = asyncio.ensure_future(parts.scheduler.run_heartbeats())
        async with ticking(parts):
            while place.clock.now() < start + timedelta(days=7):
                await place.clock.sleep_until(place.clock.now() + timedelta(hours=1))
        beating.cancel()
        await asyncio.wait([beating])
    beats = [c.scheduled_at for c in cycles(place, CycleType.HEARTBEAT)]
    hours = [start + number * timedelta(hours=1) for number in range(1, 7 * 24 + 1)]
    assert beats in (hours, hours[:-1]), "each hour that passes, whatever the wall clock shows"
    found = Counter(
        (c.scheduled_at.astimezone(NEW_YORK).date() - first).days for c in cycles(place)
    )
    assert found == counts
    for day, number in counts.items():
        ticks = [_wall(c) for c in cycles(place) if _day(c, first) == day]
        assert ticks == [time(10 + half // 2, 30 * (half % 2)) for half in range(number)]
    noon = [c for c in cycles(place) if "bands" in names_of(place, c)]
    assert [(_day(c, first), _wall(c)) for c in noon] == [(day, time(12)) for day in counts]
    assert len(rebalanced) == len(counts)
    days = {(due.astimezone(NEW_YORK).date() - first).days: due.hour for due in rebalanced}
    assert set(days) == set(counts)
    assert {day: days[day] for day in nine} == nine
    holidays = 5 - len(counts)
    assert skipped(place).get(("rebalance", "holiday"), 0) == holidays
    assert all(c.status is CycleStatus.COMPLETED for c in cycles(place))
