"""Spans: where they stand, which are recorded, and what they never say."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from tests.spans import Spans, all_text, facts_of, id_of, parent_of, trace_of
from tradesaga.adapters.system import SystemIds
from tradesaga.domain.ids import derived
from tradesaga.domain.trace_context import TraceContext, read_trace, trace_about
from tradesaga.ports.tracing import UNTRACED, SpanKind

DECISION = "01a208eb-c980-7c98-8b54-ae7350cbfd50"
CYCLE = "01a208eb-c980-7c98-8b54-ae7350cbfd51"
TRACE = "01a208ebc9807c988b54ae7350cbfd50"
CANARY = "tsk_CANARYcanaryCANARYcanaryCANARYcanaryCANARYc"
THEIRS = TraceContext(trace_id="ab" * 16, span_id="cd" * 8, sampled=True)


def test_the_trace_about_a_thing_goes_on_in_the_next_process() -> None:
    before, after = Spans(), Spans()
    with before.tracer.span("decision", about=DECISION, first=True):
        pass
    with after.tracer.span("saga", about=DECISION), after.tracer.span("saga.step"):
        pass
    begun, saga, step = before.only("decision"), after.only("saga"), after.only("saga.step")
    assert {trace_of(span) for span in (begun, saga, step)} == {TRACE}
    begins = trace_about(DECISION)
    assert begins is not None
    assert begun.parent is None
    assert id_of(begun) == begins.span_id
    assert parent_of(saga) == begins.span_id
    assert parent_of(step) == id_of(saga)


def test_a_span_about_another_thing_is_linked_to_where_it_began() -> None:
    spans = Spans()
    with spans.tracer.span("cycle", about=CYCLE, first=True):
        with spans.tracer.span("saga", about=DECISION):
            pass
        with spans.tracer.span("cycle.step", about=CYCLE):
            pass
    cycle, saga, step = spans.only("cycle"), spans.only("saga"), spans.only("cycle.step")
    assert trace_of(saga) != trace_of(cycle)
    assert [link.context for link in saga.links] == [cycle.context]
    assert parent_of(step) == id_of(cycle)
    assert list(step.links) == []


def test_what_somebody_else_began_goes_on() -> None:
    spans = Spans(ratio=0)
    with spans.tracer.span("consume", parent=THEIRS, about=DECISION, kind=SpanKind.CONSUMER):
        here = spans.tracer.here()
    assert here is not None
    assert read_trace(here.header) == here
    assert (here.trace_id, here.sampled) == (THEIRS.trace_id, True)
    assert parent_of(spans.only("consume")) == THEIRS.span_id


def test_one_that_has_just_ended_is_told_with_its_length() -> None:
    spans = Spans()
    since = spans.tracer.moment()
    spans.tracer.told("risk.verdict", since=since, about=DECISION, first=True, links=[THEIRS] * 99)
    told = spans.only("risk.verdict")
    assert told.start_time == since
    assert told.end_time is not None
    assert told.end_time >= since
    assert 0 < len(told.links) < 99


@pytest.mark.parametrize("ratio", [0.0, 0.25, 1.0])
def test_the_share_that_is_recorded_follows_from_the_ids(ratio: float) -> None:
    ids = SystemIds()
    for names in (
        [str(derived("decision", number)) for number in range(2000)],
        [str(ids.uuid7()) for _ in range(2000)],
    ):
        one, other = Spans(ratio), Spans(ratio)
        for name in names:
            with one.tracer.span("decision", about=name, first=True):
                assert one.tracer.here() is not None
            with other.tracer.span("saga", about=name):
                pass
        recorded = {trace_of(span) for span in one.ended()}
        assert recorded == {trace_of(span) for span in other.ended()}
        assert len(recorded) == pytest.approx(2000 * ratio, abs=120 if 0 < ratio < 1 else 0)


def test_it_bears_the_ids_that_the_log_is_bound_to_and_binds_the_log_to_its_own() -> None:
    spans = Spans()
    with bound_contextvars(saga_id=UUID(int=7), cycle_id="c", said="anything"):
        with spans.tracer.span("saga.step", command="Submit"):
            bound = get_contextvars()
        assert "span_id" not in get_contextvars()
    step = spans.only("saga.step")
    assert (bound["trace_id"], bound["span_id"]) == (trace_of(step), id_of(step))
    assert facts_of(step) == {
        "tradesaga.saga_id": str(UUID(int=7)),
        "tradesaga.cycle_id": "c",
        "tradesaga.command": "Submit",
    }


@pytest.mark.parametrize(
    "facts",
    [
        {"reason": "sold"},  # no such name
        {"quantity": "12"},
        {"status": "filled at 12.50 USD"},  # text
        {"status": "x" * 300},
        {"step": CANARY},
        {"event_type": f"nats://user:{CANARY}@host"},
        {"subject": "a\nb"},
        {"order_id": None},
    ],
)
def test_what_is_no_id_and_no_word_of_ours_does_not_leave(facts: dict[str, str]) -> None:
    spans = Spans()
    with spans.tracer.span("saga", **facts) as span:  # type: ignore[arg-type]  # on purpose
        span.note(**facts)  # type: ignore[arg-type]  # on purpose
    assert facts_of(spans.only("saga")) == {}


async def test_of_an_error_there_is_its_name_alone() -> None:
    spans = Spans()
    with pytest.raises(ValueError, match="CANARY"), spans.tracer.span("saga"):
        raise ValueError(CANARY)
    with pytest.raises(asyncio.CancelledError), spans.tracer.span("cycle"):
        raise asyncio.CancelledError
    assert [facts_of(span) for span in spans.ended()] == [
        {"error.type": "ValueError"},
        {"error.type": "CancelledError"},
    ]
    assert not any(span.status.is_ok or span.events for span in spans.ended())
    assert "CANARY" not in all_text(spans.ended())


def test_without_a_collector_there_is_nothing() -> None:
    with UNTRACED.span("saga", about=DECISION, saga_id="x") as span:
        span.note(status="completed")
        assert UNTRACED.here() is None
        assert "span_id" not in get_contextvars()
    assert not UNTRACED.is_on


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (THEIRS.header, THEIRS),
        (f"00-{'ab' * 16}-{'cd' * 8}-00", TraceContext(trace_id="ab" * 16, span_id="cd" * 8)),
        (f"cc-{'ab' * 16}-{'cd' * 8}-03", THEIRS),
        (f"ff-{'ab' * 16}-{'cd' * 8}-01", None),
        (f"00-{'00' * 16}-{'cd' * 8}-01", None),
        (f"00-{'ab' * 16}-{'00' * 8}-01", None),
        (f"00-{'AB' * 16}-{'cd' * 8}-01", None),
        (f"00-{'ab' * 16}-{'cd' * 8}-01 ", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_header_is_read_or_ignored(header: object, read: TraceContext | None) -> None:
    assert read_trace(header) == read


@pytest.mark.parametrize("name", ["", "evt_1_a", "cycle", str(UUID(int=0))])
def test_what_is_no_id_of_ours_has_no_trace(name: str) -> None:
    assert trace_about(name) is None
    spans = Spans()
    with spans.tracer.span("publish", about=name):
        pass
    assert spans.only("publish").parent is None
