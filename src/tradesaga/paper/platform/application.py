"""The Litestar application of one of the platform's services: its routes, health, faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

from tradesaga.paper.faults import FaultBook
from tradesaga.paper.orders import Refusal
from tradesaga.paper.platform.telling import ASKED_IN
from tradesaga.paper.platform.wire import AnyRequest, answer, page
from tradesaga.paper.spec.application import BODY_BYTES_MAX, PATH
from tradesaga.paper.spec.http_faults import dropping
from tradesaga.paper.spec.http_messages import refusal
from tradesaga.paper.spec.service_http import faults, forget_faults, order_fault
from tradesaga.paper.spec.wire import passed_on

VERSION = "1.0.0"


class Service:
    """Who a server is; its uptime begins with the process, and its memory, too."""

    def __init__(self, name: str, book: FaultBook, *, bus_ready: Callable[[], bool]) -> None:
        self.name = name
        self.faults = book
        self.bus_ready = bus_ready
        self._started = time.monotonic()

    @property
    def uptime_ms(self) -> int:
        """Of real time."""
        return int((time.monotonic() - self._started) * 1000)


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
        route_handlers=[
            Router(path=PATH, route_handlers=list(handlers)),
            *(health, live, ready, order_fault, faults, forget_faults),
        ],
        state=State(
            {"service": service, "desk": desk, "now": now, "agent_seen": agent_seen},
            deep_copy=False,
        ),
        exception_handlers={HTTPException: _framework, Refusal: _refused},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=BODY_BYTES_MAX,
    )
    return _in_its_trace(dropping(app))


def _in_its_trace(app: ASGIApp) -> ASGIApp:
    """Each request's task knows where its caller stands in a trace."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            sent = dict(scope["headers"]).get(b"traceparent", b"")
            ASKED_IN.set(passed_on(sent.decode("latin-1")))
        await app(scope, receive, send)

    return call


@get("/health")
async def health(request: AnyRequest) -> Response[bytes]:
    """How it says it is; 503 when it is not well."""
    service = _service(request)
    is_up = service.bus_ready()
    check = {
        "status": "pass" if is_up else "fail",
        "duration": 0,
        "message": "NATS connected" if is_up else "NATS not connected",
        "lastChecked": request.app.state.now(),
    }
    body = {
        "status": "healthy" if is_up else "unhealthy",
        "service": service.name,
        "version": VERSION,
        "uptime": service.uptime_ms,
        "timestamp": request.app.state.now(),
        "checks": {"eventbus": check},
    }
    return answer(body, 200 if is_up else 503)


@get("/health/live")
async def live(request: AnyRequest) -> Response[bytes]:
    """The process runs."""
    return answer({"status": "alive", "service": _service(request).name})


@get("/health/ready")
async def ready(request: AnyRequest) -> Response[bytes]:
    """503 until the bus is there."""
    is_ready = _service(request).bus_ready()
    body = {"status": "ready" if is_ready else "not ready", "checks": {"eventbus": is_ready}}
    return answer(body, 200 if is_ready else 503)


def _framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    return page(request, error.status_code, "" if error.status_code in (404, 405) else error.detail)


def _refused(_: AnyRequest, error: Refusal) -> Response[bytes]:
    return refusal(error)  # of an ordered fault, which is no word of the platform's


def _service(request: AnyRequest) -> Service:
    service: Service = request.app.state.service
    return service
