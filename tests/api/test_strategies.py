"""Strategies over the API: made, read, changed, let act or not, deleted; wrong fields are named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.fakes import Api
from tradesaga.domain.errors import Unavailable

NEW = {
    "name": "slow-sma",
    "type": "sma_crossover",
    "symbols": ["SPY", "IBM"],
    "parameters": {"fast": 5, "gap": 0.25, "on": True},
    "priority": 3,
}


async def made(api: Api, **more: object) -> dict[str, Any]:
    response = await api.client.post("/api/v1/strategies", json=NEW | more)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_strategy_is_made_stopped(api: Api) -> None:
    answer = await made(api)
    assert (answer["status"], answer["symbols"], answer["riskMode"]) == (
        "stopped", ["SPY", "IBM"], "normal",
    )  # fmt: skip
    assert (answer["parameters"], answer["priority"]) == (NEW["parameters"], 3)
    assert (await api.client.get(f"/api/v1/strategies/{answer['id']}")).json() == answer
    assert (await api.client.get("/api/v1/strategies/slow-sma")).json() == answer
    again = await api.client.post("/api/v1/strategies", json=NEW)
    assert again.status_code == 400
    assert "taken" in again.text


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"name": "no blanks"}, "name"),
        ({"symbols": []}, "symbols"),
        ({"symbols": ["SPY", "SPY"]}, "symbols"),
        ({"symbols": ["S PY"]}, "symbols"),
        ({"riskMode": "reckless"}, "riskMode"),
        ({"priority": 1001}, "priority"),
        ({"parameters": {"x": [1]}}, "parameters"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_no_strategy_can_be_is_named(
    api: Api, wrong: dict[str, object], named: str
) -> None:
    response = await api.client.post("/api/v1/strategies", json=NEW | wrong)
    assert response.status_code == 400
    assert named in " ".join(response.json()["problems"])
    assert set(api.strategies.known) == {"sample"}


async def test_activate_and_deactivate_answer_as_specified(api: Api) -> None:
    await made(api)
    first = await api.client.post("/api/v1/strategies/slow-sma/activate")
    assert first.status_code == 200
    assert first.json() == {"status": "active", "activatedAt": "2020-12-15T17:00:05.000000Z"}
    stopped = await api.client.post(
        "/api/v1/strategies/slow-sma/deactivate", json={"closePositions": True}
    )
    answer = stopped.json()
    assert (answer["status"], answer["deactivatedAt"]) == ("stopped", "2020-12-15T17:00:05.000000Z")
    assert answer["detail"].startswith("stopping")
    assert (await api.client.get("/api/v1/strategies/slow-sma")).json()["detail"].startswith("stop")


async def test_a_change_leaves_what_is_not_named(api: Api) -> None:
    before = await made(api)
    response = await api.client.patch("/api/v1/strategies/slow-sma", json={"priority": -2})
    assert response.json() == before | {"priority": -2}
    response = await api.client.patch("/api/v1/strategies/slow-sma", json={"parameters": {}})
    assert response.json()["parameters"] == {}


async def test_deleting_needs_a_strategy_at_rest(api: Api) -> None:
    await made(api, active=True)
    refused = await api.client.delete("/api/v1/strategies/slow-sma")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong-state")
    assert refused.json()["allowedActions"] == ["deactivate"]
    await api.client.post("/api/v1/strategies/slow-sma/deactivate")
    api.strategies.held = ("SPY",)
    refused = await api.client.delete("/api/v1/strategies/slow-sma")
    assert "closePositions" in refused.json()["detail"]
    api.strategies.held = ()
    assert (await api.client.delete("/api/v1/strategies/slow-sma")).json()["status"] == "deleted"
    assert (await api.client.get("/api/v1/strategies/slow-sma")).status_code == 404


@pytest.mark.parametrize("act", ["activate", "deactivate"])
async def test_who_is_not_there_cannot_act(api: Api, act: str) -> None:
    response = await api.client.post(f"/api/v1/strategies/nobody/{act}")
    assert (response.status_code, response.json()["code"]) == (404, "not-found")
    api.strategies.error = Unavailable("another node has it")
    assert (await api.client.post(f"/api/v1/strategies/nobody/{act}")).status_code == 503
