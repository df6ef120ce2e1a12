"""What a neighbour is told of why it is asked: the correlation id that the log is bound to.

A correlation id of ours is the id of a trace, too: whoever traces finds the requests of a decision
under one trace. While we record no spans it is that trace's first that is named, as not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from structlog.contextvars import get_contextvars

from tradesaga.domain.trace_context import TraceContext, trace_about

CORRELATION: Final = "X-Correlation-Id"
TRACEPARENT: Final = "traceparent"


def asked_about() -> str | None:
    """What a request that is made now is about; None when it is about nothing of ours."""
    correlation_id = get_contextvars().get("correlation_id")
    return None if correlation_id is None else str(correlation_id)


def trace_headers(name: str | None, here: TraceContext | None) -> Mapping[str, str]:
    """The headers of a request about the thing of this id, made `here`."""
    if name is None:
        return {} if here is None else {TRACEPARENT: here.header}
    named = here or trace_about(name)
    return {CORRELATION: name} if named is None else {CORRELATION: name, TRACEPARENT: named.header}
