"""HTTP that all three services share: health, and the ordered faults under `/paper/faults`."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post

from tradesaga import __version__
from tradesaga.paper.faults import Fault
from tradesaga.paper.spec.http_messages import answer, body_of
from tradesaga.paper.spec.service import Service
from tradesaga.paper.spec.wire import invalid

_AnyRequest = Request[Any, Any, Any]


@get(["/health", "/api/v1/health"])
async def health(request: _AnyRequest) -> Response[bytes]:
    """How the service is; it answers 200 as long as it serves at all."""
    service = _service(request)
    words = {
        name: "connected" if connected else "disconnected"
        for name, connected in service.checks().items()
    }
    body = {
        "status": service.status,
        "service": service.name,
        "version": __version__,
        "uptime": service.uptime_seconds,
        "timestamp": request.app.state.now(),
        "checks": words,
    }
    return answer(body)


@get(["/health/live", "/api/v1/health/live"])
async def live(request: _AnyRequest) -> Response[bytes]:
    """The process runs."""
    return answer({"status": "alive", "service": _service(request).name})


@get(["/health/ready", "/api/v1/health/ready"])
async def ready(request: _AnyRequest) -> Response[bytes]:
    """503 until all it depends on is there."""
    checks = _service(request).checks()
    is_ready = all(checks.values())
    body = {"status": "ready" if is_ready else "not ready", "checks": checks}
    return answer(body, 200 if is_ready else 503)


@post("/paper/faults", status_code=201)
async def order_fault(request: _AnyRequest) -> Response[bytes]:
    """Order a fault; answers all that are still to happen."""
    book = _service(request).faults
    if not book.add(await body_of(request, Fault)):
        raise invalid("faults: there are too many already, DELETE them first")
    return answer({"faults": book.faults}, 201)


@get("/paper/faults")
async def faults(request: _AnyRequest) -> Response[bytes]:
    """The faults that are still to happen."""
    return answer({"faults": _service(request).faults.faults})


@delete("/paper/faults", status_code=200)
async def forget_faults(request: _AnyRequest) -> Response[bytes]:
    """Forget all faults of this service."""
    return answer({"removed": _service(request).faults.clear()})


def _service(request: _AnyRequest) -> Service:
    service: Service = request.app.state.service
    return service


HANDLERS = [health, live, ready, order_fault, faults, forget_faults]
