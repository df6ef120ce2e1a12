"""A decision: what a decision maker proposes for one symbol, and what we made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tradesaga.domain.ids import AgentId, CycleId, DecisionId, StrategyId
from tradesaga.domain.money import ZERO, is_usable
from tradesaga.domain.values import quick


class Action(StrEnum):
    """What is proposed."""

    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"


class Verdict(StrEnum):
    """What the risk rules said; HELD is a HOLD, which never makes an order.

    SHADOW would have been ALLOWED, but is the decision of a shadow strategy.
    """

    HELD = "held"
    ALLOWED = "allowed"
    DENIED = "denied"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A decision as received: nothing in it is trusted but its being there.

    `said_at` is the time of the message, the same whenever it is delivered again.
    """

    external_id: str
    symbol: str
    action: str
    confidence: Decimal | None
    reasoning: str
    said_at: datetime
    request_id: str | None = None
    strategy_id: str | None = None
    suggested_quantity: Decimal | None = None
    suggested_price: Decimal | None = None
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """One rule that said no: its code, what it saw, what it would have let pass."""

    code: str
    message: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A validated proposal: `quantity` is what would be ordered, zero for a HOLD.

    `rules` is what every rule said, as `domain.risk.Judgement.stored` writes it; empty for a HOLD.
    """

    id: DecisionId
    external_id: str
    agent_id: AgentId
    cycle_id: CycleId | None
    strategy_id: StrategyId | None
    symbol: str
    action: Action
    confidence: Decimal
    quantity: Decimal
    reference_price: Decimal
    reasoning: str
    model: str
    as_of: datetime
    expires_at: datetime
    created_at: datetime
    verdict: Verdict = Verdict.HELD
    opening: bool = False
    denials: tuple[Denial, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)


def read_action(word: str) -> Action | None:
    """The action in any letter case; None when it is no action at all."""
    try:
        return Action(word.strip().lower())
    except ValueError:
        return None


def is_executable(proposal: Proposal) -> bool:
    """Whether the proposal could make an order at all: a known action and a sane quantity."""
    action = read_action(proposal.action)
    if action is None or action is Action.HOLD:
        return False
    quantity = proposal.suggested_quantity
    return quantity is None or (is_usable(quantity) and quantity > ZERO)
