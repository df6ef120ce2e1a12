"""The two backends of the journal and the records: memory and Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import running
from tests.adapters.postgres.values import AGENT, SECOND, change
from tradesaga.domain.ids import AgentId
from tradesaga.ports.access_records import AccessRecords
from tradesaga.ports.journal import (
    Insert,
    Journal,
)
from tradesaga.ports.records import Outbox, Records
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.records import MemoryAccessRecords, MemoryOutbox, MemoryRecords


@dataclass(frozen=True, slots=True)
class Backend:
    """A journal whose agent AGENT is open under epoch 1 and has one log entry: its own row."""

    journal: Journal
    records: Records
    outbox: Outbox
    access: AccessRecords
    open: Callable[[AgentId, int], Awaitable[int]]
    raise_epoch: Callable[[], Awaitable[int]]
    close: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", "postgres"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield await _in_memory()
        return
    async with running(request.getfixturevalue("database_dsn")) as parts:

        async def raise_epoch() -> int:
            return (await parts.lease.raise_epoch(AGENT, 1)).epoch

        yield Backend(
            parts.journal,
            parts.records,
            parts.outbox,
            parts.access,
            parts.journal.open,
            raise_epoch,
            lambda: parts.journal.close(5 * SECOND),
        )


async def _in_memory() -> Backend:
    journal = MemoryJournal()
    await journal.open(AGENT, 1)
    await journal.commit(change(Insert(values.agent())))

    async def raise_epoch() -> int:
        journal.store.epochs[AGENT] += 1
        return journal.store.epochs[AGENT]

    records, outbox = MemoryRecords(journal.store), MemoryOutbox(journal.store)
    access = MemoryAccessRecords(journal.store)
    return Backend(journal, records, outbox, access, journal.open, raise_epoch, journal.close)


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest) -> None:
    """Set the database up outside of the backend's event loop task."""
    if "backend" in request.fixturenames and "postgres" in request.node.name:
        request.getfixturevalue("database_dsn")
