"""A request as a part of its caller's trace."""

from __future__ import annotations

import pytest

from tests.api.fakes import Api
from tests.spans import Spans, all_text, facts_of, id_of, parent_of, trace_of
from tradesaga.api.app import PREFIX
from tradesaga.api.forwarding import Forwarding
from tradesaga.api.gate import Gate
from tradesaga.domain.ids import AgentId
from tradesaga.domain.trace_context import TraceContext, read_trace
from tradesaga.ports.nodes import Passed, PeerAnswer

ABOVE = TraceContext(trace_id="ab" * 16, span_id="cd" * 8, sampled=True)


class Peers:
    """Another node leads, whatever it is asked about."""

    def __init__(self) -> None:
        self.asked: list[Passed] = []

    def elsewhere(self, _agent_id: AgentId | None) -> str:
        return "http://127.0.0.1:1"

    async def ask(self, _url: str, request: Passed) -> PeerAnswer:
        self.asked.append(request)
        return PeerAnswer(status=200, headers={}, body=b"{}")


@pytest.fixture(scope="module")
def traced() -> tuple[Api, Spans]:
    spans = Spans()
    return Api(tracer=spans.tracer), spans


async def test_it_goes_on_in_the_trace_of_its_caller(traced: tuple[Api, Spans]) -> None:
    api, spans = traced
    api.come_from("127.0.0.1")
    asked = await api.client.get(
        "/api/v1/cycles?limit=5&after=x", headers={"traceparent": ABOVE.header}
    )
    span = spans.ended("api.request")[-1]
    answered = read_trace(asked.headers["traceparent"])
    assert answered is not None
    assert (answered.trace_id, answered.span_id) == (ABOVE.trace_id, id_of(span))
    assert answered.sampled
    assert (trace_of(span), parent_of(span)) == (ABOVE.trace_id, ABOVE.span_id)
    assert facts_of(span) == {
        "http.request.method": "GET",
        "http.response.status_code": asked.status_code,
        "http.route": "/api/v1/cycles",
    }


async def test_a_refusal_has_the_trace_in_answer_and_span(traced: tuple[Api, Spans]) -> None:
    api, spans = traced
    api.come_from("127.0.0.1")
    refused = await api.client.get("/api/v1/nothing/CANARY?secret=CANARY")
    span = spans.ended("api.request")[-1]
    assert refused.json()["traceId"] == trace_of(span)
    assert span.parent is None
    assert "CANARY" not in span.to_json()


async def test_strangers_and_probes_make_no_span(traced: tuple[Api, Spans]) -> None:
    api, spans = traced
    api.come_from("127.0.0.1")
    before = len(spans.ended())
    flagged = {"traceparent": ABOVE.header}
    stranger = await api.client.get(
        "/api/v1/cycles", headers={**flagged, "Authorization": "Bearer no"}
    )
    assert stranger.status_code == 401
    await api.client.get("/livez", headers=flagged)
    assert len(spans.ended()) == before


async def test_a_defect_leaves_nothing_of_its_text(traced: tuple[Api, Spans]) -> None:
    api, spans = traced
    api.come_from("127.0.0.1")
    api.operations.error = RuntimeError("postgresql://u:CANARY@db")
    answered = await api.client.post(
        "/api/v1/agent/stop", json={"reason": "CANARY"}, headers={"Cookie": "CANARY"}
    )
    api.operations.error = None
    assert answered.status_code == 500
    span = spans.ended("api.request")[-1]
    assert not span.status.is_ok
    assert facts_of(span)["error.type"] == "500"
    assert "CANARY" not in all_text(spans.ended())


async def test_another_node_is_told_of_our_span_and_not_of_the_callers(
    traced: tuple[Api, Spans], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, spans = traced
    api.come_from("127.0.0.1")
    gate = api.app.asgi_handler
    assert isinstance(gate, Gate)
    peers = Peers()
    passing = Forwarding(gate._app, peers=peers, own_id="b", prefix=PREFIX, own=frozenset())
    monkeypatch.setattr(gate, "_app", passing)
    for headers in ({"traceparent": ABOVE.header}, {}):
        await api.client.get("/api/v1/cycles", headers=headers)
    ours = spans.ended("api.request")[-2:]
    assert [read_trace(one.headers["traceparent"]) for one in peers.asked] == [
        TraceContext(trace_id=trace_of(one), span_id=id_of(one), sampled=True) for one in ours
    ]
