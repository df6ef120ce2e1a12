"""What the same Postgres does with single-row commits: one after the other, and at a pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg


async def commits_per_second(dsn: str, seconds: float) -> float:
    """Plain autocommit inserts of one small row."""
    async with _insert(dsn) as insert:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            await insert(count)
            count += 1
        return count / (time.perf_counter() - began)


async def commit_milliseconds(dsn: str, per_second: int | None, seconds: float) -> list[float]:
    """How long such an insert takes when they come at a steady pace, or without a pause; sorted.

    The floor of whatever commits at this pace: between two of them caches and cores go cold.
    """
    took: list[float] = []
    async with _insert(dsn) as insert:
        first, number = time.perf_counter(), 0
        while True:
            if per_second is not None:
                await asyncio.sleep(first + number / per_second - time.perf_counter())
            began = time.perf_counter()
            if began >= first + seconds:
                break
            await insert(number)
            took.append((time.perf_counter() - began) * 1000)
            number += 1
    return sorted(took)


@asynccontextmanager
async def _insert(dsn: str) -> AsyncIterator[Callable[[int], Awaitable[object]]]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table if not exists public.raw_commits (n bigint)")
        yield (await connection.prepare("insert into public.raw_commits values ($1)")).fetch
    finally:
        await connection.close()
