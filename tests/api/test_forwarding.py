"""What a node that does not lead passes on, and what it answers by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import httpx2
import pytest

from tests.api.fake_access import ADMIN_HEADER
from tests.api.fakes import Api
from tests.api.serving import served
from tradesaga.adapters.http.peer import HttpPeers
from tradesaga.api.app import PREFIX
from tradesaga.api.forwarding import MARK, Forwarding
from tradesaga.bootstrap.nodes import OWN_PATHS, reachable
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId

TIME_MAX = timedelta(seconds=5)
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def other() -> Api:
    return Api()


@pytest.fixture
def leader(other: Api) -> Api:
    return other.fresh()


@asynccontextmanager
async def standing_by(standby: Api, url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a node that passes on to `url`."""
    async with passing_on(standby, lambda _: url):
        transport = httpx2.ASGITransport(cast("Any", standby.app), client=("127.0.0.1", 4000))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=ADMIN_HEADER
        ) as client:
            yield client


@asynccontextmanager
async def passing_on(node: Api, elsewhere: Callable[[AgentId | None], str]) -> AsyncIterator[None]:
    """Within the block the node passes on to where `elsewhere` says."""
    peers, inner = HttpPeers(elsewhere, time_max=TIME_MAX), node.app.asgi_handler
    node.app.asgi_handler = Forwarding(inner, peers=peers, own_id="b", prefix=PREFIX, own=OWN_PATHS)
    try:
        yield
    finally:
        node.app.asgi_handler = inner
        await peers.close()


async def test_a_command_is_done_by_the_leader_alone(api: Api, leader: Api) -> None:
    async with served(leader.app) as url, standing_by(api, url) as client:
        body = {"reason": "höchste Zeit"}
        answer = await client.post("/api/v1/agent/stop", json=body)
        assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
    [(name, said)] = leader.operations.calls
    assert (name, said["reason"]) == ("stop", "höchste Zeit")
    assert api.operations.calls == []


async def test_problems_and_queries_come_through_as_they_are(api: Api, leader: Api) -> None:
    async with served(leader.app) as url, standing_by(api, url) as client:
        answer = await client.get("/api/v1/cycles?limit=0")
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert "limit" in answer.text
        assert (await client.get("/health")).status_code == 200
    assert [name for name, _ in leader.operations.calls] == ["health"]


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/livez", "/metrics", "/api/v1/openapi.json"])
async def test_what_a_node_tells_of_itself(api: Api, path: str) -> None:
    async with standing_by(api, NOWHERE) as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(("url", "headers"), [(NOWHERE, {}), ("", {}), (NOWHERE, {MARK: "a"})])
async def test_without_a_leader_it_answers_itself(
    api: Api, url: str, headers: Mapping[str, str]
) -> None:
    api.operations.error = Unavailable("another node holds the agent")
    async with standing_by(api, url) as client:
        body = {"reason": "x"}
        answer = await client.post("/api/v1/agent/stop", json=body, headers=headers)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    [(name, said)] = api.operations.calls
    assert (name, said["reason"]) == ("stop", "x"), "the body was not lost on the way"


async def test_two_that_take_each_other_for_the_leader_make_no_circle(api: Api) -> None:
    circle = [""]
    async with (
        passing_on(api, lambda _: circle[0]),
        served(api.app) as url,
        httpx2.AsyncClient(headers=ADMIN_HEADER) as client,
    ):
        circle[0] = url
        assert (await client.get(f"{url}/api/v1/agent/status")).status_code == 200
    assert [name for name, _ in api.operations.calls] == ["status"]


async def test_a_body_beyond_measure_is_refused_here(api: Api, leader: Api) -> None:
    async with served(leader.app) as url, standing_by(api, url) as client:
        answer = await client.post("/api/v1/agent/stop", content=b"x" * 100_000)
    assert answer.status_code in (400, 413)
    assert leader.operations.calls == []


def test_the_address_that_others_are_told() -> None:
    assert reachable("http://127.0.0.1:3005") == "http://127.0.0.1:3005"
    told = reachable("http://0.0.0.0:3005")
    assert told.endswith(":3005")
    assert "0.0.0.0" not in told
