"""Consistent books with every kind of row, their archive, and what other connections wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from tests.adapters.postgres import values
from tests.adapters.postgres.books import GIVEN, write_books
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tradesaga.adapters.postgres.archive import PostgresArchive
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.tally import Tally
from tradesaga.domain.retention import Kind
from tradesaga.ports.journal import CycleLog, DeadLetter, InboxEntry, Insert
from tradesaga.ports.trade_records import TradeQuery

LATER = NOW + timedelta(days=1)
INBOX = InboxEntry(event_id="e-1", event_type="trade.order.filled", source="x", received_at=NOW)
ARCHIVED = (
    "sagas", "orders", "venue_order_ids", "reservations", "fills", "trades", "decisions",
    "cycles", "cycle_logs", "inbox", "dead_letters",
)  # fmt: skip


class Archived:
    """Consistent books with every kind of row, and their archive."""

    def __init__(self, parts: Running, archive: PostgresArchive, pool: ReaderPool) -> None:
        self.parts = parts
        self.archive = archive
        self.tally = Tally(pool, AGENT)

    async def move(
        self, kind: Kind, *, epoch: int = 1, before: datetime = LATER, rows_max: int = 100
    ) -> Mapping[str, int]:
        return await self.archive.move(AGENT, kind, epoch=epoch, before=before, rows_max=rows_max)

    async def move_all(self, rows_max: int = 100) -> None:
        for kind in Kind:
            await self.move(kind, rows_max=rows_max)

    async def rows(self) -> dict[str, int]:
        """Working rows by table, those that there are."""
        counts = {
            table: await self.parts.admin.fetchval(f"select count(*) from only {table}")
            for table in ARCHIVED
        }
        return {table: count for table, count in counts.items() if count}

    async def in_two_places(self) -> list[str]:
        """Tables of which a row stands in both places."""
        admin = self.parts.admin
        query = "select * from only {0} intersect all select * from archived_{0}"
        plain = [t for t in ARCHIVED if t not in ("decisions", "cycles", "cycle_logs")]
        return [table for table in plain if await admin.fetch(query.format(table))]

    async def answers(self) -> list[Any]:
        """What every reader says."""
        records, name = self.parts.records, values.trade("a")
        order_id = values.working(name).order.venue_order_id
        return [
            await records.trade_of(AGENT, venue_order_id=order_id, client_order_id=None),
            await records.trade_of(
                AGENT, venue_order_id=None, client_order_id=name.order.client_order_id
            ),
            await records.trades(AGENT, TradeQuery(limit=10)),
            await records.trades(AGENT, TradeQuery(limit=1, cycle_id=name.saga.cycle_id)),
            await records.trade(AGENT, name.saga.id),
            await records.open_trades(AGENT),
            await records.unfinished_cycles(AGENT),
            await records.cycles(AGENT, limit=10),
            await records.cycle(AGENT, values.cycle(0).id),
            await records.positions(AGENT),
            await records.attributed(AGENT),
            await records.strategies(AGENT),
            await records.submissions_since(AGENT, NOW - SECOND),
            await records.was_received(AGENT, "e-1"),
            await records.counts(AGENT),
            await self.tally.counts(),
            await self.tally.orders(),
            await self.tally.finished_cycles(NOW - SECOND),
            await self.tally.unsettled(),
            [
                (one.name, one.violations, one.looked_at)
                for one in await records.invariants(AGENT, GIVEN)
                if one.name != "I7_exact_columns"
            ],
        ]

    async def broken(self) -> set[str]:
        found = await self.parts.records.invariants(AGENT, GIVEN)
        return {one.name for one in found if one.violations}


class Watcher:
    """Sees what other connections wait for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def until_blocked(self, application: str) -> None:
        """Return when a statement of `application` waits for a lock."""
        query = (
            "select count(*) from pg_stat_activity where application_name = $1"
            " and wait_event_type = 'Lock' and datname = current_database()"
        )
        async with asyncio.timeout(5):
            while not await self._connection.fetchval(query, application):  # noqa: ASYNC110
                await asyncio.sleep(0)  # no event tells

    async def end(self, application: str) -> None:
        """End its backend."""
        query = (
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = $1 and datname = current_database()"
        )
        assert await self._connection.fetchval(query, application)


@asynccontextmanager
async def watching(dsn: str) -> AsyncIterator[Watcher]:
    connection = await asyncpg.connect(dsn)
    try:
        yield Watcher(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def archived_books(database_dsn: str) -> AsyncIterator[Archived]:
    archive = PostgresArchive(database_dsn, schema=SCHEMA)
    pool = ReaderPool(database_dsn, schema=SCHEMA)
    async with running(database_dsn) as parts:
        await write_books(parts)
        line = CycleLog(
            cycle_id=values.cycle(0).id, level="info", message="m", context={}, timestamp=NOW
        )
        letter = DeadLetter(subject="s", reason="r", body=b"?", received_at=NOW)
        strategy = Insert(values.strategy())
        await parts.journal.commit(change(strategy, Insert(line), Insert(letter), Insert(INBOX)))
        yield Archived(parts, archive, pool)
        await archive.close()
        await pool.close()
