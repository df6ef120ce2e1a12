"""Who had the agent, and what each process that took it over found and did."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get
from litestar.params import QueryParameter
from msgspec import Struct

from tradesaga.api.agent_control import OperationsPort
from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.problems import failures
from tradesaga.domain.checkpoint import Checkpoint

CHECKPOINTS_MAX = 1000


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
    """The latest checkpoints, latest first."""

    checkpoints: list[CheckpointAnswer]


@get(
    "/checkpoints",
    operation_id="listCheckpoints",
    summary="List checkpoints",
    responses=failures(400, 503),
    tags=["monitoring"],
)
async def list_checkpoints(
    operations: OperationsPort,
    limit: Annotated[
        int,
        QueryParameter(
            ge=1,
            le=CHECKPOINTS_MAX,
            description="a whole number from 1 to 1000: how many checkpoints",
        ),
    ] = 20,
) -> CheckpointsAnswer:
    """One for each process that took the agent over, and for each that handed it over."""
    found = await operations.checkpoints(limit=limit)
    return CheckpointsAnswer(checkpoints=[_answer(one) for one in found])


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
