"""Strategies, the list of cycles, one cycle, and its cancel."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from tradesaga.api.agent_control import Actor, OperationsPort
from tradesaga.api.answers import StrategiesAnswer, strategies_answer
from tradesaga.api.cycle_answers import (
    CycleRecordAnswer,
    CyclesAnswer,
    cycle_record_answer,
    cycles_answer,
)
from tradesaga.api.pages import ALL_AT_ONCE, PAGE_USUAL, Cursor, Limit, by_time, cut
from tradesaga.api.problems import failures
from tradesaga.api.saga_requests import InterventionRequest
from tradesaga.api.uuids import uuid_of
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.ids import CycleId

CYCLES = by_time("cycles")
CycleName = Annotated[
    str,
    PathParameter(
        name="cycleId",
        description="the id of a cycle, a UUID",
        schema_extra={"format": "uuid"},
    ),
]


@get(
    "/strategies",
    operation_id="listStrategies",
    summary="List strategies",
    responses=failures(400, 503),
    tags=["strategies"],
)
async def list_strategies(
    operations: OperationsPort,
    status: Annotated[
        Literal["active", "paused", "stopped"] | None,
        QueryParameter(description="active, paused or stopped: only such strategies"),
    ] = None,
    limit: Limit = ALL_AT_ONCE,
    cursor: Cursor = None,
) -> StrategiesAnswer:
    """Strategies by name, with their figures."""
    found = [r for r in await operations.strategies() if status in (None, r.strategy.status)]
    return strategies_answer(
        *cut("strategies", found, limit, cursor, lambda r: (r.strategy.name, str(r.strategy.id)))
    )


@get(
    "/cycles",
    operation_id="listCycles",
    summary="List cycles",
    responses=failures(400, 503),
    tags=["cycles"],
)
async def list_cycles(
    operations: OperationsPort,
    limit: Limit = PAGE_USUAL,
    status: Annotated[
        Literal["completed", "failed", "cancelled"] | None,
        QueryParameter(description="completed, failed or cancelled: only such cycles"),
    ] = None,
    cursor: Cursor = None,
) -> CyclesAnswer:
    """The latest cycles, latest first, those that still run included unless `status` is given."""
    wanted = None if status is None else CycleStatus(status)
    found = await operations.cycles(limit=limit + 1, status=wanted, after=CYCLES.after(cursor))
    return cycles_answer(*CYCLES.page(found, limit, lambda cycle: (cycle.started_at, cycle.id)))


@get(
    "/cycles/{cycleId:str}",
    operation_id="getCycle",
    summary="Get a cycle",
    responses=failures(400, 404, 503),
    tags=["cycles"],
)
async def get_cycle(operations: OperationsPort, cycle_id: CycleName) -> CycleRecordAnswer:
    """One cycle with its decisions, orders and log lines."""
    return cycle_record_answer(await operations.cycle(_id_of(cycle_id)))


@post(
    "/cycles/{cycleId:str}/cancel",
    operation_id="cancelCycle",
    summary="Cancel a running cycle",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=["cycles"],
)
async def cancel_cycle(
    operations: OperationsPort,
    actor: Actor,
    cycle_id: CycleName,
    data: JSONBody[InterventionRequest],
) -> CycleRecordAnswer:
    """It asks for no more data or decisions; an order that it began goes on by its saga."""
    record = await operations.cancel_cycle(_id_of(cycle_id), reason=data.reason, actor=actor)
    return cycle_record_answer(record)


def _id_of(cycle_id: str) -> CycleId:
    return CycleId(uuid_of("cycleId", cycle_id, "a cycle"))
