"""Several agents over several nodes on one database: taken, handed over, lost; never held twice.

The nodes are driven step by step, so that each test says who is late, frozen or dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.values import change
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.lease_round import LeaseRound
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.nodes import PostgresNodes
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.account import Account
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Fenced
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.engine.fleet import Fleet
from tradesaga.engine.hosting import Hosted, Hosting
from tradesaga.engine.leadership import Leadership
from tradesaga.ports.journal import Insert

OLD, NEW = Identity(code="old"), Identity(code="new")
LIFE, PATIENCE = timedelta(milliseconds=700), 15
ACCOUNTS = [
    Account(
        id=AgentId(UUID(int=0xA0 + number)),
        agent_id=DEFAULT_AGENT,
        name=f"a{number}",
        trading_engine=f"http://x/{number}",
        created_at=datetime(2020, 12, 15, 17, tzinfo=UTC),
        created_by="ann",
    )
    for number in range(8)
]
ALL = {account.id for account in ACCOUNTS}


class Process:
    """A node: its register, its leases and its journal, one step at a time."""

    def __init__(self, town: Town, name: str, who: Identity, group: asyncio.TaskGroup) -> None:
        dsn, clock = town.dsn, SystemClock()
        self.town, self.name, self.who, self.group = town, name, who, group
        self.register = PostgresNodes(
            dsn,
            url=f"http://{name}",
            identity=who,
            own_id=name,
            fresh=LIFE,
            is_dead=town.dead.__contains__,
            schema=SCHEMA,
        )
        self.fleet = Fleet(self.register, who)
        self.rounds = LeaseRound(
            dsn,
            clock,
            time_to_live=LIFE,
            every=timedelta(milliseconds=1),
            holder=name,
            is_dead=town.dead.__contains__,
            schema=SCHEMA,
        )
        self.journal = PostgresJournal(dsn, schema=SCHEMA)
        self.leaderships: dict[AgentId, Leadership] = {}
        self.hosting = Hosting(
            driven=lambda: ACCOUNTS,
            fleet=self.fleet,
            drive=self.drive,
            ahead=self.rounds,
            monotonic=clock.monotonic,
        )
        self.writing = group.create_task(self.journal.run())

    async def drive(self, hosted: Hosted) -> None:
        """As much of an orchestrator as holds a lease and writes under it."""
        lease = PostgresLease(
            self.town.dsn,
            SystemClock(),
            time_to_live=LIFE,
            holder=self.name,
            is_dead=self.town.dead.__contains__,
            shared=self.rounds,
            schema=SCHEMA,
        )
        leadership = Leadership(
            lease=lease,
            clock=SystemClock(),
            agent_id=hosted.account.id,
            renew_every=timedelta(milliseconds=10),
            on_epoch=self.journal.open,
            hindrance=self.fleet.hindrance,
        )
        ready = asyncio.Event()
        control: Any = SimpleNamespace(ready=ready, recovered=ready, is_idle=lambda: True)
        hosted.control = control
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(self.lead(leadership, hosted, ready))
            await hosted.stop.wait()
            holding.cancel()
        await leadership.release()

    async def lead(self, leadership: Leadership, hosted: Hosted, ready: asyncio.Event) -> None:
        """Take and hold."""
        await leadership.take()
        self.leaderships[hosted.account.id] = leadership
        ready.set()
        await leadership.hold()

    async def step(self) -> None:
        """Announce, begin and hand over, renew."""
        await self.fleet.look()
        await self.hosting.adjust(self.group)
        await asyncio.sleep(0.02)
        await self.rounds.run_once()

    async def end(self) -> None:
        """In good order."""
        for hosted in self.hosting.all():
            hosted.stop.set()
        async with asyncio.timeout(PATIENCE):
            while self.hosting.all():
                await self.rounds.run_once()
                await asyncio.sleep(0.01)
        await self.register.leave()
        self.town.nodes.remove(self)

    async def close(self) -> None:
        """After its end."""
        await self.journal.close(timedelta(seconds=1))
        await self.rounds.close()
        await self.register.close()


class Town:
    """All nodes, and what the leases say."""

    def __init__(self, dsn: str, group: asyncio.TaskGroup) -> None:
        self.dsn, self.group = dsn, group
        self.dead: set[str] = set()
        self.nodes: list[Process] = []
        self.ever: list[Process] = []

    async def node(self, name: str, who: Identity = OLD) -> Process:
        made = Process(self, name, who, self.group)
        self.nodes.append(made)
        self.ever.append(made)
        return made

    async def held(self) -> dict[str, set[AgentId]]:
        """The agents of each holder whose time runs."""
        connection = await asyncpg.connect(self.dsn)
        try:
            rows = await connection.fetch(
                "select agent_id, holder from orchestration.leases "
                "where holder is not null and expires_at > clock_timestamp()"
            )
        finally:
            await connection.close()
        found: dict[str, set[AgentId]] = {}
        for row in rows:
            found.setdefault(row["holder"], set()).add(AgentId(row["agent_id"]))
        return found

    async def until_held_by(self, *names: str) -> dict[str, set[AgentId]]:
        """Step until exactly these hold all agents, each some."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for node in self.nodes:
                    await node.step()
                found = await self.held()
                identities = {node.who for node in self.nodes if node.name in found}
                assert len(identities) <= 1, "two builds drive agents"
                if set(found) == set(names) and set().union(*found.values()) == ALL:
                    return found


@asynccontextmanager
async def a_town(dsn: str) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        town = Town(dsn, group)
        try:
            yield town
        finally:
            for node in list(town.nodes):
                await node.end()
            for node in town.ever:
                stack.push_async_callback(node.close)
                node.writing.cancel()


async def test_agents_move_when_a_node_joins_ends_and_dies(database_dsn: str) -> None:
    async with a_town(database_dsn) as town:
        await town.node("a")
        await town.until_held_by("a")
        b = await town.node("b")
        shares = await town.until_held_by("a", "b")
        c = await town.node("c")
        after = await town.until_held_by("a", "b", "c")
        assert after["a"] <= shares["a"], "nothing moves but to the one that joined"
        assert after["b"] <= shares["b"]
        await c.end()
        assert await town.until_held_by("a", "b") == shares
        town.nodes.remove(b)
        town.dead.add("b")  # as /proc shows it: nobody waits for its leases
        began = asyncio.get_running_loop().time()
        await town.until_held_by("a")
        assert asyncio.get_running_loop().time() - began < PATIENCE
        for hosted in b.hosting.all():
            hosted.stop.set()


async def test_a_frozen_node_that_wakes_up_can_neither_send_nor_write(database_dsn: str) -> None:
    async with a_town(database_dsn) as town:
        a, _ = await town.node("a"), await town.node("b")
        lost = (await town.until_held_by("a", "b"))["a"]
        epochs = {agent_id: a.leaderships[agent_id].epoch for agent_id in lost}
        async with asyncio.timeout(PATIENCE):  # a busy machine may have renewed them long ago
            while not all(a.leaderships[agent_id].may_send(opening=False) for agent_id in lost):
                await a.step()
        town.nodes.remove(a)  # it stands still: no step of it is made
        await town.until_held_by("b")

        for agent_id in lost:  # it wakes up, and has not noticed yet
            assert not a.leaderships[agent_id].may_send(opening=False)
            row = replace(values.agent(), id=agent_id)
            late = replace(change(Insert(row)), agent_id=agent_id, epoch=epochs[agent_id])
            with pytest.raises(Fenced):
                await a.journal.commit(late)
        town.nodes.append(a)
        shares = await town.until_held_by("a", "b")
        assert shares["a"] == lost, "it takes its share anew"
        assert all(a.leaderships[agent_id].epoch > epochs[agent_id] for agent_id in lost)


async def test_an_upgrade_goes_node_by_node_and_two_builds_never_trade(database_dsn: str) -> None:
    async with a_town(database_dsn) as town:
        a, b = await town.node("a"), await town.node("b")
        await town.until_held_by("a", "b")
        await b.end()
        await town.node("b-new", NEW)
        await town.until_held_by("a")
        for _ in range(5):
            await town.until_held_by("a")  # the new one stands by
        await a.end()
        await town.until_held_by("b-new")
        await town.node("a-new", NEW)
        await town.until_held_by("a-new", "b-new")
        await town.node("late", OLD)
        for _ in range(5):
            await town.until_held_by("a-new", "b-new")  # one that a release has missed
