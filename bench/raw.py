"""What the same Postgres does with single-row commits, one after the other, on one connection."""

from __future__ import annotations

import time

import asyncpg


async def commits_per_second(dsn: str, seconds: float) -> float:
    """Plain autocommit inserts of one small row."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table if not exists public.raw_commits (n bigint)")
        insert = await connection.prepare("insert into public.raw_commits values ($1)")
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            await insert.fetch(count)
            count += 1
        return count / (time.perf_counter() - began)
    finally:
        await connection.close()
