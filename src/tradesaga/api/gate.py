"""The gate in front of every request, those for unknown paths included.

It gives each request its trace id (the caller's, by W3C traceparent, else a new one), binds it to
the log, answers with it where traces are collected, and refuses whom the doorman does not know,
before a byte of the body is read. Two ways in that a browser opens to any web page are closed
besides: a name that was rebound to this address (the Host header tells), and a command sent from a
page of another site (Origin and Sec-Fetch-Site tell). Reading needs no such guard: without CORS
headers the page does not see the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from litestar import Request
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tradesaga.api.doorman import Doorman
from tradesaga.api.loopback import is_address, is_loopback
from tradesaga.api.problem_kinds import CROSS_SITE, MISDIRECTED, TOO_MANY, TOO_MANY_HEADERS
from tradesaga.api.problems import Refusal, document, shown
from tradesaga.api.scopes import DOCUMENTS, SAFE_METHODS, is_open
from tradesaga.domain.trace_context import TraceContext, read_trace
from tradesaga.ports.identity import IdSource
from tradesaga.ports.tracing import UNTRACED, SpanKind, Tracer

HEADERS_MAX: Final = 64
URL_BYTES_MAX: Final = 8 * 1024
BODY_SECONDS_MAX: Final = 15.0
SEND_SECONDS_MAX: Final = 20.0
HELD_SECONDS: Final = 1.0
SERVER_ERROR: Final = 500
TRACEPARENT: Final = "traceparent"
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Gate:
    """ASGI middleware around the whole application.

    It answers for loopback, for `hosts`, and with `addresses` for every address: a page of another
    site has a name of its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ids: IdSource,
        hosts: Collection[str],
        addresses: bool,
        doorman: Doorman,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._app = app
        self._doorman = doorman
        self._tracer = tracer
        self._ids = ids
        self._hosts = frozenset(host.lower() for host in hosts)
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            # Who takes nothing keeps no stream and no answer waiting.
            async with asyncio.timeout(SEND_SECONDS_MAX):
                await send(message)

        headers = Headers.from_scope(scope)
        above = read_trace(headers.get(TRACEPARENT))
        trace_id = self._ids.uuid7().hex if above is None else above.trace_id
        scope.setdefault("state", {})["trace_id"] = trace_id
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                _must_be_short(scope)
                self._must_come_from_us(str(scope["method"]), headers)
                caller = self._identify(scope, headers)
            except Refusal as refusal:
                if refusal.kind is TOO_MANY and "caller" not in scope["state"]:
                    await _hold()
                request: Request[Any, Any, Any] = Request(scope, receive=receive, send=send)
                answer = document(request, refusal).to_asgi_response(app=None, request=request)
                await answer(scope, receive, send_marked)
                return
            with structlog.contextvars.bound_contextvars(**caller):
                if self._tracer.is_on and caller:
                    method = str(scope["method"])
                    await self._traced(method, scope, _in_time(receive), send_marked, above)
                else:
                    await self._app(scope, _in_time(receive), send_marked)

    async def _traced(
        self,
        method: str,
        scope: Scope,
        receive: Receive,
        send: Send,
        above: TraceContext | None,
    ) -> None:
        """The request as a span, which its answer names: strangers and probes make none.

        Whoever the request is passed on to is told of this span, not of the caller's.
        """
        trace_id = str(UUID(scope["state"]["trace_id"]))
        with self._tracer.span(
            "api.request",
            kind=SpanKind.SERVER,
            parent=above,
            about=trace_id,
            first=True,
            method=method,
        ) as span:
            here = self._tracer.here()
            header = "" if here is None else here.header
            scope["state"][TRACEPARENT] = header

            async def send_named(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableScopeHeaders.from_message(message)[TRACEPARENT] = header
                    status, route = message["status"], scope.get("path_template", "")
                    span.note(status_code=status, route=str(route))
                    if status >= SERVER_ERROR:
                        span.failed(str(status))
                await send(message)

            await self._app(scope, receive, send_named)

    def _identify(self, scope: Scope, headers: Headers) -> dict[str, str]:
        """Let the caller in, or a request for an open path; what the log says of who it is."""
        client = scope.get("client")
        address = client[0] if client else "unknown"
        if is_open(scope["path"]):
            self._doorman.let_pass(address)
            return {}
        caller = self._doorman.let_in(
            headers.get("authorization"),
            address,
            in_browser=scope["path"] in DOCUMENTS,
        )
        scope["state"]["caller"] = caller
        return {"caller": caller.name}

    def _must_come_from_us(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        name = _name_of(host) or ""
        known = is_loopback(name) or name in self._hosts or (self._addresses and is_address(name))
        if not known:
            raise Refusal(MISDIRECTED, f"the request is for the host {shown(host)}")
        if method in SAFE_METHODS:
            return
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            raise Refusal(CROSS_SITE, f"the browser says that the request is {shown(site)}")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refusal(CROSS_SITE, f"the request comes from a page of {shown(origin)}")


async def _hold() -> None:
    """Keep a stranger who asks too often waiting: each connection floods no faster than that.

    Nothing of the request is read meanwhile, and there are not many connections of one address.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(HELD_SECONDS):
            await asyncio.Event().wait()


def _must_be_short(scope: Scope) -> None:
    number = sum(1 for _ in scope["headers"])
    if number > HEADERS_MAX:
        raise Refusal(TOO_MANY_HEADERS, f"there are {number} headers")
    if len(scope["raw_path"]) + len(scope["query_string"]) > URL_BYTES_MAX:
        raise Refusal(TOO_MANY_HEADERS, f"the path and its parameters exceed {URL_BYTES_MAX} bytes")


def _in_time(receive: Receive) -> Receive:
    """What receives the body until its deadline; a client that dribbles has gone away then."""
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
    complete = False

    async def received() -> Any:
        nonlocal complete
        if complete:
            return await receive()  # waits for the end of the connection
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        complete = not message.get("more_body", False)
        return message

    return received


def _name_of(host: str) -> str | None:
    """The name in a Host header without port and brackets; None when it is no host at all."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that is not closed
        return None
