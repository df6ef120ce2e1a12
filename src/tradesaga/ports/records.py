"""Reading what the journal wrote. Every answer is a snapshot of committed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.cash import CashMark
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Decision
from tradesaga.domain.ids import AgentId, CycleId, StrategyId
from tradesaga.domain.ladder import Ladder
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Order, Side
from tradesaga.domain.schedule import FiresMark, Schedule
from tradesaga.domain.strategies import Performance, Strategy
from tradesaga.domain.trade_messages import TradeState
from tradesaga.domain.values import quick
from tradesaga.ports.dead_letters import DeadLetterRecords
from tradesaga.ports.journal import CycleLog
from tradesaga.ports.risk_records import RiskRecords
from tradesaga.ports.trade_records import Place, TradeRecords

RUNS_LOOKED_AT: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSums:
    """The running sums of one symbol; `quantity` is signed."""

    symbol: str
    quantity: Decimal
    bought_quantity: Decimal
    bought_value: Decimal
    sold_quantity: Decimal
    sold_value: Decimal
    fees: Decimal


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One order as it counts for the rules on pace.

    `void` means that it ended without a fill; `left_at` is when an exit filled.
    """

    at: datetime
    strategy_id: StrategyId | None
    cycle_id: CycleId | None
    symbol: str
    side: Side
    quantity: Decimal
    reference_price: Decimal
    opening: bool
    purpose: str
    void: bool
    left_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRecord:
    """A strategy with its figures.

    Its `last_run_at` is the begin of the latest of the last `RUNS_LOOKED_AT` analyses that judged
    an answer of it, or the last fire of a schedule of its own.
    """

    strategy: Strategy
    performance: Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRecord:
    """A cycle with all that belongs to it, in order of creation."""

    cycle: Cycle
    decisions: Sequence[Decision]
    orders: Sequence[Order]
    logs: Sequence[CycleLog]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """The answer of one invariant check: `violations` rows broke it, `sample` names some.

    `looked_at` counts the rows that it is about, None when they were not counted. `skipped` says
    why it was not or not wholly checked this time; empty when it was.
    """

    name: str
    description: str
    violations: int
    sample: Sequence[Mapping[str, Any]]
    looked_at: int | None = None
    remedy: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a check must be told, since no row has it; a check that misses something is skipped.

    `now` is the clock's time, without it that of the latest log entry. `pace` is how many seconds
    of it pass in a real one. `patience` is how long a saga may outlive its deadline. The order
    rates are the present limits, `sessions` the open and close of each regular session.
    """

    now: datetime | None = None
    pace: float = 1.0
    patience: timedelta = timedelta()
    orders_per_minute: int | None = None
    orders_per_day: int | None = None
    sessions: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMark:
    """A place in the log up to which the chain has been checked."""

    seq: int
    hash: bytes


class Records(TradeRecords, RiskRecords, DeadLetterRecords, Protocol):
    """Readers for recovery and the API. All raise Unavailable when the database gives no answer."""

    async def agent(self, agent_id: AgentId) -> Agent | None:
        """The agent as last committed."""
        ...

    async def counts(self, agent_id: AgentId) -> AgentCounts:
        """Its counters; zeros for an unknown agent."""
        ...

    async def ladder(self, agent_id: AgentId) -> Ladder | None:
        """What stands on its ladder; None before the first reason.

        A row that cannot be read is answered with `ladder.unreadable`, which is HALTED.
        """
        ...

    async def equity_marks(self, agent_id: AgentId) -> EquityMarks | None:
        """What its losses are measured from; None before the first equity was seen."""
        ...

    async def cash_mark(self, agent_id: AgentId) -> CashMark | None:
        """What the cash of its account is measured from; None before it was first compared."""
        ...

    async def open_trades(self, agent_id: AgentId) -> Sequence[TradeState]:
        """Every trade saga that has not ended, oldest first; one round trip."""
        ...

    async def trade_of(
        self, agent_id: AgentId, *, venue_order_id: str | None, client_order_id: str | None
    ) -> TradeState | None:
        """The trade whose order has that id, ended or not."""
        ...

    async def absent_trades(self, agent_id: AgentId, since: datetime) -> Sequence[TradeState]:
        """Trades made since then whose order was proven absent (not_placed, but sent or looked
        for), oldest first, at most 1000."""
        ...

    async def unfinished_cycles(self, agent_id: AgentId) -> Sequence[Cycle]:
        """Cycles that are still `started`, oldest first; those of one moment by id."""
        ...

    async def strategies(self, agent_id: AgentId) -> Sequence[StrategyRecord]:
        """All strategies that are not deleted, by name."""
        ...

    async def strategy(self, agent_id: AgentId, strategy_id: StrategyId) -> StrategyRecord | None:
        """One strategy that is not deleted."""
        ...

    async def imagined_positions(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """Signed quantity by (strategy, symbol) that shadow strategies would hold."""
        ...

    async def strategies_stored(self, agent_id: AgentId) -> Sequence[Strategy]:
        """All strategies, the deleted ones too, without their figures."""
        ...

    async def schedules(self, agent_id: AgentId) -> Sequence[Schedule]:
        """Those that were not removed, in order of creation."""
        ...

    async def fires_mark(self, agent_id: AgentId) -> FiresMark | None:
        """Up to when the fires of all schedules have been taken at once; None: never at once."""
        ...

    async def positions(self, agent_id: AgentId) -> Sequence[PositionSums]:
        """All symbols ever traded."""
        ...

    async def attributed(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """Signed quantity by (strategy, symbol) over all trades; zeros may be left out."""
        ...

    async def cycles(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        status: CycleStatus | None = None,
        after: Place | None = None,
    ) -> Sequence[Cycle]:
        """The latest cycles by start, latest first, those after a place; 1 <= limit <= 1001."""
        ...

    async def cycle(self, agent_id: AgentId, cycle_id: CycleId) -> CycleRecord | None:
        """One cycle, whole."""
        ...

    async def checkpoints(
        self, agent_id: AgentId, *, limit: int, after: tuple[int, datetime] | None = None
    ) -> Sequence[Checkpoint]:
        """The latest by epoch and time, latest first, those after such a place.

        1 <= limit <= 1001.
        """
        ...

    async def was_received(self, agent_id: AgentId, *event_ids: str) -> bool:
        """Whether the inbox has any of the events."""
        ...

    async def submissions_since(self, agent_id: AgentId, since: datetime) -> Sequence[Submission]:
        """Orders created since then, the first one first; for the rules on pace."""
        ...

    async def invariants(
        self, agent_id: AgentId, given: Circumstances | None = None
    ) -> Sequence[Invariant]:
        """Every invariant that the database alone can answer, on one snapshot, however long."""
        ...

    async def recheck(
        self,
        agent_id: AgentId,
        given: Circumstances,
        *,
        mark: LogMark | None,
        time_max: timedelta,
    ) -> tuple[Sequence[Invariant], LogMark | None]:
        """As `invariants`, but the chain from `mark` on, and what takes too long is skipped.

        The mark returned is for the next call; it does not pass a row that breaks the chain.
        Without a mark the end of the log is checked, as far as one call goes.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One event that waits to be published; `sequence` is its place in the log."""

    sequence: int
    event_id: str
    type: str
    payload: bytes
    correlation_id: str | None
    causation_id: str | None
    at: datetime
    agent_id: AgentId | None = None
    """Whose log it is; None: the event does not tell its row."""


class Outbox(Protocol):
    """What has been committed and must reach the bus, in the order of the log."""

    async def pending(self, agent_id: AgentId, *, limit: int) -> Sequence[OutboxRow]:
        """The next rows after the published ones; empty when all is out."""
        ...

    async def mark_published(
        self, agent_id: AgentId, *, sequence: int, stream_sequence: int, at: datetime
    ) -> None:
        """All rows up to `sequence` have been acknowledged by the bus; never goes back."""
        ...

    async def backlog(self, agent_id: AgentId) -> int:
        """How many rows wait."""
        ...
