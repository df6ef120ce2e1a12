"""The pre-trade risk gate: every rule runs, every failure is returned with its figures.

Fail closed: a missing input denies an entry, and a comparison is written so that a value which is
not a number denies too ("allowed only if value <= limit"). An exit reduces a position that we
hold, never past zero; it bypasses the limits that exist to keep risk small, since refusing it
would keep risk large. Percentages are of equity. No strategy and no model can override a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from tradesaga.domain.decisions import Action, Denial
from tradesaga.domain.market import Calendar, Quote, SessionKind
from tradesaga.domain.money import HUNDRED, ZERO, is_usable, percent_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force: those of the agent's mode, and the account's."""

    order_notional_percent: Decimal
    position_percent: Decimal
    exposure_percent: Decimal
    positions_max: int
    decision_age_max: timedelta
    quote_age_max: timedelta
    price_drift_percent: Decimal
    confidence_min: Decimal
    orders_per_minute: int
    orders_per_day: int
    active_orders_max: int
    allow_short: bool
    entry_cutoff: timedelta
    buying_power_reserve_percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The account as it would be with all open orders filled; quantities and values signed.

    `positions` maps symbol to quantity held, `working` to the open orders' signed quantity,
    `prices` to the last known price. `reserved` is the buying power that open sagas hold.
    """

    equity: Decimal
    buying_power: Decimal
    reserved: Decimal
    positions: dict[str, Decimal]
    working: dict[str, Decimal]
    prices: dict[str, Decimal]
    active_orders: int
    opening_symbols: frozenset[str]
    locked_symbols: frozenset[str]
    orders_last_minute: int
    orders_last_day: int
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The order that a decision would make, with what it was decided on."""

    symbol: str
    action: Action
    quantity: Decimal
    confidence: Decimal | None
    reference_price: Decimal | None
    as_of: datetime
    quote: Quote | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a rule may look at."""

    candidate: Candidate
    book: Book
    limits: Limits
    calendar: Calendar
    hours_only: bool
    closed_by_event: bool
    entries_allowed: bool
    entries_refused_because: str
    tradable: frozenset[str]
    cadence: timedelta
    now: datetime

    @property
    def signed(self) -> Decimal:
        """The candidate's quantity, negative for a sell."""
        quantity = self.candidate.quantity
        return quantity if self.candidate.action is Action.BUY else -quantity

    @property
    def held(self) -> Decimal:
        """The signed position in the candidate's symbol."""
        return self.book.positions.get(self.candidate.symbol, ZERO)

    @property
    def is_exit(self) -> bool:
        """Whether it reduces a position that we hold (past zero or not)."""
        return self.held < ZERO if self.candidate.action is Action.BUY else self.held > ZERO

    @property
    def price(self) -> Decimal:
        """What one unit would cost: the side of the quote that it takes, else the reference."""
        quote = self.candidate.quote
        side = None
        if quote is not None:
            side = quote.ask if self.candidate.action is Action.BUY else quote.bid
        return side or self.candidate.reference_price or ZERO

    @property
    def notional(self) -> Decimal:
        """Quantity times price."""
        return self.candidate.quantity * self.price


def is_opening(situation: Situation) -> bool:
    """Whether the order makes or increases a position."""
    return not situation.is_exit


def denials(situation: Situation) -> tuple[Denial, ...]:
    """All rules that say no; empty means allowed."""
    rules = _ALWAYS if situation.is_exit else (*_ALWAYS, *_ENTRIES)
    with localcontext() as arithmetic:
        arithmetic.clear_traps()  # comparing with what is not a number is false and does not raise
        found = (Denial(code=code, message=no) for code, rule in rules if (no := rule(situation)))
        return tuple(found)


def cost_to_reserve(situation: Situation) -> Decimal:
    """The buying power to set aside: the notional and 1 % for slippage; zero for an exit."""
    if situation.is_exit:
        return ZERO
    return situation.notional * Decimal("1.01")


Rule = Callable[[Situation], str]
"""Says why not; empty when allowed."""


def _tradable(s: Situation) -> str:
    if s.is_exit or s.candidate.symbol in s.tradable:
        return ""
    return f"{s.candidate.symbol} is not on the approved list"


def _market_open(s: Situation) -> str:
    if s.closed_by_event:
        return "the market-data service says that the market is closed"
    if not s.hours_only:
        return ""
    kind = s.calendar.kind_at(s.now)
    return "" if kind is SessionKind.REGULAR else f"session is {kind}; orders need the regular one"


def _order_valid(s: Situation) -> str:
    if not is_usable(s.candidate.quantity):
        return f"quantity {s.candidate.quantity} is no usable number"
    if s.candidate.quantity != s.candidate.quantity.quantize(Decimal("0.000000001")):
        return f"quantity {s.candidate.quantity} has more than 9 decimals"
    return "" if is_usable(s.price) else f"there is no usable price for {s.candidate.symbol}"


def _active_orders(s: Situation) -> str:
    room = s.limits.active_orders_max if s.is_exit else s.limits.active_orders_max - 10
    if s.book.active_orders + 1 <= room:
        return ""
    return f"{s.book.active_orders} orders are open, at most {room}"


def _one_order_per_symbol(s: Situation) -> str:
    working = s.book.working.get(s.candidate.symbol, ZERO)
    if working != ZERO and (working > ZERO) != (s.signed > ZERO):
        return f"an own order of {working} is open on the other side of {s.candidate.symbol}"
    return ""


def _exit_not_too_large(s: Situation) -> str:
    if not s.is_exit:
        return ""
    working = s.book.working.get(s.candidate.symbol, ZERO)
    if abs(s.signed + working) <= abs(s.held):
        return ""
    return f"exit of {s.candidate.quantity} with {working} working exceeds the {s.held} held"


def _account_usable(s: Situation) -> str:
    return "the venue has blocked the account" if s.book.blocked else ""


def _entries_allowed(s: Situation) -> str:
    return "" if s.entries_allowed else s.entries_refused_because


def _no_short(s: Situation) -> str:
    if s.candidate.action is Action.BUY or s.limits.allow_short:
        return ""
    return f"a sell of {s.candidate.symbol} with {s.held} held would open a short position"


def _before_cutoff(s: Situation) -> str:
    session = s.calendar.regular_at(s.now) if s.hours_only else None
    if session is None or s.now < session.close - s.limits.entry_cutoff:
        return ""
    return f"no entries in the last {s.limits.entry_cutoff} of the session"


def _decision_fresh(s: Situation) -> str:
    age = s.now - s.candidate.as_of
    return "" if age <= s.limits.decision_age_max else f"decided {age} ago"


def _quote_fresh(s: Situation) -> str:
    if s.candidate.quote is None:
        return f"no quote of {s.candidate.symbol}"
    age, age_max = s.now - s.candidate.quote.at, s.limits.quote_age_max + s.cadence
    return "" if age <= age_max else f"quote is {age} old, at most {age_max}"


def _price_stable(s: Situation) -> str:
    reference = s.candidate.reference_price
    if not is_usable(reference) or reference is None:
        return "the decision has no usable reference price"
    drift = abs(s.price - reference) * HUNDRED / reference
    if drift <= s.limits.price_drift_percent:
        return ""
    return f"price moved {drift:.3f} % since the decision, at most {s.limits.price_drift_percent} %"


def _order_notional(s: Situation) -> str:
    cap = percent_of(s.limits.order_notional_percent, s.book.equity)
    return "" if s.notional <= cap else f"order of {s.notional:.2f} exceeds {cap:.2f}"


def _position_limit(s: Situation) -> str:
    after = abs(s.held + s.book.working.get(s.candidate.symbol, ZERO) + s.signed) * s.price
    cap = percent_of(s.limits.position_percent, s.book.equity)
    return "" if after <= cap else f"position would be {after:.2f}, at most {cap:.2f}"


def _exposure_limit(s: Situation) -> str:
    gross = ZERO
    for symbol in {*s.book.positions, *s.book.working}:
        quantity = s.book.positions.get(symbol, ZERO) + s.book.working.get(symbol, ZERO)
        if quantity == ZERO:
            continue
        price = s.book.prices.get(symbol)
        if price is None:
            return f"no price of {symbol}, which is held: the exposure is not known"
        gross += abs(quantity) * price
    cap = percent_of(s.limits.exposure_percent, s.book.equity)
    after = gross + s.notional
    return "" if after <= cap else f"exposure would be {after:.2f}, at most {cap:.2f}"


def _position_count(s: Situation) -> str:
    symbols = {symbol for symbol, quantity in s.book.positions.items() if quantity != ZERO}
    symbols |= {symbol for symbol, quantity in s.book.working.items() if quantity != ZERO}
    number = len(symbols | {s.candidate.symbol})
    if number <= s.limits.positions_max:
        return ""
    return f"there would be {number} positions, at most {s.limits.positions_max}"


def _funds(s: Situation) -> str:
    kept = percent_of(s.limits.buying_power_reserve_percent, s.book.buying_power)
    free = s.book.buying_power - s.book.reserved - kept
    need = cost_to_reserve(s)
    return "" if need <= free else f"needs {need:.2f}, {free:.2f} is free"


def _order_rate(s: Situation) -> str:
    if s.book.orders_last_minute + 1 > s.limits.orders_per_minute:
        return f"{s.book.orders_last_minute} orders in the last minute"
    if s.book.orders_last_day + 1 > s.limits.orders_per_day:
        return f"{s.book.orders_last_day} orders in the last day"
    return ""


def _one_opening(s: Situation) -> str:
    if s.candidate.symbol in s.book.opening_symbols:
        return f"an entry into {s.candidate.symbol} is open already"
    return ""


def _symbol_free(s: Situation) -> str:
    if s.candidate.symbol in s.book.locked_symbols:
        return f"{s.candidate.symbol} is locked: an order of unknown outcome or a parked saga"
    return ""


def _confident(s: Situation) -> str:
    confidence = s.candidate.confidence
    if confidence is not None and s.limits.confidence_min <= confidence <= 1:
        return ""
    return f"confidence {confidence} is not between {s.limits.confidence_min} and 1"


_ALWAYS: tuple[tuple[str, Rule], ...] = (
    ("SYMBOL_NOT_TRADABLE", _tradable),
    ("MARKET_CLOSED", _market_open),
    ("ORDER_INVALID", _order_valid),
    ("ACTIVE_ORDERS", _active_orders),
    ("WASH_TRADE", _one_order_per_symbol),
    ("EXIT_TOO_LARGE", _exit_not_too_large),
    ("ACCOUNT_BLOCKED", _account_usable),
)
_ENTRIES: tuple[tuple[str, Rule], ...] = (
    ("LADDER", _entries_allowed),
    ("SHORT_NOT_ALLOWED", _no_short),
    ("ENTRY_CUTOFF", _before_cutoff),
    ("DECISION_EXPIRED", _decision_fresh),
    ("QUOTE_STALE", _quote_fresh),
    ("PRICE_DRIFT", _price_stable),
    ("ORDER_NOTIONAL", _order_notional),
    ("POSITION_LIMIT", _position_limit),
    ("EXPOSURE_LIMIT", _exposure_limit),
    ("POSITION_COUNT", _position_count),
    ("INSUFFICIENT_FUNDS", _funds),
    ("ORDER_RATE", _order_rate),
    ("DUPLICATE_ORDER", _one_opening),
    ("SYMBOL_LOCKED", _symbol_free),
    ("LOW_CONFIDENCE", _confident),
)


def codes() -> Iterator[str]:
    """Every deny code, in the order in which the rules run."""
    return (code for code, _ in (*_ALWAYS, *_ENTRIES))
