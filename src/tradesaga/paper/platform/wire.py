"""JSON of the platform's services: camel case, raw doubles, what is unknown is absent, no nulls.

A path that nobody serves, and a body that is no JSON, are answered in HTML, as their web framework
does by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

AnyRequest = Request[Any, Any, Any]
_encode = msgspec.json.Encoder(enc_hook=str).encode


def plain(value: Any) -> Any:
    """The value as the platform writes it."""
    match value:
        case Decimal():
            return float(value)
        case datetime():
            return text_of(value)
        case msgspec.Struct():
            return plain(msgspec.to_builtins(value, builtin_types=(Decimal, datetime)))
        case dict():
            return {key: plain(one) for key, one in value.items() if one is not None}
        case list() | tuple():
            return [plain(one) for one in value]
        case _:
            return value


def text_of(moment: datetime) -> str:
    """ISO 8601 in milliseconds with a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(body: Any) -> bytes:
    """The JSON text of a body."""
    return _encode(plain(body))


def answer(body: Any, status: int = 200) -> Response[bytes]:
    """An HTTP answer with that body."""
    return Response(content=encode(body), media_type=MediaType.JSON, status_code=status)


def page(request: AnyRequest, status: int, text: str) -> Response[bytes]:
    """What the framework says where the service does not."""
    said = text or f"Cannot {request.method} {request.url.path}"
    html = f'<!DOCTYPE html>\n<html lang="en">\n<body>\n<pre>{said}</pre>\n</body>\n</html>\n'
    return Response(content=html.encode(), media_type=MediaType.HTML, status_code=status)


async def fields_of(request: AnyRequest) -> dict[str, Any] | None:
    """The body as an object, numbers exact; None for one that is no JSON object."""
    try:
        body = msgspec.json.decode(await request.body() or b"{}", type=dict[str, msgspec.Raw])
        return {name: _value(raw) for name, raw in body.items()}
    except msgspec.DecodeError:
        return None


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw, type=Decimal, strict=True) if _is_number(raw) else _any(raw)
    except msgspec.DecodeError:
        return _any(raw)


def _any(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw)


def _is_number(raw: msgspec.Raw) -> bool:
    return bytes(raw)[:1] in b"-0123456789"
