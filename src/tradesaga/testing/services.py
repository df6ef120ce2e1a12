"""The neighbour services in memory, scripted call by call: the venue, market data, decisions.

`ScriptedVenue` keeps real books. Every submit and every cancel follows one `OnSubmit` or
`OnCancel`: the next of the script, else the default. An answer can be lost on either side of the
act, so a test states what the venue did and what the caller got to know of it apart. The books
always add up: cash, positions and buying power are computed from the executions, never stored.
Nothing waits: time passes on the clock alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.events import Incoming, OrderReported
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import ENDED, Order, OrderStatus, Side, VenueFill, VenueReport
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import (
    Account,
    AmbiguousMatch,
    Capabilities,
    Health,
    OpenOrder,
    VenuePosition,
)
from tradesaga.testing.decision_service import ScriptedDecisions
from tradesaga.testing.venue_script import (
    ACCEPT,
    CANCEL,
    CANCEL_LATER,
    CANCEL_UNANSWERED,
    FAIL_BEFORE,
    FILL,
    LOSE_ANSWER,
    OnCancel,
    OnSubmit,
    VenueOrder,
    fill_partly,
    listed,
    refuse,
    same_traits,
)

__all__ = [
    "ACCEPT",
    "CANCEL",
    "CANCEL_LATER",
    "CANCEL_UNANSWERED",
    "FAIL_BEFORE",
    "FILL",
    "LOSE_ANSWER",
    "OnCancel",
    "OnSubmit",
    "ScriptedDecisions",
    "ScriptedVenue",
    "VenueOrder",
    "as_event",
    "fill_partly",
    "refuse",
]


class ScriptedVenue:
    """A trading engine in memory; implements `ports.services.TradingEngine`.

    `submits`, `cancels` and `lookups` list every call in order (client or venue order ids),
    answered or not. `reports` is what a venue would have published, in order.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        dedupes: bool = True,
        query_by_client_id: bool = True,
        visibility_lag: timedelta = timedelta(seconds=30),
        cash: Decimal = Decimal(100_000),
        price: Decimal = Decimal(100),
    ) -> None:
        self.clock = clock
        self.caps = Capabilities(
            dedupes=dedupes, query_by_client_id=query_by_client_id, visibility_lag=visibility_lag
        )
        self.start_cash = cash
        self.default_price = price
        self.prices: dict[str, Decimal] = {}
        self.default_submit = FILL
        self.default_cancel = CANCEL
        self.orders: dict[str, VenueOrder] = {}
        self.submits: list[str] = []
        self.cancels: list[str] = []
        self.lookups: list[str] = []
        self.reports: list[VenueReport] = []
        self.state = Health.HEALTHY
        self.down = False
        self._submit_script: deque[OnSubmit] = deque()
        self._cancel_script: deque[OnCancel] = deque()
        self._lookups_to_lose = 0

    # ---- what the test says -------------------------------------------------------------------

    def script(self, *answers: OnSubmit | OnCancel) -> None:
        """Queue behaviour for the next submits and cancels, each kind in its own order."""
        for answer in answers:
            if isinstance(answer, OnSubmit):
                self._submit_script.append(answer)
            else:
                self._cancel_script.append(answer)

    def lose_lookups(self, number: int) -> None:
        """Let the next `number` look-ups raise Unavailable."""
        self._lookups_to_lose = number

    def placed(self, client_order_id: str) -> list[VenueOrder]:
        """Every order in the books under that client order id: more than one is a defect."""
        return [o for o in self.orders.values() if o.order.client_order_id == client_order_id]

    def fill(
        self,
        client_order_id: str,
        quantity: Decimal | int | None = None,
        *,
        price: Decimal | None = None,
    ) -> VenueReport:
        """Execute `quantity` (default: the rest) of an order that lives; return the report."""
        placed = self._only(client_order_id)
        amount = placed.remaining if quantity is None else Decimal(quantity)
        return self._execute(placed, amount, price)

    def settle_cancel(self, client_order_id: str) -> VenueReport:
        """Give the verdict on a pending cancel: cancelled."""
        placed = self._only(client_order_id)
        assert placed.cancel_pending, f"no cancel of {client_order_id} is pending"
        return self._end(placed, OrderStatus.CANCELED)

    def end(self, client_order_id: str, status: OrderStatus) -> VenueReport:
        """End an order by itself: CANCELED, REJECTED or EXPIRED."""
        return self._end(self._only(client_order_id), status)

    def take_back(self, client_order_id: str, number: int = -1) -> VenueReport:
        """Bust one execution of an order, by default the last; return the report."""
        placed = self._only(client_order_id)
        placed.take_back(placed.fills[number])
        return self._told(placed)

    def bust(self, client_order_id: str) -> None:
        """Forget the order altogether, as a venue does that restarts with an empty memory."""
        del self.orders[self._only(client_order_id).id]

    # ---- the port -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """As constructed."""
        return self.caps

    async def submit(self, order: Order) -> VenueReport:
        """Follow the script."""
        self.submits.append(order.client_order_id)
        plan = self._submit_script.popleft() if self._submit_script else self.default_submit
        if self.down or (plan.lost and plan.before):
            raise Unavailable("the venue gave no answer")
        if plan.refuse:
            raise Refused(f"refused: {plan.refuse}", code=plan.refuse)
        if self.caps.dedupes and self.placed(order.client_order_id):
            raise Unavailable(f"duplicate client order id {order.client_order_id}: look it up")
        placed = self._place(order, plan)
        accepted = self._report(placed, "reply")
        for quantity in (order.quantity,) if plan.fills is None else plan.fills:
            self._execute(placed, quantity, plan.price)
        if plan.lost:
            raise Unavailable("the answer was lost")
        placed.known_to_caller = True
        return self._report(placed, "reply") if plan.in_reply else accepted

    async def look_up(self, order: Order) -> VenueReport | None:
        """By venue id, else client id, else traits, as the capabilities allow."""
        self.lookups.append(order.client_order_id)
        if self._lookups_to_lose:
            self._lookups_to_lose -= 1
            raise Unavailable("the venue gave no answer")
        self._check_up()
        found = self._candidates(order)
        if len(found) > 1:
            names = ", ".join(placed.id for placed in found)
            raise AmbiguousMatch(f"{order.client_order_id} could be any of {names}")
        if not found:
            return None
        found[0].known_to_caller = True
        return self._report(found[0], "look-up")

    async def cancel(self, venue_order_id: str) -> None:
        """Follow the script; an order that has ended has nothing left to cancel."""
        self.cancels.append(venue_order_id)
        plan = self._cancel_script.popleft() if self._cancel_script else self.default_cancel
        self._check_up()
        placed = self.orders.get(venue_order_id)
        if placed is not None and plan.fill_first:
            self._execute(placed, plan.fill_first, None)
        if placed is not None and placed.status not in ENDED and not plan.ignored:
            placed.cancel_pending = True
            if not plan.pending:
                self._end(placed, OrderStatus.CANCELED)
        if plan.lost:
            raise Unavailable("the answer to the cancel was lost")

    async def account(self) -> Account:
        """Computed from the executions."""
        self._check_up()
        cash = self.start_cash
        for placed in self.orders.values():
            spent = placed.value if placed.order.side is Side.BUY else -placed.value
            cash -= spent + sum((fill.fee for fill in placed.fills), ZERO)
        held = sum(
            (quantity * self._price(symbol) for symbol, quantity in self._holdings().items()), ZERO
        )
        promised = sum(
            (
                placed.remaining * (placed.order.limit_price or self._price(placed.order.symbol))
                for placed in self.orders.values()
                if placed.order.side is Side.BUY
            ),
            ZERO,
        )
        return Account(
            account_id="scripted",
            equity=cash + held,
            cash=cash,
            buying_power=cash - promised,
            blocked=False,
            at=self.clock.now(),
        )

    async def positions(self) -> Sequence[VenuePosition]:
        """Net executed quantity of each symbol that is not flat; entry is the mean bought price."""
        self._check_up()
        return [
            VenuePosition(
                symbol=symbol,
                quantity=quantity,
                average_entry_price=self._entry_price(symbol, quantity),
                current_price=self._price(symbol),
            )
            for symbol, quantity in self._holdings().items()
            if quantity
        ]

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Every order that lives and is visible by now."""
        self._check_up()
        return [
            listed(placed, keeps_ids=self.caps.query_by_client_id)
            for placed in self.orders.values()
            if placed.status not in ENDED and placed.visible_at <= self.clock.now()
        ]

    async def health(self) -> Health:
        """`state`, or UNREACHABLE while `down`."""
        return Health.UNREACHABLE if self.down else self.state

    # ---- the books ----------------------------------------------------------------------------

    def _check_up(self) -> None:
        if self.down:
            raise Unavailable("the venue gave no answer")

    def _only(self, client_order_id: str) -> VenueOrder:
        found = self.placed(client_order_id)
        assert len(found) == 1, f"{client_order_id} stands for {len(found)} orders"
        return found[0]

    def _place(self, order: Order, plan: OnSubmit) -> VenueOrder:
        now = self.clock.now()
        placed = VenueOrder(
            id=f"ord_{len(self.orders) + 1}",
            order=order,
            created_at=now,
            visible_at=now + plan.hidden,
        )
        self.orders[placed.id] = placed
        self.reports.append(self._report(placed, "event"))
        return placed

    def _execute(self, placed: VenueOrder, quantity: Decimal, price: Decimal | None) -> VenueReport:
        assert quantity > ZERO, quantity
        assert quantity <= placed.remaining, f"{placed.id}: {quantity} > {placed.remaining}"
        at = price or placed.order.limit_price or self._price(placed.order.symbol)
        placed.fills.append(
            VenueFill(
                cumulative=placed.filled + quantity,
                quantity=quantity,
                price=at,
                at=self.clock.now(),
                execution_id=f"{placed.id}-{len(placed.fills) + 1}",
            )
        )
        whole = placed.filled == placed.order.quantity
        placed.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        return self._told(placed)

    def _end(self, placed: VenueOrder, status: OrderStatus) -> VenueReport:
        assert status in ENDED, status
        placed.status, placed.cancel_pending = status, False
        return self._told(placed)

    def _told(self, placed: VenueOrder) -> VenueReport:
        self.reports.append(self._report(placed, "event"))
        return self.reports[-1]

    def _report(self, placed: VenueOrder, source: str) -> VenueReport:
        return VenueReport(
            venue_order_id=placed.id,
            status=placed.status,
            source=source,
            at=self.clock.now(),
            symbol=placed.order.symbol,
            client_order_id=placed.order.client_order_id if self.caps.query_by_client_id else None,
            filled_quantity=placed.filled,
            average_price=placed.value / placed.kept if placed.kept else None,
            fills=tuple(placed.fills),
            busts=tuple(placed.busts),
        )

    def _candidates(self, order: Order) -> list[VenueOrder]:
        seen = [o for o in self.orders.values() if o.visible_at <= self.clock.now()]
        if order.venue_order_id is not None:
            return [placed for placed in seen if placed.id == order.venue_order_id]
        if self.caps.query_by_client_id:
            return [o for o in seen if o.order.client_order_id == order.client_order_id]
        return [o for o in seen if not o.known_to_caller and same_traits(o, order)]

    def _holdings(self) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        for placed in self.orders.values():
            signed = placed.kept if placed.order.side is Side.BUY else -placed.kept
            held[placed.order.symbol] = held.get(placed.order.symbol, ZERO) + signed
        return held

    def _entry_price(self, symbol: str, quantity: Decimal) -> Decimal:
        side = Side.BUY if quantity > ZERO else Side.SELL
        entries = [
            placed
            for placed in self.orders.values()
            if placed.order.symbol == symbol and placed.order.side is side and placed.fills
        ]
        value = sum((placed.value for placed in entries), ZERO)
        return value / sum((placed.filled for placed in entries), ZERO)

    def _price(self, symbol: str) -> Decimal:
        return self.prices.get(symbol, self.default_price)


def as_event(report: VenueReport, event_id: str) -> Incoming:
    """The report as the bus would hand it over; a new `event_id` is a repeat in new clothes."""
    return Incoming(
        event_id=event_id,
        type=f"trade.order.{report.status}",
        source="trading-engine",
        correlation_id=None,
        at=report.at,
        content=OrderReported(report=report),
    )
