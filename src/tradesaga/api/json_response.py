"""Responses whose Decimals are exact JSON numbers; Litestar's own would make them strings."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from litestar import Response
from litestar.enums import MediaType
from litestar.openapi.spec import OpenAPIMediaType
from typing_extensions import override

T = TypeVar("T")

ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class JsonResponse(Response[T]):
    """JSON by msgspec; bytes and text go out as they are."""

    @override
    def render(
        self, content: Any, media_type: MediaType | OpenAPIMediaType | str, enc_hook: Any = None
    ) -> bytes:
        """The body."""
        if isinstance(content, bytes):
            return content
        if isinstance(content, str):
            return content.encode()
        return ENCODER.encode(content)
