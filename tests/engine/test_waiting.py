"""A deadline over several steps: what is in hand ends, what comes later does not begin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tradesaga.domain.errors import DeadlineExceeded, Unavailable
from tradesaga.engine.waiting import Deadline
from tradesaga.testing.clock import VirtualClock

BEGINNING = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(BEGINNING)


@pytest.fixture
def deadline(clock: VirtualClock) -> Deadline:
    return Deadline(clock, BEGINNING + timedelta(seconds=10), patience_until=0.0)


def lasting(clock: VirtualClock, seconds: int, log: list[str]) -> Callable[[], Awaitable[str]]:
    async def step() -> str:
        log.append("begun")
        try:
            await clock.sleep_until(clock.now() + timedelta(seconds=seconds))
        except asyncio.CancelledError:
            log.append("ended")
            raise
        return "done"

    return step


async def test_what_is_done_in_time_is_left_alone(clock: VirtualClock, deadline: Deadline) -> None:
    async def work() -> list[str]:
        return [await deadline.within(lasting(clock, 4, [])) for _ in range(2)]

    assert await deadline.over(work) == ["done", "done"]
    assert clock.now() == BEGINNING + timedelta(seconds=8)


async def test_what_is_in_hand_ends_and_what_follows_does_not_begin(
    clock: VirtualClock, deadline: Deadline
) -> None:
    log: list[str] = []

    async def work() -> None:
        for _ in range(2):
            with pytest.raises(DeadlineExceeded, match="not done by 2026-03-02T14:30:10"):
                await deadline.within(lasting(clock, 60, log))

    await deadline.over(work)
    assert log == ["begun", "ended"]
    assert clock.now() == BEGINNING + timedelta(seconds=10)


async def test_steps_side_by_side_end_together(clock: VirtualClock, deadline: Deadline) -> None:
    log: list[str] = []

    async def one() -> None:
        with pytest.raises(DeadlineExceeded):
            await deadline.within(lasting(clock, 60, log))

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(one())
            group.create_task(one())

    await deadline.over(work)
    assert log == ["begun", "begun", "ended", "ended"]


async def test_what_is_not_under_it_goes_on(clock: VirtualClock, deadline: Deadline) -> None:
    assert await deadline.over(lasting(clock, 60, [])) == "done"


async def test_real_time_must_be_past_as_well(clock: VirtualClock) -> None:
    deadline = Deadline(clock, BEGINNING, patience_until=0.01)
    log: list[str] = []

    async def work() -> str:
        clock.advance(timedelta(seconds=5))  # this clock's real time goes with the other
        return await deadline.within(lasting(clock, 1, log))

    with pytest.raises(DeadlineExceeded):
        await deadline.over(work)
    patient = Deadline(clock, BEGINNING, patience_until=clock.monotonic() + 3600)
    assert await patient.over(lambda: patient.within(lasting(clock, 1, log))) == "done"


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError("of its own")])
async def test_an_error_of_the_step_is_raised_as_it_is(
    deadline: Deadline, error: Exception
) -> None:
    async def step() -> None:
        raise error

    async def work() -> None:
        with pytest.raises(type(error)) as raised:
            await deadline.within(step)
        assert raised.value is error

    await deadline.over(work)


async def test_errors_of_ours_leave_it_ungrouped(deadline: Deadline) -> None:
    async def work() -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await deadline.over(work)


async def test_whoever_cancels_it_is_heard(clock: VirtualClock, deadline: Deadline) -> None:
    log: list[str] = []
    step = lasting(clock, 5, log)
    async with asyncio.TaskGroup() as group:
        working = group.create_task(deadline.over(lambda: deadline.within(step)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert log == ["begun"]
        working.cancel()
    assert working.cancelled()
    assert log == ["begun", "ended"]
