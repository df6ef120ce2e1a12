"""Why an order was or was not made: for a decision, or for a symbol at a time."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter, SkipValidation
from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.problems import failures
from tradesaga.api.sagas import SYMBOL
from tradesaga.api.times import moment_of, moment_parameter
from tradesaga.api.uuids import uuid_of
from tradesaga.domain.ids import DecisionId
from tradesaga.domain.risk import RULES
from tradesaga.ports.risk_operations import RiskOperations, Why

RiskPort = NamedDependency[SkipValidation[RiskOperations]]
TAGS = ["risk"]
_NUMBERS = {rule.code: rule.number for rule in RULES}


class RuleAnswer(Struct, frozen=True, kw_only=True):
    """What one rule said; `passes` is what it would have let pass. Figures are text."""

    number: int | None
    code: str
    outcome: str
    value: str
    limit: str
    because: str
    passes: str


class JudgedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision as it was judged; `code` is that of `ACTION_UNKNOWN` denials too."""

    decision_id: str
    cycle_id: str | None
    strategy_id: str | None
    action: str
    verdict: str
    quantity: Decimal
    decided_at: Timestamp


class WhyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """`blocked` are the rules that denied, `rules` all of them, `reasons` why nobody decided."""

    symbol: str
    at: Timestamp
    summary: str
    decision: JudgedAnswer | None
    blocked: list[RuleAnswer]
    blocked_at_execution: list[RuleAnswer]
    rules: list[RuleAnswer]
    inputs: dict[str, str]
    reasons: list[str]


@get(
    "/decisions/{decisionId:str}/why",
    operation_id="whyDecision",
    summary="Say what every rule said of a decision",
    responses=failures(400, 404, 503),
    tags=TAGS,
)
async def why_decision(
    risk: RiskPort,
    decision_id: Annotated[
        str,
        PathParameter(
            name="decisionId",
            description="the id of a decision, a UUID",
            schema_extra={"format": "uuid"},
        ),
    ],
) -> WhyAnswer:
    """Which rule blocked it, by how much, and what would have passed."""
    return why_answer(await risk.why_decision(decision_id_of(decision_id)))


def decision_id_of(text: str) -> DecisionId:
    """The id in a path; any other text is a bad request."""
    return DecisionId(uuid_of("decisionId", text, "a decision"))


@get(
    "/why",
    operation_id="why",
    summary="Say why a symbol was or was not traded at a time",
    responses=failures(400, 503),
    tags=TAGS,
)
async def why(
    risk: RiskPort,
    symbol: Annotated[
        str, QueryParameter(pattern=SYMBOL, description="a symbol, at most 32 characters")
    ],
    at: Annotated[
        str | None,
        moment_parameter("without it now"),
    ] = None,
) -> WhyAnswer:
    """The last decision on the symbol at that time, or why nobody decided."""
    return why_answer(await risk.why(symbol, moment_of("at", at)))


def why_answer(why: Why) -> WhyAnswer:
    """`why` in the API's words."""
    decision, later = why.decision, rules_of(why.denied_at_execution or {})
    stored: Mapping[str, Any] = {} if decision is None else decision.rules
    rules = rules_of(stored)
    blocked = [rule for rule in rules if rule.outcome == "denied"]
    if decision is not None and not blocked:
        blocked = [_plain(denial.code, denial.message) for denial in decision.denials]
    again = [rule for rule in later if rule.outcome == "denied"]
    return WhyAnswer(
        symbol=why.symbol,
        at=stamp(why.at),
        summary=_summary(why, blocked, again),
        decision=_judged(why),
        blocked=blocked,
        blocked_at_execution=again,
        rules=rules,
        inputs=dict(stored.get("inputs", {})),
        reasons=list(why.reasons),
    )


def rules_of(stored: Mapping[str, Any]) -> list[RuleAnswer]:
    """The rules of a stored judgement, in the order in which they ran."""
    answers = []
    for code, row in stored.get("rules", {}).items():
        outcome, value, limit, because, passes = (*row, "", "", "", "")[:5]
        answers.append(
            RuleAnswer(
                number=_NUMBERS.get(code),
                code=code,
                outcome=outcome,
                value=value,
                limit=limit,
                because=because,
                passes=passes,
            )
        )
    return sorted(answers, key=lambda rule: rule.number or 0)


def _plain(code: str, message: str) -> RuleAnswer:
    return RuleAnswer(
        number=_NUMBERS.get(code),
        code=code,
        outcome="denied",
        value="",
        limit="",
        because=message,
        passes="",
    )


def _judged(why: Why) -> JudgedAnswer | None:
    decision = why.decision
    if decision is None:
        return None
    return JudgedAnswer(
        decision_id=str(decision.id),
        cycle_id=None if decision.cycle_id is None else str(decision.cycle_id),
        strategy_id=None if decision.strategy_id is None else str(decision.strategy_id),
        action=decision.action,
        verdict=decision.verdict,
        quantity=decision.quantity,
        decided_at=stamp(decision.created_at),
    )


def _summary(why: Why, blocked: list[RuleAnswer], again: list[RuleAnswer]) -> str:
    decision = why.decision
    if decision is None:
        return f"nobody decided on {why.symbol}: {'; '.join(why.reasons)}"
    if blocked:
        return f"{decision.action} {decision.symbol} was denied by {_names(blocked)}"
    if again:
        return f"{decision.action} {decision.symbol} was denied at execution by {_names(again)}"
    if decision.verdict == "held":
        return f"the decision on {decision.symbol} was to hold"
    return f"{decision.action} {decision.symbol} was allowed by every rule"


def _names(rules: list[RuleAnswer]) -> str:
    return ", ".join(rule.code for rule in rules)
