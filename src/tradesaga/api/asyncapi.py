"""The AsyncAPI document of the events, served as it was given: about the bus, not this API."""

from __future__ import annotations

from typing import Final

from litestar import MediaType, Response, get
from litestar.types import ControllerRouterHandler

from tradesaga.api.json_response import JsonResponse

PATHS: Final = ("/asyncapi.json", "/api/v1/asyncapi.json")


def events_document(body: bytes) -> ControllerRouterHandler:
    """The route that answers with `body`."""

    @get(list(PATHS), sync_to_thread=False)
    def asyncapi() -> Response[bytes]:
        """The AsyncAPI document."""
        return JsonResponse(body, media_type=MediaType.JSON)

    return asyncapi
