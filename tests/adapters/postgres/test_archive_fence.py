"""A move is all or nothing, under the epoch in force, and stands in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.archived import LATER, Archived, archived_books, watching
from tests.adapters.postgres.values import AGENT, change
from tradesaga.adapters.postgres import archive as archive_module
from tradesaga.domain.errors import Fenced, Refused, Unavailable
from tradesaga.domain.retention import Kind
from tradesaga.ports.journal import Insert


@pytest.fixture
async def books(database_dsn: str) -> AsyncIterator[Archived]:
    async with archived_books(database_dsn) as found:
        yield found


async def test_a_stale_epoch_moves_nothing(books: Archived) -> None:
    everything = await books.rows()
    for epoch in (0, 2):
        for kind in Kind:
            with pytest.raises(Fenced):
                await books.move(kind, epoch=epoch)
    await books.parts.lease.raise_epoch(AGENT, 1)
    with pytest.raises(Fenced):
        await books.move(Kind.TRADES)
    assert await books.rows() == everything


async def test_a_move_holds_off_a_takeover_but_no_commit(books: Archived) -> None:
    admin, parts = books.parts.admin, books.parts
    transaction = admin.transaction()
    await transaction.start()
    row = await admin.fetchrow(archive_module._SQL[Kind.TRADES], AGENT, 1, LATER, 9)
    assert row is not None
    assert row["held"]
    await parts.journal.commit(change(Insert(values.strategy("other"))))
    raising = asyncio.create_task(parts.lease.raise_epoch(AGENT, 1))
    async with watching(parts.dsn) as watcher:
        await watcher.until_blocked("tradesaga lease")
    assert not raising.done()
    await transaction.commit()
    assert (await raising).epoch == 2


async def test_rows_in_use_are_left_for_later(books: Archived) -> None:
    everything = await books.rows()
    admin = books.parts.admin
    async with admin.transaction():
        await admin.execute("update orders set lookups = 1")
        with pytest.raises(Unavailable, match="in use"):
            await books.move(Kind.TRADES)
        await admin.execute("update sagas set attempt = 1")
        assert (await books.move(Kind.TRADES))["sagas"] == 0  # passed over
    assert await books.rows() == everything
    assert (await books.move(Kind.TRADES))["sagas"] == 2


async def test_an_archive_that_does_not_fit_refuses_and_loses_nothing(books: Archived) -> None:
    everything = await books.rows()
    await books.parts.admin.execute("alter table archived_orders add column more text not null")
    with pytest.raises(Refused, match="cannot archive"):
        await books.move(Kind.TRADES)
    assert await books.rows() == everything


async def test_a_backend_that_ends_in_the_middle_of_a_move_moves_nothing(
    books: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, everything = await books.answers(), await books.rows()
    patient = {**archive_module.SETTINGS, "lock_timeout": "0"}
    monkeypatch.setattr(archive_module, "SETTINGS", patient)
    admin = books.parts.admin
    async with admin.transaction():
        # the last table of the statement: the rows of all others are deleted by then
        await admin.execute("select 1 from reservations for update")
        moving = asyncio.create_task(books.move(Kind.TRADES))
        async with watching(books.parts.dsn) as watcher:
            await watcher.until_blocked("tradesaga archive")
            await watcher.end("tradesaga archive")
        with pytest.raises(Unavailable):
            await moving
    assert (await books.rows(), await books.answers()) == (everything, before)
    await books.move_all()
    assert await books.answers() == before
