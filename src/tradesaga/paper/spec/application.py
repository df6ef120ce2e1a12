"""The Litestar application of one service: its routes under `/api/v1`, health and faults beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from tradesaga.domain.errors import Unavailable
from tradesaga.paper.orders import Refusal
from tradesaga.paper.spec.http_faults import dropping
from tradesaga.paper.spec.http_messages import refusal
from tradesaga.paper.spec.service import Service
from tradesaga.paper.spec.service_http import HANDLERS as SERVICE_HANDLERS

PATH = "/api/v1"
BODY_BYTES_MAX = 64 * 1024


def application(
    service: Service,
    desk: Any,
    handlers: Sequence[ControllerRouterHandler],
    *,
    now: Callable[[], datetime],
    agent_seen: Callable[[], None],
) -> ASGIApp:
    """The whole HTTP side of a service."""
    app = Litestar(
        route_handlers=[Router(path=PATH, route_handlers=list(handlers)), *SERVICE_HANDLERS],
        state=State(
            {"service": service, "desk": desk, "now": now, "agent_seen": agent_seen},
            deep_copy=False,
        ),
        exception_handlers={Refusal: _refused, Unavailable: _unavailable},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=BODY_BYTES_MAX,
    )
    return dropping(app)


def _refused(_: Request[Any, Any, Any], error: Refusal) -> Response[bytes]:
    return refusal(error)


def _unavailable(_: Request[Any, Any, Any], error: Unavailable) -> Response[bytes]:
    return refusal(Refusal("BROKER_ERROR", str(error)))
