"""The degradation ladder and the kill switch: look, halt, re-arm, acknowledge.

A kill is taken with as little as possible, and answers with Postgres and NATS down: every field of
its body is optional, and an empty body halts everything. Letting go takes a name and a reason.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from msgspec import Meta, Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.problems import failures, invalid
from tradesaga.api.requests import TEXT_CHARACTERS_MAX, OptionalBody
from tradesaga.api.saga_requests import REASON_PATTERN, Reason
from tradesaga.domain import ladder as machine
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung, Scope, ScopeKind
from tradesaga.ports.ladder_operations import Killed, LadderOperations, LadderView

LadderPort = NamedDependency[SkipValidation[LadderOperations]]
TAGS: Final = ["ladder"]

ScopeName = Annotated[
    Literal["all", "strategy", "symbol"],
    Meta(description="all, or strategy or symbol with `subject`; all when left out"),
]
Subject = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=REASON_PATTERN,
        description="the strategy's id or external id, or the symbol; belongs to those scopes",
    ),
]
PlainText = Annotated[
    str, Meta(max_length=TEXT_CHARACTERS_MAX, description="text of at most 1000 characters")
]
Operator = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=REASON_PATTERN,
        description="the name of the person who answers for it, 1 to 200 characters, not blank",
    ),
]


class KillRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of kill; every field is optional. `rung` REDUCE_ONLY cancels entries, lets exits go."""

    scope: ScopeName = "all"
    subject: Subject | None = None
    reason: PlainText = ""
    who: PlainText = ""
    rung: Annotated[
        Literal["HALTED", "REDUCE_ONLY"], Meta(description="HALTED, or REDUCE_ONLY")
    ] = "HALTED"


class RearmRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of rearm: nobody re-arms without a name, a reason and saying so twice."""

    operator: Operator
    reason: Reason
    confirm: Annotated[
        bool,
        Meta(
            description="true: orders are sent again from then on",
            extra_json_schema={"const": True},
        ),
    ]
    scope: ScopeName = "all"
    subject: Subject | None = None


class AcknowledgeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of acknowledge."""

    cause: Annotated[
        Literal[tuple(Cause.__members__)],  # type: ignore[valid-type]  # the causes, as they are
        Meta(description="a cause that stands, as the ladder names it"),
    ]
    operator: Operator
    scope: ScopeName = "all"
    subject: Subject | None = None


class ReasonAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One reason that stands; `exit` says what ends it."""

    cause: str
    rung: str
    scope: str
    subject: str
    detail: str
    since: Timestamp
    who: str
    exit: str
    acknowledged_by: str


class UnresolvedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An order without a verdict when the kill's time was up; its saga goes on."""

    client_order_id: str
    venue_order_id: str | None
    symbol: str
    said: str


class KilledAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a kill has done so far.

    `marked`: a file on this machine keeps it halted. `recorded`: the database has it; it is
    written when it can be. `orders` were open, for `asked` the cancel is out, `ended` are settled.
    """

    scope: str
    subject: str
    at: Timestamp
    marked: bool
    recorded: bool
    orders: int
    asked: int
    ended: int
    unresolved: list[UnresolvedAnswer]


class LadderAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is in force for everything, each reason that stands, and the last kill."""

    rung: str
    recorded: bool
    reasons: list[ReasonAnswer]
    halted: list[str]
    last_kill: KilledAnswer | None


class RearmedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many reasons were ended, and what stands on."""

    ended: list[ReasonAnswer]
    ladder: LadderAnswer


EVERYTHING: Final = KillRequest()


@get(
    "/ladder",
    operation_id="getLadder",
    summary="Get the degradation ladder",
    responses=failures(400),
    tags=TAGS,
)
async def get_ladder(ladder: LadderPort) -> LadderAnswer:
    """What is in force, and why; asks neither database nor neighbours."""
    return ladder_answer(await ladder.ladder())


@post(
    "/kill",
    operation_id="kill",
    summary="Halt trading",
    operation_class=OptionalBody,
    responses=failures(400, 413, 415),
    status_code=200,
    tags=TAGS,
)
async def kill(
    ladder: LadderPort, actor: Actor, data: JSONBody[KillRequest] = EVERYTHING
) -> KilledAnswer:
    """Send nothing any more, cancel own working entries; works with Postgres and NATS down."""
    who = f"{actor} {data.who}".rstrip()
    scope = _scope(data.scope, data.subject)
    return killed_answer(
        await ladder.kill(scope, reason=data.reason, who=who, rung=Rung(data.rung))
    )


@post(
    "/rearm",
    operation_id="rearm",
    summary="Re-arm what was halted",
    responses=failures(400, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def rearm(ladder: LadderPort, actor: Actor, data: JSONBody[RearmRequest]) -> RearmedAnswer:
    """End what was halted in just that scope, under the operator's name."""
    if not data.confirm:
        raise invalid(["confirm is false: it takes true, orders are sent again from then on"])
    scope = _scope(data.scope, data.subject)
    operator = f"{actor} {data.operator}"
    done = await ladder.rearm(scope, operator=operator, reason=data.reason)
    return RearmedAnswer(
        ended=[_reason_answer(r) for r in done.ended], ladder=ladder_answer(done.view)
    )


@post(
    "/ladder/acknowledge",
    operation_id="acknowledge",
    summary="Acknowledge a cause",
    responses=failures(400, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def acknowledge(
    ladder: LadderPort, actor: Actor, data: JSONBody[AcknowledgeRequest]
) -> LadderAnswer:
    """Say that a person knows of a cause: it goes, or has less effect while it goes on."""
    scope = _scope(data.scope, data.subject)
    operator = f"{actor} {data.operator}"
    return ladder_answer(await ladder.acknowledge(Cause(data.cause), scope, operator=operator))


def ladder_answer(view: LadderView) -> LadderAnswer:
    """The answer about `view`."""
    return LadderAnswer(
        rung=view.rung,
        recorded=view.recorded,
        reasons=[_reason_answer(reason) for reason in view.ladder.reasons],
        halted=[scope.name for scope in view.halted],
        last_kill=None if view.last_kill is None else killed_answer(view.last_kill),
    )


def killed_answer(killed: Killed) -> KilledAnswer:
    """The answer about a kill."""
    return KilledAnswer(
        scope=killed.scope.kind,
        subject=killed.scope.subject,
        at=stamp(killed.at),
        marked=killed.marked,
        recorded=killed.recorded,
        orders=killed.orders,
        asked=killed.asked,
        ended=killed.ended,
        unresolved=[
            UnresolvedAnswer(
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                symbol=order.symbol,
                said=order.said,
            )
            for order in killed.unresolved
        ],
    )


def _reason_answer(reason: machine.Reason) -> ReasonAnswer:
    return ReasonAnswer(
        cause=reason.cause,
        rung=reason.rung,
        scope=reason.scope.kind,
        subject=reason.scope.subject,
        detail=reason.detail,
        since=stamp(reason.since),
        who=reason.who,
        exit=reason.exit,
        acknowledged_by=reason.acknowledged_by,
    )


def _scope(kind: str, subject: str | None) -> Scope:
    """The scope that the two fields say together."""
    if (kind == ScopeKind.ALL) is not (subject is None):
        said = "belongs to scope strategy or symbol" if subject else f"is missing for {kind}"
        raise invalid([f"subject: {said}"])
    return EVERYWHERE if subject is None else Scope(ScopeKind(kind), subject)
