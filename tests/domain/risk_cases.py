"""One order that every rule allows, and the small changes that tests of the rules make to it.

It buys 10 at 100 = 1,000 with an equity of 10,000: every limit in `LIMITS` is met exactly or with
room, and nothing is denied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tests.domain.limits import LIMITS, SESSION
from tests.domain.trades import SECOND, START
from tradesaga.domain import risk
from tradesaga.domain.decisions import Action
from tradesaga.domain.market import Calendar, Quote
from tradesaga.domain.risk import Approval, Book, Candidate, Conditions, Pace, Situation

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
CALM = Conditions(
    rung="NORMAL",
    epoch_decided=7,
    epoch_held=7,
    equity_at_open=D(10_000),
    equity_peak=D(10_000),
    decision_failures=0,
    restarts_last_day=0,
    decisions_spent=D(0),
    clock_skew=timedelta(),
    day_trades=0,
    is_canary=False,
    approval=Approval.NOT_NEEDED,
    off=frozenset({"SECTOR_LIMIT"}),
)
CONTROL = Situation(
    candidate=CANDIDATE,
    book=BOOK,
    pace=Pace(),
    limits=replace(LIMITS, canary_percent=D(10), decision_budget=D(5), repeats_max=4),
    conditions=CALM,
    calendar=Calendar(sessions=(SESSION,), first=SESSION.day, last=SESSION.day),
    hours_only=True,
    closed_by_event=False,
    tradable=frozenset({"ACME"}),
    cadence=5 * SECOND,
    now=NOW,
)
Change = Callable[[Situation], Situation]


def candidate(**changes: object) -> Change:
    return lambda s: replace(s, candidate=replace(s.candidate, **changes))  # type: ignore[arg-type]  # checked by replace


def book(**changes: object) -> Change:
    return lambda s: replace(s, book=replace(s.book, **changes))  # type: ignore[arg-type]  # checked by replace


def pace(**changes: object) -> Change:
    return lambda s: replace(s, pace=replace(s.pace, **changes))  # type: ignore[arg-type]  # checked by replace


def seen(**changes: object) -> Change:
    return lambda s: replace(s, conditions=replace(s.conditions, **changes))  # type: ignore[arg-type]  # checked by replace


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


def both(*changes: Change) -> Change:
    def change(s: Situation) -> Situation:
        for each in changes:
            s = each(s)
        return s

    return change


def sectors(held: int) -> Change:
    """BOLT, of the candidate's sector, is held at 50 each; the limit is 20 % = 2,000."""
    return both(
        seen(off=frozenset()),
        book(positions={"BOLT": D(held)}, sectors={"ACME": "tools", "BOLT": "tools"}),
    )


def codes(*changes: Change, of: Situation = CONTROL) -> set[str]:
    for change in changes:
        of = change(of)
    return {denial.code for denial in risk.denials(of)}


HELD = book(positions={"ACME": D(10)})
SELL = candidate(action=Action.SELL)

WIDE = limits(
    exposure_percent=D(100_000), leverage_max=D(1_000), position_percent=D(100_000),
    order_notional_percent=D(100_000),
)  # fmt: skip
