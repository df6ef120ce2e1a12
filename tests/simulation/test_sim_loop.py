from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tradesaga.testing.sim_loop import Deadlock, SimLoop


def run(seed: int, work: Coroutine[Any, Any, Any]) -> SimLoop:
    loop = SimLoop(seed)
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()
    return loop


async def race(heard: list[int]) -> None:
    async def runner(number: int) -> None:
        await asyncio.sleep(0)
        heard.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(runner(number))


def order_of(seed: int) -> list[int]:
    heard: list[int] = []
    run(seed, race(heard))
    return heard


def test_waiting_moves_the_clock_and_nothing_else() -> None:
    loop = run(1, asyncio.sleep(86_400))
    assert loop.time() == pytest.approx(86_400)
    assert loop.callbacks < 10


def test_timers_run_in_their_order() -> None:
    heard: list[float] = []

    async def sleepers() -> None:
        async with asyncio.TaskGroup() as group:
            for seconds in (3.0, 1.0, 2.0):
                group.create_task(sleeper(seconds))

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        heard.append(seconds)

    run(1, sleepers())
    assert heard == [1.0, 2.0, 3.0]


def test_the_seed_says_who_of_the_ready_ones_runs_first() -> None:
    orders = {seed: order_of(seed) for seed in range(8)}
    assert all(sorted(order) == list(range(6)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) > 1
    assert order_of(3) == orders[3]


def test_everybody_waiting_for_nobody_is_a_deadlock() -> None:
    loop = SimLoop(1)
    waiting = asyncio.Event().wait()
    with pytest.raises(Deadlock, match="no timer is set"):
        loop.run_until_complete(waiting)
    loop.set_exception_handler(lambda *_: None)  # the task that still waits is of no interest
    loop.close()


def test_a_trace_tells_what_was_noted_and_when() -> None:
    async def noting(line: str, after: float) -> None:
        await asyncio.sleep(after)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        loop.note(line)

    assert run(1, noting("a", 1)).trace == run(1, noting("a", 1)).trace
    assert run(1, noting("a", 1)).trace != run(1, noting("b", 1)).trace
    assert run(1, noting("a", 1)).trace != run(1, noting("a", 2)).trace
