"""The risk gate: each rule at its limit, one step inside and one outside; exits; missing inputs.

The control case buys 10 at 100 = 1,000 with an equity of 10,000: every limit in `LIMITS` is met
exactly or with room, and nothing is denied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.limits import LIMITS, SESSION
from tests.domain.trades import SECOND, START
from tradesaga.domain import risk
from tradesaga.domain.decisions import Action
from tradesaga.domain.market import Calendar, Quote
from tradesaga.domain.risk import Book, Candidate, Situation

D = Decimal
NAN = D("NaN")
MINUTE = timedelta(minutes=1)
NOW = START  # 2026-11-23 15:00 UTC, a Monday, 10:00 in New York

BOOK = Book(
    equity=D(10_000),
    buying_power=D(8_000),
    reserved=D(0),
    positions={},
    working={},
    prices={"ACME": D(100), "BOLT": D(50), "CORP": D(10), "DUNE": D(10)},
    active_orders=0,
    opening_symbols=frozenset(),
    locked_symbols=frozenset(),
    orders_last_minute=0,
    orders_last_day=0,
)
QUOTE = Quote(symbol="ACME", bid=D("99.9"), ask=D(100), last=D(100), at=NOW)
CANDIDATE = Candidate(
    symbol="ACME",
    action=Action.BUY,
    quantity=D(10),
    confidence=D("0.8"),
    reference_price=D(100),
    as_of=NOW,
    quote=QUOTE,
)
CONTROL = Situation(
    candidate=CANDIDATE,
    book=BOOK,
    limits=LIMITS,
    calendar=Calendar(sessions=(SESSION,), first=SESSION.day, last=SESSION.day),
    hours_only=True,
    closed_by_event=False,
    entries_allowed=True,
    entries_refused_because="",
    tradable=frozenset({"ACME"}),
    cadence=5 * SECOND,
    now=NOW,
)
Change = Callable[[Situation], Situation]


def candidate(**changes: object) -> Change:
    return lambda s: replace(s, candidate=replace(s.candidate, **changes))  # type: ignore[arg-type]  # checked by replace


def book(**changes: object) -> Change:
    return lambda s: replace(s, book=replace(s.book, **changes))  # type: ignore[arg-type]  # checked by replace


def limits(**changes: object) -> Change:
    return lambda s: replace(s, limits=replace(s.limits, **changes))  # type: ignore[arg-type]  # checked by replace


def case(**changes: object) -> Change:
    return lambda s: replace(s, **changes)  # type: ignore[arg-type]  # checked by replace


def quoted(age: timedelta) -> Change:
    return candidate(quote=replace(QUOTE, at=NOW - age))


def asked(price: str) -> Change:
    return candidate(quote=replace(QUOTE, ask=D(price)))


def at(clock: str) -> Change:
    now = datetime.fromisoformat(f"2026-11-23T{clock}Z")
    quote = replace(QUOTE, at=now)

    def change(s: Situation) -> Situation:
        return replace(s, now=now, candidate=replace(s.candidate, as_of=now, quote=quote))

    return change


def codes(*changes: Change, of: Situation = CONTROL) -> set[str]:
    for change in changes:
        of = change(of)
    return {denial.code for denial in risk.denials(of)}


HELD = book(positions={"ACME": D(10)})
SELL = candidate(action=Action.SELL)

# code, allowed at the limit, one step inside it, one step outside it
EDGES: list[tuple[str, Change, Change, Change]] = [
    # 10 % of 10,000 = 1,000; 10 x 100 = 1,000
    (
        "ORDER_NOTIONAL",
        candidate(quantity=D(10)),
        candidate(quantity=D("9.99")),
        candidate(quantity=D("10.01")),
    ),
    # 20 % of 10,000 = 2,000; (10 held + 10) x 100 = 2,000
    (
        "POSITION_LIMIT",
        book(positions={"ACME": D(10)}),
        book(positions={"ACME": D(9)}),
        book(positions={"ACME": D(11)}),
    ),
    # 50 % of 10,000 = 5,000; 80 x 50 + 1,000 = 5,000
    (
        "EXPOSURE_LIMIT",
        book(positions={"BOLT": D(80)}),
        book(positions={"BOLT": D(79)}),
        book(positions={"BOLT": D(81)}),
    ),
    # three at most, ACME among them
    (
        "POSITION_COUNT",
        book(positions={"BOLT": D(1), "CORP": D(1)}),
        book(positions={"BOLT": D(1), "CORP": D(0)}),
        book(positions={"BOLT": D(1), "CORP": D(1)}, working={"DUNE": D(1)}),
    ),
    (
        "DECISION_EXPIRED",
        candidate(as_of=NOW - 60 * SECOND),
        candidate(as_of=NOW - 59 * SECOND),
        candidate(as_of=NOW - 61 * SECOND),
    ),
    # 10 s of age and 5 s of cadence
    ("QUOTE_STALE", quoted(15 * SECOND), quoted(14 * SECOND), quoted(16 * SECOND)),
    # 1 % of 100; the quantity makes room for the notional
    (
        "PRICE_DRIFT",
        lambda s: candidate(quantity=D(9))(asked("101")(s)),
        lambda s: candidate(quantity=D(9))(asked("99.01")(s)),
        lambda s: candidate(quantity=D(9))(asked("101.01")(s)),
    ),
    (
        "LOW_CONFIDENCE",
        candidate(confidence=D("0.6")),
        candidate(confidence=D(1)),
        candidate(confidence=D("0.59")),
    ),
    (
        "ORDER_RATE",
        book(orders_last_minute=4),
        book(orders_last_minute=3),
        book(orders_last_minute=5),
    ),
    ("ORDER_RATE", book(orders_last_day=19), book(orders_last_day=18), book(orders_last_day=20)),
    # the last ten places are kept for exits
    ("ACTIVE_ORDERS", book(active_orders=19), book(active_orders=18), book(active_orders=20)),
    # needs 1,010; of a buying power of 2,000 5 % are kept: 1,900 less what is reserved
    (
        "INSUFFICIENT_FUNDS",
        book(buying_power=D(2_000), reserved=D(890)),
        book(buying_power=D(2_000), reserved=D(889)),
        book(buying_power=D(2_000), reserved=D(891)),
    ),
    # closes at 21:00, the last quarter of an hour is for exits
    ("ENTRY_CUTOFF", at("20:44:59"), at("20:44"), at("20:45")),
    ("MARKET_CLOSED", at("14:30"), at("14:31"), at("14:29:59")),
]
# code, what is denied, what is allowed
PLAIN: list[tuple[str, Change, Change]] = [
    ("SYMBOL_NOT_TRADABLE", case(tradable=frozenset({"BOLT"})), case()),
    ("MARKET_CLOSED", case(closed_by_event=True), case()),
    ("MARKET_CLOSED", at("21:00"), lambda s: replace(at("22:00")(s), hours_only=False)),
    ("ORDER_INVALID", candidate(quantity=D(0)), candidate(quantity=D("0.000000001"))),
    ("ORDER_INVALID", candidate(quantity=D(-1)), case()),
    ("ORDER_INVALID", candidate(quantity=D("1.0000000001")), candidate(quantity=D("1.000000001"))),
    ("ORDER_INVALID", candidate(quantity=D("Infinity")), case()),
    ("ORDER_INVALID", candidate(quote=None, reference_price=None), case()),
    ("ACCOUNT_BLOCKED", book(blocked=True), case()),
    ("WASH_TRADE", book(working={"ACME": D(-1)}), book(working={"ACME": D(1)})),
    ("LADDER", case(entries_allowed=False, entries_refused_because="paused"), case()),
    ("SHORT_NOT_ALLOWED", SELL, lambda s: limits(allow_short=True)(SELL(s))),
    ("QUOTE_STALE", candidate(quote=None), case()),
    ("PRICE_DRIFT", candidate(reference_price=None), case()),
    ("EXPOSURE_LIMIT", book(positions={"ELSE": D(1)}), book(positions={"ELSE": D(0)})),
    ("DUPLICATE_ORDER", book(opening_symbols=frozenset({"ACME"})), case()),
    ("SYMBOL_LOCKED", book(locked_symbols=frozenset({"ACME"})), case()),
    ("LOW_CONFIDENCE", candidate(confidence=None), case()),
    ("LOW_CONFIDENCE", candidate(confidence=D("1.01")), case()),
    (
        "EXIT_TOO_LARGE",
        lambda s: candidate(quantity=D(11))(SELL(HELD(s))),
        lambda s: SELL(HELD(s)),
    ),
    (
        "EXIT_TOO_LARGE",  # 5 are being sold already
        lambda s: SELL(book(positions={"ACME": D(10)}, working={"ACME": D(-5)})(s)),
        lambda s: candidate(quantity=D(5))(
            SELL(book(positions={"ACME": D(10)}, working={"ACME": D(-5)})(s))
        ),
    ),
]


def test_the_control_case_is_allowed() -> None:
    assert codes() == set()
    assert risk.is_opening(CONTROL)
    assert risk.cost_to_reserve(CONTROL) == D(1_010)  # 1,000 and 1 %


@pytest.mark.parametrize(("code", "limit", "inside", "outside"), EDGES)
def test_a_limit_is_met_exactly(code: str, limit: Change, inside: Change, outside: Change) -> None:
    assert codes(limit) == set()
    assert codes(inside) == set()
    assert code in codes(outside)


@pytest.mark.parametrize(("code", "denied", "allowed"), PLAIN)
def test_a_rule_denies_and_lets_pass(code: str, denied: Change, allowed: Change) -> None:
    assert code in codes(denied)
    assert codes(allowed) == set()


def test_every_code_is_exercised_above() -> None:
    assert {code for code, *_ in (*EDGES, *PLAIN)} == set(risk.codes())
    assert len(list(risk.codes())) == len(set(risk.codes()))


NANS: list[tuple[str, Change]] = [
    ("ORDER_INVALID", candidate(quantity=NAN)),
    ("ORDER_INVALID", candidate(quote=replace(QUOTE, ask=NAN))),
    ("PRICE_DRIFT", candidate(reference_price=NAN)),
    ("LOW_CONFIDENCE", candidate(confidence=NAN)),
    ("ORDER_NOTIONAL", book(equity=NAN)),
    ("POSITION_LIMIT", book(equity=NAN)),
    ("EXPOSURE_LIMIT", book(equity=NAN)),
    ("INSUFFICIENT_FUNDS", book(buying_power=NAN)),
    ("INSUFFICIENT_FUNDS", book(reserved=NAN)),
    ("EXPOSURE_LIMIT", book(positions={"BOLT": D(1)}, prices={"BOLT": NAN})),
    ("ORDER_INVALID", lambda s: candidate(quantity=NAN)(SELL(HELD(s)))),
    ("ORDER_INVALID", lambda s: candidate(quantity=NAN)(book(working={"ACME": D(1)})(s))),
]


@pytest.mark.parametrize(("code", "change"), NANS)
def test_what_is_not_a_number_is_denied(code: str, change: Change) -> None:
    assert code in codes(change)


numbers = st.one_of(
    st.none(),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from([D("sNaN"), D("-0"), D("1e308"), D("1e-308"), D(-1), D(10)]),
)


@given(
    numbers, numbers, numbers, numbers, st.sampled_from([Action.BUY, Action.SELL]), st.booleans()
)
def test_no_number_from_outside_breaks_the_gate(
    quantity: Decimal | None,
    confidence: Decimal | None,
    reference: Decimal | None,
    ask: Decimal | None,
    action: Action,
    held: bool,
) -> None:
    """Whatever a model says is allowed or denied; nothing is raised, nothing odd passes."""
    change = candidate(
        quantity=quantity if quantity is not None else D(10),
        confidence=confidence,
        reference_price=reference,
        quote=replace(QUOTE, ask=ask, bid=ask),
        action=action,
    )
    situation = change(HELD(CONTROL)) if held else change(CONTROL)
    if not risk.denials(situation):
        allowed = situation.candidate.quantity
        assert D(0) < allowed <= D(10)
        assert situation.notional.is_finite()
    risk.is_opening(situation)


def test_an_exit_bypasses_the_limits_of_entries() -> None:
    bad = (
        HELD,
        SELL,
        candidate(confidence=None, reference_price=D(50), as_of=NOW - 600 * SECOND),
        book(
            positions={"ACME": D(10), "ELSE": D(5)},
            equity=D(0),
            buying_power=D(0),
            orders_last_minute=99,
            orders_last_day=99,
            active_orders=29,
            locked_symbols=frozenset({"ACME"}),
        ),
        case(entries_allowed=False, tradable=frozenset[str]()),
    )
    assert codes(*bad) == set()


def test_an_exit_reserves_nothing_and_opens_nothing() -> None:
    exit_ = SELL(HELD(CONTROL))
    assert risk.cost_to_reserve(exit_) == D(0)
    assert not risk.is_opening(exit_)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (case(closed_by_event=True), "MARKET_CLOSED"),
        (book(positions={"ACME": D(10)}, blocked=True), "ACCOUNT_BLOCKED"),
        (book(positions={"ACME": D(10)}, active_orders=30), "ACTIVE_ORDERS"),
        (book(positions={"ACME": D(10)}, working={"ACME": D(1)}), "WASH_TRADE"),
    ],
)
def test_an_exit_meets_the_rules_that_are_for_all(change: Change, code: str) -> None:
    assert codes(HELD, SELL, change) == {code}


def test_a_short_is_covered_by_a_buy_up_to_what_is_owed() -> None:
    short = book(positions={"ACME": D(-10)})
    assert codes(short, case(entries_allowed=False)) == set()
    assert codes(short, candidate(quantity=D(11))) == {"EXIT_TOO_LARGE"}


def test_all_denials_are_told_with_their_figures() -> None:
    denied = risk.denials(candidate(quantity=D(11), confidence=D("0.1"))(CONTROL))
    assert {d.code: d.message for d in denied} == {
        "ORDER_NOTIONAL": "order of 1100.00 exceeds 1000.00",
        "LOW_CONFIDENCE": "confidence 0.1 is not between 0.6 and 1",
    }
