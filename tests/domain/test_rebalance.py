"""Target weights and the orders towards them: the laws of `domain.rebalance`, by property."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain import rebalance
from tradesaga.domain.decisions import Action
from tradesaga.domain.errors import Invalid
from tradesaga.domain.rebalance import Difference, Leg

D = Decimal
SYMBOLS = ("ACME", "BOLT", "CUBE", "DART", "ECHO")
THRESHOLD = D("0.01")
NO_LIMIT = D(10**12)

shares = st.decimals(min_value=0, max_value=1, places=4)
prices = st.decimals(min_value=D("0.5"), max_value=900, places=2)
exposures = st.decimals(min_value=D("0.05"), max_value=1, places=2)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[tuple[Difference, ...], Decimal, Decimal]:
    """Differences of some symbols, the equity and the cash in it."""
    symbols = SYMBOLS[: draw(st.integers(1, 5))]
    quoted = {symbol: draw(prices) for symbol in symbols}
    held = {symbol: D(draw(st.integers(0, 200))) for symbol in symbols}
    cash = D(draw(st.integers(1000, 100_000)))
    equity = cash + sum((held[s] * quoted[s] for s in symbols), D(0))
    wished = {symbol: draw(shares) for symbol in symbols}
    targets = rebalance.fixed_weights(wished, draw(exposures))
    return rebalance.differences(targets, quoted, held, {}, equity), equity, cash


def both(
    found: tuple[Difference, ...], equity: Decimal, cash: Decimal
) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """The whole basket, its buys paid by the sells."""
    sold = rebalance.sells(found, THRESHOLD)
    funds = cash + sum((leg.value for leg in sold), D(0))
    bought = rebalance.buys(found, THRESHOLD, equity=equity, funds=funds, order_value_max=NO_LIMIT)
    return sold, bought


@given(portfolios())
def test_where_nothing_closes_in_part_only_whole_positions_are_sold(
    portfolio: tuple[tuple[Difference, ...], Decimal, Decimal],
) -> None:
    found, _, _ = portfolio
    held = {each.symbol: each.held for each in found}
    usual = rebalance.sells(found, THRESHOLD)
    whole = rebalance.sells(found, THRESHOLD, in_part=False)
    assert whole == tuple(leg for leg in usual if leg.quantity == held[leg.symbol])


@given(weights=st.lists(shares, min_size=1, max_size=5), exposure=exposures)
def test_fixed_weights_stay_within_the_exposure_and_in_proportion(
    weights: list[Decimal], exposure: Decimal
) -> None:
    given_ = dict(zip(SYMBOLS, weights, strict=False))
    made = rebalance.fixed_weights(given_, exposure)
    assert sum(made.values()) <= exposure
    if sum(weights) <= exposure:
        assert made == given_
    assert all(made[s] <= given_[s] for s in given_)


@given(number=st.integers(1, 5), exposure=exposures)
def test_equal_weights_are_equal_and_add_up(number: int, exposure: Decimal) -> None:
    made = rebalance.equal_weights(SYMBOLS[:number], exposure)
    assert len(set(made.values())) == 1
    assert exposure - D("0.0001") <= sum(made.values()) <= exposure


@given(
    found=st.lists(
        st.decimals(min_value=D("0.0001"), max_value=2, places=4), min_size=1, max_size=5
    ),
    exposure=exposures,
)
def test_the_calmer_symbol_weighs_more(found: list[Decimal], exposure: Decimal) -> None:
    volatility = dict(zip(SYMBOLS, found, strict=False))
    made = rebalance.inverse_volatility_weights(volatility, exposure)
    assert exposure - D("0.0001") <= sum(made.values()) <= exposure
    calmest_first = sorted(volatility, key=lambda symbol: volatility[symbol])
    weights = [made[symbol] for symbol in calmest_first]
    assert weights == sorted(weights, reverse=True)


@given(portfolio=portfolios())
def test_no_order_for_a_difference_below_the_threshold(
    portfolio: tuple[tuple[Difference, ...], Decimal, Decimal],
) -> None:
    found, equity, cash = portfolio
    drifts = {each.symbol: each.drift for each in found}
    sold, bought = both(found, equity, cash)
    for leg in (*sold, *bought):
        assert abs(drifts[leg.symbol]) >= THRESHOLD
        assert (drifts[leg.symbol] > 0) == (leg.action is Action.BUY)
        assert leg.quantity == leg.quantity.to_integral_value() > 0


@given(portfolio=portfolios())
def test_sells_never_pass_what_is_held_and_buys_never_what_is_free(
    portfolio: tuple[tuple[Difference, ...], Decimal, Decimal],
) -> None:
    found, equity, cash = portfolio
    held = {each.symbol: each.held for each in found}
    sold, bought = both(found, equity, cash)
    assert all(leg.quantity <= held[leg.symbol] for leg in sold)
    paid = sum((leg.value * rebalance.SLIPPAGE for leg in bought), D(0))
    assert paid <= cash + sum((leg.value for leg in sold), D(0))


@given(portfolio=portfolios())
def test_with_funds_the_orders_land_within_one_share_of_the_target(
    portfolio: tuple[tuple[Difference, ...], Decimal, Decimal],
) -> None:
    found, equity, _ = portfolio
    sold, bought = both(found, equity, equity * 2)
    after = {each.symbol: each.held for each in found}
    for leg in (*sold, *bought):
        after[leg.symbol] += leg.quantity if leg.action is Action.BUY else -leg.quantity
    for each in found:
        if abs(each.drift) >= THRESHOLD:
            assert abs(after[each.symbol] - each.target_weight * equity / each.price) <= 1
        else:
            assert after[each.symbol] == each.held


@given(
    held=st.integers(-50, 50), working=st.integers(-50, 50), target=shares
)  # fmt: skip
def test_what_works_already_is_not_ordered_again(held: int, working: int, target: Decimal) -> None:
    found = rebalance.differences(
        {"ACME": target}, {"ACME": D(100)}, {"ACME": D(held)}, {"ACME": D(working)}, D(10_000)
    )
    sold, bought = both(found, D(10_000), D(20_000))
    for leg in sold:
        assert leg.quantity <= max(0, held + min(working, 0))
    for leg in bought:
        assert held + working + leg.quantity <= target * 100


def test_no_weight_is_above_what_one_position_may_be() -> None:
    made = rebalance.capped({"ACME": D("0.4"), "BOLT": D("0.1")}, D("0.2"))
    assert made == {"ACME": D("0.2"), "BOLT": D("0.1")}


def test_an_order_is_worth_at_most_what_one_order_may_be() -> None:
    found = rebalance.differences({"ACME": D("0.5")}, {"ACME": D(100)}, {}, {}, D(10_000))
    (leg,) = rebalance.buys(
        found, THRESHOLD, equity=D(10_000), funds=D(10_000), order_value_max=D(1_050)
    )
    assert leg.quantity == 10


def test_volatility_is_the_sample_deviation_of_daily_returns() -> None:
    found = rebalance.volatility_of([D(100), D(110), D(99)])  # +10 %, -10 %
    assert abs(found - D("0.141421356")) < D("0.000001")


@pytest.mark.parametrize("closes", [[], ["1", "2"], ["1", "0", "2"], ["1", "NaN", "2"]])
def test_no_volatility_is_made_up(closes: list[str]) -> None:
    with pytest.raises(Invalid):
        rebalance.volatility_of([D(close) for close in closes])


def test_what_cannot_be_weighed_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="BOLT"):
        rebalance.inverse_volatility_weights({"ACME": D("0.1"), "BOLT": D(0)}, D(1))
    with pytest.raises(Invalid, match="BOLT"):
        rebalance.differences({"BOLT": D(1)}, {"ACME": D(1)}, {}, {}, D(100))
    with pytest.raises(Invalid, match="equity"):
        rebalance.differences({"ACME": D(1)}, {"ACME": D(1)}, {}, {}, D(0))
    with pytest.raises(Invalid, match="ACME"):
        rebalance.fixed_weights({"ACME": D(-1)}, D(1))
