"""Is what we believe what the venue has? Compared over its own HTTP, after a run.

The database's invariants prove that our books agree with each other; these four prove that they
agree with the other side. They hold when nothing is under way any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradesaga.adapters.postgres.tally import OrderFact
from tradesaga.bootstrap.asking import ask
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.money import ZERO
from tradesaga.ports.records import Invariant, PositionSums

PAGE: Final = 100
PAGES_MAX: Final = 10_000
CENT: Final = Decimal("0.01")
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
Findings = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueBooks:
    """What the venue has: cash, quantities by symbol, and every order it ever took."""

    cash: Decimal
    positions: Mapping[str, Decimal]
    orders: Sequence[Mapping[str, Any]]


async def read_books(url: str) -> VenueBooks:
    """Ask the trading engine at `url`. Raises Unavailable."""
    account = await _get(f"{url}/api/v1/account")
    held = await _get(f"{url}/api/v1/positions")
    orders: list[Mapping[str, Any]] = []
    query = f"status=all&limit={PAGE}"
    for _ in range(PAGES_MAX):
        page = await _get(f"{url}/api/v1/orders?{query}")
        orders += page["orders"]
        if (cursor := page.get("nextCursor")) is None:
            break
        query = f"status=all&limit={PAGE}&after={cursor}"
    return VenueBooks(
        cash=Decimal(account["cash"]),
        positions={one["symbol"]: Decimal(one["quantity"]) for one in held["positions"]},
        orders=orders,
    )


def compare(
    books: VenueBooks,
    orders: Sequence[OrderFact],
    positions: Sequence[PositionSums],
    *,
    start_cash: Decimal,
) -> Sequence[Invariant]:
    """The four comparisons; `start_cash` is what the account began with."""
    checks = (
        (
            "V1_orders",
            "every order at the venue has exactly one intent of ours, and its quantity",
            _strangers(books, orders),
        ),
        (
            "V2_fills",
            "every order that we believe placed is at the venue, filled as we believe",
            _missing(books, orders),
        ),
        ("V3_positions", "the venue holds what our fills add up to", _drift(books, positions)),
        (
            "V4_cash",
            "the venue's cash is the first cash less what was bought, plus what was sold",
            _cash(books, positions, start_cash),
        ),
    )
    return [
        Invariant(name=name, description=text, violations=len(found), sample=found[:5])
        for name, text, found in ((name, text, list(found)) for name, text, found in checks)
    ]


def _strangers(books: VenueBooks, orders: Sequence[OrderFact]) -> Iterator[dict[str, Any]]:
    ours = {order.client_order_id: order for order in orders}
    times = Counter(order.get("clientOrderId") for order in books.orders)
    for order in books.orders:
        client_id = order.get("clientOrderId")
        intent = ours.get(str(client_id))
        where = {"orderId": order["orderId"], "clientOrderId": client_id}
        if intent is None:
            yield {**where, "what": "no intent of ours"}
        elif times[client_id] > 1:
            yield {**where, "what": f"placed {times[client_id]} times"}
        elif Decimal(order["quantity"]) != intent.quantity:
            yield {**where, "what": f"quantity {order['quantity']}, intended {intent.quantity}"}


def _missing(books: VenueBooks, orders: Sequence[OrderFact]) -> Iterator[dict[str, Any]]:
    there = {order.get("clientOrderId"): order for order in books.orders}
    for order in orders:
        found = there.get(order.client_order_id)
        filled = ZERO if found is None else Decimal(found["filledQuantity"])
        if found is None and order.venue_order_id:
            yield {"clientOrderId": order.client_order_id, "what": "not at the venue"}
        elif filled != order.filled_quantity:
            what = f"filled {filled} at the venue, {order.filled_quantity} in our books"
            yield {"clientOrderId": order.client_order_id, "what": what}


def _drift(books: VenueBooks, positions: Sequence[PositionSums]) -> Iterator[dict[str, Any]]:
    ours = {one.symbol: one.quantity for one in positions if one.quantity != ZERO}
    for symbol in sorted({*ours, *books.positions}):
        mine, theirs = ours.get(symbol, ZERO), books.positions.get(symbol, ZERO)
        if mine != theirs:
            yield {"symbol": symbol, "what": f"{theirs} at the venue, {mine} in our books"}


def _cash(
    books: VenueBooks, positions: Sequence[PositionSums], start_cash: Decimal
) -> Iterator[dict[str, Any]]:
    spent = sum((one.bought_value - one.sold_value + one.fees for one in positions), ZERO)
    if abs(books.cash - (start_cash - spent)) >= CENT:
        yield {"what": f"{books.cash} at the venue, {start_cash - spent} by our fills"}


async def _get(url: str) -> Any:
    status, body = await ask("GET", url)
    if status != 200:
        raise Unavailable(f"GET {url} answered {status}")
    return _decode(body)
