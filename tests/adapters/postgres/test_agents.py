"""Agents beside each other on Postgres: who there is, and their leases in rounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from unittest.mock import AsyncMock
from uuid import UUID

import pytest

from tests.adapters.postgres.running import running
from tests.adapters.postgres.values import AGENT, NOW, change
from tradesaga.adapters.postgres.accounts import PostgresAccountRecords
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.lease_round import LeaseRound
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.system import SystemClock, SystemIds
from tradesaga.domain.account import Account
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.errors import Conflict, Fenced, IllegalTransition, Invalid, NotFound
from tradesaga.domain.ids import AgentId
from tradesaga.engine.account_book import AccountBook
from tradesaga.ports.journal import Entry, Row, Update

URL = "http://engine:3002/accounts"
DEFAULT = Account(
    id=AGENT,
    agent_id=AGENT,
    name="default",
    trading_engine="http://engine:3002",
    created_at=NOW,
    created_by="configuration",
)
LONG = timedelta(minutes=1)
AGENTS = [AgentId(UUID(int=900 + number)) for number in range(5)]


class Town:
    """The journal of the default agent, and books over it as two nodes have them."""

    def __init__(self, journal: object, pool: ReaderPool) -> None:
        self.journal, self.pool = journal, pool
        self.refusal = ""

    async def fact(self, rows: list[Row], entries: list[Entry]) -> None:
        """The scribe's part."""
        await self.journal.commit(replace(change(*rows), entries=tuple(entries)))  # type: ignore[attr-defined]  # any journal

    def book(self) -> AccountBook:
        return AccountBook(
            scribe=self,  # type: ignore[arg-type]  # as much of it as the book uses
            records=PostgresAccountRecords(self.pool),
            clock=SystemClock(),
            ids=SystemIds(),
            default=DEFAULT,
            refusal=lambda: self.refusal,
        )


@pytest.fixture
async def town(database_dsn: str) -> AsyncIterator[Town]:
    async with running(database_dsn) as parts:
        pool = ReaderPool(database_dsn, schema=SCHEMA)
        yield Town(parts.journal, pool)
        await pool.close()


async def test_agents_are_made_seen_elsewhere_and_retired(town: Town) -> None:
    here, there = town.book(), town.book()
    await there.look()
    assert [one.account.name for one in await there.agents()] == ["default"]
    made = await here.add("second", f"{URL}/2/", actor="ann")
    assert (made.status, made.account.trading_engine) == (None, f"{URL}/2")
    assert there.driven() == []
    await there.look()
    assert [account.id for account in there.driven()] == [made.account.id]
    assert there.find(made.account.id) == made.account

    retired = await there.retire(made.account.id, actor="ann")
    assert retired.account.retired_at is not None
    assert await there.retire(made.account.id, actor="bob") == retired, "a repeat changes nothing"
    assert there.driven() == []
    await here.look()
    assert here.driven() == []
    assert (await here.agent(made.account.id)).account == retired.account


async def test_what_cannot_be_an_agent_is_refused(town: Town) -> None:
    book = town.book()
    made = await book.add("second", f"{URL}/2", actor="ann")
    for name, url in (("second", f"{URL}/3"), ("third", f"{URL}/2/"), ("x", "http://engine:3002/")):
        with pytest.raises(Conflict):
            await book.add(name, url, actor="ann")
    with pytest.raises(Invalid):
        await book.add("a name", "nowhere", actor="ann")
    with pytest.raises(IllegalTransition):
        await book.retire(AGENT, actor="ann")
    with pytest.raises(NotFound):
        await book.retire(AgentId(UUID(int=5)), actor="ann")
    await book.retire(made.account.id, actor="ann")
    await book.add("second", f"{URL}/2", actor="ann")  # both are free again
    town.refusal = "the venue ignores our ids"
    with pytest.raises(Conflict, match="ignores"):
        await book.add("fourth", f"{URL}/4", actor="ann")


async def test_two_nodes_never_make_the_same_twice(town: Town) -> None:
    here, there = town.book(), town.book()
    await here.look()
    await there.look()
    await here.add("second", f"{URL}/2", actor="ann")
    with pytest.raises(Conflict):
        await there.add("second", f"{URL}/3", actor="ann")


async def test_one_that_runs_is_not_retired(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    book = town.book()
    made = await book.add("second", f"{URL}/2", actor="ann")

    for found in ((AgentStatus.RUNNING, "", 0), (AgentStatus.STOPPED, "", 1)):
        standing = AsyncMock(return_value={made.account.id: found})
        monkeypatch.setattr(book._records, "standing", standing)
        with pytest.raises(IllegalTransition):
            await book.retire(made.account.id, actor="ann")
    assert book.driven(), "it is driven on"


async def test_one_that_was_retired_with_something_open_is_driven_on(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = town.book()
    made = await first.add("second", f"{URL}/2", actor="ann")
    after = replace(made.account, retired_at=NOW, version=2)
    await town.fact([Update(after)], [Entry(kind="k", subject="s", actor="a", body={})])
    book = town.book()

    async def standing(_: object) -> dict[AgentId, tuple[AgentStatus, str, int]]:
        return {made.account.id: (AgentStatus.STOPPED, "", 1)}

    monkeypatch.setattr(book._records, "standing", standing)
    await book.look()
    assert book.driven() == [after]


class Holder:
    """One process and its leases of all agents."""

    def __init__(self, dsn: str, name: str, stack: AsyncExitStack) -> None:
        self.rounds = LeaseRound(
            dsn,
            SystemClock(),
            time_to_live=LONG,
            every=timedelta(milliseconds=1),
            holder=name,
            schema=SCHEMA,
        )
        self.lease = PostgresLease(
            dsn, SystemClock(), time_to_live=LONG, holder=name, shared=self.rounds, schema=SCHEMA
        )
        stack.push_async_callback(self.rounds.close)

    async def renewed(self, epochs: dict[AgentId, int]) -> dict[AgentId, object]:
        """What each is told in one round."""

        async def one(agent_id: AgentId) -> object:
            try:
                return (await self.lease.renew(agent_id, epochs[agent_id])).epoch
            except Fenced as error:
                return type(error)

        async with asyncio.TaskGroup() as group:
            tasks = {agent_id: group.create_task(one(agent_id)) for agent_id in epochs}
            for _ in range(5):  # until each has asked
                await asyncio.sleep(0)
            await self.rounds.run_once()
        return {agent_id: task.result() for agent_id, task in tasks.items()}


async def test_one_round_renews_all_and_tells_each_who_has_lost_his(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        a, b = (Holder(database_dsn, name, stack) for name in ("a", "b"))
        epochs = {}
        for agent_id in AGENTS:
            held = await a.lease.take(agent_id)
            assert held is not None
            epochs[agent_id] = held.epoch
        await a.lease.release(AGENTS[0], epochs[AGENTS[0]])
        assert await b.lease.take(AGENTS[0]) is not None
        raised = await a.lease.raise_epoch(AGENTS[1], epochs[AGENTS[1]])

        statements: list[str] = []
        assert (await a.renewed(epochs))[AGENTS[2]] == epochs[AGENTS[2]]  # it is connected
        connection = a.rounds._renewals._connection
        assert connection is not None
        connection.add_query_logger(lambda told: statements.append(told.query))
        told = await a.renewed(epochs)

    assert len([text for text in statements if "update leases" in text]) == 1
    assert told[AGENTS[0]] is Fenced
    assert told[AGENTS[1]] is Fenced, "an epoch that is over is not renewed"
    assert raised.epoch == epochs[AGENTS[1]] + 1
    assert [told[agent_id] for agent_id in AGENTS[2:]] == [epochs[a] for a in AGENTS[2:]]
