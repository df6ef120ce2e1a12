"""The table of rules, in their order, and how they are run: all of them, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import localcontext
from typing import Final

from tradesaga.domain.decisions import Denial
from tradesaga.domain.risk import pace_rules, size_rules, state_rules
from tradesaga.domain.risk.situation import Situation
from tradesaga.domain.risk.verdicts import (
    Finding,
    Judgement,
    Outcome,
    RuleVerdict,
    Value,
)

Check = Callable[[Situation], Finding]
UNABLE: Final = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What a rule raises that meets something it was not made for; it denies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`binds_exits` says whether an exit must obey it too."""

    number: int
    code: str
    check: Check
    binds_exits: bool


def _rule(number: int, code: str, check: Check, exits: str) -> Rule:
    return Rule(number=number, code=code, check=check, binds_exits=exits == "bound")


RULES: Final = (
    _rule(1, "LADDER", state_rules.ladder, "bound"),
    _rule(2, "STALE_EPOCH", state_rules.stale_epoch, "bound"),
    _rule(3, "SYMBOL_NOT_TRADABLE", state_rules.tradable, "bound"),
    _rule(4, "MARKET_CLOSED", state_rules.market_open, "bound"),
    _rule(5, "DECISION_EXPIRED", state_rules.decision_fresh, "bypass"),
    _rule(6, "QUOTE_STALE", state_rules.quote_fresh, "bypass"),
    _rule(7, "PRICE_DRIFT", state_rules.price_drift, "bypass"),
    _rule(8, "PRICE_COLLAR", state_rules.price_collar, "bypass"),
    _rule(9, "ORDER_INVALID", size_rules.order_valid, "bound"),
    _rule(10, "ORDER_NOTIONAL", size_rules.order_notional, "bypass"),
    _rule(11, "POSITION_LIMIT", size_rules.position_limit, "bypass"),
    _rule(12, "EXPOSURE_LIMIT", size_rules.exposure_limit, "bypass"),
    _rule(13, "LEVERAGE_LIMIT", size_rules.leverage_limit, "bypass"),
    _rule(14, "POSITION_COUNT", size_rules.position_count, "bypass"),
    _rule(15, "SECTOR_LIMIT", size_rules.sector_limit, "bypass"),
    _rule(16, "INSUFFICIENT_FUNDS", size_rules.funds, "bound"),
    _rule(17, "ORDER_RATE", pace_rules.order_rate, "bypass"),
    _rule(18, "ACTIVE_ORDERS", pace_rules.active_orders, "bound"),
    _rule(19, "DUPLICATE_ORDER", pace_rules.duplicate_order, "bound"),
    _rule(20, "WASH_TRADE", pace_rules.wash_trade, "bound"),
    _rule(21, "COOLDOWN", pace_rules.cooldown, "bypass"),
    _rule(22, "DAILY_LOSS", pace_rules.daily_loss, "bypass"),
    _rule(23, "DRAWDOWN", pace_rules.drawdown, "bypass"),
    _rule(24, "DECISION_FAILURES", pace_rules.decision_failures, "bypass"),
    _rule(25, "CRASH_LOOP", pace_rules.crash_loop, "bypass"),
    _rule(26, "DECISION_BUDGET", pace_rules.decision_budget, "bypass"),
    _rule(27, "MARGIN", size_rules.margin, "bypass"),
    _rule(28, "SYMBOL_LOCKED", state_rules.symbol_free, "bypass"),
    _rule(29, "CLOCK_SKEW", state_rules.clock_skew, "bypass"),
    _rule(30, "CANARY_SIZE", size_rules.canary_size, "bypass"),
    _rule(31, "LOW_CONFIDENCE", state_rules.confident, "bypass"),
    _rule(32, "EXIT_TOO_LARGE", size_rules.exit_not_too_large, "bound"),
    _rule(33, "APPROVAL_REQUIRED", state_rules.approved, "bypass"),
    _rule(34, "SHORT_NOT_ALLOWED", state_rules.short_allowed, "bypass"),
    _rule(35, "ENTRY_CUTOFF", state_rules.before_cutoff, "bypass"),
    _rule(36, "BASKET_LIMIT", size_rules.basket_limit, "bypass"),
    _rule(37, "ACCOUNT_BLOCKED", state_rules.account_usable, "bound"),
    _rule(38, "REPEATED_EXECUTION", pace_rules.repeated_execution, "bypass"),
)


def codes() -> Iterator[str]:
    """Every deny code, in the order in which the rules run."""
    return (rule.code for rule in RULES)


def is_opening(situation: Situation) -> bool:
    """Whether the order makes or increases a position."""
    return not situation.is_exit


def judge(situation: Situation) -> Judgement:
    """What every rule says; none is left out because another has said no."""
    with localcontext() as arithmetic:
        arithmetic.clear_traps()  # comparing with what is not a number is false and does not raise
        is_exit = situation.is_exit
        verdicts = tuple([_verdict(rule, situation, is_exit=is_exit) for rule in RULES])
        return Judgement(verdicts=verdicts, inputs=_inputs(situation))


def denials(situation: Situation) -> tuple[Denial, ...]:
    """All rules that say no; empty means allowed."""
    return judge(situation).denials


def _verdict(rule: Rule, situation: Situation, *, is_exit: bool) -> RuleVerdict:
    if rule.code in situation.conditions.off:
        return RuleVerdict(code=rule.code, outcome=Outcome.OFF, finding=Finding(True))
    try:
        finding = rule.check(situation)
    except UNABLE as error:
        because = f"the rule could not be applied: {type(error).__name__} {error}"
        finding = Finding(False, None, None, because, "inputs that the rule can read")
    if finding.passed:
        outcome = Outcome.PASSED
    elif is_exit and not rule.binds_exits:
        outcome = Outcome.BYPASSED
    else:
        outcome = Outcome.DENIED
    return RuleVerdict(code=rule.code, outcome=outcome, finding=finding)


def _inputs(s: Situation) -> dict[str, Value]:
    """The figures that several rules share; what one rule measured is in its finding."""
    quote, book = s.candidate.quote, s.book
    return {
        "at": s.now,
        "side": "exit" if s.is_exit else "entry",
        "action": s.candidate.action,
        "quantity": s.candidate.quantity,
        "price": s.price,
        "bid": None if quote is None else quote.bid,
        "ask": None if quote is None else quote.ask,
        "quoteAt": None if quote is None else quote.at,
        "referencePrice": s.candidate.reference_price,
        "asOf": s.candidate.as_of,
        "confidence": s.candidate.confidence,
        "equity": book.equity,
        "buyingPower": book.buying_power,
        "reserved": book.reserved,
        "held": s.held,
        "working": s.working,
        "activeOrders": book.active_orders,
    }
