"""Everything around one orchestrator, in memory, and the orchestrator's parts put together on it.

A `Place` outlives its nodes: the store is the database, the venue and the bus go on. A node that
is left is a process that has ended; `Crash` ends one at a chosen commit as a kill does: what was
committed stays, nothing more is written, nobody is told.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from typing_extensions import override

from tests.domain.limits import LIMITS, SESSION
from tests.domain.trades import DECISION, POLICY, START
from tradesaga.adapters.memory.archive import MemoryArchive
from tradesaga.domain.agent import Mode
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId, DecisionId, StrategyId, derived
from tradesaga.domain.market import Calendar
from tradesaga.domain.saga import Saga
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy, TradeState
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine.assembly import Parts, assemble
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.recovery import Found
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.world import World
from tradesaga.ports.clock import OtherClock
from tradesaga.ports.database import DatabaseMarks
from tradesaga.ports.halt_marks import HaltMarks
from tradesaga.ports.journal import Change
from tradesaga.ports.lease import Held
from tradesaga.ports.services import EngineParking, OrderHistory, VenueMemory
from tradesaga.ports.tracing import UNTRACED, Tracer
from tradesaga.testing.bus import MemoryBus
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.journal import MemoryJournal, MemoryStore
from tradesaga.testing.market_data import ScriptedMarketData
from tradesaga.testing.records import MemoryOutbox, MemoryRecords
from tradesaga.testing.services import ScriptedDecisions, ScriptedVenue

PATIENCE = 10.0
"""Real seconds after which a test that waits for something has failed."""
SETTINGS = EngineSettings(
    agent_id=DEFAULT_AGENT,
    agent_name="default",
    analysis_interval=timedelta(minutes=1),
    analysis_concurrent_max=1,
    analysis_time_max=timedelta(minutes=2),
    decision_time_max=timedelta(seconds=10),
    heartbeat_interval=timedelta(seconds=30),
    market_hours_only=True,
    limits=dict.fromkeys(Mode, LIMITS),
    quote_cadence=timedelta(minutes=1),
    lease_renew_every=timedelta(hours=1),
    stop_time_max=timedelta(seconds=1),
)
STRATEGY = Strategy(
    id=StrategyId(UUID(int=3)),
    agent_id=DEFAULT_AGENT,
    external_id="sma",
    name="Crossover",
    type="sma_crossover",
    symbols=("ACME",),
    created_at=START,
    updated_at=START,
)


class Crash(BaseException):
    """The process is gone."""


class CrashingJournal(MemoryJournal):
    """Dies at commit number `at`, after it when `durable`, else before; then all is over."""

    def __init__(self, store: MemoryStore, *, at: int, durable: bool) -> None:
        super().__init__(store)
        self.left = at
        self.durable = durable
        self.dead = False

    @override
    async def commit(self, change: Change) -> int:
        if self.dead:
            raise Crash
        self.left -= 1
        if self.left > 0:
            return await super().commit(change)
        self.dead = True
        if self.durable:
            await super().commit(change)
        raise Crash


class MemoryLease:
    """Always free: whoever takes it next has the next epoch."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.left = float("inf")
        self.released = 0

    async def take(self, agent_id: AgentId) -> Held | None:
        self.store.epochs[agent_id] = self.store.epochs.get(agent_id, 0) + 1
        return self._held(agent_id)

    async def freed(self, within: timedelta) -> None: ...

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        return self._held(agent_id)

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        self.store.epochs[agent_id] += 1
        return self._held(agent_id)

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        self.released += 1

    def _held(self, agent_id: AgentId) -> Held:
        return Held(epoch=self.store.epochs[agent_id], until=self.left, wait=timedelta())


class CountingMetrics:
    """Keeps what was reported, each as a tuple."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def cycle_ended(self, cycle_type: str, status: str, duration: timedelta) -> None:
        self.seen.append(("cycle_ended", cycle_type, status))

    def cycle_began(self, cycle_type: str, late: timedelta) -> None:
        self.seen.append(("cycle_began", cycle_type, late))

    def cycle_skipped(self, cycle_type: str, reason: str, number: int = 1) -> None:
        self.seen.append(("cycle_skipped", cycle_type, reason, number))

    def decision_made(self, action: str, verdict: str) -> None:
        self.seen.append(("decision_made", action, verdict))

    def order_ended(self, status: str) -> None:
        self.seen.append(("order_ended", status))

    def rate_limited(self, service: str, outcome: str) -> None:
        self.seen.append(("rate_limited", service, outcome))

    def error_occurred(self, error_type: str) -> None:
        self.seen.append(("error_occurred", error_type))

    def agent_up(self, uptime: timedelta) -> None:
        self.seen.append(("agent_up", uptime))

    def strategies_active(self, number: int) -> None:
        self.seen.append(("strategies_active", number))

    def ladder_rung(self, severity: int) -> None:
        self.seen.append(("ladder_rung", severity))

    def kill_unresolved(self, number: int) -> None:
        self.seen.append(("kill_unresolved", number))

    def invariants_broken(self, number: int) -> None:
        self.seen.append(("invariants_broken", number))

    def rows_archived(self, table: str, number: int) -> None:
        self.seen.append(("rows_archived", table, number))

    def reconciled(self, at: datetime, drifting: int) -> None:
        self.seen.append(("reconciled", at, drifting))


class CountingIds:
    """UUIDs 1, 2, 3 ... of version 7, so that they sort by their making."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def uuid7(self, what: str = "") -> UUID:
        return UUID(int=(7 << 76) | (2 << 62) | next(self._numbers))


@dataclass
class Place:
    """What stays when a process goes."""

    policy: Policy = POLICY
    settings: EngineSettings = SETTINGS
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    store: MemoryStore = field(default_factory=MemoryStore)
    bus: MemoryBus = field(default_factory=MemoryBus)
    ids: CountingIds = field(default_factory=CountingIds)
    metrics: CountingMetrics = field(default_factory=CountingMetrics)
    marks: HaltMarks | None = None
    database: DatabaseMarks | None = None
    order_history: OrderHistory | None = None
    database_clock: OtherClock | None = None
    venue_clock: OtherClock | None = None
    parking: EngineParking | None = None
    venue_memory: VenueMemory | None = None
    tracer: Tracer = UNTRACED
    found: Found = field(default_factory=Found, init=False)
    """By the latest recovery."""

    def __post_init__(self) -> None:
        self.venue = ScriptedVenue(
            self.clock, dedupes=self.policy.dedupes, visibility_lag=self.policy.visibility_lag
        )
        self.market_data = ScriptedMarketData(self.clock)
        self.calendar = Calendar(sessions=(SESSION,), first=date.min, last=date.max)
        self.lease = MemoryLease(self.store)
        self.records = MemoryRecords(self.store)
        self.outbox = MemoryOutbox(self.store)
        self.archive = MemoryArchive(epochs=self.store.epochs)

    def world(self, journal: MemoryJournal | None = None) -> World:
        return World(
            journal=journal or MemoryJournal(self.store),
            records=self.records,
            outbox=self.outbox,
            archive=self.archive,
            lease=self.lease,
            bus=self.bus,
            clock=self.clock,
            ids=self.ids,
            metrics=self.metrics,
            venue=self.venue,
            market_data=self.market_data,
            decisions=ScriptedDecisions(),
            calendar=self.calendar,
            marks=self.marks,
            database=self.database,
            order_history=self.order_history,
            database_clock=self.database_clock,
            venue_clock=self.venue_clock,
            parking=self.parking,
            venue_memory=self.venue_memory,
            tracer=self.tracer,
        )

    @asynccontextmanager
    async def node(self, journal: MemoryJournal | None = None) -> AsyncIterator[Parts]:
        """A process that holds the lease and has recovered; it ends when the block is left."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            parts = assemble(self.world(journal), self.settings, self.policy, group)
            await parts.leadership.take()
            self.found = await parts.recovery.run()
            yield parts
            await parts.scheduler.cancel_all()
            await parts.crew.drain(0)

    @asynccontextmanager
    async def running(self, journal: MemoryJournal | None = None) -> AsyncIterator[Parts]:
        """A node whose agent has been started, with one strategy."""
        async with self.node(journal) as parts:
            await parts.book.load([STRATEGY])
            await parts.control.start(strategies=None, mode=None, actor="operator")
            yield parts

    def trade(self, decision: Decision = DECISION) -> TradeState:
        """The pending trade of a decision made now."""
        now = self.clock.now()
        return trade_for(decision, reserve=Decimal(202), now=now, policy=self.policy)

    def kinds(self) -> list[str]:
        """The kinds of all log entries, in order."""
        return [line.entry.kind for line in self.store.log_of(DEFAULT_AGENT)]

    async def broken(self) -> list[str]:
        """The invariants that do not hold."""
        found = await self.records.invariants(DEFAULT_AGENT)
        return [each.name for each in found if each.violations]

    async def position(self, symbol: str = "ACME") -> Decimal:
        sums = {each.symbol: each.quantity for each in await self.records.positions(DEFAULT_AGENT)}
        return sums.get(symbol, Decimal(0))


def desk_of(parts: Parts) -> TradeDesk:
    return parts.recovery.desk


def another(number: int, *, at: datetime = START) -> Decision:
    """A decision of its own, as good as the first."""
    return replace(
        DECISION,
        id=DecisionId(derived("decision", number)),
        external_id=f"d-{number}",
        as_of=at,
        created_at=at,
        expires_at=at + timedelta(seconds=45),
    )


async def begin(place: Place, parts: Parts, decision: Decision = DECISION) -> OpenTrade:
    """Commit the intent and hand the saga to its runner."""
    desk = desk_of(parts)
    trade = await desk.begin(place.trade(decision), epoch=desk.epoch)
    parts.crew.take(trade)
    return trade


async def carried_out(place: Place, parts: Parts, decision: Decision = DECISION) -> Saga:
    """The saga as it rests."""
    trade = await begin(place, parts, decision)
    await trade.ended.wait()
    return trade.state.saga
