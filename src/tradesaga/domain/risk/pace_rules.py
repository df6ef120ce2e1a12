"""Rules on repetition and loss: how often, how soon again, how much was lost, what failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from tradesaga.domain.money import HUNDRED, ZERO
from tradesaga.domain.risk.situation import Situation
from tradesaga.domain.risk.state_rules import STOPS_PAUSE, at_most, missing
from tradesaga.domain.risk.verdicts import Finding, Value, digits

EXITS_KEPT: Final = 10
"""Places among the active orders that only exits may take."""


def order_rate(s: Situation) -> Finding:
    """Orders of the account and the strategy, entries of the cycle and the hour; the first over."""
    pace, limits = s.pace, s.limits
    checks = [
        (pace.last_minute, limits.orders_per_minute, "in the last minute"),
        (pace.last_day, limits.orders_per_day, "in the last day"),
    ]
    if not s.candidate.is_paced:
        checks += [
            (pace.strategy_last_minute, limits.strategy_orders_per_minute,
             "of the strategy in the last minute"),
            (pace.strategy_last_day, limits.strategy_orders_per_day,
             "of the strategy in the last day"),
            (pace.entries_in_cycle, limits.entries_per_cycle, "(entries) in this cycle"),
            (pace.entries_last_hour, limits.entries_per_hour, "(entries) in the last hour"),
        ]  # fmt: skip
    for number, limit, what in checks:
        if not number + 1 <= limit:
            because = f"{number} orders {what}, at most {limit}"
            return Finding(False, number + 1, limit, because, "fewer orders, or later")
    return Finding(True, pace.last_minute + 1, limits.orders_per_minute)


def active_orders(s: Situation) -> Finding:
    """Open orders in all, with places kept for exits, and one entry per symbol."""
    limit = max(0, s.limits.active_orders_max - (0 if s.is_exit else EXITS_KEPT))
    if not s.is_exit and s.candidate.symbol in s.book.opening_symbols:
        because = f"an entry into {s.candidate.symbol} is open already"
        return Finding(False, 2, 1, because, "wait until it has ended")
    if s.book.active_orders + 1 <= limit:
        return Finding(True, s.book.active_orders + 1, limit)
    because = f"{s.book.active_orders} orders are open, at most {limit}"
    return Finding(False, s.book.active_orders + 1, limit, because, "wait until one has ended")


def duplicate_order(s: Situation) -> Finding:
    """One intent per decision, and no equal order shortly after another unless it is meant."""
    window = s.limits.duplicate_window
    if s.pace.is_decided:
        return Finding(False, "again", None, "the decision has its order already", "a new decision")
    if s.pace.same_at is None or s.candidate.may_repeat:
        return Finding(True, None, window)
    return _later(s, s.pace.same_at, window, "an equal order was made")


def wash_trade(s: Situation) -> Finding:
    """No own order is open on the other side."""
    working = s.working
    if working == ZERO or (working > ZERO) == (s.signed > ZERO):
        return Finding(True, working)
    because = f"an own order of {working} is open on the other side of {s.candidate.symbol}"
    return Finding(False, working, None, because, "cancel it and see the verdict")


def cooldown(s: Situation) -> Finding:
    """No re-entry soon after an exit, later after a stop, and a pause after many stops."""
    pace, limits = s.pace, s.limits
    if pace.stops_last_day >= limits.stops_per_day and pace.last_stop_at is not None:
        found = _later(
            s, pace.last_stop_at, STOPS_PAUSE, f"stop {pace.stops_last_day} of the day was"
        )
        if not found.passed:
            return found
    delay = limits.reentry_delay
    if pace.exit_at is None:
        return Finding(True, None, delay)
    if pace.stop_at is not None and pace.stop_at >= pace.exit_at:
        delay = limits.reentry_delay_after_stop
    return _later(s, pace.exit_at, delay, f"{s.candidate.symbol} was left")


def daily_loss(s: Situation) -> Finding:
    """What was lost since the session began, realised or not."""
    base, limit = s.conditions.equity_at_open, s.limits.daily_loss_percent
    return _loss(s, base, limit, "the equity when the session began")


def drawdown(s: Situation) -> Finding:
    """What was lost since the highest equity."""
    return _loss(s, s.conditions.equity_peak, s.limits.drawdown_percent, "the highest equity")


def decision_failures(s: Situation) -> Finding:
    """The decision maker has not failed several times in a row."""
    failures, limit = s.conditions.decision_failures, s.limits.decision_failures_max
    if failures is None:
        return missing("the failures of the decision maker", limit)
    return at_most(failures, limit - 1, "failures of the decision maker in a row")


def crash_loop(s: Situation) -> Finding:
    """The orchestrator has not restarted again and again."""
    restarts, limit = s.conditions.restarts_last_day, s.limits.restarts_per_day
    if restarts is None:
        return missing("the restarts of the last day", limit)
    return at_most(restarts, limit - 1, "restarts in the last day")


def decision_budget(s: Situation) -> Finding:
    """The day's decisions have not cost more than they may."""
    spent, limit = s.conditions.decisions_spent, s.limits.decision_budget
    if spent is None:
        return missing("what the decisions of the day have cost", limit)
    if spent <= limit:
        return Finding(True, spent, limit)
    because = f"the decisions of the day have cost {digits(spent)}, at most {digits(limit)}"
    return Finding(False, spent, limit, because, "the next day, or a larger decisionBudget")


def repeated_execution(s: Situation) -> Finding:
    """No strategy enters one symbol on one side again and again without a person's look."""
    limit, number = s.limits.repeats_max, s.pace.repeats
    if s.conditions.throttled:
        passes = "a person's word: `tradesaga acknowledge REPEATED_EXECUTION`"
        return Finding(False, number, limit, s.conditions.throttled, passes)
    if s.candidate.is_paced or number + 1 <= limit:
        return Finding(True, number, limit)
    because = f"{number} equal-sided entries of the strategy in a day, at most {limit}"
    return Finding(False, number + 1, limit, because, "a person's word")


def _loss(s: Situation, base: Decimal | None, limit: Decimal, what: str) -> Finding:
    if base is None or not base > ZERO:
        return missing(what, limit)
    lost = (base - s.book.equity) * HUNDRED / base
    if lost < limit:
        return Finding(True, lost, limit)
    least = digits(base - base * limit / HUNDRED)
    because = f"{lost:.3f} % of {what} is lost, less than {limit} % is allowed"
    return Finding(False, lost, limit, because, f"an equity above {least}")


def _later(s: Situation, then: datetime, delay: timedelta, what: str) -> Finding:
    since: Value = s.now - then
    if s.now - then >= delay:
        return Finding(True, since, delay)
    because = f"{what} {s.now - then} ago, at least {delay} must pass"
    return Finding(False, since, delay, because, f"from {(then + delay).isoformat()}")
