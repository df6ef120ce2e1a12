"""One agent on real servers whose files a test may copy, put back and damage.

The venue is scripted and outlives everything; a `Life` is a process that holds the lease, with the
product's own adapters for the database and the bus.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

from tests.adapters.nats.conftest import make_bus
from tests.adapters.postgres.running import CLOSE_TIME_MAX
from tests.domain.trades import DECISION
from tests.engine.place import STRATEGY, Place, desk_of
from tests.servers import FAST
from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.postgres.database_marks import PostgresDatabaseMarks
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox, PostgresRecords
from tradesaga.adapters.postgres.sent_events import PostgresSentEvents
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.cycle import TriggeredBy
from tradesaga.domain.ids import DecisionId, derived_at
from tradesaga.domain.ladder import Cause
from tradesaga.domain.orders import ENDED, Order
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.engine.assembly import Parts, assemble
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.world import World
from tradesaga.ports.services import OpenOrder
from tradesaga.testing.services import OnSubmit, ScriptedVenue
from tradesaga.testing.venue_script import listed

SECONDS_MAX = 60.0
NOTHING_LEFT = {"restore_command": "/bin/false", "hot_standby": "off"}
"""A recovery that ends with what is there, on a new timeline; nobody is let in before."""


@dataclass(frozen=True)
class History:
    """Implements `ports.services.OrderHistory`."""

    venue: ScriptedVenue

    async def ended_orders(self) -> Sequence[OpenOrder]:
        """All that ended."""
        ended = [placed for placed in self.venue.orders.values() if placed.status in ENDED]
        return [listed(placed, keeps_ids=True) for placed in ended]


@dataclass(frozen=True)
class Life:
    """A node with its lease; `pool` reads what it wrote."""

    site: Site
    parts: Parts
    bus: NatsBus
    pool: ReaderPool

    async def trades(self, number: int, plan: OnSubmit | None = None) -> Order:
        """Carry out one decision of now, and return its order as it rests."""
        trade = await self.begins(number, plan)
        if plan is None:
            await trade.ended.wait()
        else:
            while trade.state.order.venue_order_id is None:  # noqa: ASYNC110 -- no event tells
                await asyncio.sleep(0.001)
        return trade.state.order

    async def begins(self, number: int, plan: OnSubmit | None = None) -> OpenTrade:
        """Begin the trade of one decision of now."""
        place, at = self.site.place, self.site.place.clock.now()
        if plan is not None:
            place.venue.script(plan)
        decision = replace(
            DECISION, id=DecisionId(derived_at(at, number)), external_id=f"d-{number}",
            as_of=at, created_at=at, expires_at=at + timedelta(seconds=45),
        )  # fmt: skip
        desk = desk_of(self.parts)
        trade = await desk.begin(place.trade(decision), epoch=desk.epoch)
        self.parts.crew.take(trade)
        return trade

    async def looks_back(self) -> None:
        """What the relay does before it publishes anything."""
        assert self.parts.relay._look_back is not None
        await self.parts.relay._look_back.run_once()

    async def beats(self) -> None:
        """A heartbeat, and the bus is told of it."""
        await self.looks_back()
        await self.parts.scheduler._heartbeat.run(TriggeredBy.SCHEDULE, self.site.place.clock.now())
        while await self.parts.relay.run_once():
            pass

    @property
    def doubt(self) -> str:
        """Why the books are in doubt; empty when they are not."""
        reason = self.parts.ladder.ladder.standing(Cause.BOOKS_IN_DOUBT)
        return "" if reason is None else reason.detail


@dataclass
class Site:
    """The servers, and the venue with all that it has ever taken."""

    postgres: EmbeddedPostgres
    nats: EmbeddedNats
    place: Place = field(default_factory=Place)

    @classmethod
    async def built(cls, state_dir: Path) -> Self:
        """Both servers, with the schema."""
        site = cls(EmbeddedPostgres(state_dir, FAST), EmbeddedNats(state_dir))
        async with asyncio.TaskGroup() as starting:
            starting.create_task(site.postgres.start())
            starting.create_task(site.nats.start())
        await migrate(site.postgres.dsn, schema=SCHEMA)
        return site

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Life]:
        """A process, until the block is left; each begins a second after the one before."""
        self.place.clock.advance(timedelta(seconds=1))
        async with self.world() as (world, bus, pool), asyncio.TaskGroup() as group:
            parts = assemble(world, self.place.settings, self.place.policy, group)
            await parts.leadership.take()
            await parts.recovery.run()
            await parts.book.load([STRATEGY])
            if parts.recovery.state.agent.status is not AgentStatus.RUNNING:
                await parts.control.start(strategies=None, mode=None, actor="ann")
            yield Life(self, parts, bus, pool)
            await parts.scheduler.cancel_all()
            await parts.crew.drain(0)
            await parts.leadership.release()

    @asynccontextmanager
    async def world(self) -> AsyncIterator[tuple[World, NatsBus, ReaderPool]]:
        """The adapters of a process, at work."""
        dsn = self.postgres.dsn
        journal = PostgresJournal(dsn, schema=SCHEMA)
        pool = ReaderPool(dsn, damage=journal.damage, schema=SCHEMA)
        lease = PostgresLease(dsn, SystemClock(), schema=SCHEMA)
        bus = make_bus(self.nats.url, self.nats.token, "t", publish_time_max=timedelta(seconds=10))
        world = replace(
            self.place.world(), journal=journal, records=PostgresRecords(pool), bus=bus,
            outbox=PostgresOutbox(pool), lease=lease, stream=bus, sent=PostgresSentEvents(pool),
            database=PostgresDatabaseMarks(pool), damage=journal.damage,
            order_history=History(self.place.venue),
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as adapters:
                adapters.create_task(journal.run())
                listening = adapters.create_task(bus.run())
                await bus.until_connected()
                yield world, bus, pool
                listening.cancel()
                await journal.close(CLOSE_TIME_MAX)
        finally:
            await lease.close()
            await pool.close()


async def copied(postgres: EmbeddedPostgres) -> Path:
    """A cold copy of the cluster, beside it: a backup."""
    await postgres.stop()
    to = postgres.state_dir / "backup"
    shutil.copytree(postgres.data_dir, to)
    await postgres.start()
    return to


async def put_back(postgres: EmbeddedPostgres, copy: Path) -> None:
    """The cluster as it was when the copy was taken."""
    await postgres.stop()
    laid(copy, postgres.data_dir)
    await postgres.start()


def laid(copy: Path, there: Path) -> None:
    """Replace a directory by a copy; the server may run as another user."""
    owner, mode = there.stat(), there.stat().st_mode
    shutil.rmtree(there)
    shutil.copytree(copy, there)
    there.chmod(mode)
    for path in (there, *there.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def flipped(path: Path, *, at: int) -> None:
    """Change one byte of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0xFF]))
