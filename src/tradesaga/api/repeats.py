"""Idempotency-Key: the same command under the same key is done once and answered alike.

ASGI middleware between the gate, which knows the caller, and the operations, which know nothing of
keys. Every POST may carry a key. The answer of a repeat has the header Idempotent-Replayed.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tradesaga.api.doors import Doors, doors_in
from tradesaga.api.problem_kinds import (
    ANSWER_LOST,
    INVALID,
    KEY_IN_USE,
    KEY_REUSED,
    MALFORMED,
    TOO_LARGE,
)
from tradesaga.api.problems import Problems, Refusal
from tradesaga.api.requests import BODY_BYTES_MAX
from tradesaga.api.scopes import caller_in
from tradesaga.domain.errors import Conflict, TradesagaError
from tradesaga.domain.repeats import KeptAnswer

HEADER: Final = "idempotency-key"
KEY: Final = re.compile(r'"?[!#-\[\]-~]{1,255}"?')
"""Visible ASCII, with the quotes of the draft's structured field or without."""
WITHOUT_DATABASE: Final = frozenset({"/kill", "/agents/kill"})
SECRETS_BELOW: Final = "/tokens"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Repeats:
    """The middleware; `prefix` is that of the API."""

    def __init__(self, app: ASGIApp, *, own: Doors, problems: Problems, prefix: str) -> None:
        self._app = app
        self._own = own
        self._problems = problems
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but a POST with a key."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        key = Headers.from_scope(scope).get(HEADER)
        caller = caller_in(scope.get("state", {}))
        if key is None or caller is None:
            await self._app(scope, receive, send)
            return
        try:
            await self._once(scope, receive, send, key, caller.token_id)
        except (Refusal, TradesagaError) as error:
            request: Request[Any, Any, Any] = Request(scope, receive=receive, send=send)
            response = self._problems(request, error)
            await response.to_asgi_response(app=None, request=request)(scope, receive, send)

    async def _once(
        self, scope: Scope, receive: Receive, send: Send, key: str, token_id: str
    ) -> None:
        if KEY.fullmatch(key) is None:
            raise Refusal(INVALID, "Idempotency-Key is not 1 to 255 visible characters")
        body = await _body(receive)
        path = scope["path"].removeprefix(self._prefix)
        try:
            attempting = doors_in(scope.get("state", {}), self._own).repeats.attempt(
                token_id=token_id,
                key=key.strip('"'),
                method="POST",
                path=path,
                body=_canonical(body),
                must_know=path not in WITHOUT_DATABASE,
            )
            async with attempting as attempt:
                if attempt.earlier is not None:
                    if not attempt.is_same:
                        raise Refusal(KEY_REUSED, "the key was sent with another command")
                    await _replay(attempt.earlier, send)
                    return
                answer = _Answer()
                await self._app(scope, _again(body, receive), answer.take)
                await attempt.keep(
                    status=answer.status,
                    media_type=answer.media_type,
                    body=answer.body.decode("utf-8", "replace"),
                    withheld=path.startswith(SECRETS_BELOW),
                )
        except Conflict as error:
            raise Refusal(
                KEY_IN_USE, str(error), allowed_actions=["repeat"], headers={"Retry-After": "1"}
            ) from error
        for message in answer.messages:
            await send(message)


class _Answer:
    """The messages of an answer, held back until it is kept."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.body = bytearray()
        self.status = 500
        self.media_type = ""

    async def take(self, message: Message) -> None:
        """Take what the application sends."""
        self.messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.media_type = Headers.from_scope(message).get("content-type", "")  # type: ignore[arg-type]  # it has headers
        elif message["type"] == "http.response.body":
            self.body += message["body"]


async def _replay(earlier: KeptAnswer, send: Send) -> None:
    if earlier.status is None or earlier.withheld:
        why = "held a secret, which is kept nowhere" if earlier.withheld else "was lost"
        detail = f"this was done at {earlier.taken_at}; its answer {why}"
        raise Refusal(ANSWER_LOST, detail, allowed_actions=["read"])
    body = earlier.body.encode()
    start: Message = {"type": "http.response.start", "status": earlier.status, "headers": []}
    headers = MutableScopeHeaders.from_message(start)
    headers["content-type"] = earlier.media_type
    headers["content-length"] = str(len(body))
    headers["idempotent-replayed"] = "true"
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _body(receive: Receive) -> bytes:
    """The whole body. Raises Refusal when it is too large or ends before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(MALFORMED, "the body ended before its length")
        body += message["body"]
        if len(body) > BODY_BYTES_MAX:
            raise Refusal(TOO_LARGE, f"the body has more than {BODY_BYTES_MAX} bytes")
        if not message["more_body"]:
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives a body that was read, then goes on as before."""
    told = False

    async def received() -> Any:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def _canonical(body: bytes) -> bytes:
    """The same bytes for the same JSON; other bytes as they are."""
    try:
        return _encode(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
