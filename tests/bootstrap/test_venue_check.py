"""The comparison with the venue: agrees with itself, and names each way of not agreeing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tradesaga.adapters.postgres.tally import LeftOrder, OrderFact, Reserved
from tradesaga.bootstrap import venue_check
from tradesaga.bootstrap.venue_check import OurBooks, VenueBooks, answers, differences, not_asked
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
    buying_power=Decimal(259),
    positions={"SPY": Decimal(2)},
    orders=[THEIRS],
)
OURS = OurBooks(orders=[ORDER], positions=[POSITION], reserved=[], start_cash=START_CASH)
STRANGE = {**THEIRS, "orderId": "ord_9", "clientOrderId": None}


def broken(books: VenueBooks, orders: Sequence[OrderFact] = (ORDER, NEVER_SENT)) -> dict[str, int]:
    ours = replace(OURS, orders=orders)
    found = answers(differences(books, ours), books, ours)
    return {one.name[:2]: one.violations for one in found if one.violations}


def test_equal_books_agree() -> None:
    assert broken(BOOKS) == {}


@pytest.mark.parametrize(
    ("books", "expected"),
    [
        (replace(BOOKS, orders=[THEIRS, STRANGE]), {"I2": 1}),
        (replace(BOOKS, orders=[THEIRS, {**THEIRS, "orderId": "ord_2"}]), {"I2": 2}),
        (replace(BOOKS, orders=[{**THEIRS, "quantity": Decimal(3)}]), {"I2": 1}),
        (replace(BOOKS, orders=[]), {"I5": 1}),
        (replace(BOOKS, orders=[{**THEIRS, "filledQuantity": 1}]), {"I5": 1}),
        (replace(BOOKS, positions={"SPY": Decimal(1)}), {"I4": 1}),
        (replace(BOOKS, positions={}), {"I4": 1}),
        (replace(BOOKS, positions={**BOOKS.positions, "QQQ": Decimal(1)}), {"I4": 1}),
        (replace(BOOKS, cash=Decimal("258.99")), {"I7": 1}),
    ],
)
def test_each_way_of_not_agreeing_is_found(books: VenueBooks, expected: dict[str, int]) -> None:
    assert broken(books) == expected


OWN: Mapping[str, Any] = {
    **STRANGE, "symbol": "QQQ", "side": "sell", "quantity": Decimal(1), "filledQuantity": 1
}  # fmt: skip
LEFT = LeftOrder(venue_order_id="ord_9", decision_id="dec_1", is_ours_too=False)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ([], {"I2": 1, "I4": 1}),
        ([LEFT], {}),
        ([replace(LEFT, venue_order_id="ord_8")], {"I2": 1, "I4": 1}),
        ([replace(LEFT, is_ours_too=True)], {"I2": 1}),
        ([LEFT, replace(LEFT, venue_order_id="ord_8")], {"I2": 1}),
    ],
)
def test_an_order_that_the_engine_was_left_to_make_is_known_and_moves_its_position(
    left: Sequence[LeftOrder], expected: dict[str, int]
) -> None:
    held = {**BOOKS.positions, "QQQ": Decimal(-1)}
    books = replace(BOOKS, orders=[THEIRS, OWN], positions=held)
    found = differences(books, replace(OURS, orders=[ORDER, NEVER_SENT], left=left))
    assert {name[:2]: len(rows) for name, rows in found.items() if rows} == expected


def test_an_order_that_we_hold_for_unplaced_but_was_filled_is_found() -> None:
    there = {**THEIRS, "orderId": "ord_2", "clientOrderId": "ts-2"}
    assert broken(replace(BOOKS, orders=[THEIRS, there])) == {"I5": 1}


HELD = Reserved(client_order_id="ts-9", venue_order_id="", outstanding=Decimal(260))


@pytest.mark.parametrize(
    ("held", "violations"),
    [
        (HELD, 1),
        (replace(HELD, outstanding=Decimal(259)), 0),
        (replace(HELD, client_order_id="ts-1"), 0),  # the venue has it: its power is less already
        (replace(HELD, venue_order_id="ord_2"), 0),
    ],
)
def test_reservations_that_the_venue_does_not_know_of_fit_its_buying_power(
    held: Reserved, violations: int
) -> None:
    books = replace(BOOKS, orders=[THEIRS, {**STRANGE, "orderId": "ord_2"}])
    assert len(differences(books, replace(OURS, reserved=[held]))["I6_buying_power"]) == violations


def test_a_venue_that_keeps_no_client_ids_is_compared_by_its_own() -> None:
    anonymous = {**THEIRS, "clientOrderId": None}
    assert broken(replace(BOOKS, orders=[anonymous])) == {}
    assert broken(replace(BOOKS, orders=[{**anonymous, "orderId": "ord_3"}])) == {"I2": 1, "I5": 1}


def test_what_is_not_known_or_not_asked_is_said() -> None:
    ours = replace(OURS, start_cash=None)
    [cash] = [one for one in answers(differences(BOOKS, ours), BOOKS, ours) if one.skipped]
    assert cash.name == "I7_venue_cash"
    assert {one.skipped for one in not_asked("away")} == {"away"}
    assert [one.name for one in not_asked("away")] == sorted(differences(BOOKS, OURS))


async def test_a_difference_counts_only_if_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue_check, "SECONDS_BETWEEN_LOOKS", 0)
    looks = 0

    async def read(_url: str) -> VenueBooks:
        nonlocal looks
        looks += 1
        held = {"SPY": Decimal(1 if looks == 1 else 2), "QQQ": Decimal(1)}
        return replace(BOOKS, positions=held)

    async def ours() -> OurBooks:
        return OURS

    monkeypatch.setattr(venue_check, "read_books", read)
    found = {one.name: one for one in await venue_check.compare_until_settled("x", ours)}
    assert looks == venue_check.LOOKS
    assert [row["symbol"] for row in found["I4_venue_positions"].sample] == ["QQQ"]
    assert found["I4_venue_positions"].looked_at == 2
