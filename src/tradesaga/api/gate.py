"""The gate in front of every request, those for unknown paths included.

It gives each request its trace id (the caller's, by W3C traceparent, else a new one), binds it to
the log, and refuses two ways into a server on loopback that a browser opens to any web page: a
name that was rebound to this address (the Host header tells), and a command sent from a page of
another site (Origin and Sec-Fetch-Site tell). Reading needs no such guard: without CORS headers
the page does not see the answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from litestar import Request
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tradesaga.api.loopback import is_loopback
from tradesaga.api.problems import CROSS_SITE, MISDIRECTED, Refusal, document, shown
from tradesaga.ports.identity import IdSource

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TRACEPARENT: Final = re.compile(
    r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Gate:
    """ASGI middleware around the whole application.

    It answers for loopback and for `hosts` (lower case); None answers for every host.
    """

    def __init__(self, app: ASGIApp, *, ids: IdSource, hosts: Collection[str] | None) -> None:
        self._app = app
        self._ids = ids
        self._hosts = hosts

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
            await send(message)

        headers = Headers.from_scope(scope)
        trace_id = _trace_id_of(headers.get("traceparent", "")) or self._ids.uuid7().hex
        scope.setdefault("state", {})["trace_id"] = trace_id
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            refusal = self._refusal(str(scope["method"]), headers)
            if refusal is None:
                await self._app(scope, receive, send_marked)
                return
            request: Request[Any, Any, Any] = Request(scope, receive=receive, send=send)
            answer = document(request, refusal).to_asgi_response(app=None, request=request)
            await answer(scope, receive, send_marked)

    def _refusal(self, method: str, headers: Headers) -> Refusal | None:
        host = headers.get("host", "")
        name = _name_of(host) or ""
        if not (self._hosts is None or is_loopback(name) or name in self._hosts):
            return Refusal(MISDIRECTED, f"the request is for the host {shown(host)}")
        if method in SAFE_METHODS:
            return None
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            return Refusal(CROSS_SITE, f"the browser says that the request is {shown(site)}")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refusal(CROSS_SITE, f"the request comes from a page of {shown(origin)}")
        return None


def _trace_id_of(traceparent: str) -> str | None:
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else None


def _name_of(host: str) -> str | None:
    """The name in a Host header without port and brackets; None when it is no host at all."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that is not closed
        return None
