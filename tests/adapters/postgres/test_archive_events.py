"""What a neighbour says of an archived trade has its effect, once; a killed server loses no row."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import Running, running
from tests.domain.trades import DECISION, report
from tests.engine.place import Place, desk_of
from tradesaga.adapters.postgres.archive import PostgresArchive
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.adapters.postgres.roles import Limits, make_roles
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.errors import Fenced, TradesagaError
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.retention import Kind
from tradesaga.domain.saga import ENDS
from tradesaga.domain.trade_messages import Reported
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.engine.assembly import Parts, assemble
from tradesaga.ports.journal import Add, Change, Entry, Insert
from tradesaga.testing.services import as_event

Is = OrderStatus
AGES = timedelta(days=400)
TRADES = 60


@asynccontextmanager
async def node(place: Place, stored: Running) -> AsyncIterator[Parts]:
    """A process of the place's agent whose state is in Postgres."""
    world = replace(
        place.world(),
        journal=stored.journal,
        records=stored.records,
        outbox=stored.outbox,
        lease=stored.lease,
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        parts = assemble(world, place.settings, place.policy, group)
        await parts.leadership.take()
        await parts.recovery.run()
        yield parts
        await parts.scheduler.cancel_all()
        await parts.crew.drain(0)


async def _decide(parts: Parts, stored: Running, place: Place) -> None:
    said = Entry(kind="test", subject="x", actor="test", body={})
    rows = Insert(DECISION), Add(AgentCounts(decisions_generated=1))
    await stored.journal.commit(
        Change(
            agent_id=DEFAULT_AGENT,
            epoch=parts.leadership.epoch,
            at=place.clock.now(),
            rows=rows,
            entries=(said,),
        )
    )


async def _archive_all(stored: Running, parts: Parts, place: Place) -> int:
    archive, moved = PostgresArchive(stored.dsn, schema=SCHEMA), 0
    for kind in Kind:
        counts = await archive.move(
            DEFAULT_AGENT,
            kind,
            epoch=parts.leadership.epoch,
            before=place.clock.now() + AGES,
            rows_max=100,
        )
        moved += sum(counts.values())
    await archive.close()
    return moved


async def _broken(stored: Running) -> set[str]:
    found = await stored.records.invariants(DEFAULT_AGENT)
    wanted = {"I1", "I3", "I4", "I5", "I6", "I7", "I8", "I12", "I13", "I19"}
    return {one.name for one in found if one.violations and one.name.partition("_")[0] in wanted}


async def test_late_events_about_an_archived_trade_are_booked_once(database_dsn: str) -> None:
    place = Place()
    async with running(database_dsn, agent=None) as stored, node(place, stored) as parts:
        await _decide(parts, stored, place)
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        await desk.book(trade, Reported(report=report(Is.CANCELED, 1)))
        assert trade.state.saga.status in ENDS
        assert await _archive_all(stored, parts, place) >= 6
        assert await stored.admin.fetchval("select count(*) from only sagas") == 0

        late = as_event(report(Is.CANCELED, 2), "late")
        for told in (late, late, as_event(report(Is.CANCELED, 2), "told again")):
            await parts.coordinator.handle(place.bus.deliver(told))
        await _archive_all(stored, parts, place)  # the inbox row of the event, too
        await parts.coordinator.handle(place.bus.deliver(late))

        assert [one.answer.value for one in place.bus.answered if one.answer] == [
            "acknowledged"
        ] * 4
        [position] = await stored.records.positions(DEFAULT_AGENT)
        assert position.quantity == Decimal(2)
        record = await stored.records.trade(DEFAULT_AGENT, trade.state.saga.id)
        assert record is not None
        assert len(record.fills) == 2
        assert await stored.admin.fetchval("select count(*) from inbox") == 2
        assert await _broken(stored) == set()


async def test_a_decision_is_not_traded_again_after_its_saga_is_archived(database_dsn: str) -> None:
    place = Place()
    async with running(database_dsn, agent=None) as stored, node(place, stored) as parts:
        await _decide(parts, stored, place)
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        await desk.book(trade, Reported(report=report(Is.FILLED, 2)))
        await _archive_all(stored, parts, place)
        with pytest.raises(TradesagaError, match=r"sagas .* exists"):
            await desk.begin(place.trade(), epoch=desk.epoch)
        assert await _broken(stored) == set()


async def test_a_killed_server_has_each_row_in_one_place(
    durable_postgres: EmbeddedPostgres,
) -> None:
    await migrate(durable_postgres.dsn, schema=SCHEMA)
    await make_roles(durable_postgres.dsn, Limits(), schema=SCHEMA)
    async with running(durable_postgres.dsn) as stored:
        for number in range(TRADES):
            began = values.trade(str(number))
            works = values.working(began)
            ends = values.filled(works)
            await stored.journal.commit(values.change(*values.began(ends)))
        query = "select id::text, version, status from {} order by id"
        before = [await stored.admin.fetch(query.format(table)) for table in ("sagas", "orders")]
    archive, moves = PostgresArchive(durable_postgres.dsn, schema=SCHEMA), 0

    async def move() -> None:
        nonlocal moves
        while True:
            try:
                counts = await archive.move(
                    values.AGENT, Kind.TRADES, epoch=1, before=values.NOW + AGES, rows_max=1
                )
            except (TradesagaError, asyncpg.PostgresError):
                return
            moves += counts["sagas"]
            if moves == TRADES // 4:
                assert durable_postgres.child.pid is not None
                asyncio.get_running_loop().call_soon(
                    os.kill, durable_postgres.child.pid, signal.SIGKILL
                )

    await move()
    await durable_postgres.child.exited()
    await durable_postgres.start()
    admin = await asyncpg.connect(
        durable_postgres.dsn, server_settings={"search_path": "orchestration"}
    )
    after = [await admin.fetch(query.format(table)) for table in ("sagas", "orders")]
    assert after == before
    assert len(before[0]) == TRADES
    tables = ("sagas", "orders", "reservations")
    moved = {await admin.fetchval(f"select count(*) from archived_{table}") for table in tables}
    assert moved <= {moves, moves + 1}  # the one whose answer was lost
    assert len(moved) == 1
    await admin.close()
    with pytest.raises(Fenced):
        await archive.move(values.AGENT, Kind.TRADES, epoch=0, before=values.NOW + AGES, rows_max=1)
    rest = await archive.move(
        values.AGENT, Kind.TRADES, epoch=1, before=values.NOW + AGES, rows_max=TRADES
    )
    assert rest["sagas"] == TRADES - moved.pop() > 0
    await archive.close()
