"""Busts: what the venue takes back is taken back once, whatever is told in whichever order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import POLICY, SECOND, START, begun, report
from tradesaga.domain import trade_saga
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Fill, OrderStatus, Trade, VenueBust, VenueReport, Void
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Reported, TradeState

Is, S = OrderStatus, SagaStatus


def bust(number: int) -> VenueBust:
    """Of execution `number`, one unit at 99 + number, as `trades.report` makes them."""
    return VenueBust(
        cumulative=Decimal(number),
        quantity=Decimal(1),
        price=Decimal(99 + number),
        reason="venue error",
    )


def said(status: OrderStatus, filled: int, *busted: int, executions: bool = True) -> VenueReport:
    """The venue after `filled` executions, of which it has taken back the `busted`."""
    plain = report(status, filled, executions=executions)
    left = [99 + n for n in range(1, filled + 1) if n not in busted]
    average = Decimal(sum(left)) / len(left) if left else None
    return replace(plain, busts=tuple(map(bust, busted)), average_price=average)


class Books:
    """A trade, and every row that was made for it."""

    def __init__(self, quantity: int = 2) -> None:
        state = begun()
        self.state: TradeState = replace(
            state, order=replace(state.order, quantity=Decimal(quantity))
        )
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []
        self.voids: list[Void] = []

    def hear(self, heard: VenueReport) -> None:
        outcome = trade_saga.advance(self.state, Reported(report=heard), START + SECOND, POLICY)
        self.state = outcome.state
        self.fills += outcome.fills
        self.trades += outcome.trades
        self.voids += outcome.voids
        self.add_up()

    def add_up(self) -> None:
        order, held = self.state.order, self.state.reservation
        assert order.filled_quantity == sum((f.quantity for f in self.fills), ZERO)
        assert order.filled_value == sum((f.quantity * f.price for f in self.fills), ZERO)
        assert ZERO <= order.filled_quantity <= order.quantity
        assert held.consumed == order.filled_value + order.fees
        assert [f.id for f in self.fills] == [t.fill_id for t in self.trades]
        assert len({f.venue_fill_id for f in self.fills}) == len(self.fills)
        assert self.state.voids == tuple(self.voids)


def test_a_bust_of_an_ended_saga_is_a_row_with_the_opposite_sign() -> None:
    books = Books()
    books.hear(said(Is.FILLED, 2))
    ended = books.state.saga
    assert ended.status is S.COMPLETED
    books.hear(said(Is.FILLED, 2, 2))
    assert [(f.quantity, f.price) for f in books.fills] == [
        (Decimal(1), Decimal(100)), (Decimal(1), Decimal(101)), (Decimal(-1), Decimal(101)),
    ]  # fmt: skip
    assert books.trades[-1].correction_reason == "venue error"
    assert books.state.order.filled_quantity == 1
    assert books.state.order.status is Is.FILLED, "it fills no more"
    assert books.state.saga == ended


@pytest.mark.parametrize(
    "again",
    [said(Is.FILLED, 2, 2), said(Is.FILLED, 2), said(Is.FILLED, 2, executions=False),
     said(Is.PARTIALLY_FILLED, 1), said(Is.FILLED, 2, 2, executions=False)],
)  # fmt: skip
def test_neither_the_bust_nor_the_fill_has_a_second_effect(again: VenueReport) -> None:
    books = Books()
    books.hear(said(Is.FILLED, 2))
    books.hear(said(Is.FILLED, 2, 2))
    before = books.state
    books.hear(again)
    assert books.state == before
    assert len(books.fills) == 3


def test_a_bust_that_is_heard_before_its_fill_books_both() -> None:
    books = Books()
    books.hear(said(Is.WORKING, 1, 1))
    assert [f.quantity for f in books.fills] == [1, -1]
    assert books.state.order.filled_quantity == 0
    assert books.state.order.status is not Is.FILLED


def test_what_fills_after_a_bust_is_a_new_fill_at_its_own_price() -> None:
    books = Books(3)
    books.hear(said(Is.PARTIALLY_FILLED, 2))
    books.hear(said(Is.PARTIALLY_FILLED, 2, 1))
    assert books.state.remaining == 1, "what was taken back is not filled anew"
    # left: 101 and 102, average 101.5; no executions told: (101.5 * 2 + 100) - (100 + 101) = 102
    books.hear(said(Is.FILLED, 3, 1, executions=False))
    assert (books.fills[-1].quantity, books.fills[-1].price) == (Decimal(1), Decimal(102))
    assert books.state.order.status is Is.FILLED
    assert books.state.saga.status is S.COMPLETED


def test_when_all_is_taken_back_and_the_order_ends_the_saga_goes_forward() -> None:
    books = Books(3)
    books.hear(said(Is.PARTIALLY_FILLED, 1))
    books.hear(said(Is.PARTIALLY_FILLED, 1, 1))
    running = books.state.saga
    books.hear(said(Is.CANCELED, 1, 1))
    assert (running.status, books.state.saga.status) == (S.RUNNING, S.COMPLETED_PARTIAL)
    assert books.state.reservation.released == books.state.reservation.amount


@given(st.data(), st.integers(1, 5))
def test_any_order_and_repetition_of_fills_and_busts_gives_the_same_books(
    data: st.DataObject, quantity: int
) -> None:
    """The venue's true history is a walk; reports of its points come in any order, some twice."""
    truth: list[VenueReport] = []
    filled, busted = 0, set[int]()
    for _ in range(data.draw(st.integers(1, 8))):
        if filled < quantity and (not filled or data.draw(st.booleans())):
            filled += 1
        elif open_ := sorted(set(range(1, filled + 1)) - busted):
            busted.add(data.draw(st.sampled_from(open_)))
        status = Is.FILLED if filled == quantity else Is.PARTIALLY_FILLED
        told = data.draw(st.booleans())
        truth.append(said(status, filled, *sorted(busted), executions=told))
    books = Books(quantity)
    for heard in data.draw(st.lists(st.sampled_from(truth), max_size=10)):
        books.hear(heard)
    books.hear(said(truth[-1].status, filled, *sorted(busted)))
    order = books.state.order
    assert order.filled_quantity == filled - len(busted)
    left = sum(99 + n for n in range(1, filled + 1) if n not in busted)
    assert abs(order.filled_value - left) < Decimal("1e-20")
    assert {void.cumulative for void in books.voids} == {Decimal(n) for n in busted}
