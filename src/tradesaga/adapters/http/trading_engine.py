"""The venue over HTTP: the trading-engine's REST API in the specification's dialect.

A submit ends in one of three ways: a report, `Refused` by a structured 4xx, or `Transient` for
everything else, a duplicate client order id included: nobody knows then, look it up. An order is
found by its venue id, else by our id where the venue keeps it, else by its traits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.client import Reply, ServiceClient
from tradesaga.adapters.http.pace import UNPACED, Pace
from tradesaga.adapters.http.transport import Transport
from tradesaga.adapters.http.venue_orders import (
    ListedOrder,
    encode,
    ended_order_of,
    open_order_of,
    report_of,
)
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.money import AMOUNT_MAX, is_sane
from tradesaga.domain.orders import Order, OrderStatus, VenueReport
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import (
    Account,
    AmbiguousMatch,
    Capabilities,
    Health,
    OpenOrder,
    VenuePosition,
)
from tradesaga.ports.tracing import UNTRACED, Tracer

PAGE = 500
PAGES_MAX = 20
EVIDENCE_CHARS_MAX = 500
CLOCK_TOLERANCE = timedelta(seconds=1)
"""How far the venue's clock may be behind ours when an order is found by its time."""
ARRIVAL_TIME_MAX = timedelta(minutes=5)
"""Nothing is sent after an order's `expires_at`, and nothing is under way for longer than this,
also where market time is sped up: what the venue created later is somebody else's.
"""
_LOGIN = (401, 403)
_NOTHING_TO_CANCEL = (404, 409, 422)
_DUPLICATE_CODES = ("40010001", "DUPLICATE_CLIENT_ORDER_ID")
_DUPLICATE_TEXT = "client_order_id must be unique"
_PASSES_BY = "BROKER_ERROR"

Claimed = Callable[[str], Awaitable[bool]]
"""Whether a venue order id is already known as that of one of our orders."""


class _Orders(msgspec.Struct, rename="camel"):
    orders: list[ListedOrder]
    next_cursor: str | None = None


class _Account(msgspec.Struct, rename="camel"):
    account_id: str
    equity: Decimal
    cash: Decimal
    buying_power: Decimal
    trading_blocked: bool = False
    account_blocked: bool = False


class _Position(msgspec.Struct, rename="camel"):
    symbol: str
    quantity: Decimal
    side: str
    average_entry_price: Decimal
    current_price: Decimal | None = None


class _Positions(msgspec.Struct):
    positions: list[_Position]


RefusalToSend = Callable[[Order], str]
"""Why an order may not be sent at this instant; empty when it may."""


def always_sent(_order: Order) -> str:
    """For a client without a gate."""
    return ""


async def none_claimed(_venue_order_id: str) -> bool:
    """For a client that is alone."""
    return False


class HttpTradingEngine:
    """Implements `ports.services.TradingEngine` and `OrderHistory`."""

    def __init__(
        self,
        *,
        url: str,
        time_max: timedelta,
        capabilities: Capabilities,
        clock: Clock,
        claimed: Claimed = none_claimed,
        refusal_to_send: RefusalToSend = always_sent,
        pace: Pace = UNPACED,
        circuit: Circuit | None = None,
        transport: Transport | None = None,
        cancel_transport: Transport | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._client = ServiceClient(
            name="trading-engine",
            url=url,
            time_max=time_max,
            pace=pace,
            circuit=circuit,
            transport=transport,
            tracer=tracer,
        )
        # A cancel never waits for a connection that a submit has.
        self._cancels = ServiceClient(
            name="trading-engine",
            url=url,
            time_max=time_max,
            pace=pace,
            circuit=circuit,
            transport=cancel_transport or transport,
            tracer=tracer,
        )
        self._refusal_to_send = refusal_to_send
        self._capabilities = capabilities
        self._clock = clock
        self._claimed = claimed

    @property
    def capabilities(self) -> Capabilities:
        """As constructed."""
        return self._capabilities

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        await self._cancels.close()

    async def submit(self, order: Order) -> VenueReport:
        """Send the order, once; raises NotSent when it may not be sent at the instant it would."""
        reply = await self._client.call(
            "POST",
            "/orders",
            body=encode(order),
            leave=lambda: self._refusal_to_send(order),
            urgent=not order.opening,
        )
        if not reply.is_success:
            return self._refused(reply, order)
        listed = self._client.decode(reply, ListedOrder)
        if listed.belies(order):
            raise Unavailable(f"the reply about {listed.order_id} is not about this order")
        return report_of(listed, order, source="reply", now=self._clock.now())

    async def look_up(self, order: Order) -> VenueReport | None:
        """What the venue knows of the order."""
        listed = await self._find(order)
        if listed is None:
            return None
        return report_of(listed, order, source="look-up", now=self._clock.now())

    async def cancel(self, venue_order_id: str) -> None:
        """Ask for it; the verdict is for a look-up."""
        path = _path_of(venue_order_id)
        reply = await self._cancels.look("DELETE", path, urgent=True)
        if not (reply.is_success or reply.status in _NOTHING_TO_CANCEL):
            raise Unavailable(f"trading-engine answers {reply.status} to DELETE {path}")

    async def account(self) -> Account:
        """Equity, cash, buying power."""
        said = await self._client.read("/account", _Account)
        amounts = (said.equity, said.cash, said.buying_power)
        if not all(is_sane(amount, AMOUNT_MAX) for amount in amounts):
            raise Unavailable("the account is given with amounts that cannot be")
        return Account(
            account_id=said.account_id,
            equity=said.equity,
            cash=said.cash,
            buying_power=said.buying_power,
            blocked=said.trading_blocked or said.account_blocked,
            at=self._clock.now(),
        )

    async def positions(self) -> Sequence[VenuePosition]:
        """All open positions, signed."""
        said = await self._client.read("/positions", _Positions)
        return [_position(position) for position in said.positions]

    async def open_orders(self) -> Sequence[OpenOrder]:
        """All that may still fill; one dialect lists the ended ones all the same."""
        listed = await self._all_orders(status="open")
        return [found for each in listed if (found := open_order_of(each)) is not None]

    async def ended_orders(self) -> Sequence[OpenOrder]:
        """All that have ended, as they stood then; see `ports.services.OrderHistory`."""
        listed = await self._all_orders(status="closed")
        return [found for each in listed if (found := ended_order_of(each)) is not None]

    async def health(self) -> Health:
        """What it says of itself."""
        return await self._client.health()

    def _refused(self, reply: Reply, order: Order) -> VenueReport:
        """A 4xx to a submit. Raises Refused, Unavailable."""
        raise refusal_of(reply, order)

    # ---- finding an order ---------------------------------------------------------------------

    async def _find(self, order: Order) -> ListedOrder | None:
        if order.venue_order_id is not None:
            return await self._by_venue_id(order, order.venue_order_id)
        if self._capabilities.query_by_client_id:
            return await self._by_client_id(order)
        return await self._by_traits(order)

    async def _by_venue_id(self, order: Order, venue_order_id: str) -> ListedOrder | None:
        path = _path_of(venue_order_id)
        reply = await self._client.look("GET", path, urgent=_is_urgent(order), essential=True)
        if reply.status == 404 and _problem(reply) is not None:
            return None
        if not reply.is_success:
            raise Unavailable(f"trading-engine answers {reply.status} to GET {path}")
        listed = self._client.decode(reply, ListedOrder)
        if listed.order_id != venue_order_id or listed.belies(order):
            # A venue that has lost its memory may give an id away twice.
            raise Unavailable(f"the venue's order {venue_order_id} is another one than ours")
        return listed

    async def _by_client_id(self, order: Order) -> ListedOrder | None:
        query = {"clientOrderId": order.client_order_id}
        said = await self._client.read(
            "/orders", _Orders, query, urgent=_is_urgent(order), essential=True
        )
        return _the_only(
            order, [o for o in said.orders if o.client_order_id == order.client_order_id]
        )

    async def _by_traits(self, order: Order) -> ListedOrder | None:
        """By symbol, side, quantity, type, limit and time, among the orders that nobody owns."""
        earliest = order.created_at - CLOCK_TOLERANCE
        latest = order.expires_at + ARRIVAL_TIME_MAX
        candidates = [
            listed
            for listed in await self._all_orders(urgent=_is_urgent(order))
            if not listed.belies(order)
            and listed.decision_id is None  # the venue made that one by itself
            and (listed.created_at is None or earliest <= listed.created_at <= latest)
            and not await self._claimed(listed.order_id)
        ]
        return _the_only(order, candidates)

    async def _all_orders(self, *, urgent: bool = False, **narrowed: str) -> list[ListedOrder]:
        found: dict[str, ListedOrder] = {}
        query = {"limit": str(PAGE), **narrowed}
        for _ in range(PAGES_MAX):
            page = await self._client.read("/orders", _Orders, query, urgent=urgent, essential=True)
            found |= {listed.order_id: listed for listed in page.orders}
            if page.next_cursor is None:
                return list(found.values())
            query["after"] = page.next_cursor
        raise Unavailable(f"trading-engine lists more than {PAGES_MAX * PAGE} orders")


def _is_urgent(order: Order) -> bool:
    """An order of unknown outcome holds its symbol until somebody knows."""
    return order.status is OrderStatus.UNKNOWN


def _the_only(order: Order, candidates: Sequence[ListedOrder]) -> ListedOrder | None:
    if len(candidates) > 1:
        names = ", ".join(listed.order_id for listed in candidates)
        raise AmbiguousMatch(f"{order.client_order_id} could be any of {names}")
    return candidates[0] if candidates else None


def _position(said: _Position) -> VenuePosition:
    numbers = [said.quantity, said.average_entry_price, said.current_price or Decimal(0)]
    side = said.side.lower()
    if side not in ("long", "short") or not all(is_sane(number) for number in numbers):
        raise Unavailable(f"the position in {said.symbol} is given in a way that cannot be")
    size = abs(said.quantity)
    return VenuePosition(
        symbol=said.symbol,
        quantity=size if side == "long" else -size,
        average_entry_price=said.average_entry_price,
        current_price=said.current_price,
    )


def refusal_of(reply: Reply, order: Order) -> Refused | Unavailable:
    """What a 4xx to a submit means; only one that gives its reason is a refusal."""
    problem = _problem(reply)
    if problem is None and reply.status not in _LOGIN:
        return Unavailable(f"trading-engine answers {reply.status} without a reason")
    code, text = _reason(problem or {})
    evidence = f"HTTP {reply.status} {text}".rstrip()[:EVIDENCE_CHARS_MAX]
    if code.upper() in _DUPLICATE_CODES or _DUPLICATE_TEXT in text.lower():
        return Unavailable(f"duplicate client order id {order.client_order_id}: {evidence}")
    if code == _PASSES_BY:
        return Unavailable(f"the venue's broker gave no answer: {evidence}")
    return Refused(evidence, code=code or str(reply.status))


def _problem(reply: Reply) -> dict[str, Any] | None:
    """The body of an error as an object; None when the answer is not the service's own."""
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    known = ("error", "message", "reason", "code", "errorCode")
    return body if isinstance(body, dict) and any(name in body for name in known) else None


def _reason(problem: dict[str, Any]) -> tuple[str, str]:
    code = problem.get("code") or problem.get("errorCode") or ""
    texts = [problem.get(name) for name in ("code", "errorCode", "error", "message", "reason")]
    return str(code)[:EVIDENCE_CHARS_MAX], ": ".join(str(text) for text in texts if text)


def _path_of(venue_order_id: str) -> str:
    return f"/orders/{quote(venue_order_id, safe='')}"
