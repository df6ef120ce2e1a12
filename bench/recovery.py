"""A new process finds thousands of intents that may have been sent, and brings each to its end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bench.product import AGENT, Product, product
from tradesaga.engine.recovery import resume
from tradesaga.engine.saga_crew import SagaCrew

AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Seconds from the lease: to read all open sagas, and until all have ended."""

    sagas: int
    read: float
    ended: float


async def leave_open(made: Product, number: int) -> None:
    """Begin sagas and run none."""
    left = iter(range(number))

    async def worker() -> None:
        for _ in left:
            await made.begun()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


async def recover(dsn: str, number: int) -> Recovered:
    """Leave `number` sagas open, forget them, and begin anew as a process that starts does."""
    async with product(dsn) as first:
        await leave_open(first, number)
    async with product(dsn) as second, asyncio.TaskGroup() as group:
        began = time.perf_counter()
        states = await second.records.open_trades(AGENT)
        read = time.perf_counter() - began
        trades = [second.desk.trades.add(state) for state in states]
        crew = SagaCrew(runner=second.runner, desk=second.desk, clock=second.clock, group=group)
        await resume(trades, second.desk, crew)
        for trade in trades:
            await trade.ended.wait()
        ended = time.perf_counter() - began
    return Recovered(sagas=len(states), read=read, ended=ended)
