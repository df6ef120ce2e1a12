"""Where something stands in a trace, in the form of W3C Trace Context, version 00.

A trace of ours is about one thing, a decision or a cycle, and its id is that thing's: both have 128
bits. The first span of it has an id that follows from the thing's, too. So whoever knows a
correlation id knows the trace, before and after a crash, and nothing has to be stored for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from tradesaga.domain.ids import uuid_or_none

_FORM: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
_SAMPLED: Final = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A span: 32 and 16 hexadecimal digits; `sampled`: whoever made it records it."""

    trace_id: str
    span_id: str
    sampled: bool = False

    @property
    def header(self) -> str:
        """The value of the header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def read_trace(header: object) -> TraceContext | None:
    """What a `traceparent` says; None for anything that is none."""
    found = _FORM.fullmatch(header) if isinstance(header, str) else None
    if found is None:
        return None
    sampled = bool(int(found[3], 16) & _SAMPLED)
    return TraceContext(trace_id=found[1], span_id=found[2], sampled=sampled)


def trace_about(name: str) -> TraceContext | None:
    """The first span of the trace about the thing of this id; None if that is no UUID."""
    thing = uuid_or_none(name)
    if thing is None or not thing.int:
        return None
    span_id = sha256(str(thing).encode()).hexdigest()[:16]
    return TraceContext(trace_id=thing.hex, span_id=span_id)
