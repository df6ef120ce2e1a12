"""The envelope around every event: the platform's nested form out, nested and flat in.

The event type in the envelope rules, never the subject. What cannot be read raises `Unreadable`
with the reason in words: not JSON, no event type, a payload that is no object, more than 256 KiB,
a NUL character (Postgres stores none). A payload's numbers stay text until `payloads` reads them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from tradesaga.domain.trace_context import TraceContext, read_trace
from tradesaga.ports.records import OutboxRow

SOURCE = "orchestrator"
VERSION = "1.0"
BYTES_MAX = 256 * 1024
_NUL = b"\\u0000"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Unreadable(Exception):
    """A message that no repetition will make readable; the text says what is wrong with it."""


class Signature(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Ed25519 over the message; `value` is base64, the rest as `domain.signed_decisions` says."""

    issued_at: _Text
    expires_at: _Text
    nonce: _Text
    value: _Text


class Metadata(msgspec.Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Who tells what, when, and because of what."""

    event_id: _Name
    event_type: _Name
    timestamp: _Moment
    source: _Text = ""
    version: _Text = ""
    correlation_id: _Text | None = None
    causation_id: _Text | None = None
    signature: Signature | None = None
    trace_id: Any = None
    """The platform's place for a traceparent; whatever else it holds is nobody's fault."""


class Nested(msgspec.Struct, frozen=True):
    """The platform's own form."""

    metadata: Metadata
    payload: msgspec.Raw


class Flat(Metadata, frozen=True, kw_only=True):
    """The form of the platform's documents."""

    payload: msgspec.Raw


class _Form(msgspec.Struct, rename="camel", frozen=True):
    """As much of a message as tells its form: every part may be anything or missing."""

    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    event_type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event as received; `payload` is the text of a JSON object."""

    event_id: str
    event_type: str
    source: str
    at: datetime
    correlation_id: str | None
    payload: bytes
    signature: Signature | None = None
    trace: TraceContext | None = None


def encode(row: OutboxRow) -> bytes:
    """The message for `row`: nested, optional fields absent rather than null."""
    return encode_by_hand(
        event_id=row.event_id,
        event_type=row.type,
        source=SOURCE,
        at=row.at,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        payload=row.payload,
    )


def encode_by_hand(
    *,
    event_id: str,
    event_type: str,
    source: str,
    at: datetime,
    payload: bytes,
    correlation_id: str | None = None,
    causation_id: str | None = None,
) -> bytes:
    """A message of anybody; `payload` is the text of a JSON object."""
    metadata = Metadata(
        event_id=event_id,
        event_type=event_type,
        timestamp=at.astimezone(UTC),
        version=VERSION,
        source=source,
        correlation_id=correlation_id,
        causation_id=causation_id,
    )
    return msgspec.json.encode(Nested(metadata, msgspec.Raw(payload)))


def decode(body: bytes) -> Envelope:
    """Read a message of either form.

    Raises:
        Unreadable: it is none, or breaks a rule of the module.
    """
    if len(body) > BYTES_MAX:
        raise Unreadable(f"{len(body)} bytes, more than {BYTES_MAX}")
    if _NUL in body:
        raise Unreadable("holds a NUL character")
    try:
        if _is_nested(body):
            nested = msgspec.json.decode(body, type=Nested)
            return _envelope(nested.metadata, nested.payload)
        flat = msgspec.json.decode(body, type=Flat)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"no envelope: {error}") from error
    return _envelope(flat, flat.payload)


def _is_nested(body: bytes) -> bool:
    form = msgspec.json.decode(body, type=_Form)
    if form.metadata is msgspec.UNSET:
        return False
    if form.event_type is msgspec.UNSET:
        return True
    # The flat form may carry a map of the sender's own under the same name.
    try:
        inner = msgspec.json.decode(form.metadata, type=_Form)
    except msgspec.ValidationError:
        return False
    return inner.event_type is not msgspec.UNSET


def _envelope(metadata: Metadata, payload: msgspec.Raw) -> Envelope:
    text = bytes(payload)
    if not text.startswith(b"{"):
        raise Unreadable(f"payload is no object but {text[:20].decode(errors='replace')}")
    return Envelope(
        event_id=metadata.event_id,
        event_type=metadata.event_type,
        source=metadata.source,
        at=metadata.timestamp.astimezone(UTC),
        correlation_id=metadata.correlation_id,
        payload=text,
        signature=metadata.signature,
        trace=read_trace(metadata.trace_id),
    )
