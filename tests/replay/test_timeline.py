from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tradesaga.adapters.virtual_time import VirtualLoop
from tradesaga.domain.market_clock import datetime_of, micros_of
from tradesaga.paper.minutes import minute_of
from tradesaga.paper.recordings import Span
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.timeline import Timeline

OPEN = datetime(2020, 12, 15, 14, 30, tzinfo=UTC)
NEXT_OPEN = OPEN + timedelta(days=1)


def span(opened: datetime, minutes: int) -> Span:
    start = minute_of(opened)
    return Span(day=opened.date(), start=start, end=start + minutes)


TIMELINE = Timeline.of_spans([span(OPEN, 390), span(NEXT_OPEN, 10)], pace=600)
MOMENTS = st.integers(micros_of(OPEN) - 10**8, micros_of(NEXT_OPEN) + 10**9)


@given(MOMENTS)
def test_there_and_back_is_the_same_moment_or_the_next_that_is_played(micros: int) -> None:
    seconds = TIMELINE.seconds_at(micros)
    if seconds is None:
        assert datetime_of(micros) > TIMELINE.last
    else:
        played = TIMELINE.micros_at(seconds)
        assert played >= micros
        before_begin = datetime_of(micros) < TIMELINE.first
        last_minute_of_the_day = OPEN + timedelta(minutes=391, seconds=10)
        in_the_gap = last_minute_of_the_day <= datetime_of(micros) < NEXT_OPEN
        assert played == micros or before_begin or in_the_gap


@given(st.floats(0, 100), st.floats(0, 100))
def test_market_time_never_goes_back(first: float, second: float) -> None:
    before, after = sorted((first, second))
    assert TIMELINE.micros_at(before) <= TIMELINE.micros_at(after)


def test_the_night_takes_no_time_and_the_end_stands_still() -> None:
    day_over = OPEN + timedelta(minutes=391, seconds=10)
    before_next = NEXT_OPEN - timedelta(minutes=1)
    assert TIMELINE.seconds_at(micros_of(day_over)) == TIMELINE.seconds_at(micros_of(before_next))
    assert TIMELINE.micros_at(10**6) == micros_of(NEXT_OPEN + timedelta(minutes=11, seconds=10))


def test_sleepers_wake_in_order_at_their_moment_and_the_night_at_its_end() -> None:
    loop = VirtualLoop()
    clock = PlayedClock(loop, TIMELINE)
    woken: list[datetime] = []
    tick = OPEN + timedelta(minutes=7, microseconds=1)
    midnight = datetime(2020, 12, 16, tzinfo=UTC)

    async def sleep(until: datetime) -> None:
        await clock.sleep_until(until)
        assert clock.now() >= until
        woken.append(clock.now())

    async def all_of_them() -> None:
        beyond = loop.create_task(sleep(NEXT_OPEN + timedelta(days=9)))
        tasks = [loop.create_task(sleep(until)) for until in (midnight, tick, clock.now())]
        await clock.until_end()
        assert clock.ended
        assert all(task.done() for task in tasks)
        assert not beyond.done()
        beyond.cancel()

    loop.run_until_complete(all_of_them())
    loop.close()
    assert woken == [OPEN - timedelta(minutes=1), tick, NEXT_OPEN - timedelta(minutes=1)]
