"""Readers on Postgres: implements `ports.records.Records` and `ports.records.Outbox`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.dead_letters import PostgresDeadLetterRecords
from tradesaga.adapters.postgres.decoding import Row, read_trade, reader
from tradesaga.adapters.postgres.figures import Figures
from tradesaga.adapters.postgres.invariants import check_invariants, recheck_invariants
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.cash import CashMark
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId, CycleId, StrategyId
from tradesaga.domain.ladder import Ladder, unreadable
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Order
from tradesaga.domain.performance import imagined
from tradesaga.domain.schedule import FiresMark, Schedule
from tradesaga.domain.strategies import Performance, Strategy
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.journal import CycleLog
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

CYCLES_MAX = CHECKPOINTS_MAX = 1001
EPOCH_MAX = 2**63 - 1
_agent, _counts, _cycle = reader(Agent), reader(AgentCounts), reader(Cycle)
_decision, _order, _log = reader(Decision), reader(Order), reader(CycleLog)
_ladder, _marks = reader(Ladder), reader(EquityMarks)
_strategy, _position = reader(Strategy), reader(PositionSums)
_checkpoint, _submission = reader(Checkpoint), reader(Submission)
_schedule, _cash_mark = reader(Schedule), reader(CashMark)
_fires_mark = reader(FiresMark)


class PostgresRecords(PostgresDeadLetterRecords):
    """Implements `ports.records.Records`."""

    def __init__(self, pool: ReaderPool) -> None:
        super().__init__(pool)
        self._figures = Figures()
        self._recheck = asyncio.Lock()

    async def agent(self, agent_id: AgentId) -> Agent | None:
        """The agent as last committed."""
        rows = await self._pool.fetch_together(QUERIES["agent"], agent_id)
        return _agent(rows[0]) if rows else None

    async def counts(self, agent_id: AgentId) -> AgentCounts:
        """Its counters; zeros for an unknown agent."""
        rows = await self._pool.fetch(QUERIES["counts"], agent_id)
        return _counts(rows[0]) if rows else AgentCounts()

    async def ladder(self, agent_id: AgentId) -> Ladder | None:
        """What stands on its ladder; HALTED when the row cannot be read."""
        rows = await self._pool.fetch_together(QUERIES["ladder"], agent_id)
        if not rows:
            return None
        try:
            return _ladder(rows[0])
        except (KeyError, ValueError, TypeError) as error:
            why = f"the stored ladder cannot be read: {error!r}"
            return unreadable(agent_id, why, rows[0][2], version=rows[0][4])

    async def equity_marks(self, agent_id: AgentId) -> EquityMarks | None:
        """What its losses are measured from."""
        rows = await self._pool.fetch_together(QUERIES["equity_marks"], agent_id)
        return _marks(rows[0]) if rows else None

    async def cash_mark(self, agent_id: AgentId) -> CashMark | None:
        """What the cash of its account is measured from."""
        rows = await self._pool.fetch_together(QUERIES["cash_mark"], agent_id)
        return _cash_mark(rows[0]) if rows else None

    async def open_trades(self, agent_id: AgentId) -> Sequence[TradeState]:
        """Every trade saga that has not ended, oldest first; one round trip."""
        rows = await self._pool.fetch_together(QUERIES["open_trades"], agent_id)
        return [read_trade(row) for row in rows]

    async def trade_of(
        self, agent_id: AgentId, *, venue_order_id: str | None, client_order_id: str | None
    ) -> TradeState | None:
        """The trade whose order has that id, ended or not; the client's id decides."""
        ids = venue_order_id, client_order_id
        rows = await self._pool.fetch(QUERIES["trade_of"], agent_id, *ids)
        return read_trade(rows[0]) if rows else None

    async def absent_trades(self, agent_id: AgentId, since: datetime) -> Sequence[TradeState]:
        """Trades made since then whose order was proven absent."""
        rows = await self._pool.fetch_together(QUERIES["absent_trades"], agent_id, since)
        return [read_trade(row) for row in rows]

    async def unfinished_cycles(self, agent_id: AgentId) -> Sequence[Cycle]:
        """Cycles that are still `started`."""
        rows = await self._pool.fetch_together(QUERIES["unfinished_cycles"], agent_id)
        return [_cycle(row) for row in rows]

    async def strategies(self, agent_id: AgentId) -> Sequence[StrategyRecord]:
        """All strategies that are not deleted, by name."""
        async with self._pool.snapshot() as connection:
            rows = await connection.fetch(QUERIES["strategies"], agent_id)
            earned = await self._figures.read(connection, agent_id)
            runs = await _last_runs(connection, agent_id)
            known = [_as_run(s, runs) for s in map(_strategy, rows) if s.deleted_at is None]
            shadowed = any(strategy.is_shadow for strategy in known)
            asked = QUERIES["imagined_decisions"], agent_id
            decided = await connection.fetch(*asked) if shadowed else ()
        shadows = defaultdict[StrategyId | None, list[Decision]](list)
        for decision in map(_decision, decided):
            shadows[decision.strategy_id].append(decision)
        return [
            StrategyRecord(
                strategy=strategy,
                performance=imagined(shadows[strategy.id])
                if strategy.is_shadow
                else earned.get(strategy.id, Performance()),
            )
            for strategy in known
        ]

    async def strategy(self, agent_id: AgentId, strategy_id: StrategyId) -> StrategyRecord | None:
        """One strategy that is not deleted."""
        key = agent_id, strategy_id
        async with self._pool.snapshot() as connection:
            rows = await connection.fetch(QUERIES["strategy"], *key)
            if not rows:
                return None
            strategy = _as_run(_strategy(rows[0]), await _last_runs(connection, agent_id))
            if strategy.is_shadow:
                made = await connection.fetch(QUERIES["imagined_of_strategy"], *key)
                return StrategyRecord(strategy=strategy, performance=imagined(map(_decision, made)))
            earned = await self._figures.read(connection, agent_id)
        return StrategyRecord(strategy=strategy, performance=earned.get(strategy_id, Performance()))

    async def imagined_positions(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """Signed quantity by (strategy, symbol) that shadow strategies would hold."""
        rows = await self._pool.fetch_together(QUERIES["imagined_positions"], agent_id)
        return {(row[0], row[1]): row[2] for row in rows}

    async def strategies_stored(self, agent_id: AgentId) -> Sequence[Strategy]:
        """All strategies, the deleted ones too, without their figures."""
        rows = await self._pool.fetch_together(QUERIES["strategies"], agent_id)
        return [_strategy(row) for row in rows]

    async def schedules(self, agent_id: AgentId) -> Sequence[Schedule]:
        """Those that were not removed, in order of creation."""
        return [
            _schedule(row)
            for row in await self._pool.fetch_together(QUERIES["schedules"], agent_id)
        ]

    async def fires_mark(self, agent_id: AgentId) -> FiresMark | None:
        """Up to when the fires of all schedules have been taken at once."""
        rows = await self._pool.fetch_together(QUERIES["fires_mark"], agent_id)
        return _fires_mark(rows[0]) if rows else None

    async def positions(self, agent_id: AgentId) -> Sequence[PositionSums]:
        """All symbols ever traded."""
        return [
            _position(row)
            for row in await self._pool.fetch_together(QUERIES["positions"], agent_id)
        ]

    async def attributed(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """Signed quantity by (strategy, symbol) over all trades."""
        rows = await self._pool.fetch_together(QUERIES["attributed"], agent_id)
        return {(row[0], row[1]): row[2] for row in rows}

    async def cycles(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        status: CycleStatus | None = None,
        after: Place | None = None,
    ) -> Sequence[Cycle]:
        """The latest cycles by start, latest first, those after a place; 1 <= limit <= 1001."""
        assert 1 <= limit <= CYCLES_MAX, limit
        asked = agent_id, status, *(after or LAST), limit
        rows = await self._pool.fetch_together(QUERIES["latest_cycles"], *asked)
        return [_cycle(row) for row in rows]

    async def cycle(self, agent_id: AgentId, cycle_id: CycleId) -> CycleRecord | None:
        """One cycle, whole."""
        key = agent_id, cycle_id
        async with self._pool.snapshot() as connection:
            rows = await connection.fetch(QUERIES["cycle"], *key)
            if not rows:
                return None
            decisions = await connection.fetch(QUERIES["decisions_of_cycle"], *key)
            orders = await connection.fetch(QUERIES["orders_of_cycle"], *key)
            logs = await connection.fetch(QUERIES["logs_of_cycle"], *key)
        return CycleRecord(
            cycle=_cycle(rows[0]),
            decisions=[_decision(row) for row in decisions],
            orders=[_order(row) for row in orders],
            logs=[_log(row) for row in logs],
        )

    async def checkpoints(
        self, agent_id: AgentId, *, limit: int, after: tuple[int, datetime] | None = None
    ) -> Sequence[Checkpoint]:
        """The latest by epoch and time, latest first, those after such a place."""
        assert 1 <= limit <= CHECKPOINTS_MAX, limit
        epoch, at = (EPOCH_MAX, LAST[0]) if after is None else after
        rows = await self._pool.fetch_together(QUERIES["checkpoints"], agent_id, epoch, at, limit)
        return [_checkpoint(row) for row in rows]

    async def was_received(self, agent_id: AgentId, *event_ids: str) -> bool:
        """Whether the inbox has any of the events."""
        return bool(await self._pool.fetchval(QUERIES["was_received"], agent_id, event_ids))

    async def submissions_since(self, agent_id: AgentId, since: datetime) -> Sequence[Submission]:
        """Orders created since then, the first one first; for the rules on pace."""
        rows = await self._pool.fetch_together(QUERIES["submissions_since"], agent_id, since)
        return [_submission(row) for row in rows]

    async def invariants(
        self, agent_id: AgentId, given: Circumstances | None = None
    ) -> Sequence[Invariant]:
        """Every invariant that the database alone can answer, all on one snapshot."""
        async with self._pool.snapshot() as connection:
            return await check_invariants(connection, agent_id, given)

    async def recheck(
        self,
        agent_id: AgentId,
        given: Circumstances,
        *,
        mark: LogMark | None,
        time_max: timedelta,
    ) -> tuple[Sequence[Invariant], LogMark | None]:
        """The same within `time_max`, the chain from `mark` on; one agent's at a time.

        Those of a hundred agents that were begun together are due together: they would keep all
        connections from what must be read now, and events would wait for theirs.
        """
        async with self._recheck, self._pool.snapshot() as connection:
            return await recheck_invariants(
                connection, agent_id, given, mark=mark, time_max=time_max
            )


class PostgresOutbox:
    """Implements `ports.records.Outbox`: a cursor on the log, moved by marks."""

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool

    async def pending(self, agent_id: AgentId, *, limit: int) -> Sequence[OutboxRow]:
        """The next rows after the published ones; empty when all is out."""
        rows = await self._pool.fetch_together(QUERIES["pending_events"], agent_id, limit)
        return [_outbox_row(row, agent_id) for row in rows]

    async def between(
        self, agent_id: AgentId, *, after: int, until: int | None, limit: int
    ) -> Sequence[OutboxRow]:
        """Rows after one number up to another, published or not, in the order of the log."""
        span = agent_id, after, until, limit
        rows = await self._pool.fetch(QUERIES["events_between"], *span)
        return [_outbox_row(row, agent_id) for row in rows]

    async def mark_published(
        self, agent_id: AgentId, *, sequence: int, stream_sequence: int, at: datetime
    ) -> None:
        """All rows up to `sequence` have been acknowledged by the bus; never goes back."""
        mark = agent_id, sequence, stream_sequence, at
        await self._pool.tell_together(QUERIES["mark_published"], *mark)

    async def backlog(self, agent_id: AgentId) -> int:
        """How many rows wait."""
        return int(await self._pool.fetchval(QUERIES["backlog"], agent_id))


def _outbox_row(row: Row, agent_id: AgentId) -> OutboxRow:
    sequence, event_id, event_type, payload, correlation_id, causation_id, at = row
    return OutboxRow(
        sequence=sequence,
        event_id=str(event_id),
        type=event_type,
        payload=payload.encode(),
        correlation_id=correlation_id,
        causation_id=causation_id,
        at=at,
        agent_id=agent_id,
    )


async def _last_runs(connection: Connection, agent_id: AgentId) -> Mapping[StrategyId, datetime]:
    rows = await connection.fetch(QUERIES["last_runs"], agent_id, RUNS_LOOKED_AT)
    return {row["strategy_id"]: row["run_at"] for row in rows}


def _as_run(strategy: Strategy, runs: Mapping[StrategyId, datetime]) -> Strategy:
    return replace(strategy, last_run_at=runs.get(strategy.id))
