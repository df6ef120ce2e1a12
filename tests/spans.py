"""Spans as a collector would get them, kept in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tradesaga.adapters.otel import OtelTracer
from tradesaga.domain.redaction import without_secrets


class Spans:
    """A tracer, and what it has told so far."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._kept = InMemorySpanExporter()
        self.tracer = OtelTracer(
            SimpleSpanProcessor(self._kept),
            service="orchestrator",
            version="1",
            instance="here",
            ratio=ratio,
            redacted=without_secrets,
        )

    def ended(self, name: str = "") -> list[ReadableSpan]:
        """Those that have ended, of that name if one is given, in the order of their ends."""
        return [span for span in self._kept.get_finished_spans() if name in ("", span.name)]

    def only(self, name: str) -> ReadableSpan:
        """The one of that name."""
        [span] = self.ended(name)
        return span


def trace_of(span: ReadableSpan) -> str:
    """The id of its trace as the wire has it."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def id_of(span: ReadableSpan) -> str:
    """Its own id as the wire has it."""
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    """The id of the span above it."""
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def links_of(span: ReadableSpan) -> list[str]:
    """The ids of the spans that it is linked to."""
    return [f"{link.context.span_id:016x}" for link in span.links]


def facts_of(span: ReadableSpan) -> Mapping[str, Any]:
    """What it says."""
    return dict(span.attributes or {})


def all_text(spans: list[ReadableSpan]) -> str:
    """Everything that leaves with them."""
    return "\n".join(span.to_json() for span in spans)
