"""The OpenAPI 3.1 document: paths by Litestar, schemas by msgspec.

Litestar knows the routes; msgspec knows what it encodes and decodes: limits, refused extra fields,
formats. What neither knows is that our Decimals leave as JSON numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from tradesaga import __version__
from tradesaga.api.agents import AddAgentRequest, AgentAnswer, AgentsAnswer
from tradesaga.api.answers import (
    HealthAnswer,
    PausedAnswer,
    ResumedAnswer,
    StartedAnswer,
    StatusAnswer,
    StoppedAnswer,
    StrategiesAnswer,
    StrategyAnswer,
)
from tradesaga.api.approvals import ApprovalAnswer, ApprovalRequest, ApprovalsAnswer
from tradesaga.api.checkpoints import CheckpointsAnswer
from tradesaga.api.cycle_answers import CycleRecordAnswer, CyclesAnswer
from tradesaga.api.dead_letters import LetterRequest, LettersAnswer, WholeLetterAnswer
from tradesaga.api.halting import KillAllRequest, KilledAllAnswer
from tradesaga.api.history import AuditAnswer, DecisionsAnswer
from tradesaga.api.invariants import InvariantsAnswer
from tradesaga.api.ladder import (
    AcknowledgeRequest,
    KilledAnswer,
    KillRequest,
    LadderAnswer,
    RearmedAnswer,
    RearmRequest,
)
from tradesaga.api.limits import LimitHistoryAnswer, LimitsAnswer, LimitsRequest
from tradesaga.api.locks import LocksAnswer
from tradesaga.api.monitoring import ReadyAnswer
from tradesaga.api.nodes import NodesAnswer
from tradesaga.api.problems import MEDIA_TYPE, Problem, StateProblem, problem_of
from tradesaga.api.provenance import ProvenanceAnswer
from tradesaga.api.requests import PauseRequest, ResumeRequest, StartRequest, StopRequest
from tradesaga.api.retention import RetentionAnswer, RetentionRunAnswer
from tradesaga.api.saga_answers import SagaRecordAnswer, SagasAnswer
from tradesaga.api.saga_requests import InterventionRequest, ResolveRequest
from tradesaga.api.schedule_answers import (
    FiresAnswer,
    ScheduleAnswer,
    SchedulesAnswer,
    TriggeredAnswer,
)
from tradesaga.api.schedule_requests import AnalyseRequest, ChangeScheduleRequest, ScheduleRequest
from tradesaga.api.scopes import is_open, needed
from tradesaga.api.strategies import ActivatedAnswer, DeactivatedAnswer, DeletedAnswer
from tradesaga.api.strategy_requests import (
    ActivateRequest,
    CreateStrategyRequest,
    DeactivateRequest,
    UpdateStrategyRequest,
)
from tradesaga.api.tokens import (
    CreateTokenRequest,
    MintedAnswer,
    RotateTokenRequest,
    TokenAnswer,
    TokensAnswer,
)
from tradesaga.api.trade_answers import (
    ExternalOrdersAnswer,
    OrdersAnswer,
    PositionsAnswer,
    ReservationsAnswer,
)
from tradesaga.api.why import WhyAnswer

BODIES = (
    StartRequest, StopRequest, PauseRequest, ResumeRequest,
    StartedAnswer, StoppedAnswer, PausedAnswer, ResumedAnswer, StatusAnswer,
    StrategiesAnswer, CyclesAnswer, CycleRecordAnswer, HealthAnswer, ReadyAnswer, Problem,
    StateProblem,
    InterventionRequest, ResolveRequest, ScheduleRequest, ChangeScheduleRequest, AnalyseRequest,
    ScheduleAnswer, SchedulesAnswer, FiresAnswer, TriggeredAnswer,
    SagasAnswer, SagaRecordAnswer, OrdersAnswer, ExternalOrdersAnswer, PositionsAnswer,
    ReservationsAnswer, CheckpointsAnswer, NodesAnswer, LettersAnswer, WholeLetterAnswer,
    LetterRequest,
    LocksAnswer, ApprovalRequest, ApprovalAnswer, ApprovalsAnswer,
    InvariantsAnswer, RetentionAnswer, RetentionRunAnswer, WhyAnswer, ProvenanceAnswer,
    LimitsRequest, LimitsAnswer, LimitHistoryAnswer,
    CreateStrategyRequest, UpdateStrategyRequest, ActivateRequest, DeactivateRequest,
    StrategyAnswer, ActivatedAnswer, DeactivatedAnswer, DeletedAnswer,
    AddAgentRequest, AgentAnswer, AgentsAnswer, AuditAnswer, DecisionsAnswer,
    CreateTokenRequest, RotateTokenRequest, TokenAnswer, TokensAnswer, MintedAnswer,
    KillRequest, RearmRequest, AcknowledgeRequest, LadderAnswer, KilledAnswer, RearmedAnswer,
    KillAllRequest, KilledAllAnswer,
)  # fmt: skip
"""Every type that is a whole body; the types within them are found."""


IDEMPOTENCY_KEY: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same command under the same key is done once, and answered alike",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-\\[\\]-~]+$"},
}
HEADERS: Final[Mapping[str, Any]] = {"ETag": {"type": "string", "pattern": '^"[0-9]+"$'}}
"""Of answers: Litestar describes them without a form, which OpenAPI does not allow."""


def openapi_document(
    routes: Sequence[ControllerRouterHandler], dependencies: Sequence[str]
) -> bytes:
    """The document for `routes` as JSON; `dependencies` are no parameters of theirs."""
    # An application of its own: Litestar's would put an HTML page on every unknown path below.
    described = Litestar(
        routes,
        dependencies={name: Provide(lambda: None, sync_to_thread=False) for name in dependencies},
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Tradesaga",
            version=__version__,
            description="The orchestrator of autonomous trading agents. All paths are those of the "
            "default agent; below /api/v1/agents/{agentId} they are those of that one.",
            use_handler_docstrings=True,
        ),
    )
    document = described.openapi_schema.to_schema()
    _, schemas = msgspec.json.schema_components(BODIES, ref_template="#/components/schemas/{name}")
    document["components"]["schemas"] = with_numbers(schemas)
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _describe_door(path, method, operation)
    return msgspec.json.encode(document)


def _describe_door(path: str, method: str, operation: dict[str, Any]) -> None:
    """What the gate and the guard do before every operation."""
    refusals = [421, 429, 431] if is_open(path) else [401, 403, 421, 429, 431]
    for status in refusals:
        operation["responses"][str(status)] = _problem(status)
    for response in operation["responses"].values():
        for name, header in response.get("headers", {}).items():
            header["schema"] = HEADERS[name]
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    if method == "post":
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
        for status in (409, 422):
            operation["responses"].setdefault(str(status), _problem(status))
    scopes = needed(operation["operationId"], frozenset({method.upper()}))
    operation["security"] = [] if is_open(path) else [{"token": [scope]} for scope in scopes]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter may be left out, but its text is never the null of JSON."""
    for several in ("oneOf", "anyOf"):
        if several in schema:
            rest = {name: value for name, value in schema.items() if name != several}
            (kept,) = (one for one in schema[several] if one.get("type") != "null")
            return {**kept, **rest}
    if isinstance(schema.get("type"), list):
        (kind,) = (one for one in schema["type"] if one != "null")
        return {**schema, "type": kind, "enum": [one for one in schema["enum"] if one is not None]}
    return schema


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{problem_of(status).__name__}"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def with_numbers(schema: Any) -> Any:
    """`schema` with numbers where msgspec has Decimals as strings."""
    match schema:
        case {"type": "string", "format": "decimal", **rest}:
            return {**rest, "type": "number"}
        case dict():
            return {key: with_numbers(value) for key, value in schema.items()}
        case list():
            return [with_numbers(value) for value in schema]
        case _:
            return schema
