"""Any node answers for any agent: what only its leader can answer is passed on to it.

Passed on are `/health` and everything below the API's prefix but what each node tells of itself.
A request is passed on once: the header `Tradesaga-Passed-By` marks it, and whoever gets a marked
one answers it himself. While nobody leads, or the leader does not answer, this node answers with
what it can: it reads the database, and refuses commands with 503.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from litestar.types.asgi_types import (
    HTTPReceiveMessage,
    HTTPRequestEvent,
    WebSocketReceiveMessage,
)

from tradesaga.api.agent_paths import split
from tradesaga.api.requests import BODY_BYTES_MAX
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.nodes import Passed, PeerAnswer, Peers

MARK: Final = "tradesaga-passed-by"
OF_ONE_CONNECTION: Final = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "host", "content-length", "expect"),
    }
)
"""Headers that mean one hop alone, or that are made anew."""

Passing = Callable[[ASGIApp], ASGIApp]
"""What puts this around the routes."""

_log = structlog.get_logger()


class Forwarding:
    """ASGI middleware; `own` are paths below `prefix` that every node answers for itself."""

    def __init__(
        self, app: ASGIApp, *, peers: Peers, own_id: str, prefix: str, own: frozenset[str]
    ) -> None:
        self._app = app
        self._peers = peers
        self._own_id = own_id
        self._prefix = prefix
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or have it answered here."""
        url = self._elsewhere(scope) if scope["type"] == ScopeType.HTTP else ""
        if not url or scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:  # cut off, or longer than any request of the API: refused here
            await self._app(scope, receive, send)
            return
        request = self._passed(scope, body)
        try:
            answer = await self._peers.ask(url, request)
        except Unavailable as error:
            _log.warning("the node that leads does not answer", url=url, error=str(error))
            # A command may have had its effect there; here it can only be refused, with 503.
            await self._app(scope, _again(body, receive), send)
            return
        await _answer(answer, send)

    def _elsewhere(self, scope: HTTPScope) -> str:
        agent_id, path = split(scope["path"], self._prefix)
        if path != "/health" and (not path.startswith(f"{self._prefix}/") or path in self._own):
            return ""
        if MARK in Headers.from_scope(scope):
            return ""
        return self._peers.elsewhere(agent_id)

    def _passed(self, scope: HTTPScope, body: bytes) -> Passed:
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1").partition("?")[0]
        headers = {
            name: value
            for name, value in Headers.from_scope(scope).items()
            if name.lower() not in OF_ONE_CONNECTION
        }
        # The leader compares it with its own Host; this node has compared it with its own.
        headers.pop("origin", None)
        headers[MARK] = self._own_id
        if ours := scope.get("state", {}).get("traceparent"):  # the gate's span, if it traces
            headers["traceparent"] = ours
        return Passed(
            method=scope["method"],
            target=f"{target}?{query}" if query else target,
            headers=headers,
            body=body,
        )


async def _whole(receive: Receive) -> bytes | None:
    """The body; None when it is too long or its sender has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message["more_body"]:
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more."""
    given = False

    async def once() -> HTTPReceiveMessage | WebSocketReceiveMessage:
        nonlocal given
        if given:
            return await receive()
        given = True
        return HTTPRequestEvent(type="http.request", body=body, more_body=False)

    return once


async def _answer(answer: PeerAnswer, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
        if name.lower() not in OF_ONE_CONNECTION
    ]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
