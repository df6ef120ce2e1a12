"""Booking: whatever way the reports of one truth come in, each fill is booked once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import PRICE, SECOND, START, VENUE_ID, begun, report
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import (
    Fill,
    Order,
    OrderStatus,
    ReservationState,
    VenueFill,
    VenueReport,
    new_fills,
    trade_of,
    with_report,
)

ORDER = begun().order
HELD = begun().reservation
S = OrderStatus


@dataclass
class Book:
    """An order and the fills booked on it."""

    order: Order
    fills: list[Fill]

    def hear(self, said: VenueReport) -> None:
        found = new_fills(self.order, said, START)
        self.order = with_report(self.order, said, found)
        self.fills.extend(found)


def booked(*said: VenueReport, order: Order = ORDER) -> Book:
    book = Book(order, [])
    for each in said:
        book.hear(each)
    return book


@st.composite
def truths(draw: st.DrawFn) -> tuple[VenueFill, ...]:
    """Executions of one order, as the venue has them; prices in quarters so that sums are exact."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    done = ZERO
    fills = []
    for number, size in enumerate(sizes):
        done += size
        price = Decimal(draw(st.integers(1, 40))) / 4
        at = START + number * SECOND
        fills.append(VenueFill(cumulative=done, quantity=Decimal(size), price=price, at=at))
    return tuple(fills)


def told(truth: tuple[VenueFill, ...], upto: int, heard: frozenset[int]) -> VenueReport:
    """The venue after its first `upto` executions, listing those in `heard`."""
    done = truth[:upto]
    filled = sum((fill.quantity for fill in done), ZERO)
    value = sum((fill.quantity * fill.price for fill in done), ZERO)
    return VenueReport(
        venue_order_id=VENUE_ID,
        status=S.PARTIALLY_FILLED if done else S.WORKING,
        source="event",
        at=START,
        filled_quantity=filled,
        average_price=value / filled if filled else None,
        fills=tuple(fill for number, fill in enumerate(done) if number in heard),
    )


@given(st.data(), truths())
def test_any_order_repetition_and_subset_of_reports_books_each_fill_once(
    data: st.DataObject, truth: tuple[VenueFill, ...]
) -> None:
    whole = truth[-1].cumulative
    book = Book(replace(ORDER, quantity=whole), [])
    points = st.tuples(st.integers(0, len(truth)), st.frozensets(st.integers(0, len(truth) - 1)))
    reached = 0
    for upto, heard in data.draw(st.lists(points, max_size=8)):
        before = book.order.filled_quantity
        book.hear(told(truth, upto, heard))
        reached = max(reached, upto)
        assert book.order.filled_quantity >= before, "cumulative never falls"
    expected = told(truth, reached, frozenset())
    assert book.order.filled_quantity == expected.filled_quantity
    assert sum((fill.quantity for fill in book.fills), ZERO) == expected.filled_quantity
    assert len({fill.id for fill in book.fills}) == len(book.fills)
    value = sum((f.quantity * f.price for f in truth[:reached]), ZERO)
    # exact but for the venue's own rounding of its average to 28 digits
    assert abs(book.order.filled_value - value) < Decimal("1e-20")
    assert (book.order.status is S.FILLED) == (reached == len(truth))


@given(truths())
def test_every_report_in_turn_books_every_execution_as_it_was(truth: tuple[VenueFill, ...]) -> None:
    everything = frozenset(range(len(truth)))
    book = booked(
        *(told(truth, upto, everything) for upto in range(len(truth) + 1)),
        order=replace(ORDER, quantity=truth[-1].cumulative),
    )
    got = [(fill.quantity, fill.price, fill.filled_at) for fill in book.fills]
    assert got == [(fill.quantity, fill.price, fill.at) for fill in truth]


def test_the_price_of_a_skipped_execution_makes_the_total_right() -> None:
    # 1 at 100 and 1 at 101: average 100.5; the report lists none, so one fill of 2 at 100.5
    book = booked(report(S.FILLED, 2, executions=False))
    assert [(f.quantity, f.price) for f in book.fills] == [(Decimal(2), Decimal("100.5"))]
    # the first is known, the second is not listed: (100.5 * 2 - 100) / 1 = 101
    book = booked(report(S.PARTIALLY_FILLED, 1), report(S.FILLED, 2, executions=False))
    assert [f.quantity for f in book.fills] == [1, 1]
    assert [f.price for f in book.fills] == [PRICE, PRICE + 1]
    assert book.order.filled_value == Decimal(201)
    assert book.order.average_price == Decimal("100.5")


def test_without_any_price_the_reference_price_stands_in() -> None:
    said = replace(report(S.FILLED, 2, executions=False), average_price=None)
    assert [(f.quantity, f.price) for f in booked(said).fills] == [(Decimal(2), PRICE)]


def test_the_remaining_quantity_is_believed_before_the_filled_one() -> None:
    # an event whose filled quantity is its own fill's: 1, with 0 remaining of 2, so 2 are filled
    said = replace(report(S.FILLED, 1), remaining_quantity=ZERO, average_price=None)
    book = booked(said)
    assert book.order.filled_quantity == 2
    assert book.order.status is S.FILLED


def test_a_fill_has_one_identity_whoever_tells_of_it() -> None:
    one = new_fills(ORDER, report(S.FILLED, 2, source="reply"), START)
    other = new_fills(ORDER, report(S.FILLED, 2, source="event", at=START + SECOND), START)
    assert [fill.id for fill in one] == [fill.id for fill in other]
    assert [fill.venue_fill_id for fill in one] == ["v-1:1", "v-1:2"]


def test_two_decimals_of_one_value_make_one_identity() -> None:
    fill = VenueFill(cumulative=Decimal("1.50"), quantity=Decimal("1.5"), price=PRICE, at=START)
    said = replace(report(S.PARTIALLY_FILLED), filled_quantity=Decimal("1.5"), fills=(fill,))
    (found,) = new_fills(ORDER, said, START)
    assert found.venue_fill_id == "v-1:1.5"


def test_fees_add_up() -> None:
    fill = VenueFill(
        cumulative=Decimal(1), quantity=Decimal(1), price=PRICE, at=START, fee=Decimal("0.25")
    )
    said = replace(report(S.PARTIALLY_FILLED, 1), fills=(fill,))
    book = booked(said, said)
    assert book.order.fees == Decimal("0.25")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([report(S.WORKING)], S.WORKING),
        ([report(S.PARTIALLY_FILLED, 1)], S.PARTIALLY_FILLED),
        ([report(S.FILLED, 2)], S.FILLED),
        ([report(S.REJECTED)], S.REJECTED),
        ([report(S.EXPIRED, 1)], S.EXPIRED),
        ([report(S.CANCELED, 1)], S.CANCELED),
        # a fill beats a cancel; the venue's late word is true
        ([report(S.CANCELED), report(S.FILLED, 2)], S.FILLED),
        # an old report opens nothing again and takes nothing back
        ([report(S.CANCELED), report(S.WORKING)], S.CANCELED),
        ([report(S.FILLED, 2), report(S.PARTIALLY_FILLED, 1)], S.FILLED),
        ([report(S.FILLED, 2), report(S.CANCELED, 1)], S.FILLED),
        # "filled" without the quantity is no end: what is filled is what was counted
        ([report(S.FILLED, 1)], S.PARTIALLY_FILLED),
        ([report(S.FILLED, 0)], S.WORKING),
    ],
)
def test_the_status_after_reports(said: list[VenueReport], expected: OrderStatus) -> None:
    assert booked(*said).order.status is expected


def test_a_fill_after_a_cancel_is_booked_though_the_order_stays_cancelled() -> None:
    book = booked(report(S.CANCELED), report(S.CANCELED, 1))
    assert (book.order.status, book.order.filled_quantity) == (S.CANCELED, Decimal(1))


def test_an_overfill_is_booked_as_it_is() -> None:
    book = booked(report(S.FILLED, 3))
    assert (book.order.status, book.order.filled_quantity) == (S.FILLED, Decimal(3))
    assert book.order.remaining == Decimal(-1)


def test_an_end_keeps_its_evidence_and_its_time() -> None:
    order = booked(replace(report(S.REJECTED), reason="no money")).order
    assert order.evidence == f"event v-1 rejected at {START.isoformat()}: no money"
    assert order.ended_at == START
    working = booked(report(S.WORKING)).order
    assert (working.evidence, working.ended_at) == (None, None)
    assert (working.venue_order_id, working.acked_at) == (VENUE_ID, START)


def test_a_trade_is_a_function_of_its_fill() -> None:
    (fill, _) = new_fills(ORDER, report(S.FILLED, 2), START)
    trade = trade_of(ORDER, fill)
    assert trade == trade_of(ORDER, fill)
    assert (trade.fill_id, trade.quantity, trade.price) == (fill.id, Decimal(1), PRICE)
    assert trade_of(ORDER, fill, correction_reason="bust").correction_reason == "bust"


def test_what_a_reservation_still_holds() -> None:
    assert HELD.outstanding == Decimal(202)
    assert replace(HELD, consumed=Decimal(150)).outstanding == Decimal(52)  # 202 - 150
    assert replace(HELD, consumed=Decimal(300)).outstanding == ZERO, "never less than nothing"
    assert replace(HELD, state=ReservationState.CLOSED).outstanding == ZERO


def test_no_average_without_a_fill() -> None:
    assert ORDER.average_price is None
    assert ORDER.remaining == Decimal(2)
