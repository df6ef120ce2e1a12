"""What one batch of decisions has been allowed before any of it is an open trade."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from tradesaga.domain import risk
from tradesaga.domain.decisions import Action, Decision
from tradesaga.domain.ids import DecisionId, StrategyId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Side
from tradesaga.domain.risk import Candidate, Situation
from tradesaga.engine.order_pace import Repeat


@dataclass(slots=True)
class Batch:
    """What this batch of decisions has been allowed already, before any of it is an open trade."""

    working: dict[str, Decimal] = field(default_factory=dict)
    reserved: Decimal = ZERO
    opening: set[str] = field(default_factory=set)
    orders: int = 0
    by_strategy: Counter[StrategyId | None] = field(default_factory=Counter)
    entries: int = 0
    basket: Decimal = ZERO
    equal: set[tuple[str, Side, Decimal]] = field(default_factory=set)
    repeated: Counter[Repeat] = field(default_factory=Counter)
    decided: set[DecisionId] = field(default_factory=set)

    def add(self, situation: Situation, decision: Decision) -> None:
        """Count an allowed candidate."""
        symbol = situation.candidate.symbol
        self.working[symbol] = self.working.get(symbol, ZERO) + situation.signed
        self.reserved += risk.cost_to_reserve(situation)
        self.orders += 1
        self.by_strategy[decision.strategy_id] += 1
        self.equal.add(traits_of(situation.candidate))
        self.decided.add(decision.id)
        if risk.is_opening(situation):
            self.opening.add(symbol)
            self.repeated[repeat_of(situation.candidate, decision.strategy_id)] += 1
            self.entries += 1
            self.basket += situation.notional


def repeat_of(candidate: Candidate, strategy_id: StrategyId | None) -> Repeat:
    """What an entry has in common with those that it repeats."""
    side = Side.BUY if candidate.action is Action.BUY else Side.SELL
    return strategy_id, candidate.symbol, side


def traits_of(candidate: Candidate) -> tuple[str, Side, Decimal]:
    """What two orders have in common that count as equal."""
    side = Side.BUY if candidate.action is Action.BUY else Side.SELL
    quantity = candidate.quantity if candidate.quantity.is_finite() else ZERO
    return candidate.symbol, side, quantity
