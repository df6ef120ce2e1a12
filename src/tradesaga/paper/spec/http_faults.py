"""Where ordered faults meet HTTP requests: before, instead of, or after the work is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar import Request, Response
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tradesaga.paper.faults import FaultBook, FaultKind
from tradesaga.paper.http_server import TRANSPORT
from tradesaga.paper.orders import Refusal
from tradesaga.paper.spec.http_messages import answer, refusal
from tradesaga.paper.spec.wire import Problem

LINE = "paper.line"
_TURNS_TO_NOTICE = 3


class Line:
    """The connection of one request; `dropped` cuts it instead of answering."""

    dropped = False


async def through_faults(
    request: Request[Any, Any, Any],
    book: FaultBook,
    operation: str,
    act: Callable[[], Awaitable[Response[bytes]]],
    *,
    symbol: str | None = None,
) -> Response[bytes]:
    """Do the work of a request, with the faults that were ordered for it."""
    if not book.faults:
        return await _acted(act)

    def take(kind: FaultKind) -> Any:
        return book.take(kind, symbol=symbol, operation=operation)

    if fault := take(FaultKind.DELAY_BEFORE):
        await asyncio.sleep(fault.delay_ms / 1000)
    if fault := take(FaultKind.RATE_LIMITED):
        limited = _failed(fault.status or 429, "RATE_LIMITED", "too many requests, wait a second")
        limited.headers["Retry-After"] = "1"
        return limited
    if fault := take(FaultKind.ERROR_BEFORE):
        return _failed(fault.status or 503, "UNAVAILABLE", "not carried out, as a fault wants it")
    response = await _acted(act)
    if response.status_code is not None and response.status_code >= 400:
        return response  # nothing was accepted: faults after acceptance wait for the next one
    if fault := take(FaultKind.DELAY_AFTER):
        await asyncio.sleep(fault.delay_ms / 1000)
    if fault := take(FaultKind.ERROR_AFTER):
        return _failed(fault.status or 500, "INTERNAL", "carried out, but the answer is an error")
    if take(FaultKind.REPLY_LOST):
        cast("dict[str, Any]", request.scope)[LINE].dropped = True
    return response


def dropping(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that requests marked for it lose their connection unanswered."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        line = Line()
        extended = cast("dict[str, Any]", scope)
        extended[LINE] = line

        async def unless_dropped(message: Message) -> None:
            if not line.dropped:
                await send(message)

        await app(scope, receive, unless_dropped)
        if line.dropped:
            extended[TRANSPORT].abort()
            for _ in range(_TURNS_TO_NOTICE):  # else the server would answer 500 by itself
                await asyncio.sleep(0)

    return wrapped


async def _acted(act: Callable[[], Awaitable[Response[bytes]]]) -> Response[bytes]:
    try:
        return await act()
    except Refusal as refused:
        return refusal(refused)


def _failed(status: int, code: str, message: str) -> Response[bytes]:
    return answer(Problem(error="Fault", code=code, message=message), status)
