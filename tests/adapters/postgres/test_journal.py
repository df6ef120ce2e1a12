"""What the journal promises when the database does not behave; the ports' part is in contract/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, NOW, change, entry
from tests.adapters.postgres.wire import Wire
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.roles import Limits, make_roles
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.errors import Conflict, Fenced, Invalid, Unavailable
from tradesaga.domain.ids import AgentId, derived
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.ports.journal import Add, Change, Entry, InboxEntry, Insert, Row, Update

OTHER = AgentId(derived("other agent"))
END_WRITERS = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where application_name = 'tradesaga journal' and datname = current_database()"
)
LOST = asyncpg.ConnectionDoesNotExistError("the connection was closed in the middle")


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn) as parts:
        yield parts


@pytest.fixture
def wire(parts: Running, monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(parts.journal, monkeypatch)


async def _lost_after(send: Callable[[], Awaitable[Any]]) -> None:
    await send()
    raise LOST


async def _lost_before(_: Callable[[], Awaitable[Any]]) -> None:
    raise LOST


async def _log_is_whole(parts: Running) -> None:
    [chain] = [i for i in await parts.records.invariants(AGENT) if i.name == "I12_chain"]
    assert chain.violations == 0, chain


@pytest.mark.parametrize("fault", [_lost_after, _lost_before, None])
async def test_a_lost_answer_neither_loses_nor_doubles(
    parts: Running, wire: Wire, fault: Callable[..., Awaitable[None]] | None
) -> None:
    wire.fault = fault
    rows = Insert(values.strategy()), Add(AgentCounts(errors_count=1))
    assert await parts.journal.commit(change(*rows)) == 2
    assert len(wire.batches) == (2 if fault is _lost_before else 1)
    assert (await parts.records.counts(AGENT)).errors_count == 1
    assert await parts.journal.commit(change()) == 3
    await _log_is_whole(parts)


async def test_a_lost_batch_that_arrives_late_is_not_written_twice(
    parts: Running, wire: Wire
) -> None:
    """The answer is lost, looking up finds nothing, the batch goes again; then the first lands."""
    late: list[Callable[[], Awaitable[Any]]] = []

    async def held_up(send: Callable[[], Awaitable[Any]]) -> None:
        late.append(send)
        raise LOST

    wire.fault = held_up
    await parts.journal.commit(change(Add(AgentCounts(errors_count=1))))
    twin = await asyncpg.connect(parts.dsn, server_settings={"search_path": "orchestration"})
    with pytest.raises(asyncpg.PostgresError, match="another writer"):
        await _resend(late[0], twin)
    await twin.close()
    assert (await parts.records.counts(AGENT)).errors_count == 1
    await _log_is_whole(parts)


async def _resend(send: Any, connection: Any) -> None:
    cells = dict(zip(send.__code__.co_freevars, send.__closure__, strict=True))
    query, arguments = cells["query"].cell_contents, cells["arguments"].cell_contents
    await connection.fetchval(query, *arguments)


async def test_it_was_written_even_if_a_new_leader_wrote_since(parts: Running, wire: Wire) -> None:
    async def then_another_leads(send: Callable[[], Awaitable[Any]]) -> None:
        await send()
        await parts.lease.raise_epoch(AGENT, 1)
        other = PostgresJournal(parts.dsn, schema=SCHEMA)
        task = asyncio.create_task(other.run())
        await other.open(AGENT, 2)
        assert await other.commit(change(epoch=2)) == 3
        await other.close(timedelta(seconds=5))
        await task
        raise LOST

    wire.fault = then_another_leads
    assert await parts.journal.commit(change()) == 2  # not Fenced: it is there
    with pytest.raises(Fenced):
        await parts.journal.commit(change())


async def test_terminated_connections_under_load_lose_and_double_nothing(parts: Running) -> None:
    trades = [values.trade(str(number)) for number in range(40)]

    written, kills = 0, 0
    one_at_a_time = asyncio.Lock()

    async def commit(*rows: Row) -> None:
        nonlocal written, kills
        await parts.journal.commit(change(*rows))
        written += 1
        if written % 25 == 0:  # so there is progress between two of them
            async with one_at_a_time:
                kills += await parts.admin.fetchval(END_WRITERS)

    async def live(number: int) -> None:
        works = values.working(trades[number])
        ends = values.filled(works)
        await commit(*values.began(trades[number]))
        await commit(Update(works.saga), Update(works.order))
        end = Update(ends.saga), Update(ends.order), Update(ends.reservation)
        await commit(*end, *values.booked_rows(ends))

    async with asyncio.TaskGroup() as group:
        for number in range(len(trades)):
            group.create_task(live(number))
    assert kills >= 2
    assert await parts.records.open_trades(AGENT) == []
    [position] = await parts.records.positions(AGENT)
    assert position.quantity == 400
    broken = [i.name for i in await parts.records.invariants(AGENT) if i.violations]
    assert broken == ["I13_allowed"]  # these trades have no decisions
    assert await parts.admin.fetchval("select count(*) from journal_log") == 1 + 3 * len(trades)


async def test_a_database_that_comes_back_gets_what_waited(
    durable_postgres: EmbeddedPostgres,
) -> None:
    from tradesaga.adapters.postgres.migrate import migrate

    await migrate(durable_postgres.dsn, schema=SCHEMA)
    await make_roles(durable_postgres.dsn, Limits(), schema=SCHEMA)
    async with running(durable_postgres.dsn) as parts:
        await durable_postgres.stop()
        waits = [
            asyncio.create_task(parts.journal.commit(change(Add(AgentCounts(errors_count=1)))))
            for _ in range(5)
        ]
        done, _ = await asyncio.wait(waits, timeout=0.3)
        assert not done
        await durable_postgres.start()
        assert sorted(await asyncio.gather(*waits)) == [2, 3, 4, 5, 6]
        assert (await parts.records.counts(AGENT)).errors_count == 5
        await _log_is_whole(parts)


async def test_a_conflict_refuses_its_change_alone(parts: Running, wire: Wire) -> None:
    """All in one batch: a taken event, a stale version, a taken key, and twenty good ones."""
    taken = InboxEntry(event_id="e", event_type="t", source="s", received_at=NOW)
    trade = values.trade("taken")
    await parts.journal.commit(change(Insert(taken), *values.began(trade)))
    bad = [
        change(Insert(taken)),
        change(Update(replace(trade.saga, version=3))),
        change(Insert(trade.order)),
        change(Insert(replace(values.strategy(), version=-1))),  # a check refuses it
    ]
    good = [change(Add(AgentCounts(errors_count=1))) for _ in range(10)]
    tasks = [asyncio.create_task(parts.journal.commit(c)) for c in (*good[:5], *bad, *good[5:])]
    wire.batches.clear()
    await asyncio.wait(tasks)
    kinds = [type(task.exception()) for task in tasks]
    fine = type(None)
    assert kinds == [fine] * 5 + [Conflict, Conflict, Conflict, Invalid] + [fine] * 5
    assert wire.batches[0] == 14
    assert (await parts.records.counts(AGENT)).errors_count == 10
    await _log_is_whole(parts)


@pytest.mark.parametrize("subject", ["nul \x00", "\ud800 alone"])
async def test_text_that_cannot_be_stored_is_invalid(parts: Running, subject: str) -> None:
    with pytest.raises(Invalid):
        await parts.journal.commit(change(entries=(entry(subject),)))
    assert await parts.journal.commit(change()) == 2


async def test_a_time_without_a_zone_is_invalid(parts: Running) -> None:
    naive = NOW.replace(tzinfo=None)
    for bad in (
        replace(change(), at=naive),
        change(Insert(replace(values.cycle(), started_at=naive))),
    ):
        with pytest.raises(Invalid, match="without a zone"):
            await parts.journal.commit(bad)


async def test_a_deposed_writer_is_fenced_by_the_row_alone(parts: Running) -> None:
    """Nobody tells the journal: the head row refuses, and other agents' Changes go through."""
    held = await parts.lease.take(OTHER)
    assert held is not None
    await parts.journal.open(OTHER, held.epoch)
    await parts.lease.raise_epoch(AGENT, 1)
    mine = asyncio.create_task(parts.journal.commit(change(Insert(values.strategy()))))
    other = asyncio.create_task(parts.journal.commit(change(agent_id=OTHER)))
    await asyncio.wait([mine, other])
    assert isinstance(mine.exception(), Fenced)
    assert other.result() == 1
    assert await parts.records.strategies(AGENT) == []


async def test_what_waits_under_an_old_epoch_is_fenced_when_a_new_one_is_opened(
    parts: Running, wire: Wire
) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def slow(send: Callable[[], Awaitable[Any]]) -> None:
        started.set()
        await go.wait()
        await send()

    wire.fault = slow
    first = asyncio.create_task(parts.journal.commit(change()))
    await started.wait()
    waits = asyncio.create_task(parts.journal.commit(change()))
    await asyncio.sleep(0)
    opening = asyncio.create_task(_raise_and_open(parts))
    go.set()
    await asyncio.wait([first, waits, opening])
    assert opening.exception() is None
    assert await parts.journal.commit(change(epoch=2)) == 1 + await _length(parts) - 1
    for task in (first, waits):  # before the epoch rose, or not at all
        assert task.exception() is None or isinstance(task.exception(), Fenced)
    await _log_is_whole(parts)


async def _raise_and_open(parts: Running) -> None:
    held = await parts.lease.raise_epoch(AGENT, 1)
    await parts.journal.open(AGENT, held.epoch)


async def _length(parts: Running) -> int:
    return int(await parts.admin.fetchval("select count(*) from journal_log"))


async def test_what_waits_is_bounded(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(database_dsn, waiting_max=3) as parts:
        wire = Wire(parts.journal, monkeypatch)
        started, go = asyncio.Event(), asyncio.Event()

        async def slow(send: Callable[[], Awaitable[Any]]) -> None:
            started.set()
            await go.wait()
            await send()

        wire.fault = slow
        tasks = [asyncio.create_task(parts.journal.commit(change())) for _ in range(3)]
        await started.wait()
        tasks += [asyncio.create_task(parts.journal.commit(change())) for _ in range(4)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [type(task.exception()) for task in done] == [Unavailable]
        assert parts.journal.waiting == 3
        go.set()
        await asyncio.wait(tasks)
        assert sum(task.exception() is None for task in tasks) == 6


async def test_closing_writes_what_waits(parts: Running) -> None:
    tasks = [asyncio.create_task(parts.journal.commit(change())) for _ in range(50)]
    await asyncio.sleep(0)
    await parts.journal.close(timedelta(seconds=5))
    assert [task.result() for task in tasks] == list(range(2, 52))
    assert parts.task.done()


async def test_closing_by_force_tells_who_waits(parts: Running, wire: Wire) -> None:
    async def hangs(_: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.Event().wait()

    wire.fault = hangs
    tasks = [asyncio.create_task(parts.journal.commit(change())) for _ in range(20)]
    await asyncio.sleep(0)
    await parts.journal.close(timedelta(seconds=0.05))
    await asyncio.wait(tasks)
    said = [str(task.exception()) for task in tasks]
    assert all(isinstance(task.exception(), Unavailable) for task in tasks)
    assert sum("before the database answered" in text for text in said) == 16
    assert sum("nothing was written" in text for text in said) == 4


async def test_a_program_without_its_schema_ends_loudly(database_dsn: str) -> None:
    async with running(database_dsn) as parts:
        await parts.admin.execute("drop table heads")
        with pytest.raises(Unavailable):
            await parts.journal.commit(change())
        await asyncio.wait([parts.task])
        assert isinstance(parts.task.exception(), asyncpg.UndefinedTableError)


async def test_half_of_the_open_work_makes_a_batch(parts: Running, wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(parts.journal.commit(change()))
    assert wire.batches[0] == 50
    assert max(wire.batches) == 50
    assert sum(wire.batches) == 100


async def test_a_batch_is_no_larger_than_a_socket_takes_at_once(
    parts: Running, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradesaga.adapters.postgres.batch.BYTES_MAX", 50_000)
    wide = Entry(kind="test", subject="x", actor="test", body={"text": "x" * 20_000})
    vast = replace(wide, body={"text": "x" * 60_000})
    entries = [wide, wide, wide, vast, wide, wide]
    async with asyncio.TaskGroup() as group:
        for entry in entries:
            group.create_task(parts.journal.commit(replace(change(), entries=(entry,))))
    assert wire.batches == [2, 1, 1, 2], "what is too large by itself goes alone"


async def test_running_sagas_are_updated_on_their_page(parts: Running) -> None:
    """HOT: no index is touched, but for the one that a saga leaves at its end."""
    for number in range(10):
        began = values.trade(str(number))
        works = values.working(began)
        await parts.journal.commit(change(*values.began(began)))
        await parts.journal.commit(change(Update(works.saga), Update(works.order)))
    changes: list[Change] = []
    for number in range(10):
        works = values.working(values.trade(str(number)))
        saga = replace(works.saga, attempt=2, version=works.saga.version + 1)
        changes.append(change(Update(saga)))
    for each in changes:
        await parts.journal.commit(each)
    await parts.admin.execute("select pg_stat_force_next_flush()")
    rows = await _flushed_statistics(parts)
    assert rows == {"sagas": (20, 20), "orders": (10, 10)}


async def _flushed_statistics(parts: Running) -> dict[str, tuple[int, int]]:
    # A backend reports its counts when it ends, at the latest.
    await parts.journal.close(timedelta(seconds=5))
    async with asyncio.timeout(10):
        while True:
            rows = await parts.admin.fetch(
                "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables"
                " where relname in ('sagas', 'orders') and n_tup_upd > 0"
            )
            found = {row[0]: (row[1], row[2]) for row in rows}
            if found.get("sagas", (0,))[0] == 20 and "orders" in found:
                return found
            await asyncio.sleep(0.02)


async def test_an_agent_under_another_epoch_cannot_be_opened(parts: Running) -> None:
    with pytest.raises(Fenced):
        await parts.journal.open(AGENT, 2)
    with pytest.raises(Fenced):
        await parts.journal.open(OTHER, 1)
    assert await parts.journal.commit(change()) == 2


async def test_many_agents_share_a_batch(parts: Running, wire: Wire) -> None:
    agents = [AgentId(derived("agent", number)) for number in range(10)]
    for agent in agents:
        held = await parts.lease.take(agent)
        assert held is not None
        await parts.journal.open(agent, held.epoch)
    wire.batches.clear()
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(parts.journal.commit(change(agent_id=agent)))
    assert len(wire.batches) == 1
