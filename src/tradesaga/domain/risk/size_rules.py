"""Rules on size: the order alone, with its symbol, with everything held and working, with money.

What works may fill or not, so the larger of both counts (`situation.worst`): concurrent orders
cannot jointly break a limit, and an exit gives no room before it has filled.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tradesaga.domain.decisions import Action
from tradesaga.domain.money import HUNDRED, ZERO, floor_to, is_usable, percent_of
from tradesaga.domain.risk.limits import Limits, Margin
from tradesaga.domain.risk.situation import Situation, greatest, worst
from tradesaga.domain.risk.state_rules import at_most, missing
from tradesaga.domain.risk.verdicts import Finding, digits

LOT: Final = Decimal("0.000000001")
"""The smallest step of a quantity, as of a fraction of a share."""
TICK: Final = Decimal("0.01")
TICK_BELOW_ONE: Final = Decimal("0.0001")
SLIPPAGE: Final = Decimal("1.01")
MAINTENANCE_LONG: Final = Decimal("0.25")
MAINTENANCE_SHORT: Final = Decimal("0.30")
PDT_EQUITY: Final = Decimal(25_000)
PDT_DAY_TRADES: Final = 3
"""A fourth day trade in five business days made an account a pattern day trader's."""


def order_valid(s: Situation) -> Finding:
    """Quantity and price are usable numbers, on the lot and the tick."""
    quantity, limit = s.candidate.quantity, s.candidate.limit_price
    passes = "a finite number above 0 and below 1e9 with at most 9 decimals"
    if not is_usable(quantity):
        return Finding(False, quantity, None, f"quantity {quantity} is no usable number", passes)
    if quantity != quantity.quantize(LOT):
        because = f"quantity {quantity} has more than 9 decimals"
        return Finding(False, quantity, LOT, because, passes)
    if not is_usable(s.price):
        because = f"there is no usable price for {s.candidate.symbol}"
        return Finding(False, s.price, None, because, "a quote, or a reference price")
    tick = TICK if s.price >= 1 else TICK_BELOW_ONE
    if limit is not None and limit != limit.quantize(tick):
        because = f"limit price {limit} is not on the tick of {tick}"
        return Finding(False, limit, tick, because, f"{digits(floor_to(limit, tick))}")
    return Finding(True, quantity, LOT)


def order_notional(s: Situation) -> Finding:
    """What the one order is worth."""
    cap = order_budget(s.limits, s.book.equity)
    return _after(s, s.notional, cap, "order")


def position_limit(s: Situation) -> Finding:
    """What the symbol would be worth."""
    after = _position_after(s) * s.price
    cap = percent_of(s.limits.position_percent, s.book.equity)
    return _after(s, after, cap, "position")


def exposure_limit(s: Situation) -> Finding:
    """What everything would be worth, longs and shorts added."""
    return _gross_within(s, percent_of(s.limits.exposure_percent, s.book.equity), "exposure")


def leverage_limit(s: Situation) -> Finding:
    """Everything in proportion to the equity."""
    return _gross_within(s, s.limits.leverage_max * s.book.equity, "gross value")


def sector_limit(s: Situation) -> Finding:
    """What one sector would be worth; off without a sector map."""
    sectors = s.book.sectors
    sector = sectors.get(s.candidate.symbol)
    if sector is None:
        return missing(f"the sector of {s.candidate.symbol}")
    mates = [symbol for symbol in _symbols(s) if sectors.get(symbol) == sector]
    gross, unpriced = _gross(s, mates)
    if unpriced:
        return missing(f"the price of {unpriced}, which is held")
    cap = percent_of(s.limits.sector_percent, s.book.equity)
    return _within(s, gross, cap, f"sector {sector}")


def position_count(s: Situation) -> Finding:
    """How many positions there would be."""
    number = len({*_symbols(s), s.candidate.symbol})
    return at_most(number, s.limits.positions_max, "number of positions")


def funds(s: Situation) -> Finding:
    """The cost is covered by what no open saga has reserved and nobody keeps back."""
    need = _cost(s)
    if need == ZERO:
        return Finding(True, need, s.book.buying_power - s.book.reserved)
    back = ZERO if s.is_exit else s.limits.buying_power_reserve_percent
    free = s.book.buying_power - s.book.reserved - percent_of(back, s.book.buying_power)
    if need <= free:
        return Finding(True, need, free)
    passes = _quantity(free / SLIPPAGE, s.price)
    return Finding(False, need, free, f"needs {need:.2f}, {free:.2f} is free", passes)


def basket_limit(s: Situation) -> Finding:
    """What the entries of one cycle are worth together; a rebalance is judged as a portfolio."""
    if s.candidate.is_paced:
        return Finding(True)
    cap = percent_of(s.limits.basket_percent, s.book.equity)
    return _within(s, s.pace.basket, cap, "this cycle's entries")


def canary_size(s: Situation) -> Finding:
    """On its first live day a strategy version gets a part of rules 10 and 11."""
    canary, share = s.conditions.is_canary, s.limits.canary_percent
    if share == HUNDRED:
        return Finding(True, "no canary is asked for")
    if canary is None:
        return missing("whether the strategy version is new")
    if not canary:
        return Finding(True, "no canary")
    order = percent_of(share, order_budget(s.limits, s.book.equity))
    found = _after(s, s.notional, order, "canary's order")
    if not found.passed:
        return found
    after = _position_after(s) * s.price
    cap = percent_of(share, percent_of(s.limits.position_percent, s.book.equity))
    return _after(s, after, cap, "canary's position")


def margin(s: Situation) -> Finding:
    """The rule on margin that is configured.

    Intraday: what may be held after this order needs no more maintenance margin (25 % of longs,
    30 % of shorts) than the equity.
    """
    rule = s.limits.margin
    match rule:
        case Margin.OFF:
            return Finding(True, rule)
        case Margin.PDT_LEGACY:
            return _pattern_day_trader(s)
        case Margin.INTRADAY:
            return _maintained(s)


def _maintained(s: Situation) -> Finding:
    book, need = s.book, ZERO
    for symbol in {*book.positions, *book.working, s.candidate.symbol}:
        held, working = book.positions.get(symbol, ZERO), book.working.get(symbol, ZERO)
        here = symbol == s.candidate.symbol
        size = worst(held, working + s.signed if here else working)
        if size == ZERO:
            continue
        price = s.price if here else book.prices.get(symbol)
        if price is None:
            return missing(f"the price of {symbol}, which is held")
        is_short = min(held, held + working, s.signed if here else ZERO) < ZERO
        need += size * price * (MAINTENANCE_SHORT if is_short else MAINTENANCE_LONG)
    if need <= book.equity:
        return Finding(True, need, book.equity)
    rate = MAINTENANCE_SHORT if s.held + s.working + s.signed < ZERO else MAINTENANCE_LONG
    because = f"maintenance margin would be {need:.2f}, at most {book.equity:.2f}"
    room = (book.equity - need) / rate + s.notional
    return Finding(False, need, book.equity, because, _quantity(room, s.price))


def _pattern_day_trader(s: Situation) -> Finding:
    if s.book.equity >= PDT_EQUITY:
        return Finding(True, s.book.equity, PDT_EQUITY)
    trades = s.conditions.day_trades
    if trades is None:
        return missing("the day trades of the last five business days", PDT_DAY_TRADES)
    return at_most(trades, PDT_DAY_TRADES - 1, "day trades before this one")


def exit_not_too_large(s: Situation) -> Finding:
    """An exit, with those that work, ends at zero and never beyond."""
    if not s.is_exit:
        return Finding(True)
    if abs(s.signed + s.working) <= abs(s.held):
        return Finding(True, s.candidate.quantity, s.held)
    because = f"exit of {s.candidate.quantity} with {s.working} working exceeds the {s.held} held"
    room = abs(s.held) - abs(s.working)
    passes = f"quantity {digits(room)} or less" if room > ZERO else "no quantity: wait for the exit"
    return Finding(False, s.candidate.quantity, s.held, because, passes)


def cost_to_reserve(s: Situation) -> Decimal:
    """The buying power to set aside: the notional and 1 % for slippage; zero for an exit."""
    return ZERO if s.is_exit else s.notional * SLIPPAGE


def _cost(s: Situation) -> Decimal:
    """What the order takes: a sale of what we hold nothing, a buy to cover what it pays."""
    if s.is_exit and s.candidate.action is Action.SELL:
        return ZERO
    return s.notional * SLIPPAGE


def order_budget(limits: Limits, equity: Decimal) -> Decimal:
    """What one order may be worth at most; the first of both is kept if it is no number."""
    return min(percent_of(limits.order_notional_percent, equity), limits.order_notional_max)


def gross_value(s: Situation) -> Decimal | None:
    """What everything may be worth that is held or working; None when a price is missing."""
    gross, unpriced = _gross(s, _symbols(s))
    return None if unpriced else gross


def _symbols(s: Situation) -> list[str]:
    """Those that are held or may come to be held."""
    book = s.book
    held = [symbol for symbol, quantity in book.positions.items() if quantity != ZERO]
    opening = [symbol for symbol, quantity in book.working.items() if quantity != ZERO]
    return sorted({*held, *opening})


def _gross(s: Situation, symbols: Iterable[str]) -> tuple[Decimal, str]:
    """Their value at worst, and the first symbol without a price."""
    gross = ZERO
    for symbol in symbols:
        price = s.price if symbol == s.candidate.symbol else s.book.prices.get(symbol)
        if price is None:
            return gross, symbol
        held, working = s.book.positions.get(symbol, ZERO), s.book.working.get(symbol, ZERO)
        gross += worst(held, working) * price
    return gross, ""


def _gross_within(s: Situation, cap: Decimal, what: str) -> Finding:
    gross, unpriced = _gross(s, _symbols(s))
    if unpriced:
        return missing(f"the price of {unpriced}, which is held", cap)
    return _within(s, gross, cap, what)


def _within(s: Situation, before: Decimal, cap: Decimal, what: str) -> Finding:
    return _after(s, before if s.is_exit else before + s.notional, cap, what)


def _position_after(s: Situation) -> Decimal:
    return greatest(worst(s.held, s.working), abs(s.held + s.working + s.signed))


def _after(s: Situation, after: Decimal, cap: Decimal, what: str) -> Finding:
    if after <= cap:
        return Finding(True, after, cap)
    because = f"{what} would be {after:.2f}, at most {cap:.2f}"
    return Finding(False, after, cap, because, _quantity(cap - (after - s.notional), s.price))


def _quantity(room: Decimal, price: Decimal) -> str:
    """The largest quantity that fits, in whole units, or to the lot when not even one does."""
    if not (is_usable(price) and room.is_finite() and room > ZERO):
        return "no quantity"
    step = Decimal(1) if room >= price else LOT
    most = floor_to(room / price, step)
    return f"quantity {digits(most)} or less" if most > ZERO else "no quantity"
