"""The venue of a simulated world: durable books, and one process's line to them.

It accepts, refuses, fills at once, bit by bit, late or never, lets orders expire, shows accepted
ones late, loses requests and answers, lets fills race cancels, and takes executions back. With
`dedupes` it takes a client order id once; without, as often as it comes. Unless it `looks_up` by
client id it knows orders by their traits alone, and somebody else's may be just like ours. Every
change of an order is told on the bus; what is told of may be lost there for good, except a bust.
The books always add up: cash and positions move with executions and busts alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.events import Incoming, OrderReported
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import ENDED, Order, OrderStatus, Side, VenueFill, VenueReport
from tradesaga.ports.services import (
    Account,
    AmbiguousMatch,
    Capabilities,
    Health,
    OpenOrder,
    VenuePosition,
)
from tradesaga.testing.sim_bus import SimStream
from tradesaga.testing.sim_life import Life
from tradesaga.testing.sim_loop import SimLoop
from tradesaga.testing.sim_weather import (
    HIDDEN_SECONDS_MAX,
    SEND_SECONDS_MAX,
    VENUE,
    Weather,
)
from tradesaga.testing.venue_script import VenueOrder, listed, same_traits

T = TypeVar("T")
VISIBILITY_LAG = timedelta(seconds=SEND_SECONDS_MAX + HIDDEN_SECONDS_MAX + 1)
"""From the sending of an order: then it is seen, or it was not placed."""
BUST_SECONDS_MAX = 120.0
QUICK = 0.03
"""Mean seconds on the way to the venue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One submit as it left a process."""

    order: Order
    at: float
    by: str


class SimVenue:
    """The books and everything that happens in them; survives every process.

    `strangers` are venue ids of orders of somebody else, `cancels` those that a cancel came for.
    `on_sent` hears of every submit at the instant at which it leaves its process; `is_claimed` says
    whether a venue order id is known to belong to an order of ours.
    """

    def __init__(
        self,
        loop: SimLoop,
        weather: Weather,
        stream: SimStream,
        *,
        now: Callable[[], datetime],
        price: Callable[[str], Decimal],
        dedupes: bool,
        looks_up: bool,
        tells_fills: bool,
    ) -> None:
        self.weather = weather
        self.now = now
        self.dedupes = dedupes
        self.looks_up = looks_up
        self.orders: dict[str, VenueOrder] = {}
        self.by_client_id: dict[str, list[VenueOrder]] = {}
        self.positions: dict[str, Decimal] = {}
        self.start_cash = self.cash = Decimal(100_000)
        self.sent: list[Sent] = []
        self.strangers: set[str] = set()
        self.cancels: set[str] = set()
        self.price = price
        self.on_sent: Callable[[Sent], None] = lambda _: None
        self.is_claimed: Callable[[str], bool] = lambda _: False
        self._loop = loop
        self._stream = stream
        self._tells_fills = tells_fills
        self._events = itertools.count(1)

    def note_sent(self, sent: Sent) -> None:
        """A submit leaves a process, whether it will arrive or not."""
        self.sent.append(sent)
        self.on_sent(sent)

    # ---- what a request does ------------------------------------------------------------------

    def receive(self, order: Order) -> VenueReport:
        """A submit has arrived. Raises Refused, and Unavailable for an id that is taken."""
        if self.dedupes and order.client_order_id in self.by_client_id:
            raise Unavailable(f"duplicate client order id {order.client_order_id}: look it up")
        if self.weather.strikes(self.weather.venue_refuses):
            raise Refused("refused: INSUFFICIENT_FUNDS", code="INSUFFICIENT_FUNDS")
        placed = self._place(order)
        self._plan(placed)
        return self.report(placed, "reply")

    def found(self, order: Order) -> VenueReport | None:
        """A look-up has arrived."""
        now = self.now()
        if order.venue_order_id is not None:
            placed = self.orders.get(order.venue_order_id)
            return self.report(placed, "look-up") if placed is not None else None
        if not self.looks_up:
            return self._alike(order)
        for placed in self.by_client_id.get(order.client_order_id, ()):
            if placed.visible_at <= now:
                return self.report(placed, "look-up")
        return None

    def _alike(self, order: Order) -> VenueReport | None:
        found = [
            placed
            for placed in self.orders.values()
            if placed.visible_at <= self.now()
            and same_traits(placed, order)
            and not self.is_claimed(placed.id)
        ]
        if len(found) > 1:
            names = ", ".join(placed.id for placed in found)
            raise AmbiguousMatch(f"{order.client_order_id} could be any of {names}")
        return self.report(found[0], "look-up") if found else None

    def cancel(self, venue_order_id: str) -> None:
        """A cancel request has arrived; the verdict comes when it comes."""
        placed, weather = self.orders[venue_order_id], self.weather
        self.cancels.add(venue_order_id)
        if placed.status in ENDED or weather.strikes(weather.cancel_ignored):
            return
        placed.cancel_pending = True
        if weather.strikes(weather.fill_beats_cancel):
            self._later(weather.travel(), lambda: self._execute(placed, placed.remaining))
        self._later(weather.travel(), lambda: self._end(placed, OrderStatus.CANCELED))

    def account(self) -> Account:
        """From the executions."""
        held = sum((q * self.price(s) for s, q in self.positions.items()), ZERO)
        return Account(
            account_id="simulated",
            equity=self.cash + held,
            cash=self.cash,
            buying_power=self.cash,
            blocked=False,
            at=self.now(),
        )

    def holdings(self) -> Sequence[VenuePosition]:
        """Every symbol that is not flat."""
        return [
            VenuePosition(
                symbol=symbol,
                quantity=quantity,
                average_entry_price=self.price(symbol),
                current_price=self.price(symbol),
            )
            for symbol, quantity in self.positions.items()
            if quantity
        ]

    def open_orders(self) -> Sequence[OpenOrder]:
        """Every order that lives and is visible by now."""
        return [
            listed(placed, keeps_ids=self.looks_up)
            for placed in self.orders.values()
            if placed.status not in ENDED and placed.visible_at <= self.now()
        ]

    def foreign(self, order: Order) -> str:
        """Somebody else sends `order` on this account; it rests until the day ends, or fills."""
        placed = self._place(order)
        self.strangers.add(placed.id)
        return placed.id

    def fill_foreign(self, venue_order_id: str) -> None:
        """One of those fills."""
        placed = self.orders[venue_order_id]
        self._execute(placed, placed.remaining)

    def close_day(self) -> None:
        """What still works expires."""
        for placed in self.orders.values():
            self._end(placed, OrderStatus.EXPIRED)

    def report(self, placed: VenueOrder, source: str) -> VenueReport:
        """What is known of the order at this moment."""
        filled = placed.filled
        return VenueReport(
            venue_order_id=placed.id,
            status=placed.status,
            source=source,
            at=self.now(),
            symbol=placed.order.symbol,
            client_order_id=placed.order.client_order_id if self.looks_up else None,
            filled_quantity=filled,
            average_price=placed.value / placed.kept if placed.kept else None,
            fills=tuple(placed.fills) if self._tells_fills else (),
            busts=tuple(placed.busts),
        )

    # ---- what happens in the books ------------------------------------------------------------

    def _place(self, order: Order) -> VenueOrder:
        weather, now = self.weather, self.now()
        hides = weather.strikes(weather.venue_hides)
        hidden = weather.rng.uniform(0, HIDDEN_SECONDS_MAX) if hides else 0.0
        placed = VenueOrder(
            id=f"ord_{len(self.orders) + 1}",
            order=order,
            created_at=now,
            visible_at=now + timedelta(seconds=hidden),
        )
        self.orders[placed.id] = placed
        self.by_client_id.setdefault(order.client_order_id, []).append(placed)
        self._loop.note(f"venue places {placed.id} {order.client_order_id} {order.quantity}")
        if not self.looks_up and weather.strikes(weather.twin):
            twin = replace(placed, id=f"{placed.id}_twin", fills=[], busts=[])
            self.orders[twin.id] = twin
        return placed

    def _plan(self, placed: VenueOrder) -> None:
        rng, whole = self.weather.rng, placed.order.quantity
        fate = rng.random()
        if fate < 0.4:
            self._execute(placed, whole)
        elif fate < 0.65:
            self._later(rng.expovariate(0.5), lambda: self._execute(placed, placed.remaining))
        elif fate < 0.9:
            bit = max(Decimal(1), whole // rng.choice((2, 3, 5)))
            for _ in range(rng.randint(1, 5)):
                after = rng.uniform(0, 45)
                self._later(after, lambda: self._execute(placed, min(bit, placed.remaining)))
        elif fate < 0.95:
            ends = (OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.CANCELED)
            end = rng.choice(ends)
            self._later(rng.uniform(0, 5), lambda: self._end(placed, end))

    def _execute(self, placed: VenueOrder, quantity: Decimal) -> None:
        if quantity <= ZERO or placed.status in ENDED:
            return
        order = placed.order
        placed.fills.append(
            VenueFill(
                cumulative=placed.filled + quantity,
                quantity=quantity,
                price=self.price(order.symbol),
                at=self.now(),
                execution_id=f"{placed.id}-{len(placed.fills) + 1}",
            )
        )
        whole = placed.filled == order.quantity
        placed.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        signed = quantity if order.side is Side.BUY else -quantity
        self.positions[order.symbol] = self.positions.get(order.symbol, ZERO) + signed
        self.cash -= signed * placed.fills[-1].price
        self._tell(placed)
        if self.weather.strikes(self.weather.bust):
            fill, after = placed.fills[-1], self.weather.rng.uniform(0, BUST_SECONDS_MAX)
            self._later(after, lambda: self._take_back(placed, fill))

    def _take_back(self, placed: VenueOrder, fill: VenueFill) -> None:
        placed.take_back(fill)
        order = placed.order
        signed = fill.quantity if order.side is Side.BUY else -fill.quantity
        self.positions[order.symbol] -= signed
        self.cash += signed * fill.price
        self._tell(placed, "busted")

    def _end(self, placed: VenueOrder, status: OrderStatus) -> None:
        if placed.status not in ENDED:
            placed.status, placed.cancel_pending = status, False
            self._tell(placed)

    def _tell(self, placed: VenueOrder, what: str = "") -> None:
        report = self.report(placed, "event")
        what = what or report.status
        self._loop.note(f"venue says {placed.id} {what} {report.filled_quantity}")
        if what != "busted" and self.weather.strikes(self.weather.event_lost):
            return  # nobody asks for busts: without the event they are not known
        incoming = Incoming(
            event_id=f"ev-{next(self._events)}",
            type=f"trade.order.{what}",
            source="trading-engine",
            correlation_id=None,
            at=report.at,
            content=OrderReported(report=report),
        )
        self._stream.feed(incoming)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._loop.call_later(seconds, act)


class VenueLine:
    """One process's line; implements `ports.services.TradingEngine`."""

    def __init__(self, venue: SimVenue, life: Life) -> None:
        self._venue = venue
        self._life = life

    @property
    def capabilities(self) -> Capabilities:
        """As the port."""
        return Capabilities(
            dedupes=self._venue.dedupes,
            query_by_client_id=self._venue.looks_up,
            visibility_lag=VISIBILITY_LAG,
        )

    async def submit(self, order: Order) -> VenueReport:
        """As the port."""
        self._life.edge("before a submit")
        self._venue.note_sent(Sent(order=order, at=self._life.loop.time(), by=self._life.name))
        self._life.loop.note(f"{self._life.name} sends {order.client_order_id}")
        weather = self._life.weather
        trip = weather.trip(VENUE, quick=QUICK)
        if weather.strikes(weather.submit_unanswered):
            trip = replace(trip, answer_lost=True)
        return await self._life.ask("a submit", lambda: self._venue.receive(order), trip)

    async def look_up(self, order: Order) -> VenueReport | None:
        """As the port."""
        return await self._ask("a look-up", lambda: self._venue.found(order))

    async def cancel(self, venue_order_id: str) -> None:
        """As the port."""
        await self._ask("a cancel", lambda: self._venue.cancel(venue_order_id))

    async def account(self) -> Account:
        """As the port."""
        return await self._ask("the account", self._venue.account)

    async def positions(self) -> Sequence[VenuePosition]:
        """As the port."""
        return await self._ask("the positions", self._venue.holdings)

    async def open_orders(self) -> Sequence[OpenOrder]:
        """As the port."""
        return await self._ask("the open orders", self._venue.open_orders)

    async def health(self) -> Health:
        """As the port."""
        try:
            return await self._ask("health", lambda: Health.HEALTHY)
        except Unavailable:
            return Health.UNREACHABLE

    async def _ask(self, name: str, act: Callable[[], T]) -> T:
        return await self._life.ask(name, act, self._life.weather.trip(VENUE, quick=QUICK))
