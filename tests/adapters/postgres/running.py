"""A journal at work on a test's database, with its lease and readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg

from tests.adapters.postgres import values
from tradesaga.adapters.postgres.access_records import PostgresAccessRecords
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox, PostgresRecords
from tradesaga.adapters.postgres.roles import APP
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.ids import AgentId
from tradesaga.ports.journal import Insert

CLOSE_TIME_MAX = timedelta(seconds=5)


@dataclass(slots=True)
class Running:
    """All parts on one database; `admin` is a connection with the schema as its search path."""

    dsn: str
    journal: PostgresJournal
    lease: PostgresLease
    records: PostgresRecords
    outbox: PostgresOutbox
    access: PostgresAccessRecords
    admin: Connection
    task: asyncio.Task[None]


@asynccontextmanager
async def running(
    dsn: str, *, waiting_max: int = 10_000, agent: AgentId | None = values.AGENT
) -> AsyncIterator[Running]:
    """Start all parts, as the service's role; `agent` is opened under epoch 1 and has its row."""
    service = dsn.replace(f"//{urlsplit(dsn).username}@", f"//{APP}@", 1)
    journal = PostgresJournal(service, waiting_max=waiting_max, schema=SCHEMA)
    lease = PostgresLease(service, SystemClock(), schema=SCHEMA)
    pool = ReaderPool(service, schema=SCHEMA)
    admin: Connection = await asyncpg.connect(dsn, server_settings={"search_path": "orchestration"})
    # Tests play an intruder who changes the log; test_log_is_kept.py has the trigger.
    await admin.execute("alter table journal_log disable trigger kept")
    task = asyncio.create_task(journal.run())
    try:
        if agent is not None:
            held = await lease.take(agent)
            assert held is not None
            await journal.open(agent, held.epoch)
            await journal.commit(values.change(Insert(values.agent(agent)), agent_id=agent))
        records, outbox = PostgresRecords(pool), PostgresOutbox(pool)
        access = PostgresAccessRecords(pool)
        yield Running(dsn, journal, lease, records, outbox, access, admin, task)
    finally:
        await journal.close(CLOSE_TIME_MAX)
        await asyncio.wait([task])
        await lease.close()
        await pool.close()
        await admin.close()
