"""Answers that many ask for: asked once, for all who ask about the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tradesaga.adapters.shared_answers import (
    FRESH_SECONDS,
    STATUS_FRESH_SECONDS,
    SharedAnswer,
    SharedClock,
    SharedMarketData,
    SharedParking,
    SharedStream,
)
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.clock import Offset
from tradesaga.ports.services import Health
from tradesaga.ports.stream import StreamEnd, Told
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.market_data import ScriptedMarketData

START = datetime(2020, 12, 15, 15, tzinfo=UTC)


class Asked:
    """A question that counts how often it is asked, and may fail."""

    def __init__(self) -> None:
        self.times, self.seconds = 0, 0.0
        self.fails = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.shared = SharedAnswer(self.ask, lambda: self.seconds)

    async def ask(self) -> int:
        self.times += 1
        await self.may_answer.wait()
        if self.fails:
            raise Unavailable("away")
        return self.times


async def test_who_asks_while_it_is_asked_or_shortly_after_gets_the_same_answer() -> None:
    asked = Asked()
    asked.may_answer.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asked.shared.get()) for _ in range(300)]
        await asyncio.sleep(0)
        asked.may_answer.set()
    assert {task.result() for task in tasks} == {1}
    asked.seconds = FRESH_SECONDS / 2
    assert await asked.shared.get() == 1
    asked.seconds = FRESH_SECONDS
    assert await asked.shared.get() == 2


async def test_a_failure_is_shared_and_asked_about_again() -> None:
    asked = Asked()
    asked.fails = True
    for _ in range(3):
        with pytest.raises(Unavailable, match="away"):
            await asked.shared.get()
    assert asked.times == 1
    asked.fails, asked.seconds = False, FRESH_SECONDS
    assert await asked.shared.get() == 2


async def test_one_that_gives_up_leaves_the_question_to_the_others() -> None:
    asked = Asked()
    asked.may_answer.clear()
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(asked.shared.get()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        asked.may_answer.set()
    assert second.result() == 2


async def test_prices_are_not_shared_and_how_the_service_is_is_shared() -> None:
    clock = VirtualClock(START)
    service = ScriptedMarketData(clock)
    shared = SharedMarketData(service, clock.monotonic)
    assert await shared.health() is Health.HEALTHY
    service.down = True
    assert await shared.health() is Health.HEALTHY
    with pytest.raises(Unavailable):
        await shared.quotes(["ACME"])
    with pytest.raises(Unavailable):
        await shared.daily_closes(["ACME"], number=1)
    with pytest.raises(Unavailable):
        await shared.market_status()
    clock.advance(timedelta(seconds=FRESH_SECONDS))
    assert await shared.health() is Health.UNREACHABLE


async def test_what_is_said_of_the_session_is_shared_for_a_moment_only() -> None:
    clock = VirtualClock(START)
    service = ScriptedMarketData(clock)
    shared = SharedMarketData(service, clock.monotonic)
    said = await shared.market_status()
    service.down = True
    assert await shared.market_status() is said
    clock.advance(timedelta(seconds=STATUS_FRESH_SECONDS))
    with pytest.raises(Unavailable):
        await shared.market_status()


class Stream:
    """Implements `ports.stream.StreamState`; grows by one with each look."""

    def __init__(self) -> None:
        self.looks = 0
        self.away = False
        self.may_answer = asyncio.Event()

    def connection(self) -> int:
        return 7

    async def stream_end(self) -> StreamEnd:
        self.looks += 1
        looks = self.looks
        await self.may_answer.wait()
        if self.away:
            raise Unavailable("away")
        return StreamEnd(created=START, last_sequence=looks)

    async def last_of_ours(self) -> Told | None:
        return None


async def test_the_end_of_the_stream_is_looked_at_for_all_who_wait_after_they_asked() -> None:
    stream = Stream()
    shared = SharedStream(stream)
    assert shared.connection() == 7
    async with asyncio.TaskGroup() as group:
        first = group.create_task(shared.stream_end())
        await asyncio.sleep(0)
        assert stream.looks == 1
        later = [group.create_task(shared.stream_end()) for _ in range(5)]
        await asyncio.sleep(0)
        stream.may_answer.set()
    assert first.result().last_sequence == 1
    assert [task.result().last_sequence for task in later] == [2] * 5
    assert (await shared.stream_end()).last_sequence == 3
    stream.away = True
    with pytest.raises(Unavailable):
        await shared.stream_end()
    stream.away = False
    assert (await shared.stream_end()).last_sequence == 5


async def test_a_clock_is_read_once_for_all() -> None:
    readings = iter(range(10))

    class Clock:
        async def offset(self) -> Offset:
            return Offset(ahead=timedelta(seconds=next(readings)), doubt=timedelta(0))

    clock = VirtualClock(START)
    shared = SharedClock(Clock(), clock.monotonic)
    first = await shared.offset()
    assert await shared.offset() == first
    clock.advance(timedelta(seconds=FRESH_SECONDS))
    assert (await shared.offset()).ahead == timedelta(seconds=1)


async def test_each_agent_knows_whether_the_engine_of_all_is_parked() -> None:
    class Parking:
        times, away = 0, True

        async def park(self) -> None:
            self.times += 1
            if self.away:
                raise Unavailable("nobody knows")

    clock, parking = VirtualClock(START), Parking()
    shared = SharedParking(parking, clock.monotonic)
    for _ in range(3):
        with pytest.raises(Unavailable, match="nobody knows"):
            await shared.park()
    parking.away = False
    clock.advance(timedelta(seconds=FRESH_SECONDS))
    for _ in range(3):
        await shared.park()
    assert parking.times == 2
