"""Readers and outbox over the store of `adapters.memory.journal`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tradesaga.adapters.chain import GENESIS, event_id_of
from tradesaga.adapters.memory.dead_letters import MemoryDeadLetterRecords
from tradesaga.adapters.memory.journal import LoggedEntry, MemoryStore
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.cash import CashMark
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import AgentId, CycleId, StrategyId
from tradesaga.domain.ladder import Ladder
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Fill, Order, OrderStatus, ReservationState, Side, Trade
from tradesaga.domain.performance import imagined, performance
from tradesaga.domain.saga import ENDS
from tradesaga.domain.schedule import FiresMark, Schedule
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.records import (
    RUNS_LOOKED_AT,
    Circumstances,
    CycleRecord,
    Invariant,
    LogMark,
    OutboxRow,
    PositionSums,
    StrategyRecord,
    Submission,
)
from tradesaga.ports.trade_records import LAST, Place

ENDED_OTHERWISE = frozenset(
    {OrderStatus.REJECTED, OrderStatus.NOT_PLACED, OrderStatus.CANCELED, OrderStatus.EXPIRED}
)


class MemoryRecords(MemoryDeadLetterRecords):
    """Implements `ports.records.Records`."""

    async def agent(self, agent_id: AgentId) -> Agent | None:
        """The agent as last committed."""
        found = self._store.of(Agent, agent_id)
        return found[0] if found else None

    async def counts(self, agent_id: AgentId) -> AgentCounts:
        """Its counters."""
        return self._store.counts.get(agent_id, AgentCounts())

    async def ladder(self, agent_id: AgentId) -> Ladder | None:
        """What stands on its ladder."""
        found = self._store.of(Ladder, agent_id)
        return found[0] if found else None

    async def equity_marks(self, agent_id: AgentId) -> EquityMarks | None:
        """What its losses are measured from."""
        found = self._store.of(EquityMarks, agent_id)
        return found[0] if found else None

    async def cash_mark(self, agent_id: AgentId) -> CashMark | None:
        """What the cash of its account is measured from."""
        found = self._store.of(CashMark, agent_id)
        return found[0] if found else None

    async def open_trades(self, agent_id: AgentId) -> Sequence[TradeState]:
        """Every trade that has not ended, oldest first."""
        trades = [t for t in self._trades(agent_id) if t.saga.status not in ENDS]
        return sorted(trades, key=lambda trade: (trade.saga.created_at, trade.saga.id))

    async def trade_of(
        self, agent_id: AgentId, *, venue_order_id: str | None, client_order_id: str | None
    ) -> TradeState | None:
        """The trade whose order has that id."""
        trades = list(self._trades(agent_id))
        for trade in trades:
            if client_order_id is not None and trade.order.client_order_id == client_order_id:
                return trade
        for trade in trades:
            if venue_order_id is not None and trade.order.venue_order_id == venue_order_id:
                return trade
        return None

    async def absent_trades(self, agent_id: AgentId, since: datetime) -> Sequence[TradeState]:
        """Trades made since then whose order was proven absent."""
        found = [
            trade
            for trade in self._trades(agent_id)
            if trade.order.status is OrderStatus.NOT_PLACED
            and (trade.order.sends or trade.order.lookups)
            and trade.order.created_at >= since
        ]
        return sorted(found, key=lambda trade: (trade.order.created_at, trade.order.id))[:1000]

    async def unfinished_cycles(self, agent_id: AgentId) -> Sequence[Cycle]:
        """Cycles that are still `started`, oldest first."""
        cycles = [c for c in self._store.of(Cycle, agent_id) if c.status is CycleStatus.STARTED]
        return sorted(cycles, key=lambda c: (c.started_at, c.id))

    async def strategies(self, agent_id: AgentId) -> Sequence[StrategyRecord]:
        """All strategies that are not deleted, by name."""
        trades = defaultdict[object, list[Trade]](list)
        for trade in sorted(self._store.of(Trade, agent_id), key=lambda t: (t.executed_at, t.id)):
            trades[trade.strategy_id].append(trade)
        listed = [s for s in self._store.of(Strategy, agent_id) if s.deleted_at is None]
        decided, runs = self._imagined(agent_id), await self._last_runs(agent_id)
        return [
            StrategyRecord(
                strategy=replace(s, last_run_at=runs.get(s.id)),
                performance=imagined(d for d in decided if d.strategy_id == s.id)
                if s.is_shadow
                else performance(trades[s.id]),
            )
            for s in sorted(listed, key=lambda s: (s.name, s.id))
        ]

    async def _last_runs(self, agent_id: AgentId) -> Mapping[StrategyId, datetime]:
        cycles = [c for c in self._store.of(Cycle, agent_id) if c.type is CycleType.ANALYSIS]
        latest = sorted(cycles, key=lambda c: c.started_at)[-RUNS_LOOKED_AT:]
        began = {cycle.id: cycle.started_at for cycle in latest}
        runs = [
            (d.strategy_id, began[d.cycle_id])
            for d in self._store.of(Decision, agent_id)
            if d.strategy_id is not None and d.cycle_id in began
        ]
        runs += [
            (s.strategy_id, s.last_run_at)
            for s in await self.schedules(agent_id)
            if s.strategy_id is not None and s.last_run_at is not None
        ]
        return dict(sorted(runs, key=lambda run: run[1]))

    async def strategy(self, agent_id: AgentId, strategy_id: StrategyId) -> StrategyRecord | None:
        """One strategy that is not deleted."""
        found = [r for r in await self.strategies(agent_id) if r.strategy.id == strategy_id]
        return found[0] if found else None

    async def imagined_positions(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """Signed quantity by (strategy, symbol) that shadow strategies would hold."""
        held = defaultdict[tuple[StrategyId | None, str], Decimal](Decimal)
        for one in self._imagined(agent_id):
            signed = one.quantity if one.action is Action.BUY else -one.quantity
            held[one.strategy_id, one.symbol] += signed
        return held

    def _imagined(self, agent_id: AgentId) -> list[Decision]:
        found = [d for d in self._store.of(Decision, agent_id) if d.verdict is Verdict.SHADOW]
        return sorted(found, key=lambda d: (d.created_at, d.id))

    async def strategies_stored(self, agent_id: AgentId) -> Sequence[Strategy]:
        """All strategies, the deleted ones too, by name."""
        return sorted(self._store.of(Strategy, agent_id), key=lambda s: (s.name, s.id))

    async def schedules(self, agent_id: AgentId) -> Sequence[Schedule]:
        """Those that were not removed, in order of creation."""
        found = [s for s in self._store.of(Schedule, agent_id) if s.removed_at is None]
        return sorted(found, key=lambda s: (s.created_at, s.id))

    async def fires_mark(self, agent_id: AgentId) -> FiresMark | None:
        """Up to when the fires of all schedules have been taken at once."""
        found = self._store.of(FiresMark, agent_id)
        return found[0] if found else None

    async def positions(self, agent_id: AgentId) -> Sequence[PositionSums]:
        """All symbols ever traded."""
        positions = self._store.positions
        return [positions[key] for key in sorted(positions) if key[0] == agent_id]

    async def attributed(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """Signed quantity by (strategy, symbol) over all trades; zeros are left out."""
        sums = defaultdict[tuple[StrategyId | None, str], Decimal](Decimal)
        for trade in self._store.of(Trade, agent_id):
            signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
            sums[trade.strategy_id, trade.symbol] += signed
        return {key: quantity for key, quantity in sums.items() if quantity}

    async def cycles(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        status: CycleStatus | None = None,
        after: Place | None = None,
    ) -> Sequence[Cycle]:
        """The latest cycles by start, latest first, those after a place."""
        assert 1 <= limit <= 1001, limit
        found = [
            c
            for c in self._store.of(Cycle, agent_id)
            if status in (None, c.status) and (c.started_at, c.id) < (after or LAST)
        ]
        return sorted(found, key=lambda c: (c.started_at, c.id), reverse=True)[:limit]

    async def cycle(self, agent_id: AgentId, cycle_id: CycleId) -> CycleRecord | None:
        """One cycle, whole."""
        found = [c for c in self._store.of(Cycle, agent_id) if c.id == cycle_id]
        if not found:
            return None

        def of_cycle(cls: type[Any]) -> list[Any]:
            rows = [row for row in self._store.of(cls, agent_id) if row.cycle_id == cycle_id]
            return sorted(rows, key=lambda row: (row.created_at, row.id))

        logs = self._store.logs
        return CycleRecord(
            cycle=found[0],
            decisions=of_cycle(Decision),
            orders=of_cycle(Order),
            logs=[log for owner, log in logs if (owner, log.cycle_id) == (agent_id, cycle_id)],
        )

    async def checkpoints(
        self, agent_id: AgentId, *, limit: int, after: tuple[int, datetime] | None = None
    ) -> Sequence[Checkpoint]:
        """The latest by epoch and time, latest first, those after such a place."""
        found: list[Checkpoint] = [
            c
            for c in self._store.of(Checkpoint, agent_id)
            if after is None or (c.epoch, c.taken_at) < after
        ]
        return sorted(found, key=lambda c: (c.epoch, c.taken_at), reverse=True)[:limit]

    async def was_received(self, agent_id: AgentId, *event_ids: str) -> bool:
        """Whether the inbox has any of the events."""
        return any(("inbox", agent_id, name) in self._store.unique for name in event_ids)

    async def submissions_since(self, agent_id: AgentId, since: datetime) -> Sequence[Submission]:
        """Orders created since then, the first one first."""
        orders = [o for o in self._store.of(Order, agent_id) if o.created_at >= since]
        return [_submission(order) for order in sorted(orders, key=lambda o: (o.created_at, o.id))]

    async def invariants(
        self, agent_id: AgentId, given: Circumstances | None = None
    ) -> Sequence[Invariant]:
        """The money invariants: positions, order sums, trades, reservations."""
        checks: Mapping[str, Sequence[object]] = {
            "I4_positions": self._wrong_positions(agent_id),
            "I5_order_sums": self._wrong_orders(agent_id),
            "I6_reservations": [
                trade.saga.id
                for trade in self._trades(agent_id)
                if (trade.reservation.state is ReservationState.OPEN) == (trade.saga.status in ENDS)
            ],
        }
        return [
            Invariant(
                name=name,
                description=name,
                violations=len(broken),
                sample=[{"id": what} for what in broken[:5]],
            )
            for name, broken in checks.items()
        ]

    async def recheck(
        self,
        agent_id: AgentId,
        given: Circumstances,
        *,
        mark: LogMark | None,
        time_max: timedelta,
    ) -> tuple[Sequence[Invariant], LogMark | None]:
        """The same; the mark is the end of the log."""
        log = self._store.log_of(agent_id)
        mark = LogMark(seq=len(log), hash=log[-1].hash if log else GENESIS)
        return await self.invariants(agent_id, given), mark

    def _wrong_positions(self, agent_id: AgentId) -> list[str]:
        sums = defaultdict[str, Decimal](Decimal)
        for fill in self._store.of(Fill, agent_id):
            sums[fill.symbol] += fill.quantity if fill.side is Side.BUY else -fill.quantity
        for (owner, symbol), position in self._store.positions.items():
            if owner == agent_id:
                sums[symbol] -= position.quantity
        return [symbol for symbol, difference in sums.items() if difference]

    def _wrong_orders(self, agent_id: AgentId) -> list[object]:
        sums = defaultdict[object, Decimal](Decimal)
        for fill in self._store.of(Fill, agent_id):
            sums[fill.order_id] += fill.quantity
        orders = self._store.of(Order, agent_id)
        return [order.id for order in orders if order.filled_quantity != sums[order.id]]


class MemoryOutbox:
    """Implements `ports.records.Outbox`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def pending(self, agent_id: AgentId, *, limit: int) -> Sequence[OutboxRow]:
        """The next rows after the published ones."""
        return self._waiting(agent_id)[:limit]

    async def mark_published(
        self, agent_id: AgentId, *, sequence: int, stream_sequence: int, at: datetime
    ) -> None:
        """All rows up to `sequence` are out; never goes back."""
        known = self._store.published.get(agent_id, 0)
        self._store.published[agent_id] = max(known, sequence)

    async def backlog(self, agent_id: AgentId) -> int:
        """How many rows wait."""
        return len(self._waiting(agent_id))

    def _waiting(self, agent_id: AgentId) -> list[OutboxRow]:
        known = self._store.published.get(agent_id, 0)
        return [
            row_of(line)
            for line in self._store.log_of(agent_id)[known:]
            if line.entry.event is not None
        ]


def _submission(order: Order) -> Submission:
    filled = order.filled_quantity > 0
    return Submission(
        at=order.created_at,
        strategy_id=order.strategy_id,
        cycle_id=order.cycle_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        reference_price=order.reference_price,
        opening=order.opening,
        purpose=order.purpose,
        void=order.status in ENDED_OTHERWISE and not filled,
        left_at=(order.ended_at or order.created_at) if filled and not order.opening else None,
    )


def row_of(line: LoggedEntry) -> OutboxRow:
    """The outbox row of a log entry that carries an event."""
    row = line.row
    assert row.event_type is not None, line
    assert row.event_payload is not None, line
    return OutboxRow(
        sequence=line.seq,
        event_id=str(event_id_of(line.hash)),
        type=row.event_type,
        payload=row.event_payload.encode(),
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        at=line.at,
        agent_id=line.agent_id,
    )
