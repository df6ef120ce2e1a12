"""Traces are an extra: nothing of them is there until the configuration asks for it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from tradesaga.adapters.otel import OtelTracer
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.bootstrap.tracing import tracer_of
from tradesaga.config import Settings, load
from tradesaga.domain.errors import Invalid
from tradesaga.ports.tracing import UNTRACED

SERVERS = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "NATS_URL": "nats://127.0.0.1:1"}
METRICS = PrometheusMetrics(version="1", now=lambda: datetime(2020, 1, 1, tzinfo=UTC))


def settings(endpoint: str) -> Settings:
    wanted = {
        "observability.tracing.endpoint": endpoint,
        "observability.tracing.flushTimeout": "50",
    }
    return load(None, SERVERS, wanted).settings


@pytest.mark.timeout(120)  # a process of its own, on a machine that may be busy
def test_where_nobody_collects_nothing_is_imported() -> None:
    assert tracer_of(settings(""), METRICS, AsyncExitStack()) is UNTRACED
    script = (
        "import sys, tradesaga.bootstrap.serving\n"
        "print({'opentelemetry', 'requests'} & {name.split('.')[0] for name in sys.modules} or '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


async def test_who_wants_traces_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tradesaga.adapters.otel", None)
    async with AsyncExitStack() as stack:
        with pytest.raises(Invalid, match=r"observability.tracing.endpoint .*tradesaga\[otel\]"):
            tracer_of(settings("http://127.0.0.1:9/v1/traces"), METRICS, stack)


async def test_a_collector_that_is_away_is_no_hindrance() -> None:
    async with AsyncExitStack() as stack:
        tracer = tracer_of(settings("http://127.0.0.1:9/v1/traces"), METRICS, stack)
        assert isinstance(tracer, OtelTracer)
        with tracer.span("saga"):
            pass
