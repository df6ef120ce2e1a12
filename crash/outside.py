"""What outlives every kill: the venue's books and the bus of one schedule.

It lives in the harness's process. The bus is at least once both ways: a message is delivered to
every new subscriber until it is acknowledged, an event is stored once under its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from crash.market import FastClock
from crash.scenarios import PRICE, STALE_SYMBOL, Scenario
from tradesaga.domain.decisions import Proposal
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.events import Content, DecisionGenerated, Incoming, OrderReported
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import ENDED, Order, OrderStatus, VenueFill, VenueReport
from tradesaga.ports.bus import Published
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.services import AmbiguousMatch, OpenOrder, VenuePosition

REDELIVER_SECONDS = 0.01
STALE_BY = timedelta(seconds=5000)
ACK_SECONDS_MAX = 0.5
"""A message without an acknowledgement is delivered again after this."""


@dataclass(slots=True)
class Placed:
    """One order in the venue's books."""

    id: str
    order: Order
    visible_at: datetime
    ours: bool = True
    status: OrderStatus = OrderStatus.WORKING
    fills: list[VenueFill] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        """The cumulative quantity."""
        return sum((fill.quantity for fill in self.fills), ZERO)


@dataclass(slots=True)
class Message:
    """One message for the agent."""

    number: int
    incoming: Incoming
    acknowledged: bool = False
    deliveries: int = 0


class Outside:
    """One agent's venue and bus; every public method without a dot is an operation of the wire."""

    def __init__(self, place: str, scenario: Scenario, clock: FastClock) -> None:
        self.place = place
        self.scenario = scenario
        self.clock = clock
        self.placed: list[Placed] = []
        self.submits: list[str] = []
        self.messages: list[Message] = []
        self.published: dict[str, OutboxRow] = {}
        self.late_sends = 0
        self.is_halted = False
        self.halted_sends = 0
        self.thawed_ns: int | None = None
        self.started = False
        self._leader = 0
        self._asked: set[tuple[str, str]] = set()
        self._all_said = False
        self.running = asyncio.Event()
        self.quiet = asyncio.Event()
        self._listeners: list[Callable[[Message], None]] = []
        self._failures_left = 2 if scenario.publish_fails else 0

    # ---- the life says how it is ----------------------------------------------------------------

    def halted(self) -> bool:
        """The kill switch has answered, and it is stored; nobody re-arms here."""
        self.is_halted = True
        return True

    def began(self, life: int) -> bool:
        """The agent runs in this life; decisions arrive, the first time."""
        self._leader = max(self._leader, life)
        if not self.started:
            self.started = True
            self._decide()
            if self.scenario.again_after:
                asyncio.get_running_loop().call_later(self.scenario.again_after, self._once_more)
            else:
                self._all_said = True
        self.running.set()
        return True

    def _decide(self) -> None:
        for symbol in self.scenario.symbols:
            self.tell(self._decision(symbol, symbol))
            if self.scenario.duplicate:
                self.tell(self._decision(symbol, symbol))
        if self.scenario.stale:
            self.tell(self._decision(STALE_SYMBOL, STALE_SYMBOL, old=STALE_BY))

    def _once_more(self) -> None:
        for symbol in self.scenario.symbols:
            self.tell(self._decision(symbol, f"{symbol}-2"))
        self._all_said = True

    # ---- the venue ------------------------------------------------------------------------------

    def submit(self, order: Order, life: int, asked_ns: int) -> VenueReport:
        """Accept, fill, refuse or lose, as the scenario says.

        Counted apart: what a frozen life, deposed meanwhile, was asked to send after its thaw, and
        what anybody sends after the kill switch has answered.
        """
        plan = self.scenario
        if self.thawed_ns is not None and life < self._leader and asked_ns > self.thawed_ns:
            self.late_sends += 1
        self.halted_sends += self.is_halted
        self._throttle("submit", order.client_order_id)
        before = self.submits.count(order.client_order_id)
        first = not before
        self.submits.append(order.client_order_id)
        if before < plan.fails:
            raise Unavailable("503")
        if plan.refused:
            raise Refused("no", code="INSUFFICIENT_FUNDS")
        known = [p for p in self.placed if p.order.client_order_id == order.client_order_id]
        if plan.dedupes and known:
            raise Unavailable("422 duplicate client order id: look it up")
        hidden = plan.hidden if first else timedelta(0)
        placed = Placed(f"v-{len(self.placed) + 1}", order, self.clock.now() + hidden)
        self.placed.append(placed)
        if plan.twin:
            self.placed.append(Placed(f"{placed.id}-twin", order, self.clock.now(), ours=False))
        accepted = self._report(placed, "reply")
        if plan.filled:
            self._execute(placed, plan.filled)
        elif plan.events:
            self._announce(placed)
        if first and plan.lost:
            raise Unavailable("the answer was lost")
        return self._report(placed, "reply") if plan.in_reply else accepted

    def look_up(self, order: Order) -> VenueReport | None:
        """By venue id, else by client id, or by traits alone."""
        self._throttle("look_up", order.client_order_id)
        if order.venue_order_id is None and not self.scenario.looks_up:
            return self._alike(order)
        for placed in self.placed:
            same = (
                placed.id == order.venue_order_id
                if order.venue_order_id is not None
                else placed.order.client_order_id == order.client_order_id
            )
            if same and placed.visible_at <= self.clock.now():
                return self._report(placed, "look-up")
        return None

    def _alike(self, order: Order) -> VenueReport | None:
        now = self.clock.now()
        found = [p for p in self.placed if p.order.symbol == order.symbol and p.visible_at <= now]
        if len(found) > 1:
            raise AmbiguousMatch(f"{order.client_order_id} could be any of {len(found)}")
        return self._report(found[0], "look-up") if found else None

    def _throttle(self, kind: str, name: str) -> None:
        if self.scenario.throttled and (kind, name) not in self._asked:
            self._asked.add((kind, name))
            raise Unavailable("429")

    def cancel(self, venue_order_id: str) -> None:
        """End the rest, unless a fill was faster."""
        self._throttle("cancel", venue_order_id)
        for placed in self.placed:
            if placed.id != venue_order_id or placed.status in ENDED:
                continue
            if self.scenario.fill_beats_cancel:
                self._execute(placed, placed.order.quantity - placed.filled)
                continue
            placed.status = OrderStatus.CANCELED
            if self.scenario.events:
                self._announce(placed)

    def open_orders(self) -> list[OpenOrder]:
        """What may still fill and is visible by now, as `VenueReport` names it."""
        return [
            OpenOrder(
                venue_order_id=placed.id,
                client_order_id=placed.order.client_order_id if self.scenario.looks_up else None,
                symbol=placed.order.symbol,
                side=placed.order.side,
                type=placed.order.type,
                quantity=placed.order.quantity,
                filled_quantity=placed.filled,
                limit_price=placed.order.limit_price,
                created_at=None,
            )
            for placed in self.placed
            if placed.status not in ENDED and placed.visible_at <= self.clock.now()
        ]

    def positions(self) -> list[VenuePosition]:
        """Net filled quantities."""
        return [
            VenuePosition(
                symbol=symbol, quantity=held, average_entry_price=PRICE, current_price=PRICE
            )
            for symbol in self.scenario.symbols
            if (held := self.held(symbol))
        ]

    def held(self, symbol: str) -> Decimal:
        """What the venue has filled on a symbol; all orders of the scenarios buy."""
        return sum((p.filled for p in self.placed if p.ours and p.order.symbol == symbol), ZERO)

    def _execute(self, placed: Placed, quantity: Decimal) -> None:
        total, now = placed.filled + quantity, self.clock.now()
        placed.fills.append(VenueFill(cumulative=total, quantity=quantity, price=PRICE, at=now))
        whole = total == placed.order.quantity
        placed.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        if self.scenario.events:
            self._announce(placed)

    def _announce(self, placed: Placed) -> None:
        report = self._report(placed, "event")
        self.tell(OrderReported(report=report), f"trade.order.{placed.status}")

    def _report(self, placed: Placed, source: str) -> VenueReport:
        return VenueReport(
            venue_order_id=placed.id,
            status=placed.status,
            source=source,
            at=self.clock.now(),
            symbol=placed.order.symbol,
            client_order_id=placed.order.client_order_id,
            filled_quantity=placed.filled,
            average_price=PRICE if placed.filled else None,
            fills=tuple(placed.fills),
        )

    # ---- the bus --------------------------------------------------------------------------------

    def publish(self, row: OutboxRow) -> Published:
        """Store it once under its event id."""
        if self._failures_left and len(self.published) >= 3:
            self._failures_left -= 1
            raise Unavailable("the bus is away")
        duplicate = row.event_id in self.published
        self.published.setdefault(row.event_id, row)
        place = list(self.published).index(row.event_id) + 1
        return Published(stream_sequence=place, duplicate=duplicate)

    def acknowledge(self, number: int) -> None:
        """Never deliver it again."""
        self.messages[number].acknowledged = True

    def retry_later(self, number: int) -> None:
        """Deliver it again in a moment."""
        asyncio.get_running_loop().call_later(REDELIVER_SECONDS, self._deliver, number)

    def tell(self, content: Content, kind: str = "ai.decision.generated") -> None:
        """A message for the agent, with an event id of its own."""
        number = len(self.messages)
        incoming = Incoming(
            event_id=f"{self.place}-{number}",
            type=kind,
            source="outside",
            correlation_id=None,
            at=self.clock.now(),
            content=content,
        )
        self.messages.append(Message(number, incoming))
        self._deliver(number)

    def listen(self, listener: Callable[[Message], None]) -> Callable[[], None]:
        """Hear every message that is not acknowledged, then the new ones; returns how to end it.

        Who came last hears them, and who came before it when it is gone.
        """
        self._listeners.append(listener)
        self._deliver_all()

        def end() -> None:
            self._listeners.remove(listener)
            self._deliver_all()

        return end

    @property
    def settled(self) -> bool:
        """Whether every message has had its effect."""
        return self._all_said and all(message.acknowledged for message in self.messages)

    def _deliver_all(self) -> None:
        for message in self.messages:
            self._deliver(message.number)

    def _deliver(self, number: int) -> None:
        for listener in self._listeners[-1:]:
            if not self.messages[number].acknowledged:
                listener(self.messages[number])
                self._expect_answer(number)

    def _expect_answer(self, number: int) -> None:
        message = self.messages[number]
        message.deliveries += 1
        said = message.deliveries

        def look() -> None:
            if message.deliveries == said:
                self._deliver(number)

        asyncio.get_running_loop().call_later(ACK_SECONDS_MAX, look)

    def _decision(
        self, symbol: str, name: str, *, old: timedelta = timedelta(0)
    ) -> DecisionGenerated:
        proposal = Proposal(
            external_id=f"{self.place}-{name}",
            symbol=symbol,
            action="buy",
            confidence=Decimal("0.9"),
            reasoning="",
            said_at=self.clock.now() - old,
            strategy_id="crash",
            suggested_quantity=Decimal(10),
        )
        return DecisionGenerated(proposal=proposal)
