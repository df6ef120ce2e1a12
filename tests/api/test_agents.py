"""The agents over the API: made and retired, and each of them under its own path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID

import httpx2
import pytest

from tests.api.fake_access import ADMIN_HEADER
from tests.api.fake_accounts import OTHER_ID
from tests.api.fake_repeats import Store, repeats_over
from tests.api.fakes import Api
from tests.api.serving import served
from tests.api.test_forwarding import passing_on
from tradesaga.api.agent_paths import AgentPaths, split
from tradesaga.api.app import PREFIX
from tradesaga.api.doors import Doors
from tradesaga.api.problems import Problems
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId

OF_THE_OTHER = f"/api/v1/agents/{OTHER_ID}"


class Town:
    """Implements `api.doors.AgentDoors`: one agent beside the default one."""

    def __init__(self, other: Api) -> None:
        self.doors = Doors(
            operations=other.operations,
            sagas=other.sagas,
            retention=other.retention,
            risk=other.risk,
            approvals=other.approvals,
            feed=other.feed,
            history=other.history,
            dead_letters=other.dead_letters,
            strategies=other.strategies,
            schedules=other.schedules,
            ladder=other.ladder,
            repeats=repeats_over(Store(), other),
        )

    def of(self, agent_id: AgentId) -> Doors | None:
        if agent_id == DEFAULT_AGENT:
            return None
        if agent_id != OTHER_ID:
            raise NotFound(f"there is no agent {agent_id}")
        return self.doors


@pytest.fixture(scope="module")
def second() -> Api:
    return Api()


@pytest.fixture
async def other(api: Api, second: Api) -> AsyncIterator[Api]:
    """The ports of the other agent, whose paths `api` serves."""
    second.fresh()
    gate = cast("Any", api.app.asgi_handler)
    inner = gate._app
    problems = Problems(api.metrics)
    gate._app = AgentPaths(inner, agents=Town(second), problems=problems, prefix=PREFIX)
    yield second
    gate._app = inner


async def test_agents_are_listed_made_and_retired(api: Api) -> None:
    listed = (await api.client.get("/api/v1/agents")).json()["agents"]
    assert [(one["name"], one["isDefault"], one["status"]) for one in listed] == [
        ("default", True, "running"),
        ("second", False, None),
    ]
    assert (await api.client.get(OF_THE_OTHER)).json() == listed[1]
    body = {"name": "third", "tradingEngine": "https://engine:1/accounts/3"}
    made = (await api.client.post("/api/v1/agents", json=body)).json()
    assert (made["name"], made["tradingEngine"]) == ("third", body["tradingEngine"])
    assert (await api.client.post(f"{OF_THE_OTHER}/retire")).json()["retiredAt"] is not None
    assert api.accounts.calls == [("add", tuple(body.values())), ("retire", OTHER_ID)]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": "x"}, "tradingEngine"),
        ({"name": "x y", "tradingEngine": "http://a"}, "name"),
        ({"name": "x", "tradingEngine": "ftp://a"}, "tradingEngine"),
        ({"name": "x", "tradingEngine": "http://a?b"}, "tradingEngine"),
        ({"name": "x", "tradingEngine": "http://a", "cash": 1}, "cash"),
    ],
)
async def test_an_unfit_agent_is_refused(api: Api, body: dict[str, Any], named: str) -> None:
    answer = await api.client.post("/api/v1/agents", json=body)
    assert answer.status_code == 400
    assert named in answer.text
    assert api.accounts.calls == []


async def test_the_default_agent_is_not_retired(api: Api) -> None:
    answer = await api.client.post(f"/api/v1/agents/{DEFAULT_AGENT}/retire")
    assert answer.status_code == 409


async def test_the_same_api_under_each_agents_path(api: Api, other: Api) -> None:
    answer = await api.client.post(f"{OF_THE_OTHER}/agent/stop", json={"reason": "now"})
    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
    assert [name for name, _ in other.operations.calls] == ["stop"]
    assert (await api.client.get(f"{OF_THE_OTHER}/health")).status_code == 200
    assert (await api.client.get(f"{OF_THE_OTHER}/sagas?limit=0")).status_code == 400
    assert api.operations.calls == [], "the default agent was not asked"
    await api.client.get(f"/api/v1/agents/{DEFAULT_AGENT}/agent/status")
    await api.client.get("/api/v1/agent/status")
    assert [name for name, _ in api.operations.calls] == ["status", "status"]


async def test_a_key_is_its_agents_own(api: Api, other: Api) -> None:
    headers = {"Idempotency-Key": "k-1"}
    for path in (OF_THE_OTHER, OF_THE_OTHER, "/api/v1"):
        answer = await api.client.post(f"{path}/agent/stop", json={}, headers=headers)
        assert answer.status_code == 200, answer.text
    assert len(other.operations.calls) == len(api.operations.calls) == 1


async def test_an_unknown_agent_is_told(api: Api, other: Api) -> None:
    answer = await api.client.get(f"/api/v1/agents/{UUID(int=7)}/agent/status")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (await api.client.get(f"{OF_THE_OTHER}/nothing")).status_code == 404


async def test_no_token_opens_an_agents_path(api: Api, other: Api) -> None:
    for path in ("/agent/status", "/health"):
        answer = await api.client.get(OF_THE_OTHER + path, headers={"Authorization": "Bearer x"})
        assert answer.status_code == 401
    assert other.operations.calls == []


async def test_a_request_goes_to_the_node_of_its_agent(api: Api, second: Api) -> None:
    """Passed on with its whole path: the other node finds the agent in it."""
    second.fresh()
    gate = cast("Any", second.app.asgi_handler)
    inner = gate._app
    gate._app = AgentPaths(
        inner, agents=Town(second), problems=Problems(second.metrics), prefix=PREFIX
    )
    try:
        async with served(second.app) as url:
            where = {OTHER_ID: url}
            async with passing_on(api, lambda agent_id: where.get(cast("AgentId", agent_id), "")):
                transport = httpx2.ASGITransport(cast("Any", api.app), client=("127.0.0.1", 4000))
                async with httpx2.AsyncClient(
                    transport=transport, base_url="http://127.0.0.1", headers=ADMIN_HEADER
                ) as client:
                    answer = await client.get(f"{OF_THE_OTHER}/agent/status")
                    assert answer.status_code == 200
                    await client.get("/api/v1/agent/status")
    finally:
        gate._app = inner
    assert [name for name, _ in second.operations.calls] == ["status"]
    assert [name for name, _ in api.operations.calls] == ["status"]


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (f"{OF_THE_OTHER}/agent/stop", "/api/v1/agent/stop"),
        (f"{OF_THE_OTHER}/health", "/health"),
        (f"{OF_THE_OTHER}/retire", None),
        (OF_THE_OTHER, None),
        ("/api/v1/agents/x/agent/stop", None),
        ("/api/v1/agent/stop", None),
    ],
)
def test_which_paths_are_an_agents(path: str, rest: str | None) -> None:
    assert split(path, PREFIX) == ((OTHER_ID, rest) if rest else (None, path))
