"""The servers of the test run themselves: every test has its own database."""

from __future__ import annotations

import asyncpg
import pytest


@pytest.mark.parametrize("number", range(4))
async def test_each_test_has_a_fresh_database(database_dsn: str, number: int) -> None:
    connection = await asyncpg.connect(database_dsn, timeout=15)
    await connection.execute("create table only_here (number int)")
    await connection.execute("insert into only_here values ($1)", number)
    assert await connection.fetchval("select number from only_here") == number
    await connection.close()
