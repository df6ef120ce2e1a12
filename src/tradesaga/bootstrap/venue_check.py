"""Is what we believe what the venue has? Compared over its own HTTP.

The database's invariants prove that our books agree with each other; these prove that they agree
with the other side. While a system trades the two are read at different moments: a difference
counts only if it stays the same over `LOOKS` looks, so that a fill under way is none.

The venue is read before the database, its account before its orders: an order that the venue
shows must have its intent, and one that it does not show cannot have reduced its buying power.
An order placed by hand on the same account is no order of ours, and is named too. One that the
engine has made of a decision that is left to it is named if we have ordered for it as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradesaga.adapters.postgres.tally import LeftOrder, OrderFact, Reserved
from tradesaga.bootstrap.asking import ask
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.invariants import remedy_of
from tradesaga.domain.money import ZERO
from tradesaga.ports.records import Invariant, PositionSums

PAGE: Final = 100
PAGES_MAX: Final = 10_000
CENT: Final = Decimal("0.01")
LOOKS: Final = 4
SECONDS_BETWEEN_LOOKS: Final = 0.5
SAMPLE_MAX: Final = 5
DESCRIPTIONS: Final = {
    "I2_venue_orders": "every order at the venue has exactly one intent of ours, its quantity too",
    "I4_venue_positions": "the venue holds what our fills add up to",
    "I5_venue_fills": "every order that we believe placed is at the venue, filled as we believe",
    "I6_buying_power": "open reservations that the venue does not know of fit its buying power",
    "I7_venue_cash": "the venue's cash is the first cash less what was bought, plus what was sold",
}
NO_SUCH_PATH: Final = 404
NO_ACCOUNT: Final = {"cash": ZERO, "buyingPower": ZERO}
FAILED: Final = "failed"
"""Listed by the platform's engine, but never placed."""
ORDER: Final = "ord_"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
Finding = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueBooks:
    """What the venue has: cash, quantities by symbol (signed), and every order it ever took."""

    cash: Decimal
    buying_power: Decimal
    positions: Mapping[str, Decimal]
    orders: Sequence[Mapping[str, Any]]
    has_account: bool = True
    """Without one there is no cash to compare, and exits close positions without an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OurBooks:
    """What we believe; `start_cash` is what the account began with, if that is known.

    `left` are the engine's own orders, where it is left to trade by itself.
    """

    orders: Sequence[OrderFact]
    positions: Sequence[PositionSums]
    reserved: Sequence[Reserved]
    start_cash: Decimal | None
    left: Sequence[LeftOrder] = ()


async def read_books(url: str) -> VenueBooks:
    """Ask the trading engine at `url`. Raises Unavailable."""
    status, _ = await ask("GET", f"{url}/api/v1/account")
    has_account = status != NO_SUCH_PATH
    account = await _get(f"{url}/api/v1/account") if has_account else NO_ACCOUNT
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
        buying_power=Decimal(account["buyingPower"]),
        positions=_sums(held["positions"]),
        orders=[one for one in orders if one["status"] != FAILED],
        has_account=has_account,
    )


async def compare_until_settled(
    url: str, ours: Callable[[], Awaitable[OurBooks]], *, looks: int = LOOKS
) -> Sequence[Invariant]:
    """The comparisons; what differs is looked at again. Raises Unavailable."""
    books, mine = await read_books(url), await ours()
    found = differences(books, mine)
    for _ in range(looks - 1):
        if not any(found.values()):
            break
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)  # noqa: TID251 -- real time, no clock here
        books, mine = await read_books(url), await ours()
        again = differences(books, mine)
        found = {name: [row for row in rows if row in again[name]] for name, rows in found.items()}
    return answers(found, books, mine)


def differences(books: VenueBooks, ours: OurBooks) -> dict[str, list[Finding]]:
    """What differs, by the name of the invariant that it breaks."""
    return {
        "I2_venue_orders": list(_strangers(books, ours)),
        "I4_venue_positions": list(_drift(books, ours)),
        "I5_venue_fills": list(_missing(books, ours.orders)),
        "I6_buying_power": list(_overdrawn(books, ours)),
        "I7_venue_cash": list(_cash(books, ours)),
    }


def answers(
    found: Mapping[str, Sequence[Finding]], books: VenueBooks, ours: OurBooks
) -> Sequence[Invariant]:
    """The findings as invariants, with how much each looked at."""
    looked_at = {
        "I2_venue_orders": len(books.orders),
        "I4_venue_positions": len({*books.positions, *(one.symbol for one in ours.positions)}),
        "I5_venue_fills": len(ours.orders),
        "I6_buying_power": len(ours.reserved),
        "I7_venue_cash": len(ours.positions),
    }
    unknown = "" if ours.start_cash is not None else "the account's first cash is not known"
    skipped = {"I7_venue_cash": unknown}
    if not books.has_account:
        skipped = dict.fromkeys(("I6_buying_power", "I7_venue_cash"), "the venue knows no account")
    return [
        Invariant(
            name=name,
            description=DESCRIPTIONS[name],
            violations=len(rows),
            sample=rows[:SAMPLE_MAX],
            looked_at=looked_at[name],
            remedy=remedy_of(name),
            skipped=skipped.get(name, ""),
        )
        for name, rows in found.items()
    ]


def not_asked(why: str) -> Sequence[Invariant]:
    """The same invariants, none of them checked."""
    return [
        Invariant(
            name=name,
            description=text,
            violations=0,
            sample=(),
            remedy=remedy_of(name),
            skipped=why,
        )
        for name, text in DESCRIPTIONS.items()
    ]


def _key(order: Mapping[str, Any]) -> str:
    """The client's id, or the venue's own where the venue does not keep the client's."""
    return str(order.get("clientOrderId") or order["orderId"])


def _strangers(books: VenueBooks, mine: OurBooks) -> Iterator[Finding]:
    ours = {order.venue_order_id: order for order in mine.orders if order.venue_order_id}
    ours |= {order.client_order_id: order for order in mine.orders}
    left = {order.venue_order_id: order for order in mine.left}
    made = Counter(order.decision_id for order in mine.left)
    times = Counter(map(_key, books.orders))
    for order in books.orders:
        key = _key(order)
        intent = ours.get(key)
        where = {"orderId": order["orderId"], "clientOrderId": order.get("clientOrderId")}
        if intent is None and (own := left.get(order["orderId"])) is not None:
            if own.is_ours_too or made[own.decision_id] > 1:
                yield {**where, "what": f"decision {own.decision_id} was executed twice"}
        elif intent is None:
            yield {**where, "what": "no intent of ours"}
        elif times[key] > 1:
            yield {**where, "what": f"placed {times[key]} times"}
        elif Decimal(order["quantity"]) != intent.quantity:
            yield {**where, "what": f"quantity {order['quantity']}, intended {intent.quantity}"}


def _missing(books: VenueBooks, orders: Sequence[OrderFact]) -> Iterator[Finding]:
    there = {_key(order): order for order in books.orders}
    for order in orders:
        if not books.has_account and not order.venue_order_id.startswith(ORDER):
            continue  # the closing of a position: its quantity is compared there
        found = there.get(order.client_order_id) or there.get(order.venue_order_id)
        filled = ZERO if found is None else Decimal(found["filledQuantity"])
        if found is None and order.venue_order_id:
            yield {"clientOrderId": order.client_order_id, "what": "not at the venue"}
        elif filled != order.filled_quantity:
            what = f"filled {filled} at the venue, {order.filled_quantity} in our books"
            yield {"clientOrderId": order.client_order_id, "what": what}


def _drift(books: VenueBooks, mine: OurBooks) -> Iterator[Finding]:
    ours = {one.symbol: one.quantity for one in mine.positions if one.quantity != ZERO}
    left = {order.venue_order_id for order in mine.left}
    for order in books.orders:
        if order["orderId"] in left:
            filled = Decimal(order["filledQuantity"])
            signed = filled if str(order["side"]).lower() == "buy" else -filled
            ours[order["symbol"]] = ours.get(order["symbol"], ZERO) + signed
    for symbol in sorted({*ours, *books.positions}):
        known, theirs = ours.get(symbol, ZERO), books.positions.get(symbol, ZERO)
        if known != theirs:
            yield {"symbol": symbol, "what": f"{theirs} at the venue, {known} in our books"}


def _overdrawn(books: VenueBooks, ours: OurBooks) -> Iterator[Finding]:
    """What the venue knows of has reduced its buying power already: only the rest must fit."""
    if not books.has_account:
        return
    there = set(map(_key, books.orders))
    unsent = [
        held
        for held in ours.reserved
        if held.client_order_id not in there and held.venue_order_id not in there
    ]
    total = sum((held.outstanding for held in unsent), ZERO)
    if total > max(books.buying_power, ZERO):
        yield {"what": f"{total} is reserved, the buying power is {books.buying_power}"}


def _cash(books: VenueBooks, ours: OurBooks) -> Iterator[Finding]:
    if ours.start_cash is None or not books.has_account:
        return
    spent = sum((one.bought_value - one.sold_value + one.fees for one in ours.positions), ZERO)
    if abs(books.cash - (ours.start_cash - spent)) >= CENT:
        yield {"what": f"{books.cash} at the venue, {ours.start_cash - spent} by our fills"}


def _sums(held: Sequence[Mapping[str, Any]]) -> Mapping[str, Decimal]:
    """By symbol: one venue keeps a long and a short of a symbol side by side."""
    sums: dict[str, Decimal] = {}
    for one in held:
        sums[one["symbol"]] = sums.get(one["symbol"], ZERO) + _signed(one)
    return sums


def _signed(position: Mapping[str, Any]) -> Decimal:
    size = Decimal(position["quantity"])
    return -abs(size) if str(position.get("side", "")).lower() == "short" else size


async def _get(url: str) -> Any:
    status, body = await ask("GET", url)
    if status != 200:
        raise Unavailable(f"GET {url} answered {status}")
    return _decode(body)
