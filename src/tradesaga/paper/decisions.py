"""The simulated ai-decision service's judgement: rule signals into BUY, SELL or HOLD proposals.

A decision is a function of the request and of the bars that were over when it was asked, so a
repeat of the request, or a restart in between, gives the same answer. Signals are computed once per
(rule, parameters, symbol), bar by bar, across sessions, and kept; nothing needs to be stored.

Long only: a SELL comes only where the request says that something is held, for all of it. HOLD says
why. No entries shortly before the close, where open positions are given up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Any

from tradesaga.domain.market import SessionKind
from tradesaga.paper.minutes import MINUTE, minute_of
from tradesaga.paper.prices import Prices, tick_of
from tradesaga.paper.rules import Rule, Signal, rule_of
from tradesaga.paper.sessions import session_at
from tradesaga.paper.strategies import Definition, Parameters, RuleType, checked

ENTRY_MARGIN = 2
"""Entries end this many times earlier before the close than positions are given up."""
MEMORIES_MAX = 10_000
PERCENT = Decimal(100)


class Action(StrEnum):
    """What is proposed."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: of which symbol, by which rule, in which position, as of when."""

    symbol: str
    strategy_id: str
    as_of: datetime
    rule: str | None = None
    parameters: Mapping[str, Any] | None = None
    held: Decimal = Decimal(0)
    entry_price: Decimal | None = None
    equity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The answer; `facts` are indicator values, and `strength` 0 to 1 how clear the signal is."""

    action: Action
    confidence: Decimal
    reasoning: str
    model: str
    facts: tuple[tuple[str, float], ...] = ()
    strength: float = 0.0
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


@dataclass(slots=True)
class _Memory:
    """One rule on one symbol, as far as it has been fed."""

    rule: Rule
    minutes: list[int] = field(default_factory=list)
    signals: list[Signal | None] = field(default_factory=list)


class Judgement:
    """Answers questions from recorded bars."""

    def __init__(self, prices: Prices, definitions: Iterable[Definition]) -> None:
        self._prices = prices
        self._by_name = {definition.name: definition for definition in definitions}
        self._memories: dict[tuple[object, ...], _Memory] = {}

    def decide(self, question: Question) -> Proposal:
        """The proposal for one question; anything that cannot be judged is HOLD with the reason."""
        if question.symbol not in self._prices.symbols:
            return _hold(f"{question.symbol} is not in the recorded data")
        problems: list[str] = []
        rule = self._rule(question, problems)
        if rule is None:
            return _hold("; ".join(problems))
        kind, parameters = rule
        model = f"rules:{kind}:v1"
        over = minute_of(question.as_of) - 1
        memory = self._memory(question.symbol, kind, parameters, question.as_of)
        index = bisect_right(memory.minutes, over) - 1
        signal = memory.signals[index] if index >= 0 else None
        if signal is None:
            return _hold(f"{kind} is warming up, {index + 1} bars are over", model=model)
        bar = self._prices.closes(question.symbol, memory.minutes[index] - 1, question.as_of)[0]
        judged = _judged(question, signal, parameters, bar.close, fresh=bar.minute == over)
        return _proposal(judged, question, signal, parameters, close=bar.close, model=model)

    def _rule(self, question: Question, problems: list[str]) -> tuple[RuleType, Parameters] | None:
        if question.rule is None:
            known = self._by_name.get(question.strategy_id)
            if known is None:
                problems.append(
                    f"strategy {question.strategy_id} is not known here and the request "
                    "carries no context.strategy"
                )
                return None
            return known.type, known.parameters
        if question.rule not in list(RuleType):
            problems.append(f"{question.rule} is no rule; there are {', '.join(RuleType)}")
            return None
        kind = RuleType(question.rule)
        parameters = checked(kind, question.parameters or {}, problems)
        return None if problems else (kind, parameters)

    def _memory(
        self, symbol: str, kind: RuleType, parameters: Parameters, as_of: datetime
    ) -> _Memory:
        key = (symbol, kind, *sorted(parameters.items()))
        memory = self._memories.get(key)
        if memory is None:
            if len(self._memories) >= MEMORIES_MAX:
                self._memories.pop(next(iter(self._memories)))  # recomputed if asked for again
            memory = self._memories[key] = _Memory(rule_of(kind, parameters))
        after = memory.minutes[-1] if memory.minutes else -1
        for bar in self._prices.closes(symbol, after, as_of):
            memory.minutes.append(bar.minute)
            memory.signals.append(memory.rule.update(float(bar.close)))
        return memory


@dataclass(frozen=True, slots=True)
class _Judged:
    action: Action
    reason: str
    certain: bool = False  # a rule of time or loss, not of an indicator


def _judged(
    question: Question, signal: Signal, parameters: Parameters, close: Decimal, *, fresh: bool
) -> _Judged:
    """BUY, SELL or HOLD, and why."""
    margin = int(parameters["exit_before_close_minutes"])
    left = _until_close(question.as_of)
    if question.held > 0:
        if left is not None and left <= margin * MINUTE:
            return _Judged(Action.SELL, f"{margin} minutes before the close", certain=True)
        level = _level_broken(question, parameters, close)
        if level is not None:
            return _Judged(Action.SELL, level, certain=True)
        if signal.exit:
            return _Judged(Action.SELL, "exit condition holds")
        return _Judged(Action.HOLD, "position is held, no exit condition")
    if not signal.entry:
        return _Judged(Action.HOLD, "no entry at this bar")
    if not fresh:
        return _Judged(Action.HOLD, "the last minute had no trade, its signal is not fresh")
    if left is None or left <= ENTRY_MARGIN * margin * MINUTE:
        return _Judged(Action.HOLD, "no entries outside the session or shortly before its close")
    return _Judged(Action.BUY, "entry condition came about")


def _proposal(
    judged: _Judged,
    question: Question,
    signal: Signal,
    parameters: Parameters,
    *,
    close: Decimal,
    model: str,
) -> Proposal:
    seen = ", ".join(f"{name} {value:.4f}" for name, value in signal.facts)
    reasoning = f"{judged.reason} ({seen}, close {close})"
    if judged.action is Action.HOLD:
        return _hold(reasoning, model=model, signal=signal)
    quantity = question.held
    stop_loss = take_profit = None
    if judged.action is Action.BUY:
        quantity = _size(question, parameters, close)
        if quantity <= 0:
            return _hold(f"the allocation does not buy one share ({seen})", model=model)
        stop_loss = _moved(close, -parameters["stop_loss_percent"])
        take_profit = _moved(close, parameters["take_profit_percent"])
    strength = 1.0 if judged.certain else signal.strength
    return Proposal(
        action=judged.action,
        confidence=Decimal(str(round(0.72 + 0.23 * strength, 2))),
        reasoning=reasoning,
        model=model,
        facts=signal.facts,
        strength=strength,
        quantity=quantity,
        price=close,
        stop_loss=stop_loss,
        take_profit=take_profit,
    )


def _hold(reason: str, *, model: str = "rules:none:v1", signal: Signal | None = None) -> Proposal:
    return Proposal(
        action=Action.HOLD,
        confidence=Decimal("0.5"),
        reasoning=reason,
        model=model,
        facts=() if signal is None else signal.facts,
    )


def _until_close(now: datetime) -> timedelta | None:
    """Time left of the regular session; None outside of it."""
    session = session_at(now)
    if session is None or session.kind_at(now) is not SessionKind.REGULAR:
        return None
    return session.close - now


def _level_broken(question: Question, parameters: Parameters, close: Decimal) -> str | None:
    entry = question.entry_price
    if entry is None or entry <= 0:
        return None
    moved = (close - entry) / entry * PERCENT
    if moved <= -Decimal(str(parameters["stop_loss_percent"])):
        return f"stop loss, {moved:.2f} % from entry"
    if moved >= Decimal(str(parameters["take_profit_percent"])):
        return f"take profit, {moved:.2f} % from entry"
    return None


def _size(question: Question, parameters: Parameters, close: Decimal) -> Decimal:
    if question.equity is None:
        return Decimal(str(parameters["quantity"]))
    allocation = question.equity * Decimal(str(parameters["allocation_percent"])) / PERCENT
    return (allocation / close).quantize(Decimal(1), ROUND_DOWN)


def _moved(price: Decimal, percent: float) -> Decimal:
    moved = price + price * Decimal(str(percent)) / PERCENT
    return moved.quantize(tick_of(price))
