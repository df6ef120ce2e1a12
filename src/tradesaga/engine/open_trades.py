"""The trades whose sagas have not ended, in memory: one handle each, shared by all who act on it.

Only the lease holder has this; the journal's conditions catch everybody else. A handle's `state`
is what was last committed. `lock` is held from reading `state` to the end of the commit that
replaces it, so that the saga's runner and an event about its order never race.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

from tradesaga.domain.ids import SagaId, StrategyId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import LIVE, OrderStatus, Side
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import Happening, TradeState
from tradesaga.ports.saga_operations import LockReason, SymbolLock

ACTIVE = LIVE | {OrderStatus.INTENT}


class OpenTrade:
    """One saga, its order and its reservation; `news` is set by every commit of the state.

    `cancel_wish` is why an operator wants the order gone. Only the saga's runner acts on it: it
    alone knows whether a submission is on its way at this moment, and says so in `is_sending`.
    `unbooked` is an answer of the venue that the journal has not taken yet.
    """

    def __init__(self, state: TradeState) -> None:
        self.state = state
        self.lock = asyncio.Lock()
        self.news = asyncio.Event()
        self.ended = asyncio.Event()
        if state.saga.status in ENDS:
            self.ended.set()
        self.cancel_wish: str | None = None
        self.unbooked: Happening | None = None
        self.is_sending = False

    def wish_cancel(self, reason: str) -> None:
        """Have the order cancelled as soon as it is known to be live."""
        self.cancel_wish = reason
        self.news.set()

    def became(self, state: TradeState) -> None:
        """The state as just committed."""
        self.state = state
        self.news.set()
        if state.saga.status in ENDS or state.saga.status is SagaStatus.MANUAL_REQUIRED:
            self.ended.set()
        else:
            self.ended.clear()  # a person has set it going again


class OpenTrades:
    """All open trades of one agent, found by saga, venue order id or client order id."""

    def __init__(self) -> None:
        self._by_saga: dict[SagaId, OpenTrade] = {}
        self._by_client_id: dict[str, OpenTrade] = {}
        self._by_venue_id: dict[str, OpenTrade] = {}

    def add(self, state: TradeState) -> OpenTrade:
        """A handle for a trade that begins or is recovered."""
        assert state.saga.id not in self._by_saga, state.saga.id
        trade = OpenTrade(state)
        self.put_back(trade)
        return trade

    def put_back(self, trade: OpenTrade) -> None:
        """The saga has ended and is open again."""
        self._by_saga[trade.state.saga.id] = trade
        self._by_client_id[trade.state.order.client_order_id] = trade
        self._know_venue_id(trade)

    def became(self, trade: OpenTrade, state: TradeState) -> None:
        """The state of `trade`, which may be none of these, as just committed."""
        trade.became(state)
        if self._by_saga.get(state.saga.id) is trade:
            self._know_venue_id(trade)

    def drop(self, trade: OpenTrade) -> None:
        """The saga has ended."""
        dropped = self._by_saga.pop(trade.state.saga.id, None)
        if dropped is not None:
            order = dropped.state.order
            self._by_client_id.pop(order.client_order_id, None)
            self._by_venue_id.pop(order.venue_order_id or "", None)

    def __iter__(self) -> Iterator[OpenTrade]:
        return iter(tuple(self._by_saga.values()))

    def __len__(self) -> int:
        return len(self._by_saga)

    def __contains__(self, saga_id: object) -> bool:
        return saga_id in self._by_saga

    def of(self, saga_id: SagaId) -> OpenTrade | None:
        """The one handle of the saga, while it is open."""
        return self._by_saga.get(saga_id)

    def find(self, venue_order_id: str | None, client_order_id: str | None) -> OpenTrade | None:
        """The trade whose order the venue means."""
        return self._by_client_id.get(client_order_id or "") or self._by_venue_id.get(
            venue_order_id or ""
        )

    def _know_venue_id(self, trade: OpenTrade) -> None:
        if venue_order_id := trade.state.order.venue_order_id:
            self._by_venue_id[venue_order_id] = trade

    def expects_id_for(self, symbol: str) -> bool:
        """Whether an order on `symbol` is out whose venue id is not known yet."""
        return any(
            trade.state.order.symbol == symbol and trade.state.order.venue_order_id is None
            for trade in self._by_saga.values()
        )

    # ---- what the risk gate asks ----

    def reserved(self) -> Decimal:
        """Buying power that open reservations hold."""
        return sum((t.state.reservation.outstanding for t in self._by_saga.values()), ZERO)

    def working(self) -> dict[str, Decimal]:
        """Signed quantity that open orders may still fill, by symbol."""
        sums: dict[str, Decimal] = {}
        for state in (t.state for t in self._by_saga.values()):
            if state.order.status in ACTIVE:
                symbol = state.order.symbol
                sums[symbol] = sums.get(symbol, ZERO) + _signed(state)
        return sums

    def working_of(self, strategy_id: StrategyId | None, symbol: str) -> Decimal:
        """Signed quantity that one strategy's open orders on `symbol` may still fill."""
        return sum(
            (
                _signed(t.state)
                for t in self._by_saga.values()
                if (t.state.order.strategy_id, t.state.order.symbol) == (strategy_id, symbol)
                and t.state.order.status in ACTIVE
            ),
            ZERO,
        )

    def active_orders(self) -> int:
        """How many orders may still fill."""
        return sum(1 for t in self._by_saga.values() if t.state.order.status in ACTIVE)

    def unresolved(self) -> int:
        """How many orders have an outcome that nobody knows yet."""
        return sum(1 for t in self._by_saga.values() if t.state.order.status is OrderStatus.UNKNOWN)

    def waiting_for_person(self) -> int:
        """How many sagas no machine can end."""
        return sum(
            1 for t in self._by_saga.values() if t.state.saga.status is SagaStatus.MANUAL_REQUIRED
        )

    def opening_symbols(self) -> frozenset[str]:
        """Symbols with an entry under way."""
        return frozenset(
            t.state.order.symbol
            for t in self._by_saga.values()
            if t.state.order.opening and t.state.order.status in ACTIVE
        )

    def locks(self) -> list[SymbolLock]:
        """What forbids to open on a symbol: unknown outcomes, and sagas that need a person."""
        found = []
        for saga, order in ((t.state.saga, t.state.order) for t in self._by_saga.values()):
            if saga.status is SagaStatus.MANUAL_REQUIRED:
                reason, since, detail = LockReason.MANUAL_REQUIRED, saga.updated_at, saga.reason
            elif order.status is OrderStatus.UNKNOWN:
                since = order.unknown_since or saga.updated_at
                reason, detail = LockReason.ORDER_UNKNOWN, f"order {order.client_order_id}"
            else:
                continue
            lock = SymbolLock(
                symbol=order.symbol, reason=reason, detail=detail, since=since, saga_id=saga.id
            )
            found.append(lock)
        return found


def _signed(state: TradeState) -> Decimal:
    return state.remaining if state.order.side is Side.BUY else -state.remaining
