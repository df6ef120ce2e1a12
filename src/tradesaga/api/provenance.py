"""How a decision came about and what became of it, in one answer: from the quote to the position.

Everything is read from what was committed, and hangs under one correlation id: the decision's,
which is its question's too. Question, answer, the events of its sagas, the requests to the trading
engine and the log bear it. Only the cycle, which is about many decisions, has another.
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
from tradesaga.api.problems import failures, invalid, shown
from tradesaga.api.saga_answers import SagaRecordAnswer, saga_record_answer
from tradesaga.api.trade_answers import PositionAnswer, position_answer
from tradesaga.api.why import RiskPort, RuleAnswer, rules_of
from tradesaga.ports.risk_operations import Provenance

TAGS = ["risk"]
NAME_LETTERS_MAX = 128
"""Of an id; the venue chooses its own."""


class ProvenanceAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """`correlationId` is the id of all of it; `asked` is false for what nobody asked for.

    `inputs` are the figures that the rules saw, `marketData` what the cycle had fetched. `sagas`
    are whole, with venue reports, attempts and fills; `position` is that of now.
    """

    correlation_id: str
    asked: bool
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
            description="the correlation id, or an id of the decision, its saga or its order",
            schema_extra={"pattern": "^[!-~]+$", "maxLength": NAME_LETTERS_MAX},
        ),
    ],
) -> ProvenanceAnswer:
    """Inputs, question, verdict, approval, sagas with orders and fills, position, timings."""
    return _answer(await risk.provenance(_name(decision_id)))


def _name(text: str) -> str:
    """The name in a path; what no id can be is a bad request."""
    if len(text) > NAME_LETTERS_MAX or not all("!" <= letter <= "~" for letter in text):
        problem = f"decisionId is {shown(text)}: it takes the id of a decision, a saga or an order"
        raise invalid([problem])
    return text


def _answer(traced: Provenance) -> ProvenanceAnswer:
    decision, stored = traced.decision, traced.decision.rules
    return ProvenanceAnswer(
        correlation_id=traced.correlation_id,
        asked=traced.asked,
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
