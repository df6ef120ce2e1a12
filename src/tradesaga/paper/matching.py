"""What an order can get in a minute: price, and how much of the minute's volume is left for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from tradesaga.paper.minutes import minute_of
from tradesaga.paper.orders import ZERO, Order, Side
from tradesaga.paper.prices import Prices

FRACTION = Decimal("0.0001")
WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Price of an execution now, and the most that can be had at it; both above zero."""

    price: Decimal
    quantity: Decimal


class Matching:
    """Looks up executions and remembers how much of each minute has been used."""

    def __init__(self, prices: Prices, volume_share: Decimal, orders: Iterable[Order]) -> None:
        self._prices = prices
        self._volume_share = volume_share
        self._used: dict[str, tuple[int, Decimal]] = {}
        fills = sorted(
            (fill.filled_at, order.ticket.symbol, fill.quantity) for order in orders
             for fill in order.fills
        )  # fmt: skip
        for at, symbol, quantity in fills:
            self.used(symbol, at, quantity)

    def offer(self, order: Order, at: datetime) -> Offer | None:
        """What the minute of `at` offers; None when nothing, or not at the order's limit."""
        symbol, limit = order.ticket.symbol, order.ticket.limit_price
        minute = minute_of(at)
        found = self._prices.execution(symbol, minute)
        if found is None:
            return None
        buys = order.ticket.side is Side.BUY
        price = found.ask if buys else found.bid
        if price is None or (limit is not None and (price > limit if buys else price < limit)):
            return None
        size = found.ask_size if buys else found.bid_size
        most = size if found.volume is None else found.volume * self._volume_share
        before, used = self._used.get(symbol, (minute, ZERO))
        left = self.whole(order, most - (used if before == minute else ZERO))
        return Offer(price=price, quantity=left) if left > ZERO else None

    def used(self, symbol: str, at: datetime, quantity: Decimal) -> None:
        """Count an execution against its minute."""
        minute = minute_of(at)
        before, used = self._used.get(symbol, (minute, ZERO))
        self._used[symbol] = (minute, quantity + (used if before == minute else ZERO))

    @staticmethod
    def whole(order: Order, quantity: Decimal) -> Decimal:
        """`quantity` down to whole shares, or to parts of one if the order asks for parts."""
        step = WHOLE if order.ticket.quantity == order.ticket.quantity.to_integral() else FRACTION
        down = max(quantity, ZERO).quantize(step, ROUND_DOWN)
        return min(down, order.remaining) if down >= order.remaining else down
