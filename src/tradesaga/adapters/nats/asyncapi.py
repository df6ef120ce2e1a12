"""The AsyncAPI 3 document of all events, and the JSON Schema of each, from the forms themselves.

What we publish is described whole: nothing else is ever in it, nor in its headers. Of what we hear
the schema is what we need and understand; other fields may be there. Decimals are here as msgspec
describes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tradesaga.adapters.nats import topology
from tradesaga.adapters.nats.envelope import Flat, Metadata
from tradesaga.adapters.nats.heard import HeardHeaders
from tradesaga.adapters.nats.passing import PASSING
from tradesaga.adapters.nats.payloads import HEARD
from tradesaga.adapters.nats.published import PUBLISHED, SentHeaders, SentMetadata

ASYNCAPI: Final = "3.0.0"
JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_HERE = "#/components/schemas/{name}"
_INSIDE = "#/$defs/{name}"
_NOT_OF_ENVELOPE = ("payload",)
CORRELATION: Final = {
    "location": "$message.payload#/metadata/correlationId",
    "description": "The id of the decision or the cycle that it is about, and of its trace; in no "
    "header. A flat message has it beside `eventId`.",
}
Schema = dict[str, Any]


def event_types() -> Sequence[str]:
    """All event types that have a schema, ours first; the last have no effect here."""
    return [*PUBLISHED, *HEARD, *PASSING]


def schema_of(event_type: str) -> Schema:
    """The JSON Schema of a whole message of that type. Raises KeyError for a type without one."""
    forms = (_form(event_type), SentMetadata if event_type in PUBLISHED else Metadata)
    _, parts = msgspec.json.schema_components(forms, ref_template=_INSIDE)
    return {
        "$schema": JSON_SCHEMA,
        "title": event_type,
        **_message(event_type, _INSIDE),
        "$defs": parts,
    }


def document(
    *, version: str, publish_prefix: str, subscriptions: Sequence[str]
) -> Mapping[str, object]:
    """The document, with the subjects that are in use under this configuration."""
    listened = topology.subscriptions(subscriptions)
    channels, operations, messages = {}, {}, {}
    for event_type in event_types():
        ours = event_type in PUBLISHED
        addresses = (
            [topology.subject_of(publish_prefix, event_type)]
            if ours
            else topology.subjects_heard(listened, event_type)
        )
        for number, address in enumerate(addresses):
            name = event_type if number == 0 else f"{event_type}.{number + 1}"
            message = {"$ref": f"#/components/messages/{event_type}"}
            channels[name] = {"address": address, "messages": {event_type: message}}
            operations[f"{'send' if ours else 'receive'}.{name}"] = {
                "action": "send" if ours else "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{event_type}"}],
            }
        messages[event_type] = _described(event_type)
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Tradesaga",
            "version": version,
            "description": "Events of the orchestrator of an autonomous trading agent. A send is "
            "what the orchestrator publishes, a receive what it listens to, on NATS JetStream.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": _schemas(),
            "correlationIds": {"metadata": CORRELATION},
        },
    }


def _form(event_type: str) -> type[msgspec.Struct]:
    return PUBLISHED.get(event_type) or HEARD.get(event_type) or PASSING[event_type]


def _schemas() -> Mapping[str, object]:
    envelopes = (Metadata, SentMetadata, SentHeaders, HeardHeaders)
    forms = [*PUBLISHED.values(), *HEARD.values(), *PASSING.values(), *envelopes]
    _, schemas = msgspec.json.schema_components(forms, ref_template=_HERE)
    return schemas


def _described(event_type: str) -> Mapping[str, object]:
    described: dict[str, object] = {
        "name": event_type,
        "title": event_type,
        "summary": (_form(event_type).__doc__ or "").strip(),
        "payload": _message(event_type, _HERE),
        "correlationId": {"$ref": "#/components/correlationIds/metadata"},
    }
    headers = SentHeaders if event_type in PUBLISHED else HeardHeaders
    described["headers"] = {"$ref": _HERE.format(name=headers.__name__)}
    return described


def _message(event_type: str, template: str) -> Schema:
    """Envelope and payload: ours is nested, what we hear may be flat."""
    payload = {"$ref": template.format(name=_form(event_type).__name__)}
    form = SentMetadata if event_type in PUBLISHED else Metadata
    metadata = {"$ref": template.format(name=form.__name__)}
    named = {"type": "object", "properties": {"eventType": {"const": event_type}}}
    nested = {
        "type": "object",
        "required": ["metadata", "payload"],
        "properties": {"metadata": {"allOf": [metadata, named]}, "payload": payload},
    }
    if event_type in PUBLISHED:
        return {**nested, "additionalProperties": False}
    flat = {
        "type": "object",
        "required": ["eventId", "eventType", "timestamp", "payload"],
        "properties": {
            **_flat_properties(),
            "eventType": {"const": event_type},
            "payload": payload,
        },
    }
    return {"anyOf": [nested, flat]}


def _flat_properties() -> Mapping[str, object]:
    (_, parts) = msgspec.json.schema_components((Flat,), ref_template=_HERE)
    properties = parts[Flat.__name__]["properties"]
    return {name: one for name, one in properties.items() if name not in _NOT_OF_ENVELOPE}
