"""The operations on sagas: the list, one saga, and what a person does about one that waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation

from tradesaga.api.agent_control import Actor
from tradesaga.api.pages import PAGE_USUAL, Cursor, Limit, by_time
from tradesaga.api.problem_kinds import WRONG_STATE
from tradesaga.api.problems import Refusal, failures
from tradesaga.api.saga_answers import (
    SagaRecordAnswer,
    SagasAnswer,
    saga_record_answer,
    sagas_answer,
)
from tradesaga.api.saga_requests import InterventionRequest, ResolveRequest
from tradesaga.api.uuids import uuid_of
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import CycleId, SagaId
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_intervention import allowed
from tradesaga.domain.trade_messages import Resolution, TradeState
from tradesaga.ports.saga_operations import SagaOperations
from tradesaga.ports.trade_records import Place, TradeQuery, TradeRecord

SYMBOL = r"^[A-Za-z0-9./_-]{1,32}$"
OPEN = frozenset(SagaStatus) - ENDS
LISTING = by_time("sagas")
TAGS = ["sagas"]
SagasPort = NamedDependency[SkipValidation[SagaOperations]]
Symbol = Annotated[
    str | None,
    QueryParameter(pattern=SYMBOL, description="a symbol: letters, digits and . / _ -, at most 32"),
]
State = Annotated[
    Literal[
        "open",
        "pending",
        "running",
        "compensating",
        "completed",
        "completed_partial",
        "compensated",
        "manual_required",
    ]
    | None,
    QueryParameter(
        name="state",  # a handler's `state` is the framework's
        description="open (all that have not ended), pending, running, compensating, completed, "
        "completed_partial, compensated or manual_required",
    ),
]
CycleName = Annotated[
    str | None,
    QueryParameter(
        description="the id of a cycle, a UUID: only its sagas", schema_extra={"format": "uuid"}
    ),
]
SagaName = Annotated[
    str,
    PathParameter(
        name="sagaId", description="the id of a saga, a UUID", schema_extra={"format": "uuid"}
    ),
]


@get(
    "/sagas",
    operation_id="listSagas",
    summary="List sagas",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_sagas(
    sagas: SagasPort,
    standing: State = None,
    symbol: Symbol = None,
    cycle: CycleName = None,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> SagasAnswer:
    """Sagas by creation, the latest first."""
    cycle_id = None if cycle is None else CycleId(uuid_of("cycle", cycle, "a cycle"))
    query = TradeQuery(
        limit=limit + 1,
        sagas=_states(standing),
        symbol=symbol,
        cycle_id=cycle_id,
        after=LISTING.after(cursor),
    )
    return sagas_answer(*LISTING.page(await sagas.trades(query), limit, place_of))


@get(
    "/sagas/{sagaId:str}",
    operation_id="getSaga",
    summary="Get a saga",
    responses=failures(400, 404, 503),
    tags=TAGS,
)
async def get_saga(sagas: SagasPort, saga_id: SagaName) -> SagaRecordAnswer:
    """One saga with its plan, log, order, fills and reservation."""
    return saga_record_answer(await sagas.trade(_id_of(saga_id)))


@post(
    "/sagas/{sagaId:str}/retry",
    operation_id="retrySaga",
    summary="Let a saga that needs a person try again",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def retry(
    sagas: SagasPort, actor: Actor, saga_id: SagaName, data: JSONBody[InterventionRequest]
) -> SagaRecordAnswer:
    """On the way it was going, forward past the pivot, else back, with all attempts."""
    found = _id_of(saga_id)
    return await _done(sagas, found, lambda: sagas.retry(found, reason=data.reason, actor=actor))


@post(
    "/sagas/{sagaId:str}/compensate",
    operation_id="compensateSaga",
    summary="Turn a saga back that needs a person",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def compensate(
    sagas: SagasPort, actor: Actor, saga_id: SagaName, data: JSONBody[InterventionRequest]
) -> SagaRecordAnswer:
    """Cancel what may live, await the verdict, release; refused once something is filled."""
    found = _id_of(saga_id)
    return await _done(
        sagas, found, lambda: sagas.compensate(found, reason=data.reason, actor=actor)
    )


@post(
    "/sagas/{sagaId:str}/resolve",
    operation_id="resolveSaga",
    summary="State what became of the order of a saga that needs a person",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def resolve(
    sagas: SagasPort, actor: Actor, saga_id: SagaName, data: JSONBody[ResolveRequest]
) -> SagaRecordAnswer:
    """The order was not placed, is canceled, or is the one with `venueOrderId`; never a fill."""
    found = _id_of(saga_id)
    return await _done(
        sagas,
        found,
        lambda: sagas.resolve(
            found,
            Resolution(data.outcome),
            reason=data.reason,
            actor=actor,
            venue_order_id=data.venue_order_id,
        ),
    )


def place_of(trade: TradeState) -> Place:
    """Where a trade stands in the lists of sagas, orders and reservations."""
    return trade.saga.created_at, trade.saga.id


def _states(state: str | None) -> frozenset[SagaStatus] | None:
    if state is None:
        return None
    return OPEN if state == "open" else frozenset({SagaStatus(state)})


def _id_of(saga_id: str) -> SagaId:
    return SagaId(uuid_of("sagaId", saga_id, "a saga"))


async def _done(
    sagas: SagaOperations, saga_id: SagaId, intervene: Callable[[], Awaitable[TradeRecord]]
) -> SagaRecordAnswer:
    try:
        return saga_record_answer(await intervene())
    except IllegalTransition as error:
        state = (await sagas.trade(saga_id)).state
        raise Refusal(
            WRONG_STATE,
            str(error),
            current_state=state.saga.status,
            allowed_actions=allowed(state),
        ) from error
