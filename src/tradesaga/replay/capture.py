"""Ports that note on a tape what passes through them, and change nothing but its order.

A question is noted when it is asked, and in its turn (`replay/turns.py`) when its outcome is there;
an error is noted and raised on. What was written is noted after its commit. Of the neighbours and
the lease the answers are kept; of the database, which a replay has itself, only the turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.decisions import Decision
from tradesaga.domain.events import ANALYSIS_REQUESTED, DecisionGenerated, Incoming
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.world import OpenableJournal, World
from tradesaga.ports.bus import Bus, Delivery, Published
from tradesaga.ports.clock import Offset, OtherClock
from tradesaga.ports.identity import IdSource
from tradesaga.ports.journal import Change, InboxEntry
from tradesaga.ports.records import OutboxRow, Records
from tradesaga.ports.services import (
    Account,
    Capabilities,
    DecisionService,
    Health,
    MarketData,
    OpenOrder,
    TradingEngine,
    VenuePosition,
)
from tradesaga.replay.captured_calls import CapturedCalls, CapturedTime, calls_of
from tradesaga.replay.marks import CapturedMarks
from tradesaga.replay.notes import Notes
from tradesaga.replay.past import rows_at_start
from tradesaga.replay.seen import seen
from tradesaga.replay.tape import ADMITTED, EVENT, STOP, Beginning, Held, Known, about
from tradesaga.replay.turns import INSIDE, part

T = TypeVar("T")
TURNS_ONLY: Final = (
    "outbox", "archive", "stream", "sent", "database", "order_history", "fleet", "venue_memory",
    "parking",
)  # fmt: skip
"""Ports of which a replay needs no answers: it has a database, and no neighbours, of its own."""

UNPUBLISHED_MAX: Final = 1000


def captured(world: World, notes: Notes) -> World:
    """The same world, noted on the tape."""
    return replace(
        world,
        clock=CapturedTime(notes),
        journal=CapturedJournal(world.journal, notes),
        ids=CapturedIds(world.ids, notes),
        bus=CapturedBus(world.bus, notes),
        records=_with_inbox(world.records, notes),
        lease=calls_of("lease", world.lease, notes, keep=True),
        **_turns_only(world, notes),
        marks=None if world.marks is None else CapturedMarks(world.marks, notes),
        venue=CapturedVenue(world.venue, notes),
        market_data=CapturedMarketData(world.market_data, notes),
        decisions=CapturedDecisions(world.decisions, notes),
        database_clock=_noted("database", world.database_clock, notes),
        venue_clock=_noted("venue", world.venue_clock, notes),
    )


def _turns_only(world: World, notes: Notes) -> Mapping[str, Any]:
    ports = {name: getattr(world, name) for name in TURNS_ONLY}
    return {name: port and calls_of(name, port, notes) for name, port in ports.items()}


def _noted(name: str, clock: OtherClock | None, notes: Notes) -> OtherClock | None:
    return None if clock is None else CapturedClock(name, clock, notes)


async def note_beginning(
    notes: Notes,
    world: World,
    agent_id: AgentId,
    *,
    version: str,
    settings: Mapping[str, Any],
    configured: Sequence[Strategy],
    identity: Identity | None = None,
) -> None:
    """The first line: what the life begins with. Raises Unavailable."""
    records, now = world.records, world.clock.now()
    beginning = Beginning(
        version=version,
        settings=settings,
        agent=await records.agent(agent_id),
        strategies=[Known.of(one.strategy) for one in await records.strategies(agent_id)],
        configured=[Known.of(strategy) for strategy in configured],
        positions=list(await records.positions(agent_id)),
        attributed=_held(await records.attributed(agent_id)),
        ordered=list(await records.submissions_since(agent_id, now.replace(hour=0, minute=0))),
        open_trades=len(await records.open_trades(agent_id)),
        rows=await rows_at_start(records, agent_id, now),
        imagined=_held(await records.imagined_positions(agent_id)),
        identity=identity,
        has_clocks=(world.database_clock is not None, world.venue_clock is not None),
        has_marks=world.marks is not None,
        turns=True,
        unpublished=list(await world.outbox.pending(agent_id, limit=UNPUBLISHED_MAX)),
    )
    notes.note("begin", body=beginning)


def _held(found: Mapping[tuple[StrategyId | None, str], Decimal]) -> list[Held]:
    return [
        Held(strategy_id=strategy_id, symbol=symbol, quantity=quantity)
        for (strategy_id, symbol), quantity in found.items()
    ]


@dataclass(frozen=True, slots=True)
class CapturedVenue:
    """Implements `ports.services.TradingEngine`."""

    venue: TradingEngine
    notes: Notes

    @property
    def capabilities(self) -> Capabilities:
        """As the port."""
        return self.venue.capabilities

    async def submit(self, order: Order) -> VenueReport:
        """As the port."""
        asked = self.venue.submit(order)
        return await self.notes.call("submit", order.client_order_id, asked)

    async def look_up(self, order: Order) -> VenueReport | None:
        """As the port."""
        asked = self.venue.look_up(order)
        return await self.notes.call("look_up", order.client_order_id, asked)

    async def cancel(self, venue_order_id: str) -> None:
        """As the port."""
        await self.notes.call("cancel", venue_order_id, self.venue.cancel(venue_order_id))

    async def account(self) -> Account:
        """As the port."""
        return await self.notes.call("account", "", self.venue.account())

    async def positions(self) -> Sequence[VenuePosition]:
        """As the port."""
        return await self.notes.call("positions", "", self.venue.positions())

    async def open_orders(self) -> Sequence[OpenOrder]:
        """As the port."""
        return await self.notes.call("open_orders", "", self.venue.open_orders())

    async def health(self) -> Health:
        """As the port."""
        return await self.notes.call("health", "trading-engine", self.venue.health())


@dataclass(frozen=True, slots=True)
class CapturedMarketData:
    """Implements `ports.services.MarketData`."""

    market_data: MarketData
    notes: Notes

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """As the port."""
        asked = self.market_data.quotes(symbols)
        return await self.notes.call("quotes", ",".join(symbols), asked)

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """As the port."""
        asked = self.market_data.daily_closes(symbols, number=number)
        return await self.notes.call("daily_closes", ",".join(symbols), asked)

    async def market_status(self) -> MarketStatus:
        """As the port."""
        return await self.notes.call("market_status", "", self.market_data.market_status())

    async def health(self) -> Health:
        """As the port."""
        return await self.notes.call("health", "market-data", self.market_data.health())


@dataclass(frozen=True, slots=True)
class CapturedDecisions:
    """Implements `ports.services.DecisionService`."""

    decisions: DecisionService
    notes: Notes

    async def health(self) -> Health:
        """As the port."""
        return await self.notes.call("health", "ai-decision", self.decisions.health())


@dataclass(frozen=True, slots=True)
class CapturedClock:
    """Implements `ports.clock.OtherClock`."""

    name: str
    clock: OtherClock
    notes: Notes

    async def offset(self) -> Offset:
        """As the port."""
        return await self.notes.call("clock", self.name, self.clock.offset())


@dataclass(frozen=True, slots=True)
class CapturedIds:
    """Implements `ports.identity.IdSource`."""

    ids: IdSource
    notes: Notes

    def uuid7(self, what: str = "") -> UUID:
        """As the port."""
        given = self.ids.uuid7(what)
        self.notes.note("id", name=what, key=str(given))
        return given


@dataclass(frozen=True, slots=True)
class CapturedBus:
    """Implements `ports.bus.Bus`."""

    bus: Bus
    notes: Notes

    async def run(self) -> None:
        """As the port."""
        await self.notes.call("bus", "", self.bus.run(), keep=False)

    async def publish(self, row: OutboxRow) -> Published:
        """As the port; what is asked of the decision makers is noted before it leaves."""
        if row.type == ANALYSIS_REQUESTED:
            self.notes.note("question", body=msgspec.Raw(row.payload))
        return await self.notes.call("publish", about(row), self.bus.publish(row), keep=False)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """As the port."""
        coming = self.bus.deliveries()
        while True:
            delivery = await self._next(coming)
            body = delivery.body.decode(errors="replace")
            verdict = _verdict(delivery.incoming)
            self.notes.note(EVENT, name=delivery.subject, body=body, code=verdict)
            settled: Any = CapturedCalls("delivery", delivery, self.notes, keep=False)
            yield settled

    async def _next(self, coming: AsyncIterator[Delivery]) -> Delivery:
        if INSIDE.get() is None:
            return await anext(coming)
        return await self.notes.turns.through(anext(coming))

    def is_connected(self) -> bool:
        """As the port."""
        return self.bus.is_connected()


def _verdict(incoming: Incoming | None) -> str:
    """What was said of the signature; empty where none was judged."""
    content = None if incoming is None else incoming.content
    if not isinstance(content, DecisionGenerated):
        return ""
    if content.refused is not None:
        return str(content.refused)
    return "" if content.nonce_key is None else ADMITTED


class CapturedRecords(CapturedCalls):
    """Implements `ports.records.Records`; what the inbox had is noted."""

    def __init__(self, records: Records, notes: Notes) -> None:
        super().__init__("records", records, notes, keep=False)
        self._records = records

    async def was_received(self, agent_id: AgentId, *event_ids: str) -> bool:
        """As the port."""
        asked = self._records.was_received(agent_id, *event_ids)
        found = await self._notes.call("records.was_received", part(), asked, shown=seen)
        for event_id in event_ids if found else ():
            self._notes.note("known", key=event_id)
        return found


def _with_inbox(records: Records, notes: Notes) -> Records:
    captured: Any = CapturedRecords(records, notes)  # most of its methods are the port's own
    whole: Records = captured
    return whole


@dataclass(frozen=True, slots=True)
class CapturedJournal:
    """Implements `engine.world.OpenableJournal`."""

    journal: OpenableJournal
    notes: Notes

    async def open(self, agent_id: AgentId, epoch: int) -> object:
        """As the port."""
        opened = self.journal.open(agent_id, epoch)
        return await self.notes.call("open", "", opened, keep=False)

    async def commit(self, change: Change) -> int:
        """As the port."""
        written = self.journal.commit(change)
        sequence = await self.notes.call("commit", part(), written, keep=False)
        for row in change.rows:
            match row.value:
                case Decision() as decision:
                    self.notes.note("decision", key=decision.external_id, body=decision)
                case Order() as order:
                    self.notes.note("order", key=order.client_order_id, body=order)
                case InboxEntry() as taken:
                    self.notes.note("taken", key=taken.event_id)
                case _:
                    pass
        return sequence


async def lived(
    notes: Notes, run: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Run an engine whose world is captured until `stop` is set, which is noted in its turn."""
    inner = asyncio.Event()

    def told() -> None:
        notes.note(STOP)
        inner.set()

    async def heed() -> None:
        await stop.wait()
        notes.turns.call(told)

    async with asyncio.TaskGroup() as group:
        heeding = group.create_task(heed(), name="stop")
        async with notes.turns.live("engine"):
            await run(inner)
        heeding.cancel()
