"""How a decision came about and what became of it, in one answer: from the quote to the position.

Everything is read from what was committed. The ids under `correlation` are those that the events
bear: the cycle's on its own events, else the request's, which is the decision's as well, from the
question to the last word of its sagas.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get
from litestar.params import PathParameter
from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.approvals import ApprovalAnswer, approval_answer
from tradesaga.api.cycle_answers import (
    CycleAnswer,
    DecisionAnswer,
    LogAnswer,
    cycle_answer,
    decision_answer,
    log_answer,
)
from tradesaga.api.problems import failures
from tradesaga.api.saga_answers import SagaRecordAnswer, saga_record_answer
from tradesaga.api.trade_answers import PositionAnswer, position_answer
from tradesaga.api.why import RiskPort, RuleAnswer, decision_id_of, rules_of
from tradesaga.ports.risk_operations import Provenance

TAGS = ["risk"]


class CorrelationAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Under which ids the events about it travel; `requestId` null: nobody asked for it."""

    cycle_id: str | None
    request_id: str | None
    decision_id: str


class ProvenanceAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """`inputs` are the figures that the rules saw, `marketData` what the cycle had fetched.

    `sagas` are whole, with venue reports, attempts and fills; `position` is that of now.
    """

    correlation: CorrelationAnswer
    market_data: dict[str, Any]
    cycle: CycleAnswer | None
    asked_at: Timestamp
    decision: DecisionAnswer
    rules: list[RuleAnswer]
    inputs: dict[str, str]
    denied_at_execution: list[RuleAnswer]
    approval: ApprovalAnswer | None
    sagas: list[SagaRecordAnswer]
    position: PositionAnswer | None
    logs: list[LogAnswer]


@get(
    "/decisions/{decisionId:str}",
    operation_id="getDecision",
    summary="Trace a decision from its market data to the position",
    responses=failures(400, 404, 503),
    tags=TAGS,
)
async def get_decision(
    risk: RiskPort,
    decision_id: Annotated[
        str,
        PathParameter(
            name="decisionId",
            description="the id of a decision, a UUID",
            schema_extra={"format": "uuid"},
        ),
    ],
) -> ProvenanceAnswer:
    """Inputs, question, verdict, approval, sagas with orders and fills, position, timings."""
    return _answer(await risk.provenance(decision_id_of(decision_id)))


def _answer(traced: Provenance) -> ProvenanceAnswer:
    decision, stored = traced.decision, traced.decision.rules
    return ProvenanceAnswer(
        correlation=CorrelationAnswer(
            cycle_id=None if decision.cycle_id is None else str(decision.cycle_id),
            request_id=traced.request_id,
            decision_id=str(decision.id),
        ),
        market_data=dict(traced.market_data),
        cycle=None if traced.cycle is None else cycle_answer(traced.cycle),
        asked_at=stamp(decision.as_of),
        decision=decision_answer(decision),
        rules=rules_of(stored),
        inputs=dict(stored.get("inputs", {})),
        denied_at_execution=rules_of(traced.denied_at_execution or {}),
        approval=None if traced.approval is None else approval_answer(traced.approval),
        sagas=[saga_record_answer(trade) for trade in traced.trades],
        position=None if traced.position is None else position_answer(traced.position),
        logs=[log_answer(line) for line in traced.logs],
    )
