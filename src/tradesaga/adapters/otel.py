"""Traces by OpenTelemetry, sent to a collector over OTLP/HTTP; needs the extra [otel].

    span ends ──► queue, bounded ──► a thread of its own ──► collector
                    │ full: dropped         │ fails, or its time is over: lost
                    └───── counted ─────────┘

The event loop only appends to the queue: a collector that is slow, dead or a black hole costs the
spans, nothing else. Whether a trace is recorded follows from its id, so that all who have a part in
it agree, before and after a crash; what somebody else began is recorded if he says so.
Facts pass a list of names and the form of a word: text, amounts and secrets have no way in. Of an
error there is the name of its class. While a span is open the log is bound to its ids.
"""

from __future__ import annotations

import re
import time  # noqa: TID251 -- collectors compare it with the time of others
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final

from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from structlog.contextvars import bind_contextvars, get_contextvars, reset_contextvars
from typing_extensions import Unpack, override

from tradesaga.domain.trace_context import TraceContext, trace_about
from tradesaga.ports.tracing import Facts, Span, SpanKind

LINKS_MAX: Final = 16
_RANDOM_BITS: Final = 32
"""Of a trace id, the lowest: above them an id of ours may hold a counter, which is no chance."""
_WORD: Final = re.compile(r"[A-Za-z0-9_.:/{}*>@+-]{1,200}")
_NAMES: Final[Mapping[str, str]] = {
    **{name: f"tradesaga.{name}" for name in Facts.__annotations__},
    "method": "http.request.method",
    "route": "http.route",
    "status_code": "http.response.status_code",
    "service": "peer.service",
    "subject": "messaging.destination.name",
}
_BOUND: Final = (
    "agent_id", "cycle_id", "cycle_type", "decision_id", "saga_id", "order_id", "correlation_id",
)  # fmt: skip
"""What of the ids that the log is bound to a span bears."""
_KINDS: Final[Mapping[SpanKind, api.SpanKind]] = {
    kind: api.SpanKind[kind.name] for kind in SpanKind
}
_current: ContextVar[api.Span | None] = ContextVar("tradesaga_span", default=None)


class OtelTracer:
    """Implements `ports.tracing.Tracer`; `redacted` takes secrets out of a text."""

    is_on = True

    def __init__(
        self,
        processor: SpanProcessor,
        *,
        service: str,
        version: str,
        instance: str,
        ratio: float,
        redacted: Callable[[str], str],
    ) -> None:
        self._redacted = redacted
        self._ids = _Ids()
        self._sampler = _ByTraceId(ratio)
        named = {
            "service.name": service,
            "service.version": version,
            "service.instance.id": instance,
        }
        self._provider = TracerProvider(
            sampler=self._sampler,
            resource=Resource(named),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("tradesaga", version)

    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        about: str | None = None,
        first: bool = False,
        parent: TraceContext | None = None,
        **facts: Unpack[Facts],
    ) -> AbstractContextManager[Span]:
        """See the port."""
        made = self._begin(name, kind, about, first=first, parent=parent, facts=facts)
        return _Opened(self, made)

    def moment(self) -> int:
        """Nanoseconds since 1970, by the host's clock: market time may stand still."""
        return time.time_ns()

    def told(
        self,
        name: str,
        *,
        since: int,
        about: str | None = None,
        first: bool = False,
        links: Sequence[TraceContext] = (),
        **facts: Unpack[Facts],
    ) -> None:
        """See the port."""
        made = self._begin(
            name, SpanKind.INTERNAL, about, first=first, links=links, since=since, facts=facts
        )
        made.end()

    def here(self) -> TraceContext | None:
        """See the port."""
        span = _current.get()
        return None if span is None else _plain(span.get_span_context())

    def attributes(self, facts: Mapping[str, Any]) -> dict[str, str | int]:
        """The facts that may leave, under the names by which collectors know them."""
        found: dict[str, str | int] = {}
        for name, value in facts.items():
            known = _NAMES.get(name)
            if known is None or value is None:
                continue
            if isinstance(value, int):
                found[known] = value
            elif _WORD.fullmatch(text := str(value)) and self._redacted(text) == text:
                found[known] = text
        return found

    def _begin(
        self,
        name: str,
        kind: SpanKind,
        about: str | None,
        *,
        first: bool,
        facts: Mapping[str, Any],
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        since: int | None = None,
    ) -> api.Span:
        """The span, begun, with its place in a trace as the port says."""
        stands_in = _current.get()
        inside = None if stands_in is None else stands_in.get_span_context()
        above, linked = inside, [_theirs(one) for one in links[:LINKS_MAX]]
        begins = None if about is None else trace_about(about)
        if parent is not None:
            above = _theirs(parent)
        elif begins is not None:
            if first:
                above, self._ids.next = None, begins
            elif inside is None or inside.trace_id != int(begins.trace_id, 16):
                above = self._sampler.judged(begins)
            if inside is not None and above is not inside:
                linked.append(inside)
        bound = get_contextvars()
        ids: dict[str, Any] = {key: bound[key] for key in _BOUND if key in bound}
        return self._tracer.start_span(
            name,
            context=api.set_span_in_context(
                api.NonRecordingSpan(above or api.INVALID_SPAN_CONTEXT)
            ),
            kind=_KINDS[kind],
            attributes=self.attributes({**ids, **facts}),
            links=[api.Link(one) for one in linked],
            start_time=since,
            record_exception=False,
            set_status_on_exception=False,
        )


class _Opened:
    """Implements `Span` and its context: the current one of its task while it is open."""

    __slots__ = ("_log", "_span", "_token", "_tracer")

    def __init__(self, tracer: OtelTracer, span: api.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._token: Token[api.Span | None] | None = None
        self._log: Mapping[str, Token[Any]] = {}

    def __enter__(self) -> Span:
        context = _plain(self._span.get_span_context())
        self._token = _current.set(self._span)
        self._log = bind_contextvars(trace_id=context.trace_id, span_id=context.span_id)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.failed(kind.__name__)
        assert self._token is not None, "it was entered"
        _current.reset(self._token)
        reset_contextvars(**self._log)
        self._span.end()

    def note(self, **facts: Unpack[Facts]) -> None:
        """See the port."""
        if self._span.is_recording():
            self._span.set_attributes(self._tracer.attributes(facts))

    def failed(self, error: str) -> None:
        """See the port."""
        if _WORD.fullmatch(error):
            self._span.set_attribute("error.type", error)
        self._span.set_status(api.StatusCode.ERROR)


class _Ids(RandomIdGenerator):
    """Random ids, but for the first span about a thing, whose are those of the thing."""

    def __init__(self) -> None:
        self.next: TraceContext | None = None

    @override
    def generate_trace_id(self) -> int:
        # The library asks for the trace's first, and always for both.
        return super().generate_trace_id() if self.next is None else int(self.next.trace_id, 16)

    @override
    def generate_span_id(self) -> int:
        told, self.next = self.next, None
        return super().generate_span_id() if told is None else int(told.span_id, 16)

    @override
    def is_trace_id_random(self) -> bool:
        return False


class _ByTraceId(Sampler):
    """Records the share `ratio` of all traces, by their ids, and what others say they record."""

    def __init__(self, ratio: float) -> None:
        self._refused = round((1 - ratio) * (1 << _RANDOM_BITS))

    def judged(self, trace: TraceContext) -> api.SpanContext:
        """The span as that of another process, which has decided as this one does."""
        return _theirs(trace, sampled=self._records(int(trace.trace_id, 16)))

    @override
    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        above = api.get_current_span(parent_context).get_span_context()
        wanted = above.trace_flags.sampled if above.is_valid else self._records(trace_id)
        if not wanted:
            return SamplingResult(Decision.DROP)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    @override
    def get_description(self) -> str:
        return "by the id of the trace"

    def _records(self, trace_id: int) -> bool:
        return trace_id & ((1 << _RANDOM_BITS) - 1) >= self._refused


def _plain(context: api.SpanContext) -> TraceContext:
    return TraceContext(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        sampled=context.trace_flags.sampled,
    )


def _theirs(trace: TraceContext, *, sampled: bool | None = None) -> api.SpanContext:
    wanted = trace.sampled if sampled is None else sampled
    return api.SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED if wanted else api.TraceFlags.DEFAULT),
    )
