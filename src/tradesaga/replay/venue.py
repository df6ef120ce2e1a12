"""The simulated trading engine as the engine's venue, without a network between them.

Orders go in and out in the words of the HTTP dialect, checked by the code of both its ends: what
is refused over HTTP is refused here, in the same words. Answers take no time; executions happen at
their moments of market time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from tradesaga.adapters.http.client import Reply
from tradesaga.adapters.http.trading_engine import refusal_of
from tradesaga.adapters.http.venue_orders import ListedOrder, encode, open_order_of, report_of
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.paper import orders as paper
from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.spec import orders, wire
from tradesaga.ports.services import Account, Capabilities, Health, OpenOrder, VenuePosition
from tradesaga.replay.clock import PlayedClock

_listed = msgspec.json.Decoder(ListedOrder).decode
_asked = msgspec.json.Decoder(orders.NewOrder).decode
_NOTHING_TO_CANCEL = frozenset({"ORDER_NOT_FOUND", "ORDER_NOT_CANCELABLE"})


class ReplayVenue:
    """Implements `ports.services.TradingEngine`."""

    def __init__(self, desk: TradingDesk, capabilities: Capabilities, clock: PlayedClock) -> None:
        self.desk = desk
        self._capabilities = capabilities
        self._clock = clock
        self._planned: asyncio.TimerHandle | None = None

    @property
    def capabilities(self) -> Capabilities:
        """As constructed."""
        return self._capabilities

    async def submit(self, order: Order) -> VenueReport:
        """As the port."""
        try:
            placed = self.desk.submit(orders.ticket_of(_asked(encode(order))))
        except paper.Refusal as refused:
            status, body = wire.refused_with(refused)
            raise refusal_of(Reply(status=status, body=body), order) from refused
        finally:
            self._plan()
        return self._report(orders.accepted(placed), order, "reply")

    async def look_up(self, order: Order) -> VenueReport | None:
        """As the port; the simulated venue keeps our ids."""
        try:
            found = self._found(order)
        except paper.Refusal:
            return None
        return None if found is None else self._report(orders.shown(found), order, "look-up")

    async def cancel(self, venue_order_id: str) -> None:
        """As the port."""
        try:
            self.desk.cancel(venue_order_id)
        except paper.Refusal as refused:
            if refused.code not in _NOTHING_TO_CANCEL:
                raise
        finally:
            self._plan()

    async def account(self) -> Account:
        """As the port."""
        equity, venue = self.desk.equity(), self.desk.venue
        return Account(
            account_id=wire.ACCOUNT_ID,
            equity=equity,
            cash=venue.account.cash,
            buying_power=venue.buying_power,
            blocked=False,
            at=self._clock.now(),
        )

    async def positions(self) -> Sequence[VenuePosition]:
        """As the port, by symbol."""
        self.desk.run_due()
        held, now = self.desk.venue.account.positions, self._clock.now()
        return [
            VenuePosition(
                symbol=symbol,
                quantity=held[symbol].quantity,
                average_entry_price=held[symbol].average_entry_price,
                current_price=self.desk.venue.value_of(symbol, now),
            )
            for symbol in sorted(held)
        ]

    async def open_orders(self) -> Sequence[OpenOrder]:
        """As the port."""
        self.desk.run_due()
        shown = map(orders.shown, self.desk.venue.open_orders)
        listed = (open_order_of(_listed(wire.encode(each))) for each in shown)
        return [each for each in listed if each is not None]

    async def health(self) -> Health:
        """As the port."""
        return Health.HEALTHY

    def end_of_recording(self) -> None:
        """No further minute will come: what is open is cancelled."""
        self.desk.end_of_recording()

    def _found(self, order: Order) -> paper.Order | None:
        if order.venue_order_id is not None:
            return self.desk.order(order.venue_order_id)
        return next(iter(self.desk.orders(client_order_id=order.client_order_id)), None)

    def _report(self, shown: wire.Wire, order: Order, source: str) -> VenueReport:
        return report_of(_listed(wire.encode(shown)), order, source=source, now=self._clock.now())

    def _plan(self) -> None:
        """Wake when the next execution is tried or the next order expires."""
        if self._planned is not None:
            self._planned.cancel()
        due = self.desk.venue.next_due()
        self._planned = None if due is None else self._clock.call_at(due, self._due)

    def _due(self) -> None:
        self.desk.run_due()
        self._plan()
