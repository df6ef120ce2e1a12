"""The reading operations: strategies, the list of cycles, one cycle."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from litestar import get
from litestar.params import PathParameter, QueryParameter

from tradesaga.api.agent_control import OperationsPort
from tradesaga.api.answers import StrategiesAnswer, strategies_answer
from tradesaga.api.cycle_answers import (
    CycleRecordAnswer,
    CyclesAnswer,
    cycle_record_answer,
    cycles_answer,
)
from tradesaga.api.problems import failures, invalid, shown
from tradesaga.api.requests import CYCLES_MAX
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.ids import CycleId


@get(
    "/strategies",
    operation_id="listStrategies",
    summary="List strategies",
    responses=failures(400, 503),
    tags=["strategies"],
)
async def list_strategies(operations: OperationsPort) -> StrategiesAnswer:
    """All strategies by name, with their figures."""
    return strategies_answer(await operations.strategies())


@get(
    "/cycles",
    operation_id="listCycles",
    summary="List cycles",
    responses=failures(400, 503),
    tags=["cycles"],
)
async def list_cycles(
    operations: OperationsPort,
    limit: Annotated[
        int,
        QueryParameter(
            ge=1, le=CYCLES_MAX, description="a whole number from 1 to 1000: how many cycles"
        ),
    ] = 20,
    status: Annotated[
        Literal["completed", "failed", "cancelled"] | None,
        QueryParameter(description="completed, failed or cancelled: only such cycles"),
    ] = None,
) -> CyclesAnswer:
    """The latest cycles, latest first, those that still run included unless `status` is given."""
    wanted = None if status is None else CycleStatus(status)
    return cycles_answer(await operations.cycles(limit=limit, status=wanted))


@get(
    "/cycles/{cycleId:str}",
    operation_id="getCycle",
    summary="Get a cycle",
    responses=failures(400, 404, 503),
    tags=["cycles"],
)
async def get_cycle(
    operations: OperationsPort,
    cycle_id: Annotated[
        str,
        PathParameter(
            name="cycleId",
            description="the id of a cycle, a UUID",
            schema_extra={"format": "uuid"},
        ),
    ],
) -> CycleRecordAnswer:
    """One cycle with its decisions, orders and log lines."""
    try:
        found = await operations.cycle(CycleId(UUID(cycle_id)))
    except ValueError as error:
        problem = f"cycleId is {shown(cycle_id)}: it takes the id of a cycle, a UUID"
        raise invalid([problem]) from error
    return cycle_record_answer(found)
