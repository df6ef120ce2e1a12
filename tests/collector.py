"""A collector of traces on this machine: as much of OTLP over HTTP as takes spans."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import override


class Collector:
    """What has come; with `location` every request is sent there instead."""

    def __init__(self, location: str = "") -> None:
        self.location = location
        self.requests: list[tuple[str, str | None, bytes]] = []
        self.url = ""

    def bodies(self) -> list[ExportTraceServiceRequest]:
        """The requests, decoded."""
        return [ExportTraceServiceRequest.FromString(body) for _, _, body in [*self.requests]]

    def by_process(self, trace_id: str) -> dict[str, set[str]]:
        """The names of the spans of one trace, by the process that sent them."""
        names: dict[str, set[str]] = {}
        for body in self.bodies():
            for of_service in body.resource_spans:
                [process] = [
                    one.value.string_value
                    for one in of_service.resource.attributes
                    if one.key == "service.instance.id"
                ]
                for scope in of_service.scope_spans:
                    here = [one.name for one in scope.spans if one.trace_id.hex() == trace_id]
                    names.setdefault(process, set()).update(here)
        return {process: found for process, found in names.items() if found}

    def spans(self) -> list[Span]:
        """All spans, in the order in which they came."""
        return [
            span
            for body in self.bodies()
            for of_service in body.resource_spans
            for scope in of_service.scope_spans
            for span in scope.spans
        ]


def facts_of(span: Span) -> dict[str, str | int]:
    """What a span says."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def ways_of(spans: Sequence[Span]) -> Counter[str]:
    """How often each way leads up from a span to the first of its trace, as names with `<`."""
    known = {span.span_id: span for span in spans}
    led = Counter[str]()
    for span in known.values():
        above = [span]
        while above[-1].parent_span_id in known:
            above.append(known[above[-1].parent_span_id])
        assert {one.trace_id for one in above} == {span.trace_id}
        names = [f"{one.name} {facts_of(one).get('peer.service', '')}".strip() for one in above]
        led[" < ".join(names)] += 1
    return led


@contextmanager
def collecting(location: str = "") -> Iterator[Collector]:
    """A collector that listens until the block ends."""
    kept = Collector(location)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.requests.append((self.path, self.headers.get("authorization"), body))
            self.send_response(307 if location else 200)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", "0")
            self.end_headers()

        @override
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
