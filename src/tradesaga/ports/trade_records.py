"""Reading trades for people: lists that are narrowed and turned over, and one trade, whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from tradesaga.domain.external import ExternalOrder, ExternalState
from tradesaga.domain.ids import AgentId, CycleId, SagaId
from tradesaga.domain.orders import Fill, OrderStatus
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import TradeState

Place = tuple[datetime, UUID]
"""Where a thing stands in a list by time, the latest first: of a trade, creation and id of its
saga."""
LAST: Final[Place] = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
"""Later than all: what comes after it is the whole list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeQuery:
    """Which trades: all that is given must hold. `after` is the place of the last one seen.

    1 <= limit <= 1001: one more than a page, to see whether there is a next one.
    """

    limit: int
    sagas: frozenset[SagaStatus] | None = None
    orders: frozenset[OrderStatus] | None = None
    symbol: str | None = None
    cycle_id: CycleId | None = None
    after: Place | None = None

    def admits(self, trade: TradeState) -> bool:
        """Whether `trade` is one of those, wherever it stands."""
        saga = trade.saga
        return (
            (self.sagas is None or saga.status in self.sagas)
            and (self.orders is None or trade.order.status in self.orders)
            and self.symbol in (None, saga.symbol)
            and self.cycle_id in (None, saga.cycle_id)
            and (self.after is None or (saga.created_at, saga.id) < self.after)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedStep:
    """One step, fill or other entry of a saga's log; `body` as it was written, a Decimal as text.

    What one commit did comes as several of them, in order, under the `sequence` of its entry.
    """

    sequence: int
    kind: str
    actor: str
    at: datetime
    epoch: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRecord:
    """A trade with its fills as they were booked, and its log."""

    state: TradeState
    fills: Sequence[Fill]
    steps: Sequence[LoggedStep]


class TradeRecords(Protocol):
    """Readers for the operator's view. All raise Unavailable as `ports.records`."""

    async def trades(self, agent_id: AgentId, query: TradeQuery) -> Sequence[TradeState]:
        """The latest by creation first."""
        ...

    async def trade(self, agent_id: AgentId, saga_id: SagaId) -> TradeRecord | None:
        """One trade, whole; None when there is no such saga."""
        ...

    async def external_orders(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        venue_order_id: str | None = None,
        state: ExternalState | None = None,
        symbol: str | None = None,
        after: Place | None = None,
    ) -> Sequence[ExternalOrder]:
        """Orders that are not ours, the latest seen first; 1 <= limit <= 1001."""
        ...
