"""The lease: one holder, an epoch for each, and the journal's fence moves with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import asyncpg
import pytest

from tests.adapters.postgres.values import AGENT
from tradesaga.adapters.postgres import holder
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.errors import Fenced, Unavailable

LONG, SHORT = timedelta(seconds=60), timedelta(milliseconds=50)
SEND = timedelta(seconds=7)
NONE = timedelta(0)
CLOCK = SystemClock()


class Leases:
    """Holders on one database."""

    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self._dsn, self._stack = dsn, stack

    def of(
        self, name: str, *, ttl: timedelta = LONG, dead: frozenset[str] = frozenset()
    ) -> PostgresLease:
        lease = PostgresLease(
            self._dsn,
            CLOCK,
            time_to_live=ttl,
            send_time_max=SEND,
            holder=name,
            is_dead=lambda holder: holder in dead,
            schema=SCHEMA,
        )
        self._stack.push_async_callback(lease.close)
        return lease


@pytest.fixture
async def leases(database_dsn: str) -> AsyncIterator[Leases]:
    async with AsyncExitStack() as stack:
        yield Leases(database_dsn, stack)


async def _head_epoch(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("select epoch from orchestration.heads"))
    finally:
        await connection.close()


async def test_one_holder_at_a_time(leases: Leases, database_dsn: str) -> None:
    a, b = leases.of("a"), leases.of("b")
    before = CLOCK.monotonic()
    held = await a.take(AGENT)
    assert held is not None
    assert (held.epoch, held.wait) == (1, NONE)
    assert before + 60 <= held.until <= CLOCK.monotonic() + 60
    assert await b.take(AGENT) is None
    with pytest.raises(Fenced):
        await b.renew(AGENT, 1)
    renewed = await a.renew(AGENT, 1)
    assert renewed.epoch == 1
    assert renewed.until > held.until
    assert await _head_epoch(database_dsn) == 1


async def test_many_at_once_make_one_holder(leases: Leases) -> None:
    rivals = [leases.of(str(n)) for n in range(8)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(rival.take(AGENT)) for rival in rivals]
    assert [held.epoch for task in tasks if (held := task.result()) is not None] == [1]


async def test_after_its_time_another_takes_it_and_waits(leases: Leases, database_dsn: str) -> None:
    a, b = leases.of("a", ttl=SHORT), leases.of("b")
    assert await a.take(AGENT) is not None
    held = None
    async with asyncio.timeout(5):
        while held is None:
            held = await b.take(AGENT)
    assert (held.epoch, held.wait) == (2, SEND)
    assert await _head_epoch(database_dsn) == 2
    with pytest.raises(Fenced):
        await a.renew(AGENT, 1)
    with pytest.raises(Fenced):
        await a.raise_epoch(AGENT, 1)
    await a.release(AGENT, 1)  # silent, and without effect
    assert (await b.renew(AGENT, 2)).epoch == 2


async def test_one_that_ran_out_unnoticed_lives_on(leases: Leases) -> None:
    a = leases.of("a", ttl=timedelta(0))
    assert await a.take(AGENT) is not None
    assert (await a.renew(AGENT, 1)).epoch == 1


async def test_a_clean_hand_over_needs_no_wait(leases: Leases) -> None:
    a, b = leases.of("a"), leases.of("b")
    assert await a.take(AGENT) is not None
    await a.release(AGENT, 1)
    held = await b.take(AGENT)
    assert held is not None
    assert (held.epoch, held.wait) == (2, NONE)


async def test_a_dead_holder_is_replaced_at_once(leases: Leases) -> None:
    assert await leases.of("a").take(AGENT) is not None
    assert await leases.of("b").take(AGENT) is None
    held = await leases.of("c", dead=frozenset({"a"})).take(AGENT)
    assert held is not None
    assert (held.epoch, held.wait) == (2, NONE)


async def test_the_holder_may_take_again_under_a_new_epoch(leases: Leases) -> None:
    assert await leases.of("a").take(AGENT) is not None
    held = await leases.of("a").take(AGENT)
    assert held is not None
    assert (held.epoch, held.wait) == (2, SEND)


async def test_raising_the_epoch_moves_the_fence(leases: Leases, database_dsn: str) -> None:
    a = leases.of("a")
    assert await a.take(AGENT) is not None
    held = await a.raise_epoch(AGENT, 1)
    assert held.epoch == 2
    assert await _head_epoch(database_dsn) == 2
    with pytest.raises(Fenced):
        await a.renew(AGENT, 1)


async def test_a_lost_connection_is_replaced(leases: Leases, database_dsn: str) -> None:
    a = leases.of("a")
    assert await a.take(AGENT) is not None
    admin = await asyncpg.connect(database_dsn)
    await admin.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where application_name = 'tradesaga lease' and datname = current_database()"
    )
    await admin.close()
    with suppress(Unavailable):  # unless the end of the connection was noticed before
        await a.renew(AGENT, 1)
    assert (await a.renew(AGENT, 1)).epoch == 1


async def test_no_server_is_unavailable() -> None:
    lease = PostgresLease("postgresql://x@/x?host=/nonexistent", CLOCK, schema=SCHEMA)
    with pytest.raises(Unavailable):
        await lease.take(AGENT)


def test_a_living_process_is_not_dead() -> None:
    assert not holder.is_provably_dead(holder.this_process())


def test_a_process_that_ended_is_dead() -> None:
    code = "from tradesaga.adapters.postgres.holder import this_process; print(this_process())"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout.strip()
    assert output.count(":") == 4
    assert holder.is_provably_dead(output)


def test_a_zombie_is_dead() -> None:
    pid = os.posix_spawn("/bin/true", ["/bin/true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    machine = holder.this_process().rsplit(":", 2)[0]
    with open(f"/proc/{pid}/stat") as file:
        started = file.read().rpartition(")")[2].split()[19]
    assert holder.is_provably_dead(f"{machine}:{pid}:{started}")
    os.waitpid(pid, 0)


def test_a_number_used_again_is_another_process() -> None:
    machine, pid, _ = holder.this_process().rsplit(":", 2)
    assert holder.is_provably_dead(f"{machine}:{pid}:1")


@pytest.mark.parametrize("holder_text", ["", "a", "elsewhere:b:c:1:1", "::::", "h:b:n:x:y"])
def test_nothing_is_proven_of_other_machines(holder_text: str) -> None:
    assert not holder.is_provably_dead(holder_text)


async def test_who_waits_asks_again_at_the_end_of_the_holders_time(leases: Leases) -> None:
    a, b = leases.of("a", ttl=timedelta(milliseconds=200)), leases.of("b")
    held = await a.take(AGENT)
    assert held is not None
    assert await b.take(AGENT) is None
    await b.freed(LONG)
    assert held.until - 0.05 <= CLOCK.monotonic() <= held.until + 2
    assert await b.take(AGENT) is not None


async def test_who_waits_notices_a_holder_that_dies(leases: Leases) -> None:
    dead: set[str] = set()
    a, b = leases.of("a"), leases.of("b")
    b._is_dead = dead.__contains__
    await a.take(AGENT)
    assert await b.take(AGENT) is None
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(b.freed(LONG))
        dead.add("a")
    assert await b.take(AGENT) is not None


async def test_without_a_holder_the_wait_is_what_was_asked(leases: Leases) -> None:
    before = CLOCK.monotonic()
    await leases.of("b").freed(SHORT)
    assert CLOCK.monotonic() - before >= SHORT.total_seconds()
