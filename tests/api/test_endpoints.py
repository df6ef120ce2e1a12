"""Every endpoint, held against the field tables of the specification.

The tables are typed from the specification's REST section: name, JSON type, whether null is meant.
Further fields are allowed, renamed or missing ones are not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.api.fake_access import ACTOR
from tests.api.fakes import (
    AGENT,
    CYCLE_ID,
    LATER_TEXT,
    NOON,
    NOON_TEXT,
    RUNNING_CYCLE_ID,
    STRATEGY_ID,
    Api,
)
from tests.domain.trades import begun
from tradesaga.api.answers import stamp
from tradesaga.domain.agent import AgentStatus, Mode
from tradesaga.domain.cycle import CycleStatus
from tradesaga.ports.operations import InvariantReport
from tradesaga.ports.records import Invariant
from tradesaga.ports.services import Health

START = {
    "status": "string",
    "agentId": "string",
    "startedAt": "time",
    "activeStrategies": "strings",
}
STOP = {
    "status": "string", "stoppedAt": "time", "openPositions": "number", "pendingOrders": "number",
}  # fmt: skip
PAUSE = {"status": "string", "resumeAt": "time"}
RESUME = {"status": "string", "resumedAt": "time"}
STATUS = {
    "status": "string", "uptime": "number", "currentCycle": "object", "lastCycle": "object",
    "stats": "object", "activeStrategies": "array", "nextScheduledCycle": "time",
}  # fmt: skip
CURRENT = {"id": "string", "type": "string", "startedAt": "time", "progress": "number"}
LAST = {
    "id": "string", "completedAt": "time", "duration": "number", "decisions": "number",
    "orders": "number",
}  # fmt: skip
STATS = {
    "cyclesCompleted": "number", "decisionsGenerated": "number", "ordersExecuted": "number",
    "errors": "number",
}  # fmt: skip
STRATEGY = {
    "id": "string", "name": "string", "type": "string", "status": "string", "symbols": "strings",
    "riskMode": "string", "lastRun": "time", "performance": "object",
}  # fmt: skip
PERFORMANCE = {"pnl": "number", "trades": "number", "winRate": "number"}
CYCLE = {
    "id": "string", "type": "string", "startedAt": "time", "completedAt": "time",
    "duration": "number", "status": "string", "decisions": "number", "orders": "number",
    "errors": "array",
}  # fmt: skip
DETAILS = {"cycle": "object", "decisions": "array", "orders": "array", "logs": "array"}


def has_fields(answer: Any, fields: dict[str, str]) -> None:
    assert isinstance(answer, dict)
    assert set(fields) <= set(answer), set(fields) - set(answer)
    for name, kind in fields.items():
        assert is_of(answer[name], kind), (name, answer[name])


def is_of(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "strings":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "time":
            parsed = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
            return len(value) == 27 and stamp(parsed) == value
        case _:
            raise AssertionError(kind)


async def test_start_runs_the_agent_and_names_what_runs(api: Api) -> None:
    response = await api.client.post(
        "/api/v1/agent/start", json={"strategies": ["sma-spy"], "mode": "conservative"}
    )
    assert response.status_code == 200
    has_fields(response.json(), START)
    assert response.json()["status"] == "started"
    assert response.json()["startedAt"] == NOON_TEXT
    assert response.json()["activeStrategies"] == [str(STRATEGY_ID)]
    expected = {
        "strategies": ["sma-spy"], "mode": Mode.CONSERVATIVE, "actor": ACTOR,
    }  # fmt: skip
    assert api.operations.calls == [("start", expected)]


@pytest.mark.parametrize("body", [None, {}, {"strategies": None, "mode": None}])
async def test_start_needs_no_field(api: Api, body: object) -> None:
    response = await api.client.post("/api/v1/agent/start", json=body)
    assert response.status_code == 200
    [(_, arguments)] = api.operations.calls
    assert arguments["strategies"] is None
    assert arguments["mode"] is None


async def test_stop_answers_with_what_is_left(api: Api) -> None:
    response = await api.client.post(
        "/api/v1/agent/stop", json={"reason": "lunch", "cancelOpenOrders": True}
    )
    assert response.status_code == 200
    has_fields(response.json(), STOP)
    assert response.json() == {
        "status": "stopped", "stoppedAt": LATER_TEXT, "openPositions": 2, "pendingOrders": 1,
        "inFlight": [
            {"sagaId": str(begun().saga.id), "symbol": "ACME", "side": "buy",
             "sagaStatus": "running", "orderStatus": "intent"},
        ],
    }  # fmt: skip
    [(_, arguments)] = api.operations.calls
    assert (arguments["reason"], arguments["cancel_open_orders"]) == ("lunch", True)


async def test_stop_lets_open_orders_be_by_default(api: Api) -> None:
    await api.client.post("/api/v1/agent/stop")
    [(_, arguments)] = api.operations.calls
    assert (arguments["reason"], arguments["cancel_open_orders"]) == ("", False)


async def test_pause_with_a_duration_tells_when_it_ends(api: Api) -> None:
    response = await api.client.post("/api/v1/agent/pause", json={"duration": 1.5})
    assert response.status_code == 200
    has_fields(response.json(), PAUSE)
    assert response.json()["resumeAt"] == "2020-12-15T17:01:30.000000Z"
    [(_, arguments)] = api.operations.calls
    assert arguments["duration"] == timedelta(seconds=90)


async def test_pause_without_a_duration_has_no_end(api: Api) -> None:
    response = await api.client.post("/api/v1/agent/pause")
    assert response.json() == {"status": "paused", "pauseReasons": ["operator"]}


async def test_resume(api: Api) -> None:
    response = await api.client.post("/api/v1/agent/resume")
    assert response.status_code == 200
    has_fields(response.json(), RESUME)
    assert response.json()["status"] == "running"
    assert response.json()["resumedAt"] == LATER_TEXT


async def test_status_has_every_field(api: Api) -> None:
    response = await api.client.get("/api/v1/agent/status")
    assert response.status_code == 200
    status = response.json()
    has_fields(status, STATUS)
    has_fields(status["currentCycle"], CURRENT)
    has_fields(status["lastCycle"], LAST)
    has_fields(status["stats"], STATS)
    [strategy] = status["activeStrategies"]  # the stopped one is not among them
    has_fields(strategy, STRATEGY)
    has_fields(strategy["performance"], PERFORMANCE)
    assert status["uptime"] == 3600
    assert status["currentCycle"]["id"] == str(RUNNING_CYCLE_ID)
    assert status["currentCycle"]["progress"] == 50  # three steps of six
    assert status["lastCycle"]["duration"] == 1500  # 1.500250 s
    assert status["stats"] == {
        "cyclesCompleted": 7, "decisionsGenerated": 5, "ordersExecuted": 3, "errors": 1,
    }  # fmt: skip


async def test_status_has_null_for_what_there_is_not(api: Api) -> None:
    api.operations.current_cycle = api.operations.last_cycle = None
    api.operations.next_cycle_at = None
    status = (await api.client.get("/api/v1/agent/status")).json()
    assert status["currentCycle"] is None
    assert status["lastCycle"] is None
    assert status["nextScheduledCycle"] is None


async def test_status_says_why_the_agent_is_paused(api: Api) -> None:
    api.operations.agent = replace(
        AGENT,
        status=AgentStatus.PAUSED,
        pause_reasons=frozenset({"operator", "loss"}),
        resume_at=NOON,
    )
    status = (await api.client.get("/api/v1/agent/status")).json()
    assert status["status"] == "paused"
    assert status["pauseReasons"] == ["loss", "operator"]
    assert status["resumeAt"] == NOON_TEXT


async def test_strategies(api: Api) -> None:
    response = await api.client.get("/api/v1/strategies")
    assert response.status_code == 200
    never_run, strategy = response.json()["strategies"]
    has_fields(strategy, STRATEGY)
    has_fields(strategy["performance"], PERFORMANCE)
    assert strategy["riskMode"] == "normal"
    assert never_run["lastRun"] is None


async def test_money_is_an_exact_number(api: Api) -> None:
    body = (await api.client.get("/api/v1/strategies")).content
    assert b'"pnl":12.30,' in body
    assert b'"winRate":0.6667' in body


async def test_cycles(api: Api) -> None:
    response = await api.client.get("/api/v1/cycles")
    assert response.status_code == 200
    running, ended = response.json()["cycles"]
    has_fields(ended, CYCLE)
    assert ended["errors"] == [{"strategyId": "sma-spy", "error": "no quote"}]
    assert running["completedAt"] is None
    assert running["duration"] is None
    assert api.operations.calls == [("cycles", {"limit": 21, "status": None, "after": None})]


@pytest.mark.parametrize("limit", [1, 1000])
async def test_cycles_takes_limit_and_status(api: Api, limit: int) -> None:
    response = await api.client.get(
        "/api/v1/cycles", params={"limit": limit, "status": "completed"}
    )
    assert [cycle["id"] for cycle in response.json()["cycles"]] == [str(CYCLE_ID)]
    asked = {"limit": limit + 1, "status": CycleStatus.COMPLETED, "after": None}
    assert api.operations.calls == [("cycles", asked)]


async def test_one_cycle_is_told_whole(api: Api) -> None:
    response = await api.client.get(f"/api/v1/cycles/{CYCLE_ID}")
    assert response.status_code == 200
    record = response.json()
    has_fields(record, DETAILS)
    has_fields(record["cycle"], CYCLE)
    [decision], [order], [log] = record["decisions"], record["orders"], record["logs"]
    assert decision["verdict"] == "denied"
    assert decision["denials"] == [{"code": "exposure_max", "message": "10 % allowed"}]
    assert order["clientOrderId"] == "ts-abc"
    assert order["filledQuantity"] == 10
    assert order["averagePrice"] == 367.46  # 3674.60 / 10
    assert log == {
        "level": "info", "message": "step done", "context": {"step": "x"}, "timestamp": NOON_TEXT,
    }  # fmt: skip


async def test_health_is_the_document_of_the_specification_and_the_comparison(api: Api) -> None:
    response = await api.client.get("/health")
    assert response.status_code == 200
    answer = response.json()
    assert answer.pop("reconciliation") == {"lastAt": None, "drifting": 0}
    assert answer.pop("selfTrading") == "unknown"
    assert answer == {
        "status": "healthy",
        "checks": {
            "database": "connected",
            "eventBus": "connected",
            "services": {
                "trading-engine": "healthy",
                "ai-decision": "healthy",
                "market-data": "healthy",
            },
        },
        "agent": {"status": "running", "uptime": 3600, "currentCycle": "analysis"},
    }


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"event_bus": False}, "degraded"),
        ({"services": {"market-data": Health.UNREACHABLE}}, "degraded"),
        ({"agent": replace(AGENT, status=AgentStatus.ERROR)}, "degraded"),
        ({"agent": replace(AGENT, status=AgentStatus.STOPPED)}, "healthy"),
    ],
)
async def test_health_is_degraded_and_still_200(
    api: Api, change: dict[str, Any], status: str
) -> None:
    api.operations.report = replace(api.operations.report, **change)
    response = await api.client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, status)


async def test_health_without_a_database_is_503(api: Api) -> None:
    api.operations.report = replace(
        api.operations.report, database=False, agent=None, current_cycle=None
    )
    response = await api.client.get("/health")
    assert response.status_code == 503
    health = response.json()
    assert health["status"] == "unhealthy"
    assert health["checks"]["database"] == "disconnected"
    assert health["agent"] == {"status": "unknown", "uptime": 3600, "currentCycle": None}


async def test_liveness_asks_nobody(api: Api) -> None:
    api.operations.error = AssertionError("asked")
    response = await api.client.get("/livez")
    assert (response.status_code, response.text) == (200, "ok\n")
    assert api.operations.calls == []


async def test_metrics_are_passed_through(api: Api) -> None:
    response = await api.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; version=1.0.0"
    assert response.text == "orchestrator_agent_uptime 1.0\n"


async def test_answers_are_neither_kept_nor_guessed_at(api: Api) -> None:
    for path in ("/api/v1/agent/status", "/health", "/nothing-here"):
        headers = (await api.client.get(path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_decimals_survive_to_the_last_digit() -> None:
    from tradesaga.api.json_response import ENCODER

    value = Decimal("12345678901234567890.123456789")
    assert msgspec.json.decode(ENCODER.encode({"x": value}), type=dict[str, Decimal]) == {
        "x": value
    }


async def test_the_last_check_of_the_invariants_is_told(api: Api) -> None:
    async def told() -> Any:
        response = await api.client.get("/api/v1/invariants")
        assert response.status_code == 200
        return response.json()

    nothing: dict[str, Any] = {"checkedAt": None, "broken": 0, "runsSkipped": 0, "invariants": []}
    assert await told() == nothing
    broken = Invariant(
        name="I4_positions",
        description="every sum is that of its fills",
        violations=1,
        sample=[{"symbol": "SPY", "held": Decimal("1.50"), "id": None}],
        remedy="compare",
    )
    api.operations.invariant_report = InvariantReport(
        checked_at=NOON,
        runs_skipped=2,
        invariants=[broken, replace(broken, name="I9_alerts", violations=0, skipped="late")],
    )
    answer = await told()
    assert (answer["checkedAt"], answer["broken"], answer["runsSkipped"]) == (NOON_TEXT, 1, 2)
    first, second = answer["invariants"]
    assert (first["money"], second["money"]) == (True, False)
    assert first["sample"] == [{"symbol": "SPY", "held": "1.50", "id": None}]
    assert (first["lookedAt"], second["skipped"]) == (None, "late")


async def test_a_cycle_is_cancelled_with_a_reason(api: Api) -> None:
    response = await api.client.post(f"/api/v1/cycles/{CYCLE_ID}/cancel", json={"reason": "slow"})
    assert response.status_code == 409  # it completed
    assert response.json()["currentState"] == "completed"
    running = api.operations.listed[0].id
    path = f"/api/v1/cycles/{running}/cancel"
    assert (await api.client.post(path, json={})).status_code == 400
    response = await api.client.post(path, json={"reason": "slow"})
    assert response.status_code == 200
    assert response.json()["cycle"]["id"] == str(running)
    name, given = api.operations.calls[-1]
    assert (name, given["reason"]) == ("cancel_cycle", "slow")
