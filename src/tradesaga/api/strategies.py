"""The operations on strategies: make, read, change and delete them, let them act or not."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, SkipValidation
from msgspec import Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import StrategyAnswer, Timestamp, stamp, strategy_answer
from tradesaga.api.problems import failures
from tradesaga.api.requests import OptionalBody
from tradesaga.api.strategy_requests import (
    ActivateRequest,
    CreateStrategyRequest,
    DeactivateRequest,
    UpdateStrategyRequest,
    exact,
)
from tradesaga.api.versions import TAGGED, IfMatch, as_read, tagged
from tradesaga.domain.strategies import Edit, StrategyMode, StrategyStatus
from tradesaga.ports.strategy_operations import NewStrategy, StrategyOperations

TAGS = ["strategies"]
NO_FIELDS = ActivateRequest()
LET_BE = DeactivateRequest()
StrategiesPort = NamedDependency[SkipValidation[StrategyOperations]]
StrategyName = Annotated[
    str, PathParameter(name="strategyId", description="the id or external id of a strategy")
]


class ActivatedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """It acts; `activatedAt` is when it was last changed."""

    status: StrategyStatus
    activated_at: Timestamp


class DeactivatedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """It decides nothing more; `detail` tells of positions that are being closed."""

    status: StrategyStatus
    deactivated_at: Timestamp
    detail: str


class DeletedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """It is off the list; its trades stay."""

    id: str
    status: Literal["deleted"]


@get(
    "/strategies/{strategyId:str}",
    operation_id="getStrategy",
    summary="Get a strategy",
    responses=failures(400, 404, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def get_strategy(
    strategies: StrategiesPort, strategy_id: StrategyName
) -> Response[StrategyAnswer]:
    """One strategy with its figures."""
    found = await strategies.strategy(strategy_id)
    return tagged(strategy_answer(found), found.strategy.version)


@post(
    "/strategies",
    operation_id="createStrategy",
    summary="Create a strategy",
    status_code=201,
    responses=failures(400, 413, 415, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def create_strategy(
    strategies: StrategiesPort, actor: Actor, data: JSONBody[CreateStrategyRequest]
) -> Response[StrategyAnswer]:
    """Make a strategy; its name is the one under which the neighbours know it, for ever."""
    new = NewStrategy(
        name=data.name,
        type=data.type,
        symbols=data.symbols,
        risk_mode=data.risk_mode,
        parameters=exact(data.parameters),
        priority=data.priority,
        active=data.active,
        mode=StrategyMode(data.mode),
    )
    made = await strategies.create(new, actor=actor)
    return tagged(strategy_answer(made), made.strategy.version)


@patch(
    "/strategies/{strategyId:str}",
    operation_id="updateStrategy",
    summary="Change a strategy",
    responses=failures(400, 404, 409, 412, 413, 415, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def update_strategy(
    strategies: StrategiesPort,
    actor: Actor,
    strategy_id: StrategyName,
    data: JSONBody[UpdateStrategyRequest],
    if_match: IfMatch = None,
) -> Response[StrategyAnswer]:
    """Change what is given; the next cycle goes by it."""
    edit = Edit(
        name=data.name,
        symbols=data.symbols,
        risk_mode=data.risk_mode,
        parameters=None if data.parameters is None else exact(data.parameters),
        priority=data.priority,
        mode=None if data.mode is None else StrategyMode(data.mode),
    )
    done = await strategies.update(strategy_id, edit, actor=actor, as_read=as_read(if_match))
    return tagged(strategy_answer(done), done.strategy.version)


@post(
    "/strategies/{strategyId:str}/activate",
    operation_id="activateStrategy",
    summary="Let a strategy act",
    status_code=200,
    responses=failures(400, 404, 412, 413, 415, 503),
    response_headers=TAGGED,
    operation_class=OptionalBody,
    tags=TAGS,
)
async def activate_strategy(
    strategies: StrategiesPort,
    actor: Actor,
    strategy_id: StrategyName,
    data: JSONBody[ActivateRequest] = NO_FIELDS,
    if_match: IfMatch = None,
) -> Response[ActivatedAnswer]:
    """It is asked from the next cycle on; closing what it holds is given up."""
    changed = await strategies.activate(strategy_id, actor=actor, as_read=as_read(if_match))
    done = changed.strategy
    answer = ActivatedAnswer(status=done.status, activated_at=stamp(done.updated_at))
    return tagged(answer, done.version)


@post(
    "/strategies/{strategyId:str}/deactivate",
    operation_id="deactivateStrategy",
    summary="Let a strategy act no more",
    status_code=200,
    responses=failures(400, 404, 412, 413, 415, 503),
    response_headers=TAGGED,
    operation_class=OptionalBody,
    tags=TAGS,
)
async def deactivate_strategy(
    strategies: StrategiesPort,
    actor: Actor,
    strategy_id: StrategyName,
    data: JSONBody[DeactivateRequest] = LET_BE,
    if_match: IfMatch = None,
) -> Response[DeactivatedAnswer]:
    """It is asked no more; with `closePositions` what it holds is closed, until it is flat."""
    changed = await strategies.deactivate(
        strategy_id,
        close_positions=data.close_positions,
        actor=actor,
        as_read=as_read(if_match),
    )
    done = changed.strategy
    answer = DeactivatedAnswer(
        status=done.status, deactivated_at=stamp(done.updated_at), detail=done.detail
    )
    return tagged(answer, done.version)


@delete(
    "/strategies/{strategyId:str}",
    operation_id="deleteStrategy",
    summary="Delete a strategy",
    status_code=200,
    responses=failures(400, 404, 409, 412, 503),
    tags=TAGS,
)
async def delete_strategy(
    strategies: StrategiesPort, actor: Actor, strategy_id: StrategyName, if_match: IfMatch = None
) -> DeletedAnswer:
    """Take it off the list; refused while it acts or holds something."""
    gone = await strategies.delete(strategy_id, actor=actor, as_read=as_read(if_match))
    return DeletedAnswer(id=str(gone), status="deleted")
