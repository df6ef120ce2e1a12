"""Who had the agent, and what each process that took it over found and did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import get
from msgspec import Struct

from tradesaga.api.agent_control import OperationsPort
from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.pages import PAGE_USUAL, Cursor, Limit, Listing
from tradesaga.api.problems import failures
from tradesaga.domain.checkpoint import Checkpoint


def _place(key: list[int | str]) -> tuple[int, datetime]:
    epoch, at = key
    moment = datetime.fromisoformat(str(at))
    if not isinstance(epoch, int) or not 0 <= epoch < 2**63 or moment.tzinfo is None:
        raise ValueError("no place of a checkpoint")
    return epoch, moment


LISTING = Listing(name="checkpoints", key=lambda place: (place[0], stamp(place[1])), place=_place)


class CheckpointAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One checkpoint; `changed` names what differs from the one before it.

    `report` holds for `recovered`: cyclesCancelled, sagasFound, sagasEnded, waitingForPerson and
    sagas (sagaId, symbol, found, now, filled; the first 100); for `handed_over`: sagasOpen.
    """

    id: str
    occasion: str
    taken_at: Timestamp
    epoch: int
    lineage: int
    release: str
    code: str
    configuration: str
    strategies: str
    changed: list[str]
    report: dict[str, Any]


class CheckpointsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of checkpoints, the latest first."""

    checkpoints: list[CheckpointAnswer]
    next_cursor: str | None


@get(
    "/checkpoints",
    operation_id="listCheckpoints",
    summary="List checkpoints",
    responses=failures(400, 503),
    tags=["monitoring"],
)
async def list_checkpoints(
    operations: OperationsPort,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> CheckpointsAnswer:
    """One for each process that took the agent over, and for each that handed it over."""
    found = await operations.checkpoints(limit=limit + 1, after=LISTING.after(cursor))
    page, following = LISTING.page(found, limit, lambda one: (one.epoch, one.taken_at))
    return CheckpointsAnswer(checkpoints=[_answer(one) for one in page], next_cursor=following)


def _answer(one: Checkpoint) -> CheckpointAnswer:
    return CheckpointAnswer(
        id=str(one.id),
        occasion=one.occasion,
        taken_at=stamp(one.taken_at),
        epoch=one.epoch,
        lineage=one.lineage,
        release=one.release,
        code=one.code,
        configuration=one.configuration,
        strategies=one.strategies,
        changed=list(one.changed),
        report=dict(one.report),
    )
