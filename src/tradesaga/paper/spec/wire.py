"""JSON of the spec dialect: camel case, decimals as numbers, UTC times with a Z, nothing null."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType
from msgspec import Struct

from tradesaga.domain.trace_context import read_trace
from tradesaga.paper.orders import Refusal

_encoder = msgspec.json.Encoder(decimal_format="number")

T = TypeVar("T")

CORRELATION_LETTERS_MAX = 128

_STATUS_OF_CODE = {
    "ORDER_NOT_FOUND": 404,
    "POSITION_NOT_FOUND": 404,
    "DECISION_NOT_FOUND": 404,
    "SYMBOL_NOT_FOUND": 404,
    "NO_DATA": 404,
    "ORDER_NOT_CANCELABLE": 409,
    "BROKER_ERROR": 503,
    "VALIDATION": 400,
}
_TITLES = {400: "Bad Request", 404: "Not Found", 409: "Conflict", 422: "Refused", 503: "Retry"}


class Wire(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A body of the dialect; what is unknown is absent."""


class Problem(Wire, frozen=True, kw_only=True):
    """Every refusal: a short title, a code for programs, a sentence for people."""

    error: str
    code: str
    message: str


def encode(body: Any) -> bytes:
    """The JSON text of a body."""
    return _encoder.encode(body)


def answer(body: Any, status: int = 200) -> Response[bytes]:
    """An HTTP answer with that body."""
    return Response(content=encode(body), media_type=MediaType.JSON, status_code=status)


def refusal(refused: Refusal) -> Response[bytes]:
    """The HTTP answer to what the service will not do."""
    if refused.code == "DUPLICATE_CLIENT_ORDER_ID":
        return answer({"code": 40010001, "message": refused.message}, 422)
    status = _STATUS_OF_CODE.get(refused.code, 422)
    title = _TITLES.get(status, "Refused")
    return answer(Problem(error=title, code=refused.code, message=refused.message), status)


def invalid(message: str) -> Refusal:
    """A refusal of the request's form."""
    return Refusal("VALIDATION", message)


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


def passed_on(traceparent: object) -> str | None:
    """A `traceparent` that may go on; None for anything else."""
    read = read_trace(traceparent)
    return None if read is None else read.header


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


def usable(value: Decimal | None, name: str) -> Decimal:
    """A positive finite number with at most four decimals. Raises Refusal."""
    if value is None or not value.is_finite() or not 0 < value < Decimal("1e9"):
        raise invalid(f"{name}: must be a number above 0 and below 1e9")
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4:
        raise invalid(f"{name}: must have at most four decimals")
    return value
