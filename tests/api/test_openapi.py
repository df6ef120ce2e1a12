"""The OpenAPI document: what it lists is what there is, and it says the truth about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.fake_accounts import OTHER_ID
from tests.api.fake_approvals import WAITING
from tests.api.fake_letters import OPEN
from tests.api.fake_risk import DENIED_ID
from tests.api.fake_sagas import PARKED_ID
from tests.api.fake_schedules import DAILY_ID
from tests.api.fakes import CYCLE_ID, Api

OPERATIONS = {
    ("GET", "/api/v1/ladder"): "getLadder",
    ("POST", "/api/v1/kill"): "kill",
    ("POST", "/api/v1/rearm"): "rearm",
    ("POST", "/api/v1/agents/kill"): "killAll",
    ("POST", "/api/v1/ladder/acknowledge"): "acknowledge",
    ("POST", "/api/v1/agent/start"): "startAgent",
    ("POST", "/api/v1/agent/stop"): "stopAgent",
    ("POST", "/api/v1/agent/pause"): "pauseAgent",
    ("POST", "/api/v1/agent/resume"): "resumeAgent",
    ("GET", "/api/v1/agent/status"): "getAgentStatus",
    ("GET", "/api/v1/strategies"): "listStrategies",
    ("GET", "/api/v1/cycles"): "listCycles",
    ("GET", "/api/v1/cycles/{cycleId}"): "getCycle",
    ("POST", "/api/v1/cycles/{cycleId}/cancel"): "cancelCycle",
    ("GET", "/api/v1/sagas"): "listSagas",
    ("GET", "/api/v1/sagas/{sagaId}"): "getSaga",
    ("POST", "/api/v1/sagas/{sagaId}/retry"): "retrySaga",
    ("POST", "/api/v1/sagas/{sagaId}/compensate"): "compensateSaga",
    ("POST", "/api/v1/sagas/{sagaId}/resolve"): "resolveSaga",
    ("POST", "/api/v1/positions/{symbol}/close"): "closePosition",
    ("GET", "/api/v1/locks"): "listLocks",
    ("GET", "/api/v1/schedules"): "listSchedules",
    ("POST", "/api/v1/schedules"): "addSchedule",
    ("GET", "/api/v1/schedules/{scheduleId}"): "getSchedule",
    ("PATCH", "/api/v1/schedules/{scheduleId}"): "changeSchedule",
    ("DELETE", "/api/v1/schedules/{scheduleId}"): "removeSchedule",
    ("POST", "/api/v1/schedules/{scheduleId}/enable"): "enableSchedule",
    ("POST", "/api/v1/schedules/{scheduleId}/disable"): "disableSchedule",
    ("POST", "/api/v1/schedules/{scheduleId}/trigger"): "triggerSchedule",
    ("GET", "/api/v1/schedules/{scheduleId}/next"): "nextFires",
    ("POST", "/api/v1/strategies/{strategyId}/analyze"): "analyzeStrategy",
    ("GET", "/api/v1/orders"): "listOrders",
    ("GET", "/api/v1/orders/external"): "listExternalOrders",
    ("GET", "/api/v1/reservations"): "listReservations",
    ("GET", "/api/v1/positions"): "listPositions",
    ("GET", "/api/v1/approvals"): "listApprovals",
    ("POST", "/api/v1/approvals/{approvalId}/approve"): "approveOrder",
    ("POST", "/api/v1/approvals/{approvalId}/deny"): "denyOrder",
    ("GET", "/api/v1/dead-letters"): "listDeadLetters",
    ("GET", "/api/v1/dead-letters/{letterId}"): "getDeadLetter",
    ("POST", "/api/v1/dead-letters/{letterId}/replay"): "replayDeadLetter",
    ("POST", "/api/v1/dead-letters/{letterId}/discard"): "discardDeadLetter",
    ("GET", "/api/v1/invariants"): "getInvariants",
    ("GET", "/api/v1/decisions/{decisionId}"): "getDecision",
    ("GET", "/api/v1/decisions/{decisionId}/why"): "whyDecision",
    ("GET", "/api/v1/why"): "why",
    ("GET", "/api/v1/risk/limits"): "getRiskLimits",
    ("GET", "/api/v1/risk/limits/history"): "getRiskLimitHistory",
    ("PUT", "/api/v1/risk/limits"): "putRiskLimits",
    ("POST", "/api/v1/strategies"): "createStrategy",
    ("GET", "/api/v1/strategies/{strategyId}"): "getStrategy",
    ("PATCH", "/api/v1/strategies/{strategyId}"): "updateStrategy",
    ("DELETE", "/api/v1/strategies/{strategyId}"): "deleteStrategy",
    ("POST", "/api/v1/strategies/{strategyId}/activate"): "activateStrategy",
    ("POST", "/api/v1/strategies/{strategyId}/deactivate"): "deactivateStrategy",
    ("GET", "/api/v1/events"): "streamEvents",
    ("GET", "/api/v1/agents"): "listAgents",
    ("POST", "/api/v1/agents"): "addAgent",
    ("GET", "/api/v1/agents/{agentId}"): "getAgent",
    ("POST", "/api/v1/agents/{agentId}/retire"): "retireAgent",
    ("GET", "/api/v1/tokens"): "listTokens",
    ("POST", "/api/v1/tokens"): "createToken",
    ("POST", "/api/v1/tokens/{tokenName}/revoke"): "revokeToken",
    ("POST", "/api/v1/tokens/{tokenName}/rotate"): "rotateToken",
    ("GET", "/api/v1/checkpoints"): "listCheckpoints",
    ("GET", "/api/v1/audit"): "listAudit",
    ("GET", "/api/v1/decisions"): "listDecisions",
    ("GET", "/api/v1/nodes"): "listNodes",
    ("GET", "/api/v1/retention"): "getRetention",
    ("POST", "/api/v1/retention/run"): "runRetention",
    ("GET", "/health"): "getHealth",
    ("GET", "/livez"): "getLiveness",
    ("GET", "/readyz"): "getReadiness",
    ("GET", "/startupz"): "getStartup",
    ("GET", "/metrics"): "getMetrics",
}
BODIES = {
    "agents": {"name": "third", "tradingEngine": "http://engine/3"},
    "cancel": {"reason": "slow"},
    "limits": {"mode": "normal", "limits": {}, "reason": "x"},
    "strategies": {"name": "new", "type": "sma", "symbols": ["SPY"]},
    "{strategyId}": {"priority": 2},
    "rearm": {"operator": "ann", "reason": "x", "confirm": True},
    "acknowledge": {"cause": "DRIFT", "operator": "ann", "scope": "symbol", "subject": "SPY"},
    "retry": {"reason": "x"},
    "approve": {"by": "ann", "reason": "x"},
    "tokens": {"name": "ci", "scopes": ["read"]},
    "deny": {"by": "ann", "reason": "x"},
    "replay": {"by": "ann", "reason": "x"},
    "discard": {"by": "ann", "reason": "x"},
    "close": {"reason": "x"},
    "compensate": {"reason": "x"},
    "resolve": {"reason": "x", "outcome": "canceled"},
    "schedules": {"strategyId": "x", "type": "cron", "value": "@daily"},
    "{scheduleId}": {"priority": 1},
}
TYPES = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,),
    "number": (int, float), "boolean": (bool,),
}  # fmt: skip


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    response = await api.client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    document: dict[str, Any] = response.json()
    return document


def test_it_lists_every_operation_by_its_id(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    found = {
        (method.upper(), path): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == OPERATIONS


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(_references(document))
    assert references
    for reference in references:
        name = reference.removeprefix("#/components/schemas/")
        assert name in document["components"]["schemas"], reference


def test_every_header_has_a_form(document: dict[str, Any]) -> None:
    headers = [
        (name, header)
        for item in document["paths"].values()
        for operation in item.values()
        for response in operation["responses"].values()
        for name, header in response.get("headers", {}).items()
    ]
    assert {name for name, _ in headers} == {"ETag"}
    for name, header in headers:
        assert header["schema"]["type"] == "string", name


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                own = path in {"/health", "/readyz", "/startupz"} and status == "503"
                if status.startswith(("4", "5")) and not own:
                    assert list(response["content"]) == ["application/problem+json"]


def test_commands_need_no_body_and_refuse_further_fields(document: dict[str, Any]) -> None:
    for action in ("start", "stop", "pause", "resume"):
        body = document["paths"][f"/api/v1/agent/{action}"]["post"]["requestBody"]
        assert body["required"] is False
        reference = body["content"]["application/json"]["schema"]["$ref"]
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert schema["additionalProperties"] is False


def test_limits_and_numbers_are_told(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    [minutes, _] = schemas["PauseRequest"]["properties"]["duration"]["anyOf"]
    assert (minutes["exclusiveMinimum"], minutes["maximum"]) == (0, 525600)
    assert schemas["Performance"]["properties"]["pnl"] == {"type": "number"}
    assert schemas["StartedAnswer"]["properties"]["startedAt"]["format"] == "date-time"
    parameters = document["paths"]["/api/v1/cycles"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["limit", "status", "cursor"]
    assert parameters[0]["schema"]["default"] == 20


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_answers_have_exactly_the_described_fields(
    api: Api, document: dict[str, Any], method: str, path: str
) -> None:
    body = None if method in {"GET", "DELETE"} else BODIES.get(path.rpartition("/")[2])
    cycle = api.operations.listed[0].id if path.endswith("/cancel") else CYCLE_ID
    where = path.replace("{cycleId}", str(cycle)).replace("{sagaId}", str(PARKED_ID))
    where = where.replace("{symbol}", "ACME").replace("{decisionId}", str(DENIED_ID))
    where = where.replace("{scheduleId}", str(DAILY_ID)).replace(
        "{strategyId}", "sma-spy" if path.endswith("/analyze") else "sample"
    )
    where = where.replace("{tokenName}", "read-token").replace("{agentId}", str(OTHER_ID))
    where = where.replace("{approvalId}", str(WAITING.id)).replace("{letterId}", str(OPEN.id))
    where = "/api/v1/why?symbol=ACME" if where == "/api/v1/why" else where
    response = await api.client.request(method, where, json=body)
    described = document["paths"][path][method.lower()]["responses"]
    assert response.status_code == int(min(described))
    content = described[str(response.status_code)]["content"]
    schema = content.get("application/json", {}).get("schema")
    if schema is not None:
        matches(response.json(), schema, document["components"]["schemas"], path)


def matches(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> None:
    """As much of JSON Schema as our document uses; fields that it does not know are refused."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        [schema, _] = schema["anyOf"]
        if value is not None:
            matches(value, schema, schemas, where)
        return
    if "enum" in schema:
        assert value in schema["enum"], where
        return
    kind = schema["type"]
    assert type(value) in TYPES[kind], where
    if "properties" in schema:
        properties = schema["properties"]
        assert set(schema["required"]) <= set(value) <= set(properties), where
        for name, item in value.items():
            matches(item, properties[name], schemas, f"{where}.{name}")
    elif kind == "array":
        for item in value:
            matches(item, schema["items"], schemas, f"{where}[]")


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
