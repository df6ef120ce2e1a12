"""What many agents ask at a time is asked by one statement, and each is answered as if alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, NOW, SECOND, change, entry
from tests.api.checkpoints import CHECKPOINT
from tradesaga.adapters.postgres.decoding import Row
from tradesaga.adapters.postgres.records import PostgresOutbox, PostgresRecords
from tradesaga.adapters.postgres.sent_events import PostgresSentEvents
from tradesaga.adapters.postgres.together import AT_ONCE_MAX, Together
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import Event
from tradesaga.domain.ids import AgentId
from tradesaga.ports.journal import Insert, Update

SQL = "select id from things where agent_id = $1 order by id"
KEYS = [UUID(int=number) for number in range(6)]
AGENTS = [AGENT, *(AgentId(UUID(int=0xAB0 + number)) for number in range(4))]
UNKNOWN = AgentId(UUID(int=1))


class Server:
    """Has two things of each agent; answers when the test lets it."""

    def __init__(self) -> None:
        self.statements: list[int] = []
        """About how many agents each was."""
        self.may_answer, self.was_asked = asyncio.Event(), asyncio.Event()
        self.may_answer.set()
        self.refuses: UUID | None = None
        self.slow: UUID | None = None
        self.answered: list[Any] = []
        self.away = False
        self.together = Together(self.fetch)

    async def fetch(self, sql: str, key: Any) -> Sequence[Row]:
        many = "unnest" in sql
        keys = key if many else [key]
        self.statements.append(len(keys))
        self.was_asked.set()
        await self.may_answer.wait()
        if self.away:
            raise Unavailable("away")
        if self.refuses in keys:
            raise asyncpg.DataError("no")
        if self.slow in keys:
            for _ in range(100):
                await asyncio.sleep(0)
            self.answered.append(key)
            raise Unavailable("it took too long")
        self.answered.append(key)
        rows = [(f"{one.int}-{turn}",) for one in keys for turn in (1, 2)]
        if not many:
            return rows
        return [(at // 2 + 1, at % 2 + 1, *row) for at, row in reversed([*enumerate(rows)])]

    async def ask(self, key: UUID) -> Sequence[Row]:
        return await self.together.ask(SQL, key)


async def asked_at_once(server: Server, keys: Sequence[UUID]) -> list[Sequence[Row] | Exception]:
    async def one(key: UUID) -> Sequence[Row] | Exception:
        try:
            return await server.ask(key)
        except (Unavailable, asyncpg.PostgresError) as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(key)) for key in keys]
    return [task.result() for task in tasks]


def rows_of(key: UUID) -> list[Row]:
    return [(f"{key.int}-1",), (f"{key.int}-2",)]


async def test_who_asks_at_a_time_is_asked_for_by_one_statement_and_gets_his_own_rows() -> None:
    server = Server()
    assert await asked_at_once(server, KEYS) == [rows_of(key) for key in KEYS]
    assert server.statements == [len(KEYS)]
    assert await server.ask(KEYS[0]) == rows_of(KEYS[0])
    assert server.statements == [len(KEYS), 1]


async def test_what_was_asked_while_a_statement_ran_is_read_after_it() -> None:
    server = Server()
    server.may_answer.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(server.ask(KEYS[0]))
        await server.was_asked.wait()
        later = [group.create_task(server.ask(key)) for key in (KEYS[0], *KEYS)]
        await asyncio.sleep(0)
        assert server.statements == [1]
        server.may_answer.set()
    assert first.result() == later[0].result() == later[1].result() == rows_of(KEYS[0])
    assert server.statements == [1, 1 + len(KEYS)]


async def test_a_statement_is_about_no_more_than_so_many() -> None:
    server = Server()
    keys = [UUID(int=number) for number in range(AT_ONCE_MAX + 3)]
    assert await asked_at_once(server, keys) == [rows_of(key) for key in keys]
    assert server.statements == [AT_ONCE_MAX, 3]


async def test_who_asked_for_all_and_is_cancelled_leaves_the_others_to_one_of_them() -> None:
    server = Server()
    server.may_answer.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(server.ask(key)) for key in KEYS]
        await server.was_asked.wait()
        tasks[0].cancel()
        tasks[3].cancel()
        await asyncio.sleep(0)
        server.may_answer.set()
    left = [at for at in range(len(KEYS)) if at not in (0, 3)]
    assert [tasks[at].result() for at in left] == [rows_of(KEYS[at]) for at in left]
    assert server.statements == [len(KEYS), len(left)]


async def test_what_is_refused_is_refused_to_him_alone_whom_it_concerns() -> None:
    server = Server()
    server.refuses = KEYS[2]
    found = await asked_at_once(server, KEYS)
    assert isinstance(found.pop(2), asyncpg.DataError)
    assert found == [rows_of(key) for key in KEYS if key != KEYS[2]]
    assert server.statements == [len(KEYS), *(1 for _ in KEYS)]


async def test_one_whose_answer_takes_too_long_keeps_nobody_waiting() -> None:
    server = Server()
    server.slow = KEYS[2]
    found = await asked_at_once(server, KEYS)
    assert isinstance(found.pop(2), Unavailable)
    assert found == [rows_of(key) for key in KEYS if key != KEYS[2]]
    assert server.answered[-1] == KEYS[2], "all others were answered while it waited"


async def test_a_server_that_is_away_is_away_for_all_who_wait_and_for_nobody_after_them() -> None:
    server = Server()
    server.away = True
    found = await asked_at_once(server, KEYS)
    assert all(isinstance(one, Unavailable) for one in found)
    assert server.statements == [len(KEYS), *(1 for _ in KEYS)]
    server.away = False
    assert await server.ask(KEYS[0]) == rows_of(KEYS[0])


# ---- on Postgres: all that is asked this way, about several agents at a time ---------------------


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn) as parts:
        for agent_id in AGENTS[1:]:
            held = await parts.lease.take(agent_id)
            assert held is not None
            await parts.journal.open(agent_id, held.epoch)
            row = Insert(values.agent(agent_id))
            await parts.journal.commit(change(row, agent_id=agent_id))
        for number, agent_id in enumerate(AGENTS):
            await fill(parts, agent_id, number)
        yield parts


async def fill(parts: Running, agent_id: AgentId, number: int) -> None:
    """So many of each kind, made in an order that is not the one in which they are read."""
    commit = parts.journal.commit
    for which in reversed(range(number + 1)):
        begun, traded = (values.trade(f"{which}-{n}", agent_id) for n in (1, 2))
        cycle = values.cycle(which, agent_id)
        strategy = values.strategy(f"s{which}", agent_id)
        taken = replace(
            CHECKPOINT, id=uuid4(), agent_id=agent_id, epoch=which, taken_at=NOW + which * SECOND
        )
        told = Event(type="orchestrator.test", payload={"n": which}, correlation_id=str(which))
        rows = (Insert(cycle), Insert(strategy), Insert(taken), *values.began(begun))
        await commit(change(*rows, agent_id=agent_id, entries=(entry("x", "k", told),)))
        ended = replace(cycle, status=CycleStatus.COMPLETED, version=2)
        await commit(change(Update(ended), *values.began(traded), agent_id=agent_id))
        filled = values.filled(values.working(traded))
        for state in (values.working(traded), filled):
            moved = (Update(state.saga), Update(state.order))
            await commit(change(*moved, agent_id=agent_id))
        booked = values.booked_rows(filled)
        await commit(change(Update(filled.reservation), *booked, agent_id=agent_id))


READ: Sequence[Callable[[PostgresRecords, AgentId], Awaitable[object]]] = (
    lambda r, a: r.agent(a),
    lambda r, a: r.ladder(a),
    lambda r, a: r.equity_marks(a),
    lambda r, a: r.cash_mark(a),
    lambda r, a: r.limit_changes(a),
    lambda r, a: r.open_trades(a),
    lambda r, a: r.absent_trades(a, NOW - SECOND),
    lambda r, a: r.unfinished_cycles(a),
    lambda r, a: r.strategies_stored(a),
    lambda r, a: r.schedules(a),
    lambda r, a: r.fires_mark(a),
    lambda r, a: r.positions(a),
    lambda r, a: r.attributed(a),
    lambda r, a: r.imagined_positions(a),
    lambda r, a: r.cycles(a, limit=3),
    lambda r, a: r.cycles(a, limit=2, status=CycleStatus.COMPLETED),
    lambda r, a: r.checkpoints(a, limit=2),
    lambda r, a: r.submissions_since(a, NOW - 3600 * SECOND),
    lambda r, a: r.external_orders(a, limit=9),
)


async def test_each_reader_answers_about_many_as_it_does_about_each(
    parts: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents, some, together = [*AGENTS, UNKNOWN, AGENT], 0, parts.records._pool._together
    statements, fetch = list[str](), together._fetch

    async def noted(sql: str, *arguments: object) -> Sequence[Row]:
        statements.append(sql)
        return await fetch(sql, *arguments)

    monkeypatch.setattr(together, "_fetch", noted)
    for read in READ:
        alone = [await read(parts.records, agent_id) for agent_id in agents]
        statements.clear()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_read(read, parts.records, one)) for one in agents]
        assert [task.result() for task in tasks] == alone
        assert len(statements) == 1
        some += len({str(one) for one in alone}) > 3
    assert some >= 8, "the agents differ in what is read of them"


async def _read(
    read: Callable[[PostgresRecords, AgentId], Awaitable[object]],
    records: PostgresRecords,
    agent_id: AgentId,
) -> object:
    return await read(records, agent_id)


async def test_marks_of_many_agents_are_set_together(parts: Running) -> None:
    pool = parts.records._pool
    sent, outbox = PostgresSentEvents(pool), PostgresOutbox(pool)
    waiting = {a: [row.sequence for row in await outbox.pending(a, limit=9)] for a in AGENTS}
    assert [len(rows) for rows in waiting.values()] == [1, 2, 3, 4, 5]
    async with asyncio.TaskGroup() as group:
        for agent_id, rows in waiting.items():
            group.create_task(
                outbox.mark_published(agent_id, sequence=rows[0], stream_sequence=7, at=NOW)
            )
    for agent_id, rows in waiting.items():
        last = await sent.last_sent(agent_id)
        assert last is not None
        assert (last.sequence, last.stream_sequence, last.at) == (rows[0], 7, NOW)
        assert [row.sequence for row in await outbox.pending(agent_id, limit=9)] == rows[1:]
        await outbox.mark_published(agent_id, sequence=rows[0] - 1, stream_sequence=9, at=NOW)
        assert await sent.last_sent(agent_id) == last, "a mark never goes back"
