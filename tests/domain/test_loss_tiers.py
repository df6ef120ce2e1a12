"""Loss tiers: the marks follow sessions and peaks, each tier is entered exactly at its limit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import START
from tradesaga.domain import loss_tiers
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import Cause
from tradesaga.domain.loss_tiers import LossLimits

D = Decimal
NORMAL = LossLimits(
    daily_no_entries=D(3),
    daily_halt=D(5),
    drawdown_yellow=D("7.5"),
    drawdown_orange=D("11.25"),
    drawdown_red=D(15),
)
MARKS = loss_tiers.first_marks(DEFAULT_AGENT, D(100_000), START, START)
NEXT = START + timedelta(days=1)


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        (D("97000.01"), set()),
        (D(97_000), {Cause.DAILY_LOSS}),  # 3 %
        (D("95000.01"), {Cause.DAILY_LOSS}),
        (D(95_000), {Cause.DAILY_LOSS, Cause.DAILY_LOSS_HALT}),  # 5 %
        (D("NaN"), set(loss_tiers.TIERS)),
        (D("Infinity"), set(loss_tiers.TIERS)),
        (D(0), set(loss_tiers.TIERS)),
        (D(-5), set(loss_tiers.TIERS)),
        (D(150_000), set()),
    ],
)
def test_the_day(equity: Decimal, expected: set[Cause]) -> None:
    assert set(loss_tiers.tiers(MARKS, equity, NORMAL)) == expected


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        (D("92500.01"), set()),
        (D(92_500), {Cause.DRAWDOWN_YELLOW}),  # 7.5 % below 100000
        (D("88750.01"), {Cause.DRAWDOWN_YELLOW}),
        (D(88_750), {Cause.DRAWDOWN_YELLOW, Cause.DRAWDOWN_ORANGE}),  # 11.25 %
        (D(85_000), {Cause.DRAWDOWN_YELLOW, Cause.DRAWDOWN_ORANGE, Cause.DRAWDOWN_RED}),
    ],
)
def test_the_drawdown_outlives_the_session(equity: Decimal, expected: set[Cause]) -> None:
    marks = loss_tiers.seen(MARKS, equity, NEXT, NEXT)
    assert (marks.session_equity, marks.peak_equity) == (equity, D(100_000))
    assert set(loss_tiers.tiers(marks, equity, NORMAL)) == expected


def test_marks_move_with_sessions_and_peaks_only() -> None:
    assert loss_tiers.seen(MARKS, D(99_000), START, NEXT) is MARKS
    assert loss_tiers.seen(MARKS, D(99_000), None, NEXT) is MARKS
    higher = loss_tiers.seen(MARKS, D(101_000), None, NEXT)
    assert (higher.session_equity, higher.peak_equity) == (D(100_000), D(101_000))
    assert (higher.version, higher.updated_at) == (2, NEXT)


@pytest.mark.parametrize("equity", [D("NaN"), D(0), D(-1), D("Infinity")])
def test_an_equity_that_is_no_number_is_no_mark(equity: Decimal) -> None:
    assert loss_tiers.seen(MARKS, equity, NEXT, NEXT) is MARKS


def test_the_marks_of_a_large_account_move_as_well() -> None:
    assert loss_tiers.seen(MARKS, D("3e9"), None, NEXT).peak_equity == D("3e9")


def test_counting_anew() -> None:
    marks = loss_tiers.anew(MARKS, D(84_000), NEXT)
    assert (marks.session_equity, marks.peak_equity, marks.version) == (D(84_000), D(84_000), 2)
    assert marks.session_at == START  # the session is the same
    assert not loss_tiers.tiers(marks, D(84_000), NORMAL)


@given(st.lists(st.decimals(min_value=1, max_value=10**6, places=2), min_size=1, max_size=20))
def test_the_peak_is_the_highest_ever_seen(equities: list[Decimal]) -> None:
    marks = MARKS
    for number, equity in enumerate(equities):
        marks = loss_tiers.seen(marks, equity, None, START + timedelta(seconds=number))
        assert loss_tiers.drawdown_percent(marks, equity) >= 0
    assert marks.peak_equity == max(D(100_000), *equities)
