"""The way of spans to the collector: a bounded queue, and one thread that alone may have to wait.

What finds the queue full is dropped, what the collector does not take in time is lost; both are
counted, and said once per outage. Of environment and redirects nothing is followed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult
from structlog import get_logger
from typing_extensions import override

log = get_logger()
BATCH_MAX: Final = 256
EVERY_SECONDS: Final = 1.0
EXPORTED, DROPPED, LOST = "exported", "dropped", "lost"

Counted = Callable[[str, int], None]
"""Told what became of so many spans; by any thread."""


class Exporter(Protocol):
    """As much of the library's exporters as is used."""

    def export(self, spans: Sequence[ReadableSpan], /) -> SpanExportResult:
        """Send them; may take long."""
        ...

    def shutdown(self) -> None:
        """Give up what is being repeated."""
        ...


def otlp_exporter(endpoint: str, token: str, time_max: timedelta) -> OTLPSpanExporter:
    """What sends to a collector's address of traces, as `http://host:4318/v1/traces`."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    return OTLPSpanExporter(
        endpoint=endpoint,
        headers={"Authorization": f"Bearer {token}"} if token else {"Accept": "*/*"},
        timeout=time_max.total_seconds(),
        session=session,
    )


class SpanExport(SpanProcessor):
    """Implements the library's processor; the thread begins with the first span."""

    def __init__(self, exporter: Exporter, *, queue_max: int, counted: Counted) -> None:
        self._exporter = exporter
        self._queue_max = queue_max
        self._counted = counted
        self._waiting: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._is_lost = False
        self._thread = threading.Thread(target=self._run, name="span export", daemon=True)
        self._begun = False

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pass

    @override
    def on_end(self, span: ReadableSpan) -> None:
        if self._closing or len(self._waiting) >= self._queue_max:
            self._counted(DROPPED, 1)
            return
        self._waiting.append(span)
        if not self._begun:
            self._begun = True
            self._thread.start()
        if len(self._waiting) == BATCH_MAX:
            self._wake.set()

    def close(self, time_max: timedelta) -> None:
        """Send what waits within `time_max`, and count the rest as dropped. Blocks."""
        self._closing = True
        self._wake.set()
        if self._begun:
            self._thread.join(time_max.total_seconds())
        self._exporter.shutdown()
        left = len(self._waiting)
        self._waiting.clear()
        if left:
            self._counted(DROPPED, left)

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return not self._waiting

    def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._closing:
                self._wake.wait(EVERY_SECONDS)
                self._wake.clear()
            while batch := self._take():
                self._send(batch)

    def _take(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        try:
            while len(batch) < BATCH_MAX:
                batch.append(self._waiting.popleft())
        except IndexError:
            return batch
        return batch

    def _send(self, batch: Sequence[ReadableSpan]) -> None:
        try:
            is_taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001 -- of any kind: it must not end the thread
            log.warning("spans cannot be sent", error=type(error).__name__)
            is_taken = False
        self._counted(EXPORTED if is_taken else LOST, len(batch))
        if is_taken == self._is_lost:
            self._is_lost = not is_taken
            if is_taken:
                log.info("the collector of traces is back")
            else:
                log.warning("the collector of traces takes nothing; its spans are lost")
