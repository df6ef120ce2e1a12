"""What a rule may look at: the order, the account, how often was ordered, what other parts say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from tradesaga.domain.decisions import Action
from tradesaga.domain.market import Calendar, Quote
from tradesaga.domain.money import ZERO
from tradesaga.domain.risk.limits import Limits


class Approval(StrEnum):
    """Whether a named operator must agree to the order, and has; ASKED before the order is made."""

    NOT_NEEDED = "not_needed"
    GIVEN = "given"
    ASKED = "asked"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often was ordered, this order not counted; stored orders, so that a restart forgets none.

    `same_at` is when an equal order (symbol, side, quantity) was made last and not refused,
    `is_decided` whether the decision has its intent already. `basket` is the value of the cycle's
    entries so far. `exit_at` and `stop_at` are of the symbol, `last_stop_at` is of any.
    `repeats` counts the day's entries of the strategy into the symbol on the same side, since a
    person last let it go on.
    """

    last_minute: int = 0
    last_day: int = 0
    strategy_last_minute: int = 0
    strategy_last_day: int = 0
    entries_last_hour: int = 0
    entries_in_cycle: int = 0
    basket: Decimal = ZERO
    same_at: datetime | None = None
    is_decided: bool = False
    exit_at: datetime | None = None
    stop_at: datetime | None = None
    stops_last_day: int = 0
    repeats: int = 0
    last_stop_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The account with its open orders; quantities and values signed.

    `positions` maps symbol to quantity held, `working` to the open orders' signed quantity,
    `prices` to the last known price. `reserved` is the buying power that open sagas hold, and
    what fills have cost since the account was read. `sectors` maps symbol to sector.
    """

    equity: Decimal
    buying_power: Decimal
    reserved: Decimal
    positions: Mapping[str, Decimal]
    working: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    active_orders: int = 0
    opening_symbols: frozenset[str] = frozenset()
    locked_symbols: frozenset[str] = frozenset()
    sectors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The order that a decision would make, with what it was decided on.

    `is_paced` marks a leg of a rebalance: it counts for the account alone. `may_repeat` marks an
    order that is meant to equal the one before.
    """

    symbol: str
    action: Action
    quantity: Decimal
    confidence: Decimal | None
    reference_price: Decimal | None
    as_of: datetime
    quote: Quote | None
    limit_price: Decimal | None = None
    is_paced: bool = False
    may_repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What other parts know. None is not known, and denies an entry unless the code is in `off`.

    `off` names the rules for whose inputs this installation has no source. An empty refusal
    allows. `decisions_spent` is what the day's decisions have cost, `throttled` why the strategy
    waits for a person.
    """

    rung: str | None = None
    entries_refused: str = ""
    exits_refused: str = ""
    epoch_decided: int | None = None
    epoch_held: int | None = None
    halted_symbols: frozenset[str] = frozenset()
    equity_at_open: Decimal | None = None
    equity_peak: Decimal | None = None
    decision_failures: int | None = None
    restarts_last_day: int | None = None
    decisions_spent: Decimal | None = None
    throttled: str = ""
    clock_skew: timedelta | None = None
    day_trades: int | None = None
    is_canary: bool | None = None
    approval: Approval | None = None
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a rule may look at."""

    candidate: Candidate
    book: Book
    pace: Pace
    limits: Limits
    conditions: Conditions
    calendar: Calendar
    hours_only: bool
    closed_by_event: bool
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
    def working(self) -> Decimal:
        """The signed quantity that open orders on the symbol may still fill."""
        return self.book.working.get(self.candidate.symbol, ZERO)

    @property
    def is_exit(self) -> bool:
        """Whether it reduces a position that we hold (past zero or not)."""
        return self.held < ZERO if self.candidate.action is Action.BUY else self.held > ZERO

    @property
    def price(self) -> Decimal:
        """What one unit would cost: its limit, else the side of the quote, else the reference."""
        if self.candidate.limit_price is not None:
            return self.candidate.limit_price
        quote = self.candidate.quote
        side = None
        if quote is not None:
            side = quote.ask if self.candidate.action is Action.BUY else quote.bid
        return side or self.candidate.reference_price or ZERO

    @property
    def notional(self) -> Decimal:
        """Quantity times price."""
        return self.candidate.quantity * self.price


def worst(held: Decimal, working: Decimal) -> Decimal:
    """The largest position that may come of it, in size: an open order may fill or not at all.

    So an exit that works gives no room before it has filled.
    """
    return greatest(abs(held), abs(held + working))


def greatest(one: Decimal, other: Decimal) -> Decimal:
    """The greater of both; no number when one of them is none, which `max` may hide."""
    if one >= other:
        return one
    return other if other > one else one + other
