"""The simulated trading engine: takes orders, executes them at recorded prices, keeps the books.

    submit -> new -> (partially_filled ->)* filled | cancelled
                 \\-> rejected | cancelled

Synchronous and without a clock: every call is told the market time. A change is complete in memory
when the call returns; `drain` hands out what changed, to be made durable before anybody is told.

Executes in the minute in which an order's latency ends, at that minute's recorded quote and at
most a tenth of its volume, the rest in the minutes after. Refuses what could not be paid, sales of
more than is held (no shorting), orders against an own open order, and orders outside the session.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from tradesaga.domain.market import SessionKind
from tradesaga.domain.market_clock import micros_of
from tradesaga.paper.accounting import booked, taken_back
from tradesaga.paper.matching import Matching, Offer
from tradesaga.paper.orders import (
    ZERO,
    Account,
    Fill,
    FillBusted,
    Order,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    Refusal,
    Side,
    Ticket,
    VenueEvent,
)
from tradesaga.paper.prices import Prices
from tradesaga.paper.sessions import session_at

ATTEMPTS_MAX = 100_000
"""In one call of `run_due`; an order is tried once a minute, so this is beyond any recording."""
PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """How the venue treats orders; `latency` is of market time, drawn for each order."""

    seed: int = 1
    latency_min: timedelta = timedelta(milliseconds=200)
    latency_max: timedelta = timedelta(milliseconds=800)
    volume_share: Decimal = Decimal("0.1")
    partial_probability: float = 0.0
    commission_per_share: Decimal = ZERO
    market_reserve_percent: Decimal = Decimal(2)
    position_limit_percent: Decimal = PERCENT
    honours_client_order_id: bool = True


@dataclass(slots=True)
class Changes:
    """What calls have changed since the last `drain`."""

    orders: dict[str, Order]
    events: list[VenueEvent]
    account: Account


class Venue:
    """The books of one account and the matching of its orders."""

    def __init__(
        self, prices: Prices, rules: VenueRules, account: Account, orders: list[Order]
    ) -> None:
        self._prices = prices
        self._rules = rules
        self.account = account
        self.orders = {order.order_id: order for order in sorted(orders, key=lambda o: o.number)}
        self._open = {key: order for key, order in self.orders.items() if order.is_open}
        self._by_client_id = {
            order.ticket.client_order_id: order.order_id
            for order in orders
            if order.ticket.client_order_id is not None
        }
        self._matching = Matching(prices, rules.volume_share, orders)
        self._changed: dict[str, Order] = {}
        self._events: list[VenueEvent] = []

    # ---- reading ----------------------------------------------------------------------------

    @property
    def open_orders(self) -> list[Order]:
        """All that can still be filled, oldest first."""
        return list(self._open.values())

    def by_client_id(self, client_order_id: str) -> Order | None:
        """The order known under that client id; always None when they are not honoured."""
        order_id = self._by_client_id.get(client_order_id)
        return None if order_id is None else self.orders[order_id]

    @property
    def reserved(self) -> Decimal:
        """Cash set aside for open buy orders."""
        return sum((order.reserved for order in self._open.values()), ZERO)

    @property
    def buying_power(self) -> Decimal:
        """Cash that a new order may use."""
        return self.account.cash - self.reserved

    def value_of(self, symbol: str, now: datetime) -> Decimal:
        """Market price of a held symbol: the last one known, at first the one paid."""
        price = self._prices.last(symbol, now)
        return self.account.positions[symbol].average_entry_price if price is None else price

    def equity(self, now: datetime) -> Decimal:
        """Cash and the market value of all positions."""
        held = self.account.positions.values()
        return self.account.cash + sum(
            (held_.quantity * self.value_of(held_.symbol, now) for held_ in held), ZERO
        )

    def next_due(self) -> datetime | None:
        """When the next execution is tried or the next order expires."""
        moments = (_due(order) for order in self._open.values())
        return min(moments, default=None)

    def drain(self) -> Changes:
        """What has changed since the last call; it is the caller's to make durable."""
        changes = Changes(self._changed, self._events, self.account)
        self._changed, self._events = {}, []
        return changes

    # ---- orders -----------------------------------------------------------------------------

    def submit(self, ticket: Ticket, now: datetime) -> Order:
        """Accept an order and reserve its cash. Raises Refusal."""
        self.run_due(now)
        if not self._rules.honours_client_order_id:
            ticket = replace(ticket, client_order_id=None)
        elif ticket.client_order_id in self._by_client_id:
            raise Refusal("DUPLICATE_CLIENT_ORDER_ID", "client_order_id must be unique")
        expires_at = self._session_end(ticket, now)
        self._check_books(ticket, now)
        unit = self._reserve_unit(ticket, now)
        number = self.account.orders_made + 1
        self.account = replace(self.account, orders_made=number)
        order = Order(
            order_id=f"ord_{micros_of(now) // 1000}_{number:06d}",
            number=number,
            ticket=ticket,
            status=OrderStatus.NEW,
            filled=ZERO,
            fills=(),
            reserve_unit=unit,
            due_at=now + self._latency(number, 0),
            expires_at=expires_at,
            created_at=now,
            updated_at=now,
        )
        if ticket.client_order_id is not None:
            self._by_client_id[ticket.client_order_id] = order.order_id
        self._keep(order, OrderSubmitted(order, now))
        return order

    def cancel(self, order_id: str, now: datetime, *, by: str, reason: str) -> Order:
        """Cancel what is left of an order. Raises Refusal when it is unknown or done."""
        self.run_due(now)
        order = self.orders.get(order_id)
        if order is None:
            raise Refusal("ORDER_NOT_FOUND", f"order {order_id} is not known")
        if not order.is_open:
            raise Refusal(
                "ORDER_NOT_CANCELABLE",
                f"order {order_id} is {order.status}, it cannot be cancelled",
            )
        return self._end(order, OrderStatus.CANCELLED, now, reason=reason, by=by)

    def reject(self, order_id: str, now: datetime, *, code: str, reason: str) -> Order:
        """Refuse an accepted order after all: rejected before its first fill, else cancelled."""
        order = self.orders[order_id]
        if order.fills:
            return self._end(order, OrderStatus.CANCELLED, now, reason=reason, by="broker")
        return self._end(order, OrderStatus.REJECTED, now, reason=reason, code=code)

    def stall_after_part(self, order_id: str) -> Order:
        """Arrange that the order is filled in part, then never again (a fault for tests)."""
        order = replace(self.orders[order_id], stalls=True)
        self._keep(order)
        return order

    def hurry(self, order_id: str, now: datetime) -> None:
        """Execute an order without waiting for its latency (a fault for tests)."""
        self._keep(replace(self.orders[order_id], due_at=now))
        self.run_due(now)

    def bust(self, order_id: str, now: datetime, *, reason: str) -> Order:
        """Take the order's last execution that stands back. Raises Refusal when there is none."""
        order = self.orders.get(order_id)
        standing = [f for f in order.fills if f.busted is None] if order is not None else []
        if order is None or not standing:
            raise Refusal("ORDER_NOT_FOUND", f"{order_id} has no execution that stands")
        fill = replace(standing[-1], busted=reason)
        self.account = taken_back(self.account, order, fill)
        fills = tuple(fill if f.execution_id == fill.execution_id else f for f in order.fills)
        after = replace(order, fills=fills, updated_at=now)
        self._keep(after, FillBusted(after, fill, now))
        return after

    def run_due(self, now: datetime) -> None:
        """Execute and expire, in the order of their moments, all that is due at `now`."""
        for _ in range(ATTEMPTS_MAX):
            due = min(
                (order for order in self._open.values() if _due(order) <= now),
                key=lambda order: (_due(order), order.number),
                default=None,
            )
            if due is None:
                return
            if due.due_at is None or due.expires_at <= due.due_at:
                self._end(
                    due,
                    OrderStatus.CANCELLED,
                    due.expires_at,
                    reason="day order expired at the end of its session",
                    by="system",
                )
            else:
                self._attempt(due, due.due_at)
        raise AssertionError("orders that are due do not come to an end")

    def end_of_recording(self, now: datetime) -> None:
        """Cancel what is still open: no further minute will come."""
        for order in self.open_orders:
            reason = "the recording is over"
            self._end(order, OrderStatus.CANCELLED, now, reason=reason, by="system")

    # ---- checks -----------------------------------------------------------------------------

    def _session_end(self, ticket: Ticket, now: datetime) -> datetime:
        session = session_at(now)
        kind = SessionKind.CLOSED if session is None else session.kind_at(now)
        if session is not None and kind is SessionKind.REGULAR:
            return session.post_close if ticket.extended_hours else session.close
        extended = ticket.extended_hours and ticket.type is OrderType.LIMIT
        if session is not None and kind is not SessionKind.CLOSED and extended:
            return session.post_close
        raise Refusal("MARKET_CLOSED", f"the session is {kind}: {ticket.type} orders are refused")

    def _check_books(self, ticket: Ticket, now: datetime) -> None:
        symbol = ticket.symbol
        if symbol not in self._prices.symbols or self._prices.quote(symbol, now) is None:
            raise Refusal("SYMBOL_NOT_TRADABLE", f"{symbol} has no recorded price at this time")
        others = [order for order in self._open.values() if order.ticket.symbol == symbol]
        opposite = next((o for o in others if o.ticket.side is not ticket.side), None)
        if opposite is not None:
            raise Refusal("WASH_TRADE", f"order {opposite.order_id} is open on the opposite side")
        if ticket.side is Side.SELL:
            held = self.account.positions.get(symbol)
            free = (ZERO if held is None else held.quantity) - sum(o.remaining for o in others)
            if ticket.quantity > free:
                raise Refusal(
                    "POSITION_LIMIT", f"{free} {symbol} can be sold, shorts are not allowed"
                )

    def _reserve_unit(self, ticket: Ticket, now: datetime) -> Decimal:
        """Cash to set aside for each share; 0 for sales. Raises Refusal when it is not there."""
        if ticket.side is Side.SELL:
            return ZERO
        quote = self._prices.quote(ticket.symbol, now)
        assert quote is not None, "checked before"
        if ticket.limit_price is not None:
            unit = ticket.limit_price
        else:
            unit = quote.price if quote.ask is None else quote.ask
            unit += unit * self._rules.market_reserve_percent / PERCENT
        unit += self._rules.commission_per_share
        free = self.buying_power
        if unit * ticket.quantity > free:
            raise Refusal(
                "INSUFFICIENT_FUNDS",
                f"{ticket.quantity} {ticket.symbol} need {unit * ticket.quantity}, {free} are free",
            )
        held = self.account.positions.get(ticket.symbol)
        total = (ZERO if held is None else held.quantity) + ticket.quantity
        limit = self.equity(now) * self._rules.position_limit_percent / PERCENT
        if total * quote.price > limit:
            raise Refusal("POSITION_LIMIT", f"{total} {ticket.symbol} are worth more than {limit}")
        return unit

    # ---- execution --------------------------------------------------------------------------

    def _attempt(self, order: Order, at: datetime) -> None:
        offer = self._matching.offer(order, at)
        if offer is None:
            self._keep(replace(order, due_at=_next_minute(at)))
            return
        wanted = self._wanted(order, offer)
        quantity = min(wanted, self._affordable(order, offer))
        if quantity <= ZERO:
            self.reject(
                order.order_id,
                at,
                code="INSUFFICIENT_FUNDS",
                reason=f"{order.ticket.symbol} costs {offer.price}, the cash is not enough",
            )
            return
        self._fill(order, offer, quantity, at)

    def _wanted(self, order: Order, offer: Offer) -> Decimal:
        """As much as the minute gives; by chance, or for a stalled order, only a part of it."""
        quantity = min(order.remaining, offer.quantity)
        draw = random.Random(f"{self._rules.seed}:part:{order.number}:{len(order.fills)}")
        if order.stalls or draw.random() < self._rules.partial_probability:
            part = self._matching.whole(order, quantity * Decimal(draw.randint(20, 80)) / PERCENT)
            return part if part > ZERO else quantity
        return quantity

    def _affordable(self, order: Order, offer: Offer) -> Decimal:
        """How much can be paid: what was reserved, and what no other order has reserved."""
        price = offer.price + self._rules.commission_per_share
        if order.ticket.side is Side.SELL or price <= order.reserve_unit:
            return order.remaining
        free = self.buying_power / (price - order.reserve_unit)
        return self._matching.whole(order, min(free, order.remaining))

    def _fill(self, order: Order, offer: Offer, quantity: Decimal, at: datetime) -> None:
        cumulative = order.filled + quantity
        fill = Fill(
            execution_id=f"{order.order_id}-{len(order.fills) + 1}",
            quantity=quantity,
            price=offer.price,
            commission=self._rules.commission_per_share * quantity,
            cumulative=cumulative,
            filled_at=at,
        )
        self._matching.used(order.ticket.symbol, at, quantity)
        done = cumulative == order.ticket.quantity
        again = at + self._latency(order.number, len(order.fills) + 1)
        if quantity == offer.quantity:  # the minute is exhausted
            again = max(again, _next_minute(at))
        after = replace(
            order,
            status=OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED,
            filled=cumulative,
            fills=(*order.fills, fill),
            due_at=None if done or order.stalls else again,
            updated_at=at,
        )
        self.account, meaning = booked(self.account, after, fill)
        self._keep(after, OrderFilled(after, fill, at), meaning)

    def _end(
        self,
        order: Order,
        status: OrderStatus,
        at: datetime,
        *,
        reason: str,
        by: str = "broker",
        code: str = "",
    ) -> Order:
        after = replace(order, status=status, reason=reason, due_at=None, updated_at=at)
        if status is OrderStatus.REJECTED:
            self._keep(after, OrderRejected(after, code, at))
        else:
            self._keep(after, OrderCancelled(after, by, at))
        return after

    def _keep(self, order: Order, *events: VenueEvent) -> None:
        self.orders[order.order_id] = self._changed[order.order_id] = order
        if order.is_open:
            self._open[order.order_id] = order
        else:
            self._open.pop(order.order_id, None)
        self._events.extend(events)

    def _latency(self, number: int, attempt: int) -> timedelta:
        # Drawn from the order's own number: a restart draws the same again.
        share = random.Random(f"{self._rules.seed}:latency:{number}:{attempt}").random()
        return self._rules.latency_min + share * (self._rules.latency_max - self._rules.latency_min)


def _due(order: Order) -> datetime:
    return order.expires_at if order.due_at is None else min(order.due_at, order.expires_at)


def _next_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)
