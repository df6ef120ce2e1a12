"""Orders that no decision maker proposed: the close of a position, a leg of a rebalance.

Each becomes a decision row of its own that says who wanted it and why, so that every order, also
such a one, is what an allowed decision says. All ids are functions of origin, key, leg and
strategy: an instruction is carried out once, however often it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.decisions import Action, Proposal
from tradesaga.domain.ids import AgentId, CycleId, DecisionId, SagaId, StrategyId, derived
from tradesaga.domain.trade_start import OPERATOR_EXIT, Start, saga_id_of


class Origin(StrEnum):
    """Who instructs; stored as the decision's `model` and at the head of its external id."""

    OPERATOR = "operator"  # a person closes a position, whatever the agent's status
    EXIT = "exit"  # a position is closed on behalf of a strategy or a limit
    REBALANCE = "rebalance"


SAGA_TYPES = {
    Origin.OPERATOR: "position_close",
    Origin.EXIT: "position_close",
    Origin.REBALANCE: "rebalance_leg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One order to make. `key` names the giver's act (a request, a cycle): the same on a repeat."""

    origin: Origin
    key: str
    symbol: str
    action: Action
    quantity: Decimal
    reason: str
    actor: str
    leg: int = 0
    strategy_id: StrategyId | None = None
    cycle_id: CycleId | None = None

    def decision_id(self, agent_id: AgentId) -> DecisionId:
        """The id of its decision, of another kind than those of decision makers."""
        parts = self.origin, self.key, self.leg, self.strategy_id or ""
        return DecisionId(derived(agent_id, "instruction", *parts))

    def saga_id(self, agent_id: AgentId) -> SagaId:
        """The id of its saga."""
        return saga_id_of(self.decision_id(agent_id), SAGA_TYPES[self.origin])

    def start(self) -> Start:
        """What its saga is called and how its order is marked."""
        purpose = OPERATOR_EXIT if self.origin is Origin.OPERATOR else None
        return Start(type=SAGA_TYPES[self.origin], leg=self.leg, purpose=purpose)

    def proposal(self, now: datetime, price: Decimal | None) -> Proposal:
        """It as the risk rules judge it: like any proposal, with full confidence."""
        return Proposal(
            external_id=f"{self.origin}:{self.key}:{self.leg}",
            symbol=self.symbol,
            action=self.action,
            confidence=Decimal(1),
            reasoning=self.reason,
            said_at=now,
            suggested_quantity=self.quantity,
            suggested_price=price,
            model=self.origin,
        )
