"""The documents of the events, put together: AsyncAPI for all of them, a JSON Schema for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tradesaga import __version__
from tradesaga.adapters.nats import asyncapi
from tradesaga.api.openapi import with_numbers
from tradesaga.config import Settings
from tradesaga.domain.errors import NotFound


def events_document(settings: Settings) -> bytes:
    """The AsyncAPI 3 document as JSON, with the subjects of these settings."""
    found = asyncapi.document(
        version=__version__,
        publish_prefix=settings.event_bus.publish_prefix,
        subscriptions=settings.event_bus.subscriptions,
    )
    return msgspec.json.encode(with_numbers(found))


def event_types() -> Sequence[str]:
    """All event types that have a schema."""
    return asyncapi.event_types()


def schema_of(event_type: str) -> Mapping[str, object]:
    """The JSON Schema of a whole message. Raises NotFound."""
    if event_type not in asyncapi.event_types():
        raise NotFound(f"{event_type} has no schema; `tradesaga events schema` lists what has one")
    found: Mapping[str, object] = with_numbers(asyncapi.schema_of(event_type))
    return found
