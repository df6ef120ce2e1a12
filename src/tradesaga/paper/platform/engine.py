"""The platform's trading engine at work: it tells what happens before it answers.

    POST /orders ─► risk check ─► submitted, filled, position.opened on the bus ─► the reply
    ai.decision.generated ─► a market order of one share, in every mode: it trades by itself

Without the bus it takes no order, and lists the one that it refused as failed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct
from structlog import get_logger

from tradesaga.domain.errors import Unavailable
from tradesaga.paper.bus import Bus
from tradesaga.paper.faults import FaultBook, FaultKind
from tradesaga.paper.platform.books import ZERO, Books, Order, Position, Wish
from tradesaga.paper.platform.telling import Teller

SERVICE: Final = "trading-engine"
DECIDED: Final = "ai.decision.generated"
DECIDED_DURABLE: Final = "trading-engine-ai-decision-generated"
CONFIDENCE_MIN: Final = Decimal("0.6")
OWN_QUANTITY: Final = Decimal(1)
SYMBOL_LETTERS_MAX: Final = 10
LIFETIMES: Final = ("day", "gtc", "ioc", "fok")
NOT_CONNECTED: Final = "[EventBus] trading-engine not connected"
log = get_logger(__name__)


class RiskRefusal(Exception):
    """The risk check says no; nothing is listed."""


class Failed(Exception):
    """The order was listed, and failed."""

    def __init__(self, order: Order, reason: str) -> None:
        super().__init__(reason)
        self.order = order


class _Decision(Struct, frozen=True, rename="camel"):
    symbol: str
    action: str
    confidence: Decimal = ZERO
    decision_id: str | None = None


class _Message(Struct, frozen=True):
    payload: _Decision


class Engine:
    """Everything that HTTP and the bus ask of it."""

    def __init__(
        self, books: Books, teller: Teller, faults: FaultBook, *, now: Callable[[], datetime]
    ) -> None:
        self.books = books
        self.faults = faults
        self.now = now
        self._teller = teller

    async def submit(self, wish: Wish) -> Order:
        """Take and execute an order. Raises RiskRefusal, Failed."""
        if (refusal := self.books.refusal(wish)) or self._refused_by_fault(wish):
            raise RiskRefusal(refusal or "refused as ordered by a fault")
        order = self.books.add(wish, self.now())
        if problem := _problem(wish):
            raise Failed(self.books.fail(order, self.now()), problem)
        if not self._teller.connected:
            raise Failed(self.books.fail(order, self.now()), NOT_CONNECTED)
        try:
            await self._teller.tell("trade.order.submitted", _submitted(order))
            order, opened = self.books.execute(order, self.now())
            if order.filled_price is not None:
                await self._teller.tell("trade.order.filled", _filled(order))
            if opened is not None:
                await self._teller.tell("trade.position.opened", _opened(opened))
        except Unavailable as error:
            raise Failed(self.books.fail(order, self.now()), NOT_CONNECTED) from error
        return order

    async def cancel(self, order: Order) -> Order:
        """Cancel what may be cancelled; the caller has looked."""
        after = self.books.cancel(order, self.now())
        await self._teller.try_to_tell(
            "trade.order.canceled",
            {
                "orderId": order.order_id,
                "symbol": order.symbol,
                "reason": "User requested cancellation",
                "canceledAt": after.updated_at,
            },
        )
        return after

    async def close(self, position: Position, exit_price: Decimal | None) -> Decimal:
        """Close all of it; the profit. It makes no order, and tells of none."""
        price, gain = self.books.close(position, exit_price)
        payload = {
            "positionId": position.position_id,
            "symbol": position.symbol,
            "side": position.side,
            "quantity": position.quantity,
            "entryPrice": position.entry_price,
            "exitPrice": price,
            "realizedPnl": gain,
            "closedAt": self.now(),
        }
        await self._teller.try_to_tell("trade.position.closed", payload)
        return gain

    async def trade_by_itself(self, bus: Bus) -> None:
        """Execute every decision that is published, for ever; ends by cancellation."""
        found: AsyncIterator[Any] = bus.requests(DECIDED, DECIDED_DURABLE, only_new=True)
        async for message in found:
            await self._decided(message.data)
            await bus.settle(message, readable=True)

    async def _decided(self, raw: bytes) -> None:
        try:
            said = msgspec.json.decode(raw, type=_Message).payload
        except msgspec.DecodeError:
            return
        if said.action == "hold" or said.confidence < CONFIDENCE_MIN:
            return
        wish = Wish(
            symbol=said.symbol,
            side="buy" if said.action == "buy" else "sell",  # BUY in capitals sells
            quantity=OWN_QUANTITY,
            order_type="market",
            decision_id=said.decision_id,
        )
        try:
            await self.submit(wish)
        except (RiskRefusal, Failed) as error:
            log.info("own order refused", reason=str(error))

    def _refused_by_fault(self, wish: Wish) -> bool:
        return self.faults.take(FaultKind.REJECT_REPLY, symbol=wish.symbol) is not None


def _problem(wish: Wish) -> str:
    """What its schemas refuse when the order is about to be told."""
    if not wish.quantity > ZERO:
        return "Number must be greater than 0"
    if len(wish.symbol) > SYMBOL_LETTERS_MAX:
        return f"String must contain at most {SYMBOL_LETTERS_MAX} character(s)"
    return "" if wish.time_in_force in LIFETIMES else "Invalid enum value"


def _submitted(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.order_type,
        "quantity": order.quantity,
        "limitPrice": order.limit_price,
        "timeInForce": order.time_in_force,
        "decisionId": order.decision_id,
    }


def _filled(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "filledQuantity": order.filled_quantity,
        "averagePrice": order.filled_price,
        "commission": 0,
        "filledAt": order.updated_at,
    }


def _opened(position: Position) -> dict[str, Any]:
    return {
        "positionId": position.position_id,
        "symbol": position.symbol,
        "side": position.side,
        "quantity": position.quantity,
        "entryPrice": position.entry_price,
        "openedAt": position.opened_at,
    }
