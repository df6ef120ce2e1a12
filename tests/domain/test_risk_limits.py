"""Each rule at its limit, one step inside it and one step outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.domain.risk_cases import (
    CONTROL,
    HELD,
    MINUTE,
    NOW,
    SELL,
    WIDE,
    Change,
    D,
    asked,
    at,
    book,
    both,
    candidate,
    case,
    codes,
    limits,
    pace,
    quoted,
    sectors,
    seen,
)
from tests.domain.trades import SECOND
from tradesaga.domain import risk
from tradesaga.domain.risk import Approval, Margin

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
    ("ORDER_RATE", pace(last_minute=4), pace(last_minute=3), pace(last_minute=5)),
    ("ORDER_RATE", pace(last_day=19), pace(last_day=18), pace(last_day=20)),
    (
        "ORDER_RATE",
        pace(strategy_last_minute=4),
        pace(strategy_last_minute=3),
        pace(strategy_last_minute=5),
    ),
    (
        "ORDER_RATE",
        pace(strategy_last_day=19),
        pace(strategy_last_day=18),
        pace(strategy_last_day=20),
    ),
    (
        "ORDER_RATE",
        pace(entries_in_cycle=19),
        pace(entries_in_cycle=18),
        pace(entries_in_cycle=20),
    ),
    (
        "ORDER_RATE",
        pace(entries_last_hour=999),
        pace(entries_last_hour=998),
        pace(entries_last_hour=1000),
    ),
    # the absolute amount of one order: 10 x 100
    (
        "ORDER_NOTIONAL",
        limits(order_notional_max=D(1_000)),
        limits(order_notional_max=D("1000.01")),
        limits(order_notional_max=D("999.99")),
    ),
    # 50 % of 10,000 as above, now as a proportion
    ("LEVERAGE_LIMIT", limits(leverage_max=D("0.1")), case(), limits(leverage_max=D("0.09"))),
    # 20 % of 10,000 = 2,000; 20 x 50 + 1,000 = 2,000
    ("SECTOR_LIMIT", sectors(20), sectors(19), sectors(21)),
    # 100 % of 10,000 in one cycle, 1,000 of it now
    ("BASKET_LIMIT", pace(basket=D(9_000)), pace(basket=D(8_999)), pace(basket=D(9_001))),
    # the ask of 100 against the middle of 99.9 and 100: 0.05003 % off
    (
        "PRICE_COLLAR",
        limits(price_collar_percent=D("0.05") * 10_000 / 9_995),
        limits(price_collar_percent=D("0.06")),
        limits(price_collar_percent=D("0.05")),
    ),
    # 3 % of 10,000: at the limit entries end
    (
        "DAILY_LOSS",
        both(limits(daily_loss_percent=D("0.01")), seen(equity_at_open=D("10000.99"))),
        seen(equity_at_open=D(9_000)),
        both(limits(daily_loss_percent=D("0.01")), seen(equity_at_open=D("10001.01"))),
    ),
    (
        "DRAWDOWN",
        both(limits(drawdown_percent=D("0.01")), seen(equity_peak=D("10000.99"))),
        seen(equity_peak=D(9_000)),
        both(limits(drawdown_percent=D("0.01")), seen(equity_peak=D("10001.01"))),
    ),
    (
        "DECISION_FAILURES",
        seen(decision_failures=2),
        seen(decision_failures=1),
        seen(decision_failures=3),
    ),
    (
        "CRASH_LOOP",
        seen(restarts_last_day=9),
        seen(restarts_last_day=8),
        seen(restarts_last_day=10),
    ),
    (
        "DECISION_BUDGET",
        seen(decisions_spent=D(5)),
        seen(decisions_spent=D("4.99")),
        seen(decisions_spent=D("5.01")),
    ),
    (
        "CLOCK_SKEW",
        seen(clock_skew=-10 * SECOND),
        seen(clock_skew=9 * SECOND),
        seen(clock_skew=-11 * SECOND),
    ),
    # four entries of one side in a day, this one included
    ("REPEATED_EXECUTION", pace(repeats=3), pace(repeats=2), pace(repeats=4)),
    # a tenth of 1,000 for the order
    (
        "CANARY_SIZE",
        both(seen(is_canary=True), candidate(quantity=D(1))),
        both(seen(is_canary=True), candidate(quantity=D("0.9"))),
        both(seen(is_canary=True), candidate(quantity=D("1.1"))),
    ),
    # a tenth of 2,000 for the position: 1 held, 1 more
    (
        "CANARY_SIZE",
        both(seen(is_canary=True), candidate(quantity=D(1)), book(positions={"ACME": D(1)})),
        both(seen(is_canary=True), candidate(quantity=D(1)), book(positions={"ACME": D("0.9")})),
        both(seen(is_canary=True), candidate(quantity=D(1)), book(positions={"ACME": D("1.1")})),
    ),
    # 60 s since an equal order
    (
        "DUPLICATE_ORDER",
        both(limits(duplicate_window=60 * SECOND), pace(same_at=NOW - 60 * SECOND)),
        both(limits(duplicate_window=60 * SECOND), pace(same_at=NOW - 61 * SECOND)),
        both(limits(duplicate_window=60 * SECOND), pace(same_at=NOW - 59 * SECOND)),
    ),
    (
        "COOLDOWN",
        both(limits(reentry_delay=5 * MINUTE), pace(exit_at=NOW - 5 * MINUTE)),
        both(limits(reentry_delay=5 * MINUTE), pace(exit_at=NOW - 6 * MINUTE)),
        both(limits(reentry_delay=5 * MINUTE), pace(exit_at=NOW - 4 * MINUTE)),
    ),
    (
        "COOLDOWN",
        both(
            limits(reentry_delay_after_stop=30 * MINUTE),
            pace(exit_at=NOW - 30 * MINUTE, stop_at=NOW - 30 * MINUTE),
        ),
        both(
            limits(reentry_delay_after_stop=30 * MINUTE),
            pace(exit_at=NOW - 10 * MINUTE, stop_at=NOW - 40 * MINUTE),  # left again, by no stop
        ),
        both(
            limits(reentry_delay_after_stop=30 * MINUTE),
            pace(exit_at=NOW - 29 * MINUTE, stop_at=NOW - 29 * MINUTE),
        ),
    ),
    # the fourth stop of the day: no entries for four hours
    (
        "COOLDOWN",
        pace(stops_last_day=4, last_stop_at=NOW - 240 * MINUTE),
        pace(stops_last_day=3, last_stop_at=NOW - MINUTE),
        pace(stops_last_day=4, last_stop_at=NOW - 239 * MINUTE),
    ),
    # maintenance of 25 % on 1,000 + 39,000
    (
        "MARGIN",
        both(WIDE, book(positions={"BOLT": D(780)})),
        both(WIDE, book(positions={"BOLT": D(779)})),
        both(WIDE, book(positions={"BOLT": D(781)})),
    ),
    (
        "MARGIN",
        both(limits(margin=Margin.PDT_LEGACY), seen(day_trades=2)),
        both(limits(margin=Margin.PDT_LEGACY), seen(day_trades=1)),
        both(limits(margin=Margin.PDT_LEGACY), seen(day_trades=3)),
    ),
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
    ("LADDER", seen(entries_refused="paused"), seen(exits_refused="stopped")),
    ("LADDER", seen(rung=None), case()),
    ("STALE_EPOCH", seen(epoch_held=8), seen(epoch_decided=8, epoch_held=8)),
    ("STALE_EPOCH", seen(epoch_held=None), case()),
    ("SYMBOL_NOT_TRADABLE", seen(halted_symbols=frozenset({"ACME"})), case()),
    ("ORDER_INVALID", candidate(limit_price=D("99.955")), candidate(limit_price=D("99.95"))),
    ("PRICE_COLLAR", candidate(limit_price=D(80), reference_price=D(80)), case()),
    ("DUPLICATE_ORDER", pace(is_decided=True), case()),
    (
        "DUPLICATE_ORDER",
        both(limits(duplicate_window=SECOND), pace(same_at=NOW)),
        both(limits(duplicate_window=SECOND), pace(same_at=NOW), candidate(may_repeat=True)),
    ),
    ("APPROVAL_REQUIRED", seen(approval=Approval.MISSING), seen(approval=Approval.GIVEN)),
    (
        "ORDER_RATE",
        pace(entries_in_cycle=20),
        both(pace(entries_in_cycle=20), candidate(is_paced=True)),
    ),
    ("BASKET_LIMIT", pace(basket=D(9_999)), both(pace(basket=D(9_999)), candidate(is_paced=True))),
    (
        "MARGIN",
        both(limits(margin=Margin.PDT_LEGACY), seen(day_trades=None)),
        both(limits(margin=Margin.OFF), seen(day_trades=None)),
    ),
    ("SECTOR_LIMIT", seen(off=frozenset()), case()),
    ("SHORT_NOT_ALLOWED", SELL, lambda s: limits(allow_short=True)(SELL(s))),
    ("QUOTE_STALE", candidate(quote=None), case()),
    ("PRICE_DRIFT", candidate(reference_price=None), case()),
    ("EXPOSURE_LIMIT", book(positions={"ELSE": D(1)}), book(positions={"ELSE": D(0)})),
    ("ACTIVE_ORDERS", book(opening_symbols=frozenset({"ACME"})), case()),
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


# The platform's table of trading rules, as it is written there: number and deny code. What the
# product has beyond it follows at the end.
TABLE = """
1 LADDER  2 STALE_EPOCH  3 SYMBOL_NOT_TRADABLE  4 MARKET_CLOSED  5 DECISION_EXPIRED
6 QUOTE_STALE  7 PRICE_DRIFT  8 PRICE_COLLAR  9 ORDER_INVALID  10 ORDER_NOTIONAL
11 POSITION_LIMIT  12 EXPOSURE_LIMIT  13 LEVERAGE_LIMIT  14 POSITION_COUNT  15 SECTOR_LIMIT
16 INSUFFICIENT_FUNDS  17 ORDER_RATE  18 ACTIVE_ORDERS  19 DUPLICATE_ORDER  20 WASH_TRADE
21 COOLDOWN  22 DAILY_LOSS  23 DRAWDOWN  24 DECISION_FAILURES  25 CRASH_LOOP
26 DECISION_BUDGET  27 MARGIN  28 SYMBOL_LOCKED  29 CLOCK_SKEW  30 CANARY_SIZE
31 LOW_CONFIDENCE  32 EXIT_TOO_LARGE  33 APPROVAL_REQUIRED
"""
BEYOND = [
    "SHORT_NOT_ALLOWED", "ENTRY_CUTOFF", "BASKET_LIMIT", "ACCOUNT_BLOCKED", "REPEATED_EXECUTION",
]  # fmt: skip


def test_every_rule_of_the_platform_is_in_the_product_under_its_number_and_code() -> None:
    words = TABLE.split()
    asked = list(zip(map(int, words[::2]), words[1::2], strict=True))
    have = [(rule.number, rule.code) for rule in risk.RULES]
    assert have == asked + list(enumerate(BEYOND, start=len(asked) + 1))
