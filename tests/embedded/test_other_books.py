"""Yesterday's backup, a replica that was behind, damaged pages, a damaged block: on real servers.

The first test is the drill of docs/howto/restore-a-backup.md, step by step. Two servers take
seconds to make, so that each test does to its own what can be done one after the other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.domain.trades import POLICY
from tests.embedded.other_books import NOTHING_LEFT, Site, copied, flipped, laid, put_back
from tests.engine.place import SETTINGS, STRATEGY
from tests.servers import FAST, new_run_dir
from tradesaga.domain.errors import Damaged
from tradesaga.domain.external import ExternalKind, ExternalState
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung
from tradesaga.domain.orders import Order, OrderStatus
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.testing.services import ACCEPT
from tradesaga.testing.venue_script import OnCancel

pytestmark = pytest.mark.timeout(170)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    directory = new_run_dir()  # in shared memory: it is copied again and again
    site = await Site.built(directory)
    site.place.venue.default_cancel = OnCancel(ignored=True)
    yield site
    await site.postgres.stop()
    await site.nats.stop()
    shutil.rmtree(directory)


# ---- a backup, a replica ---------------------------------------------------------------------


async def test_a_backup_or_replica_of_before_is_seen_imported_and_accepted(site: Site) -> None:
    async with site.life() as life:
        known = await life.trades(1)
        await life.beats()
    backup = await copied(site.postgres)
    async with site.life() as life:
        assert life.doubt == ""
        filled, working = await life.trades(2), await life.trades(3, ACCEPT)
        await life.beats()

    await put_back(site.postgres, backup)
    await _is_seen_on_the_bus_and_accepted(site, known, filled, working)

    await site.nats.stop()
    shutil.rmtree(site.nats.directory / "store")
    await site.nats.start()
    await put_back(site.postgres, backup)
    await _is_seen_at_the_venue(site, working)

    await _promoted(site, backup)
    await _is_seen_by_its_timeline(site, filled)


async def _is_seen_on_the_bus_and_accepted(
    site: Site, known: Order, filled: Order, working: Order
) -> None:
    venue = site.place.venue
    sent, cancelled = len(venue.submits), len(venue.cancels)
    async with site.life() as life:
        assert life.doubt == "", "system and timeline are those of before"
        end = await life.bus.stream_end()
        await life.looks_back()
        assert "of our log, and the log here has no such row" in life.doubt
        assert life.parts.ladder.rung() is Rung.HALTED
        assert ("error_occurred", Cause.BOOKS_IN_DOUBT) in site.place.metrics.seen
        await life.beats()
        after = await life.bus.stream_end()
        assert after.last_sequence > end.last_sequence, "no id of the new life was known there"

        refused = await life.trades(4)
        assert refused.status is OrderStatus.NOT_PLACED

        await life.parts.books.run_once()
        found = await life.parts.recovery.records.external_orders(DEFAULT_AGENT, limit=9)
        assert {(one.client_order_id, one.kind, one.state) for one in found} == {
            (filled.client_order_id, ExternalKind.FORGOTTEN, ExternalState.GONE),
            (working.client_order_id, ExternalKind.FORGOTTEN, ExternalState.OPEN),
        }
        [drift] = life.parts.books.last.drifts if life.parts.books.last is not None else []
        assert (drift.ours, drift.venue) == (
            known.filled_quantity, known.filled_quantity + filled.filled_quantity,
        )  # fmt: skip
        assert (len(venue.submits), len(venue.cancels)) == (sent, cancelled), "never touched"

        await life.parts.ladder.rearm(EVERYWHERE, "ann", "compared with the venue")
        assert life.doubt == ""
    async with site.life() as life:
        await life.beats()
        await life.parts.books.run_once()
        assert life.doubt == "", "accepted as it is"


async def _is_seen_at_the_venue(site: Site, working: Order) -> None:
    async with site.life() as life:
        await life.looks_back()
        assert life.doubt == "", "the bus is new, and remembers nothing"
        await life.parts.books.run_once()
        assert working.client_order_id in life.doubt
        assert life.parts.ladder.rung() is Rung.HALTED


async def _promoted(site: Site, behind: Path) -> None:
    await site.postgres.stop()
    laid(behind, site.postgres.data_dir)
    (site.postgres.data_dir / "recovery.signal").touch()
    site.postgres = EmbeddedPostgres(site.postgres.state_dir, {**FAST, **NOTHING_LEFT})
    await site.postgres.start()


async def _is_seen_by_its_timeline(site: Site, forgotten: Order) -> None:
    async with site.life() as life:
        assert "timeline 2, noted was system" in life.doubt
        assert life.parts.ladder.rung() is Rung.HALTED
        found = await life.parts.books.run_once()
        assert [one.venue - one.ours for one in found.drifts] == [forgotten.filled_quantity]
        await life.parts.ladder.rearm(EVERYWHERE, "ann", "compared with the venue")
    async with site.life() as life:
        assert life.doubt == ""


# ---- damage ----------------------------------------------------------------------------------


async def test_a_damaged_block_is_sent_again_and_damaged_pages_halt(site: Site) -> None:
    async with site.life() as life:
        await life.trades(1)
        for _ in range(3):
            await life.beats()
        end = (await life.bus.stream_end()).last_sequence
    await _flip_a_block(site)
    async with site.life() as life:
        assert (await life.bus.stream_end()).last_sequence < end
        await life.beats()
        assert (await life.bus.stream_end()).last_sequence >= end
        assert ("error_occurred", "bus_regression") in site.place.metrics.seen
        assert life.doubt == ""

    await _flip_a_page(site, "fills")
    await _halts_whoever_reads_or_writes_it(site)
    await _flip_a_page(site, "cycles")
    await _halts_whoever_starts(site)


async def _flip_a_block(site: Site) -> None:
    assert site.nats.child.pid is not None
    os.kill(site.nats.child.pid, signal.SIGKILL)  # its next start reads what it has kept
    await site.nats.child.exited()
    [block] = site.nats.directory.rglob("T_ORCHESTRATOR/msgs/*.blk")
    flipped(block, at=block.stat().st_size // 2)
    await site.nats.start()


async def _flip_a_page(site: Site, table: str) -> None:
    path = await _asked(site.postgres, f"select pg_relation_filepath('orchestration.{table}')")
    await site.postgres.stop()
    flipped(site.postgres.data_dir / path, at=8180)
    await site.postgres.start()


async def _halts_whoever_reads_or_writes_it(site: Site) -> None:
    async with site.life() as life:
        damage = life.parts.recovery.former.damage
        with pytest.raises(Damaged):
            await life.pool.fetch("select * from orchestration.fills")
        read = damage.number
        await life.begins(2)  # its fill cannot be written: its saga waits, and nothing else ends
        while damage.number == read:  # noqa: ASYNC110 -- no event tells
            await asyncio.sleep(0.001)
        life.parts.watchers.vitals.look()
        assert "the database is damaged: invalid page in block 0" in life.doubt
        assert "restore-a-backup" in life.doubt
        assert life.parts.ladder.rung() is Rung.HALTED
        assert ("error_occurred", Cause.BOOKS_IN_DOUBT) in site.place.metrics.seen
        sent = len(site.place.venue.submits)
        assert (await life.trades(3)).status is OrderStatus.NOT_PLACED
        assert len(site.place.venue.submits) == sent
        await life.parts.ladder.rearm(EVERYWHERE, "ann", "to see that it comes again")


async def _halts_whoever_starts(site: Site) -> None:
    async with site.world() as (world, _, _):
        orchestrator = Orchestrator(
            world=world, settings=SETTINGS, policy=POLICY, strategies=[STRATEGY],
            on_control=lambda _: None,
        )  # fmt: skip
        with pytest.raises(ExceptionGroup) as ends:
            await orchestrator.run(asyncio.Event())
        assert ends.group_contains(Damaged)
    stored = await _asked(site.postgres, "select reasons::text from orchestration.ladders")
    assert Cause.BOOKS_IN_DOUBT in stored


async def _asked(postgres: EmbeddedPostgres, query: str) -> str:
    connection = await asyncpg.connect(postgres.dsn, timeout=15, command_timeout=15)
    try:
        return str(await connection.fetchval(query))
    finally:
        await connection.close()
