"""What an operator can see and do about trades: the second driving port behind API and CLI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tradesaga.domain.external import ExternalOrder, ExternalState
from tradesaga.domain.ids import SagaId
from tradesaga.domain.trade_messages import Resolution, TradeState
from tradesaga.ports.records import PositionSums
from tradesaga.ports.trade_records import Place, TradeQuery, TradeRecord


class LockReason(StrEnum):
    """Why nothing may open on a symbol."""

    ORDER_UNKNOWN = "order_unknown"  # until a look-up or a person tells what became of it
    MANUAL_REQUIRED = "manual_required"  # until a person has settled the saga
    STRAY_ORDER = "stray_order"  # an order with an id of our shape that our journal does not know
    QUARANTINE = "quarantine"  # DRIFT stands on the ladder: our books and the venue's differ


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolLock:
    """One reason that locks a symbol; the rule SYMBOL_LOCKED denies entries while there is one."""

    symbol: str
    reason: LockReason
    detail: str
    since: datetime
    saga_id: SagaId | None = None


class SagaOperations(Protocol):
    """Commands are audited before they return; `reason` is not empty.

    But for `close_position` they are for a saga that waits for a person. Each takes effect once:
    repeated, it meets a saga that goes on, and is refused.
    """

    async def trades(self, query: TradeQuery) -> Sequence[TradeState]:
        """Trades, the latest first. Raises Unavailable."""
        ...

    async def trade(self, saga_id: SagaId) -> TradeRecord:
        """One trade with fills and log. Raises NotFound, Unavailable."""
        ...

    async def positions(self) -> Sequence[PositionSums]:
        """The sums of every symbol ever traded, by symbol. Raises Unavailable."""
        ...

    async def locks(self) -> Sequence[SymbolLock]:
        """What locks symbols now, by symbol. Raises Unavailable when this node does not lead."""
        ...

    async def external_orders(
        self,
        *,
        limit: int,
        state: ExternalState | None,
        symbol: str | None,
        after: Place | None = None,
    ) -> Sequence[ExternalOrder]:
        """Orders on the account that are not ours, the latest seen first. Raises Unavailable."""
        ...

    async def close_position(self, symbol: str, *, reason: str, actor: str) -> Sequence[TradeState]:
        """Begin to close what is held of `symbol`, also while the agent is stopped; the trades.

        Own entries of the symbol are cancelled first. It does not wait for fills.

        Raises:
            IllegalTransition: nothing is held that no open order closes, or a rule denies it.
            Unavailable: as retry; also when the venue has no answer.
        """
        ...

    async def retry(self, saga_id: SagaId, *, reason: str, actor: str) -> TradeRecord:
        """Let it try again, the way it was going.

        Raises:
            NotFound: no such saga.
            IllegalTransition: it does not wait for a person.
            Unavailable: the database is away, or another node holds the agent.
        """
        ...

    async def compensate(self, saga_id: SagaId, *, reason: str, actor: str) -> TradeRecord:
        """Turn it back. Raises as retry; IllegalTransition also past the pivot."""
        ...

    async def resolve(
        self,
        saga_id: SagaId,
        resolution: Resolution,
        *,
        reason: str,
        actor: str,
        venue_order_id: str | None = None,
    ) -> TradeRecord:
        """State what became of its order; `venue_order_id` is for ADOPT alone, and looked up first.

        Raises:
            Invalid: the venue knows no such order, or it belongs to another saga.
            NotFound, IllegalTransition, Unavailable: as retry; also when the venue has no answer.
        """
        ...
