"""Leases of many agents at once: taken ahead by one statement, renewed, handed over, lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.lease_round import LeaseRound
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.testing.clock import VirtualClock

LONG, SENDING = timedelta(minutes=1), timedelta(seconds=7)
AGENTS = [AgentId(UUID(int=0xE00 + number)) for number in range(40)]
FIRST, *REST = AGENTS


class Process:
    """One process: its rounds, and the leases of single agents over them."""

    def __init__(self, dsn: str, name: str, dead: set[str]) -> None:
        self.dsn, self.name, self.statements, self.is_heard = dsn, name, list[str](), False
        self.rounds = LeaseRound(
            dsn,
            SystemClock(),
            time_to_live=LONG,
            send_time_max=SENDING,
            every=timedelta(seconds=30),
            holder=name,
            is_dead=dead.__contains__,
            schema=SCHEMA,
        )
        self.lease = PostgresLease(
            dsn, SystemClock(), time_to_live=LONG, holder=name, shared=self.rounds, schema=SCHEMA
        )

    async def ahead(
        self, wanted: Collection[AgentId], keeping: Collection[AgentId] = AGENTS
    ) -> set[AgentId]:
        found = await self.rounds.hold_ahead(wanted, keeping=keeping)
        connection = self.rounds.kept._connection
        if connection is not None and not self.is_heard:
            connection.add_query_logger(lambda told: self.statements.append(told.query))
            self.is_heard = True
        return set(found)

    async def renewed(self, *asked: tuple[AgentId, int]) -> list[bool]:
        """What each is told, asked at the same time, of one round."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.rounds.renew(*key)) for key in asked]
            for _ in range(3):  # until each has asked
                await asyncio.sleep(0)
            await self.rounds.run_once()
        return [task.result()[0] for task in tasks]


class Town:
    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self.dsn, self.dead = dsn, set[str]()
        self.a, self.b = (Process(dsn, name, self.dead) for name in ("a", "b"))
        for process in (self.a, self.b):
            stack.push_async_callback(process.rounds.close)

    async def ask(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(
            self.dsn, server_settings={"search_path": "orchestration"}
        )
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def held(self, name: str) -> set[AgentId]:
        rows = await self.ask(
            "select l.agent_id from leases l join heads h using (agent_id, epoch) "
            "where holder = $1 and expires_at > clock_timestamp()",
            name,
        )
        return {AgentId(row["agent_id"]) for row in rows}


@pytest.fixture
async def town(database_dsn: str) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(database_dsn, stack)


async def test_all_are_taken_and_fenced_by_one_statement(town: Town) -> None:
    assert await town.a.ahead([]) == set()
    assert await town.a.ahead(AGENTS[:1]) == {FIRST}
    assert await town.a.ahead(AGENTS) == set(AGENTS)
    assert await town.held("a") == set(AGENTS), "with their heads under the same epoch"
    assert len([text for text in town.a.statements if "insert into leases" in text]) == 1
    assert len(town.a.statements) == 2, "one look, one take"


async def test_what_is_held_ahead_is_handed_to_its_agent_once(town: Town) -> None:
    await town.a.ahead(AGENTS)
    held = await town.a.lease.take(FIRST)
    assert held is not None
    assert (held.epoch, held.wait) == (1, timedelta(0))
    assert await town.a.ahead(REST) == set(REST)
    assert await town.a.renewed((FIRST, 1)) == [True]
    again = await town.a.lease.take(FIRST)  # as after a failure: there is nothing ahead
    assert again is not None
    assert again.epoch == 2


async def test_what_is_held_ahead_is_renewed_and_what_was_lost_is_not_handed_over(
    town: Town,
) -> None:
    await town.a.ahead(AGENTS)
    [before] = await town.ask("select expires_at from leases where agent_id = $1", REST[0])
    await town.ask(
        "update leases set expires_at = now() - interval '1 second' where agent_id = $1", FIRST
    )
    assert (await town.b.lease.take(FIRST)) is not None
    await town.a.rounds.run_once()
    [after] = await town.ask("select expires_at from leases where agent_id = $1", REST[0])
    assert after["expires_at"] > before["expires_at"]
    assert await town.a.ahead(AGENTS) == set(REST)
    assert await town.a.lease.take(FIRST) is None, "another one has it"


async def test_one_that_waits_for_it_gets_it_when_its_holder_is_dead_and_needs_no_pause(
    town: Town,
) -> None:
    await town.a.ahead(AGENTS)
    assert await town.b.ahead(AGENTS) == set()
    town.b.statements.clear()
    assert await town.b.ahead(AGENTS) == set()
    assert town.b.statements == [], "nobody is asked while nothing can have changed"
    town.dead.add("a")
    assert await town.b.ahead(AGENTS) == set(AGENTS)
    held = await town.b.lease.take(FIRST)
    assert held is not None
    assert (held.epoch, held.wait) == (2, timedelta(0))
    assert await town.a.renewed((FIRST, 1), (REST[0], 1)) == [False, False]


async def test_after_a_holder_whose_time_is_over_orders_wait(town: Town) -> None:
    await town.a.ahead(AGENTS)
    await town.ask("update leases set expires_at = now() - interval '1 second'")
    assert await town.b.ahead(AGENTS) == set(AGENTS)
    held = await town.b.lease.take(FIRST)
    assert held is not None
    assert timedelta(0) < held.wait <= SENDING, "an order of the old holder may be on its way"
    await town.a.rounds.run_once()
    assert await town.a.ahead([]) == set(), "all were lost"


async def test_what_falls_to_another_is_given_up_at_once(town: Town) -> None:
    await town.a.ahead(AGENTS)
    assert await town.a.ahead([], keeping=REST) == set(REST)
    assert await town.b.ahead([FIRST]) == {FIRST}
    held = await town.b.lease.take(FIRST)
    assert held is not None
    assert held.wait == timedelta(0), "it was given up in good order"


async def test_each_that_asks_for_a_renewal_is_answered(town: Town) -> None:
    """Two that ask for one agent, of the same epoch or of two, and one that went away."""
    held = await town.a.lease.take(FIRST)
    assert held is not None
    raised = await town.a.lease.raise_epoch(FIRST, held.epoch)
    new, old = raised.epoch, held.epoch
    async with asyncio.timeout(5):
        assert await town.a.renewed((FIRST, new), (FIRST, new), (FIRST, old)) == [True, True, False]
        async with asyncio.TaskGroup() as group:
            gone, stays = (group.create_task(town.a.rounds.renew(FIRST, new)) for _ in range(2))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
            await town.a.rounds.run_once()
    assert stays.result()[0]


async def test_those_that_wait_to_be_given_up_go_by_one_statement(town: Town) -> None:
    await town.a.ahead(AGENTS)
    held = {agent_id: await town.a.lease.take(agent_id) for agent_id in REST}
    town.a.statements.clear()
    async with asyncio.TaskGroup() as group:
        for agent_id, one in held.items():
            assert one is not None
            epoch = one.epoch + (agent_id == REST[-1])  # the last one's is not ours
            group.create_task(town.a.lease.release(agent_id, epoch))
    told = [text for text in town.a.statements if "update leases" in text]
    assert len(told) == 2, "the first one's, and that of all who waited for its end"
    assert await town.held("a") == {FIRST, REST[-1]}
    assert await town.b.ahead(REST[:-1]) == set(REST[:-1])


async def test_without_an_answer_everybody_is_told(town: Town) -> None:
    held = await town.a.lease.take(FIRST)
    assert held is not None
    for kept in (town.a.rounds.kept, town.a.rounds._renewals):
        kept._dsn = "postgresql://nobody@127.0.0.1:1/none"
    await town.a.rounds.close()
    with pytest.raises(ExceptionGroup) as told:
        await town.a.renewed((FIRST, held.epoch), (FIRST, held.epoch))
    assert all(isinstance(one, Unavailable) for one in told.value.exceptions)
    with pytest.raises(Unavailable):
        await town.a.ahead(AGENTS)


async def test_a_pause_counts_from_when_the_lease_was_taken(database_dsn: str) -> None:
    clock = VirtualClock(SystemClock().now())
    process = Process(database_dsn, "a", set())
    process.rounds._clock = clock
    try:
        await process.ahead(AGENTS[:2])
        process.rounds._ahead = {
            key: (type(held)(epoch=held.epoch, until=held.until, wait=SENDING), since)
            for key, (held, since) in process.rounds._ahead.items()
        }
        now = clock.monotonic()
        early = process.rounds.taken(AGENTS[0])
        clock.advance(timedelta(seconds=5))
        late = process.rounds.taken(AGENTS[1])
    finally:
        await process.rounds.close()
    assert early is not None
    assert late is not None
    assert early.wait == SENDING
    assert late.wait == SENDING - timedelta(seconds=clock.monotonic() - now)
