"""The journal: the one door through which state is written.

Everybody who has something to write hands a `Change` to the journal and awaits its commit. A
Change is atomic and carries its own conditions: the epoch of the lease, the version of every row
that it replaces (stored version = new version - 1), and the unique keys of every row it inserts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from tradesaga.domain.access import ApiToken
from tradesaga.domain.account import Account
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.approval import Approval
from tradesaga.domain.cash import CashMark
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.dead_letters import LetterEnd
from tradesaga.domain.decision_cost import DecisionCharge
from tradesaga.domain.decisions import Decision
from tradesaga.domain.events import Event
from tradesaga.domain.external import ExternalOrder
from tradesaga.domain.ids import AgentId, CycleId
from tradesaga.domain.ladder import Ladder
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Fill, Order, Reservation, Trade, Void
from tradesaga.domain.repeats import KeptAnswer
from tradesaga.domain.saga import Saga
from tradesaga.domain.schedule import FiresMark, Schedule
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.values import quick


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleLog:
    """One line of `cycle_logs`. Level is debug, info, warning or error."""

    cycle_id: CycleId
    level: str
    message: str
    context: Mapping[str, Any]
    timestamp: datetime


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class PositionDelta:
    """Added to the sums of one position: all but the symbol are zero or the fill's amounts.

    `quantity` is signed; `*_quantity` and `*_value` count bought and sold apart (void rows
    negative). Sums commute, so a hot symbol never conflicts.
    """

    symbol: str
    quantity: Decimal
    bought_quantity: Decimal
    bought_value: Decimal
    sold_quantity: Decimal
    sold_value: Decimal
    fees: Decimal
    at: datetime


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEntry:
    """A neighbour's event was taken: its id never has an effect again."""

    event_id: str
    event_type: str
    source: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that nobody can read, kept for people."""

    subject: str
    reason: str
    body: bytes
    received_at: datetime


Stored = (
    Agent
    | Strategy
    | Schedule
    | Cycle
    | Decision
    | Saga
    | Order
    | Reservation
    | Fill
    | Trade
    | Ladder
    | EquityMarks
    | Checkpoint
    | LimitChange
    | Approval
    | ApiToken
    | Account
    | KeptAnswer
    | Void
    | LetterEnd
    | ExternalOrder
    | DecisionCharge
    | CashMark
    | FiresMark
)
"""Values that are rows of their own, under their `id`. Those without a `version` only insert."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row; its key must be new."""

    value: Stored | CycleLog | InboxEntry | DeadLetter


@dataclass(frozen=True, slots=True)
class Update:
    """A new version of a row; the stored version must be `value.version - 1`."""

    value: (
        Agent
        | Strategy
        | Schedule
        | Cycle
        | Saga
        | Order
        | Reservation
        | Ladder
        | EquityMarks
        | Approval
        | ApiToken
        | Account
        | KeptAnswer
        | ExternalOrder
        | CashMark
        | FiresMark
    )


@dataclass(frozen=True, slots=True)
class Add:
    """Amounts added to sums; never conflicts."""

    value: PositionDelta | AgentCounts


Row = Insert | Update | Add


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the hash-chained log: audit entry, step record and, with `event`, outbox row.

    `subject` is the id of what it is about (saga, cycle, agent ...), `actor` who caused it
    ("engine", "operator", "neighbour:..."). `body` holds JSON-able values, Decimal, datetime and
    UUID, no secrets. `correlation_id` is that of the decision it is about, if it is about one; an
    event bears its own.
    """

    kind: str
    subject: str
    actor: str
    body: Mapping[str, Any]
    event: Event | None = None
    correlation_id: str | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Rows and log entries (at least one), written together or not at all.

    `at` is the clock port's time of the writer: the log's time.
    """

    agent_id: AgentId
    epoch: int
    at: datetime
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...]


class Journal(Protocol):
    """Atomic, conditional, ordered commits, many of them in one transaction.

    Cancelling the caller does not cancel the commit: the call ends, cancelled, when the outcome is
    known. A commit in doubt (connection lost) is resolved by reading back before the call ends,
    never by writing again. While the database is away the call waits and the Change is kept, up to
    a bound of Changes that wait.
    """

    async def commit(self, change: Change) -> int:
        """Return the log sequence of the Change's last entry once all of it is durable.

        Raises:
            Conflict: a version moved or a key exists; nothing of this Change was written.
            Fenced: the epoch is stale; nothing was written.
            Unavailable: too many Changes wait, or the journal is closed; nothing was written.
        """
        ...
