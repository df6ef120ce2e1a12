"""The venue over HTTP, in the dialect of the platform's real engine.

What differs from `trading_engine`, whose client this is otherwise:

    no id of ours is kept        an order of unknown outcome is found by its traits alone, and is
                                 absent only if the engine has lived since before it was sent
    a sale opens a short         an exit closes the position instead, whole, at the price we name;
                                 that makes no order: the position's id stands for one
    no account                   start capital, and our own ledger
    a 400 with an order id       the order is listed as failed; it may have filled all the same

An exit of a part, and one without a position, are refused here: nothing is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec
from typing_extensions import override

from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.client import Reply
from tradesaga.adapters.http.pace import UNPACED, Pace
from tradesaga.adapters.http.trading_engine import (
    Claimed,
    HttpTradingEngine,
    RefusalToSend,
    always_sent,
    none_claimed,
    refusal_of,
)
from tradesaga.adapters.http.transport import Transport
from tradesaga.adapters.http.venue_orders import ListedOrder, report_of
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.money import ZERO, is_sane
from tradesaga.domain.orders import Order, OrderStatus, Side, VenueReport
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import Account, AmbiguousMatch, Capabilities, VenuePosition
from tradesaga.ports.tracing import UNTRACED, Tracer

ACCOUNT_ID: Final = "platform"
CLOSED: Final = "closed:"
"""Before our own id: the position was closed for an exit, under an id that nobody told us."""
POSITION: Final = "pos_"
SENT_MAX: Final = 10_000
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Our ledger: what all fills have brought or cost, and what is held at today's prices."""

    cash_flow: Decimal
    value: Decimal


ReadBooks = Callable[[], Awaitable[Books]]
"""Raises Transient."""


class _Position(msgspec.Struct, rename="camel"):
    position_id: str
    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal

    @property
    def signed(self) -> Decimal:
        size = abs(self.quantity)
        return size if self.side == "long" else -size


class _Positions(msgspec.Struct):
    positions: list[_Position]


class _Health(msgspec.Struct):
    uptime: Decimal


class PlatformTradingEngine(HttpTradingEngine):
    """Implements `ports.services.TradingEngine` and `ports.services.VenueMemory`."""

    def __init__(
        self,
        *,
        url: str,
        time_max: timedelta,
        capabilities: Capabilities,
        clock: Clock,
        start_capital: Decimal,
        books: ReadBooks,
        claimed: Claimed = none_claimed,
        refusal_to_send: RefusalToSend = always_sent,
        pace: Pace = UNPACED,
        circuit: Circuit | None = None,
        transport: Transport | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        super().__init__(
            url=url,
            time_max=time_max,
            capabilities=capabilities,
            clock=clock,
            claimed=claimed,
            refusal_to_send=refusal_to_send,
            pace=pace,
            circuit=circuit,
            transport=transport,
            tracer=tracer,
        )
        self._start_capital = start_capital
        self._books = books
        self._sent: dict[str, float] = {}

    @override
    async def submit(self, order: Order) -> VenueReport:
        """Send it, once: an exit as the closing of its position."""
        self._sent[order.client_order_id] = self._clock.monotonic()
        if len(self._sent) > SENT_MAX:
            self._sent.pop(next(iter(self._sent)))
        if not order.opening:
            return await self._close_position(order)
        return await super().submit(order)

    @override
    async def look_up(self, order: Order) -> VenueReport | None:
        """By its id, else by its traits; absent only if the engine's memory covers it."""
        found = await (super().look_up(order) if order.opening else self._look_up_exit(order))
        if found is None:
            await self._must_remember(order)
        return found

    @override
    async def cancel(self, venue_order_id: str) -> None:
        """Ask for it; a position that was closed has no order to cancel."""
        if not _is_exit(venue_order_id):
            await super().cancel(venue_order_id)

    @override
    async def account(self) -> Account:
        """What the account began with and what our fills made of it: the engine knows none."""
        books = await self._books()
        cash = self._start_capital + books.cash_flow
        return Account(
            account_id=ACCOUNT_ID,
            equity=cash + books.value,
            cash=cash,
            buying_power=max(cash, ZERO),
            blocked=False,
            at=self._clock.now(),
        )

    @override
    async def positions(self) -> Sequence[VenuePosition]:
        """All of them, a long and a short of one symbol as one; prices there are never renewed."""
        found: dict[str, VenuePosition] = {}
        for said in await self._positions():
            known = found.get(said.symbol)
            found[said.symbol] = VenuePosition(
                symbol=said.symbol,
                quantity=said.signed + (ZERO if known is None else known.quantity),
                average_entry_price=said.entry_price,
                current_price=None,
            )
        return list(found.values())

    async def uptime(self) -> timedelta:
        """How long it has lived, and so what it can remember."""
        reply = await self._client.look_at_health()
        milliseconds = self._client.decode(reply, _Health).uptime
        if not is_sane(milliseconds) or milliseconds < ZERO:
            raise Unavailable("trading-engine tells an uptime that cannot be")
        return timedelta(milliseconds=float(milliseconds))

    # ---- exits ----------------------------------------------------------------------------------

    async def _close_position(self, order: Order) -> VenueReport:
        held = await self._position_of(order)
        if held is None:
            raise Refused(f"there is no position in {order.symbol} to close", code="NO_POSITION")
        if abs(held.quantity) != order.quantity:
            raise Refused(
                f"{order.quantity} of {abs(held.quantity)} {order.symbol}: a position is closed "
                "whole or not at all",
                code="NO_PARTIAL_CLOSE",
            )
        reply = await self._client.call(
            "POST",
            f"/positions/{quote(held.position_id, safe='')}/close",
            body=_encode({"exitPrice": order.reference_price}),
            leave=lambda: self._refusal_to_send(order),
            urgent=True,
        )
        if reply.status == 404:
            raise Unavailable(f"position {held.position_id} went while it was to be closed")
        if not reply.is_success:
            raise refusal_of(reply, order)
        return self._closed(order, held.position_id)

    async def _look_up_exit(self, order: Order) -> VenueReport | None:
        """A position that is no more was closed; one that is there was not."""
        if order.venue_order_id is not None:
            return self._closed(order, order.venue_order_id)
        held = await self._position_of(order)
        if held is None:
            await self._must_remember(order)
            return self._closed(order, f"{CLOSED}{order.client_order_id}")
        if abs(held.quantity) == order.quantity:
            return None
        raise AmbiguousMatch(
            f"{order.client_order_id} was to close {order.quantity} {order.symbol}, "
            f"position {held.position_id} holds {held.quantity}"
        )

    def _closed(self, order: Order, position_id: str) -> VenueReport:
        return VenueReport(
            venue_order_id=position_id,
            status=OrderStatus.FILLED,
            source="position closed",
            at=self._clock.now(),
            symbol=order.symbol,
            filled_quantity=order.quantity,
            average_price=order.reference_price,
        )

    async def _position_of(self, order: Order) -> _Position | None:
        side = "long" if order.side is Side.SELL else "short"
        found = [p for p in await self._positions() if (p.symbol, p.side) == (order.symbol, side)]
        if len(found) > 1:
            raise Unavailable(f"{len(found)} {side} positions in {order.symbol}")
        return found[0] if found else None

    async def _positions(self) -> Sequence[_Position]:
        said = await self._client.read("/positions", _Positions, urgent=True, essential=True)
        for position in said.positions:
            usable = is_sane(position.quantity) and is_sane(position.entry_price)
            if position.side not in ("long", "short") or not usable:
                raise Unavailable(f"the position in {position.symbol} cannot be as it is given")
        return said.positions

    # ---- orders ---------------------------------------------------------------------------------

    @override
    def _refused(self, reply: Reply, order: Order) -> VenueReport:
        """A 400 that names its order is no refusal but an order that failed: news of it is ours."""
        try:
            listed = msgspec.json.decode(reply.body, type=ListedOrder)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return super()._refused(reply, order)
        return report_of(listed, order, source="reply", now=self._clock.now())

    async def _must_remember(self, order: Order) -> None:
        """That an order is not there means nothing to an engine that is younger than it.

        Raises:
            AmbiguousMatch: it has forgotten what there was. Transient.
        """
        uptime = await self.uptime()
        sent = self._sent.get(order.client_order_id)
        if sent is not None:
            age = timedelta(seconds=self._clock.monotonic() - sent)
        else:  # by a process before this one: market time is never slower than real time
            age = self._clock.now() - order.created_at
        if uptime < age:
            raise AmbiguousMatch(
                f"trading-engine has forgotten: it began {uptime.total_seconds():.0f} s ago, "
                f"{order.client_order_id} is {age.total_seconds():.0f} s old"
            )


def _is_exit(venue_order_id: str) -> bool:
    return venue_order_id.startswith((POSITION, CLOSED))
