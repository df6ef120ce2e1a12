"""The way of spans to a collector that takes them, is away, or swallows everything."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.collector import collecting
from tests.engine.place import Place, another, carried_out
from tradesaga.adapters.otel import OtelTracer
from tradesaga.adapters.span_export import BATCH_MAX, SpanExport, otlp_exporter
from tradesaga.domain.saga import SagaStatus

LONG = timedelta(seconds=10)
SHORT = timedelta(milliseconds=100)


class Kept:
    """An exporter that can be held up, and what it was given."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.result = result
        self.free = threading.Event()
        self.asked = threading.Event()
        self.names: list[str] = []
        self.largest = 0

    def export(self, spans: Sequence[ReadableSpan], /) -> SpanExportResult:
        self.asked.set()
        self.free.wait(30)
        self.names += [span.name for span in spans]
        self.largest = max(self.largest, len(spans))
        return self.result

    def shutdown(self) -> None:
        self.free.set()


def tracer_over(export: SpanExport) -> OtelTracer:
    return OtelTracer(
        export, service="orchestrator", version="1", instance="x", ratio=1.0, redacted=str
    )


def tell(tracer: OtelTracer, number: int) -> None:
    for _ in range(number):
        with tracer.span("saga"):
            pass


def test_what_finds_no_room_is_dropped_and_counted_and_nobody_waits() -> None:
    counts: Counter[str] = Counter()
    kept = Kept()
    export = SpanExport(kept, queue_max=300, counted=lambda o, n: counts.update({o: n}))
    tracer = tracer_over(export)
    tell(tracer, BATCH_MAX)  # the thread takes these and is held up with them
    assert kept.asked.wait(10)
    tell(tracer, 1000)
    assert counts["dropped"] == 700
    kept.free.set()
    export.close(LONG)
    assert counts == {"dropped": 700, "exported": BATCH_MAX + 300}
    assert kept.largest <= BATCH_MAX
    tell(tracer, 5)  # after the end
    assert counts["dropped"] == 705


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"


def test_a_black_hole_costs_its_spans_and_ends_within_its_bound() -> None:
    counts: Counter[str] = Counter()
    with black_hole() as url:
        exporter = otlp_exporter(url, "", LONG)
        export = SpanExport(exporter, queue_max=256, counted=lambda o, n: counts.update({o: n}))
        tell(tracer_over(export), 2000)
        done = threading.Thread(target=export.close, args=(SHORT,))
        done.start()
        done.join(5)  # far less than the collector's time
        assert not done.is_alive()
    assert counts["exported"] == 0
    assert 0 < counts["dropped"] <= 2000


async def test_trades_go_on_beside_a_black_hole() -> None:
    counts: Counter[str] = Counter()
    place = Place()
    with black_hole() as url:
        exporter = otlp_exporter(url, "", LONG)
        export = SpanExport(exporter, queue_max=256, counted=lambda o, n: counts.update({o: n}))
        place.tracer = tracer_over(export)
        async with place.running() as parts:
            for number in range(200):
                saga = await carried_out(place, parts, another(number))
                assert saga.status is SagaStatus.COMPLETED
        assert counts["exported"] == 0
        assert counts["dropped"] > 0, "the queue is full, and nobody has waited"
        export.close(SHORT)


def test_what_a_refusing_collector_does_not_take_is_lost() -> None:
    counts: Counter[str] = Counter()
    kept = Kept(SpanExportResult.FAILURE)
    kept.free.set()
    export = SpanExport(kept, queue_max=1000, counted=lambda o, n: counts.update({o: n}))
    tell(tracer_over(export), 600)
    export.close(LONG)
    assert counts == {"lost": 600}


def test_a_collector_gets_spans_in_the_form_of_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody listens there
    counts: Counter[str] = Counter()
    with collecting() as collector:
        exporter = otlp_exporter(collector.url, "sesame", LONG)
        export = SpanExport(exporter, queue_max=1000, counted=lambda o, n: counts.update({o: n}))
        tell(tracer_over(export), 3)
        export.close(LONG)
    assert counts == {"exported": 3}
    [(path, authorization, _)] = collector.requests
    assert (path, authorization) == ("/v1/traces", "Bearer sesame")
    [body] = collector.bodies()
    [of_service] = body.resource_spans
    named = {one.key: one.value.string_value for one in of_service.resource.attributes}
    assert named["service.name"] == "orchestrator"
    assert [span.name for span in collector.spans()] == ["saga"] * 3


def test_it_is_not_sent_elsewhere() -> None:
    counts: Counter[str] = Counter()
    with collecting() as other, collecting(location=other.url) as collector:
        exporter = otlp_exporter(collector.url, "", LONG)
        export = SpanExport(exporter, queue_max=1000, counted=lambda o, n: counts.update({o: n}))
        tell(tracer_over(export), 1)
        export.close(LONG)
    assert counts == {"lost": 1}
    assert len(collector.requests) >= 1
    assert other.requests == []
