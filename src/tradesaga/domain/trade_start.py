"""The trade that an allowed decision makes: saga, reservation and intent, all ids derived.

One decision makes one saga, whoever executes it and however often: the ids are functions of the
decision's id, so a second attempt meets the first one's rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import (
    DecisionId,
    OrderId,
    ReservationId,
    SagaId,
    client_order_id,
    derived_beside,
)
from tradesaga.domain.orders import Order, OrderType, Reservation, Side
from tradesaga.domain.saga import Saga
from tradesaga.domain.trade_messages import Policy, TradeState
from tradesaga.domain.trade_plan import PLAN

FIRST_LEG = 0
OPERATOR_EXIT = "operator_exit"
"""The purpose of an order that a person gave: it is sent also while the agent is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a trade is called: the type of its saga, its leg, its purpose if it is a special one."""

    type: str = PLAN.type
    leg: int = FIRST_LEG
    purpose: str | None = None


EXECUTION = Start()


def saga_id_of(decision_id: DecisionId, saga_type: str = PLAN.type) -> SagaId:
    """The id of the saga that a decision makes."""
    return SagaId(derived_beside(decision_id, decision_id, saga_type))


def trade_for(
    decision: Decision,
    *,
    reserve: Decimal,
    now: datetime,
    policy: Policy,
    start: Start = EXECUTION,
) -> TradeState:
    """A pending trade over `decision.quantity` at the market, with `reserve` set aside."""
    assert decision.action is not Action.HOLD, decision
    assert decision.verdict is Verdict.ALLOWED, decision
    saga_id = saga_id_of(decision.id, start.type)
    name = str(saga_id)
    purpose = start.purpose or ("entry" if decision.opening else "exit")
    saga = Saga(
        id=saga_id,
        agent_id=decision.agent_id,
        type=start.type,
        decision_id=decision.id,
        strategy_id=decision.strategy_id,
        cycle_id=decision.cycle_id,
        symbol=decision.symbol,
        created_at=now,
        updated_at=now,
        deadline_at=now + policy.saga_time_max,
    )
    order = Order(
        id=OrderId(derived_beside(saga_id, name, start.leg, purpose)),
        agent_id=decision.agent_id,
        saga_id=saga_id,
        decision_id=decision.id,
        strategy_id=decision.strategy_id,
        cycle_id=decision.cycle_id,
        leg=start.leg,
        purpose=purpose,
        client_order_id=client_order_id(saga_id, start.leg, purpose, name=name),
        symbol=decision.symbol,
        side=Side.BUY if decision.action is Action.BUY else Side.SELL,
        quantity=decision.quantity,
        type=OrderType.MARKET,
        limit_price=None,
        time_in_force="day",
        opening=decision.opening,
        reference_price=decision.reference_price,
        # Late is better than never for an order that reduces risk: only the saga's time binds it.
        expires_at=decision.expires_at if decision.opening else saga.deadline_at,
        created_at=now,
    )
    reservation = Reservation(
        id=ReservationId(derived_beside(saga_id, name, "reservation")),
        agent_id=decision.agent_id,
        saga_id=saga_id,
        symbol=decision.symbol,
        amount=reserve,
        created_at=now,
    )
    return TradeState(saga=saga, order=order, reservation=reservation)
