"""A basket is judged on the portfolio that all of it makes, in whatever order it is sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.domain.risk_cases import BOOK, CANDIDATE, CONTROL
from tradesaga.domain.decisions import Action
from tradesaga.domain.market import Quote
from tradesaga.domain.risk import Book, Situation, basket_denials

D = Decimal
PRICES = {"ACME": D(100), "BOLT": D(50), "CORP": D(10), "DUNE": D(10)}


def leg(symbol: str, action: Action, quantity: int, book: Book = BOOK) -> Situation:
    price = PRICES[symbol]
    candidate = replace(
        CANDIDATE,
        symbol=symbol,
        action=action,
        quantity=D(quantity),
        reference_price=price,
        quote=Quote(symbol=symbol, bid=price, ask=price, last=price, at=CONTROL.now),
        is_paced=True,
    )
    return replace(CONTROL, candidate=candidate, book=book)


def codes(*basket: Situation) -> set[str]:
    return {denial.code for denial in basket_denials(basket)}


def test_legs_that_are_well_alone_break_a_limit_together() -> None:
    legs = [leg("ACME", Action.BUY, 10), leg("BOLT", Action.BUY, 20), leg("CORP", Action.BUY, 100)]
    assert all(codes(one) == set() for one in legs)
    assert codes(*legs) == set()  # three positions, 3,000 of 5,000
    assert codes(*legs, leg("DUNE", Action.BUY, 10)) == {"POSITION_COUNT"}


def test_a_sell_of_the_basket_makes_room_and_brings_funds() -> None:
    held = {"ACME": D(20), "BOLT": D(20), "CORP": D(100)}
    book = replace(BOOK, positions=held, buying_power=D(100))
    buy = leg("DUNE", Action.BUY, 100, book)
    assert codes(buy) == {"POSITION_COUNT", "INSUFFICIENT_FUNDS"}
    assert codes(leg("ACME", Action.SELL, 20, book), buy) == set()


def test_the_funds_are_counted_once_for_all() -> None:
    book = replace(BOOK, buying_power=D(1_500))
    one, other = leg("ACME", Action.BUY, 10, book), leg("BOLT", Action.BUY, 10, book)
    assert codes(one) == codes(other) == set()
    assert codes(one, other) == {"INSUFFICIENT_FUNDS"}


def test_nothing_is_allowed_and_sells_alone_are() -> None:
    assert codes() == set()
    book = replace(BOOK, positions={"ACME": D(500)})
    assert codes(leg("ACME", Action.SELL, 10, book)) == set()
