"""Does a message keep to the form of its type? For people, tests and what is published by hand."""

from __future__ import annotations

import msgspec

from tradesaga.adapters.nats.envelope import Unreadable, decode
from tradesaga.adapters.nats.heard import Heard
from tradesaga.adapters.nats.passing import PASSING
from tradesaga.adapters.nats.payloads import decode_event
from tradesaga.adapters.nats.published import PUBLISHED, Sent


def problem_of(event_type: str, body: bytes) -> str | None:
    """What is wrong with it in words, None when nothing is; types without a form are all right."""
    try:
        if event_type in PASSING:
            envelope = decode(body)
            Heard(envelope=envelope, received_at=envelope.at).read(PASSING[event_type])
            return None
        if event_type not in PUBLISHED:
            decode_event(body, decode(body).at)
            return None
        envelope = decode(body)
        msgspec.json.decode(body, type=Sent)
        msgspec.json.decode(envelope.payload, type=PUBLISHED[event_type])
    except Unreadable as error:
        return str(error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"{event_type}: {error}"
    return None
