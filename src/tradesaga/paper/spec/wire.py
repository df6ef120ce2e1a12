"""JSON of the spec dialect: camel case, decimals as numbers, UTC times with a Z, nothing null."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from tradesaga.domain.trace_context import read_trace
from tradesaga.paper.orders import Refusal

ACCOUNT_ID = "paper"
"""Of the one account that the simulated engine has."""
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
_encoder = msgspec.json.Encoder(decimal_format="number")


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


def passed_on(traceparent: object) -> str | None:
    """A `traceparent` that may go on; None for anything else."""
    read = read_trace(traceparent)
    return None if read is None else read.header


def refused_with(refused: Refusal) -> tuple[int, bytes]:
    """The status and body of the answer to what the service will not do."""
    if refused.code == "DUPLICATE_CLIENT_ORDER_ID":
        return 422, encode({"code": 40010001, "message": refused.message})
    status = _STATUS_OF_CODE.get(refused.code, 422)
    title = _TITLES.get(status, "Refused")
    return status, encode(Problem(error=title, code=refused.code, message=refused.message))


def invalid(message: str) -> Refusal:
    """A refusal of the request's form."""
    return Refusal("VALIDATION", message)


def usable(value: Decimal | None, name: str) -> Decimal:
    """A positive finite number with at most four decimals. Raises Refusal."""
    if value is None or not value.is_finite() or not 0 < value < Decimal("1e9"):
        raise invalid(f"{name}: must be a number above 0 and below 1e9")
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4:
        raise invalid(f"{name}: must have at most four decimals")
    return value
