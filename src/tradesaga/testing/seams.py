"""Numbered places around the ports at which a test may end, stop or disturb the process.

A seam is one hit of a label, counted from 1: `journal.commit.before#3`. The decorators stand
around the ports, none in the engine: what is tested is the product as it is. What happens at the
chosen seam is the caller's; a real kill must not unwind, so an exception would not do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from typing_extensions import override

from tradesaga.domain.agent import Agent
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.events import Incoming
from tradesaga.domain.ids import AgentId
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.bus import Bus, Delivery, Published
from tradesaga.ports.journal import Change, Journal
from tradesaga.ports.lease import Held, Lease
from tradesaga.ports.records import Outbox, OutboxRow, Records
from tradesaga.ports.services import (
    Account,
    Capabilities,
    Health,
    OpenOrder,
    TradingEngine,
    VenuePosition,
)


@dataclass(frozen=True, slots=True)
class Seam:
    """The `hit`-th time (from 1) that `label` is passed."""

    label: str
    hit: int

    @override
    def __str__(self) -> str:
        return f"{self.label}#{self.hit}"

    @classmethod
    def parse(cls, text: str) -> Seam:
        """Read `label#hit`; ValueError when it is not that."""
        label, _, hit = text.rpartition("#")
        return cls(label, int(hit))


class Seams:
    """Counts hits; calls `act` at the chosen one, once."""

    def __init__(self, chosen: Seam | None, act: Callable[[], None]) -> None:
        self.passed: list[Seam] = []
        self._chosen = chosen
        self._act = act
        self._hits: Counter[str] = Counter()

    def hit(self, label: str) -> None:
        """The process is at `label` now."""
        self._hits[label] += 1
        seam = Seam(label, self._hits[label])
        self.passed.append(seam)
        if seam == self._chosen:
            self._act()


class Opens(Journal, Protocol):
    """A journal that is told the epoch under which it writes."""

    async def open(self, agent_id: AgentId, epoch: int) -> object:
        """As `PostgresJournal.open`."""
        ...


@dataclass(frozen=True, slots=True)
class SeamedJournal:
    """Before a Change is handed in, and after its commit before the caller wakes."""

    journal: Opens
    seams: Seams

    async def open(self, agent_id: AgentId, epoch: int) -> object:
        """See `ports.journal`."""
        self.seams.hit("journal.open.before")
        opened = await self.journal.open(agent_id, epoch)
        self.seams.hit("journal.open.done")
        return opened

    async def commit(self, change: Change) -> int:
        """See `ports.journal`."""
        self.seams.hit("journal.commit.before")
        sequence = await self.journal.commit(change)
        self.seams.hit("journal.commit.done")
        return sequence


class SeamedConnection:
    """A database connection whose `fetchval` (a batch of the journal) has a seam on each side."""

    def __init__(self, connection: Any, seams: Seams) -> None:
        self._connection = connection
        self._seams = seams

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """Send the statement; it has been committed when the second seam is passed."""
        self._seams.hit("statement.before")
        value = await self._connection.fetchval(query, *arguments)
        self._seams.hit("statement.committed")
        return value


@dataclass(frozen=True, slots=True)
class SeamedLease:
    """Around taking, renewing, raising and releasing the lease."""

    lease: Lease
    seams: Seams

    async def take(self, agent_id: AgentId) -> Held | None:
        """See `ports.lease`."""
        self.seams.hit("lease.take.before")
        held = await self.lease.take(agent_id)
        self.seams.hit("lease.take.done")
        return held

    async def freed(self, within: timedelta) -> None:
        """See `ports.lease`."""
        await self.lease.freed(within)

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        """See `ports.lease`."""
        self.seams.hit("lease.renew.before")
        held = await self.lease.renew(agent_id, epoch)
        self.seams.hit("lease.renew.done")
        return held

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        """See `ports.lease`."""
        self.seams.hit("lease.raise.before")
        held = await self.lease.raise_epoch(agent_id, epoch)
        self.seams.hit("lease.raise.done")
        return held

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """See `ports.lease`."""
        self.seams.hit("lease.release.before")
        await self.lease.release(agent_id, epoch)
        self.seams.hit("lease.release.done")


@dataclass(frozen=True, slots=True)
class SeamedVenue:
    """Before a request and after its answer; the adapter below marks "sent", see `sent`."""

    venue: TradingEngine
    seams: Seams

    @property
    def capabilities(self) -> Capabilities:
        """See `ports.services`."""
        return self.venue.capabilities

    async def submit(self, order: Order) -> VenueReport:
        """See `ports.services`."""
        self.seams.hit("venue.submit.before")
        try:
            return await self.venue.submit(order)
        finally:
            self.seams.hit("venue.submit.answered")

    async def look_up(self, order: Order) -> VenueReport | None:
        """See `ports.services`."""
        self.seams.hit("venue.look_up.before")
        try:
            return await self.venue.look_up(order)
        finally:
            self.seams.hit("venue.look_up.answered")

    async def cancel(self, venue_order_id: str) -> None:
        """See `ports.services`."""
        self.seams.hit("venue.cancel.before")
        try:
            await self.venue.cancel(venue_order_id)
        finally:
            self.seams.hit("venue.cancel.answered")

    async def account(self) -> Account:
        """See `ports.services`."""
        return await self.venue.account()

    async def positions(self) -> Sequence[VenuePosition]:
        """See `ports.services`."""
        return await self.venue.positions()

    async def open_orders(self) -> Sequence[OpenOrder]:
        """See `ports.services`."""
        return await self.venue.open_orders()

    async def health(self) -> Health:
        """See `ports.services`."""
        return await self.venue.health()


@dataclass(frozen=True, slots=True)
class SeamedDelivery:
    """Before the acknowledgement (its effect is committed) and after it."""

    delivery: Delivery
    seams: Seams

    @property
    def incoming(self) -> Incoming | None:
        """See `ports.bus`."""
        return self.delivery.incoming

    @property
    def subject(self) -> str:
        """See `ports.bus`."""
        return self.delivery.subject

    @property
    def body(self) -> bytes:
        """See `ports.bus`."""
        return self.delivery.body

    @property
    def problem(self) -> str:
        """See `ports.bus`."""
        return self.delivery.problem

    async def acknowledge(self) -> None:
        """See `ports.bus`."""
        self.seams.hit("delivery.ack.before")
        await self.delivery.acknowledge()
        self.seams.hit("delivery.acked")

    async def retry_later(self) -> None:
        """See `ports.bus`."""
        await self.delivery.retry_later()

    async def discard(self) -> None:
        """See `ports.bus`."""
        await self.delivery.discard()


@dataclass(frozen=True, slots=True)
class SeamedBus:
    """Before a publish, after its acknowledgement, and when a delivery has come in."""

    bus: Bus
    seams: Seams

    async def run(self) -> None:
        """See `ports.bus`."""
        await self.bus.run()

    async def publish(self, row: OutboxRow) -> Published:
        """See `ports.bus`."""
        self.seams.hit("bus.publish.before")
        published = await self.bus.publish(row)
        self.seams.hit("bus.publish.acked")
        return published

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """See `ports.bus`."""
        async for delivery in self.bus.deliveries():
            self.seams.hit("delivery.received")
            yield SeamedDelivery(delivery, self.seams)

    def is_connected(self) -> bool:
        """See `ports.bus`."""
        return self.bus.is_connected()


@dataclass(frozen=True, slots=True)
class SeamedOutbox:
    """Before the mark (all is acknowledged by then) and after it."""

    outbox: Outbox
    seams: Seams

    async def pending(self, agent_id: AgentId, *, limit: int) -> Sequence[OutboxRow]:
        """See `ports.records`."""
        return await self.outbox.pending(agent_id, limit=limit)

    async def mark_published(
        self, agent_id: AgentId, *, sequence: int, stream_sequence: int, at: datetime
    ) -> None:
        """See `ports.records`."""
        self.seams.hit("outbox.mark.before")
        await self.outbox.mark_published(
            agent_id, sequence=sequence, stream_sequence=stream_sequence, at=at
        )
        self.seams.hit("outbox.mark.done")

    async def backlog(self, agent_id: AgentId) -> int:
        """See `ports.records`."""
        return await self.outbox.backlog(agent_id)


class SeamedRecords:
    """After each read that recovery begins with: its phases."""

    def __init__(self, records: Records, seams: Seams) -> None:
        self._records = records
        self._seams = seams

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def agent(self, agent_id: AgentId) -> Agent | None:
        """See `ports.records`."""
        found = await self._records.agent(agent_id)
        self._seams.hit("recovery.agent")
        return found

    async def unfinished_cycles(self, agent_id: AgentId) -> Sequence[Cycle]:
        """See `ports.records`."""
        found = await self._records.unfinished_cycles(agent_id)
        self._seams.hit("recovery.cycles")
        return found

    async def open_trades(self, agent_id: AgentId) -> Sequence[TradeState]:
        """See `ports.records`."""
        found = await self._records.open_trades(agent_id)
        self._seams.hit("recovery.trades")
        return found
