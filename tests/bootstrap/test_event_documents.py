"""The documents of the events: complete, without a loose end, and true to what is read and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.json_schema import faults
from tradesaga.adapters.nats.judging import problem_of
from tradesaga.adapters.nats.published import PUBLISHED
from tradesaga.bootstrap.event_console import settings_of
from tradesaga.bootstrap.event_documents import event_types, events_document, schema_of
from tradesaga.domain import events
from tradesaga.domain.errors import NotFound

METADATA = {
    "eventId": "e-1", "eventType": "", "timestamp": "2025-03-03T15:00:00Z", "source": "x",
    "version": "1.0",
}  # fmt: skip
TRACEPARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
ROW = "00000000-0000-7000-8000-000000000001 17"
STARTED = {
    "sagaId": "s-1", "sagaType": "trade_execution", "startedAt": "2025-03-03T15:00:00Z",
    "initialData": {"decisionId": "d-1", "symbol": "SPY", "side": "buy", "quantity": 1.5},
}  # fmt: skip
DECISION = {"decisionId": "d-1", "symbol": "SPY", "action": "BUY", "confidence": 0.7}


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(events_document(settings_of(None, {})))
    return found


def message(event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": METADATA | {"eventType": event_type}, "payload": payload}


def references(part: Any) -> Iterator[str]:
    match part:
        case {"$ref": str(target), **rest}:
            yield target
            yield from references(rest)
        case dict():
            for one in part.values():
                yield from references(one)
        case list():
            for one in part:
                yield from references(one)


def test_every_published_type_has_a_form() -> None:
    ours = {
        value
        for name, value in vars(events).items()
        if name.isupper() and isinstance(value, str) and value.startswith("orchestrator.")
    }
    assert set(PUBLISHED) == ours
    assert ours <= set(event_types())


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = document()
    targets = set(references(whole))
    assert targets
    for target in targets:
        found: Any = whole
        for part in target.removeprefix("#/").split("/"):
            found = found[part]


def test_the_subjects_are_those_in_use() -> None:
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    address = {name: one["address"] for name, one in whole["channels"].items()}
    assert address["orchestrator.cycle.started"] == "ai-trader.orchestrator.cycle.started"
    assert address["trade.order.filled"] == "ai-trader.trade.order.filled"
    assert "system.health.check" not in address, "nobody listens to it"
    assert "trade.position.opened" not in address, "it has a schema and no effect"
    assert "trade.position.opened" in whole["components"]["messages"]
    assert whole["operations"]["send.orchestrator.cycle.started"]["action"] == "send"
    assert whole["operations"]["receive.ai.decision.generated"]["action"] == "receive"


def test_the_file_in_the_documentation_is_the_document() -> None:
    kept = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.json"
    assert json.loads(kept.read_text(encoding="utf-8")) == document(), (
        "write it anew: tradesaga events schema > docs/reference/asyncapi.json"
    )


@pytest.mark.parametrize("event_type", event_types())
def test_a_message_with_nothing_in_it_breaks_its_schema(event_type: str) -> None:
    schema = schema_of(event_type)
    assert list(faults({}, schema, schema))
    empty = message(event_type, {})
    no_demand = event_type in ("market.session.opened", "market.session.closed")
    assert bool(list(faults(empty, schema, schema))) is not no_demand
    assert (problem_of(event_type, json.dumps(empty).encode()) is None) is no_demand


@pytest.mark.parametrize(
    ("event_type", "payload", "fits"),
    [
        (events.SAGA_STARTED, STARTED, True),
        (events.SAGA_STARTED, STARTED | {"extra": 1}, False),
        (events.SAGA_STARTED, STARTED | {"sagaId": None}, False),
        (events.SAGA_STARTED, STARTED | {"startedAt": "2025-03-03T15:00:00"}, False),
        ("ai.decision.generated", DECISION, True),
        ("ai.decision.generated", DECISION | {"factors": []}, True),
        ("ai.decision.generated", DECISION | {"symbol": ""}, False),
        ("ai.decision.generated", DECISION | {"reasoning": 7}, False),
    ],
)
def test_schema_and_reader_say_the_same(
    event_type: str, payload: dict[str, Any], fits: bool
) -> None:
    schema, said = schema_of(event_type), message(event_type, payload)
    assert (not list(faults(said, schema, schema))) is fits
    assert (problem_of(event_type, json.dumps(said).encode()) is None) is fits


def test_what_we_hear_may_be_flat_and_what_we_tell_may_not() -> None:
    flat = {**METADATA, "eventType": "ai.decision.generated", "payload": DECISION}
    schema = schema_of("ai.decision.generated")
    assert not list(faults(flat, schema, schema))
    assert problem_of("ai.decision.generated", json.dumps(flat).encode()) is None
    ours = {**METADATA, "eventType": events.SAGA_STARTED, "payload": STARTED}
    schema = schema_of(events.SAGA_STARTED)
    assert list(faults(ours, schema, schema))


@pytest.mark.parametrize(
    ("event_type", "headers", "fits"),
    [
        (events.SAGA_STARTED, {"Nats-Msg-Id": "e-1"}, True),
        (events.SAGA_STARTED, {"Nats-Msg-Id": "e-1", "traceparent": TRACEPARENT}, True),
        (events.SAGA_STARTED, {"Nats-Msg-Id": "e-1", "Tradesaga-Row": ROW}, True),
        (events.SAGA_STARTED, {"Nats-Msg-Id": "e-1", "Tradesaga-Row": "7"}, False),
        (events.SAGA_STARTED, {"traceparent": TRACEPARENT}, False),
        (events.SAGA_STARTED, {"Nats-Msg-Id": "e-1", "traceparent": "x"}, False),
        (events.SAGA_STARTED, {"Nats-Msg-Id": "e-1", "X-Other": "x"}, False),
        ("ai.decision.generated", {}, True),
        ("ai.decision.generated", {"X-Other": "x", "traceparent": "x"}, True),
    ],
)
def test_headers_are_described(event_type: str, headers: dict[str, str], fits: bool) -> None:
    whole = document()
    described = whole["components"]["messages"][event_type]["headers"]
    assert (not list(faults(headers, described, whole))) is fits


def test_no_trace_is_told_in_the_body_of_ours() -> None:
    schema = schema_of(events.SAGA_STARTED)
    said = message(events.SAGA_STARTED, STARTED)
    said["metadata"]["traceId"] = TRACEPARENT
    assert list(faults(said, schema, schema))
    assert problem_of(events.SAGA_STARTED, json.dumps(said).encode())


def test_a_type_without_schema_is_named() -> None:
    with pytest.raises(NotFound, match=r"analytics\.pnl\.calculated"):
        schema_of("analytics.pnl.calculated")
