"""The simulated trading engine at work: venue, store and outbox under the market clock.

Each call executes what is due, does its work, makes all that changed durable in one transaction
and hands the events to the outbox. If that transaction fails the books in memory are ahead of the
file: the desk refuses all further work and the process ends.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from tradesaga.domain.errors import Unavailable
from tradesaga.paper.faults import FaultBook, FaultKind
from tradesaga.paper.orders import Order, OrderFilled, Refusal, Ticket, VenueEvent
from tradesaga.paper.outbox import Outbox
from tradesaga.paper.store import Outgoing, Store
from tradesaga.paper.venue import Venue

SERVICE = "trading-engine"
EXECUTED_SECONDS_MAX = 2.0

Encode = Callable[[VenueEvent], Outgoing]
"""One of the venue's events in the words of a dialect."""


class TradingDesk:
    """All that the HTTP side of the trading engine asks for."""

    def __init__(
        self,
        venue: Venue,
        store: Store,
        outbox: Outbox,
        faults: FaultBook,
        *,
        now: Callable[[], datetime],
        encode: Encode,
        honours_client_order_id: bool,
    ) -> None:
        self.venue = venue
        self.faults = faults
        self.now = now
        self.honours_client_order_id = honours_client_order_id
        self._store = store
        self._outbox = outbox
        self._encode = encode
        self._hidden: dict[str, float] = {}
        self._to_bust: list[tuple[float, str]] = []
        self.failed: sqlite3.Error | None = None

    def submit(self, ticket: Ticket) -> Order:
        """Accept an order. Raises Refusal."""
        now = self._working()
        symbol = ticket.symbol
        refused = self.faults.take(FaultKind.REJECT_REPLY, symbol=symbol)
        if refused is not None:
            raise Refusal(refused.code, "refused as ordered by a fault")
        held = self.faults.take(FaultKind.REPLY_BEFORE_EVENT, symbol=symbol)
        try:
            order = self.venue.submit(ticket, now)
            order = self._with_order_faults(order, now)
        finally:
            self._flush(now, held_seconds=0.0 if held is None else held.delay_ms / 1000)
        hidden = self.faults.take(FaultKind.HIDDEN_ORDER, symbol=symbol)
        if hidden is not None:
            self._hidden[order.order_id] = time.monotonic() + hidden.delay_ms / 1000
        return order

    async def before_reply(self, order: Order) -> None:
        """Execute the order and let its events out first, if a fault wants that."""
        if self.faults.take(FaultKind.EVENT_BEFORE_REPLY, symbol=order.ticket.symbol) is None:
            return
        now = self._working()
        if self.venue.orders[order.order_id].is_open:
            self.venue.hurry(order.order_id, now)
            self._flush(now)
        await self._outbox.drained(EXECUTED_SECONDS_MAX)

    def cancel(self, order_id: str) -> Order:
        """Cancel what is left of an order. Raises Refusal."""
        now = self._working()
        try:
            return self.venue.cancel(
                order_id, now, by="user", reason="cancelled at the user's request"
            )
        finally:
            self._flush(now)

    def bust(self, order_id: str, *, reason: str) -> Order:
        """Take the last execution of an order back. Raises Refusal."""
        now = self._working()
        try:
            return self.venue.bust(order_id, now, reason=reason)
        finally:
            self._flush(now)

    def run_due(self) -> None:
        """Execute, expire and bust what is due."""
        while self._to_bust and self._to_bust[0][0] <= time.monotonic():
            order_id = self._to_bust.pop(0)[1]
            with suppress(Refusal):  # it has been traded on meanwhile
                self.bust(order_id, reason="busted as ordered by a fault")
        due = self.venue.next_due()
        if due is not None and due <= (now := self._working()):
            self.venue.run_due(now)
            self._flush(now)

    def end_of_recording(self) -> None:
        """Cancel what is open: no further minute will come."""
        if self.venue.open_orders:
            now = self._working()
            self.venue.end_of_recording(now)
            self._flush(now)

    # ---- reading ----------------------------------------------------------------------------

    def order(self, order_id: str) -> Order:
        """One order as a look-up shows it. Raises Refusal."""
        self.run_due()
        order = self.venue.orders.get(order_id)
        if order is None or self._is_hidden(order):
            raise Refusal("ORDER_NOT_FOUND", f"order {order_id} is not known")
        return order

    def orders(self, *, client_order_id: str | None = None) -> Iterable[Order]:
        """All orders as a look-up shows them, oldest first; of that client id if it is given.

        A venue that ignores client ids ignores the filter too.
        """
        self.run_due()
        found: Iterable[Order] = self.venue.orders.values()
        if client_order_id is not None and self.honours_client_order_id:
            order = self.venue.by_client_id(client_order_id)
            found = () if order is None else (order,)
        return (order for order in found if not self._is_hidden(order))

    def equity(self) -> Decimal:
        """Cash and market value now."""
        self.run_due()
        return self.venue.equity(self.now())

    # ---- inside -----------------------------------------------------------------------------

    def _working(self) -> datetime:
        if self.failed is not None:
            raise Unavailable("the books could not be written; the process ends")
        return self.now()

    def _with_order_faults(self, order: Order, now: datetime) -> Order:
        symbol = order.ticket.symbol
        rejected = self.faults.take(FaultKind.REJECT_EVENT, symbol=symbol)
        if rejected is not None:
            reason = "rejected as ordered by a fault"
            self.venue.reject(order.order_id, now, code=rejected.code, reason=reason)
        elif self.faults.take(FaultKind.PARTIAL_STALL, symbol=symbol) is not None:
            return self.venue.stall_after_part(order.order_id)
        return order  # as accepted: the answer does not know of the rejection yet

    def _is_hidden(self, order: Order) -> bool:
        until = self._hidden.get(order.order_id)
        if until is None:
            return False
        if until > time.monotonic():
            return True
        del self._hidden[order.order_id]
        return False

    def _flush(self, now: datetime, *, held_seconds: float = 0.0) -> None:
        changes = self.venue.drain()
        for event in changes.events:
            if isinstance(event, OrderFilled):
                fault = self.faults.take(FaultKind.FILL_BUSTED, symbol=event.order.ticket.symbol)
                if fault is not None:
                    due = time.monotonic() + fault.delay_ms / 1000
                    self._to_bust = sorted([*self._to_bust, (due, event.order.order_id)])
        if not changes.orders and not changes.events:
            return
        try:
            placed = self._store.commit(
                now=now,
                account=changes.account,
                orders=changes.orders.values(),
                events=[self._encode(event) for event in changes.events],
            )
        except sqlite3.Error as error:
            self.failed = error
            raise
        self._outbox.add(placed, held_seconds=held_seconds)
