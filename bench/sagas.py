"""Durable trade sagas per second over concurrency, and what one of them costs.

Each saga is a decision with its inbox row, then reservation, intent, submission, fill, position,
trade and release: two commits, 14 row writes. The lean path is a saga's row alone, inserted and
replaced twice, with its log: what the journal does when there is next to nothing to write.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.product import POLICY, Product, decision_at
from bench.server import Spent, spent
from bench.venue import PRICE
from tradesaga.domain.trade_start import trade_for
from tradesaga.domain.values import changed
from tradesaga.ports.journal import Entry, Insert, Update

LOG_ENTRIES = 3
ROW_WRITES = 11 + LOG_ENTRIES
"""Rows of state (8 tables, three of them written twice) and the log; sums, which a batch writes
once for all, are not counted.
"""
COMMITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One row of the table; latencies in milliseconds."""

    concurrency: int
    sagas: int
    per_second: float
    p50: float
    p99: float
    spent: Spent


def percentile(sorted_values: list[float], percent: int) -> float:
    """The value below which `percent` of them lie; nan of none."""
    if not sorted_values:
        return float("nan")
    return sorted_values[min(len(sorted_values) - 1, len(sorted_values) * percent // 100)]


async def level(
    work: Callable[[], Awaitable[None]],
    concurrency: int,
    seconds: float,
    server: tuple[str, int],
) -> Figures:
    """Repeat `work` in so many tasks for about `seconds`; `server` is its dsn and its pid."""
    latencies: list[float] = []
    before = await spent(*server)
    began = time.perf_counter()
    end = began + seconds

    async def worker() -> None:
        while time.perf_counter() < end:
            start = time.perf_counter()
            await work()
            latencies.append((time.perf_counter() - start) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    took = time.perf_counter() - began
    cost = await spent(*server) - before
    latencies.sort()
    return Figures(
        concurrency=concurrency,
        sagas=len(latencies),
        per_second=len(latencies) / took,
        p50=percentile(latencies, 50),
        p99=percentile(latencies, 99),
        spent=cost,
    )


async def times(work: Callable[[], Awaitable[None]], concurrency: int, number: int) -> None:
    """Do `work` so many times in so many tasks, and keep nothing of it."""
    left = number

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await work()

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())


async def lean(product: Product) -> None:
    """A saga's row, inserted and twice replaced, each with one entry of the log."""
    now = product.clock.now()
    saga = trade_for(decision_at(now), reserve=PRICE, now=now, policy=POLICY).saga
    said = [Entry(kind="saga.step", subject=str(saga.id), actor="bench", body={"step": "lean"})]
    await product.scribe.fact([Insert(saga)], said)
    for version in (2, 3):
        await product.scribe.fact([Update(changed(saga, version=version))], said)
