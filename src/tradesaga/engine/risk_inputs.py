"""What the risk rules are told of earlier orders and of the strategy: read, never waited for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from tradesaga.domain import risk
from tradesaga.domain.decisions import Action, Decision, Proposal
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.ladder import Cause, Reason, Scope, ScopeKind
from tradesaga.domain.money import ZERO, floor_to, is_usable, percent_of
from tradesaga.domain.risk import Candidate, Limits, Pace
from tradesaga.domain.risk.size_rules import SLIPPAGE
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_start import saga_id_of
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.risk_batch import Batch, repeat_of, traits_of
from tradesaga.engine.trade_desk import TradeDesk

WHOLE: Final = Decimal(1)
HALF: Final = Decimal(50)


def pace_of(
    desk: TradeDesk,
    candidate: Candidate,
    decision: Decision,
    batch: Batch,
    now: datetime,
    *,
    throttle: Reason | None,
) -> Pace:
    """How often was ordered; `throttle` is when the strategy last waited for a person."""
    pace, strategy = desk.holdings.pace, decision.strategy_id
    traits, of_cycle = traits_of(candidate), pace.of_cycle(decision.cycle_id)
    repeat, since = repeat_of(candidate, strategy), None if throttle is None else throttle.since
    return Pace(
        last_minute=pace.minute.count(now) + batch.orders,
        last_day=pace.day.count(now) + batch.orders,
        strategy_last_minute=pace.minute.of_strategy(strategy, now) + batch.by_strategy[strategy],
        strategy_last_day=pace.day.of_strategy(strategy, now) + batch.by_strategy[strategy],
        entries_last_hour=pace.entries.count(now) + batch.entries,
        entries_in_cycle=of_cycle.number + batch.entries,
        basket=of_cycle.value + batch.basket,
        same_at=now if traits in batch.equal else pace.equal_at(*traits),
        is_decided=decision.id in batch.decided or saga_id_of(decision.id) in desk.trades,
        exit_at=pace.left_at(candidate.symbol),
        stop_at=pace.stopped_at(candidate.symbol),
        stops_last_day=pace.stops(now),
        last_stop_at=pace.stopped_at(),
        repeats=pace.repeats(repeat, now, since) + batch.repeated[repeat],
    )


def throttle_of(ladder: LadderState, strategy_id: StrategyId | None) -> Reason | None:
    """That the strategy waits for a person's look, or did and was let go on."""
    if strategy_id is None:
        return None
    return ladder.ladder.standing(Cause.REPEATED_EXECUTION, scope_of(strategy_id))


def scope_of(strategy_id: StrategyId) -> Scope:
    """Orders of one strategy."""
    return Scope(ScopeKind.STRATEGY, str(strategy_id))


def quantity_of(
    proposal: Proposal,
    action: Action,
    strategy: Strategy | None,
    desk: TradeDesk,
    limits: Limits,
    *,
    price: Decimal | None,
    equity: Decimal,
    is_canary: bool | None,
    imagined: Mapping[str, Decimal] | None,
) -> Decimal:
    """As proposed; else the strategy's whole holding, or half of what one order may cost.

    A canary's order is small already: it takes all that it may at a slightly worse price.
    """
    if proposal.suggested_quantity is not None:
        return proposal.suggested_quantity
    owner = strategy.id if strategy else None
    held = (
        desk.holdings.of_strategy(owner, proposal.symbol)
        if imagined is None
        else imagined.get(proposal.symbol, ZERO)
    )
    if held != ZERO and (held > ZERO) != (action is Action.BUY):
        return abs(held)
    if price is None or not is_usable(price):
        return ZERO
    budget = risk.order_budget(limits, equity)
    part = HALF if is_canary is False else min(HALF, limits.canary_percent / SLIPPAGE)
    return floor_to(max(ZERO, percent_of(part, budget)) / price, WHOLE)
