"""Requests over HTTP read, and answers written, in the spec dialect."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

from tradesaga.paper.orders import Refusal
from tradesaga.paper.spec.wire import encode, invalid, passed_on, refused_with

T = TypeVar("T")

CORRELATION_LETTERS_MAX = 128


def answer(body: Any, status: int = 200) -> Response[bytes]:
    """An HTTP answer with that body."""
    return Response(content=encode(body), media_type=MediaType.JSON, status_code=status)


def refusal(refused: Refusal) -> Response[bytes]:
    """The HTTP answer to what the service will not do."""
    status, body = refused_with(refused)
    return Response(content=body, media_type=MediaType.JSON, status_code=status)


async def body_of(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The request's body as `kind`; an empty one as an empty object. Raises Refusal."""
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise invalid(f"body: {error}") from error


def correlation_id_of(request: Request[Any, Any, Any]) -> str | None:
    """What the caller says the request is about (`X-Correlation-Id`); its events bear it."""
    return request.headers.get("X-Correlation-Id", "")[:CORRELATION_LETTERS_MAX] or None


def trace_of(request: Request[Any, Any, Any]) -> str | None:
    """Where the caller stands in a trace (`traceparent`); what comes of it stands there, too."""
    return passed_on(request.headers.get("traceparent"))


def integer(request: Request[Any, Any, Any], name: str, *, default: int, most: int) -> int:
    """A query parameter from 1 to `most`. Raises Refusal."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise invalid(f"{name}: must be a whole number from 1 to {most}")
    return int(text)


def moment(request: Request[Any, Any, Any], name: str) -> datetime | None:
    """A query parameter that is an aware moment in ISO 8601. Raises Refusal."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise invalid(f"{name}: must be a moment such as 2020-12-15T14:30:00Z")
    return when
