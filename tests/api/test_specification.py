"""The examples of the platform's specification, word for word, against the application.

The text of the specification is the fixture (`specification/`): each field that it names is sent
and taken, each field that it names comes back under its name, in its type and its spelling. What
the product adds stands beside those fields and replaces none.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.api.fakes import CYCLE_ID, Api
from tests.api.specification_reader import HEALTH, Example, Field, Shape, examples
from tests.api.test_problems import is_problem
from tradesaga.api.app import document
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.strategies import StrategyStatus

EXAMPLES = list(examples())
STRATEGY = next(one for one in EXAMPLES if one.path == "/api/v1/strategies").response["strategies"]
TITLES = [
    "Start Autonomous Agent", "Stop Autonomous Agent", "Get Agent Status", "Pause Agent",
    "Resume Agent", "List Strategies", "Activate Strategy", "Deactivate Strategy",
    "Trigger Manual Analysis", "Get Cycle History", "Get Cycle Details",
]  # fmt: skip
PLACES = {":strategyId": "sample", ":cycleId": str(CYCLE_ID)}
DOCUMENT = msgspec.json.decode(document())
HEALTH_BESIDES = {"reconciliation", "selfTrading"}
"""What stands beside the specification's document of health; it has neither ids nor amounts."""


def by_title(example: Example) -> str:
    return example.title


def where(example: Example) -> str:
    path = example.path
    if path.endswith("/analyze"):
        path = path.replace(":strategyId", "sma-spy")
    for name, value in PLACES.items():
        path = path.replace(name, value)
    return path


def values_of(field: Field) -> list[Any]:
    """Right values for a field of a request."""
    if field.choices:
        return list(field.choices)
    by_type: dict[str, list[Any]] = {"string": ["x"], "number": [1, 7], "boolean": [True, False]}
    by_type["string[]"] = [["sma-spy"]]
    return by_type[field.words]


def wrong_for(field: Field) -> list[Any]:
    """Values of another type."""
    wrong: dict[str, list[Any]] = {
        "string": [1, ["x"]], "number": ["1", True], "boolean": ["true", 1],
        "string[]": ["sma-spy", [1]],
    }  # fmt: skip
    return wrong.get(field.words, ["another", 1])


def has(value: Any, shape: Shape, place: str) -> None:
    """Every field of `shape` is in `value`, in its type; an optional one may be left out."""
    assert isinstance(value, dict), place
    for name, field in shape.items():
        at = f"{place}.{name}"
        if name not in value:
            assert field.optional, f"{at} is missing"
            continue
        if field.within is None:
            is_of(value[name], field, at)
        elif field.many:
            assert value[name], f"{at}: nothing to look at"
            for one in value[name]:
                has(one, field.within, at)
        else:
            has(value[name], field.within, at)


def is_of(value: Any, field: Field, place: str) -> None:
    if field.choices:
        assert value in field.choices, place
        return
    match field.words:
        case "string":
            # What has not happened yet (a run, an end) has no time: null, as documented.
            assert isinstance(value, str) or value is None, place
        case "number":
            assert type(value) in {int, float}, place
        case "string[]":
            assert all(isinstance(one, str) for one in value), place
        case "Strategy[]":
            assert STRATEGY.within is not None
            for one in value:
                has(one, STRATEGY.within, place)
        case "CycleDetails":
            assert isinstance(value, dict), place
        case "Error[]" | "Decision[]" | "Order[]" | "LogEntry[]":
            assert all(isinstance(one, dict) for one in value), place
        case other:
            raise AssertionError(other)


def test_every_example_of_the_text_is_read() -> None:
    assert [example.title for example in EXAMPLES] == TITLES
    by_name = {example.title: example for example in EXAMPLES}
    assert list(by_name["Stop Autonomous Agent"].request) == ["reason", "cancelOpenOrders"]
    assert by_name["Stop Autonomous Agent"].request["cancelOpenOrders"].default == "false"
    current = by_name["Get Agent Status"].response["currentCycle"]
    assert current.within is not None
    assert list(current.within) == ["id", "type", "startedAt", "progress"]
    assert list(by_name["Get Cycle Details"].response) == ["cycle", "decisions", "orders", "logs"]
    assert all(example.response for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=by_title)
async def test_every_request_of_the_specification_is_answered_as_it_says(
    api: Api, example: Example
) -> None:
    """All combinations of its fields, each with all right values."""
    api.operations.listed = [one for one in api.operations.listed if one.completed_at]
    names = list(example.request)
    choices = [[None, *values_of(field)] for field in example.request.values()]
    for given in itertools.product(*choices):
        body = {n: v for n, v in zip(names, given, strict=True) if v is not None}
        if "symbols" in body:
            body["symbols"] = ["SPY"]
        response = await api.client.request(
            example.method, where(example), json=body if names else None
        )
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == "application/json"
        has(response.json(), example.response, example.title)


@pytest.mark.parametrize(
    ("example", "name"),
    [(example, name) for example in EXAMPLES for name in example.request],
    ids=lambda one: one if isinstance(one, str) else one.title,
)
async def test_a_field_of_another_type_is_refused_by_name(
    api: Api, example: Example, name: str
) -> None:
    for value in wrong_for(example.request[name]):
        response = await api.client.request(example.method, where(example), json={name: value})
        assert is_problem(response, 400, "invalid-request")["problems"][0].startswith(f"{name} is")
    assert api.operations.calls == []


@pytest.mark.parametrize("example", EXAMPLES, ids=by_title)
def test_the_document_has_the_fields_and_defaults_of_the_specification(example: Example) -> None:
    operation = DOCUMENT["paths"][example.described][example.method.lower()]
    schemas = DOCUMENT["components"]["schemas"]
    said = {one["name"]: one for one in operation.get("parameters", []) if one["in"] == "query"}
    for name, field in example.query.items():
        schema = said[name]["schema"]
        if field.default is not None:
            assert str(schema["default"]).lower() == field.default
        for choice in field.choices:
            assert choice in str(schema)
    if example.request:
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        body = schemas[reference.rpartition("/")[2]]
        assert set(example.request) <= set(body["properties"])
        assert body.get("required", []) == []
        for name, field in example.request.items():
            if field.default is not None:
                assert str(body["properties"][name]["default"]).lower() == field.default
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    answer = schemas[reference.rpartition("/")[2]]
    always = {name for name, field in example.response.items() if not field.optional}
    assert always <= set(answer["required"])
    assert set(example.response) <= set(answer["properties"])


async def test_every_status_of_an_agent_is_spelled_as_in_the_specification(api: Api) -> None:
    [status] = [one.response["status"] for one in EXAMPLES if one.title == "Get Agent Status"]
    assert sorted(status.choices) == sorted(AgentStatus)
    for each in AgentStatus:
        api.operations.agent = replace(api.operations.agent, status=each)
        assert (await api.client.get("/api/v1/agent/status")).json()["status"] == each


def test_statuses_of_strategies_and_cycles_are_spelled_as_in_the_specification() -> None:
    assert STRATEGY.within is not None
    assert sorted(STRATEGY.within["status"].choices) == sorted(StrategyStatus)
    [history] = [one for one in EXAMPLES if one.title == "Get Cycle History"]
    assert set(history.query["status"].choices) == set(CycleStatus) - {CycleStatus.STARTED}


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_the_history_takes_the_query_of_the_specification(api: Api, status: str) -> None:
    response = await api.client.get(f"/api/v1/cycles?limit=5&status={status}")
    assert response.status_code == 200
    [(_, asked)] = api.operations.calls
    assert asked["status"] == status


async def test_an_analysis_that_waits_for_room_is_started_all_the_same(api: Api) -> None:
    response = await api.client.post("/api/v1/strategies/busy/analyze", json={})
    [example] = [one for one in EXAMPLES if one.title == "Trigger Manual Analysis"]
    has(response.json(), example.response, example.title)
    assert response.json()["queued"] is True


async def test_a_pause_tells_its_end_only_when_it_has_one(api: Api) -> None:
    without = (await api.client.post("/api/v1/agent/pause", json={})).json()
    assert "resumeAt" not in without
    ends = (await api.client.post("/api/v1/agent/pause", json={"duration": 5})).json()
    assert isinstance(ends["resumeAt"], str)


async def test_health_is_the_document_of_the_specification(api: Api) -> None:
    response = await api.client.get("/health")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    expected = msgspec.json.decode(HEALTH)
    answer = response.json()
    assert {name: answer[name] for name in expected} == expected
    assert set(answer) - set(expected) <= HEALTH_BESIDES
