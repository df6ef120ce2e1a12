"""Journal, readers, outbox and lease of a simulated process, over one store that outlives it.

The store is that of `testing.journal`, with its conditions. A commit travels to the store and back
in batches and in order; while the database is away it waits. The process may die with the commit
done and the answer lost, and a dead process's commit may still arrive: then only the epoch stops
it. Readers see the store as it was a moment ago.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from typing_extensions import override

from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.errors import Conflict, Fenced, Unavailable
from tradesaga.domain.ids import AgentId, SagaId, StrategyId
from tradesaga.domain.ladder import Ladder
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Order, Reservation, Void
from tradesaga.domain.saga import Saga
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.journal import Change
from tradesaga.ports.lease import Held
from tradesaga.ports.records import OutboxRow, PositionSums, StrategyRecord, Submission
from tradesaga.ports.trade_records import Place
from tradesaga.testing.journal import LoggedEntry, MemoryJournal, MemoryStore
from tradesaga.testing.records import MemoryOutbox, MemoryRecords, row_of
from tradesaga.testing.sim_life import Life, LifeOver
from tradesaga.testing.sim_weather import DATABASE, SEND_SECONDS_MAX

T = TypeVar("T")
LEASE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.2
"""How often a commit that meets no database tries again."""


@dataclass(slots=True)
class SimStore(MemoryStore):
    """What is durable, with the lease and an index of orders by their ids."""

    holder: str = ""
    expires_at: float = 0.0
    by_client_id: dict[str, SagaId] = field(default_factory=dict)
    by_venue_id: dict[str, SagaId] = field(default_factory=dict)
    trades: dict[SagaId, dict[type, Any]] = field(default_factory=dict)

    def index(self, change: Change) -> None:
        """Keep the indexes of a Change that was just applied."""
        for value in (row.value for row in change.rows):
            match value:
                case Saga():
                    self.trades.setdefault(value.id, {})[Saga] = value
                case Reservation():
                    self.trades.setdefault(value.saga_id, {})[Reservation] = value
                case Order():
                    self.trades.setdefault(value.saga_id, {})[Order] = value
                    self.by_client_id[value.client_order_id] = value.saga_id
                    if value.venue_order_id is not None:
                        self.by_venue_id[value.venue_order_id] = value.saga_id
                case Void():
                    rows = self.trades[value.saga_id]
                    rows[Void] = (*rows.get(Void, ()), value)
                case _:
                    pass

    def trade(self, saga_id: SagaId | None) -> TradeState | None:
        """One trade as last committed."""
        if saga_id is None:
            return None
        rows = self.trades[saga_id]
        return TradeState(
            saga=rows[Saga],
            order=rows[Order],
            reservation=rows[Reservation],
            voids=rows.get(Void, ()),
        )


class SimJournal(MemoryJournal):
    """One process's journal."""

    def __init__(self, store: SimStore, life: Life) -> None:
        super().__init__(store)
        self._sim_store = store
        self._life = life
        self._queue: deque[tuple[Change, asyncio.Future[Any]]] = deque()
        self._writing = False

    @override
    async def commit(self, change: Change) -> int:
        """As the port; refusals are drawn."""
        self._life.edge("before a commit")
        if self._life.weather.strikes(self._life.weather.commit_refused):
            await self._life.pause(self._life.weather.travel())
            raise Unavailable("too many changes wait; nothing was written")
        future = self._life.expect()
        self._queue.append((change, future))
        if not self._writing:
            self._writing = True
            self._life.loop.call_later(self._life.weather.travel(), self._write)
        return await future  # type: ignore[no-any-return]  # the sequence, or an error of ours

    def _write(self) -> None:
        weather, loop = self._life.weather, self._life.loop
        if self._life.over and weather.rng.random() < 0.5:
            self._queue.clear()  # it had not been sent yet
        elif DATABASE in weather.down:
            loop.call_later(LOOK_AGAIN_SECONDS, self._write)
            return
        batch, self._queue = self._queue, deque()
        for change, future in batch:
            self._write_one(change, future)
        self._writing = bool(self._queue)
        if self._queue:
            loop.call_later(weather.travel(), self._write)

    def _write_one(self, change: Change, future: asyncio.Future[Any]) -> None:
        result: object
        try:
            result = self._commit(change)
            self.changes.clear()
            self._sim_store.index(change)
        except Conflict as error:
            result = error
        kinds = ",".join(f"{entry.kind}:{entry.subject}" for entry in change.entries)
        said = type(result).__name__ if isinstance(result, Conflict) else result
        self._life.loop.note(f"{self._life.name} commits {kinds} -> {said}")
        try:
            self._life.edge("after a commit")
        except LifeOver:
            return
        self._life.answer(future, result, after=self._life.weather.travel())


class SimRecords(MemoryRecords):
    """One process's readers."""

    def __init__(self, store: SimStore, life: Life) -> None:
        super().__init__(store)
        self._sim_store = store
        self._life = life

    async def _read(self, reading: Coroutine[Any, Any, T]) -> T:
        trip = self._life.weather.trip(DATABASE)
        try:
            await self._life.ask("a read", lambda: None, trip)
            found = await reading
        finally:
            reading.close()
        await self._life.pause(trip.back)  # what is read is a little old when it arrives
        return found

    @override
    async def agent(self, agent_id: AgentId) -> Agent | None:
        """As the port."""
        return await self._read(super().agent(agent_id))

    @override
    async def counts(self, agent_id: AgentId) -> AgentCounts:
        """As the port."""
        return await self._read(super().counts(agent_id))

    @override
    async def ladder(self, agent_id: AgentId) -> Ladder | None:
        """As the port."""
        return await self._read(super().ladder(agent_id))

    @override
    async def equity_marks(self, agent_id: AgentId) -> EquityMarks | None:
        """As the port."""
        return await self._read(super().equity_marks(agent_id))

    @override
    async def open_trades(self, agent_id: AgentId) -> Sequence[TradeState]:
        """As the port."""
        return await self._read(super().open_trades(agent_id))

    @override
    async def absent_trades(self, agent_id: AgentId, since: datetime) -> Sequence[TradeState]:
        """As the port."""
        return await self._read(super().absent_trades(agent_id, since))

    @override
    async def trade_of(
        self, agent_id: AgentId, *, venue_order_id: str | None, client_order_id: str | None
    ) -> TradeState | None:
        """As the port, by the store's indexes."""
        return await self._read(self._trade_of(venue_order_id, client_order_id))

    async def _trade_of(self, venue_id: str | None, client_id: str | None) -> TradeState | None:
        store = self._sim_store
        by_client = store.by_client_id.get(client_id) if client_id is not None else None
        by_venue = store.by_venue_id.get(venue_id) if venue_id is not None else None
        return store.trade(by_client or by_venue)

    @override
    async def unfinished_cycles(self, agent_id: AgentId) -> Sequence[Cycle]:
        """As the port."""
        return await self._read(super().unfinished_cycles(agent_id))

    @override
    async def strategies(self, agent_id: AgentId) -> Sequence[StrategyRecord]:
        """As the port."""
        return await self._read(super().strategies(agent_id))

    @override
    async def positions(self, agent_id: AgentId) -> Sequence[PositionSums]:
        """As the port."""
        return await self._read(super().positions(agent_id))

    @override
    async def attributed(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """As the port."""
        return await self._read(super().attributed(agent_id))

    @override
    async def cycles(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        status: CycleStatus | None = None,
        after: Place | None = None,
    ) -> Sequence[Cycle]:
        """As the port."""
        return await self._read(super().cycles(agent_id, limit=limit, status=status, after=after))

    @override
    async def was_received(self, agent_id: AgentId, *event_ids: str) -> bool:
        """As the port."""
        return await self._read(super().was_received(agent_id, *event_ids))

    @override
    async def submissions_since(self, agent_id: AgentId, since: datetime) -> Sequence[Submission]:
        """As the port."""
        return await self._read(super().submissions_since(agent_id, since))


class SimOutbox(MemoryOutbox):
    """One process's outbox."""

    def __init__(self, store: SimStore, life: Life) -> None:
        super().__init__(store)
        self._sim_store = store
        self._life = life

    @override
    async def pending(self, agent_id: AgentId, *, limit: int) -> Sequence[OutboxRow]:
        """As the port."""
        if not waiting_lines(self._sim_store, agent_id):
            await self._life.pause(self._life.weather.travel())
            return []
        trip = self._life.weather.trip(DATABASE)
        return await self._life.ask(
            "a look into the outbox", lambda: self._waiting(agent_id)[:limit], trip
        )

    @override
    async def mark_published(
        self, agent_id: AgentId, *, sequence: int, stream_sequence: int, at: datetime
    ) -> None:
        """As the port."""

        def mark() -> None:
            known = self._sim_store.published.get(agent_id, 0)
            self._sim_store.published[agent_id] = max(known, sequence)

        await self._life.ask("the outbox mark", mark, self._life.weather.trip(DATABASE))

    @override
    def _waiting(self, agent_id: AgentId) -> list[OutboxRow]:
        return [row_of(line) for line in waiting_lines(self._sim_store, agent_id)]


class SimLease:
    """One process's lease; implements `ports.lease.Lease` over the store's row."""

    def __init__(self, store: SimStore, life: Life) -> None:
        self._store = store
        self._life = life

    async def take(self, agent_id: AgentId) -> Held | None:
        """As the port; nobody is ever provably dead here."""
        asked_at = self._life.loop.time()

        def act() -> Held | None:
            if self._store.expires_at > self._life.loop.time():
                return None
            wait = SEND_SECONDS_MAX if self._store.holder else 0.0
            self._store.holder = self._life.name
            return self._next(agent_id, asked_at, wait)

        return await self._life.ask("the lease", act, self._life.weather.trip(DATABASE))

    async def freed(self, within: timedelta) -> None:
        """As the port; only time tells."""
        await asyncio.sleep(within.total_seconds())

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        """As the port."""
        asked_at = self._life.loop.time()

        def act() -> Held:
            self._must_hold(agent_id, epoch)
            return self._held(epoch, asked_at, 0.0)

        return await self._life.ask("a renewal", act, self._life.weather.trip(DATABASE))

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        """As the port."""
        asked_at = self._life.loop.time()

        def act() -> Held:
            self._must_hold(agent_id, epoch)
            return self._next(agent_id, asked_at, 0.0)

        return await self._life.ask("a new epoch", act, self._life.weather.trip(DATABASE))

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """As the port."""

        def act() -> None:
            if self._store.holder == self._life.name and self._store.epochs[agent_id] == epoch:
                self._store.holder, self._store.expires_at = "", 0.0

        await self._life.ask("the hand-over", act, self._life.weather.trip(DATABASE))

    def _must_hold(self, agent_id: AgentId, epoch: int) -> None:
        if self._store.holder != self._life.name or self._store.epochs[agent_id] != epoch:
            raise Fenced(f"agent {agent_id} is no longer held under epoch {epoch}")

    def _next(self, agent_id: AgentId, asked_at: float, wait: float) -> Held:
        epoch = self._store.epochs[agent_id] = self._store.epochs.get(agent_id, 0) + 1
        self._life.loop.note(f"{self._life.name} leads under epoch {epoch}")
        return self._held(epoch, asked_at, wait)

    def _held(self, epoch: int, asked_at: float, wait: float) -> Held:
        self._store.expires_at = self._life.loop.time() + LEASE_SECONDS
        return Held(epoch=epoch, until=asked_at + LEASE_SECONDS, wait=timedelta(seconds=wait))


def waiting_lines(store: SimStore, agent_id: AgentId) -> list[LoggedEntry]:
    """The lines of the log whose events are not marked as published."""
    known = store.published.get(agent_id, 0)
    return [line for line in store.log_of(agent_id)[known:] if line.entry.event is not None]
