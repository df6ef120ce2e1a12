"""The operations on orders that wait for a named operator: the list, yes and no."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation
from msgspec import Meta, Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.pages import PAGE_USUAL, Cursor, Limit, by_time
from tradesaga.api.problems import failures
from tradesaga.api.saga_requests import REASON_PATTERN, Reason
from tradesaga.api.uuids import uuid_of
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.ids import ApprovalId
from tradesaga.ports.approval_operations import ApprovalOperations

LISTING = by_time("approvals")
TAGS = ["approvals"]
ApprovalsPort = NamedDependency[SkipValidation[ApprovalOperations]]
ApprovalName = Annotated[
    str,
    PathParameter(
        name="approvalId",
        description="the id of an approval, a UUID",
        schema_extra={"format": "uuid"},
    ),
]


class ApprovalRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of approve and deny."""

    by: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern=REASON_PATTERN,
            description="the name of the person who decides: text of 1 to 200 characters that is "
            "not blank, in one line",
        ),
    ]
    reason: Reason


class ApprovalAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An order that waits or waited; `sagaId` is that of the order once it is consumed."""

    id: str
    state: str
    symbol: str
    side: str
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    time_in_force: str
    reference_price: Decimal
    strategy_id: str | None
    decision_id: str
    saga_id: str
    digest: str
    created_at: Timestamp
    expires_at: Timestamp
    decided_by: str | None
    decided_at: Timestamp | None
    reason: str


class ApprovalsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of approvals, the latest first."""

    approvals: list[ApprovalAnswer]
    next_cursor: str | None


@get(
    "/approvals",
    operation_id="listApprovals",
    summary="List approvals",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_approvals(
    approvals: ApprovalsPort,
    standing: Annotated[
        Literal["pending", "consumed", "denied", "expired"] | None,
        QueryParameter(
            name="state",  # a handler's `state` is the framework's
            description="pending, consumed, denied or expired",
        ),
    ] = None,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> ApprovalsAnswer:
    """Orders that an operator was asked about, the latest first."""
    state = None if standing is None else ApprovalState(standing)
    found = await approvals.approvals(limit=limit + 1, state=state, after=LISTING.after(cursor))
    page, following = LISTING.page(found, limit, lambda one: (one.created_at, one.id))
    return ApprovalsAnswer(approvals=[approval_answer(one) for one in page], next_cursor=following)


@post(
    "/approvals/{approvalId:str}/approve",
    operation_id="approveOrder",
    summary="Approve an order",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def approve(
    approvals: ApprovalsPort,
    actor: Actor,
    approval_id: ApprovalName,
    data: JSONBody[ApprovalRequest],
) -> ApprovalAnswer:
    """Run all risk rules again on fresh quotes, and begin the order if none says no."""
    found = _id_of(approval_id)
    done = await approvals.approve(found, by=data.by, reason=data.reason, actor=actor)
    return approval_answer(done)


@post(
    "/approvals/{approvalId:str}/deny",
    operation_id="denyOrder",
    summary="Deny an order",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def deny(
    approvals: ApprovalsPort,
    actor: Actor,
    approval_id: ApprovalName,
    data: JSONBody[ApprovalRequest],
) -> ApprovalAnswer:
    """The order is never made."""
    found = _id_of(approval_id)
    return approval_answer(await approvals.deny(found, by=data.by, reason=data.reason, actor=actor))


def _id_of(approval_id: str) -> ApprovalId:
    return ApprovalId(uuid_of("approvalId", approval_id, "an approval"))


def approval_answer(one: Approval) -> ApprovalAnswer:
    """One approval."""
    return ApprovalAnswer(
        id=str(one.id),
        state=one.state,
        symbol=one.symbol,
        side=one.side,
        quantity=one.quantity,
        type=one.type,
        limit_price=one.limit_price,
        time_in_force=one.time_in_force,
        reference_price=one.reference_price,
        strategy_id=None if one.strategy_id is None else str(one.strategy_id),
        decision_id=str(one.decision_id),
        saga_id=str(one.saga_id),
        digest=one.digest,
        created_at=stamp(one.created_at),
        expires_at=stamp(one.expires_at),
        decided_by=one.decided_by,
        decided_at=stamp_or_none(one.decided_at),
        reason=one.reason,
    )
