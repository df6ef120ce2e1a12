"""Traces over a real server: out in a header, in by a header or the platform's field."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.adapters.nats.conftest import World, connected, make_bus, nested, row, running
from tests.spans import Spans, facts_of, id_of, parent_of, trace_of
from tradesaga.adapters.nats.published import SentHeaders
from tradesaga.domain.trace_context import TraceContext, read_trace, trace_about

DECISION = "01a208eb-c980-7c98-8b54-ae7350cbfd50"
THEIRS = TraceContext(trace_id="ab" * 16, span_id="cd" * 8, sampled=True)


@contextlib.asynccontextmanager
async def traced(
    url: str, token: str, prefix: str, spans: Spans, **options: Any
) -> AsyncIterator[World]:
    bus = make_bus(url, token, prefix, tracer=spans.tracer, **options)
    async with connected(url, token) as client, running(bus):
        yield World(bus=bus, client=client, prefix=prefix)


async def headers(world: World, sequence: int) -> dict[str, str]:
    stream = f"{world.prefix}_ORCHESTRATOR".upper()
    stored = await world.client.jetstream().get_msg(stream, sequence)
    return dict(stored.headers or {})


async def test_what_another_process_left_in_the_outbox_goes_on_in_its_trace(
    nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    left = replace(row("e-1", cycleId="c"), correlation_id=DECISION)
    begins = trace_about(DECISION)
    assert begins is not None
    told: list[ReadableSpan] = []
    repeats: list[bool] = []
    for spans in (Spans(), Spans()):  # the second time as after a crash before the mark
        async with traced(nats_url, nats_token, subject_prefix, spans) as world:
            published = await world.bus.publish(left)
            sent = read_trace((await headers(world, published.stream_sequence))["traceparent"])
        told.append(spans.only("publish"))
        repeats.append(published.duplicate)
        assert (trace_of(told[-1]), parent_of(told[-1])) == (begins.trace_id, begins.span_id)
        assert sent is not None
        assert (sent.trace_id, sent.sampled) == (begins.trace_id, True)
        assert sent.span_id == id_of(told[0]), "the stream keeps the first, and takes the repeat"
    assert repeats == [False, True]
    assert facts_of(told[0]) == {
        "messaging.destination.name": f"{subject_prefix}.orchestrator.cycle.started",
        "tradesaga.event_id": "e-1",
        "tradesaga.correlation_id": DECISION,
    }


def told_by(field: object, header: str | None) -> tuple[bytes, dict[str, str] | None]:
    message = msgspec.json.decode(
        nested("system.heartbeat", "evt_1", service="ai-decision", status="healthy")
    )
    if field is not None:
        message["metadata"]["traceId"] = field
    return msgspec.json.encode(message), None if header is None else {"traceparent": header}


@pytest.mark.parametrize(
    ("field", "header", "read"),
    [
        (None, THEIRS.header, THEIRS),
        (THEIRS.header, None, THEIRS),
        (f"00-{'ef' * 16}-{'ef' * 8}-00", THEIRS.header, THEIRS),
        (THEIRS.trace_id, "nonsense", None),
        ({"a": 1}, None, None),
        (None, None, None),
    ],
)
async def test_what_a_message_says_of_its_trace_is_read_or_ignored(
    nats_url: str, nats_token: str, subject_prefix: str,
    field: object, header: str | None, read: TraceContext | None,
) -> None:  # fmt: skip
    body, sent = told_by(field, header)
    async with traced(nats_url, nats_token, subject_prefix, Spans()) as world:
        await world.client.jetstream().publish(
            f"{world.prefix}.system.heartbeat", body, headers=sent
        )
        [delivery] = await world.take()
    assert delivery.problem == ""
    assert delivery.incoming is not None
    assert delivery.incoming.trace == read


async def test_without_traces_nothing_is_sent(world: World) -> None:
    published = await world.bus.publish(row("e-1", cycleId="c"))
    sent = await headers(world, published.stream_sequence)
    assert sent == {"Nats-Msg-Id": "e-1"}
    assert msgspec.convert(sent, SentHeaders).message_id == "e-1", "as the document says"
