"""The audit log and the decisions of an agent, by pages."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.pages import PAGE_USUAL, Cursor, Limit, by_number, by_time
from tradesaga.api.problems import failures
from tradesaga.api.sagas import Symbol
from tradesaga.api.times import moment_of, moment_parameter
from tradesaga.api.uuids import uuid_of
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.ids import AgentId, CycleId
from tradesaga.ports.history import DecisionQuery, History, LoggedRow, LogQuery

DECISIONS = by_time("decisions")
BEGINNING: Final = r"^[!-~]{1,200}$"
HistoryPort = NamedDependency[SkipValidation[History]]
_decode: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


class LoggedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One row of the audit log; `hash` is that of the chain up to it, hexadecimal.

    `eventType` and `eventId` are those of the event that left with it, if one did.
    """

    seq: int
    at: Timestamp
    epoch: int
    action: str
    subject: str
    actor: str
    body: dict[str, Any]
    event_type: str | None
    event_id: str | None
    correlation_id: str | None
    causation_id: str | None
    hash: str


class AuditAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of the audit log, the latest row first."""

    entries: list[LoggedAnswer]
    next_cursor: str | None


class ListedDecision(Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision in the list; `denials` are the codes of the rules that said no."""

    id: str
    external_id: str
    cycle_id: str | None
    strategy_id: str | None
    symbol: str
    action: str
    confidence: Decimal
    quantity: Decimal
    reference_price: Decimal
    verdict: str
    denials: list[str]
    created_at: Timestamp


class DecisionsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of decisions, the latest first."""

    decisions: list[ListedDecision]
    next_cursor: str | None


@get(
    "/audit",
    operation_id="listAudit",
    summary="List the audit log",
    responses=failures(400, 503),
    tags=["audit"],
)
async def list_audit(
    history: HistoryPort,
    since: Annotated[str | None, moment_parameter("rows from then on", "from")] = None,
    until: Annotated[str | None, moment_parameter("rows before then", "to")] = None,
    by: Annotated[
        str | None,
        QueryParameter(
            name="actor",  # a handler's `actor` is who asks
            pattern=BEGINNING,
            description="how the actor begins, as engine or api:ann, in ASCII",
        ),
    ] = None,
    action: Annotated[
        str | None,
        QueryParameter(
            pattern=BEGINNING, description="how the action begins, as agent. or kill, in ASCII"
        ),
    ] = None,
    agent: Annotated[
        str | None,
        QueryParameter(
            description="the id of the agent whose log it is, a UUID; without it that of the path",
            schema_extra={"format": "uuid"},
        ),
    ] = None,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> AuditAnswer:
    """Everything that was done, by whom, the latest first; `tradesaga audit` checks the chain."""
    agent_id = None if agent is None else AgentId(uuid_of("agent", agent, "an agent"))
    listing = by_number("audit log" if agent_id is None else f"audit log of {agent_id}")
    query = LogQuery(
        limit=limit + 1,
        agent_id=agent_id,
        before=listing.after(cursor),
        since=moment_of("from", since),
        until=moment_of("to", until),
        actor=by,
        kind=action,
    )
    page, following = listing.page(await history.log(query), limit, lambda row: row.seq)
    return AuditAnswer(entries=[_logged(row) for row in page], next_cursor=following)


@get(
    "/decisions",
    operation_id="listDecisions",
    summary="List decisions",
    responses=failures(400, 503),
    tags=["risk"],
)
async def list_decisions(
    history: HistoryPort,
    symbol: Symbol = None,
    cycle: Annotated[
        str | None,
        QueryParameter(description="the id of a cycle, a UUID", schema_extra={"format": "uuid"}),
    ] = None,
    outcome: Annotated[
        Literal["allowed", "denied", "held", "shadow"] | None,
        QueryParameter(description="the verdict: allowed, denied, held or shadow"),
    ] = None,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> DecisionsAnswer:
    """Decisions by creation, the latest first; `GET /decisions/{decisionId}` has all of one."""
    query = DecisionQuery(
        limit=limit + 1,
        after=DECISIONS.after(cursor),
        symbol=symbol,
        cycle_id=None if cycle is None else CycleId(uuid_of("cycle", cycle, "a cycle")),
        verdict=None if outcome is None else Verdict(outcome),
    )
    found = await history.decisions(query)
    page, following = DECISIONS.page(found, limit, lambda one: (one.created_at, one.id))
    return DecisionsAnswer(decisions=[_listed(one) for one in page], next_cursor=following)


def _logged(row: LoggedRow) -> LoggedAnswer:
    return LoggedAnswer(
        seq=row.seq,
        at=stamp(row.at),
        epoch=row.epoch,
        action=row.kind,
        subject=row.subject,
        actor=row.actor,
        body=_decode(row.body),
        event_type=row.event_type,
        event_id=row.event_id,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        hash=row.hash.hex(),
    )


def _listed(one: Decision) -> ListedDecision:
    return ListedDecision(
        id=str(one.id),
        external_id=one.external_id,
        cycle_id=None if one.cycle_id is None else str(one.cycle_id),
        strategy_id=None if one.strategy_id is None else str(one.strategy_id),
        symbol=one.symbol,
        action=one.action,
        confidence=one.confidence,
        quantity=one.quantity,
        reference_price=one.reference_price,
        verdict=one.verdict,
        denials=[denial.code for denial in one.denials],
        created_at=stamp(one.created_at),
    )
