"""Sessions that lives borrow: as good as new for the next one, whatever the last one did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import TypeVar

import asyncpg
import pytest

from crash.sessions import BorrowingLoop, Keeper

Found = TypeVar("Found")
FAILS = "select 1 / (select 0)"
OWN = 3
"""The statements that the careful one prepares itself."""


async def careless(dsn: str) -> int:
    """A user that leaves everything behind and dies in mid-transaction."""
    connection = await asyncpg.connect(dsn, timeout=15, server_settings={"application_name": "a"})
    backend: int = await connection.fetchval("select pg_backend_pid()")
    await connection.execute("set statement_timeout = 12345; begin; create temp table left_open()")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.fetchval(FAILS)
    connection.terminate()
    await asyncio.sleep(0)  # the loop closes what is terminated in its next turn
    return backend


async def careful(dsn: str) -> tuple[int, str, int]:
    """The next user: sees a fresh session, may prepare the same names again, ends in good form."""
    connection = await asyncpg.connect(dsn, timeout=15, server_settings={"application_name": "a"})
    found = (
        await connection.fetchval("select pg_backend_pid()"),
        await connection.fetchval("show statement_timeout"),
        await connection.fetchval("select count(*) from pg_prepared_statements where name <> ''"),
    )
    await connection.close(timeout=5)
    return found


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """A keeper without sessions."""
    found = Keeper()
    yield found
    found.close()


def live(keeper: Keeper, work: Callable[[], Coroutine[object, object, Found]]) -> Found:
    """One life with what the keeper lends, in a thread of its own."""
    loop = BorrowingLoop(keeper.lend())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        found = runner.run(work())
    keeper.learn(loop.opened)
    return found


async def test_a_borrowed_session_is_the_same_backend_and_remembers_nothing(
    keeper: Keeper, database_dsn: str
) -> None:
    async def next_life(user: Callable[[str], Coroutine[object, object, Found]]) -> Found:
        return await asyncio.to_thread(live, keeper, lambda: user(database_dsn))

    first = await next_life(careless)
    second, third = await next_life(careless), await next_life(careless)
    assert len({first, second, third}) == 3  # what one life has left is not there for the next
    backend, setting, prepared = await next_life(careful)
    assert (backend, setting, prepared) == (second, "0", OWN)
    assert (await next_life(careful))[0] == third
    assert (await next_life(careful))[0] == second  # a good end does not end it either


async def test_a_session_that_the_server_has_ended_is_replaced(
    keeper: Keeper, database_dsn: str
) -> None:
    async def next_life(user: Callable[[str], Coroutine[object, object, Found]]) -> Found:
        return await asyncio.to_thread(live, keeper, lambda: user(database_dsn))

    for _ in range(3):
        await next_life(careless)
    admin = await asyncpg.connect(database_dsn, timeout=15)
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'a' and datname = current_database()"
    )
    await admin.close()
    assert (await next_life(careful))[1:] == ("0", OWN)
