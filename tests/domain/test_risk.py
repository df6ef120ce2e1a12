"""The gate as a whole: missing and odd inputs, exits, what is told and stored."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.risk_cases import (
    CONTROL,
    HELD,
    NAN,
    NOW,
    QUOTE,
    SELL,
    Change,
    D,
    book,
    both,
    candidate,
    case,
    codes,
    pace,
    seen,
)
from tests.domain.trades import SECOND
from tradesaga.domain import risk
from tradesaga.domain.decisions import Action
from tradesaga.domain.risk import Finding, Outcome, Situation, table

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
            active_orders=29,
            locked_symbols=frozenset({"ACME"}),
        ),
        pace(last_minute=99, last_day=99, exit_at=NOW, stops_last_day=9, last_stop_at=NOW),
        seen(
            entries_refused="paused",
            equity_at_open=None,
            equity_peak=None,
            decision_failures=None,
            restarts_last_day=99,
            decisions_spent=None,
            clock_skew=None,
            is_canary=None,
            approval=None,
        ),
        case(tradable=frozenset[str]()),
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
        (seen(exits_refused="agent is stopped"), "LADDER"),
        (seen(epoch_held=8), "STALE_EPOCH"),
        (seen(halted_symbols=frozenset({"ACME"})), "SYMBOL_NOT_TRADABLE"),
        (pace(is_decided=True), "DUPLICATE_ORDER"),
    ],
)
def test_an_exit_meets_the_rules_that_are_for_all(change: Change, code: str) -> None:
    assert codes(HELD, SELL, change) == {code}


def test_a_short_is_covered_by_a_buy_up_to_what_is_owed() -> None:
    short = book(positions={"ACME": D(-10)})
    assert codes(short, seen(entries_refused="paused")) == set()
    poor = book(positions={"ACME": D(-10)}, buying_power=D(1_009))  # 1,000 and 1 % are needed
    assert codes(short, poor) == {"INSUFFICIENT_FUNDS"}
    assert codes(short, candidate(quantity=D(11))) == {"EXIT_TOO_LARGE"}


def test_all_denials_are_told_with_their_figures() -> None:
    denied = risk.denials(candidate(quantity=D(11), confidence=D("0.1"))(CONTROL))
    assert {d.code: d.message for d in denied} == {
        "ORDER_NOTIONAL": "order would be 1100.00, at most 1000.00",
        "LOW_CONFIDENCE": "confidence 0.1 is not between 0.6 and 1",
    }


# Typed from the table of the platform's trading rules: which of them an exit must obey.
BIND_EXITS = {
    "LADDER", "STALE_EPOCH", "SYMBOL_NOT_TRADABLE", "MARKET_CLOSED", "ORDER_INVALID",
    "INSUFFICIENT_FUNDS", "ACTIVE_ORDERS", "DUPLICATE_ORDER", "WASH_TRADE", "EXIT_TOO_LARGE",
    "ACCOUNT_BLOCKED",
}  # fmt: skip


def nothing(_: Situation) -> Finding:
    return Finding(False, None, None, "no")


@pytest.mark.parametrize("rule", risk.RULES, ids=lambda rule: rule.code)
def test_a_rule_that_says_no_denies_entries_and_exits_as_the_table_says(rule: risk.Rule) -> None:
    strict = replace(rule, check=nothing)
    control = seen(off=frozenset())(CONTROL)
    entry = table._verdict(strict, control, is_exit=False)
    exit_ = table._verdict(strict, SELL(HELD(control)), is_exit=True)
    assert entry.outcome is Outcome.DENIED
    expected = Outcome.DENIED if rule.code in BIND_EXITS else Outcome.BYPASSED
    assert exit_.outcome is expected


@pytest.mark.parametrize("rule", risk.RULES, ids=lambda rule: rule.code)
def test_a_rule_that_raises_denies(rule: risk.Rule) -> None:
    def broken(_: Situation) -> Finding:
        raise KeyError("gone")

    control = seen(off=frozenset())(CONTROL)
    verdict = table._verdict(replace(rule, check=broken), control, is_exit=False)
    assert verdict.outcome is Outcome.DENIED
    assert "KeyError" in verdict.finding.because


MISSING: list[tuple[str, Change]] = [
    ("LADDER", seen(rung=None)),
    ("STALE_EPOCH", seen(epoch_decided=None)),
    ("DAILY_LOSS", seen(equity_at_open=None)),
    ("DRAWDOWN", seen(equity_peak=None)),
    ("DECISION_FAILURES", seen(decision_failures=None)),
    ("CRASH_LOOP", seen(restarts_last_day=None)),
    ("DECISION_BUDGET", seen(decisions_spent=None)),
    ("CLOCK_SKEW", seen(clock_skew=None)),
    ("CANARY_SIZE", seen(is_canary=None)),
    ("APPROVAL_REQUIRED", seen(approval=None)),
]


@pytest.mark.parametrize(("code", "change"), MISSING)
def test_what_is_not_known_denies_an_entry_unless_nobody_feeds_the_rule(
    code: str, change: Change
) -> None:
    assert codes(change) == {code}
    off = seen(off=frozenset({"SECTOR_LIMIT", code}))
    assert codes(change, off) == set()
    outcomes = {v.code: v.outcome for v in risk.judge(both(change, off)(CONTROL)).verdicts}
    assert outcomes[code] is Outcome.OFF


def test_every_rule_has_its_verdict_whatever_the_others_say() -> None:
    for change in (case(), candidate(quantity=NAN), both(HELD, SELL)):
        verdicts = risk.judge(change(CONTROL)).verdicts
        assert [verdict.code for verdict in verdicts] == list(risk.codes())


def test_a_denial_says_by_how_much_and_what_would_pass() -> None:
    judged = risk.judge(candidate(quantity=D(11))(CONTROL))
    stored = judged.stored()
    assert stored["rules"]["ORDER_NOTIONAL"] == [
        "denied", "1100", "1000", "order would be 1100.00, at most 1000.00",
        "quantity 10 or less",
    ]  # fmt: skip
    assert stored["rules"]["EXPOSURE_LIMIT"] == ["passed", "1100", "5000"]
    assert stored["inputs"]["quantity"] == "11"
    assert stored["inputs"]["equity"] == "10000"


@given(st.decimals(min_value=1, max_value=10_000, places=3))
def test_what_is_said_to_pass_passes(quantity: Decimal) -> None:
    """The advice of every rule on size, taken together, is an order that is allowed."""
    s = both(
        candidate(quantity=quantity),
        book(positions={"ACME": D(8), "BOLT": D(30)}, buying_power=D(1_500)),
    )(CONTROL)
    said = [v.finding.passes for v in risk.judge(s).verdicts if v.outcome is Outcome.DENIED]
    rooms = [D(text.split()[1]) for text in said if text.startswith("quantity")]
    assert len(rooms) == len(said)
    if rooms:
        assert codes(candidate(quantity=min(rooms)), of=s) == set()


def test_an_exit_that_works_gives_no_room_before_it_has_filled() -> None:
    """80 BOLT at 50 are being sold: as long as they may stay, they count."""
    leaving = book(positions={"BOLT": D(80)}, working={"BOLT": D(-80)})
    assert codes(leaving) == set()
    assert "EXPOSURE_LIMIT" in codes(leaving, candidate(quantity=D("10.01")))
    full = book(
        positions={"BOLT": D(1), "CORP": D(1), "DUNE": D(1)}, working={"BOLT": D(-1)},
    )  # fmt: skip
    assert "POSITION_COUNT" in codes(full)


def test_what_is_stored_is_bounded() -> None:
    """A verdict of every rule with its inputs, whatever the decision maker said."""
    huge = candidate(quantity=D("1e308"), confidence=D("1" * 60), reference_price=D("-1e-300"))
    assert len(str(risk.judge(huge(CONTROL)).stored())) < 12_000
    assert len(str(risk.judge(CONTROL).stored())) < 3_000
