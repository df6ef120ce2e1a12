"""What a neighbour is told of why it is asked: the correlation id that the log is bound to.

A correlation id of ours is 128 bits, as a trace id of W3C is: so it is the trace, too, and whoever
traces finds the requests of one decision under one trace. We record no spans: it is not sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from uuid import UUID

from structlog.contextvars import get_contextvars

CORRELATION: Final = "X-Correlation-Id"
TRACEPARENT: Final = "traceparent"


def trace_headers() -> Mapping[str, str]:
    """The headers of a request that is made now; none when it is about no decision."""
    correlation_id = get_contextvars().get("correlation_id")
    if correlation_id is None:
        return {}
    name = str(correlation_id)
    parent = sha256(name.encode()).hexdigest()[:16]
    return {CORRELATION: name, TRACEPARENT: f"00-{UUID(name).hex}-{parent}-00"}
