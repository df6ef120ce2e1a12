"""Every cause of the ladder has somebody who enters it and somebody who ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.domain.limits import SESSION
from tests.domain.trades import START
from tests.engine.place import STRATEGY, Place, begin, desk_of
from tests.engine.test_clock_watch import SetClock
from tests.engine.test_ladder_watch import ended
from tradesaga.domain import ladder as machine
from tradesaga.domain.cycle import CycleStatus, TriggeredBy
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Exit, Ladder, Rung
from tradesaga.domain.market import Calendar, MarketStatus
from tradesaga.engine.assembly import Parts
from tradesaga.engine.decision_requests import Question
from tradesaga.ports.services import Health

Act = Callable[[Place, Parts], Awaitable[object]]
DAY = timedelta(days=1)
ELSEWHERE = {
    Cause.ENGINE_NOT_PARKED: "tests/engine/test_engine_watch.py",
    Cause.VENUE_FORGOT: "tests/engine/test_engine_watch.py",
    Cause.BOOKS_IN_DOUBT: "tests/engine/test_former_books.py",
    Cause.FOREIGN_ORDER: "tests/engine/test_external_orders.py",
    Cause.CASH_DRIFT: "tests/engine/test_cash_check.py",
    Cause.STRAY_ORDER: "tests/engine/test_external_orders.py",
    Cause.REPEATED_EXECUTION: "tests/engine/test_day_limits.py",
}
"""Causes whose watcher has a test of its own for both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What brings a cause about and what makes it go away, both from outside."""

    enter: Act
    end: Act
    beats: int = 2
    """Heartbeats after `end` until the reason has gone."""


async def beat(place: Place, parts: Parts, times: int = 1) -> None:
    for _ in range(times):
        await parts.scheduler._heartbeat.run(TriggeredBy.SCHEDULE, place.clock.now())
    await parts.ladder.write()


async def nothing(place: Place, parts: Parts) -> None:
    """The cause ends by itself."""


def service(name: str) -> Course:
    async def enter(place: Place, parts: Parts) -> None:
        if name == "decisions":
            parts.board._decisions.state = Health.UNHEALTHY  # type: ignore[attr-defined]  # the fake's
        else:
            getattr(place, name).state = Health.UNHEALTHY
        await beat(place, parts)

    async def end(place: Place, parts: Parts) -> None:
        for fake in (place.venue, place.market_data, parts.board._decisions):
            fake.state = Health.HEALTHY  # type: ignore[attr-defined]  # the fake's

    return Course(enter=enter, end=end)


async def stale(place: Place, parts: Parts) -> None:
    parts.watchers.quotes.saw(["ACME"], {})


async def fresh(place: Place, parts: Parts) -> None:
    place.market_data.show("ACME", 100)


async def bus_away(place: Place, parts: Parts) -> None:
    place.bus.connected = False
    parts.watchers.vitals.look()
    place.clock.advance(timedelta(seconds=5))
    parts.watchers.vitals.look()


async def bus_back(place: Place, parts: Parts) -> None:
    place.bus.connected = True


async def slow_commit(place: Place, parts: Parts) -> None:
    times = parts.recovery.state._scribe.times
    number = times.begin()
    place.clock.advance(timedelta(seconds=2))
    parts.watchers.vitals.look()
    times.end(number)


async def no_lease(place: Place, parts: Parts) -> None:
    held, parts.leadership._held = parts.leadership._held, None
    parts.watchers.vitals.look()
    parts.leadership._held = held


async def failed_cycles(place: Place, parts: Parts) -> None:
    for _ in range(3):
        await parts.recovery.runner._on_ended(ended(parts, CycleStatus.FAILED))


async def good_cycles(place: Place, parts: Parts) -> None:
    for _ in range(2):
        await parts.recovery.runner._on_ended(ended(parts, CycleStatus.COMPLETED))


def question(answer: object) -> Question:
    asked = Question(request_id="1", strategy=STRATEGY, symbol="ACME", asked_at=START)
    asked.answer = answer  # type: ignore[assignment]  # that there is one is all that counts
    return asked


async def no_answers(place: Place, parts: Parts) -> None:
    for _ in range(3):
        parts.watchers.causes.asked([question(None)])


async def answers(place: Place, parts: Parts) -> None:
    for _ in range(2):
        parts.watchers.causes.asked([question(object())])


async def clock_off(place: Place, parts: Parts) -> None:
    assert isinstance(place.venue_clock, SetClock)
    place.venue_clock.ahead = timedelta(minutes=1)
    await beat(place, parts)


async def clock_set(place: Place, parts: Parts) -> None:
    assert isinstance(place.venue_clock, SetClock)
    place.venue_clock.ahead = timedelta(0)


async def calendar_over(place: Place, parts: Parts) -> None:
    parts.market.calendar = replace(place.calendar, checked_until=START.date() - DAY)
    await beat(place, parts)


async def calendar_new(place: Place, parts: Parts) -> None:
    parts.market.calendar = place.calendar


async def drifted(place: Place, parts: Parts) -> None:
    for _ in range(3):
        parts.watchers.causes.positions({"ACME": "3 held, 0 at the venue"})


async def overfilled(place: Place, parts: Parts) -> None:
    trade = await begin(place, parts)
    await trade.ended.wait()
    order = trade.state.order
    desk_of(parts).on_booked(replace(order, filled_quantity=order.quantity + 1))


def equity(*seen: int) -> Act:
    async def saw(place: Place, parts: Parts) -> None:
        for number in seen:
            await parts.watchers.losses.saw(Decimal(number))

    return saw


async def next_session(place: Place, parts: Parts) -> None:
    later = [
        replace(
            SESSION,
            day=SESSION.day + DAY * n,
            **{
                name: getattr(SESSION, name) + DAY * n
                for name in ("pre_open", "open", "close", "post_close")
            },
        )
        for n in range(2)
    ]
    parts.market.calendar = Calendar(sessions=tuple(later), first=date.min, last=date.max)
    place.clock.advance(DAY)
    await parts.watchers.losses.saw(Decimal(97_000))


def by_hand(rung: Rung) -> Act:
    async def killed(place: Place, parts: Parts) -> None:
        await parts.kill.kill(EVERYWHERE, reason="test", who="ann", rung=rung)

    return killed


async def rearmed(place: Place, parts: Parts) -> None:
    await parts.kill.rearm(EVERYWHERE, operator="ann", reason="looked at")


def acknowledged(cause: Cause) -> Act:
    async def acknowledge(place: Place, parts: Parts) -> None:
        await parts.ladder.acknowledge(cause, EVERYWHERE, "ann")

    return acknowledge


async def unreadable(place: Place, parts: Parts) -> None:
    broken = machine.unreadable(DEFAULT_AGENT, "torn", place.clock.now(), version=0)

    async def read(_: object) -> Ladder:
        return broken

    place.records.ladder = read  # type: ignore[method-assign, assignment]  # as a store that is torn
    await parts.ladder.load()
    del place.records.ladder


COURSES = {
    Cause.STALE_DATA: Course(enter=stale, end=fresh),
    Cause.TRADING_ENGINE_DOWN: service("venue"),
    Cause.AI_DECISION_DOWN: service("decisions"),
    Cause.MARKET_DATA_DOWN: service("market_data"),
    Cause.EVENT_BUS_DOWN: Course(enter=bus_away, end=bus_back),
    Cause.DATABASE_SLOW: Course(enter=slow_commit, end=nothing),
    Cause.LEASE_STALL: Course(enter=no_lease, end=nothing),
    Cause.CYCLE_FAILURES: Course(enter=failed_cycles, end=good_cycles, beats=0),
    Cause.DECISION_FAILURES: Course(enter=no_answers, end=answers, beats=0),
    Cause.CLOCK_SKEW: Course(enter=clock_off, end=clock_set),
    Cause.CALENDAR_UNKNOWN: Course(enter=calendar_over, end=calendar_new),
    Cause.DRIFT: Course(enter=drifted, end=nothing),
    Cause.DAILY_LOSS: Course(enter=equity(100_000, 97_000), end=next_session, beats=0),
    Cause.DRAWDOWN_YELLOW: Course(
        enter=equity(100_000, 120_000, 111_000), end=equity(120_000, 120_000), beats=0
    ),
    Cause.DRAWDOWN_ORANGE: Course(
        enter=equity(100_000, 120_000, 106_500), end=equity(120_000, 120_000), beats=0
    ),
    Cause.OVERFILL: Course(enter=overfilled, end=acknowledged(Cause.OVERFILL), beats=0),
    Cause.OPERATOR_REDUCE_ONLY: Course(enter=by_hand(Rung.REDUCE_ONLY), end=rearmed, beats=0),
    Cause.DAILY_LOSS_HALT: Course(enter=equity(100_000, 95_000), end=rearmed, beats=0),
    Cause.DRAWDOWN_RED: Course(enter=equity(100_000, 120_000, 102_000), end=rearmed, beats=0),
    Cause.KILL_SWITCH: Course(enter=by_hand(Rung.HALTED), end=rearmed, beats=0),
    Cause.UNREADABLE: Course(enter=unreadable, end=rearmed, beats=0),
}


def test_no_cause_is_without_a_watcher() -> None:
    assert COURSES.keys() | ELSEWHERE.keys() == set(Cause)


@pytest.mark.parametrize("cause", COURSES)
async def test_the_course_of_a_cause(cause: Cause) -> None:
    place, course = Place(venue_clock=SetClock()), COURSES[cause]
    async with place.running() as parts:
        await course.enter(place, parts)
        standing = {reason.cause for reason in parts.ladder.ladder.reasons}
        assert cause in standing
        await course.end(place, parts)
        if course.beats:
            await beat(place, parts, course.beats - 1)
            assert cause in {reason.cause for reason in parts.ladder.ladder.reasons}
            await beat(place, parts)
        await parts.ladder.write()
        assert cause not in {reason.cause for reason in parts.ladder.ladder.reasons}


async def test_a_disputed_session_forbids_entries_from_the_second_heartbeat_on() -> None:
    place = Place()
    place.settings = replace(place.settings, second_source=True)
    async with place.running() as parts:
        place.market_data.status = MarketStatus(is_open=False, as_of=place.clock.now())
        await beat(place, parts)
        assert parts.ladder.rung() is Rung.NORMAL, "the gate of the market refuses already"
        await beat(place, parts)
        assert parts.ladder.rung() is Rung.NO_ENTRIES
        place.market_data.status = MarketStatus(is_open=True, as_of=place.clock.now())
        await beat(place, parts, 2)
        assert parts.ladder.rung() is Rung.NORMAL


def test_what_ends_a_reason_is_as_its_rule_says() -> None:
    hands: dict[Act, Exit] = {rearmed: Exit.REARM, next_session: Exit.SESSION}
    for cause, course in COURSES.items():
        rule = machine.RULES[cause]
        expected = hands.get(course.end, Exit.RECOVERY)
        if cause is Cause.OVERFILL:
            expected = Exit.ACKNOWLEDGED
        assert rule.exit is expected, cause
