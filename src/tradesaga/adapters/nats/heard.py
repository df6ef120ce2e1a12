"""One event in the reading: its payload as a struct, with every number sane."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec

from tradesaga.adapters.nats.envelope import Envelope, Unreadable
from tradesaga.domain.money import is_sane

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Payload(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields that both dialects have, or one of them."""


class HeardHeaders(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True,
    rename={"message_id": "Nats-Msg-Id"},
):  # fmt: skip
    """The headers of what we hear: all may be missing, others may be there."""

    message_id: Annotated[
        str,
        msgspec.Meta(description="for the stream; we know a message by the `eventId` in its body"),
    ] = ""
    traceparent: Annotated[
        str,
        msgspec.Meta(
            description="W3C Trace Context, where the trace of the message goes on, before "
            "`metadata.traceId`; what is no traceparent is ignored"
        ),
    ] = ""


_P = TypeVar("_P", bound=Payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One event in the reading: its envelope, and when it reached us."""

    envelope: Envelope
    received_at: datetime

    def read(self, form: type[_P]) -> _P:
        """The payload. Raises Unreadable."""
        try:
            payload = msgspec.json.decode(self.envelope.payload, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"payload of {self.envelope.event_type}: {error}") from error
        for name in form.__struct_fields__:
            value = getattr(payload, name)
            if isinstance(value, Decimal) and not is_sane(value):
                raise Unreadable(f"{name} of {self.envelope.event_type} cannot be meant")
        return payload
