"""What a rebalance wants and which orders bring it about, from prices and holdings alone.

    weights      fixed as configured, equal, or inverse to volatility; never above the exposure
    differences  the target of each symbol against what is held and working, at one price
    legs         sells, then buys: whole shares, none for a difference below the threshold

Only symbols with a target are touched. A sell never passes what is held; the buys together never
cost more than what is free and what the sells bring, the largest difference served first. Refuses
weights from prices that say nothing: a weight that is guessed is an order that is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from itertools import pairwise

from tradesaga.domain.decisions import Action
from tradesaga.domain.errors import Invalid
from tradesaga.domain.money import AMOUNT_MAX, ZERO, floor_to, is_usable

ONE = Decimal(1)
WEIGHT_STEP = Decimal("0.000001")
RETURNS_MIN = 2
"""A standard deviation needs two returns, which are three closes."""
SLIPPAGE = Decimal("1.01")
"""A buy may cost so much more than its quote: what the reservation sets aside."""


class Method(StrEnum):
    """How target weights are made."""

    FIXED = "fixed"
    EQUAL = "equal"
    INVERSE_VOLATILITY = "inverseVolatility"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancePolicy:
    """What is wanted: the symbols with their weights (0 to 1; used by `fixed` alone), and how.

    `threshold` is the share of equity below which a difference makes no order, `closes` how many
    daily closes a volatility is computed from.
    """

    method: Method
    targets: Mapping[str, Decimal]
    threshold: Decimal
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One symbol: target against what is held with what works already; weights are of equity."""

    symbol: str
    price: Decimal
    held: Decimal
    working: Decimal
    weight: Decimal
    target_weight: Decimal
    target_quantity: Decimal

    @property
    def drift(self) -> Decimal:
        """What is missing to the target weight; negative when there is too much."""
        return self.target_weight - self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One order of the basket."""

    symbol: str
    action: Action
    quantity: Decimal
    price: Decimal

    @property
    def value(self) -> Decimal:
        """Quantity times price."""
        return self.quantity * self.price


def fixed_weights(weights: Mapping[str, Decimal], exposure: Decimal) -> dict[str, Decimal]:
    """The weights as given, scaled down together when they are above `exposure` (0 to 1).

    Raises:
        Invalid: a weight is negative or no number.
    """
    unfit = [s for s, w in weights.items() if not w.is_finite() or w < ZERO]
    if unfit:
        raise Invalid([f"the weight of {symbol} is not 0 or more" for symbol in unfit])
    total = sum(weights.values(), ZERO)
    scale = ONE if total <= exposure else exposure / total
    return {symbol: _floored(weight * scale) for symbol, weight in weights.items()}


def equal_weights(symbols: Sequence[str], exposure: Decimal) -> dict[str, Decimal]:
    """The same weight for each."""
    return {symbol: _floored(exposure / len(symbols)) for symbol in symbols}


def inverse_volatility_weights(
    volatility: Mapping[str, Decimal], exposure: Decimal
) -> dict[str, Decimal]:
    """Weights in proportion to 1 / volatility, which add up to `exposure`.

    Raises:
        Invalid: a volatility is not above zero.
    """
    unfit = [symbol for symbol, found in volatility.items() if not is_usable(found)]
    if unfit:
        raise Invalid([f"{symbol} has no volatility above zero" for symbol in unfit])
    inverse = {symbol: ONE / found for symbol, found in volatility.items()}
    total = sum(inverse.values(), ZERO)
    return {symbol: _floored(exposure * share / total) for symbol, share in inverse.items()}


def capped(weights: Mapping[str, Decimal], most: Decimal) -> dict[str, Decimal]:
    """No weight above `most`; what is cut stays cash."""
    return {symbol: min(weight, _floored(most)) for symbol, weight in weights.items()}


def volatility_of(closes: Sequence[Decimal]) -> Decimal:
    """The sample standard deviation of the daily returns between `closes`, the first one first.

    Raises:
        Invalid: too few closes, or one that is no price.
    """
    if len(closes) <= RETURNS_MIN:
        raise Invalid([f"{len(closes)} daily closes are too few for a volatility"])
    if not all(is_usable(close) for close in closes):
        raise Invalid(["a daily close is no price"])
    returns = [after / before - ONE for before, after in pairwise(closes)]
    mean = sum(returns, ZERO) / len(returns)
    squares = sum(((each - mean) ** 2 for each in returns), ZERO)
    return (squares / (len(returns) - 1)).sqrt()


def differences(
    targets: Mapping[str, Decimal],
    prices: Mapping[str, Decimal],
    positions: Mapping[str, Decimal],
    working: Mapping[str, Decimal],
    equity: Decimal,
) -> tuple[Difference, ...]:
    """Each target symbol as it stands, by name; `positions` and `working` are signed quantities.

    Raises:
        Invalid: the equity is not above zero, or the price of a symbol is missing.
    """
    if not is_usable(equity, AMOUNT_MAX):
        raise Invalid([f"an equity of {equity} has no weights"])
    unpriced = [s for s in sorted(targets) if not is_usable(prices.get(s, ZERO))]
    if unpriced:
        raise Invalid([f"{symbol} has no price" for symbol in unpriced])
    found = []
    for symbol in sorted(targets):
        held, open_, price = positions.get(symbol, ZERO), working.get(symbol, ZERO), prices[symbol]
        found.append(
            Difference(
                symbol=symbol,
                price=price,
                held=held,
                working=open_,
                weight=(held + open_) * price / equity,
                target_weight=targets[symbol],
                target_quantity=floor_to(targets[symbol] * equity / price, ONE),
            )
        )
    return tuple(found)


def sells(
    found: Sequence[Difference], threshold: Decimal, *, in_part: bool = True
) -> tuple[Leg, ...]:
    """What is too much, the largest first; `threshold` is a share of equity.

    Without `in_part` the venue closes whole positions only: what is to be trimmed is left as it is.
    """
    legs = []
    for each in sorted(found, key=lambda d: (d.drift, d.symbol)):
        if -each.drift < threshold:
            continue
        surplus = each.held + each.working - each.target_quantity
        free = each.held + min(each.working, ZERO)
        quantity = floor_to(max(ZERO, min(surplus, free)), ONE)
        if quantity > ZERO and (in_part or quantity == each.held):
            leg = Leg(symbol=each.symbol, action=Action.SELL, quantity=quantity, price=each.price)
            legs.append(leg)
    return tuple(legs)


def buys(
    found: Sequence[Difference],
    threshold: Decimal,
    *,
    equity: Decimal,
    funds: Decimal,
    order_value_max: Decimal,
) -> tuple[Leg, ...]:
    """What is missing, the largest first, as far as `funds` go and one order may be worth.

    A buy that the funds cut to below the threshold is left out: it would be an order for little.
    """
    legs, left = [], funds
    for each in sorted(found, key=lambda d: (-d.drift, d.symbol)):
        if each.drift < threshold:
            continue
        missing = max(ZERO, each.target_quantity - each.held - each.working)
        affordable = max(ZERO, left) / (each.price * SLIPPAGE)
        quantity = floor_to(min(missing, affordable, order_value_max / each.price), ONE)
        cut = quantity < floor_to(missing, ONE)
        if quantity <= ZERO or (cut and quantity * each.price < threshold * equity):
            continue
        leg = Leg(symbol=each.symbol, action=Action.BUY, quantity=quantity, price=each.price)
        legs.append(leg)
        left -= leg.value * SLIPPAGE
    return tuple(legs)


def _floored(weight: Decimal) -> Decimal:
    return weight.quantize(WEIGHT_STEP, rounding=ROUND_FLOOR)
