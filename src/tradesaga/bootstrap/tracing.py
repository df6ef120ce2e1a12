"""Traces, where the configuration asks for them: the library is an extra, imported only then."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from functools import partial

from structlog import get_logger

from tradesaga import __version__
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.config import Settings
from tradesaga.domain.errors import Invalid
from tradesaga.domain.redaction import without_secrets
from tradesaga.ports.tracing import UNTRACED, Tracer

log = get_logger()
MISSING = (
    "observability.tracing.endpoint needs libraries that are not installed: "
    "pip install 'tradesaga[otel]'"
)


def tracer_of(settings: Settings, metrics: PrometheusMetrics, stack: AsyncExitStack) -> Tracer:
    """What spans are told to; `stack` sends what waits at the end. Raises Invalid."""
    wanted = settings.observability.tracing
    if not wanted.endpoint:
        return UNTRACED
    try:
        from tradesaga.adapters.otel import OtelTracer  # noqa: PLC0415 -- an extra
        from tradesaga.adapters.span_export import (  # noqa: PLC0415 -- an extra
            SpanExport,
            otlp_exporter,
        )
    except ModuleNotFoundError as error:
        raise Invalid([MISSING]) from error
    exporter = otlp_exporter(wanted.endpoint, wanted.token.reveal(), wanted.export_timeout)
    export = SpanExport(exporter, queue_max=wanted.queue_max, counted=metrics.spans_went)
    # In a thread: it waits for the collector, and nothing of ours waits for it.
    stack.push_async_callback(partial(asyncio.to_thread, export.close, wanted.flush_timeout))
    log.info("traces go to a collector", ratio=str(wanted.sample_ratio))
    return OtelTracer(
        export,
        service=wanted.service_name,
        version=__version__,
        instance=f"{socket.gethostname()}:{os.getpid()}",
        ratio=float(wanted.sample_ratio),
        redacted=without_secrets,
    )
