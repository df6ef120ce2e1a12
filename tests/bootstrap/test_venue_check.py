"""The comparison with the venue: agrees with itself, and names each way of not agreeing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tradesaga.adapters.postgres.tally import OrderFact
from tradesaga.bootstrap.venue_check import VenueBooks, compare
from tradesaga.ports.records import PositionSums

START_CASH = Decimal(1000)
ORDER = OrderFact(
    id=UUID(int=1),
    client_order_id="ts-1",
    venue_order_id="ord_1",
    status="filled",
    symbol="SPY",
    side="buy",
    quantity=Decimal(2),
    filled_quantity=Decimal(2),
    sends=1,
)
NEVER_SENT = replace(
    ORDER,
    id=UUID(int=2),
    client_order_id="ts-2",
    venue_order_id="",
    status="not_placed",
    filled_quantity=Decimal(0),
)
POSITION = PositionSums(
    symbol="SPY",
    quantity=Decimal(2),
    bought_quantity=Decimal(2),
    bought_value=Decimal(740),
    sold_quantity=Decimal(0),
    sold_value=Decimal(0),
    fees=Decimal(1),
)
THEIRS: Mapping[str, Any] = {
    "orderId": "ord_1",
    "clientOrderId": "ts-1",
    "quantity": Decimal(2),
    "filledQuantity": 2,
}
BOOKS = VenueBooks(
    cash=Decimal("259.00"),  # 1000 - 740 - 1
    positions={"SPY": Decimal(2)},
    orders=[THEIRS],
)
STRANGE = {**THEIRS, "orderId": "ord_9", "clientOrderId": None}


def broken(books: VenueBooks, orders: Sequence[OrderFact] = (ORDER, NEVER_SENT)) -> dict[str, int]:
    found = compare(books, orders, [POSITION], start_cash=START_CASH)
    return {one.name[:2]: one.violations for one in found if one.violations}


def test_equal_books_agree() -> None:
    assert broken(BOOKS) == {}


@pytest.mark.parametrize(
    ("books", "expected"),
    [
        (replace(BOOKS, orders=[THEIRS, STRANGE]), {"V1": 1}),
        (replace(BOOKS, orders=[THEIRS, {**THEIRS, "orderId": "ord_2"}]), {"V1": 2}),
        (replace(BOOKS, orders=[{**THEIRS, "quantity": Decimal(3)}]), {"V1": 1}),
        (replace(BOOKS, orders=[]), {"V2": 1}),
        (replace(BOOKS, orders=[{**THEIRS, "filledQuantity": 1}]), {"V2": 1}),
        (replace(BOOKS, positions={"SPY": Decimal(1)}), {"V3": 1}),
        (replace(BOOKS, positions={}), {"V3": 1}),
        (replace(BOOKS, positions={**BOOKS.positions, "QQQ": Decimal(1)}), {"V3": 1}),
        (replace(BOOKS, cash=Decimal("258.99")), {"V4": 1}),
    ],
)
def test_each_way_of_not_agreeing_is_found(books: VenueBooks, expected: dict[str, int]) -> None:
    assert broken(books) == expected


def test_an_order_that_we_hold_for_unplaced_but_was_filled_is_found() -> None:
    there = {**THEIRS, "orderId": "ord_2", "clientOrderId": "ts-2"}
    assert broken(replace(BOOKS, orders=[THEIRS, there])) == {"V2": 1}
