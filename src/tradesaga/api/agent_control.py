"""The operations on the agent: start, stop, pause, resume, status."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from tradesaga.api.answers import (
    PausedAnswer,
    ResumedAnswer,
    StartedAnswer,
    StatusAnswer,
    StoppedAnswer,
    paused_answer,
    resumed_answer,
    started_answer,
    status_answer,
    stopped_answer,
)
from tradesaga.api.problem_kinds import WRONG_STATE
from tradesaga.api.problems import Refusal, failures
from tradesaga.api.requests import (
    OptionalBody,
    PauseRequest,
    ResumeRequest,
    StartRequest,
    StopRequest,
)
from tradesaga.api.scopes import caller_in
from tradesaga.api.versions import TAGGED, IfMatch, as_read, tagged
from tradesaga.domain.agent import Agent, Command, Mode, Pause, Resume, Start, Stop, command
from tradesaga.domain.errors import IllegalTransition
from tradesaga.ports.operations import Operations

OperationsPort = NamedDependency[SkipValidation[Operations]]
Actor = NamedDependency[str]

TAGS: Final = ["agent"]
AS_IT_STANDS: Final = StartRequest()
PLAIN_STOP: Final = StopRequest()
UNTIL_RESUME: Final = PauseRequest()
PLAIN_RESUME: Final = ResumeRequest()
ACTIONS: Final[Mapping[str, Command]] = {
    "start": Start(),
    "stop": Stop(),
    "pause": Pause(),
    "resume": Resume(),
}


def actor_of(request: Request[Any, Any, Any]) -> str:
    """Who the audit log names for a command: the token's name, its id, and the address."""
    address = request.client.host if request.client else "unknown"
    caller = caller_in(request.scope["state"])
    return f"api:{address}" if caller is None else f"api:{caller.name}#{caller.token_id}@{address}"


@post(
    "/agent/start",
    operation_id="startAgent",
    summary="Start the agent",
    operation_class=OptionalBody,
    responses=failures(400, 412, 413, 415, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def start(
    operations: OperationsPort,
    actor: Actor,
    data: JSONBody[StartRequest] = AS_IT_STANDS,
    if_match: IfMatch = None,
) -> Response[StartedAnswer]:
    """Run the agent; one that runs already answers as it stands."""
    mode = None if data.mode is None else Mode(data.mode)
    started = await operations.start(
        strategies=data.strategies, mode=mode, actor=actor, as_read=as_read(if_match)
    )
    return tagged(started_answer(started), started.agent.version)


@post(
    "/agent/stop",
    operation_id="stopAgent",
    summary="Stop the agent",
    operation_class=OptionalBody,
    responses=failures(400, 412, 413, 415, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def stop(
    operations: OperationsPort,
    actor: Actor,
    data: JSONBody[StopRequest] = PLAIN_STOP,
    if_match: IfMatch = None,
) -> Response[StoppedAnswer]:
    """Stop the agent; positions stay, open orders only go when `cancelOpenOrders` is true."""
    stopped = await operations.stop(
        reason=data.reason or "",
        cancel_open_orders=data.cancel_open_orders,
        actor=actor,
        as_read=as_read(if_match),
    )
    return tagged(stopped_answer(stopped), stopped.agent.version)


@post(
    "/agent/pause",
    operation_id="pauseAgent",
    summary="Pause the agent",
    operation_class=OptionalBody,
    responses=failures(400, 409, 412, 413, 415, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def pause(
    operations: OperationsPort,
    actor: Actor,
    data: JSONBody[PauseRequest] = UNTIL_RESUME,
    if_match: IfMatch = None,
) -> Response[PausedAnswer]:
    """Enter no positions, for `duration` minutes or until resume; exits go on."""
    duration = None if data.duration is None else timedelta(minutes=data.duration)
    versions = as_read(if_match)
    try:
        agent = await operations.pause(
            duration=duration, reason=data.reason or "", actor=actor, as_read=versions
        )
    except IllegalTransition as error:
        raise await _wrong_state(operations, error) from error
    return tagged(paused_answer(agent), agent.version)


@post(
    "/agent/resume",
    operation_id="resumeAgent",
    summary="Resume the agent",
    operation_class=OptionalBody,
    responses=failures(400, 409, 412, 413, 415, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def resume(
    operations: OperationsPort,
    actor: Actor,
    data: JSONBody[ResumeRequest] = PLAIN_RESUME,
    if_match: IfMatch = None,
) -> Response[ResumedAnswer]:
    """End the operator's pause; the agent stays paused while other reasons remain."""
    versions = as_read(if_match)
    try:
        agent = await operations.resume(reason=data.reason or "", actor=actor, as_read=versions)
    except IllegalTransition as error:
        raise await _wrong_state(operations, error) from error
    return tagged(resumed_answer(agent), agent.version)


@get(
    "/agent/status",
    operation_id="getAgentStatus",
    summary="Get the status of the agent",
    responses=failures(400, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def agent_status(operations: OperationsPort) -> Response[StatusAnswer]:
    """The agent, its cycles, its counters and its active strategies as they are now."""
    status = await operations.status()
    return tagged(status_answer(status), status.agent.version)


async def _wrong_state(operations: Operations, error: IllegalTransition) -> Refusal:
    agent = (await operations.status()).agent
    return Refusal(
        WRONG_STATE,
        str(error),
        current_state=agent.status,
        allowed_actions=[name for name in ACTIONS if _allows(agent, name)],
    )


def _allows(agent: Agent, action: str) -> bool:
    """Whether the machine has an edge for `action`; it decides, this only asks."""
    try:
        command(agent, ACTIONS[action], datetime.max.replace(tzinfo=UTC))
    except IllegalTransition:
        return False
    return True
