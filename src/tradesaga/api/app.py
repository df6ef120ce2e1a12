"""The REST API as an ASGI application: translates requests into operations, never decides.

    gate (trace id, host, origin, caller) -> routing -> scope -> strict doors -> operation -> answer
                                        any exception -> problem document

The application holds no state and starts nothing: the composition root owns the operations, the
metrics and their lives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Final

from litestar import Litestar, MediaType, Response, Router, get
from litestar.di import Provide
from litestar.types import ASGIApp, ControllerRouterHandler

from tradesaga.api.agent_control import actor_of, agent_status, pause, resume, start, stop
from tradesaga.api.agent_paths import AgentPaths
from tradesaga.api.agents import add_agent, get_agent, list_agents, retire_agent
from tradesaga.api.approvals import approve, deny, list_approvals
from tradesaga.api.asyncapi import events_document
from tradesaga.api.checkpoints import list_checkpoints
from tradesaga.api.dead_letters import discard_letter, get_letter, list_letters, replay_letter
from tradesaga.api.document_page import HEADERS, page_of
from tradesaga.api.doorman import Doorman
from tradesaga.api.doors import AgentDoors, Doors, provided
from tradesaga.api.event_stream import stream_events
from tradesaga.api.forwarding import Passing
from tradesaga.api.gate import Gate
from tradesaga.api.halting import kill_all
from tradesaga.api.history import list_audit, list_decisions
from tradesaga.api.invariants import get_invariants
from tradesaga.api.json_response import JsonResponse
from tradesaga.api.ladder import acknowledge, get_ladder, kill, rearm
from tradesaga.api.limits import get_limit_history, get_limits, put_limits
from tradesaga.api.locks import list_locks
from tradesaga.api.monitoring import (
    MetricsText,
    health,
    livez,
    metrics,
    problem_index,
    problem_page,
    readyz,
    startupz,
)
from tradesaga.api.nodes import list_nodes
from tradesaga.api.openapi import openapi_document
from tradesaga.api.problems import Problems
from tradesaga.api.provenance import get_decision
from tradesaga.api.records import cancel_cycle, get_cycle, list_cycles, list_strategies
from tradesaga.api.repeats import Repeats
from tradesaga.api.requests import (
    BODY_BYTES_MAX,
    StrictRequest,
    answer_options,
    before_operation,
)
from tradesaga.api.retention import get_retention, run_retention
from tradesaga.api.sagas import compensate, get_saga, list_sagas, resolve, retry
from tradesaga.api.schedules import (
    add_schedule,
    analyse_strategy,
    change_schedule,
    disable_schedule,
    enable_schedule,
    get_schedule,
    list_schedules,
    next_fires,
    remove_schedule,
    trigger_schedule,
)
from tradesaga.api.scopes import guard
from tradesaga.api.strategies import (
    activate_strategy,
    create_strategy,
    deactivate_strategy,
    delete_strategy,
    get_strategy,
    update_strategy,
)
from tradesaga.api.tokens import create_token, list_tokens, revoke_token, rotate_token
from tradesaga.api.trading import (
    close_position,
    list_external_orders,
    list_orders,
    list_positions,
    list_reservations,
)
from tradesaga.api.why import why, why_decision
from tradesaga.ports.accounts import AccountOperations
from tradesaga.ports.approval_operations import ApprovalOperations
from tradesaga.ports.dead_letters import DeadLetterOperations
from tradesaga.ports.event_feed import EventFeed
from tradesaga.ports.halt_operations import HaltOperations
from tradesaga.ports.history import History
from tradesaga.ports.identity import IdSource
from tradesaga.ports.ladder_operations import LadderOperations
from tradesaga.ports.metrics import Metrics
from tradesaga.ports.nodes import Peers
from tradesaga.ports.operations import Operations
from tradesaga.ports.repeat_operations import RepeatOperations
from tradesaga.ports.retention_operations import RetentionOperations
from tradesaga.ports.risk_operations import RiskOperations
from tradesaga.ports.saga_operations import SagaOperations
from tradesaga.ports.schedule_operations import ScheduleOperations
from tradesaga.ports.strategy_operations import StrategyOperations
from tradesaga.ports.token_operations import TokenOperations
from tradesaga.ports.tracing import UNTRACED, Tracer

PREFIX: Final = "/api/v1"
OPERATIONS: Final = (
    list_schedules, add_schedule, get_schedule, change_schedule, remove_schedule, enable_schedule,
    disable_schedule, trigger_schedule, next_fires, analyse_strategy,
    start, stop, pause, resume, agent_status, list_strategies, list_cycles, get_cycle,
    cancel_cycle, get_decision,
    list_sagas, get_saga, retry, compensate, resolve,
    list_orders, list_external_orders, list_positions, list_reservations, close_position,
    list_locks, get_invariants, why_decision, why, get_limits, get_limit_history, put_limits,
    list_approvals, approve, deny,
    list_checkpoints, list_nodes, list_letters, get_letter, replay_letter, discard_letter,
    get_retention, run_retention,
    get_strategy, create_strategy, update_strategy, activate_strategy, deactivate_strategy,
    delete_strategy,
    get_ladder, kill, rearm, acknowledge, kill_all,
    list_agents, add_agent, get_agent, retire_agent, list_audit, list_decisions,
    list_tokens, create_token, revoke_token, rotate_token, stream_events,
)  # fmt: skip
DEPENDENCIES: Final = (
    "operations",
    "sagas",
    "schedules",
    "retention",
    "risk",
    "ladder",
    "approvals",
    "access",
    "accounts",
    "halting",
    "peers",
    "feed",
    "history",
    "dead_letters",
    "strategies",
    "metrics_text",
    "actor",
)
"""What handlers are given that is no parameter of the request."""


def create_app(
    operations: Operations,
    sagas: SagaOperations,
    retention: RetentionOperations,
    risk: RiskOperations,
    approvals: ApprovalOperations,
    access: TokenOperations,
    repeats: RepeatOperations,
    feed: EventFeed,
    strategies: StrategyOperations,
    schedules: ScheduleOperations,
    ladder: LadderOperations,
    metrics_text: MetricsText,
    *,
    dead_letters: DeadLetterOperations,
    accounts: AccountOperations,
    history: History,
    halting: HaltOperations,
    peers: Peers,
    metrics_port: Metrics,
    ids: IdSource,
    monotonic: Callable[[], float],
    hosts: Collection[str] = (),
    addresses: bool = False,
    asyncapi: bytes = b"{}",
    passing: Passing | None = None,
    agents: AgentDoors | None = None,
    tracer: Tracer = UNTRACED,
) -> Litestar:
    """The application; it answers for loopback and for `hosts`, with `addresses` for any address.

    `asyncapi` is the document of the events. Pass `addresses` only when bound to more than
    loopback: see `api.gate`. `passing` puts what passes requests on around the routes.
    """
    problems = Problems(metrics_port)
    own = Doors(
        operations=operations, sagas=sagas, retention=retention, risk=risk, approvals=approvals,
        feed=feed, dead_letters=dead_letters, strategies=strategies, schedules=schedules,
        ladder=ladder, repeats=repeats, history=history,
    )  # fmt: skip
    ports = {"access": access, "accounts": accounts, "halting": halting, "peers": peers}
    app = Litestar(
        [*_routes(), _document_route(document()), _page_route(page()), events_document(asyncapi)],
        dependencies={
            **provided(own),
            **{name: _given(port) for name, port in ports.items()},
            "metrics_text": _given(metrics_text),
            "actor": Provide(actor_of, sync_to_thread=False),
        },
        before_request=answer_options,
        guards=[guard],
        exception_handlers={Exception: problems},
        logging_config=None,
        openapi_config=None,
        request_class=StrictRequest,
        request_max_body_size=BODY_BYTES_MAX,
        response_class=JsonResponse,
    )
    # Around all of Litestar: its own middleware does not see requests for unknown paths.
    # A key is known to the node that leads: what passes requests on stands before it.
    inner: ASGIApp = Repeats(app.asgi_handler, own=own, problems=problems, prefix=PREFIX)
    if agents is not None:
        inner = AgentPaths(inner, agents=agents, problems=problems, prefix=PREFIX)
    if passing is not None:
        inner = passing(inner)
    app.asgi_handler = Gate(
        inner, ids=ids, hosts=hosts, addresses=addresses, tracer=tracer,
        doorman=Doorman(access, monotonic=monotonic),
    )  # fmt: skip
    return app


def _given(port: object) -> Provide:
    return Provide(lambda: port, sync_to_thread=False)


@cache
def document() -> bytes:
    """The OpenAPI 3.1 document of the API as JSON."""
    return openapi_document(_routes(), DEPENDENCIES)


@cache
def page() -> bytes:
    """The same document for people, a page of HTML."""
    return page_of(document())


def _routes() -> list[ControllerRouterHandler]:
    return [
        Router(PREFIX, route_handlers=OPERATIONS, before_request=before_operation),
        health,
        livez,
        readyz,
        startupz,
        metrics,
        problem_index,
        problem_page,
    ]


def _document_route(body: bytes) -> ControllerRouterHandler:
    @get(f"{PREFIX}/openapi.json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        """The OpenAPI document."""
        return JsonResponse(body, media_type=MediaType.JSON)

    return openapi


def _page_route(body: bytes) -> ControllerRouterHandler:
    @get("/docs", sync_to_thread=False)
    def docs() -> Response[bytes]:
        """The OpenAPI document for people."""
        return JsonResponse(body, media_type=MediaType.HTML, headers=dict(HEADERS))

    return docs
